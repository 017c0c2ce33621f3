// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chunks: mapping the page of a device's access, and its neighbours, from the CPU's page tables.
 *
 * fault vs notifier, fault vs unmap: see chunk.c.
 *
 * Nothing here sleeps. Memory for the IOMMU's page tables is allocated without waiting: reclaim
 * itself may wait in the notifier for the chunk's lock.
 */
#include <linux/iommu.h>
#include <linux/mm.h>

#include "../budget/budget.h"
#include "../budget/watch.h"
#include "../host/mm.h"
#include "../host/walk.h"
#include "../lib/controls.h"
#include "../lib/timing.h"
#include "area.h"
#include "chunk.h"
#include "chunk_private.h"
#include "space.h"
#include "span.h"

/*
 * A run is smaller than a chunk: iommu_map() might map a run of 2 MiB by one leaf, which only
 * iopf_chunk_map_huge() may do.
 */
static_assert(IOPF_RUN_MAX < IOPF_CHUNK_PAGES);

/*
 * Map the whole chunk by one leaf. @empty says that nothing is mapped yet. While writes are tracked
 * the leaf is read-only.
 */
noinline int iopf_chunk_map_huge(struct iopf_chunk *chunk, const struct iopf_run *run, bool empty,
				 bool tracking, struct iopf_timing *timing)
{
	phys_addr_t phys = round_down(run->phys, IOPF_CHUNK_SIZE);
	bool writable = !tracking && run_writable(chunk, run);
	int ret;

	if (!empty)
		iopf_chunk_zap_locked(chunk, 0, IOPF_CHUNK_PAGES - 1);
	iopf_timing_lap(timing, IOPF_PHASE_WALK);
	ret = iopf_domains_map(chunk->domains, chunk->iova, phys, IOPF_CHUNK_SIZE,
			       chunk_prot(chunk, writable), FAULT_GFP);
	iopf_timing_lap(timing, IOPF_PHASE_MAP);
	if (ret)
		return ret;
	WRITE_ONCE(chunk->refill, false);
	iopf_chunkmap_set_huge(&chunk->map, writable);
	return 0;
}

/*
 * Map a row of runs of one page each: @run and the runs after it that are contiguous in IOVA and
 * alike but for their frames. Returns the number of pages mapped. If fewer than the row has, *@ret
 * holds the error.
 */
static noinline unsigned int map_row(struct iopf_chunk *chunk, const struct iopf_run *run,
				     const struct iopf_run *end, int prot, int *ret)
{
	struct iommu_domain *domain = chunk->domains->domain[0].iommu;
	u64 shape = run->shape, iova = chunk_page_iova(chunk, run->page);
	const struct iopf_run *first = run;
	unsigned int n;

	do {
		int err = iommu_map(domain, iova, run->phys, PAGE_SIZE, prot, FAULT_GFP);

		if (unlikely(err)) {
			*ret = err;
			break;
		}
		iova += PAGE_SIZE;
		shape++;
		run++;
	} while (run < end && run->shape == shape);
	n = run - first;
	if (likely(n))
		iopf_chunkmap_set(&chunk->map, first->page, n, prot & IOMMU_WRITE);
	return n;
}

/* Most spaces have one domain. */
static __always_inline int fault_map_run(const struct iopf_domains *domains, u64 iova,
					 const struct iopf_run *run, int prot)
{
	size_t size = (size_t)run->n << PAGE_SHIFT;

	if (likely(domains->nr == 1))
		return iommu_map(domains->domain[0].iommu, iova, run->phys, size, prot, FAULT_GFP);
	return iopf_domains_map(domains, iova, run->phys, size, prot, FAULT_GFP);
}

/* Map the runs up to @end that would have served the access. Nothing of them is mapped yet. */
static __always_inline int fault_map_runs(struct chunk_fault *f, const struct iopf_run *run,
					  const struct iopf_run *end)
{
	struct iopf_chunk *chunk = f->chunk;
	const struct iopf_domains *domains = chunk->domains;
	int may = chunk->area->prot, prot;
	/* The flags that a run must have to be of use. */
	unsigned int need = f->need_write || !(may & IOMMU_READ) ? IOPF_RUN_WRITABLE : 0;
	int ret = 0;

	if (!f->may_write)
		may &= ~IOMMU_WRITE;
	for (; run < end; run++) {
		if (unlikely((run->flags & need) != need))
			continue;
		prot = IOMMU_CACHE | (iopf_run_writable(run) ? may : may & ~IOMMU_WRITE);
		if (run->n == 1 && run + 1 < end && run[1].shape == run->shape + 1 &&
		    likely(domains->nr == 1)) {
			/* The most frequent case where frames are scattered. */
			unsigned int n = map_row(chunk, run, end, prot, &ret);

			f->mapped += n;
			if (unlikely(ret))
				break;
			run += n - 1;
			continue;
		}
		ret = fault_map_run(domains, chunk_page_iova(chunk, run->page), run, prot);
		if (unlikely(ret))
			break;
		iopf_chunkmap_set(&chunk->map, run->page, run->n, prot & IOMMU_WRITE);
		f->mapped += run->n;
	}
	return ret;
}

