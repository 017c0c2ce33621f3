// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs: a thread of a process does a job, and another task waits for the result.
 *
 * Pinning populates pages. The kernel charges them to the process only in a thread of the process.
 * The waiter may be another process or a kernel thread. A signal ends its wait at once, and so does
 * iopf_run_cancel(), which any thread may call.
 *
 * wait vs thread: the state changes once, by a compare-and-exchange. Either the thread finishes
 *   first, and the waiter takes the results. Or the waiter leaves first, and the last reference
 *   frees the results.
 * leave vs job: a job that has not begun is taken out of the queue, and its reference is dropped.
 *   A job that has begun is interrupted. Where the kernel can't interrupt it, it runs alone until
 *   the kernel can. So a job may use nothing but the structure and what the structure references.
 * kill: a kernel thread calls the jobs that a dead pool has left. They return -ESRCH at once.
 * unload: the waiter runs in the module, and the thread has a reference to the module.
 *
 * Locking: the pool's locks only.
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
	/* A full barrier: orders @ret before @state. */
	if (cmpxchg(&run->state, IOPF_RUN_WAITED, IOPF_RUN_DONE) == IOPF_RUN_WAITED)
		complete(&run->done);
	iopf_run_put(run);
	return false;
}

/**
 * iopf_run_init() - initialize a run
 * @run: the run; the caller gets one reference
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
 * @run: the run
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
 * iopf_run_in() - have a thread of a process do a job, and wait for it
 * @pool: pool of the process
 * @run: the job, initialized; the caller keeps its reference
 * @state: state of the wait: TASK_KILLABLE or TASK_INTERRUPTIBLE
 *
 * Context: process context; the caller holds no lock that others need.
 * Return: what iopf_run.fn returns, and the caller owns the results; -ESRCH: the process has
 * ended; -EINTR: a signal came; -ECANCELED: iopf_run_cancel() was called. After -EINTR and
 * -ECANCELED the caller must not use the results.
 */
int iopf_run_in(struct iopf_pool *pool, struct iopf_run *run, unsigned int state)
{
	/* Pairs with iopf_run_cancel(). */
	smp_store_release(&run->pool, iopf_pool_get(pool));
	refcount_inc(&run->refs);
	iopf_pool_queue(pool, &run->job);
	if (wait_for_completion_state(&run->done, state)) {
		iopf_run_cancel(run);
		/* False if the job finished before the cancel. */
		if (iopf_run_left(run))
			return -EINTR;
	}
	/* Reads @ret after a full barrier: that of complete() or of the compare-and-exchange. */
	return iopf_run_left(run) ? -ECANCELED : run->ret;
}

/**
 * iopf_run_cancel() - end the wait of iopf_run_in(), and interrupt the job
 * @run: the run; the caller has a reference
 *
 * Context: process context; may sleep.
 */
void iopf_run_cancel(struct iopf_run *run)
{
	if (cmpxchg(&run->state, IOPF_RUN_WAITED, IOPF_RUN_LEFT) != IOPF_RUN_WAITED)
		return;
	complete(&run->done);
	/*
	 * With the job, its reference comes back. A job that is not queued yet finds the state when
	 * it runs.
	 */
	if (smp_load_acquire(&run->pool) && iopf_pool_cancel(run->pool, &run->job))
		iopf_run_put(run);
}
