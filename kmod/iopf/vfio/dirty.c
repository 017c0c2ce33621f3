// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty tracking: which pages devices have written.
 *
 * It needs no support of the hardware. While tracking is on, a page is mapped writable only when
 * a device's write faults, and the page becomes dirty then. The start of tracking and each report
 * unmap the writable pages, so the next write faults again. So a report is exact for each page,
 * while the device runs. A page that is pinned for writing may be written at any time and is dirty
 * in each report. So is a page that an emulated device has pinned, as in stock type1.
 *
 * A report is made in two steps. First, for each area in turn, its dirty bits are moved aside under
 * the chunks' locks and copied to user space. Second, when all bits have been copied, the bits that
 * were moved aside are dropped. If a copy failed, they are put back instead, so no dirty bit is
 * lost.
 *
 * The chunks contain the dirty bits. Memory that no device has touched has no chunks and no bits.
 *
 * report vs user space: copying may wait for ever, so no data is copied under the container's lock.
 *   A report is collected in pieces under that lock. Each piece continues at the address where the
 *   last one ended.
 * report vs report: one at a time, under iopf_container.reporting. Only the owner's reports hold
 *   it.
 * report vs unmap, map: if an area is unmapped between two pieces, the rest of it is not reported.
 *   If an area is mapped in between, it is reported from the report's address on.
 *
 * Locking: iopf_container.reporting, the container's lock; the chunks' inside.
 */
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "../../../core/bitpack.h"
#include "../map/area.h"
#include "../map/chunk.h"
#include "../map/span.h"
#include "attach.h"
#include "container.h"
#include "dirty.h"

/**
 * iopf_dirty_check_bitmap() - check the arguments for a bitmap in user space
 * @bitmap: the bitmap
 * @size: bytes of I/O address space that the bitmap covers
 *
 * Return: 0 or -EINVAL.
 */
int iopf_dirty_check_bitmap(const struct vfio_bitmap *bitmap, u64 size)
{
	u64 pages;

	if (!access_ok(bitmap->data, bitmap->size) || bitmap->pgsize != PAGE_SIZE)
		return -EINVAL;
	pages = size >> PAGE_SHIFT;
	if (!pages || bitmap->size > iopf_dirty_bitmap_bytes(IOPF_DIRTY_PAGES_MAX) ||
	    bitmap->size < iopf_dirty_bitmap_bytes(pages))
		return -EINVAL;
	return 0;
}

/*
 * Mark the pages dirty that emulated devices have pinned: when tracking starts, and again after
 * each report. Their chunks were made when the pages were pinned.
 */
static void mark_pins(struct iopf_area *area)
{
	unsigned long index;
	void *pin;

	xa_for_each(&area->pins, index, pin) {
		iopf_area_dirty(area, area->range.first + ((u64)index << PAGE_SHIFT), PAGE_SIZE);
		cond_resched();
	}
}

static void area_track(struct iopf_area *area)
{
	struct iopf_chunk *chunk;
	unsigned long index;

	iopf_spans_flush(area);
	/* Threads that make a chunk after this see that writes are tracked. */
	xa_lock(&area->chunks);
	xa_unlock(&area->chunks);
	chunk = NULL;
	while ((chunk = iopf_area_next_chunk(area, chunk, &index)))
		iopf_chunk_track(chunk);
	mark_pins(area);
}

/**
 * iopf_dirty_start() - VFIO_IOMMU_DIRTY_PAGES_FLAG_START
 * @c: the container, locked
 *
 * Return: 0, also when tracking is on already; -EINVAL when an area is too large for a report.
 */
int iopf_dirty_start(struct iopf_container *c)
{
	unsigned long index = 0;
	struct iopf_area *area;

	lockdep_assert_held(&c->space.lock);

	if (c->space.tracking)
		return 0;
	area = NULL;
	while ((area = iopf_space_next_area(&c->space, area, &index, ULONG_MAX)))
		if (iopf_area_pages(area) > IOPF_DIRTY_PAGES_MAX)
			return -EINVAL;

	WRITE_ONCE(c->space.tracking, true);
	index = 0;
	area = NULL;
	while ((area = iopf_space_next_area(&c->space, area, &index, ULONG_MAX)))
		area_track(area);
	return 0;
}

/**
 * iopf_dirty_stop() - VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP
 * @c: the container, locked
 *
 * Pages that are mapped read-only stay so until a write to them faults.
 */
void iopf_dirty_stop(struct iopf_container *c)
{
	lockdep_assert_held(&c->space.lock);

	WRITE_ONCE(c->space.tracking, false);
}