/*
 * Map what the CPU has in [first, last], where nothing is mapped. Returns whether all of it is
 * mapped now.
 */
static noinline bool fault_map_gap(struct chunk_fault *f, unsigned int first, unsigned int last,
				   bool stop)
{
	unsigned int before = f->mapped, n = last - first + 1;
	struct iopf_runs runs __uninitialized;

	while (first <= last) {
		chunk_walk(f->chunk, first, last - first + 1, stop, &runs);
		if (!runs.nr || fault_map_runs(f, runs.run, runs.run + runs.nr))
			break;
		first = runs.next;
	}
	return f->mapped - before == n;
}

/*
 * Map what the CPU has in [first, last], where some pages may be mapped already. Returns whether
 * all of it is mapped now.
 */
bool iopf_chunk_map_rest(struct chunk_fault *f, unsigned int first, unsigned int last, bool stop)
{
	const unsigned long *present = f->chunk->map.present;
	bool full = true;

	for (;;) {
		unsigned int end;

		first = find_next_zero_bit(present, last + 1, first);
		if (first > last)
			return full;
		end = find_next_bit(present, last + 1, first);
		full &= fault_map_gap(f, first, end - 1, stop);
		if (!full && stop)
			return false;
		first = end;
	}
}

/*
 * Map the rest of the window, except @gap, which has been dealt with. No access waits for it, so it
 * may fail. Returns the number of pages mapped.
 */
static noinline unsigned int fault_map_around(struct iopf_chunk *chunk, bool need_write,
					      bool may_write, struct iopf_window w,
					      struct iopf_window gap)
{
	struct chunk_fault f = {
		.chunk = chunk,
		.need_write = need_write,
		.may_write = may_write,
	};

	if (gap.first > w.first)
		iopf_chunk_map_rest(&f, w.first, gap.first - 1, false);
	if (gap.last < w.last)
		iopf_chunk_map_rest(&f, gap.last + 1, w.last, false);
	return f.mapped;
}

/* Find the contiguous pages around the page that lie in the window and are not mapped. */
static __always_inline void fault_gap(const struct chunk_fault *f, const struct iopf_window *w,
				      struct iopf_window *gap)
{
	const unsigned long *present = f->chunk->map.present;
	unsigned int n = w->last - w->first + 1;

	*gap = *w;
	/* A window of that size lies in one word. */
	if (likely(n <= BITS_PER_LONG) &&
	    likely(!(present[BIT_WORD(w->first)] >> (w->first % BITS_PER_LONG) &
		     GENMASK(n - 1, 0))))
		return;
	gap->first = find_last_bit(present, f->page);
	gap->first = gap->first == f->page ? w->first : max(w->first, gap->first + 1);
	gap->last = find_next_bit(present, w->last + 1, f->page) - 1;
}

/*
 * Walk the CPU's page tables of the gap, or at least of the page of the access. Returns the run
 * that this page belongs to, or NULL if the page is absent or refused.
 */
static __always_inline const struct iopf_run *
fault_look(struct chunk_fault *f, struct iopf_window *gap, struct iopf_runs *runs)
{
	for (;;) {
		chunk_walk(f->chunk, gap->first, gap->last - gap->first + 1, false, runs);
		for (const struct iopf_run *run = runs->run; run < runs->run + runs->nr; run++) {
			if (f->page - run->page < run->n) {
				gap->last = runs->next - 1;
				return run;
			}
		}
		/* The walk has seen the whole gap, and refused nothing: the page is absent. */
		if (gap->first == gap->last || (runs->next > gap->last && !runs->refused))
			return NULL;
		/*
		 * Walk for this page alone, to learn why. Or there were more runs than fit into
		 * @runs.
		 */
		*gap = (struct iopf_window){ f->page, f->page };
	}
}

/*
 * Map all runs that were found, or at least @run, which has the page of the access: memory for the
 * IOMMU's page tables may be short for the others only.
 */
static __always_inline int fault_map_found(struct chunk_fault *f, const struct iopf_run *run,
					   const struct iopf_runs *runs)
{
	int ret = fault_map_runs(f, runs->run, runs->run + runs->nr);

	if (likely(!ret) || test_bit(f->page, f->chunk->map.present))
		return 0;
	return fault_map_runs(f, run, run + 1);
}

