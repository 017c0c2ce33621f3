/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mapped pages of one chunk.
 *
 * A chunk is the part of an area in one naturally aligned 2 MiB of I/O virtual address space. Its
 * map says for each page whether it is in the IOMMU's page table now. The map must be exact: an
 * unmap may name only mapped runs, since an IOMMU driver may stop silently at the first hole.
 *
 * The map also says what the device has written while writes are tracked. A page becomes dirty when
 * it becomes writable, and stays dirty when it is unmapped.
 *
 * Invariants:
 *  - writable and pinned are subsets of present, and mmio is a subset of pinned;
 *  - huge means that one 2 MiB leaf maps the chunk: all of present is set, nothing is pinned, and
 *    an unmap of any part removes the whole leaf;
 *  - reported is empty, except while a report to user space is under way.
 *
 * Few maps need marks. The caller provides zeroed marks before the first call that pins a page or
 * makes a page dirty.
 *
 * Locking: the caller's; in the module, the chunk's spinlock.
 *
 * Vocabulary: "set" adds to the map, "take" removes a run and returns it.
 */
#ifndef IOPF_CORE_CHUNKMAP_H
#define IOPF_CORE_CHUNKMAP_H

#include "shim.h"

#define IOPF_CHUNK_SHIFT	21
#define IOPF_CHUNK_SIZE		BIT(IOPF_CHUNK_SHIFT)
#define IOPF_CHUNK_PAGES	(1U << (IOPF_CHUNK_SHIFT - PAGE_SHIFT))

/* Refaults of a chunk are counted up to this number; see workset.h. */
#define IOPF_HEAT_MAX		15U

/**
 * struct iopf_chunkmarks - marks that pages of few chunks have
 * @pinned: mapped and pinned. The page stays mapped until it is unpinned, even if the CPU unmaps
 * it.
 * @mmio: device memory. It is mapped like a pinned page, but has no pages to pin. The driver of the
 *        memory may revoke it.
 * @dirty: may have been written since tracking began or since the last report
 * @reported: moved from @dirty to a report that may still fail
 */
struct iopf_chunkmarks {
	DECLARE_BITMAP(pinned, IOPF_CHUNK_PAGES);
	DECLARE_BITMAP(mmio, IOPF_CHUNK_PAGES);
	DECLARE_BITMAP(dirty, IOPF_CHUNK_PAGES);
	DECLARE_BITMAP(reported, IOPF_CHUNK_PAGES);
};

/**
 * struct iopf_chunkmap - the mapped pages of one chunk
 * @present: in the IOMMU's page table
 * @writable: mapped with write permission
 * @marks: further marks, or NULL. Once set, they stay.
 * @huge: one 2 MiB leaf
 */
struct iopf_chunkmap {
	DECLARE_BITMAP(present, IOPF_CHUNK_PAGES);
	DECLARE_BITMAP(writable, IOPF_CHUNK_PAGES);
	struct iopf_chunkmarks *marks;
	bool huge;
};

/**
 * enum iopf_lookup - result of an access
 * @IOPF_MISS: not mapped
 * @IOPF_UPGRADE: mapped read-only, but the access writes
 * @IOPF_HIT: mapped with sufficient permission
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

/* The empty set of pages. */
static const unsigned long iopf_chunkmap_none[BITS_TO_LONGS(IOPF_CHUNK_PAGES)];

/* The set of pinned pages, read-only. */
static inline const unsigned long *iopf_chunkmap_pins(const struct iopf_chunkmap *m)
{
	const struct iopf_chunkmarks *marks = READ_ONCE(m->marks);

	return marks ? marks->pinned : iopf_chunkmap_none;
}

static inline bool iopf_chunkmap_has_pins(const struct iopf_chunkmap *m)
{
	const struct iopf_chunkmarks *marks = READ_ONCE(m->marks);

	return marks && !bitmap_empty(marks->pinned, IOPF_CHUNK_PAGES);
}

/* The set of pages of device memory, read-only. */
static inline const unsigned long *iopf_chunkmap_mmio(const struct iopf_chunkmap *m)
{
	const struct iopf_chunkmarks *marks = READ_ONCE(m->marks);

	return marks ? marks->mmio : iopf_chunkmap_none;
}

static inline unsigned int iopf_chunkmap_pinned(const struct iopf_chunkmap *m)
{
	return bitmap_weight(iopf_chunkmap_pins(m), IOPF_CHUNK_PAGES);
}

/**
 * iopf_chunkmap_set() - add a run of pages that were mapped
 * @m: the map
 * @page: first page; no page of the run is present
 * @n: number of pages. If one leaf maps the whole chunk, the caller uses iopf_chunkmap_set_huge().
 * @writable: whether the device may write them
 */
