/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Handle one page request without sleeping. Every fault takes this path, so it is inlined in its
 * callers: fault.c, and group.c.
 */
#ifndef IOPF_FAULT_REQUEST_H
#define IOPF_FAULT_REQUEST_H

#include <linux/iommu.h>
#include <linux/mm.h>

#include "../device/device.h"
#include "../lib/params.h"
#include "../map/area.h"
#include "../map/chunk.h"
#include "../map/hint.h"
#include "../map/space.h"
#include "../pin/hold.h"
#include "answer.h"
#include "prefetch.h"
#include "want.h"

/*
 * Find or create the chunk of an address. Returns ERR_PTR(-EPERM) when the container has no such
 * address or permission, -ENOMEM, or -ESHUTDOWN. Called under RCU.
 */
static __always_inline struct iopf_chunk *
fault_find(struct iopf_space *space, struct iopf_device *d,
	   const struct iommu_fault_page_request *prm, int need)
{
	/* Read before the lookup in the tree. Pairs with iopf_hint_renew(). */
	u64 generation = smp_load_acquire(&space->generation);
	struct iopf_chunk *chunk = iopf_hint_get(generation, prm->addr);
	struct iopf_area *area;

	if (likely(chunk)) {
		area = chunk->area;
	} else {
		area = iopf_hint_area(generation, prm->addr) ?:
		       mtree_load(&space->areas, prm->addr);
		if (unlikely(!area)) {
			iopf_fault_complain(d, prm, "is outside any mapped range");
			return ERR_PTR(-EPERM);
		}
	}
	if (unlikely(!(area->prot & need))) {
		iopf_fault_complain(d, prm, "is beyond the range's permission");
		return ERR_PTR(-EPERM);
	}
	if (likely(chunk))
		return chunk;
	chunk = iopf_area_chunk(area, prm->addr, GFP_NOWAIT | __GFP_NOWARN);
	if (!IS_ERR(chunk))
		iopf_hint_set(generation, chunk);
	return chunk;
}

/*
 * Handle one page request, without sleeping. Returns 0 when the page is mapped; -EPERM when the
 * container has no such address or permission; otherwise the error of iopf_chunk_fault(). For
 * -ENOENT the page has been added to @want. @served is set when the whole window around the page is
 * mapped.
 */
static __always_inline int fault_request(struct iopf_space *space, struct iopf_device *d,
					 const struct iommu_fault_page_request *prm,
					 struct iopf_want *want, struct iopf_served *served,
					 struct iopf_timing *timing)
{
	unsigned int page = iopf_chunkmap_page(prm->addr), around = READ_ONCE(iopf_fault_window);
	bool write = prm->perm & IOMMU_FAULT_PERM_WRITE;
	unsigned int mapped = 0;
	struct iopf_chunk *chunk;
	int ret;

	rcu_read_lock();
	chunk = fault_find(space, d, prm, write ? IOMMU_WRITE : IOMMU_READ);
	if (IS_ERR(chunk))
		ret = PTR_ERR(chunk);
	else
		ret = iopf_chunk_fault(chunk, page, write, around, &mapped, timing);
	if (mapped && (mapped > 1 || READ_ONCE(chunk->refill)) &&
	    iopf_chunk_full(chunk, page, around)) {
		*served = (struct iopf_served){
			.iova = prm->addr & PAGE_MASK,
			.pages = 1,
			.write = write,
		};
	}
	if (ret == -ENOENT && unlikely(!iopf_want_page(want, chunk, prm->addr, write)))
		ret = -EBUSY;
	rcu_read_unlock();

	if (mapped)
		iopf_device_count(d, IOPF_STAT_MAPPED, mapped);
	else if (unlikely(!ret && iopf_hold_guarded(space, prm->addr)))
		iopf_fault_unexpected(d, prm, IOPF_STAT_UNEXPECTED_LOCKED);
	if (ret == -EFAULT)
		iopf_fault_complain(d, prm, "is not memory for devices");
	else if (ret == -ESRCH)
		iopf_fault_complain(d, prm, "is memory of a process that is gone");
	return ret;
}

/* Return whether the result of an attempt is not final: the fault has to wait. */
static inline bool fault_must_wait(int ret)
{
	return ret == -ENOENT || ret == -EBUSY || ret == -ENOMEM || ret == -EAGAIN ||
	       ret == -EDQUOT;
}

#endif /* IOPF_FAULT_REQUEST_H */
