// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults: from the IOMMU core's report to the response.
 *
 * When the CPU has the page, a fault is handled in place, in the context that reports it: look up,
 * read the CPU's page-table entry, map, respond. This takes only the chunk's lock and waits for
 * nothing. request.h handles one request, group.c a group of several requests.
 *
 * When the CPU does not have the page, but needs to wait for nothing but memory to get it, the page
 * is populated in place, too. prefetch.c prefetches more pages after the device has its answer.
 *
 * Otherwise the fault is parked (parked.c). A parked fault holds nothing of the container.
 *
 * Every group gets one response: here in place, or from a worker (retry.c, coalesce.c), or when the
 * group's devices are detached (iopf_fault_drain()).
 *
 * fault vs detach: faults of a dead queue are answered at once. The IOMMU driver drains faults that
 *   are handled in place when the domain is detached. The work after an answer enters the queue
 *   (iopf_fq_enter()), and detaching waits until it has left.
 * fault vs unmap: areas and chunks are found under RCU and checked under the chunk's lock; see
 *   map/area.c.
 * fault vs exit: mm_users is held while memory is populated in place. mmput_async() drops it, so
 *   that this context never tears the mm down; see iopf_mm_populate_now().
 */
#include <linux/iommu.h>
#include <linux/sched.h>

#include "../budget/watch.h"
#include "../device/device.h"
#include "../map/space.h"
#include "answer.h"
#include "fault.h"
#include "group.h"
#include "latency.h"
#include "parked.h"
#include "prefetch.h"
#include "queue.h"
#include "request.h"
#include "want.h"

/* Limit of pages of a group that are populated in place. A worker populates the rest. */
#define IN_PLACE_PAGES 512

/* Park a fault that could not be handled in place, or answer it if it can't be parked. */
static noinline void fault_later(struct iopf_fault_queue *fq, struct iopf_device *d,
				 struct iopf_group *group, struct iopf_want *want,
				 struct iopf_timing *timing)
{
	int ret;

	iopf_device_count(d, IOPF_STAT_PARKED, 1);
	/* From now on the IOMMU core must neither answer nor free the group. */
	iopf_group_dequeue(group);
	ret = iopf_fault_park(fq, group, want, timing);
	if (!ret)
		return;
	iopf_want_drop(want);
	if (ret != -ESHUTDOWN) {
		/* Answer SUCCESS without a mapping: the device asks again. */
		iopf_device_count(d, IOPF_STAT_DEFERRED, 1);
		ret = 0;
	}
	iopf_fault_respond(d, group, fault_code(ret), timing);
}

/*
 * Try the requests of a group that have not been served yet. Most groups have one request, so this
 * path is inlined.
 */
static __always_inline int fault_in_place(struct iopf_fault_queue *fq, struct iopf_device *d,
					  struct iopf_group *group, struct iopf_want *want,
					  struct iopf_served *served, struct iopf_timing *timing)
{
	int ret;

	if (unlikely(group->fault_count > 1))
		return iopf_fault_group(fq, d, group, want, served, timing);
	ret = fault_request(fq->space, d, &group->last_fault.fault.prm, want, served, timing);
	if (unlikely(ret))
		want->from = &group->last_fault;
	return ret;
}

/*
 * Populate the missing pages as long as that needs no wait, and handle the fault again. Returns the
 * result of the last attempt.
 */
static noinline int fault_populate(struct iopf_fault_queue *fq, struct iopf_device *d,
				   struct iopf_group *group, struct iopf_want *want,
				   struct iopf_served *served, struct iopf_timing *timing)
{
	unsigned int pages = 0;
	struct iopf_fault *from;
	int ret;

	do {
		struct iopf_served populated;

		if (!iopf_want_now(want))
			return -ENOENT;
		populated = iopf_want_served(want);
		from = want->from;
		pages += want->pages;
		iopf_want_drop(want);
		iopf_timing_lap(timing, IOPF_PHASE_POPULATE);
		ret = fault_in_place(fq, d, group, want, served, timing);
		*served = populated;
		/* A group of scattered pages repeats this loop for each page. */
		if (group->fault_count > 1)
			cond_resched();
	} while (ret == -ENOENT && want->from != from && pages < IN_PLACE_PAGES);
	return ret;
}

/* Return whether only the sampling of the space caused this fault. */
static __always_inline bool fault_sampled(const struct iopf_timing *timing)
{
	return static_branch_unlikely(&iopf_sample_on) && timing->sampled;
}

/**
 * iopf_fault_handler() - handle a fault of an attached device
 * @group: the page-request group; this function, or a worker later, answers and frees it
 *
 * Context: the IOMMU driver's reporting context; may sleep for memory.
 * Return: always 0: the IOMMU core has nothing left to do.
 */
int iopf_fault_handler(struct iopf_group *group)
{
	struct iopf_fault_queue *fq =
		container_of(group->attach_handle, struct iopf_fault_queue, handle);
	struct iopf_device *d = iopf_group_device(fq, group);
	struct iopf_want want __uninitialized;
	struct iopf_served served __uninitialized;
	struct iopf_timing timing __uninitialized;
	bool after, stay;
	int ret, turn;

	iopf_timing_begin(&timing, d);
	turn = iopf_space_enter(fq->space);
	want.pool = NULL;
	want.from = NULL;
	served.pages = 0;
	ret = -ESHUTDOWN;
	if (likely(!READ_ONCE(fq->dead))) {
		ret = -EAGAIN;
		if (unlikely(!READ_ONCE(fq->faulting)))
			ret = iopf_fault_filter(fq, d, group);
		if (likely(ret == -EAGAIN))
			ret = fault_in_place(fq, d, group, &want, &served, &timing);
	}
	if (ret == -ENOENT) {
		iopf_timing_lap(&timing, IOPF_PHASE_WALK);
		ret = fault_populate(fq, d, group, &want, &served, &timing);
	}
	if (likely(!fault_must_wait(ret))) {
		iopf_want_drop(&want);
		/* After the answer only iopf_fq_enter() keeps the queue from being detached. */
		after = !ret && (served.pages || fault_sampled(&timing));
		stay = (after || unlikely(turn >= 0)) && iopf_fq_enter(fq);
		if (!stay)
			iopf_space_leave(fq->space, turn);
		iopf_fault_respond(d, group, fault_code(ret), &timing);
		if (stay) {
			iopf_space_leave(fq->space, turn);
			if (!ret && served.pages)
				iopf_prefetch(fq, d, &served);
			if (after && fault_sampled(&timing))
				iopf_watch_spend(fq->space->watch, iopf_timing_ns(&timing), true);
			iopf_fq_leave(fq);
		}
		return 0;
	}
	iopf_space_leave(fq->space, turn);
	fault_later(fq, d, group, &want, &timing);
	return 0;
}
