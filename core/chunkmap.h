/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the IOMMU maps of one chunk.
 *
 * A chunk is the part of an area that lies in one naturally aligned 2 MiB of
 * I/O virtual address space. Its map says, page by page, what is in the IOMMU's
 * page table at this moment; it is exact, because unmapping must name mapped
 * runs only (an IOMMU driver may stop at the first hole without a word).
 *
 * It also says what the device has written while writes are tracked: a page gets
 * dirty when it becomes writable, and stays so when it is unmapped.
 *
 * Invariants:
 *  - writable and pinned are subsets of present, and mmio is one of pinned;
 *  - huge means that one 2 MiB leaf maps the chunk: all of present is set, and
 *    nothing is pinned; whatever is taken away, the whole leaf goes;
 *  - reported is empty but while user space is being told.
 *
 * What pins pages or makes them dirty says so in marks, which few maps have: the caller brings
 * them, all zero, before that.
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

/* The most that is counted of how often a chunk has come back; see workset.h. */
#define IOPF_HEAT_MAX		15U

/**
 * struct iopf_chunkmarks - what there is to say of pages of few chunks only
 * @pinned: mapped and pinned: stays until it is unpinned, whatever the CPU side does
 * @mmio: mapped as if pinned, but memory of a device, which has no pages to pin: its owner may
 *        take it back
 * @dirty: written, as far as is known, since tracking began or since the last report
 * @reported: taken from @dirty for a report that may yet fail
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
 * @writable: mapped so that the device may write
 * @marks: the rest; NULL: there is nothing to say. Once there, they stay.
 * @huge: one 2 MiB leaf
 */
struct iopf_chunkmap {
	DECLARE_BITMAP(present, IOPF_CHUNK_PAGES);
	DECLARE_BITMAP(writable, IOPF_CHUNK_PAGES);
	struct iopf_chunkmarks *marks;
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

/* No pages. */
static const unsigned long iopf_chunkmap_none[BITS_TO_LONGS(IOPF_CHUNK_PAGES)];

/* The pages that are pinned, to look at. */
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

/* Those of them that are a device's. */
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
 * iopf_chunkmap_set() - note that a run of pages has been mapped
 * @m: the map
 * @page: first page; none of the run may be present
 * @n: pages; when it is the whole chunk the caller says by iopf_chunkmap_set_huge()
 *     instead that one leaf maps it
 * @writable: whether the device may write them
 */
static __always_inline void iopf_chunkmap_set(struct iopf_chunkmap *m, unsigned int page,
					      unsigned int n, bool writable)
{
	/* One page is what most faults are about; a constant makes it one instruction. */
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
 * iopf_chunkmap_set_pinned() - note that a run of pages has been pinned and mapped
 * @m: the map, with marks
 * @page: first page; none of the run may be present
 * @n: pages
 * @writable: whether the device may write them
 */
static inline void iopf_chunkmap_set_pinned(struct iopf_chunkmap *m, unsigned int page,
					    unsigned int n, bool writable)
{
	iopf_chunkmap_set(m, page, n, writable);
	bitmap_set(m->marks->pinned, page, n);
}

/**
 * iopf_chunkmap_hold_mmio() - have a mapped page of a device stay as if it were pinned
 * @m: the map, with marks
 * @page: present and not pinned
 */
static inline void iopf_chunkmap_hold_mmio(struct iopf_chunkmap *m, unsigned int page)
{
	bitmap_set(m->marks->pinned, page, 1);
	bitmap_set(m->marks->mmio, page, 1);
}

/**
 * iopf_chunkmap_revoke_mmio() - let go of devices' pages, which are taken as any other then
 * @m: the map
 * @first: first page
 * @last: last page
 *
 * As long as they were held they were dirty in each report, if they were writable; so they are once
 * more.
 *
 * Return: how many pages.
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

/* One leaf goes as a whole. */
static inline void iopf_chunkmap_clear_huge(struct iopf_chunkmap *m)
{
	bitmap_zero(m->present, IOPF_CHUNK_PAGES);
	bitmap_zero(m->writable, IOPF_CHUNK_PAGES);
	m->huge = false;
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
 * @page: in: where to look from; out: first page of the run
 * @n: out: length of the run
 *
 * As iopf_chunkmap_take(), for the whole chunk.
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
 * iopf_chunkmap_dirty() - note that pages have been written
 * @m: the map, with marks
 * @page: first page; mapped or not
 * @n: pages
 */
static inline void iopf_chunkmap_dirty(struct iopf_chunkmap *m, unsigned int page, unsigned int n)
{
	bitmap_set(m->marks->dirty, page, n);
}

/**
 * iopf_chunkmap_dirty_pinned() - note that what is pinned for writing may have been written
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
 * iopf_chunkmap_forget_dirty() - note that no page has been written
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
 * @m: the map; no page that is writable but the pinned ones
 * @pins_dirty: what is pinned for writing counts as dirty
 * @bits: out: the pages to report
 *
 * Followed by iopf_chunkmap_report_end(). Pages that get dirty in between belong to the next
 * report.
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
 * iopf_chunkmap_report_end() - the report has been made, or has failed
 * @m: the map
 * @made: user space has it; otherwise its pages are dirty still
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
 * @page: in: where to look from; out: first page of the run
 * @last: where to stop looking
 * @n: out: length of the run
 * @mmio: out: whether it is of a device
 *
 * A run is all of a device or has nothing of it.
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
