// SPDX-License-Identifier: GPL-2.0-only
/*
 * Spans: leaves of 1 GiB. A span can be mapped where the CPU has such a leaf (hugetlb), all IOMMUs
 * of the space support it, and I/O and CPU addresses agree within 1 GiB. One fault then maps as
 * much as 512 chunks.
 *
 * A span is made when a fault first finds such a leaf of the CPU. It stays until the area is freed.
 * While a span is mapped, no chunk in it maps anything. So each mapping is known either to the
 * span, as one leaf, or to the chunks, and code that unmaps names it exactly. A leaf is unmapped as
 * a whole, whatever changes in it. The next fault then maps a leaf again, or what the CPU has by
 * then.
 *
 * The rule of chunk.c holds here with the span's lock in place of the chunk's. A fault takes the
 * lock, checks that no invalidation of the range is in progress, reads the CPU's entry, and maps
 * it. The notifier counts the invalidation, takes the lock, and unmaps. The barriers are the same.
 *
 * span fault vs chunk fault: a span fault sets @mapped before it takes each chunk's lock to unmap
 *   the chunk. A chunk fault reads @mapped under that lock. So either the chunk fault comes first,
 *   and the span fault unmaps what it mapped, or the chunk fault sees the span and goes to it. The
 *   span fault also takes the lock of the array of chunks. So a chunk that is stored later sees the
 *   span. @mapped is cleared when the leaf has been unmapped.
 * span fault vs invalidation anywhere in the process: the counters are hashed, and a span covers
 *   all of them. While one of them is not zero, chunks serve the fault.
 * tracking of writes is by the page, so there are no spans then. Code that starts tracking first
 *   sets the flag, then takes each span's lock to unmap the span. A span that is made later sees
 *   the flag. The same holds for pinning (@no_spans), and for budgets, see budget/budget.c.
 * frozen areas: mapped leaves stay, no new one is mapped; see area.c.
 * another set of domains: as with chunks, a span is either made with the new set or moved to it. In
 *   between, span and chunk may have different sets. Each unmaps from its own.
 * removal: a span is marked dead before its chunks are. So only a chunk may still be mapped after
 *   that, and the chunk is killed later.
 *
 * Nothing here sleeps. If many chunks in the GiB are mapped, a fault unmaps some of them and has a
 * chunk serve it. The following faults do the same, until so few are left that a fault can map the
 * leaf.
 *
 * Locking: iopf_mm.lock -> iopf_span.lock -> iopf_area.chunks -> iopf_chunk.lock. The lock of the
 * array of spans is taken on its own.
 */
#include <linux/iommu.h>
#include <linux/slab.h>

#include "../host/mm.h"
#include "../host/walk.h"
#include "../lib/controls.h"
#include "space.h"
#include "chunk.h"
#include "span.h"

/* One fault unmaps at most this many mapped chunks. */
#define ZAP_CHUNKS	8

static unsigned long span_index(u64 iova)
{
	return iova >> IOPF_SPAN_SHIFT;
}

static struct iopf_range span_range(const struct iopf_span *span)
{
	return (struct iopf_range){
		.first = span->iova,
		.last = span->iova + (IOPF_SPAN_SIZE - 1),
	};
}

/**
 * iopf_span_possible() - whether area, space and domains allow a leaf of 1 GiB at an address
 * @area: the area; not frozen
 * @domains: the domains the leaf would be mapped in
 * @iova: an address in it
 *
 * Context: under the lock of the span or of the chunk.
 */
bool iopf_span_possible(struct iopf_area *area, const struct iopf_domains *domains, u64 iova)
{
	u64 first = round_down(iova, IOPF_SPAN_SIZE);

	/* Pages are unpinned before spans are allowed again. Pairs with iopf_spans_allow(). */
	if (!area->huge_ok || smp_load_acquire(&area->no_spans) ||
	    READ_ONCE(area->space->tracking) || READ_ONCE(area->space->sampled) ||
	    READ_ONCE(area->space->budgeted))
		return false;
	if (first < area->range.first || first + (IOPF_SPAN_SIZE - 1) > area->range.last ||
	    !IS_ALIGNED(iopf_area_vaddr(area, first), IOPF_SPAN_SIZE))
		return false;
	for (unsigned int i = 0; i < domains->nr; i++)
		if (!(domains->domain[i].pgsizes & IOPF_SPAN_SIZE))
			return false;
	return true;
}

/* Find the span at an address, or make it. Error pointer: -ENOMEM, -ESHUTDOWN. */
static struct iopf_span *span_get(struct iopf_area *area, u64 iova)
{
	const gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT;
	struct iopf_span *span = xa_load(&area->spans, span_index(iova)), *other;
	int ret = -ESHUTDOWN;

