/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_CHUNK_H
#define IOPF_CHUNK_H

#include <linux/jiffies.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>

#include "../../../core/budget.h"
#include "../../../core/window.h"
#include "../budget/watch.h"
#include "domains.h"

struct iommu_domain;
struct iopf_area;
struct iopf_timing;

/**
 * struct iopf_chunk - the mappings of an area in one 2 MiB of IOVA; found under RCU, freed with its
 *                     area after a grace period
 * @lock: innermost of our locks; only the IOMMU driver's own nest inside
 * @dead: the area is being removed: map nothing more. Under @lock.
 * @area: the area, which outlives its chunks
 * @iova: address of page 0, 2 MiB aligned; it may lie before the area's start
 * @first: first page that belongs to the area
 * @last: last page that belongs to the area
 * @domains: the set of domains in which the pages of @map are mapped. Under @lock.
 * @map: the pages that are mapped. Under @lock.
 * @aged: when the host last unmapped pages to see whether they are used, in jiffies; 0: never.
 *        Under @lock.
 * @refill: a 2 MiB leaf was unmapped because of a part of it, and the rest has not been mapped
 *          again. Changes under @lock, except that iopf_chunk_rest() clears it without.
 * @whole: pinned in one step, from contiguous memory, so a domain may map it by a leaf of 2 MiB. So
 *         it is also unpinned in one step. Changes under the space's lock.
 * @lost: the host has unmapped pages since @heat was last incremented; a hint, without a lock
 * @heat: how often a device faulted on the chunk after the host had unmapped pages of it, up to
 *        IOPF_HEAT_MAX; see workset.c. Under @lock.
 * @look: enum iopf_look; changes under @lock
 * @block: what the space's budget has been charged for it. Under the budget's lock; its pages also
 *         under @lock. All zero without a budget.
 */
struct iopf_chunk {
	spinlock_t lock; /* innermost */
	u16 first;
	u16 last;
	struct iopf_area *area;
	u64 iova;
	const struct iopf_domains *domains;
	struct iopf_chunkmap map;
	unsigned long aged;
	bool dead;
	bool refill;
	bool whole;
	bool lost;
	u8 heat;
	u8 look;
	struct iopf_block block;
};

/* How long faults map few neighbours after the host looked which pages are used. */
#define IOPF_AGED_HOLD (10 * HZ)

/*
 * Whether faults shall map few neighbours. This is so after such a look, and while sampling waits
 * for the next use of the chunk: a page mapped before that use would hide it.
 */
static inline bool iopf_chunk_aged(const struct iopf_chunk *chunk)
{
	unsigned long aged = READ_ONCE(chunk->aged);
	u8 look = READ_ONCE(chunk->look);

	if (unlikely(look == IOPF_LOOK_NEW || look == IOPF_LOOK_AWAY))
		return true;
	return aged && time_before(jiffies, aged + IOPF_AGED_HOLD);
}

/**
 * iopf_chunk_full() - whether all pages in the window around a page are mapped, or were before a
 *                     part of a 2 MiB leaf was unmapped
 * @chunk: the chunk, found under RCU
 * @page: the page
 * @around: pages of the window; a window of one page has no neighbours
 *
 * Return: a guess, made without a lock. False while the host looks which pages are used.
 */
static inline bool iopf_chunk_full(const struct iopf_chunk *chunk, unsigned int page,
				   unsigned int around)
{
	struct iopf_window w;

	iopf_window_around(&w, page, around, chunk->first, chunk->last);
	return w.first != w.last && !iopf_chunk_aged(chunk) &&
	       (READ_ONCE(chunk->refill) ||
		find_next_zero_bit(chunk->map.present, w.last + 1, w.first) > w.last);
}

/* The number of the chunk in the table of watched chunks: that of its first page. */
static inline u64 iopf_chunk_block(const struct iopf_chunk *chunk)
{
	return (chunk->iova >> PAGE_SHIFT) + chunk->first;
}

/* Pages that are mapped and not pinned. */
static inline unsigned int iopf_chunk_loose(const struct iopf_chunk *chunk)
{
	return iopf_chunkmap_mapped(&chunk->map) - iopf_chunkmap_pinned(&chunk->map);
}

int iopf_chunk_cache_init(void);
void iopf_chunk_cache_exit(void);
struct iopf_chunk *iopf_chunk_alloc(struct iopf_area *area, u64 iova, gfp_t gfp);
bool iopf_chunks_alloc(struct iopf_area *area, u64 iova, unsigned int n,
		       struct iopf_chunk **chunks, gfp_t gfp);
void iopf_chunk_free(struct iopf_chunk *chunk);
void iopf_chunks_free(struct iopf_chunk **chunks, unsigned int n);

int iopf_chunk_fault(struct iopf_chunk *chunk, unsigned int page, bool write, unsigned int around,
		     unsigned int *mapped, struct iopf_timing *timing);
unsigned int iopf_chunk_have(struct iopf_chunk *chunk, unsigned int first, unsigned int last,
			     bool write, unsigned int *mapped);
unsigned int iopf_chunk_rest(struct iopf_chunk *chunk, unsigned int page, bool write,
			     unsigned int *mapped);
bool iopf_chunk_serves(struct iopf_chunk *chunk, unsigned int page, bool write);
void iopf_chunk_track(struct iopf_chunk *chunk);
void iopf_chunk_report(struct iopf_chunk *chunk, bool pins_dirty, unsigned long *bits);
void iopf_chunk_report_end(struct iopf_chunk *chunk, bool made);
void iopf_chunk_dirty(struct iopf_chunk *chunk, unsigned int page, unsigned int n);
unsigned int iopf_chunk_zap(struct iopf_chunk *chunk, unsigned int first, unsigned int last,
			    bool age);
bool iopf_chunk_look(struct iopf_chunk *chunk);
unsigned int iopf_chunk_evict(struct iopf_block *block, bool look);
void iopf_chunk_kill(struct iopf_chunk *chunk);
void iopf_chunk_charge(struct iopf_chunk *chunk, bool budgeted);
void iopf_chunk_move(struct iopf_chunk *chunk, const struct iopf_domains *domains,
		     struct iommu_domain *added);
int iopf_chunk_pin(struct iopf_chunk *chunk, unsigned int page, struct page **pages,
		   unsigned int n);
bool iopf_chunk_hold_mmio(struct iopf_chunk *chunk, unsigned int page);
int iopf_chunk_replay(struct iopf_chunk *chunk, struct iommu_domain *domain);
bool iopf_chunk_unpinned(struct iopf_chunk *chunk, unsigned int *page, unsigned int last,
			 unsigned int *n);
bool iopf_chunk_unpin(struct iopf_chunk *chunk, unsigned int *page, unsigned int last,
		      struct page **pages, unsigned int *n, bool *mmio);
void iopf_chunk_dirty_pinned(struct iopf_chunk *chunk);

#endif /* IOPF_CHUNK_H */
