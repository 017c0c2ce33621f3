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
 * Locking: the container's lock; the chunks' inside.
 */
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "../../core/bitpack.h"
#include "area.h"
#include "attach.h"
#include "chunk.h"
#include "container.h"
#include "dirty.h"
#include "span.h"

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

	xa_for_each(&area->pins, index, pin)
		iopf_dirty_mark(area, area->range.first + ((u64)index << PAGE_SHIFT), PAGE_SIZE);
}

static void area_track(struct iopf_area *area)
{
	struct iopf_chunk *chunk;
	unsigned long index;

	iopf_spans_flush(area);
	/* A chunk that is made after this knows that writes are tracked. */
	xa_lock(&area->chunks);
	xa_unlock(&area->chunks);
	xa_for_each(&area->chunks, index, chunk) {
		iopf_chunk_track(chunk);
		cond_resched();
	}
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

	lockdep_assert_held(&c->lock);

	if (c->tracking)
		return 0;
	mt_for_each(&c->areas, area, index, ULONG_MAX)
		if (iopf_area_pages(area) > IOPF_DIRTY_PAGES_MAX)
			return -EINVAL;

	WRITE_ONCE(c->tracking, true);
	index = 0;
	mt_for_each(&c->areas, area, index, ULONG_MAX)
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
	lockdep_assert_held(&c->lock);

	WRITE_ONCE(c->tracking, false);
}

/* Whether any attached group writes what it likes, rather than what its driver pins. */
static bool pins_dirty(struct iopf_container *c)
{
	struct iopf_attach *at;

	list_for_each_entry(at, &c->attaches, node)
		if (!at->dirty_scope)
			return true;
	return false;
}

/* A bitmap in user space that is being written, from some bit on. */
struct out {
	u64 __user *at;
	u64 old; /* what is in the word at @at, as far as it counts */
	struct iopf_bitpack pack;
};

static int out_begin(struct out *out, u64 __user *data, u64 bit)
{
	out->at = data + bit / 64;
	out->old = 0;
	if (bit % 64 && get_user(out->old, out->at))
		return -EFAULT;
	iopf_bitpack_init(&out->pack, out->old, bit % 64);
	return 0;
}

static int out_add(struct out *out, const unsigned long *bits, unsigned int first, unsigned int n)
{
	u64 words[IOPF_BITPACK_WORDS(IOPF_CHUNK_PAGES)];
	unsigned int nr = iopf_bitpack_add(&out->pack, bits, first, n, words);

	if (copy_to_user(out->at, words, nr * sizeof(*words)))
		return -EFAULT;
	out->at += nr;
	if (nr)
		out->old = 0;
	return 0;
}

static int out_end(struct out *out)
{
	unsigned int fill = out->pack.fill;

	if (fill && put_user(out->pack.word | (out->old >> fill << fill), out->at))
		return -EFAULT;
	return 0;
}

/**
 * iopf_dirty_report() - copy an area's dirty pages to user space
 * @area: the area
 * @base: the I/O virtual address of the bitmap's first bit
 * @data: the bitmap; large enough
 *
 * Words are written as a whole, and what is in them beside the area's bits is as stock type1 has
 * it: a word in whose middle the area begins keeps its other bits, the last word of an area that
 * begins elsewhere is zero after it.
 *
 * Followed by iopf_dirty_report_end(), also after an error.
 *
 * Context: process context, under the container's lock.
 * Return: 0 or -EFAULT.
 */
int iopf_dirty_report(struct iopf_area *area, u64 base, u64 __user *data)
{
	bool pins = pins_dirty(area->container);
	u64 iova = area->range.first;
	struct out out;

	lockdep_assert_held(&area->container->lock);

	if (out_begin(&out, data, (iova - base) >> PAGE_SHIFT))
		return -EFAULT;
	for (;;) {
		DECLARE_BITMAP(bits, IOPF_CHUNK_PAGES) = { };
		u64 last = min(iova | (IOPF_CHUNK_SIZE - 1), area->range.last);
		struct iopf_chunk *chunk = xa_load(&area->chunks, iova >> IOPF_CHUNK_SHIFT);

		if (chunk)
			iopf_chunk_report(chunk, pins, bits);
		if (out_add(&out, bits, iopf_chunkmap_page(iova),
			    ((last - iova) >> PAGE_SHIFT) + 1))
			return -EFAULT;
		if (last == area->range.last)
			return out_end(&out);
		iova = last + 1;
		cond_resched();
	}
}

/**
 * iopf_dirty_report_end() - the report that an area was in has been made, or has failed
 * @area: the area, whether its turn had come or not
 * @made: user space has it
 */
void iopf_dirty_report_end(struct iopf_area *area, bool made)
{
	struct iopf_chunk *chunk;
	unsigned long index;

	lockdep_assert_held(&area->container->lock);

	xa_for_each(&area->chunks, index, chunk) {
		iopf_chunk_report_end(chunk, made);
		cond_resched();
	}
	if (made)
		mark_pins(area);
}

/**
 * iopf_dirty_get() - VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP
 * @c: the container, locked
 * @iova: first address
 * @size: bytes; both have been checked as numbers
 * @bitmap: has been checked
 *
 * Return: 0; -EINVAL when the range cuts an area or writes are not tracked; -EFAULT.
 */
int iopf_dirty_get(struct iopf_container *c, u64 iova, u64 size, const struct vfio_bitmap *bitmap)
{
	struct iopf_range range = { .first = iova, .last = iova + (size - 1) };
	unsigned long index = range.first;
	struct iopf_area *area;
	int ret = 0;

	lockdep_assert_held(&c->lock);

	if (!c->tracking || iopf_container_bisected(c, &range))
		return -EINVAL;
	mt_for_each(&c->areas, area, index, range.last) {
		ret = iopf_dirty_report(area, iova, bitmap->data);
		if (ret)
			break;
	}
	index = range.first;
	mt_for_each(&c->areas, area, index, range.last)
		iopf_dirty_report_end(area, !ret);
	return ret;
}

/**
 * iopf_dirty_mark() - note that somebody else than a device writes to memory
 * @area: the area
 * @iova: first address
 * @size: bytes, within the area
 *
 * Return: 0 or -ENOMEM; always 0 where chunks have been made.
 */
int iopf_dirty_mark(struct iopf_area *area, u64 iova, u64 size)
{
	u64 last = iova + (size - 1);

	lockdep_assert_held(&area->container->lock);

	for (;;) {
		struct iopf_chunk *chunk = iopf_area_chunk(area, iova, GFP_KERNEL_ACCOUNT);
		u64 end = min(iova | (IOPF_CHUNK_SIZE - 1), last);
		unsigned int first = iopf_chunkmap_page(iova);

		if (IS_ERR(chunk))
			return PTR_ERR(chunk);
		iopf_chunk_dirty(chunk, first, iopf_chunkmap_page(end) - first + 1);
		if (end == last)
			return 0;
		iova = end + 1;
	}
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

	lockdep_assert_held(&c->lock);

	if (!c->tracking)
		return;
	mt_for_each(&c->areas, area, index, ULONG_MAX)
		xa_for_each(&area->chunks, i, chunk)
			iopf_chunk_dirty_pinned(chunk);
}
