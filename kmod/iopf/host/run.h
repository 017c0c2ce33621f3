/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_RUN_H
#define IOPF_RUN_H

#include <linux/completion.h>
#include <linux/refcount.h>

#include "pool.h"

/**
 * struct iopf_run - something done by a thread of a process, and waited for
 * @job: in the process's pool
 * @pool: that pool, referenced; NULL: not given to one yet
 * @refs: one for who waits, one for the thread
 * @fn: does it, in a thread of the process. Returns 0 or a negative error number, -EINTR when a
 *      signal has to be looked at: then it has done nothing yet, and is called again unless nobody
 *      waits any more.
 * @free: with the last reference, in any context that may sleep: undoes what @fn did and nobody
 *        has taken, and frees the structure
 * @done: @state has changed
 * @state: of enum iopf_run_state, changes once from IOPF_RUN_WAITED
 * @ret: what @fn has returned; valid in IOPF_RUN_DONE
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
 * enum iopf_run_state - how far an iopf_run is
 * @IOPF_RUN_WAITED: somebody waits for it
 * @IOPF_RUN_DONE: it has ended; its results are the waiter's
 * @IOPF_RUN_LEFT: nobody waits any more; its results are undone by @free
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

/* Whether nobody waits for it any more; for @fn to ask in between. */
static inline bool iopf_run_left(const struct iopf_run *run)
{
	return READ_ONCE(run->state) == IOPF_RUN_LEFT;
}

#endif /* IOPF_RUN_H */
