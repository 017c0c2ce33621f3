// SPDX-License-Identifier: GPL-2.0-only
/*
 * Spans: leaves of 1 GiB, where the CPU has one (hugetlb), all IOMMUs of the space can, and I/O
 * and CPU addresses agree within 1 GiB. One fault then serves what would have been 512 chunks.
 *
 * A span is made when such a leaf of the CPU is first met, and stays until the area goes. While it
 * is mapped, no chunk in it maps anything: what is mapped is always either one leaf that the span
 * knows, or what the chunks know, so unmapping names what is mapped exactly. A leaf is all or
 * nothing: whatever changes in it takes the whole of it, and the next fault comes for a leaf
 * again, or for what the CPU has by then.
 *
 * The rule of chunk.c holds here with the span's lock in place of the chunk's: a fault takes the
 * lock, sees that no invalidation of the range is in progress, reads the CPU's entry, maps; the
 * notifier counts the invalidation, takes the lock, unmaps. The barriers are the same.
 *
 * span fault vs chunk fault: the span says "mapped" before it takes each chunk's lock to unmap what
 *   is there; a chunk's fault looks, under that lock, whether the span is mapped. So either it
 *   was first, and what it mapped is taken out, or it sees the span and comes to it. A chunk that
 *   is not in the array yet is stored after the span has passed through the array's lock, so its
 *   maker sees the span. The span says "not mapped" when the leaf is gone.
 * span fault vs invalidation anywhere in the process: the counters are hashed, a span has all of
 *   them. While one is not zero chunks serve the fault.
 * tracking of writes is by the page: no spans. Whoever starts it says so, then takes each span's
 *   lock to unmap it, or finds none, and then a span that is made later sees what was said.
 *   The same goes for pinning (@no_spans), and for budgets, see budget/budget.c.
 * frozen areas: what is mapped stays, nothing new; see area.c.
 * another set of domains: as with chunks, a span either is made with the new set, or moved to it.
 *   In between, span and chunk may have different sets; each unmaps from its own.
 * removal: the span is dead before its chunks are, so the last thing to map is a chunk, and
 *   that is killed after it.
 *
 * Nothing here sleeps. Where many chunks are mapped in the GiB, a fault unmaps some of them and has
 * a chunk serve it; so do the faults that follow from that, until there are few enough for the leaf
 * to take their place.
 *
 * Locking: iopf_mm.lock -> iopf_span.lock -> iopf_area.chunks -> iopf_chunk.lock. The lock of
 * the array of spans is taken on its own.
 */
#include <linux/iommu.h>
#include <linux/slab.h>

#include "../host/mm.h"
#include "../host/walk.h"
#include "../lib/controls.h"
#include "space.h"
#include "chunk.h"
#include "span.h"

/* Mapped chunks that one fault unmaps at most. */
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
 * iopf_span_possible() - whether a leaf of 1 GiB may map an address, as far as we are concerned
 * @area: the area; not frozen
 * @domains: the domains the leaf would go into
 * @iova: an address in it
 *
 * Context: under the lock of the span or of the chunk.
 */
bool iopf_span_possible(struct iopf_area *area, const struct iopf_domains *domains, u64 iova)
{
	u64 first = round_down(iova, IOPF_SPAN_SIZE);

	/* Pinned pages are gone before spans may come. Pairs with iopf_spans_allow(). */
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

/* The span at an address, made if need be. Error pointer: -ENOMEM, -ESHUTDOWN. */
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

/* Unmap the leaf, if there is one. How many pages that was. */
static unsigned int span_zap(struct iopf_span *span)
{
	lockdep_assert_held(&span->lock);

	if (!span->mapped)
		return 0;
	span_unmap(span);
	return IOPF_SPAN_PAGES;
}

/*
 * Unmap all leaves of an area, after something has been said that spans made from now on see.
 * @domains: have the spans use that set; or NULL
 * @kill: for good
 */
static void spans_clear(struct iopf_area *area, const struct iopf_domains *domains, bool kill)
{
	struct iopf_span *span;
	unsigned long index;

	lockdep_assert_held(&area->space->lock);

	/* A span that is made after this sees what was said; the others are in the array. */
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

/* Unmap chunks of the GiB. False: some are mapped still. A look without their locks will do. */
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

/* Put one leaf in the place of all that is mapped. */
static int span_map(struct iopf_span *span, phys_addr_t phys, bool writable)
{
	int prot = (span->area->prot & ~(writable ? 0 : IOMMU_WRITE)) | IOMMU_CACHE;
	struct iopf_range range = span_range(span);
	struct iopf_area *area = span->area;
	int ret;

	lockdep_assert_held(&span->lock);

	span_zap(span);
	WRITE_ONCE(span->mapped, true);
	/* Who stores a chunk after this sees that; the others are in the array. */
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

/* Whether the CPU has a leaf of 1 GiB there, which is @run then. */
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

	/* As in chunk_fault_locked(). */
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
 * iopf_span_fault() - map 1 GiB by one leaf, from what the CPU has
 * @area: the area, found under RCU
 * @iova: the address of an access; iopf_span_possible() or iopf_span_mapped() was true
 * @write: the access is a write; the area permits it
 * @mapped: incremented by the pages mapped
 *
 * Context: any that may take a spinlock; with none of the chunks' locks.
 * Return: as iopf_chunk_fault(), but -EXDEV when it takes chunks to map what is there.
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
 * iopf_spans_zap() - unmap the leaves that have any part in a range
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
 * iopf_spans_flush() - unmap all leaves, when iopf_span_possible() has become false
 * @area: the area
 *
 * Afterwards there are none until it becomes true again.
 *
 * Context: process context, under the space's lock.
 */
void iopf_spans_flush(struct iopf_area *area)
{
	spans_clear(area, NULL, false);
}

/**
 * iopf_spans_forbid() - have nothing but chunks map the area: it is going to be pinned
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
 * iopf_spans_move() - move spans to another set of domains; they are unmapped by that
 * @area: the area
 * @domains: the set, already the space's
 *
 * Context: process context, under the space's lock.
 */
void iopf_spans_move(struct iopf_area *area, const struct iopf_domains *domains)
{
	/* Spans made with the old set are in the array by then. */
	spans_clear(area, domains, false);
}

/**
 * iopf_spans_kill() - unmap all leaves for good
 * @area: being removed; says so already
 *
 * Context: process context, under the space's lock.
 */
void iopf_spans_kill(struct iopf_area *area)
{
	spans_clear(area, NULL, true);
}

/**
 * iopf_spans_free() - free the spans of an area
 * @area: nobody has found it for a grace period
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
