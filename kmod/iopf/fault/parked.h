/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Faults that have to wait: what the files about them share. Nobody else uses it.
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
 * @frozen: the worker's work, in @queue; waits there while its area is frozen
 * @job: the worker's, in @pool
 * @pool: where @job is queued or being done, referenced, or NULL. Under fq->lock.
 * @queue: its container's, referenced
 * @fq: its group's queue, referenced
 * @node: in fq->waiting while WAITING, in fq->parked while PARKED
 * @state: under fq->lock
 * @group: the page request group; gone once CANCELLED
 * @requests: its requests, which count in fq->requests until it is answered
 * @limit: attempts
 * @attempt: those there have been
 * @thawed: it has been there, so it is to be tried at once
 * @resumes: the queue's count before the last attempt
 * @want: what to populate next
 * @served: what has been populated last
 * @timing: its clock; under fq->lock while WAITING or PARKED, otherwise as @group
 * @waits: what it spends its time on while it is WAITING or PARKED
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

/* What becomes of a fault that has to wait once more. */
enum parked_next {
	PARKED_HERE,
	PARKED_ELSEWHERE, /* it has been given away, and may be gone */
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

/* The device of a group that is handled. */
static inline struct iopf_device *iopf_group_device(struct iopf_fault_queue *fq,
						    const struct iopf_group *group)
{
	return iopf_fq_device(fq, group->fault_param->dev);
}

/* A fault is ACTIVE no more. */
static inline void active_done(struct iopf_fault_queue *fq)
{
	lockdep_assert_held(&fq->lock);

	if (!--fq->active)
		wake_up(&fq->idle);
}

#endif /* IOPF_PARKED_H */
