// SPDX-License-Identifier: GPL-2.0-only
/*
 * A job pins pages of a process without the space's lock. User space can delay a job without limit.
 *
 * A job runs in a thread of the process, so that the kernel charges it like the process's own
 * accesses. This thread is the caller or a thread of the process's pool.
 *
 * pinning vs unbinding, the space's end: some callers hold a resource that others wait for: the
 *   VFIO core's locks of a group that joins, or a sysfs file that is being removed. These callers
 *   wait for a thread of the process. iopf_pin_end() ends their wait when a device of the space is
 *   unbound, or when the space ends. Either the wait is already in the space's list, or the caller
 *   finds the reason (iopf_pins.unbinding, ended). The thread may be in a wait that can't be ended.
 *   It uses only its job. It gives back the pages that it pinned and charged.
 *
 * Locking: iopf_pins.waits_lock, a leaf.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "../host/charge.h"
#include "../host/mm.h"
#include "../lib/controls.h"
#include "../map/area.h"
#include "charge.h"
#include "job.h"
#include "pin.h"
#include "pins.h"

/* Pin up to @n pages. Returns how many are pinned, or a negative error number. */
static long job_pin(struct iopf_pin_job *job)
{
	unsigned int flags = FOLL_LONGTERM | (job->write ? FOLL_WRITE : 0) |
			     (job->now ? FOLL_NOFAULT : 0);
	struct mm_struct *mm = job->m->mm;
	long ret = -EINTR;

	if (!mmget_not_zero(mm))
		return -ESRCH;
	if (job->now ? mmap_read_trylock(mm) : !mmap_read_lock_killable(mm)) {
		ret = iopf_mm_pin(mm, job->vaddr, job->n, flags, job->pages);
		mmap_read_unlock(mm);
	}
	mmput_async(mm);
	return ret ?: -EFAULT;
}

/*
 * Pin and charge: all that may wait for user space without limit. Returns 0 or a negative error
 * number.
 */
static int job_do(struct iopf_pin_job *job)
{
	long count = 0, n = job_pin(job);
	int ret;

	if (n == -EINTR)
		return n;
	if (n < 0) {
		ret = iopf_mm_populate_mmio(job->m->mm, job->vaddr, job->write, job->now);
		job->mmio = !ret;
		return ret ? n : 0;
	}
	for (unsigned int i = 0; i < n; i++)
		count += iopf_pin_counts(job->pages[i]) && !test_bit(i, job->charged);
	ret = iopf_charge(job->task, job->m->mm, job->lock_cap, count, job->now);
	if (ret) {
		unpin_user_pages(job->pages, n);
		return ret;
	}
	job->n = n;
	job->count = count;
	job->pinned = true;
	return 0;
}

static int job_run(struct iopf_run *run)
{
	return job_do(container_of(run, struct iopf_pin_job, run));
}

/*
 * Unpin and uncharge pages that the caller has not taken over. The caller holds no lock, or the
 * lock of @space.
 */
void iopf_pin_job_undo(struct iopf_pin_job *job, struct iopf_space *space)
{
	if (!job->pinned)
		return;
	job->pinned = false;
	unpin_user_pages(job->pages, job->n);
	iopf_pin_give_back(space, job->m, job->count);
}

static void job_free(struct iopf_run *run)
{
	struct iopf_pin_job *job = container_of(run, struct iopf_pin_job, run);

	iopf_pin_job_undo(job, NULL);
	put_task_struct(job->task);
	iopf_mm_put(job->m);
	kfree(job);
}

/* Make a job for @n pages of an area, from @iova on. Returns NULL if there is no memory. */
struct iopf_pin_job *iopf_pin_job_create(struct iopf_area *area, u64 iova, unsigned int n)
{
	unsigned long index = (iova - area->range.first) >> PAGE_SHIFT;
	struct iopf_pin_job *job = kzalloc(struct_size(job, pages, n), GFP_KERNEL);

	if (!job)
		return NULL;
	iopf_run_init(&job->run, job_run, job_free);
	INIT_LIST_HEAD(&job->node);
	job->n = n;
	job->m = area->mm;
	refcount_inc(&job->m->refs);
	job->task = get_task_struct(area->task);
	job->lock_cap = area->lock_cap;
	job->write = area->prot & IOMMU_WRITE;
	job->vaddr = iopf_area_vaddr(area, iova);
	for (unsigned int i = 0; i < n; i++)
		if (xa_load(&area->pins, index + i))
			__set_bit(i, job->charged);
	return job;
}

/* Whether any signal may interrupt the caller, which wants memory pinned. */
bool iopf_pin_interruptible(const struct iopf_mm *m)
{
	/* So an administrator may end a wait for another process's memory. */
	return current->mm != m->mm && !(current->flags & PF_KTHREAD);
}

/* Have a thread of the process run the job, and wait for it. */
static int job_hand_over(struct iopf_pin_job *job)
{
	return iopf_run_in(job->m->pool, &job->run,
			   iopf_pin_interruptible(job->m) ? TASK_INTERRUPTIBLE : TASK_KILLABLE);
}

/* As job_hand_over(), but iopf_pin_end() ends the wait. */
static int job_wait_held(struct iopf_pin_job *job, struct iopf_space *space)
{
	int ret;

	scoped_guard(spinlock, &space->pins->waits_lock)
	{
		/* The reason is set before iopf_pin_end() is called. */
		if (READ_ONCE(space->pins->unbinding) || READ_ONCE(space->pins->ended))
			return -ENODEV;
		list_add(&job->node, &space->pins->waits);
	}
	ret = job_hand_over(job);
	scoped_guard(spinlock, &space->pins->waits_lock) list_del_init(&job->node);
	return ret == -ECANCELED ? -ENODEV : ret;
}

/*
 * Run the job in a context where it is charged like the process's own accesses. With PIN_NOW it
 * runs in the caller, since it populates nothing.
 */
int iopf_pin_job_wait(struct iopf_pin_job *job, struct iopf_space *space, enum pin_wait wait)
{
	if (wait == PIN_HELD && !iopf_broken(unbind))
		return job_wait_held(job, space);
	if (wait == PIN_NOW || current->mm == job->m->mm)
		return job_do(job);
	return job_hand_over(job);
}

/**
 * iopf_pin_end() - end all waits in iopf_pin_run_held()
 * @space: the space, not locked; iopf_pins.unbinding or ended is set, so no new wait begins
 *
 * Context: process context.
 */
void iopf_pin_end(struct iopf_space *space)
{
	struct iopf_pin_job *job;

	for (;;) {
		scoped_guard(spinlock, &space->pins->waits_lock)
		{
			job = list_first_entry_or_null(&space->pins->waits, struct iopf_pin_job,
						       node);
			if (job) {
				list_del_init(&job->node);
				iopf_run_get(&job->run);
			}
		}
		if (!job)
			break;
		iopf_run_cancel(&job->run);
		iopf_run_put(&job->run);
	}
}
