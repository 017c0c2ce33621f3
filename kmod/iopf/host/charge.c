// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pinned pages are charged to a process (locked_vm, against RLIMIT_MEMLOCK), as stock type1 does.
 *
 * The kernel keeps that count under the process's mmap lock, which the process can have somebody
 * hold as long as it likes. So charges are given back without waiting for it: at once, if the lock
 * is free, or by a worker later (iopf_mm.owed), or by the process itself before its ioctl returns
 * (iopf_charge_settle()).
 *
 * Locking: the mmap lock, for the time of a call.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>

#include "../lib/params.h"
#include "charge.h"
#include "mm.h"

/* How soon an address space that was in use is looked at again. */
#define SETTLE_TIME (HZ / 10)

/**
 * iopf_charge() - charge pages to a process
 * @task: whose RLIMIT_MEMLOCK counts
 * @mm: the process's memory; the caller holds it by mmgrab()
 * @lock_cap: @task is not limited
 * @pages: how many
 * @now: don't wait for the address space
 *
 * Return: 0; -ENOMEM over the limit; -EINTR, also when @now and the address space is in use;
 * -ESRCH.
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

/* Give back what could not be at once. */
static void settle_locked(struct iopf_mm *m)
{
	long pages;

	lockdep_assert_held_write(&m->mm->mmap_lock);

	pages = atomic_long_read(&m->owed);
	if (!pages)
		return;
	__account_locked_vm(m->mm, pages, false, current, true);
	/* Who finds none finds them given back. */
	atomic_long_sub_return_release(pages, &m->owed);
}

/* How many iopf_mm.settle are going to run, or run. */
static atomic_t settling;

/* The work is over, or was not needed. */
static void settle_put(struct iopf_mm *m)
{
	iopf_mm_put(m);
	if (atomic_dec_and_test(&settling))
		wake_up_var(&settling);
}

/* Have @m's work look. It has a reference. */
static void settle_in(struct iopf_mm *m, unsigned long delay)
{
	refcount_inc(&m->refs);
	atomic_inc(&settling);
	if (!queue_delayed_work(iopf_wq, &m->settle, delay))
		settle_put(m);
}

/**
 * iopf_charge_settle_work() - give back charges once the process's address space can be locked
 * @work: iopf_mm.settle
 *
 * The process can have its address space in use for as long as it likes. The queue is for others,
 * too, so it is not waited for.
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
 * iopf_charge_exit() - the module ends: no charge is owed any more
 */
void iopf_charge_exit(void)
{
	wait_var_event(&settling, !atomic_read(&settling));
}

/**
 * iopf_charge_undo() - give back charged pages, without waiting for the address space
 * @m: the process
 * @pages: how many
 *
 * Return: whether they have been. Otherwise they are owed, and are given back when nobody uses the
 * address space.
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
 * iopf_charge_settle() - give back what is owed; waits for the address space
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
