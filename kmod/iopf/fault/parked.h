/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parked faults: declarations that parked.c, retry.c and coalesce.c share. Other files use queue.h.
 */
#ifndef IOPF_PARKED_H
#define IOPF_PARKED_H

#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/slab.h>

#include "../host/pool.h"
#include "../lib/backlog.h"
#include "../lib/timing.h"
#include "prefetch.h"
#include "queue.h"
#include "want.h"

/* See parked.c. */
enum parked_state {
	FAULT_WAITING,
	FAULT_PARKED,
	FAULT_ACTIVE,
	FAULT_CANCELLED,
};

/**
 * struct iopf_parked - a fault that has to wait
 * @frozen: work for a worker of @queue; waits on queue->frozen while the area is frozen
 * @job: job for a thread of @pool
 * @pool: the pool where @job is queued or runs, referenced, or NULL. Under fq->lock.
 * @queue: backlog of the container, referenced
 * @fq: fault queue of the group of devices, referenced
 * @node: in fq->waiting while WAITING, in fq->parked while PARKED
 * @state: under fq->lock
 * @group: the page-request group; NULL once CANCELLED
 * @requests: number of its page requests; counted in fq->requests until the answer
 * @limit: limit of @attempt
 * @attempt: number of attempts so far
 * @thawed: the fault waited for its area to thaw, so the next attempt follows without a wait
 * @resumes: the count of resumes of @queue before the last attempt
 * @want: the pages to populate next
 * @served: the pages that were populated last; prefetch continues there
 * @timing: clock of the fault; under fq->lock while WAITING or PARKED, otherwise as @group
 * @waits: the phase that counts the time while the fault is WAITING or PARKED
 */
struct iopf_parked {
	struct iopf_frozen_work frozen;
	struct iopf_job job;
	struct iopf_pool *pool;
	struct iopf_backlog *queue;
	struct iopf_fault_queue *fq;
	struct list_head node;
	enum parked_state state;
	struct iopf_group *group;
	unsigned int requests;
	unsigned int limit;
	unsigned int attempt;
	bool thawed;
	int resumes;
	struct iopf_want want;
	struct iopf_served served;
	struct iopf_timing timing;
	enum iopf_phase waits;
};

/* How a fault waits after an attempt that did not serve it. */
enum parked_next {
	PARKED_HERE,
	PARKED_ELSEWHERE, /* another worker or the frozen list has it; it may be freed */
	PARKED_NOWHERE, /* the queue is dead */
};

extern struct kmem_cache *iopf_parked_cache;

int iopf_fault_park(struct iopf_fault_queue *fq, struct iopf_group *group, struct iopf_want *want,
		    struct iopf_timing *timing);
bool iopf_parked_run(struct iopf_parked *parked);
void iopf_fault_coalesce(struct iopf_fault_queue *fq);

void iopf_parked_start(struct iopf_parked *parked);
bool iopf_parked_activate(struct iopf_parked *parked);
enum parked_next iopf_parked_again(struct iopf_parked *parked, bool frozen);
void iopf_parked_over(struct iopf_parked *parked);
void iopf_parked_free(struct iopf_parked *parked);
void iopf_parked_fill(struct iopf_fault_queue *fq);
void iopf_parked_worker_done(struct iopf_fault_queue *fq);

/* Find the device of a page-request group that has not been answered. */
static inline struct iopf_device *iopf_group_device(struct iopf_fault_queue *fq,
						    const struct iopf_group *group)
{
	return iopf_fq_device(fq, group->fault_param->dev);
}

/* Count a fault off that leaves ACTIVE, and wake the drain. */
static inline void active_done(struct iopf_fault_queue *fq)
{
	lockdep_assert_held(&fq->lock);

	if (!--fq->active)
		wake_up(&fq->idle);
}

#endif /* IOPF_PARKED_H */
