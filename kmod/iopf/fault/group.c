// SPDX-License-Identifier: GPL-2.0-only
/*
 * Groups of page requests: one attempt at all requests of a group.
 *
 * Each attempt populates one run of pages. The first attempt looks at all requests, so that one
 * that can't be served ends the group at once. The following attempts begin at the first request
 * that has not been served, and end behind the run to populate. So the work is linear in the number
 * of requests. A page that an earlier attempt mapped may be unmapped before the answer. Then the
 * device asks again.
 *
 * Unexpected faults: a device that may not fault, and any device where memory is locked for it,
 * finds all memory mapped that it may use. If it faults nevertheless, iopf_fault_filter() counts
 * and answers the fault, and maps nothing. Other devices pay nothing for this check: it runs only
 * when a fault had nothing to map.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/sched.h>

#include "../map/area.h"
#include "../map/chunk.h"
#include "../map/space.h"
#include "answer.h"
#include "group.h"
#include "queue.h"
#include "request.h"
#include "want.h"

/* Number of requests to handle between two calls of cond_resched(). */
#define SCAN_REQUESTS 32

/* Merge the result of one request (@one) into the result of its group. -ENOENT and -EAGAIN stay. */
static int scan_result(int ret, int one)
{
	return one && ret != -ENOENT && ret != -EAGAIN ? one : ret;
}

/*
 * Try the requests of a group from @from on, without waiting for memory: all of them, or up to the
 * first one that is not served and does not join the run of pages to populate. Set want->from to
 * the first request that is not served, and @some if any request was served.
 */
static int group_scan(struct iopf_fault_queue *fq, struct iopf_device *d, struct iopf_group *group,
		      struct iopf_fault *from, bool all, struct iopf_want *want,
		      struct iopf_served *served, struct iopf_timing *timing, bool *some)
{
	struct iopf_fault *fault = from;
	unsigned int seen = 0;
	int ret = 0;

	*some = false;
	list_for_each_entry_from(fault, &group->faults, list) {
		unsigned int joined = want->pool ? want->pages : 0;
		int one = fault_request(fq->space, d, &fault->fault.prm, want, served, timing);

		/* A request that can't be served decides the answer. Otherwise the group waits. */
		if (one && !fault_must_wait(one))
			return one;
		*some |= !one;
		if (one && !ret)
			want->from = fault;
		else if (one && !all && want->pages == joined)
			break;
		ret = scan_result(ret, one);
		if (ret && ret != -ENOENT && !all)
			break;
		if (++seen % SCAN_REQUESTS == 0)
			cond_resched();
	}
	return ret;
}

/*
 * Try all requests of a group, or those that have not been served yet. A request that can be served
 * is served even when another one has to wait.
 */
int iopf_fault_group(struct iopf_fault_queue *fq, struct iopf_device *d, struct iopf_group *group,
		     struct iopf_want *want, struct iopf_served *served, struct iopf_timing *timing)
{
	struct iopf_fault *first = list_first_entry(&group->faults, struct iopf_fault, list);
	bool some, all = !want->from;
	int ret;

	if (unlikely(group->fault_count > READ_ONCE(fq->max_requests))) {
		iopf_fault_complain(d, &group->last_fault.fault.prm, "is of a group too large");
		return -E2BIG;
	}
	ret = group_scan(fq, d, group, want->from ?: first, all, want, served, timing, &some);
	/* The budget may never have room for all. So answer when some requests have been served. */
	if (unlikely(ret == -EDQUOT) && !all && !some)
		ret = group_scan(fq, d, group, first, false, want, served, timing, &some);
	return unlikely(ret == -EDQUOT) && some ? 0 : ret;
}

/* State of the page of a request, for a device that may not fault. */
enum filtered {
	FILTERED_HIT,
	FILTERED_MISS,
	FILTERED_MMIO,
};

static enum filtered fault_filter_request(struct iopf_space *space, struct iopf_device *d,
					  const struct iommu_fault_page_request *prm)
{
	bool write = prm->perm & IOMMU_FAULT_PERM_WRITE;
	struct iopf_area *area = mtree_load(&space->areas, prm->addr);
	struct iopf_chunk *chunk;

	if (!area || !(area->prot & (write ? IOMMU_WRITE : IOMMU_READ))) {
		iopf_fault_complain(d, prm,
				    "is outside any mapped range, or beyond its permission");
		return FILTERED_MISS;
	}
	chunk = iopf_area_chunk_there(area, prm->addr);
	if (chunk && iopf_chunk_serves(chunk, iopf_chunkmap_page(prm->addr), write))
		return FILTERED_HIT;
	/* The device that owns this memory may have revoked it and granted it again. */
	return READ_ONCE(area->mmio) ? FILTERED_MMIO : FILTERED_MISS;
}

/*
 * Handle a group of a device that may not fault. All its memory is pinned and mapped, so the group
 * can't need a missing page, and nothing is mapped. Returns 0 (SUCCESS) if the pages are mapped:
 * the group may be older than the mapping, or may have met the gap in which a page is replaced by
 * its pinned mapping. Returns -EPERM if a page is not mapped. Returns -EAGAIN if the fault is to be
 * handled like any other: the device may fault by now, or the address is memory of another device.
 */
int iopf_fault_filter(struct iopf_fault_queue *fq, struct iopf_device *d, struct iopf_group *group)
{
	struct iopf_fault *fault;
	int ret = 0;

	list_for_each_entry(fault, &group->faults, list) {
		enum filtered found;

		scoped_guard(rcu) found = fault_filter_request(fq->space, d, &fault->fault.prm);
		/* Attach sets @faulting before it unpins; the chunk's lock orders the lookup. */
		if (found != FILTERED_HIT && READ_ONCE(fq->faulting))
			return -EAGAIN;
		iopf_fault_unexpected(d, &fault->fault.prm, IOPF_STAT_UNEXPECTED_DISABLED);
		if (found == FILTERED_MMIO)
			return -EAGAIN;
		if (found == FILTERED_MISS)
			ret = -EPERM;
	}
	return ret;
}
