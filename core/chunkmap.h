/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the IOMMU maps of one chunk.
 *
 * A chunk is the part of an area that lies in one naturally aligned 2 MiB of
 * I/O virtual address space. Its map says, page by page, what is in the IOMMU's
 * page table at this moment; it is exact, because unmapping must name mapped
 * runs only (an IOMMU driver may stop at the first hole without a word).
 *
 * Invariants:
 *  - writable and pinned are subsets of present;
 *  - huge means that one 2 MiB leaf maps the chunk: all of present is set, and
 *    nothing is pinned; whatever is taken away, the whole leaf goes.
 *
 * Locking: the caller's; in the module, the chunk's spinlock.
 *
 * Vocabulary: "set" adds to the map, "take" removes a run and says which.
 */
#ifndef IOPF_CORE_CHUNKMAP_H
#define IOPF_CORE_CHUNKMAP_H

#include "shim.h"

#define IOPF_CHUNK_SHIFT	21
#define IOPF_CHUNK_SIZE		BIT(IOPF_CHUNK_SHIFT)
#define IOPF_CHUNK_PAGES	(1U << (IOPF_CHUNK_SHIFT - PAGE_SHIFT))

/**
 * struct iopf_chunkmap - the mapped pages of one chunk
 * @present: in the IOMMU's page table
 * @writable: mapped so that the device may write
 * @pinned: mapped and pinned: stays until it is unpinned, whatever the CPU side does
 * @huge: one 2 MiB leaf
 */
struct iopf_chunkmap {
	DECLARE_BITMAP(present, IOPF_CHUNK_PAGES);
	DECLARE_BITMAP(writable, IOPF_CHUNK_PAGES);
	DECLARE_BITMAP(pinned, IOPF_CHUNK_PAGES);
	bool huge;
};

/**
 * enum iopf_lookup - what an access finds
 * @IOPF_MISS: nothing mapped
 * @IOPF_UPGRADE: mapped, but not for writing, which was asked for
 * @IOPF_HIT: mapped well enough
 */
enum iopf_lookup {
	IOPF_MISS,
	IOPF_UPGRADE,
	IOPF_HIT,
};

static inline unsigned int iopf_chunkmap_page(u64 iova)
{
	return (iova >> PAGE_SHIFT) & (IOPF_CHUNK_PAGES - 1);
}

static inline enum iopf_lookup iopf_chunkmap_lookup(const struct iopf_chunkmap *m,
						    unsigned int page, bool write)
{
	if (!test_bit(page, m->present))
		return IOPF_MISS;
	if (write && !test_bit(page, m->writable))
		return IOPF_UPGRADE;
	return IOPF_HIT;
}

static inline bool iopf_chunkmap_empty(const struct iopf_chunkmap *m)
{
	return bitmap_empty(m->present, IOPF_CHUNK_PAGES);
}

static inline unsigned int iopf_chunkmap_mapped(const struct iopf_chunkmap *m)
{
	return bitmap_weight(m->present, IOPF_CHUNK_PAGES);
}

static inline unsigned int iopf_chunkmap_pinned(const struct iopf_chunkmap *m)
{
	return bitmap_weight(m->pinned, IOPF_CHUNK_PAGES);
}

/**
 * iopf_chunkmap_set() - note that a run of pages has been mapped
 * @m: the map
 * @page: first page; none of the run may be present
 * @n: pages; when it is the whole chunk the caller says by iopf_chunkmap_set_huge()
 *     instead that one leaf maps it
 * @writable: whether the device may write them
 */
static inline void iopf_chunkmap_set(struct iopf_chunkmap *m, unsigned int page, unsigned int n,
				     bool writable)
{
	bitmap_set(m->present, page, n);
	if (writable)
		bitmap_set(m->writable, page, n);
}

static inline void iopf_chunkmap_set_huge(struct iopf_chunkmap *m, bool writable)
{
	iopf_chunkmap_set(m, 0, IOPF_CHUNK_PAGES, writable);
	m->huge = true;
}

/**
 * iopf_chunkmap_set_pinned() - note that a run of pages has been pinned and mapped
 * @m: the map
 * @page: first page; none of the run may be present
 * @n: pages
 * @writable: whether the device may write them
 */
static inline void iopf_chunkmap_set_pinned(struct iopf_chunkmap *m, unsigned int page,
					    unsigned int n, bool writable)
{
	iopf_chunkmap_set(m, page, n, writable);
	bitmap_set(m->pinned, page, n);
}

/**
 * iopf_chunkmap_take() - remove the next run of mapped pages that are not pinned
 * @m: the map
 * @page: in: where to look from; out: first page of the run
 * @last: where to stop looking
 * @n: out: length of the run
 *
 * A huge chunk goes as a whole, beyond [page, last]: the caller unmaps what
 * it is told. Call again with @page + @n for the next run.
 *
 * Return: whether there was a run.
 */
static inline bool iopf_chunkmap_take(struct iopf_chunkmap *m, unsigned int *page,
				      unsigned int last, unsigned int *n)
{
	unsigned int first, end;

	if (m->huge) {
		if (*page > last)
			return false;
		bitmap_zero(m->present, IOPF_CHUNK_PAGES);
		bitmap_zero(m->writable, IOPF_CHUNK_PAGES);
		m->huge = false;
		*page = 0;
		*n = IOPF_CHUNK_PAGES;
		return true;
	}

	first = find_next_andnot_bit(m->present, m->pinned, last + 1, *page);
	if (first > last)
		return false;
	end = find_next_zero_bit(m->present, last + 1, first);
	end = min_t(unsigned int, end, find_next_bit(m->pinned, last + 1, first));

	*page = first;
	*n = end - first;
	bitmap_clear(m->present, first, *n);
	bitmap_clear(m->writable, first, *n);
	return true;
}

/**
 * iopf_chunkmap_take_pinned() - remove the next run of pinned pages
 * @m: the map
 * @page: in: where to look from; out: first page of the run
 * @last: where to stop looking
 * @n: out: length of the run
 *
 * Return: whether there was a run.
 */
static inline bool iopf_chunkmap_take_pinned(struct iopf_chunkmap *m, unsigned int *page,
					     unsigned int last, unsigned int *n)
{
	unsigned int first, end;

	first = find_next_bit(m->pinned, last + 1, *page);
	if (first > last)
		return false;
	end = find_next_zero_bit(m->pinned, last + 1, first);

	*page = first;
	*n = end - first;
	bitmap_clear(m->present, first, *n);
	bitmap_clear(m->writable, first, *n);
	bitmap_clear(m->pinned, first, *n);
	return true;
}

#endif /* IOPF_CORE_CHUNKMAP_H */
