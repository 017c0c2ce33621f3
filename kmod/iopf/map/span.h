/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_SPAN_H
#define IOPF_SPAN_H

#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>

#include "area.h"

struct iopf_domains;

#define IOPF_SPAN_SHIFT	30
#define IOPF_SPAN_SIZE	BIT(IOPF_SPAN_SHIFT)
#define IOPF_SPAN_PAGES	(1U << (IOPF_SPAN_SHIFT - PAGE_SHIFT))

/**
 * struct iopf_span - one aligned GiB of IOVA in an area, where the CPU was seen to have a leaf of
 *                    that size
 * @lock: outside of iopf_area.chunks and the chunks' locks
 * @dead: the area is being removed: map nothing more. Under @lock.
 * @mapped: one leaf maps it, and no chunk in it maps anything. Changes under @lock; chunks read it
 *          under their own locks.
 * @writable: devices may write to it. Under @lock.
 * @area: the area, which outlives its spans
 * @iova: its first address
 * @domains: the set of domains in which it is mapped, or would be. Under @lock.
 */
struct iopf_span {
	spinlock_t lock; /* order: see above */
	bool dead;
	bool mapped;
	bool writable;
	struct iopf_area *area;
	u64 iova;
	const struct iopf_domains *domains;
};

/**
 * iopf_span_mapped() - whether a leaf of 1 GiB maps an address
 * @area: the area
 * @iova: an address in it
 *
 * Called under the lock of the address's chunk. If this returns false, a span may be mapped only
 * after it has taken that lock and unmapped what the chunk maps.
 */
static inline bool iopf_span_mapped(struct iopf_area *area, u64 iova)
{
	struct iopf_span *span;

	if (likely(xa_empty(&area->spans)))
		return false;
	span = xa_load(&area->spans, iova >> IOPF_SPAN_SHIFT);
	/* The leaf is unmapped before a chunk may map anything there. Pairs with span_unmap(). */
	return span && smp_load_acquire(&span->mapped);
}

/**
 * iopf_span_serves() - whether a leaf of 1 GiB maps an address and permits an access
 * @area: the area
 * @iova: an address in it
 * @write: the access is a write
 *
 * As iopf_span_mapped().
 */
static inline bool iopf_span_serves(struct iopf_area *area, u64 iova, bool write)
{
	struct iopf_span *span;

	if (!iopf_span_mapped(area, iova))
		return false;
	span = xa_load(&area->spans, iova >> IOPF_SPAN_SHIFT);
	return !write || READ_ONCE(span->writable);
}

bool iopf_span_possible(struct iopf_area *area, const struct iopf_domains *domains, u64 iova);
int iopf_span_fault(struct iopf_area *area, u64 iova, bool write, unsigned int *mapped);

unsigned int iopf_spans_zap(struct iopf_area *area, const struct iopf_range *range);
bool iopf_spans_mapped(struct iopf_area *area, const struct iopf_range *range);
void iopf_spans_flush(struct iopf_area *area);
void iopf_spans_forbid(struct iopf_area *area);
void iopf_spans_allow(struct iopf_area *area);
void iopf_spans_move(struct iopf_area *area, const struct iopf_domains *domains);
void iopf_spans_kill(struct iopf_area *area);
void iopf_spans_free(struct iopf_area *area);

#endif /* IOPF_SPAN_H */
