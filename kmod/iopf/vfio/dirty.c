// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty tracking: which pages devices have written.
 *
 * It needs nothing of the hardware. While it is on, a page becomes writable only for a
 * write access, by a fault, and gets dirty then. Starting and each report take away what is
 * writable, so the next write faults again. So the answer is exact, a
 * page at a time, on a running device. What is pinned for writing may be written at any
 * time and is dirty in each report; so is what an emulated device has pinned, by
 * the rule of stock type1.
 *
 * A report is made in two steps. First each area in turn: its dirty bits are moved
 * aside under the chunks' locks and copied to user space. Then, when all of them have been
 * copied, those bits are dropped; or, when user space could not take them, put back: a
 * report that fails has lost nothing.
 *
 * What does not exist costs nothing: the bits are the chunks'.
 *
 * report vs user space: copying may wait for ever, so nothing is copied under the container's
 *   lock. A report is collected in pieces under it, and goes on by address.
 * report vs report: one at a time, under iopf_container.reporting. Only the owner's reports hold it.
 * report vs unmap, map: an area that goes in between is not reported any further, and one that
 *   comes is, from where the report is.
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
 * iopf_dirty_check_bitmap() - check what user space says of its bitmap
 * @bitmap: where the answer goes
 * @size: bytes of I/O address space it is about
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
 * Pages that emulated devices have pinned are dirty from the start, and again after each
 * report. Their chunks have been made when they were pinned.
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
	/* A chunk that is made after this knows that writes are tracked. */
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
 * Return: 0, also when tracking is on already; -EINVAL when an area is too large for any
 * report.
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
 * Pages that are mapped for reading only become writable again by faults.
 */
void iopf_dirty_stop(struct iopf_container *c)
{
	lockdep_assert_held(&c->space.lock);

	WRITE_ONCE(c->space.tracking, false);
}

/* Whether any attached group writes what it likes, rather than what its driver pins. */
static bool pins_dirty(struct iopf_container *c)
{
	struct iopf_attach *at;

	list_for_each_entry(at, &c->attaches, faults.node)
		if (!at->dirty_scope)
			return true;
	return false;
}

/* Words of a report that are made under the container's lock at a time. */
#define REPORT_WORDS 512

/**
 * struct report - dirty pages on their way to a bitmap in user space
 * @c: the container
 * @base: the I/O virtual address of the bitmap's first bit
 * @last: of its last
 * @data: the bitmap
 * @leaving: of areas that are being unmapped only; see iopf_area.reported
 * @at: what is before this has been collected
 * @done: so is all of it
 * @open: @pack has the bits before @at
 * @peek: the word at @to is wanted, since an area begins in its middle
 * @peeked: @old is the word for the area at @at
 * @old: what is in the word beside the area's bits, as far as it counts
 * @pack: the word that is being filled
 * @to: where @word goes
 * @nr: words in @word
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
 * Whether a report is about an area. One that was mapped while the lock was dropped may go beyond
 * the report's range: it is left out, since its bits are taken and given by the chunk.
 */
static bool report_has(u64 base, u64 last, bool leaving, const struct iopf_area *area)
{
	if (leaving)
		return area->reported;
	return area->range.first >= base && area->range.last <= last;
}

/* The area to go on with, and where in it. Others may have come or gone since the last time. */
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

/* Begin with an area. False: the word that its first bit is in has to be read before. */
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

/* Bits of an area from @r->at on, as many as there is room for, whole chunks of it. */
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
 * The next piece of a report. Words are written as a whole, and what is in them beside the areas'
 * bits is as stock type1 has it: a word in whose middle an area begins keeps its other bits, the
 * last word of an area that begins elsewhere is zero after it.
 *
 * False: there is no more.
 */
static bool report_collect(struct report *r)
{
	struct iopf_area *area;
	u64 first = 0;

	lockdep_assert_held(&r->c->space.lock);

	r->nr = 0;
	area = r->done ? NULL : report_area(r, &first);
	/* What went on here is not mapped any more. */
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

/* The part of it that may wait for user space: with no lock that anybody else takes. */
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
 * @c: the container, locked; unlocked meanwhile, so that areas may come and go
 * @range: what the bitmap is about
 * @data: the bitmap; large enough
 * @leaving: report areas that are being unmapped, rather than all
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
 * iopf_dirty_report_end() - a report has been made, or has failed
 * @c: the container, locked
 * @range: what it was about
 * @leaving: as of iopf_dirty_report()
 * @made: user space has it
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
 * @size: bytes; both have been checked as numbers
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
 * iopf_dirty_mark_all() - a device leaves that may have written anything that is pinned
 * @c: the container, locked
 *
 * Those pages are counted as dirty once more when they are no longer pinned; where they
 * stay pinned for somebody else, now.
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