static __always_inline void iopf_chunkmap_set(struct iopf_chunkmap *m, unsigned int page,
					      unsigned int n, bool writable)
{
	/* The common case is one page. With a constant length, setting a bit is one instruction. */
	if (n == 1) {
		bitmap_set(m->present, page, 1);
		if (writable)
			bitmap_set(m->writable, page, 1);
		return;
	}
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
 * iopf_chunkmap_set_pinned() - add a run of pages that were pinned and mapped
 * @m: the map, with marks
 * @page: first page; no page of the run is present
 * @n: number of pages
 * @writable: whether the device may write them
 */
static inline void iopf_chunkmap_set_pinned(struct iopf_chunkmap *m, unsigned int page,
					    unsigned int n, bool writable)
{
	iopf_chunkmap_set(m, page, n, writable);
	bitmap_set(m->marks->pinned, page, n);
}

/**
 * iopf_chunkmap_hold_mmio() - keep a mapped page of device memory like a pinned page
 * @m: the map, with marks
 * @page: present and not pinned
 */
static inline void iopf_chunkmap_hold_mmio(struct iopf_chunkmap *m, unsigned int page)
{
	bitmap_set(m->marks->pinned, page, 1);
	bitmap_set(m->marks->mmio, page, 1);
}

/**
 * iopf_chunkmap_revoke_mmio() - make device memory ordinary mapped pages again
 * @m: the map
 * @first: first page
 * @last: last page
 *
 * While the memory was held, each report had its writable pages as dirty. So they become dirty for
 * the next report.
 *
 * Return: the number of pages.
 */
static inline unsigned int iopf_chunkmap_revoke_mmio(struct iopf_chunkmap *m, unsigned int first,
						     unsigned int last)
{
	unsigned int page, n = 0;

	if (!m->marks)
		return 0;
	page = find_next_bit(m->marks->mmio, last + 1, first);
	for (; page <= last; page = find_next_bit(m->marks->mmio, last + 1, page + 1)) {
		bitmap_clear(m->marks->pinned, page, 1);
		bitmap_clear(m->marks->mmio, page, 1);
		if (test_bit(page, m->writable))
			bitmap_set(m->marks->dirty, page, 1);
		n++;
	}
	return n;
}

/* Removes a leaf of 2 MiB as a whole. */
static inline void iopf_chunkmap_clear_huge(struct iopf_chunkmap *m)
{
	bitmap_zero(m->present, IOPF_CHUNK_PAGES);
	bitmap_zero(m->writable, IOPF_CHUNK_PAGES);
	m->huge = false;
}

/**
 * iopf_chunkmap_take() - remove the next run of mapped pages that are not pinned
 * @m: the map
 * @page: in: first page to look at; out: first page of the run
 * @last: last page to look at
 * @n: out: length of the run
 *
 * Takes a huge chunk as a whole, even beyond [page, last]. The caller unmaps the returned run. The
 * next call starts at @page + @n.
 *
 * Return: whether there was a run.
 */
static __always_inline bool iopf_chunkmap_take(struct iopf_chunkmap *m, unsigned int *page,
					       unsigned int last, unsigned int *n)
{
	const unsigned long *pinned = iopf_chunkmap_pins(m);
	unsigned int first, end;

	if (*page > last)
		return false;
	if (m->huge) {
		iopf_chunkmap_clear_huge(m);
		*page = 0;
		*n = IOPF_CHUNK_PAGES;
		return true;
	}

	first = find_next_andnot_bit(m->present, pinned, last + 1, *page);
	if (first > last)
		return false;
	end = find_next_zero_bit(m->present, last + 1, first);
	end = min_t(unsigned int, end, find_next_bit(pinned, last + 1, first));

	*page = first;
	*n = end - first;
	bitmap_clear(m->present, first, *n);
	bitmap_clear(m->writable, first, *n);
	return true;
}

/**
 * iopf_chunkmap_take_writable() - remove the next run of writable pages that are not pinned
 * @m: the map
 * @page: in: first page to look at; out: first page of the run
 * @n: out: length of the run
 *
 * Like iopf_chunkmap_take(), for the whole chunk.
 *
 * Return: whether there was a run.
 */
static inline bool iopf_chunkmap_take_writable(struct iopf_chunkmap *m, unsigned int *page,
					       unsigned int *n)
{
	const unsigned long *pinned = iopf_chunkmap_pins(m);
	unsigned int first, end;

	first = find_next_andnot_bit(m->writable, pinned, IOPF_CHUNK_PAGES, *page);
	if (first >= IOPF_CHUNK_PAGES)
		return false;
	if (m->huge) {
		iopf_chunkmap_clear_huge(m);
		*page = 0;
		*n = IOPF_CHUNK_PAGES;
		return true;
	}
	end = find_next_zero_bit(m->writable, IOPF_CHUNK_PAGES, first);
	end = min_t(unsigned int, end, find_next_bit(pinned, IOPF_CHUNK_PAGES, first));

	*page = first;
	*n = end - first;
	bitmap_clear(m->present, first, *n);
	bitmap_clear(m->writable, first, *n);
	return true;
}

/**
 * iopf_chunkmap_dirty() - mark pages as written
 * @m: the map, with marks
 * @page: first page; mapped or not
 * @n: number of pages
 */
static inline void iopf_chunkmap_dirty(struct iopf_chunkmap *m, unsigned int page, unsigned int n)
{
	bitmap_set(m->marks->dirty, page, n);
}

/**
 * iopf_chunkmap_dirty_pinned() - mark pages that are pinned for writing as written
 * @m: the map
 */
static inline void iopf_chunkmap_dirty_pinned(struct iopf_chunkmap *m)
{
	DECLARE_BITMAP(pins, IOPF_CHUNK_PAGES);

	if (!m->marks)
		return;
	bitmap_and(pins, m->marks->pinned, m->writable, IOPF_CHUNK_PAGES);
	bitmap_or(m->marks->dirty, m->marks->dirty, pins, IOPF_CHUNK_PAGES);
}

/**
 * iopf_chunkmap_forget_dirty() - mark all pages as not written
 * @m: the map
 */
static inline void iopf_chunkmap_forget_dirty(struct iopf_chunkmap *m)
{
	if (!m->marks)
		return;
	bitmap_zero(m->marks->dirty, IOPF_CHUNK_PAGES);
	bitmap_zero(m->marks->reported, IOPF_CHUNK_PAGES);
}

/**
 * iopf_chunkmap_report() - take the dirty pages for a report
 * @m: the map; only pinned pages are writable
 * @pins_dirty: pages that are pinned for writing count as dirty
 * @bits: out: the pages to report
 *
 * The caller must call iopf_chunkmap_report_end(). A page that becomes dirty in between belongs to
 * the next report.
 */
static inline void iopf_chunkmap_report(struct iopf_chunkmap *m, bool pins_dirty,
					unsigned long *bits)
{
	if (!m->marks) {
		bitmap_zero(bits, IOPF_CHUNK_PAGES);
		return;
	}
	bitmap_or(m->marks->reported, m->marks->reported, m->marks->dirty, IOPF_CHUNK_PAGES);
	bitmap_zero(m->marks->dirty, IOPF_CHUNK_PAGES);
	bitmap_copy(bits, m->marks->reported, IOPF_CHUNK_PAGES);
	if (pins_dirty) {
		DECLARE_BITMAP(pins, IOPF_CHUNK_PAGES);

		bitmap_and(pins, m->marks->pinned, m->writable, IOPF_CHUNK_PAGES);
		bitmap_or(bits, bits, pins, IOPF_CHUNK_PAGES);
	}
}

/**
 * iopf_chunkmap_report_end() - end a report
 * @m: the map
 * @made: user space got the report. If not, its pages become dirty again.
 */
static inline void iopf_chunkmap_report_end(struct iopf_chunkmap *m, bool made)
{
	if (!m->marks)
		return;
	if (!made)
		bitmap_or(m->marks->dirty, m->marks->dirty, m->marks->reported, IOPF_CHUNK_PAGES);
	bitmap_zero(m->marks->reported, IOPF_CHUNK_PAGES);
}

/**
 * iopf_chunkmap_take_pinned() - remove the next run of pinned pages
 * @m: the map
 * @page: in: first page to look at; out: first page of the run
 * @last: last page to look at
 * @n: out: length of the run
 * @mmio: out: whether the run is device memory
 *
 * All pages of a run are device memory, or none is.
 *
 * Return: whether there was a run.
 */
static inline bool iopf_chunkmap_take_pinned(struct iopf_chunkmap *m, unsigned int *page,
					     unsigned int last, unsigned int *n, bool *mmio)
{
	unsigned int first, end;

	if (!m->marks)
		return false;
	first = find_next_bit(m->marks->pinned, last + 1, *page);
	if (first > last)
		return false;
	end = find_next_zero_bit(m->marks->pinned, last + 1, first);
	*mmio = test_bit(first, m->marks->mmio);
	if (*mmio)
		end = find_next_zero_bit(m->marks->mmio, end, first);
	else
		end = find_next_bit(m->marks->mmio, end, first);

	*page = first;
	*n = end - first;
	bitmap_clear(m->present, first, *n);
	bitmap_clear(m->writable, first, *n);
	bitmap_clear(m->marks->pinned, first, *n);
	bitmap_clear(m->marks->mmio, first, *n);
	return true;
}

#endif /* IOPF_CORE_CHUNKMAP_H */
