// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that an emulated VFIO device has pinned.
 *
 * Invariants:
 *  - iopf_sim_mdev.pins has exactly the pages that are pinned, each with the number of its pins.
 *  - The CPU touches a page only under the lock, and only while the page is in the table.
 *
 * Locking: iopf_sim_mdev.lock. It is held over vfio_pin_pages() and vfio_unpin_pages().
 */
#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "mdev.h"

/**
 * struct pinned - a page that the device has pinned
 * @page: the page
 * @count: number of pins
 * @prot: union of IOMMU_READ and IOMMU_WRITE of the pins
 */
struct pinned {
	struct page *page;
	unsigned int count;
	int prot;
};

static int pin_note(struct iopf_sim_mdev *mdev, unsigned long index, struct page *page, int prot)
{
	struct pinned *pin = xa_load(&mdev->pins, index);
	int ret;

	lockdep_assert_held(&mdev->lock);

	if (pin) {
		if (pin->page != page)
			return -EIO;
		pin->count++;
		pin->prot |= prot;
		return 0;
	}
	pin = kmalloc(sizeof(*pin), GFP_KERNEL_ACCOUNT);
	if (!pin)
		return -ENOMEM;
	*pin = (struct pinned){ .page = page, .count = 1, .prot = prot };
	ret = xa_err(xa_store(&mdev->pins, index, pin, GFP_KERNEL_ACCOUNT));
	if (ret)
		kfree(pin);
	return ret;
}

/* Removes one pin from the table. */
static void pin_forget(struct iopf_sim_mdev *mdev, unsigned long index)
{
	struct pinned *pin = xa_load(&mdev->pins, index);

	lockdep_assert_held(&mdev->lock);

	if (--pin->count)
		return;
	xa_erase(&mdev->pins, index);
	kfree(pin);
}

static void unpin(struct iopf_sim_mdev *mdev, unsigned long index, unsigned long n)
{
	while (n) {
		unsigned long now = min_t(unsigned long, n, VFIO_PIN_PAGES_MAX_ENTRIES);

		vfio_unpin_pages(&mdev->vdev, (dma_addr_t)index << PAGE_SHIFT, now);
		index += now;
		n -= now;
	}
}

/* Removes every pin of the pages from @first to @last. Returns the number of pins. */
u64 iopf_sim_mdev_unpin_range(struct iopf_sim_mdev *mdev, unsigned long first, unsigned long last)
{
	struct pinned *pin;
	unsigned long index;
	u64 gone = 0;

	lockdep_assert_held(&mdev->lock);

	xa_for_each_range(&mdev->pins, index, pin, first, last) {
		xa_erase(&mdev->pins, index);
		for (; pin->count; pin->count--, gone++)
			unpin(mdev, index, 1);
		kfree(pin);
	}
	return gone;
}

void iopf_sim_mdev_unpin_all(struct iopf_sim_mdev *mdev)
{
	mutex_lock(&mdev->lock);
	iopf_sim_mdev_unpin_range(mdev, 0, ULONG_MAX);
	mutex_unlock(&mdev->lock);
}

/**
 * iopf_sim_mdev_count_pins() - add the pinned pages and their pins to a status
 * @mdev: the device, locked
 * @status: out: pages and pins are increased
 */
void iopf_sim_mdev_count_pins(struct iopf_sim_mdev *mdev, struct iopf_sim_mdev_status *status)
{
	struct pinned *pin;
	unsigned long index;

	lockdep_assert_held(&mdev->lock);

	xa_for_each(&mdev->pins, index, pin) {
		status->pages++;
		status->pins += pin->count;
	}
}

static int to_prot(u32 flags)
{
	return (flags & IOPF_SIM_MDEV_F_READ ? IOMMU_READ : 0) |
	       (flags & IOPF_SIM_MDEV_F_WRITE ? IOMMU_WRITE : 0);
}

static int get_pin(struct iopf_sim_mdev_pin *pin, const void __user *arg, u32 flags)
{
	int ret = iopf_sim_mdev_get_arg(pin, sizeof(*pin), arg);

	if (ret)
		return ret;
	if (pin->flags & ~flags || pin->reserved || !PAGE_ALIGNED(pin->iova))
		return -EINVAL;
	return pin->npages > IOPF_SIM_MDEV_MAX_PAGES ? -E2BIG : 0;
}

