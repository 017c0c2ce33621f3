// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulated devices: drivers that copy to or from the space's memory (vfio_dma_rw()).
 *
 * dma_rw vs user space: a copy may wait for user space without limit. It holds no lock meanwhile.
 * dma_rw vs unmap: UNMAP waits for the copy, as under stock type1. No other code waits for it.
 *
 * Locking: the space's lock, which is dropped to copy.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../host/mm.h"
#include "../host/pool.h"
#include "../host/run.h"
#include "../map/area.h"
#include "emulated.h"
#include "pins.h"

/**
 * struct emulated_copy - a copy in progress, without the space's lock
 * @node: in the space's list
 * @range: the addresses; UNMAP of them waits
 */
struct emulated_copy {
	struct list_head node;
	struct iopf_range range;
};

/* How often a page is populated that is absent again when it is to be copied. */
#define RW_TRIES 16

/**
 * struct rw_job - bytes that a kernel thread copies, or has a thread of the process copy
 * @run: for the thread of the process; the kernel thread waits until it has ended
 * @user: the next address in the process
 * @data: the kernel's side
 * @count: number of bytes left
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

/*
 * Copy the bytes whose pages are present, in the process's address space. Returns whether all are
 * copied.
 */
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

/* Copy in a thread of the process, and populate absent pages. */
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

/*
 * Copy in a kernel thread what is present. A thread of the process populates and copies the rest,
 * so that the process pays for it.
 */
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

/* Copy. A kernel thread uses the mm of the memory. Any other caller may use its own mm only. */
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

/*
 * Mark memory dirty that a driver writes to. Called before the copy, and after it, since a report
 * may be made in between.
 */
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
 * As in stock type1, the mapping must permit reads even for a write.
 *
 * Return: 0; -EBUSY while a CPU address is invalid; -EINVAL where nothing is mapped; -EPERM if the
 * mapping does not permit the access, or its process is gone; -EFAULT.
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

		/* A write after the last report would be in no report. */
		if (!area || area->leaving || area->incomplete || (write && area->reported))
			return -EINVAL;
		if ((area->prot & need) != need)
			return -EPERM;
		now = min_t(u64, count, area->range.last - iova + 1);
		ret = write ? rw_dirty(space, iova, now) : 0;
		if (ret)
			return ret;
		ret = rw_area(area, iova, data, now, write);
		/*
		 * The chunks exist since the first call, so this can't fail, unless another thread
		 * has changed the areas since.
		 */
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
 * iopf_emulated_wait() - wait for copies to or from memory that is about to be unmapped
 * @space: the space, locked; unlocked meanwhile
 * @range: no new copy begins there
 *
 * Return: 0: there is no copy; 1: look at everything anew; -EINTR.
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
