// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chunks: mapping pages that the CPU has before a device asks for them.
 *
 * No access waits for this. So nothing is mapped while the host looks which pages are used, while
 * an invalidation is in progress, or when the budget has no room below its soft limits.
 *
 * Locking: the chunk's lock; nothing sleeps. For races see chunk.c.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "../budget/budget.h"
#include "../host/walk.h"
#include "../lib/controls.h"
#include "../lib/timing.h"
#include "area.h"
#include "chunk.h"
#include "chunk_private.h"
#include "space.h"
#include "span.h"

/* Pages in one step while going back from a fault. */
#define BACK_PAGES 32

/*
 * Map the chunk by one leaf, if the CPU has one and nothing is mapped yet. Returns -ENOENT if the
 * CPU has no leaf, -EXDEV if it has one of 1 GiB.
 */
static int chunk_have_huge(struct chunk_fault *f)
{
	struct iopf_chunk *chunk = f->chunk;
	struct iopf_runs runs __uninitialized;

	if (!chunk->area->huge_ok || !iopf_chunkmap_empty(&chunk->map))
		return -ENOENT;
	chunk_walk(chunk, chunk->first, 1, true, &runs);
	if (!runs.nr || !run_serves(chunk, &runs.run[0], f->need_write) ||
	    !chunk_fits_huge(chunk, &runs.run[0]))
		return -ENOENT;
	if (runs.run[0].flags & IOPF_RUN_GIANT &&
	    iopf_span_possible(chunk->area, chunk->domains, chunk->iova))
		return -EXDEV;
	return iopf_chunk_map_huge(chunk, &runs.run[0], true, f->tracking, f->timing);
}

/* See iopf_chunk_have(). Without @stop this maps all that the CPU has up to @last. */
static unsigned int chunk_have(struct iopf_chunk *chunk, unsigned int first, unsigned int last,
			       bool write, bool stop, unsigned int *mapped)
{
	const struct iopf_space *space = chunk->area->space;
	struct mem_cgroup *old = set_active_memcg(space->memcg);
	struct iopf_timing timing __uninitialized;
	struct chunk_fault f = { .chunk = chunk, .timing = &timing };
	unsigned int n, reserved = 0;
	bool budgeted;
	int ret;

	iopf_timing_none(&timing);
	spin_lock(&chunk->lock);
	f.tracking = READ_ONCE(space->tracking) && !iopf_broken(track);
	budgeted = READ_ONCE(space->budgeted);
	/* While writes are tracked, a page becomes writable only by a write access. */
	f.need_write = write && !f.tracking;
	f.may_write = !f.tracking;
	ret = iopf_chunk_aged(chunk) ? -EBUSY : chunk_may_map(chunk);
	if (unlikely(budgeted) && !ret &&
	    !iopf_evictor_reserve_prefetch(space->evictor, &chunk->map, last - first + 1,
					   &reserved))
		ret = -EBUSY;
	if (!ret) {
		ret = chunk_have_huge(&f);
		f.mapped += ret ? 0 : IOPF_CHUNK_PAGES;
	}
	if (ret == -ENOENT)
		iopf_chunk_map_rest(&f, first, last, stop);
	n = last - first + 1;
	if (!chunk->map.huge)
		n = find_next_zero_bit(chunk->map.present, last + 1, first) - first;
	if (unlikely(budgeted))
		chunk_charge(chunk, reserved, IOPF_SETTLE_MISSED);
	chunk_count(chunk, f.mapped);
	spin_unlock(&chunk->lock);
	if (unlikely(ret == -EXDEV) &&
	    !iopf_span_fault(chunk->area, chunk->iova, f.need_write, &f.mapped))
		n = last - first + 1;
	set_active_memcg(old);
	*mapped += f.mapped;
	return n;
}

/**
 * iopf_chunk_have() - map what the CPU has, from one page up to the first absent page
 * @chunk: the chunk, found under RCU
 * @first: the first page; belongs to the area
 * @last: the last page; belongs to the area
 * @write: for writing, which the area permits
 * @mapped: incremented by the pages mapped
 *
 * No access waits for this. While the host looks which pages are used, nothing is mapped here.
 *
 * Context: any that may take a spinlock.
 * Return: the number of pages from @first on that are mapped now without a gap.
 */
unsigned int iopf_chunk_have(struct iopf_chunk *chunk, unsigned int first, unsigned int last,
			     bool write, unsigned int *mapped)
{
	return chunk_have(chunk, first, last, write, true, mapped);
}

/**
 * iopf_chunk_rest() - map what the CPU has around a mapped page, up to the first gap on each side
 * @chunk: the chunk, found under RCU
 * @page: the page
 * @write: for writing, which the area permits
 * @mapped: incremented by the pages mapped
 *
 * As iopf_chunk_have().
 *
 * Return: the number of pages from @page on that are mapped now without a gap.
 */
unsigned int iopf_chunk_rest(struct iopf_chunk *chunk, unsigned int page, bool write,
			     unsigned int *mapped)
{
	unsigned int n;

	if (unlikely(READ_ONCE(chunk->refill))) {
		/* Code that unmaps a part of a leaf from here on sets it again. */
		WRITE_ONCE(chunk->refill, false);
		/*
		 * The CPU still has all pages but those for which the leaf was unmapped, wherever
		 * they are.
		 */
		chunk_have(chunk, chunk->first, chunk->last, write, false, mapped);
	}
	n = iopf_chunk_have(chunk, page, chunk->last, write, mapped);
	/* Go back in steps, since the first of the mapped pages is not known. */
	for (unsigned int first = page, back; first > chunk->first; first = back) {
		back = max_t(int, chunk->first, (int)first - BACK_PAGES);
		if (chunk_have(chunk, back, first - 1, write, false, mapped) < first - back)
			break;
	}
	return n;
}