/*
 * While writes are tracked: mark the page dirty, if it was mapped for a write, or should have been.
 */
static noinline void fault_track(struct chunk_fault *f, bool mapped)
{
	struct iopf_chunk *chunk = f->chunk;

	/*
	 * If the page could not be mapped in each domain, some domains mapped it for a moment, and
	 * another device may have written to it.
	 */
	if (f->write && (mapped || chunk->domains->nr > 1))
		iopf_chunkmap_dirty(&chunk->map, f->page, 1);
	/* Only a page that is written becomes writable, so the neighbours do not. */
	f->need_write = false;
	f->may_write = false;
}

static __always_inline bool fault_wants_leaf(const struct chunk_fault *f,
					     const struct iopf_run *run)
{
	return chunk_fits_huge(f->chunk, run) && !(f->tracking && f->write) && likely(!f->no_huge);
}

/*
 * Map the chunk by one leaf. The CPU has a leaf of 2 MiB or more there. Returns -EXDEV if a leaf of
 * 1 GiB may map it.
 */
static __always_inline int fault_map_leaf(struct chunk_fault *f, const struct iopf_run *run)
{
	struct iopf_chunk *chunk = f->chunk;
	int ret;

	if (unlikely(run->flags & IOPF_RUN_GIANT && !f->no_span) &&
	    iopf_span_possible(chunk->area, chunk->domains, chunk->iova))
		return -EXDEV;
	ret = iopf_chunk_map_huge(chunk, run, false, f->tracking, f->timing);
	f->mapped += ret ? 0 : IOPF_CHUNK_PAGES;
	return ret;
}

/* Map the page, and its neighbours in the window. */
static __always_inline int fault_map(struct chunk_fault *f, enum iopf_lookup found,
				     unsigned int around)
{
	struct iopf_chunk *chunk = f->chunk;
	struct iopf_window w, gap = { f->page, f->page };
	struct iopf_runs runs __uninitialized;
	const struct iopf_run *run;
	int ret;

	iopf_window_aligned(&w, f->page, around, chunk->first, chunk->last);
	if (likely(found == IOPF_MISS && !f->tracking))
		fault_gap(f, &w, &gap);
	run = fault_look(f, &gap, &runs);
	if (!run)
		return runs.refused ? -EFAULT : -ENOENT;
	if (!run_serves(chunk, run, f->write))
		return -ENOENT;
	if (unlikely(run->flags & IOPF_RUN_HUGE) && fault_wants_leaf(f, run))
		return fault_map_leaf(f, run);

	if (found == IOPF_UPGRADE)
		iopf_chunk_zap_locked(chunk, f->page, f->page);
	iopf_timing_lap(f->timing, IOPF_PHASE_WALK);
	ret = fault_map_found(f, run, &runs);
	iopf_timing_lap(f->timing, IOPF_PHASE_MAP);
	if (unlikely(f->tracking))
		fault_track(f, !ret);
	if (unlikely(ret))
		return ret;
	if (unlikely(gap.first > w.first || gap.last < w.last))
		f->mapped += fault_map_around(chunk, f->need_write, f->may_write, w, gap);
	return 0;
}

/* Tell the sampler of a fault that has been served, if the chunk is watched. */
static __always_inline void chunk_watch(struct iopf_chunk *chunk, struct iopf_timing *timing)
{
	lockdep_assert_held(&chunk->lock);

	if (static_branch_unlikely(&iopf_sample_on) && chunk->look != IOPF_LOOK_NONE)
		iopf_watch_fault(chunk->area->space->watch, iopf_chunk_block(chunk),
				 iopf_chunk_loose(chunk), &chunk->look, timing);
}

static __always_inline int chunk_fault_locked(struct chunk_fault *f, unsigned int around)
{
	struct iopf_chunk *chunk = f->chunk;
	enum iopf_lookup found = iopf_chunkmap_lookup(&chunk->map, f->page, f->write);
	int ret;

	if (unlikely(found == IOPF_HIT))
		return chunk->dead ? -ESHUTDOWN : 0;
	/* A page that is pinned read-only lies in an area that is read-only. */
	if (WARN_ON_ONCE(found == IOPF_UPGRADE &&
			 test_bit(f->page, iopf_chunkmap_pins(&chunk->map))))
		return -EFAULT;
	ret = chunk_may_map(chunk);
	if (unlikely(ret))
		return ret;
	if (unlikely(f->tracking) && f->write && !iopf_chunk_marks(chunk, FAULT_GFP))
		return -ENOMEM;
	ret = fault_map(f, found, around);
	/* The host unmapped pages of this chunk, and a device missed them: the chunk is in use. */
	if (unlikely(READ_ONCE(chunk->lost)) && !ret) {
		WRITE_ONCE(chunk->lost, false);
		chunk->heat += chunk->heat < IOPF_HEAT_MAX;
	}
	if (!ret)
		chunk_watch(chunk, f->timing);
	return ret;
}

