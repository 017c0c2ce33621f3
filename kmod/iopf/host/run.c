// SPDX-License-Identifier: GPL-2.0-only
/*
 * Something that is done by a thread of a process, and waited for by somebody else.
 *
 * Pinning memory of a process brings pages in, which are charged to the process only in a thread
 * of its own. The waiter can be another process, or a thread of the kernel. It waits no longer than
 * it likes: a signal ends the wait at once, and so does iopf_run_cancel() by anybody.
 *
 * wait vs thread: the state changes once, by a compare-and-exchange: either the thread has ended,
 *   and the waiter has the results; or the waiter has left, and they go with the last reference.
 * leave vs job: a job that has not begun is taken back, with the thread's reference. One that has
 *   begun is interrupted; where the kernel can't interrupt it, it goes on alone until it can. It
 *   may use nothing but the structure and what that has referenced.
 * kill: what a dead pool has left is called by a kernel thread, which does nothing: -ESRCH.
 * unload: the waiter is in the module; the thread holds it.
 *
 * Locking: none but the pool's.
 */
#include <linux/errno.h>
#include <linux/mm_types.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "run.h"

static bool run_job(struct iopf_job *job)
{
	struct iopf_run *run = container_of(job, struct iopf_run, job);
	int ret = -ESRCH;

	if (iopf_run_left(run))
		ret = -ECANCELED;
	else if (current->mm == run->pool->mm && current->flags & PF_USER_WORKER)
		ret = run->fn(run);
	if (ret == -EINTR && !iopf_run_left(run))
		return true;
	run->ret = ret;
	/* A full barrier: @ret before @state. */
	if (cmpxchg(&run->state, IOPF_RUN_WAITED, IOPF_RUN_DONE) == IOPF_RUN_WAITED)
		complete(&run->done);
	iopf_run_put(run);
	return false;
}

/**
 * iopf_run_init() - prepare something to be done by a thread of a process
 * @run: it, with one reference for the caller
 * @fn: as in struct iopf_run
 * @free: as in struct iopf_run
 */
void iopf_run_init(struct iopf_run *run, int (*fn)(struct iopf_run *run),
		   void (*free)(struct iopf_run *run))
{
	iopf_job_init(&run->job, run_job, false);
	run->pool = NULL;
	refcount_set(&run->refs, 1);
	run->fn = fn;
	run->free = free;
	init_completion(&run->done);
	run->state = IOPF_RUN_WAITED;
	run->ret = 0;
}

/**
 * iopf_run_put() - drop a reference
 * @run: what is done
 */
void iopf_run_put(struct iopf_run *run)
{
	struct iopf_pool *pool = run->pool;

	if (!refcount_dec_and_test(&run->refs))
		return;
	run->free(run);
	iopf_pool_put(pool);
}

/**
 * iopf_run_in() - have something done by a thread of a process, and wait for it
 * @pool: the process's
 * @run: it, initialized; the caller keeps its reference
 * @state: how to wait: TASK_KILLABLE or TASK_INTERRUPTIBLE
 *
 * Context: process context; the caller holds nothing that others need.
 * Return: what iopf_run.fn returns, and the results are the caller's; -ESRCH: the process has
 * ended; -EINTR: a signal came, -ECANCELED: iopf_run_cancel() was called, and @run is not to be
 * looked at any more.
 */
int iopf_run_in(struct iopf_pool *pool, struct iopf_run *run, unsigned int state)
{
	/* Pairs with iopf_run_cancel(). */
	smp_store_release(&run->pool, iopf_pool_get(pool));
	refcount_inc(&run->refs);
	iopf_pool_queue(pool, &run->job);
	if (wait_for_completion_state(&run->done, state)) {
		iopf_run_cancel(run);
		/* Unless it ended at that moment. */
		if (iopf_run_left(run))
			return -EINTR;
	}
	/* After a full barrier in complete() or in the compare-and-exchange. */
	return iopf_run_left(run) ? -ECANCELED : run->ret;
}

/**
 * iopf_run_cancel() - end the wait for something that a thread of a process does
 * @run: it; the caller has a reference
 *
 * Context: any that may take a spinlock, and sleep.
 */
void iopf_run_cancel(struct iopf_run *run)
{
	if (cmpxchg(&run->state, IOPF_RUN_WAITED, IOPF_RUN_LEFT) != IOPF_RUN_WAITED)
		return;
	complete(&run->done);
	/* The thread's reference comes back with the job; one not queued yet finds out itself. */
	if (smp_load_acquire(&run->pool) && iopf_pool_cancel(run->pool, &run->job))
		iopf_run_put(run);
}