static int pin_locked(struct iopf_sim_mdev *mdev, const struct iopf_sim_mdev_pin *arg,
		      struct page **pages)
{
	unsigned long index = PHYS_PFN(arg->iova);
	int prot = to_prot(arg->flags);
	int done, i, ret = 0;

	lockdep_assert_held(&mdev->lock);

	done = vfio_pin_pages(&mdev->vdev, arg->iova, arg->npages, prot, pages);
	if (done < 0)
		return done;
	for (i = 0; i < done && !ret; i++)
		ret = pin_note(mdev, index + i, pages[i], prot);
	if (!ret && done == arg->npages)
		return done;

	/* The page that could not be added is pinned, but not in the table. */
	if (ret)
		i--;
	while (i--)
		pin_forget(mdev, index + i);
	unpin(mdev, index, done);
	/* VFIO does not promise all or nothing. A partial pin is of no use here. */
	return ret ?: -EIO;
}

long iopf_sim_mdev_pin(struct iopf_sim_mdev *mdev, void __user *arg)
{
	struct iopf_sim_mdev_pin pin;
	struct page **pages;
	int ret;

	ret = get_pin(&pin, arg, IOPF_SIM_MDEV_F_READ | IOPF_SIM_MDEV_F_WRITE);
	if (ret)
		return ret;
	if (!pin.flags)
		return -EINVAL;
	/*
	 * Room for one page at least: a request of 0 pages is passed on, and VFIO decides its
	 * result.
	 */
	pages = kvcalloc(pin.npages + 1, sizeof(*pages), GFP_KERNEL_ACCOUNT);
	if (!pages)
		return -ENOMEM;
	mutex_lock(&mdev->lock);
	ret = pin_locked(mdev, &pin, pages);
	mutex_unlock(&mdev->lock);
	kvfree(pages);
	return ret;
}

static int unpin_locked(struct iopf_sim_mdev *mdev, unsigned long index, unsigned long n)
{
	unsigned long i;

	lockdep_assert_held(&mdev->lock);

	for (i = 0; i < n; i++)
		if (!xa_load(&mdev->pins, index + i))
			return -ENOENT;
	for (i = 0; i < n; i++)
		pin_forget(mdev, index + i);
	unpin(mdev, index, n);
	return 0;
}

long iopf_sim_mdev_unpin(struct iopf_sim_mdev *mdev, void __user *arg)
{
	struct iopf_sim_mdev_pin pin;
	int ret;

	ret = get_pin(&pin, arg, 0);
	if (ret)
		return ret;
	mutex_lock(&mdev->lock);
	ret = unpin_locked(mdev, PHYS_PFN(pin.iova), pin.npages);
	mutex_unlock(&mdev->lock);
	return ret;
}

/* Checks that each page of the transfer is pinned with the permission needed. */
static int pinned_check(struct iopf_sim_mdev *mdev, const struct iopf_sim_mdev_rw *rw)
{
	int prot = rw->flags & IOPF_SIM_MDEV_F_WRITE ? IOMMU_WRITE : IOMMU_READ;
	unsigned long index, last = PHYS_PFN(rw->iova + rw->len - 1);

	lockdep_assert_held(&mdev->lock);

	for (index = PHYS_PFN(rw->iova); index <= last; index++) {
		struct pinned *pin = xa_load(&mdev->pins, index);

		if (!pin)
			return -ENOENT;
		if (!(pin->prot & prot))
			return -EACCES;
	}
	return 0;
}

int iopf_sim_mdev_pinned_rw(struct iopf_sim_mdev *mdev, const struct iopf_sim_mdev_rw *rw,
			    char *data)
{
	size_t left = rw->len, n;
	u64 iova = rw->iova;
	int ret;

	guard(mutex)(&mdev->lock);

	ret = pinned_check(mdev, rw);
	if (ret)
		return ret;
	for (; left; left -= n, iova += n, data += n) {
		struct pinned *pin = xa_load(&mdev->pins, PHYS_PFN(iova));

		n = min_t(size_t, left, PAGE_SIZE - offset_in_page(iova));
		if (rw->flags & IOPF_SIM_MDEV_F_WRITE)
			memcpy_to_page(pin->page, offset_in_page(iova), data, n);
		else
			memcpy_from_page(data, pin->page, offset_in_page(iova), n);
	}
	return 0;
}