/* Fill in the state of a fault. The chunk is locked. */
static __always_inline struct chunk_fault fault_begin(struct iopf_chunk *chunk, unsigned int page,
						      bool write, bool no_span,
						      struct iopf_timing *timing)
{
	bool tracking = READ_ONCE(chunk->area->space->tracking) && !iopf_broken(track);

	lockdep_assert_held(&chunk->lock);

	return (struct chunk_fault){
		.chunk = chunk,
		.page = page,
		.write = write,
		.tracking = tracking,
		.need_write = write,
		.may_write = write || !tracking,
		.no_span = no_span,
		.timing = timing,
	};
}

/*
 * Handle a fault in a space with a budget: map only as much as the budget has room for. Returns
 * -EDQUOT if it has no room even for the page.
 */
static noinline int chunk_fault_budgeted(struct iopf_chunk *chunk, unsigned int page, bool write,
					 bool no_span, unsigned int around, unsigned int *mapped,
					 struct iopf_timing *timing)
{
	struct chunk_fault f = fault_begin(chunk, page, write, no_span, timing);
	unsigned int reserved = 0;
	bool huge = true;
	int ret = 0;

	if (iopf_chunkmap_lookup(&chunk->map, page, write) != IOPF_HIT)
		ret = iopf_evictor_reserve(chunk->area->space->evictor, &chunk->map, &around,
					   &reserved, &huge);
	f.no_huge = !huge;
	if (!ret)
		ret = chunk_fault_locked(&f, iopf_window_size(around));
	chunk_charge(chunk, reserved, IOPF_SETTLE_MISSED);
	chunk_count(chunk, f.mapped);
	*mapped += f.mapped;
	return ret;
}

static __always_inline int chunk_fault(struct iopf_chunk *chunk, unsigned int page, bool write,
				       bool no_span, unsigned int around, unsigned int *mapped,
				       struct iopf_timing *timing)
{
	int ret;

	spin_lock(&chunk->lock);
	if (unlikely(READ_ONCE(chunk->area->space->budgeted))) {
		ret = chunk_fault_budgeted(chunk, page, write, no_span, around, mapped, timing);
	} else {
		struct chunk_fault f = fault_begin(chunk, page, write, no_span, timing);

		ret = chunk_fault_locked(&f, around);
		chunk_count(chunk, f.mapped);
		*mapped += f.mapped;
	}
	spin_unlock(&chunk->lock);
	return ret;
}

/* Handle a fault where a leaf of 1 GiB is mapped, or could be. */
static noinline int chunk_fault_span(struct iopf_chunk *chunk, unsigned int page, bool write,
				     unsigned int around, unsigned int *mapped,
				     struct iopf_timing *timing)
{
	int ret = iopf_span_fault(chunk->area, chunk->iova, write, mapped);

	/*
	 * No leaf maps it, so the chunk does. If a leaf has been mapped again when the chunk looks,
	 * the fault is retried.
	 */
	if (ret == -EXDEV)
		ret = chunk_fault(chunk, page, write, true, around, mapped, timing);
	return ret == -EXDEV ? -EBUSY : ret;
}

/**
 * iopf_chunk_fault() - map the page of an access, from the CPU's page tables
 * @chunk: the chunk, found under RCU
 * @page: page of the chunk; belongs to the area
 * @write: the access is a write; the area permits it
 * @around: pages of the window around it; of iopf_window_size()
 * @mapped: incremented by the pages mapped
 * @timing: the fault's clock
 *
 * Context: any that may take a spinlock.
 * Return: 0 when the page is mapped;
 * -ENOENT when the CPU has no page there, or does not have it for writing: populate it and call
 * again;
 * -EBUSY when an invalidation is in progress: call again a little later;
 * -EAGAIN when the area is frozen: call again when it has thawed;
 * -EDQUOT when the budget has no room: evict, and call again;
 * -ENOMEM when there was no memory for the IOMMU's page tables without waiting;
 * -EFAULT when the memory is not for devices;
 * -ESRCH when the process is gone;
 * -ESHUTDOWN when the area is gone.
 */
int iopf_chunk_fault(struct iopf_chunk *chunk, unsigned int page, bool write, unsigned int around,
		     unsigned int *mapped, struct iopf_timing *timing)
{
	struct mem_cgroup *old = set_active_memcg(chunk->area->space->memcg);
	int ret = chunk_fault(chunk, page, write, false, around, mapped, timing);

	if (unlikely(ret == -EXDEV))
		ret = chunk_fault_span(chunk, page, write, around, mapped, timing);
	set_active_memcg(old);
	return ret;
}
