// SPDX-License-Identifier: GPL-2.0-only
/*
 * Charge pinned pages to a process (locked_vm, against RLIMIT_MEMLOCK), as stock type1 does.
 *
 * The mmap lock of the process protects locked_vm. The process can make another task hold that
 * lock for any time. So uncharging does not wait for the lock. If the lock is free, the caller
 * uncharges at once. Otherwise a worker does it later (iopf_mm.owed), or the process itself before
 * its ioctl returns (iopf_charge_settle()).
 *
 * Locking: each function takes the mmap lock and drops it before it returns.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>

#include "../lib/params.h"
#include "charge.h"
#include "mm.h"

/* After this time the worker tries a busy mmap lock again. */
#define SETTLE_TIME (HZ / 10)

/**
 * iopf_charge() - charge pages to a process
 * @task: whose RLIMIT_MEMLOCK counts
 * @mm: memory of the process; the caller has a reference (mmgrab())
 * @lock_cap: @task is not limited
 * @pages: number of pages
 * @now: don't wait for the mmap lock
 *
 * Return: 0; -ENOMEM over the limit; -EINTR: the caller is killed, or the mmap lock is busy and
 * @now is set; -ESRCH: the process has exited.
 */
int iopf_charge(struct task_struct *task, struct mm_struct *mm, bool lock_cap, long pages, bool now)
{
	int ret;

	if (!pages)
		return 0;
	if (!mmget_not_zero(mm))
		return -ESRCH;
	if (now)
		ret = down_write_trylock(&mm->mmap_lock) ? 0 : -EINTR;
	else
		ret = mmap_write_lock_killable(mm);
	if (!ret) {
		ret = __account_locked_vm(mm, pages, true, task, lock_cap);
		mmap_write_unlock(mm);
	}
	mmput_async(mm);
	return ret;
}

/* Uncharge the pages in iopf_mm.owed. */
static void settle_locked(struct iopf_mm *m)
{
	long pages;

	lockdep_assert_held_write(&m->mm->mmap_lock);

	pages = atomic_long_read(&m->owed);
	if (!pages)
		return;
	__account_locked_vm(m->mm, pages, false, current, true);
	/* Release: a reader that sees no page owed also sees the pages uncharged. */
	atomic_long_sub_return_release(pages, &m->owed);
}

/* Number of iopf_mm.settle that are queued or running. */
static atomic_t settling;

/* Drop the references of a work that has run, or was not queued. */
static void settle_put(struct iopf_mm *m)
{
	iopf_mm_put(m);
	if (atomic_dec_and_test(&settling))
		wake_up_var(&settling);
}

/* Queue @m's work after @delay. The work has a reference to @m. */
static void settle_in(struct iopf_mm *m, unsigned long delay)
{
	refcount_inc(&m->refs);
	atomic_inc(&settling);
	if (!queue_delayed_work(iopf_wq, &m->settle, delay))
		settle_put(m);
}

/**
 * iopf_charge_settle_work() - uncharge the pages in iopf_mm.owed once the mmap lock is free
 * @work: iopf_mm.settle
 *
 * The process can keep its mmap lock busy for any time, and others use the same workqueue. So the
 * work does not wait for the lock. If the lock is busy, the work queues itself again.
 */
void iopf_charge_settle_work(struct work_struct *work)
{
	struct iopf_mm *m = container_of(to_delayed_work(work), struct iopf_mm, settle);

	if (down_write_trylock(&m->mm->mmap_lock)) {
		settle_locked(m);
		mmap_write_unlock(m->mm);
	} else {
		settle_in(m, SETTLE_TIME);
	}
	settle_put(m);
}

/**
 * iopf_charge_exit() - wait until no work is queued or running; called when the module ends
 */
void iopf_charge_exit(void)
{
	wait_var_event(&settling, !atomic_read(&settling));
}

/**
 * iopf_charge_undo() - uncharge pages, without waiting for the mmap lock
 * @m: the process
 * @pages: number of pages
 *
 * Return: whether the pages are uncharged. Otherwise they are counted in iopf_mm.owed, and a worker
 * uncharges them when the mmap lock is free.
 */
bool iopf_charge_undo(struct iopf_mm *m, long pages)
{
	if (!pages)
		return true;
	atomic_long_add(pages, &m->owed);
	if (down_write_trylock(&m->mm->mmap_lock)) {
		settle_locked(m);
		mmap_write_unlock(m->mm);
		return true;
	}
	settle_in(m, 0);
	return false;
}

/**
 * iopf_charge_settle() - uncharge the pages in iopf_mm.owed; waits for the mmap lock
 * @m: the process, which is the caller
 *
 * Return: 0, or -EINTR when the caller is killed.
 */
int iopf_charge_settle(struct iopf_mm *m)
{
	int ret = mmap_write_lock_killable(m->mm);

	if (ret)
		return ret;
	settle_locked(m);
	mmap_write_unlock(m->mm);
	if (cancel_delayed_work(&m->settle))
		settle_put(m);
	return 0;
}
