// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulated devices (mdev and the like): devices without DMA of their own, whose drivers
 * pin pages of the space's memory, or copy to and from it.
 *
 * Such a device needs nothing to be mapped or pinned ahead of it, so it shares a
 * space with faulting devices at no cost. What its driver pins stays resident and is charged
 * to RLIMIT_MEMLOCK, unless it is pinned and charged anyway. Pins are counted per
 * page: the first pins, the last unpins.
 *
 * Unmapping a range with pins: the drivers are told (dma_unmap) and must unpin. They do so through
 * iopf_emulated_unpin(), so the space's lock is dropped meanwhile, and the caller
 * looks at everything anew. Until it is done nothing can be pinned in the area (-EINVAL, as if it
 * were gone): otherwise a driver that pins again and again could keep it.
 *
 * unmap vs release: while drivers are told without the lock, other threads may unmap everything and
 * take the groups out. The caller's reference keeps the space; devices that are on the list
 * wait for the telling before they go. unmap vs unmap: each marks the areas again when it has
 * the lock; the second finds what the first has left, or nothing.
 *
 * pinning, dma_rw vs user space: both wait for it as long as it likes, and hold no lock meanwhile.
 * dma_rw vs unmap: unmapping waits for it, as it would under stock type1, but nobody else.
 *
 * Locking: iopf_space.lock protects pins, groups and the list of devices. The list
 * does not change while drivers are told: whoever wants to change it waits for that. (A mutex
 * for it, taken both around and inside the space's, could deadlock.)
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "../host/mm.h"
#include "../host/run.h"
#include "../map/area.h"
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
 * @count: how often
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
 * iopf_emulated_each() - do something with each emulated device
 * @space: the space, locked
 * @fn: does it; anything but 0 ends the tour
 * @data: for @fn
 *
 * Return: what @fn returned last, or 0.
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
 * Return: whether it was one.
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

/* The space's lock, when no driver is being told of unmapping. */
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
 * iopf_emulated_register() - a device wants to be told of unmapping
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
 * iopf_emulated_unregister() - a device wants to be told of unmapping no more
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
 * Pin a page for its first user: pin_one() goes on. The space's lock is dropped meanwhile.
 * -EAGAIN: look again.
 */
static int pin_first(struct iopf_area *area, u64 iova)
{
	struct iopf_space *space = area->space;
	struct emulated_pin *pin;
	int ret;

	/* For its dirty bit; see dirty.c. */
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
		/* An unmapping that has made its report does not look at pins again. */
		if (!area || area->leaving || area->reported || area->coming)
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

/* Undo one pin_one(). False: there is none. */
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
	 * The driver could write the page until now. If a report is being copied, it has the page's
	 * bit already, and looks at the pages that are still pinned when it ends. The chunk and its
	 * marks are there, so this can't fail.
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
 * @prot: IOMMU_READ, IOMMU_WRITE: what the driver wants to do
 * @pages: out: the pages
 *
 * Return: @npage; or a negative error number with nothing pinned: -EBUSY while a CPU address is invalid; -EINVAL when no device would be told
 * of unmapping, or nothing is mapped there; -EPERM beyond the mapping's permission; what
 * pinning returns; -ENOMEM over RLIMIT_MEMLOCK.
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
 * struct emulated_copy - a driver copies, without the space's lock
 * @node: in the space's list
 * @range: where; unmapping it waits
 */
struct emulated_copy {
	struct list_head node;
	struct iopf_range range;
};

/* How often a page is brought in that is gone again when it is to be copied. */
#define RW_TRIES 16

/**
 * struct rw_job - bytes that a kernel thread copies, or has a thread of the process copy
 * @run: for the latter; nobody leaves it before it has ended
 * @user: where the next ones are in the process
 * @data: the kernel's side
 * @count: how many are left
 * @write: to the process
 */
struct rw_job {
	struct iopf_run run;
	unsigned long user;
	void *data;
	size_t count;
	bool write;
};

static unsigned long rw_bytes(void __user *user, void *data, size_t count, bool write)
{
	return write ? copy_to_user(user, data, count) : copy_from_user(data, user, count);
}

/* Copy what is there, in the process's address space. Whether that is all. */
static bool rw_there(struct rw_job *job)
{
	while (job->count) {
		size_t n = min(job->count, PAGE_SIZE - offset_in_page(job->user));
		unsigned long left;

		pagefault_disable();
		left = rw_bytes((void __user *)job->user, job->data, n, job->write);
		pagefault_enable();
		if (left)
			return false;
		job->user += n;
		job->data += n;
		job->count -= n;
		cond_resched();
	}
	return true;
}

/* In a thread of the process: what is not there is brought in. */
static int rw_run(struct iopf_run *run)
{
	struct rw_job *job = container_of(run, struct rw_job, run);
	static const atomic_t never;
	struct iopf_vaddr_seen seen = { .seq = &never };
	unsigned int tries = 0;
	size_t before = 0;
	int ret;

	while (!rw_there(job)) {
		tries = job->count == before ? tries + 1 : 0;
		before = job->count;
		if (tries == RW_TRIES)
			return -EFAULT;
		ret = iopf_mm_populate(current->mm, job->user & PAGE_MASK, 1, job->write, &seen);
		if (ret)
			return ret;
	}
	return 0;
}

static void rw_free(struct iopf_run *run)
{
	kfree(container_of(run, struct rw_job, run));
}

/* A kernel thread copies what is there; the process has all else brought in, and pays for it. */
static int rw_copy_kthread(struct iopf_mm *m, void __user *user, void *data, size_t count,
			   bool write)
{
	struct rw_job *job;
	int ret = 0;
	bool all;

	if (!mmget_not_zero(m->mm))
		return -EPERM;
	job = kmalloc(sizeof(*job), GFP_KERNEL);
	if (job) {
		*job = (struct rw_job){
			.user = (unsigned long)user,
			.data = data,
			.count = count,
			.write = write,
		};
		iopf_run_init(&job->run, rw_run, rw_free);
		kthread_use_mm(m->mm);
		all = rw_there(job);
		kthread_unuse_mm(m->mm);
	}
	mmput_async(m->mm);
	if (!job)
		return -ENOMEM;
	if (!all)
		ret = iopf_run_in(m->pool, &job->run, TASK_IDLE);
	iopf_run_put(&job->run);
	return ret == -ESRCH ? -EPERM : ret;
}

/* In a kernel thread in the memory's mm, otherwise only in the caller's own. */
static int rw_copy(struct iopf_mm *m, void __user *user, void *data, size_t count, bool write)
{
	if (!current->mm)
		return rw_copy_kthread(m, user, data, count, write);
	if (!atomic_read(&m->mm->mm_users))
		return -EPERM;
	return current->mm != m->mm || rw_bytes(user, data, count, write) ? -EFAULT : 0;
}

/* Copy within one area; the space's lock is dropped meanwhile. */
static int rw_area(struct iopf_area *area, u64 iova, void *data, size_t count, bool write)
{
	struct iopf_space *space = area->space;
	struct emulated_copy copy = { .range = { iova, iova + (count - 1) } };
	void __user *user = (void __user *)iopf_area_vaddr(area, iova);
	struct iopf_mm *m = area->mm;
	int ret;

	refcount_inc(&m->refs);
	list_add(&copy.node, &space->pins->emulated.copies);
	iopf_space_unlock_to_wait(space);
	ret = rw_copy(m, user, data, count, write);
	iopf_space_relock(space);
	list_del(&copy.node);
	WRITE_ONCE(space->pins->emulated.copied, space->pins->emulated.copied + 1);
	wake_up_all(&space->pins->emulated.notified);
	iopf_mm_put(m);
	return ret;
}

/* Where a driver writes is dirty: before, and after if a report was made in between. */
static int rw_dirty(struct iopf_space *space, u64 iova, size_t count)
{
	struct iopf_area *area = mtree_load(&space->areas, iova);

	if (!space->tracking || !area || area->range.last < iova + (count - 1))
		return 0;
	return iopf_area_dirty(area, iova, count);
}

/**
 * iopf_emulated_rw() - copy to or from the space's memory (vfio_dma_rw())
 * @space: the space
 * @iova: first address
 * @data: the kernel's side
 * @count: bytes
 * @write: to the space's memory
 *
 * By the rule of stock type1 the memory must be mapped for reading even to be written.
 *
 * Return: 0; -EBUSY while a CPU address is invalid; -EINVAL where nothing is mapped; -EPERM
 * beyond the mapping's permission or when its process is gone; -EFAULT.
 */
int iopf_emulated_rw(struct iopf_space *space, u64 iova, void *data, size_t count, bool write)
{
	int need = IOMMU_READ | (write ? IOMMU_WRITE : 0), ret;

	guard(mutex)(&space->lock);

	if (space->vaddr_invalid)
		return -EBUSY;
	while (count) {
		struct iopf_area *area = mtree_load(&space->areas, iova);
		size_t now;

		/* What is written after the last report would be in none. */
		if (!area || area->leaving || area->coming || (write && area->reported))
			return -EINVAL;
		if ((area->prot & need) != need)
			return -EPERM;
		now = min_t(u64, count, area->range.last - iova + 1);
		ret = write ? rw_dirty(space, iova, now) : 0;
		if (ret)
			return ret;
		ret = rw_area(area, iova, data, now, write);
		/* With chunks made before this can't fail, unless others have been there since. */
		if (write)
			rw_dirty(space, iova, now);
		if (ret)
			return ret;
		count -= now;
		data += now;
		iova += now;
	}
	return 0;
}

/**
 * iopf_emulated_wait() - wait for drivers that copy to or from what is about to be unmapped
 * @space: the space, locked; unlocked meanwhile
 * @range: nothing more is copied there
 *
 * Return: 0: there are none; 1: look at everything anew; -EINTR.
 */
int iopf_emulated_wait(struct iopf_space *space, const struct iopf_range *range)
{
	struct emulated_copy *copy;
	struct iopf_range part;
	unsigned int copied;
	bool any = false;
	int ret;

	lockdep_assert_held(&space->lock);

	list_for_each_entry(copy, &space->pins->emulated.copies, node)
		any |= iopf_range_intersect(&part, &copy->range, range);
	if (!any)
		return 0;
	copied = space->pins->emulated.copied;
	mutex_unlock(&space->lock);
	ret = wait_event_killable(space->pins->emulated.notified,
				  READ_ONCE(space->pins->emulated.copied) != copied);
	mutex_lock(&space->lock);
	return ret ? -EINTR : 1;
}

/**
 * iopf_emulated_notify_unmap() - tell all devices that an area is about to go
 * @space: the space, locked; unlocked meanwhile
 * @area: has pins; may be gone when this returns
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
 * iopf_emulated_abandon() - forget pins that a driver has failed to undo
 * @area: about to go
 *
 * The pages stay pinned for good: the driver may be using them.
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