/* Whether any attached group may write pages that its driver has not pinned. */
static bool pins_dirty(struct iopf_container *c)
{
	struct iopf_attach *at;

	list_for_each_entry(at, &c->attaches, faults.node)
		if (!at->dirty_scope)
			return true;
	return false;
}

/* How many words of a report are collected under the container's lock at a time. */
#define REPORT_WORDS 512

/**
 * struct report - dirty pages on their way to a bitmap in user space
 * @c: the container
 * @base: the I/O virtual address of the bitmap's first bit
 * @last: the I/O virtual address of the bitmap's last bit
 * @data: the bitmap
 * @leaving: only areas that are being unmapped are reported; see iopf_area.reported
 * @at: all addresses before this one have been collected
 * @done: all addresses have been collected
 * @open: an area is being collected; @pack has its bits before @at
 * @peek: report_copy() must read the word at @to first, since an area begins in its middle
 * @peeked: report_copy() has read that word into @old, for the area at @at
 * @old: the other bits of that word, which the report keeps
 * @pack: the word that is being filled
 * @to: the place of @word in the bitmap
 * @nr: number of words in @word
 * @word: words to be copied to user space, without the container's lock
 */
struct report {
	struct iopf_container *c;
	u64 base;
	u64 last;
	u64 __user *data;
	bool leaving;
	u64 at;
	bool done;
	bool open;
	bool peek;
	bool peeked;
	u64 old;
	struct iopf_bitpack pack;
	u64 __user *to;
	unsigned int nr;
	u64 word[REPORT_WORDS];
};

/*
 * Whether a report covers an area. An area that was mapped while the lock was dropped may extend
 * beyond the report's range. It is left out, because the bits of a chunk are taken and put back
 * all at once.
 */
static bool report_has(u64 base, u64 last, bool leaving, const struct iopf_area *area)
{
	if (leaving)
		return area->reported;
	return area->range.first >= base && area->range.last <= last;
}

/* Find the area at @r->at or after it, and where to continue. The areas may have changed. */
static struct iopf_area *report_area(struct report *r, u64 *first)
{
	unsigned long index = r->at;
	struct iopf_area *area;

	mt_for_each(&r->c->space.areas, area, index, r->last) {
		cond_resched();
		if (!report_has(r->base, r->last, r->leaving, area))
			continue;
		*first = max(r->at, area->range.first);
		return area;
	}
	return NULL;
}

static void report_close(struct report *r)
{
	unsigned int fill = r->pack.fill;

	if (fill)
		r->word[r->nr++] = r->pack.word | (r->old >> fill << fill);
	r->open = false;
}

/* Begin an area. Return false if the word of its first bit must be read from user space first. */
static bool report_open(struct report *r, u64 first)
{
	u64 bit = (first - r->base) >> PAGE_SHIFT;

	if (r->at != first)
		r->peeked = false;
	r->at = first;
	r->to = r->data + bit / 64;
	r->peek = bit % 64 && !r->peeked;
	if (r->peek)
		return false;
	if (!r->peeked)
		r->old = 0;
	r->peeked = false;
	iopf_bitpack_init(&r->pack, r->old, bit % 64);
	r->open = true;
	return true;
}

/* Collect bits of an area from @r->at on, chunk by chunk, while there is room. */
static void report_fill(struct report *r, struct iopf_area *area)
{
	u64 end = min(area->range.last, r->last), last;
	bool pins = pins_dirty(r->c);

	do {
		DECLARE_BITMAP(bits, IOPF_CHUNK_PAGES) = { };
		struct iopf_chunk *chunk = iopf_area_chunk_there(area, r->at);

		last = min(r->at | (IOPF_CHUNK_SIZE - 1), end);
		if (chunk)
			iopf_chunk_report(chunk, pins, bits);
		r->nr += iopf_bitpack_add(&r->pack, bits, iopf_chunkmap_page(r->at),
					  ((last - r->at) >> PAGE_SHIFT) + 1, r->word + r->nr);
		if (r->nr)
			r->old = 0;
		r->at = last + 1;
		cond_resched();
	} while (last != end && r->nr + IOPF_BITPACK_WORDS(IOPF_CHUNK_PAGES) < REPORT_WORDS);
	if (last == end)
		report_close(r);
	r->done = last == r->last;
}

/*
 * Collect the next piece of a report. Whole words are written. The bits in them that belong to no
 * area are as in stock type1: if an area begins in the middle of a word, that word keeps its other
 * bits. In the last word of any other area the bits after the area are zero.
 *
 * Return false at the end of the report.
 */
static bool report_collect(struct report *r)
{
	struct iopf_area *area;
	u64 first = 0;

	lockdep_assert_held(&r->c->space.lock);

	r->nr = 0;
	area = r->done ? NULL : report_area(r, &first);
	/* The area that was being collected has been unmapped. */
	if (r->open && (!area || first != r->at)) {
		report_close(r);
		return true;
	}
	if (!area)
		return false;
	if (r->open || report_open(r, first))
		report_fill(r, area);
	return true;
}

