/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by the chunk*.c files only. */
#ifndef IOPF_CHUNK_PRIVATE_H
#define IOPF_CHUNK_PRIVATE_H

#include <linux/iommu.h>
#include <linux/mm.h>

#include "../host/mm.h"
#include "../host/walk.h"
#include "../lib/controls.h"
#include "area.h"
#include "chunk.h"
#include "space.h"
#include "span.h"

/* Page tables are charged to the owner: see iopf_space.memcg. */
#define FAULT_GFP (GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT)

static inline u64 chunk_page_iova(const struct iopf_chunk *chunk, unsigned int page)
{
	return chunk->iova + ((u64)page << PAGE_SHIFT);
}

static inline unsigned long chunk_page_vaddr(const struct iopf_chunk *chunk, unsigned int page)
{
	return iopf_area_vaddr(chunk->area, chunk_page_iova(chunk, page));
}

/* Count for sysfs that the chunk has @pages more mapped, or less. */
static __always_inline void chunk_count(const struct iopf_chunk *chunk, long pages)
{
	iopf_space_count(chunk->area->space, pages);
}

/* Count pinned pages. */
static inline void chunk_count_pinned(struct iopf_chunk *chunk, long pages)
{
	atomic_long_add(pages, &chunk->area->pinned_pages);
	atomic_long_add(pages, &chunk->area->space->pinned_pages);
}

static inline int chunk_prot(const struct iopf_chunk *chunk, bool writable)
{
	return (chunk->area->prot & ~(writable ? 0 : IOMMU_WRITE)) | IOMMU_CACHE;
}

/* Charge the budget for the mapped pages. The space has a budget. */
static inline void chunk_charge(struct iopf_chunk *chunk, unsigned int reserved,
				enum iopf_settle why)
{
	lockdep_assert_held(&chunk->lock);

	iopf_evictor_settle(chunk->area->space->evictor, &chunk->block, &chunk->map, reserved, why);
}

/* Charge what has changed. Without a budget this is one read. */
static inline void chunk_settle(struct iopf_chunk *chunk, enum iopf_settle why)
{
	lockdep_assert_held(&chunk->lock);

	if (unlikely(READ_ONCE(chunk->area->space->budgeted)))
		chunk_charge(chunk, 0, why);
}

static inline void chunk_walk(struct iopf_chunk *chunk, unsigned int page, unsigned int n,
			      bool stop, struct iopf_runs *runs)
{
	lockdep_assert_held(&chunk->lock);

	iopf_walk(chunk->area->mm->mm, chunk_page_vaddr(chunk, page), page, n, stop, runs);
}

/*
 * Whether these CPU pages can serve an access. Read-only pages serve reads, if the device may read.
 */
static inline bool run_serves(const struct iopf_chunk *chunk, const struct iopf_run *run,
			      bool write)
{
	return iopf_run_writable(run) || (!write && (chunk->area->prot & IOMMU_READ));
}

static inline bool run_writable(const struct iopf_chunk *chunk, const struct iopf_run *run)
{
	return iopf_run_writable(run) && (chunk->area->prot & IOMMU_WRITE);
}

/*
 * Whether one 2 MiB leaf can map the chunk: the CPU has a leaf there, the area covers the chunk,
 * and I/O and CPU addresses agree within 2 MiB.
 */
static inline bool chunk_fits_huge(const struct iopf_chunk *chunk, const struct iopf_run *run)
{
	return run->flags & IOPF_RUN_HUGE && chunk->area->huge_ok &&
	       !READ_ONCE(chunk->area->mmio) && chunk->first == 0 &&
	       chunk->last == IOPF_CHUNK_PAGES - 1 &&
	       IS_ALIGNED(chunk_page_vaddr(chunk, 0), IOPF_CHUNK_SIZE) &&
	       !iopf_chunkmap_has_pins(&chunk->map);
}

/*
 * State of a fault in a chunk. On the hot path no code takes its address, so that it stays in
 * registers.
 * @need_write: only pages that the CPU has for writing are of use
 * @may_write: pages that the CPU has for writing are mapped for writing
 * @no_huge: the budget has no room for a leaf of 2 MiB
 * @mapped: pages mapped so far
 */
struct chunk_fault {
	struct iopf_chunk *chunk;
	unsigned int page;
	bool write;
	bool tracking;
	bool need_write;
	bool may_write;
	bool no_span;
	bool no_huge;
	unsigned int mapped;
	struct iopf_timing *timing;
};

/* Whether pages may be mapped now. The answer is valid for as long as the lock is held. */
static __always_inline int chunk_may_map(const struct iopf_chunk *chunk)
{
	lockdep_assert_held(&chunk->lock);

	if (unlikely(chunk->dead))
		return -ESHUTDOWN;
	/* While a span is mapped its chunks map nothing. */
	if (iopf_span_mapped(chunk->area, chunk->iova))
		return -EXDEV;
	/* Pairs with iopf_area_thaw(): when not frozen, the area has its new address. */
	if (unlikely(smp_load_acquire(&chunk->area->frozen)))
		return -EAGAIN;
	/*
	 * Pairs with the barrier in iopf_mm_invalidate_start(): either that invalidation finds this
	 * chunk, or this code sees it.
	 */
	smp_mb();
	if (unlikely(READ_ONCE(chunk->area->mm->exited)))
		return -ESRCH;
	if (!iopf_broken(retry) &&
	    iopf_mm_busy(chunk->area->mm, chunk_page_vaddr(chunk, chunk->first),
			 chunk_page_vaddr(chunk, chunk->last)))
		return -EBUSY;
	return 0;
}

bool iopf_chunk_marks(struct iopf_chunk *chunk, gfp_t gfp);
unsigned int iopf_chunk_zap_locked(struct iopf_chunk *chunk, unsigned int first, unsigned int last);
void iopf_chunk_zap_writable(struct iopf_chunk *chunk);
int iopf_chunk_map_huge(struct iopf_chunk *chunk, const struct iopf_run *run, bool empty,
			bool tracking, struct iopf_timing *timing);
bool iopf_chunk_map_rest(struct chunk_fault *f, unsigned int first, unsigned int last, bool stop);

#endif /* IOPF_CHUNK_PRIVATE_H */