	if (span)
		return span;
	span = kzalloc(sizeof(*span), gfp);
	if (!span)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&span->lock);
	span->area = area;
	span->iova = round_down(iova, IOPF_SPAN_SIZE);

	xa_lock(&area->spans);
	other = xa_load(&area->spans, span_index(iova));
	if (!area->dead && !other) {
		span->domains = area->space->domains;
		ret = xa_err(__xa_store(&area->spans, span_index(iova), span, gfp));
	}
	xa_unlock(&area->spans);
	if (!other && !ret)
		return span;
	kfree(span);
	return other ?: ERR_PTR(ret);
}

static void span_unmap(struct iopf_span *span)
{
	lockdep_assert_held(&span->lock);

	iopf_domains_unmap(span->domains, span->domains->nr, span->iova, IOPF_SPAN_SIZE);
	iopf_space_count(span->area->space, -(long)IOPF_SPAN_PAGES);
	/* Pairs with iopf_span_mapped(). */
	smp_store_release(&span->mapped, false);
}

/* Unmap the leaf, if there is one. Returns the number of pages unmapped. */
static unsigned int span_zap(struct iopf_span *span)
{
	lockdep_assert_held(&span->lock);

	if (!span->mapped)
		return 0;
	span_unmap(span);
	return IOPF_SPAN_PAGES;
}

/*
 * Unmap all leaves of an area. The caller has set a flag before, or another set of domains, which
 * spans made from now on see.
 * @domains: move the spans to that set; or NULL
 * @kill: mark the spans dead
 */
static void spans_clear(struct iopf_area *area, const struct iopf_domains *domains, bool kill)
{
	struct iopf_span *span;
	unsigned long index;

	lockdep_assert_held(&area->space->lock);

	/*
	 * A span that is made after this sees what the caller has set. The others are in the array.
	 */
	xa_lock(&area->spans);
	xa_unlock(&area->spans);
	xa_for_each(&area->spans, index, span) {
		spin_lock(&span->lock);
		span_zap(span);
		if (domains)
			span->domains = domains;
		span->dead |= kill;
		spin_unlock(&span->lock);
		cond_resched();
	}
}

/*
 * Unmap chunks of the GiB. Returns false if some are still mapped. A look at the chunks without
 * their locks is sufficient.
 */
static bool span_thin(struct iopf_span *span)
{
	struct iopf_range range = span_range(span);
	struct iopf_area *area = span->area;
	struct iopf_chunk *chunk;
	unsigned int zapped = 0;
	unsigned long index;

	lockdep_assert_held(&span->lock);

	xa_for_each_range(&area->chunks, index, chunk, iopf_area_chunk_index(area, range.first),
			  iopf_area_chunk_index(area, range.last)) {
		if (iopf_chunkmap_empty(&chunk->map))
			continue;
		if (zapped++ == ZAP_CHUNKS)
			return false;
		iopf_chunk_zap(chunk, 0, IOPF_CHUNK_PAGES - 1, false);
	}
	return true;
}

/* Unmap everything in the GiB, and map one leaf. */
static int span_map(struct iopf_span *span, phys_addr_t phys, bool writable)
{
	int prot = (span->area->prot & ~(writable ? 0 : IOMMU_WRITE)) | IOMMU_CACHE;
	struct iopf_range range = span_range(span);
	struct iopf_area *area = span->area;
	int ret;

	lockdep_assert_held(&span->lock);

	span_zap(span);
	WRITE_ONCE(span->mapped, true);
	/* A chunk that is stored after this sees @mapped. The others are in the array. */
	xa_lock(&area->chunks);
	xa_unlock(&area->chunks);
	iopf_area_zap_chunks(area, &range, false);

	ret = iopf_domains_map(span->domains, span->iova, phys, IOPF_SPAN_SIZE, prot,
			       GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT);
	if (ret) {
		WRITE_ONCE(span->mapped, false);
		return ret;
	}
	iopf_space_count(area->space, IOPF_SPAN_PAGES);
	WRITE_ONCE(span->writable, writable);
	return 0;
}

/* Whether the CPU has a leaf of 1 GiB there. If so @run is this leaf. */
static bool span_walk(struct iopf_span *span, struct iopf_run *run)
{
	struct iopf_area *area = span->area;
	struct iopf_runs runs __uninitialized;

	lockdep_assert_held(&span->lock);

	iopf_walk(area->mm->mm, iopf_area_vaddr(area, span->iova), 0, 1, false, &runs);
	if (!runs.nr || !(runs.run[0].flags & IOPF_RUN_GIANT))
		return false;
	*run = runs.run[0];
	return true;
}

