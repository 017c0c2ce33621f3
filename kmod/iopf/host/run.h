/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_RUN_H
#define IOPF_RUN_H

#include <linux/completion.h>
#include <linux/refcount.h>

#include "pool.h"

/**
 * struct iopf_run - a job of a thread of a process, and the wait for it
 * @job: the job in @pool
 * @pool: pool of the process, referenced; NULL before iopf_run_in()
 * @refs: one for the waiter, one for the thread
 * @fn: does the job, in a thread of the process. Returns 0 or a negative error number. Returns
 *      -EINTR if the thread must handle a signal first: then it has changed nothing yet, and is
 *      called again unless the waiter has left.
 * @free: called with the last reference, in any context that may sleep. Undoes what @fn did, unless
 *        the waiter has taken the results, and frees the structure.
 * @done: completed when @state changes
 * @state: enum iopf_run_state; changes once, from IOPF_RUN_WAITED
 * @ret: result of @fn; valid in IOPF_RUN_DONE
 */
struct iopf_run {
	struct iopf_job job;
	struct iopf_pool *pool;
	refcount_t refs;
	int (*fn)(struct iopf_run *run);
	void (*free)(struct iopf_run *run);
	struct completion done;
	int state;
	int ret;
};

/**
 * enum iopf_run_state - state of an iopf_run
 * @IOPF_RUN_WAITED: the waiter waits
 * @IOPF_RUN_DONE: the job has finished; the waiter owns the results
 * @IOPF_RUN_LEFT: the waiter has left; @free undoes the results
 */
enum iopf_run_state {
	IOPF_RUN_WAITED,
	IOPF_RUN_DONE,
	IOPF_RUN_LEFT,
};

void iopf_run_init(struct iopf_run *run, int (*fn)(struct iopf_run *run),
		   void (*free)(struct iopf_run *run));
int iopf_run_in(struct iopf_pool *pool, struct iopf_run *run, unsigned int state);
void iopf_run_cancel(struct iopf_run *run);
void iopf_run_put(struct iopf_run *run);

static inline struct iopf_run *iopf_run_get(struct iopf_run *run)
{
	refcount_inc(&run->refs);
	return run;
}

/* Whether the waiter has left. A long @fn checks this now and then. */
static inline bool iopf_run_left(const struct iopf_run *run)
{
	return READ_ONCE(run->state) == IOPF_RUN_LEFT;
}

#endif /* IOPF_RUN_H */
