// SPDX-License-Identifier: GPL-2.0-only
/*
 * Coalescing: a worker that has finished its fault answers the WAITING faults that need no wait any
 * more. Such a fault goes from WAITING to ACTIVE. Then it is answered, or it goes back to the head
 * of the list. Meanwhile other workers may have found the list empty and ended. Then new workers
 * take their places.
 *
 * The states of such a fault, and the races, are in parked.c.
 */
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/sched.h>

#include "../device/device.h"
#include "../map/space.h"
#include "answer.h"
#include "group.h"
#include "parked.h"
#include "queue.h"
#include "request.h"
#include "want.h"

/*
 * COALESCE_FAULTS: waiting faults that a worker tries after its own, about 100 µs of work. After
 * COALESCE_MISSES faults that still have to wait the worker stops: the others most likely have to
 * wait, too.
 */
#define COALESCE_FAULTS 64
#define COALESCE_MISSES 4

/* Take the first fault that has no worker: WAITING -> ACTIVE. NULL if there is none. */
static struct iopf_parked *coalesce_take(struct iopf_fault_queue *fq)
{
	struct iopf_parked *parked = NULL;

	spin_lock(&fq->lock);
	if (!fq->dead)
		parked = list_first_entry_or_null(&fq->waiting, struct iopf_parked, node);
	if (parked) {
		list_del(&parked->node);
		parked->state = FAULT_ACTIVE;
		iopf_timing_lap(&parked->timing, parked->waits);
		fq->active++;
	}
	spin_unlock(&fq->lock);
	return parked;
}

/*
 * Put faults that still have to wait back, before the others: ACTIVE -> WAITING. If the queue is
 * dead, answer them INVALID.
 */
static void coalesce_give_back(struct iopf_fault_queue *fq, struct list_head *tried)
{
	struct iopf_parked *parked, *next;

	spin_lock(&fq->lock);
	list_for_each_entry(parked, tried, node) {
		iopf_timing_lap(&parked->timing, IOPF_PHASE_WALK);
		parked->state = FAULT_WAITING;
		parked->waits = IOPF_PHASE_QUEUEING;
	}
	if (!fq->dead) {
		list_for_each_entry(parked, tried, node)
			active_done(fq);
		list_splice_init(tried, &fq->waiting);
	}
	/* Meanwhile workers may have found the list empty and ended. */
	iopf_parked_fill(fq);
	spin_unlock(&fq->lock);

	/* The queue is dead. The drain has not seen these faults, and waits for @active. */
	list_for_each_entry_safe(parked, next, tried, node) {
		iopf_fault_respond(iopf_group_device(fq, parked->group), parked->group,
				   IOMMU_PAGE_RESP_INVALID, &parked->timing);
		iopf_parked_over(parked);
		iopf_parked_free(parked);
	}
}

/*
 * Try to answer one fault that has no worker, without waiting. Returns false if the fault has to
 * wait. No prefetching follows the answer, because other faults wait for their answers.
 */
static bool coalesce_one(struct iopf_fault_queue *fq, struct iopf_parked *parked)
{
	struct iopf_device *d = iopf_group_device(fq, parked->group);
	struct iopf_served served;
	struct iopf_want *want = &parked->want;
	int ret = -ENOENT, turn = iopf_space_enter(fq->space);

	/* The wanted pages may be in memory by now, or in the swap cache. */
	if (!want->pool || iopf_want_now(want)) {
		iopf_timing_lap(&parked->timing, IOPF_PHASE_POPULATE);
		iopf_want_drop(want);
		ret = iopf_fault_group(fq, d, parked->group, want, &served, &parked->timing);
	}
	if (!fault_must_wait(ret)) {
		iopf_device_count(d, IOPF_STAT_COALESCED, 1);
		iopf_fault_respond(d, parked->group, fault_code(ret), &parked->timing);
	}
	iopf_space_leave(fq->space, turn);
	return !fault_must_wait(ret);
}

/*
 * Answer the faults that have no worker and need no wait any more, in order, until too many of them
 * still have to wait. Faults often wait for the same event: a swap device reads several pages at a
 * time, and a provider of memory copies many.
 */
void iopf_fault_coalesce(struct iopf_fault_queue *fq)
{
	unsigned int looks = 0, misses = 0;
	struct iopf_parked *parked;
	LIST_HEAD(tried);

	while (looks++ < COALESCE_FAULTS && misses < COALESCE_MISSES &&
	       (parked = coalesce_take(fq))) {
		if (!coalesce_one(fq, parked)) {
			list_add_tail(&parked->node, &tried);
			misses++;
			continue;
		}
		iopf_parked_over(parked);
		iopf_parked_free(parked);
		cond_resched();
	}
	if (!list_empty(&tried))
		coalesce_give_back(fq, &tried);
}