static int span_fault_locked(struct iopf_span *span, bool write, unsigned int *mapped)
{
	struct iopf_area *area = span->area;
	struct iopf_run run;

	if (span->dead)
		return -ESHUTDOWN;
	if (span->mapped && (!write || span->writable))
		return 0;
	/* Pairs with iopf_area_thaw(). */
	if (smp_load_acquire(&area->frozen))
		return -EAGAIN;

	/* As in chunk_may_map(). */
	smp_mb();
	if (READ_ONCE(area->mm->exited))
		return -ESRCH;
	if (!iopf_broken(retry) && iopf_mm_busy_anywhere(area->mm))
		return -EXDEV;
	if (!iopf_span_possible(area, span->domains, span->iova) || !span_walk(span, &run))
		return -EXDEV;
	if (write && !iopf_run_writable(&run))
		return -ENOENT;
	if (!span_thin(span))
		return -EXDEV;
	if (span_map(span, run.phys, iopf_run_writable(&run) && (area->prot & IOMMU_WRITE)))
		return -EXDEV;
	*mapped += IOPF_SPAN_PAGES;
	return 0;
}

/**
 * iopf_span_fault() - map 1 GiB by one leaf, from the CPU's page tables
 * @area: the area, found under RCU
 * @iova: the address of an access; iopf_span_possible() or iopf_span_mapped() was true
 * @write: the access is a write; the area permits it
 * @mapped: incremented by the pages mapped
 *
 * Context: any that may take a spinlock, without a chunk's lock.
 * Return: as iopf_chunk_fault(), but -EXDEV when a chunk has to map the page.
 */
int iopf_span_fault(struct iopf_area *area, u64 iova, bool write, unsigned int *mapped)
{
	struct iopf_span *span = span_get(area, iova);
	int ret;

	if (IS_ERR(span))
		return PTR_ERR(span) == -ENOMEM ? -EXDEV : PTR_ERR(span);
	spin_lock(&span->lock);
	ret = span_fault_locked(span, write, mapped);
	spin_unlock(&span->lock);
	return ret;
}

/**
 * iopf_spans_zap() - unmap leaves that overlap a range
 * @area: the area
 * @range: within it
 *
 * Context: any that may take a spinlock.
 * Return: pages unmapped.
 */
unsigned int iopf_spans_zap(struct iopf_area *area, const struct iopf_range *range)
{
	struct iopf_span *span;
	unsigned int zapped = 0;
	unsigned long index;

	xa_for_each_range(&area->spans, index, span, span_index(range->first),
			  span_index(range->last)) {
		spin_lock(&span->lock);
		zapped += span_zap(span);
		spin_unlock(&span->lock);
	}
	return zapped;
}

/**
 * iopf_spans_mapped() - whether a leaf maps any page of a range
 * @area: the area
 * @range: within it
 */
bool iopf_spans_mapped(struct iopf_area *area, const struct iopf_range *range)
{
	struct iopf_span *span;
	unsigned long index;

	xa_for_each_range(&area->spans, index, span, span_index(range->first),
			  span_index(range->last))
		if (READ_ONCE(span->mapped))
			return true;
	return false;
}

/**
 * iopf_spans_flush() - unmap all leaves, after iopf_span_possible() has become false
 * @area: the area
 *
 * Afterwards there are no leaves until it becomes true again.
 *
 * Context: process context, under the space's lock.
 */
void iopf_spans_flush(struct iopf_area *area)
{
	spans_clear(area, NULL, false);
}

/**
 * iopf_spans_forbid() - let only chunks map the area, since it is going to be pinned
 * @area: the area
 *
 * Context: process context, under the space's lock.
 */
void iopf_spans_forbid(struct iopf_area *area)
{
	WRITE_ONCE(area->no_spans, true);
	iopf_spans_flush(area);
}

/**
 * iopf_spans_allow() - undo iopf_spans_forbid()
 * @area: the area; nothing is pinned
 *
 * Context: process context, under the space's lock.
 */
void iopf_spans_allow(struct iopf_area *area)
{
	lockdep_assert_held(&area->space->lock);

	/* Pairs with iopf_span_possible(). */
	smp_store_release(&area->no_spans, false);
}

/**
 * iopf_spans_move() - unmap spans and move them to another set of domains
 * @area: the area
 * @domains: the set; the space has it already
 *
 * Context: process context, under the space's lock.
 */
void iopf_spans_move(struct iopf_area *area, const struct iopf_domains *domains)
{
	/* spans_clear() finds each span that was made with the old set. */
	spans_clear(area, domains, false);
}

/**
 * iopf_spans_kill() - unmap all leaves for good
 * @area: being removed; @dead is set already
 *
 * Context: process context, under the space's lock.
 */
void iopf_spans_kill(struct iopf_area *area)
{
	spans_clear(area, NULL, true);
}

/**
 * iopf_spans_free() - free the spans of an area
 * @area: no code has found it for a grace period
 */
void iopf_spans_free(struct iopf_area *area)
{
	struct iopf_span *span;
	unsigned long index;

	xa_for_each(&area->spans, index, span) {
		xa_erase(&area->spans, index);
		kfree(span);
		cond_resched();
	}
}