/* Copy a piece to user space. This may wait for ever, so it holds only iopf_container.reporting. */
static int report_copy(struct report *r)
{
	if (r->peek) {
		r->peek = false;
		r->peeked = true;
		return get_user(r->old, r->to) ? -EFAULT : 0;
	}
	if (copy_to_user(r->to, r->word, r->nr * sizeof(*r->word)))
		return -EFAULT;
	r->to += r->nr;
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/**
 * iopf_dirty_report() - copy dirty pages to user space
 * @c: the container, locked; unlocked meanwhile, so areas may be mapped and unmapped
 * @range: the addresses that the bitmap covers
 * @data: the bitmap; large enough
 * @leaving: report only areas that are being unmapped
 *
 * Followed by iopf_dirty_report_end(), also after an error.
 *
 * Context: process context, under iopf_container.reporting and the container's lock.
 * Return: 0, -EFAULT, -ENOMEM, -EINTR.
 */
int iopf_dirty_report(struct iopf_container *c, const struct iopf_range *range, u64 __user *data,
		      bool leaving)
{
	struct report *r = kzalloc(sizeof(*r), GFP_KERNEL_ACCOUNT);
	int ret = 0;

	lockdep_assert_held(&c->reporting);
	lockdep_assert_held(&c->space.lock);

	if (!r)
		return -ENOMEM;
	r->c = c;
	r->base = range->first;
	r->at = range->first;
	r->last = range->last;
	r->data = data;
	r->leaving = leaving;
	while (!ret && report_collect(r)) {
		iopf_space_unlock_to_wait(&c->space);
		ret = report_copy(r);
		iopf_space_relock(&c->space);
	}
	kfree(r);
	return ret;
}

/**
 * iopf_dirty_report_end() - drop the bits of a report, or put them back
 * @c: the container, locked
 * @range: as of iopf_dirty_report()
 * @leaving: as of iopf_dirty_report()
 * @made: the whole report has been copied to user space
 */
void iopf_dirty_report_end(struct iopf_container *c, const struct iopf_range *range, bool leaving,
			   bool made)
{
	unsigned long index = range->first, i;
	struct iopf_chunk *chunk;
	struct iopf_area *area;

	lockdep_assert_held(&c->space.lock);

	area = NULL;
	while ((area = iopf_space_next_area(&c->space, area, &index, range->last))) {
		if (!report_has(range->first, range->last, leaving, area))
			continue;
		chunk = NULL;
		while ((chunk = iopf_area_next_chunk(area, chunk, &i)))
			iopf_chunk_report_end(chunk, made);
		if (made)
			mark_pins(area);
	}
}

/**
 * iopf_dirty_get() - VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP
 * @c: the container
 * @iova: first address
 * @size: bytes; alignment and overflow of @iova and @size have been checked
 * @bitmap: has been checked
 *
 * Return: 0; -EINVAL when the range cuts an area or writes are not tracked; -EFAULT; -ENOMEM;
 * -EINTR.
 */
int iopf_dirty_get(struct iopf_container *c, u64 iova, u64 size, const struct vfio_bitmap *bitmap)
{
	struct iopf_range range = { .first = iova, .last = iova + (size - 1) };
	int ret;

	if (mutex_lock_killable(&c->reporting))
		return -EINTR;
	ret = mutex_lock_killable(&c->space.lock);
	if (!ret) {
		ret = -EINVAL;
		if (c->space.tracking && !iopf_container_bisected(c, &range)) {
			ret = iopf_dirty_report(c, &range, bitmap->data, false);
			iopf_dirty_report_end(c, &range, false, !ret);
		}
		mutex_unlock(&c->space.lock);
	}
	mutex_unlock(&c->reporting);
	return ret;
}

/**
 * iopf_dirty_mark_all() - mark pinned pages dirty, since a device that may have written them leaves
 * @c: the container, locked
 *
 * So the pages are dirty in the next report, whether they are unpinned afterwards or stay pinned
 * for another reason.
 */
void iopf_dirty_mark_all(struct iopf_container *c)
{
	struct iopf_chunk *chunk;
	struct iopf_area *area;
	unsigned long i, index = 0;

	lockdep_assert_held(&c->space.lock);

	if (!c->space.tracking)
		return;
	area = NULL;
	while ((area = iopf_space_next_area(&c->space, area, &index, ULONG_MAX))) {
		chunk = NULL;
		while ((chunk = iopf_area_next_chunk(area, chunk, &i)))
			iopf_chunk_dirty_pinned(chunk);
	}
}
