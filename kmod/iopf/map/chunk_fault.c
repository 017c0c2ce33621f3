// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chunks: mapping what the CPU has for an access of a device, and what is around it.
 *
 * fault vs notifier, fault vs unmap: see chunk.c.
 *
 * Nothing here sleeps: memory for the IOMMU's tables is taken without waiting, because reclaim
 * itself may be waiting in the notifier for this very lock.
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

/* A run that was a whole chunk could get one leaf, which only huge may be. */
static_assert(IOPF_RUN_MAX < IOPF_CHUNK_PAGES);

/* One leaf for the whole chunk, empty or not. While writes are tracked it is read-only. */
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
 * Map a row of runs: of one page each, side by side, and alike but for their frames; the first one
 * of @run and as many more as there are. How many; @ret says why it is none, or not all.
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

/* Map those runs, up to @end, that would have served the access; nothing of them is mapped. */
static __always_inline int fault_map_runs(struct chunk_fault *f, const struct iopf_run *run,
					  const struct iopf_run *end)
{
	struct iopf_chunk *chunk = f->chunk;
	const struct iopf_domains *domains = chunk->domains;
	int may = chunk->area->prot, prot;
	/* What a run must be to be of use. */
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
			/* What there is most of where frames are scattered. */
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
 * Map what the CPU has in [first, last], where nothing is mapped. False: it can't be all, or not
 * now.
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

/* The same, beside what is mapped already. */
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
 * As a bonus that may fail, the rest of the window, of which @gap has been dealt with. How many
 * pages have been mapped.
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

/* The pages of the window around the page that are not mapped, without a break. */
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
 * Look at the CPU's pages of the gap, or at least at the page of the access. Returns the run that
 * this page belongs to; NULL: the CPU does not have it, or it is refused.
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
		/* All of it has been seen, and nothing of it is refused: the page is absent. */
		if (gap->first == gap->last || (runs->next > gap->last && !runs->refused))
			return NULL;
		/* Why? And there may have been more runs than there is room for. */
		*gap = (struct iopf_window){ f->page, f->page };
	}
}

/*
 * Map all that was found, or at least @run, which has the page in question: memory for the IOMMU's
 * tables may be short for the others only.
 */
static __always_inline int fault_map_found(struct chunk_fault *f, const struct iopf_run *run,
					   const struct iopf_runs *runs)
{
	int ret = fault_map_runs(f, runs->run, runs->run + runs->nr);

	if (likely(!ret) || test_bit(f->page, f->chunk->map.present))
		return 0;
	return fault_map_runs(f, run, run + 1);
}

/* While writes are tracked: note the one for which the page has been mapped, or was to be. */
static noinline void fault_track(struct chunk_fault *f, bool mapped)
{
	struct iopf_chunk *chunk = f->chunk;

	/*
	 * Where it could not be mapped in each domain, it has been in some for a moment, in which
	 * another device may have written.
	 */
	if (f->write && (mapped || chunk->domains->nr > 1))
		iopf_chunkmap_dirty(&chunk->map, f->page, 1);
	/* Nothing becomes writable but what is written. */
	f->need_write = false;
	f->may_write = false;
}

static __always_inline bool fault_wants_leaf(const struct chunk_fault *f,
					     const struct iopf_run *run)
{
	return chunk_fits_huge(f->chunk, run) && !(f->tracking && f->write) && likely(!f->no_huge);
}

/* The CPU has a leaf of 2 MiB or more there. -EXDEV: a leaf of 1 GiB may map it. */
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

/* Map the page, and what is around it in the window. */
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

/* A fault has been served: note it, if the chunk is being sampled. */
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
	/* A page pinned for reading has an area that is for reading. */
	if (WARN_ON_ONCE(found == IOPF_UPGRADE &&
			 test_bit(f->page, iopf_chunkmap_pins(&chunk->map))))
		return -EFAULT;
	ret = chunk_may_map(chunk);
	if (unlikely(ret))
		return ret;
	if (unlikely(f->tracking) && f->write && !iopf_chunk_marks(chunk, FAULT_GFP))
		return -ENOMEM;
	ret = fault_map(f, found, around);
	/* What was taken away has come back: it is in use. */
	if (unlikely(READ_ONCE(chunk->lost)) && !ret) {
		WRITE_ONCE(chunk->lost, false);
		chunk->heat += chunk->heat < IOPF_HEAT_MAX;
	}
	if (!ret)
		chunk_watch(chunk, f->timing);
	return ret;
}

/* What there is to do, as it is when the chunk is locked. */
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

/* Where there is a budget: only what there is room for. -EDQUOT: not even for the page. */
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

/* A leaf of 1 GiB is mapped there, or could be. */
static noinline int chunk_fault_span(struct iopf_chunk *chunk, unsigned int page, bool write,
				     unsigned int around, unsigned int *mapped,
				     struct iopf_timing *timing)
{
	int ret = iopf_span_fault(chunk->area, chunk->iova, write, mapped);

	/* It can't. If it is there again when the chunk has another look, so be it. */
	if (ret == -EXDEV)
		ret = chunk_fault(chunk, page, write, true, around, mapped, timing);
	return ret == -EXDEV ? -EBUSY : ret;
}

/**
 * iopf_chunk_fault() - map the page of an access from what the CPU has
 * @chunk: the chunk, found under RCU
 * @page: page of the chunk; belongs to the area
 * @write: the access is a write; the area permits it
 * @around: pages to look at around it; of iopf_window_size()
 * @mapped: incremented by the pages mapped
 * @timing: the fault's clock
 *
 * Context: any that may take a spinlock.
 * Return: 0 when the access can go on;
 * -ENOENT when the CPU has no page there, or none that is good enough: fault
 * it in and call again;
 * -EBUSY when an invalidation is in progress: call again a little later;
 * -EAGAIN when the area is frozen: call again when it has thawed;
 * -EDQUOT when the budget has no room: have some made, and call again;
 * -ENOMEM when the IOMMU's tables could not grow without waiting;
 * -EFAULT when what is there is not for devices;
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
