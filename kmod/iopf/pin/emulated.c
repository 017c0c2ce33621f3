// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulated devices (mdev and the like): devices without DMA of their own, whose drivers pin pages
 * of the space's memory, or copy to and from it.
 *
 * Such a device needs no memory mapped or pinned in advance. So it shares a space with faulting
 * devices at no cost. A page that its driver pins stays resident and is charged to RLIMIT_MEMLOCK,
 * unless it is pinned and charged already. Pins are counted per page: the first pins, the last
 * unpins.
 *
 * Unmapping a range with pins: the drivers get a notification (dma_unmap) and must unpin. They do
 * so through iopf_emulated_unpin(), so the space's lock is dropped meanwhile, and the caller looks
 * at everything anew. Until the unmap is done no driver can pin in the area (-EINVAL, as if it were
 * unmapped). Otherwise a driver that pins again and again could keep the area.
 *
 * unmap vs release: while drivers are notified without the lock, other threads may unmap everything
 *   and detach the groups. The caller's reference keeps the space. A device on the list waits for
 *   the notification before it is unregistered.
 * unmap vs unmap: each marks the areas again when it has the lock. The second finds what the first
 *   has left, or nothing.
 * pinning vs user space: pinning may wait for user space without limit. It holds no lock meanwhile.
 *
 * Locking: iopf_space.lock protects pins, groups and the list of devices. The list does not change
 * while drivers are notified: code that changes it waits for the end of the notifications. (A mutex
 * for the list, taken both around and inside the space's lock, could deadlock.)
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vfio.h>

#include "../host/mm.h"
#include "../map/area.h"
#include "charge.h"
#include "emulated.h"
#include "pin.h"
#include "pins.h"

/**
 * struct emulated - a group of an emulated device
 * @node: in the space's list
 * @group: the group
 */
struct emulated {
	struct list_head node;
	struct iommu_group *group;
};

/**
 * struct emulated_pin - a page that drivers have pinned
 * @page: the page
 * @count: number of pins
 */
struct emulated_pin {
	struct page *page;
	unsigned int count;
};

static struct emulated *emulated_find(struct iopf_space *space, struct iommu_group *group)
{
	struct emulated *e;

	list_for_each_entry(e, &space->pins->emulated.groups, node)
		if (e->group == group)
			return e;
	return NULL;
}

/**
 * iopf_emulated_attach() - attach an emulated device's group
 * @space: the space, locked
 * @group: the group
 *
 * Return: 0; -EINVAL when it is attached already; -ENOMEM.
 */
int iopf_emulated_attach(struct iopf_space *space, struct iommu_group *group)
{
	struct emulated *e;

	lockdep_assert_held(&space->lock);

	if (emulated_find(space, group))
		return -EINVAL;
	e = kzalloc(sizeof(*e), GFP_KERNEL_ACCOUNT);
	if (!e)
		return -ENOMEM;
	e->group = group;
	list_add_tail(&e->node, &space->pins->emulated.groups);
	space->emulated_groups++;
	return 0;
}

/**
 * iopf_emulated_each() - call a function for each emulated device
 * @space: the space, locked
 * @fn: the function; a result other than 0 ends the walk
 * @data: for @fn
 *
 * Return: the last result of @fn, or 0.
 */
int iopf_emulated_each(struct iopf_space *space, int (*fn)(struct device *dev, void *data),
		       void *data)
{
	struct emulated *e;
	int ret = 0;

	lockdep_assert_held(&space->lock);

	list_for_each_entry(e, &space->pins->emulated.groups, node) {
		ret = iommu_group_for_each_dev(e->group, data, fn);
		if (ret)
			break;
	}
	return ret;
}

/**
 * iopf_emulated_detach() - detach an emulated device's group
 * @space: the space, locked
 * @group: any group
 *
 * Return: whether it was the group of an emulated device.
 */
bool iopf_emulated_detach(struct iopf_space *space, struct iommu_group *group)
{
	struct emulated *e = emulated_find(space, group);

	lockdep_assert_held(&space->lock);

	if (!e)
		return false;
	list_del(&e->node);
	space->emulated_groups--;
	kfree(e);
	return true;
}

/* Take the space's lock when no notification is in progress. */
static void devices_lock(struct iopf_space *space)
{
	mutex_lock(&space->lock);
	while (space->pins->emulated.notifying) {
		mutex_unlock(&space->lock);
		wait_event(space->pins->emulated.notified,
			   !READ_ONCE(space->pins->emulated.notifying));
		mutex_lock(&space->lock);
	}
}

/**
 * iopf_emulated_register() - begin to notify a device when memory is unmapped
 * @space: the space
 * @vdev: the device
 */
void iopf_emulated_register(struct iopf_space *space, struct vfio_device *vdev)
{
	if (!vdev->ops->dma_unmap)
		return;
	devices_lock(space);
	list_add(&vdev->iommu_entry, &space->pins->emulated.devices);
	mutex_unlock(&space->lock);
}

/**
 * iopf_emulated_unregister() - stop notifying a device when memory is unmapped
 * @space: the space
 * @vdev: the device
 */
void iopf_emulated_unregister(struct iopf_space *space, struct vfio_device *vdev)
{
	if (!vdev->ops->dma_unmap)
		return;
	devices_lock(space);
	list_del(&vdev->iommu_entry);
	mutex_unlock(&space->lock);
}

static unsigned long area_index(const struct iopf_area *area, u64 iova)
{
	return (iova - area->range.first) >> PAGE_SHIFT;
}

/*
 * Pin a page for its first user, on behalf of pin_one(). The space's lock is dropped meanwhile.
 * Returns -EAGAIN if the caller must look again.
 */
static int pin_first(struct iopf_area *area, u64 iova)
{
	struct iopf_space *space = area->space;
	struct emulated_pin *pin;
	int ret;

	/* The chunk has the page's dirty bit; see vfio/dirty.c. */
	if (IS_ERR(iopf_area_chunk(area, iova, GFP_KERNEL_ACCOUNT)))
		return -ENOMEM;
	pin = kzalloc(sizeof(*pin), GFP_KERNEL_ACCOUNT);
	if (!pin)
		return -ENOMEM;
	ret = iopf_pin_page(area, iova, &pin->page);
	if (ret)
		goto err_free;
	ret = xa_err(xa_store(&area->pins, area_index(area, iova), pin, GFP_KERNEL_ACCOUNT));
	if (ret)
		goto err_unpin;
	if (space->tracking)
		iopf_area_dirty(area, iova, PAGE_SIZE);
	return 0;

err_unpin:
	if (iopf_pin_counts(pin->page) && !iopf_pin_counted(area, iova))
		iopf_pin_uncharge(area, 1);
	unpin_user_page(pin->page);
err_free:
	kfree(pin);
	return ret == -ESRCH ? -ENODEV : ret;
}

static int pin_one(struct iopf_space *space, u64 iova, int prot, struct page **page)
{
	struct emulated_pin *pin = NULL;
	struct iopf_area *area;
	int ret;

	while (!pin) {
		if (space->vaddr_invalid)
			return -EBUSY;
		area = mtree_load(&space->areas, iova);
		/* UNMAP does not look at pins again after its last report. */
		if (!area || area->leaving || area->reported || area->incomplete)
			return -EINVAL;
		if ((area->prot & prot) != prot)
			return -EPERM;
		pin = xa_load(&area->pins, area_index(area, iova));
		ret = pin ? 0 : pin_first(area, iova);
		if (ret && ret != -EAGAIN)
			return ret;
	}
	pin->count++;
	*page = pin->page;
	return 0;
}

/* Undo one pin_one(). Returns false if there is no area. */
static bool unpin_one(struct iopf_space *space, u64 iova)
{
	struct iopf_area *area = mtree_load(&space->areas, iova);
	struct emulated_pin *pin;

	if (!area)
		return false;
	pin = xa_load(&area->pins, area_index(area, iova));
	if (!pin || --pin->count)
		return true;
	/*
	 * The driver could write to the page until now. If a report is being copied, it has the
	 * page's bit already, and at its end it looks at the pages that are still pinned. The chunk
	 * and its marks exist, so this can't fail.
	 */
	if (space->tracking)
		iopf_area_dirty(area, iova, PAGE_SIZE);
	xa_erase(&area->pins, area_index(area, iova));
	if (iopf_pin_counts(pin->page) && !iopf_pin_counted(area, iova))
		iopf_pin_uncharge(area, 1);
	unpin_user_pages_dirty_lock(&pin->page, 1, area->prot & IOMMU_WRITE);
	kfree(pin);
	return true;
}

/**
 * iopf_emulated_pin() - pin pages for a driver (vfio_pin_pages())
 * @space: the space
 * @iova: first address
 * @npage: pages
 * @prot: IOMMU_READ, IOMMU_WRITE: the access that the driver needs
 * @pages: out: the pages
 *
 * Return: @npage; or a negative error number with nothing pinned: -EBUSY while a CPU address is
 * invalid; -EINVAL when no device would be notified of an unmap, or nothing is mapped there; -EPERM
 * if the mapping does not permit the access; an error of pinning; -ENOMEM over RLIMIT_MEMLOCK.
 */
int iopf_emulated_pin(struct iopf_space *space, u64 iova, int npage, int prot,
		      struct page **pages)
{
	int i, ret;

	lockdep_assert_held(&space->lock);

	if (list_empty(&space->pins->emulated.devices) && !space->vaddr_invalid)
		return -EINVAL;
	for (i = 0; i < npage; i++) {
		ret = pin_one(space, iova + ((u64)i << PAGE_SHIFT), prot, &pages[i]);
		if (ret)
			goto err_unpin;
	}
	return npage;

err_unpin:
	pages[i] = NULL;
	while (i--) {
		unpin_one(space, iova + ((u64)i << PAGE_SHIFT));
		pages[i] = NULL;
	}
	return ret;
}

/**
 * iopf_emulated_unpin() - undo iopf_emulated_pin() (vfio_unpin_pages())
 * @space: the space
 * @iova: first address
 * @npage: pages
 */
void iopf_emulated_unpin(struct iopf_space *space, u64 iova, int npage)
{
	int i;

	guard(mutex)(&space->lock);
	for (i = 0; i < npage; i++)
		if (!unpin_one(space, iova + ((u64)i << PAGE_SHIFT)))
			break;
	WARN_ON(i != npage);
}

/**
 * iopf_emulated_notify_unmap() - notify all devices that an area is about to be unmapped
 * @space: the space, locked; unlocked meanwhile
 * @area: has pins; may be freed when this returns
 */
void iopf_emulated_notify_unmap(struct iopf_space *space, struct iopf_area *area)
{
	u64 iova = area->range.first, size = iopf_area_size(area);
	struct vfio_device *vdev;

	lockdep_assert_held(&space->lock);

	space->pins->emulated.notifying++;
	mutex_unlock(&space->lock);
	list_for_each_entry(vdev, &space->pins->emulated.devices, iommu_entry)
		vdev->ops->dma_unmap(vdev, iova, size);
	mutex_lock(&space->lock);
	if (!--space->pins->emulated.notifying)
		wake_up_all(&space->pins->emulated.notified);
}

/**
 * iopf_emulated_abandon() - drop pins that a driver has failed to undo
 * @area: about to be removed
 *
 * The pages stay pinned for good, since the driver may still use them.
 */
void iopf_emulated_abandon(struct iopf_area *area)
{
	struct emulated_pin *pin;
	unsigned long index;
	long charged = 0;

	xa_for_each(&area->pins, index, pin) {
		WARN_ONCE(1, "an emulated device's driver left pages pinned\n");
		charged += iopf_pin_counts(pin->page) &&
			   !iopf_pin_counted(area, area->range.first + ((u64)index << PAGE_SHIFT));
		xa_erase(&area->pins, index);
		kfree(pin);
		cond_resched();
	}
	iopf_pin_uncharge(area, charged);
}
