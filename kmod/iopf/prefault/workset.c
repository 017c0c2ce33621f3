// SPDX-License-Identifier: GPL-2.0-only
/*
 * Working sets: the pages that the devices of a space have mapped, exported to user space as a
 * string of bytes (core/workset.h). User space can import it into another space, after a restart or
 * on another machine.
 *
 * Heat. A device does not report which mapped pages it uses. But a page that was unmapped, by the
 * aging of the host or for another reason, and was then faulted in again, is in use. Each chunk
 * counts how often that has happened, each time once, however many pages were unmapped
 * (iopf_chunk.heat). Pages that stay mapped all the time stay in the set with the heat of their
 * chunk: aging would have unmapped them for good if they were not used. Where the host never looked
 * for unused pages, the heat is 0. So without memory pressure the set is in the order of addresses.
 * Under pressure, hot chunks come first.
 *
 * An area need not begin at a chunk boundary. So two areas may share the addresses of one chunk:
 * they make one record.
 *
 * export vs faults: each chunk is exported as it is at one moment; faults continue meanwhile.
 * export vs map, unmap: records are made in pieces under the space's lock, and each piece begins at
 *   the address where the one before has ended. The lock is dropped for the copy to user space,
 *   which may wait without a limit.
 *
 * Locking: the space's lock; the locks of chunks nest inside.
 */
#include <linux/cleanup.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio_iopf.h>
#include <linux/vmalloc.h>

#include "../../../core/workset.h"
#include "../map/area.h"
#include "../map/chunk.h"
#include "../map/span.h"
#include "../map/space.h"
#include "request.h"
#include "workset.h"

/* Bytes of records that are made under the space's lock at a time. */
#define EXPORT_PIECE	SZ_64K

/* Bytes that are copied from user space between two calls of cond_resched(). */
#define IMPORT_PIECE	SZ_64K

/* Room that must be left in a piece: the chunks of one span may take that many bytes. */
#define EXPORT_LEAST	((IOPF_SPAN_SIZE / IOPF_CHUNK_SIZE + 1) * IOPF_WORKSET_RECORD)

/**
 * struct export - a working set that is being written to user space
 * @to: the buffer in user space
 * @room: size of the buffer
 * @size: size of the working set so far
 * @records: number of records so far
 * @next: the chunk after the last record
 * @chunk: the record that comes next, if @pending: another area may have a part of the chunk
 * @pending: @chunk is valid
 * @at: I/O virtual addresses before this have been exported
 * @done: all addresses have been exported
 * @fill: bytes in @piece
 * @piece: records to be copied to user space, without the space's lock
 */
struct export {
	u8 __user *to;
	u64 room;
	u64 size;
	u32 records;
	u64 next;
	struct iopf_workset_chunk chunk;
	bool pending;
	u64 at;
	bool done;
	unsigned int fill;
	u8 piece[EXPORT_PIECE];
};

/* Make a record of the pending chunk, if there is room. Count its size in any case. */
static int export_flush(struct export *e)
{
	unsigned int n;

	if (!e->pending)
		return 0;
	e->pending = false;
	n = iopf_workset_put(e->piece + e->fill, e->next, &e->chunk);
	if (e->size + n <= e->room)
		e->fill += n;
	e->next = e->chunk.nr + 1;
	e->size += n;
	e->records++;
	return e->size > VFIO_IOPF_WORKING_SET_MAX ? -E2BIG : 0;
}

static bool export_full(const struct export *e)
{
	return e->fill > EXPORT_PIECE - EXPORT_LEAST;
}

static int export_chunk(struct export *e, struct iopf_chunk *chunk)
{
	u64 nr = chunk->iova >> IOPF_CHUNK_SHIFT;
	int ret;

	if (e->pending && e->chunk.nr != nr) {
		ret = export_flush(e);
		if (ret)
			return ret;
	}
	/* The chunk may have been part of a larger leaf a moment ago, and be exported already. */
	if (!e->pending && nr < e->next)
		return 0;
	spin_lock(&chunk->lock);
	if (!iopf_chunkmap_empty(&chunk->map)) {
		if (!e->pending)
			e->chunk = (struct iopf_workset_chunk){ .nr = nr };
		e->pending = true;
		bitmap_or(e->chunk.pages, e->chunk.pages, chunk->map.present, IOPF_CHUNK_PAGES);
		e->chunk.heat = max_t(unsigned int, e->chunk.heat, chunk->heat);
		e->chunk.write |= !bitmap_empty(chunk->map.writable, IOPF_CHUNK_PAGES);
	}
	spin_unlock(&chunk->lock);
	return 0;
}

/* Export a leaf of 1 GiB as full chunks. The chunks themselves map nothing. */
static int export_span(struct export *e, const struct iopf_span *span)
{
	u64 nr = span->iova >> IOPF_CHUNK_SHIFT, last = nr + IOPF_SPAN_SIZE / IOPF_CHUNK_SIZE - 1;
	int ret = 0;

	for (; nr <= last && !ret; nr++) {
		ret = export_flush(e);
		if (nr < e->next)
			continue;
		e->chunk = (struct iopf_workset_chunk){
			.nr = nr,
			.write = READ_ONCE(span->writable),
		};
		bitmap_fill(e->chunk.pages, IOPF_CHUNK_PAGES);
		e->pending = true;
	}
	return ret;
}

/* Export the leaves of an area from span *@i on, up to those that begin after @chunk. */
static int export_spans(struct export *e, struct iopf_area *area, unsigned long *i,
			unsigned long chunk)
{
	struct iopf_span *span;
	int ret = 0;

	while (!ret && !export_full(e) &&
	       (span = xa_find(&area->spans, i, ULONG_MAX, XA_PRESENT)) &&
	       span->iova >> IOPF_CHUNK_SHIFT <= chunk) {
		if (READ_ONCE(span->mapped))
			ret = export_span(e, span);
		++*i;
		cond_resched();
	}
	return ret;
}

/* Continue behind @last, or end if @last is the last address of all. */
static void export_go_on(struct export *e, u64 last)
{
	e->at = last + 1;
	e->done = !e->at;
}

/* Export an area from @e->at on, until the piece is full. */
static int export_area(struct export *e, struct iopf_area *area)
{
	u64 first = max(e->at, area->range.first);
	unsigned long i, spans = first >> IOPF_SPAN_SHIFT;
	struct iopf_chunk *chunk;
	int ret;

	xa_for_each_start(&area->chunks, i, chunk, iopf_area_chunk_index(area, first)) {
		ret = export_spans(e, area, &spans, chunk->iova >> IOPF_CHUNK_SHIFT);
		if (ret || export_full(e))
			return ret;
		ret = export_chunk(e, chunk);
		if (ret)
			return ret;
		export_go_on(e, min(chunk->iova | (IOPF_CHUNK_SIZE - 1), area->range.last));
		if (export_full(e))
			return 0;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	ret = export_spans(e, area, &spans, ULONG_MAX);
	if (!ret && !export_full(e))
		export_go_on(e, area->range.last);
	return ret;
}

/* Make the next piece, from @e->at on. */
static int export_collect(struct iopf_space *space, struct export *e)
{
	struct iopf_area *area;
	unsigned long index;
	int ret;

	lockdep_assert_held(&space->lock);

	while (!export_full(e)) {
		index = e->at;
		area = e->done ? NULL : mt_find(&space->areas, &index, ULONG_MAX);
		e->done = !area;
		if (!area)
			return export_flush(e);
		ret = export_area(e, area);
		if (ret)
			return ret;
		/* Most areas may have nothing mapped. */
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static void age_areas(struct iopf_space *space)
{
	struct iopf_chunk *chunk;
	struct iopf_area *area;
	unsigned long index = 0, i;

	lockdep_assert_held(&space->lock);

	area = NULL;
	while ((area = iopf_space_next_area(space, area, &index, ULONG_MAX))) {
		chunk = NULL;
		while ((chunk = iopf_area_next_chunk(area, chunk, &i))) {
			spin_lock(&chunk->lock);
			chunk->heat /= 2;
			spin_unlock(&chunk->lock);
		}
	}
}

/* Make all records and copy them to user space. The space's lock is dropped for each copy. */
static int export_all(struct iopf_space *space, struct export *e)
{
	u8 __user *to = e->to + IOPF_WORKSET_HEADER;
	int ret = 0;

	lockdep_assert_held(&space->lock);

	do {
		e->fill = 0;
		ret = export_collect(space, e);
		iopf_space_unlock_to_wait(space);
		if (!ret && copy_to_user(to, e->piece, e->fill))
			ret = -EFAULT;
		iopf_space_relock(space);
		to += e->fill;
	} while (!ret && !e->done);
	return ret;
}

/**
 * iopf_workset_export() - VFIO_IOPF_WORKING_SET_SAVE
 * @space: the space
 * @arg: argsz and flags have been checked; size: out: size of the working set
 *
 * Context: process context; takes the space's lock.
 * Return: 0; -ENOSPC: the buffer is too small, and @arg has the size that is needed; -EFAULT,
 * -EINTR, -E2BIG, -ENOMEM.
 */
int iopf_workset_export(struct iopf_space *space, struct vfio_iopf_working_set *arg)
{
	u8 __user *to = u64_to_user_ptr(arg->data);
	u8 header[IOPF_WORKSET_HEADER];
	struct export *e;
	int ret;

	e = kvzalloc(sizeof(*e), GFP_KERNEL_ACCOUNT);
	if (!e)
		return -ENOMEM;
	e->to = to;
	e->room = arg->size;
	e->size = IOPF_WORKSET_HEADER;
	ret = mutex_lock_killable(&space->lock);
	if (!ret) {
		ret = export_all(space, e);
		mutex_unlock(&space->lock);
	}
	arg->size = e->size;
	if (!ret && e->size > e->room)
		ret = -ENOSPC;
	if (!ret) {
		iopf_workset_put_header(header, e->records, e->size - IOPF_WORKSET_HEADER);
		if (copy_to_user(to, header, sizeof(header)))
			ret = -EFAULT;
	}
	kvfree(e);
	if (!ret && arg->flags & VFIO_IOPF_WORKING_SET_AGE) {
		ret = mutex_lock_killable(&space->lock);
		if (!ret) {
			age_areas(space);
			mutex_unlock(&space->lock);
		}
	}
	return ret;
}

/*
 * Allocate a buffer, which the caller frees with kvfree(). 2 MiB pages are avoided, because each
 * may be cleared without a chance to reschedule.
 */
static u8 *import_alloc(u64 size)
{
	return size < PMD_SIZE ? kvmalloc(size, GFP_KERNEL_ACCOUNT)
			       : __vmalloc(size, GFP_KERNEL_ACCOUNT);
}

static int import_copy(u8 *to, const u8 __user *from, u64 size)
{
	for (u64 done = 0, n; done < size; done += n) {
		n = min_t(u64, size - done, IMPORT_PIECE);
		if (copy_from_user(to + done, from + done, n))
			return -EFAULT;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/**
 * iopf_workset_import() - VFIO_IOPF_WORKING_SET_RESTORE
 * @space: the space
 * @arg: argsz, flags and reserved have been checked
 *
 * Context: process context; takes the space's lock.
 * Return: a request for the working set, not started; or an error pointer.
 */
struct iopf_prefault *iopf_workset_import(struct iopf_space *space,
					  const struct vfio_iopf_working_set_restore *arg)
{
	bool signal = arg->flags & VFIO_IOPF_WORKING_SET_EVENTFD;
	u8 *data;
	int ret;

	if (arg->size < IOPF_WORKSET_HEADER)
		return ERR_PTR(-EINVAL);
	if (arg->size > VFIO_IOPF_WORKING_SET_MAX)
		return ERR_PTR(-E2BIG);
	if (signal && arg->eventfd < 0)
		return ERR_PTR(-EBADF);
	data = import_alloc(arg->size);
	if (!data)
		return ERR_PTR(-ENOMEM);
	ret = import_copy(data, u64_to_user_ptr(arg->data), arg->size);
	if (ret) {
		kvfree(data);
		return ERR_PTR(ret);
	}
	return iopf_prefault_of_workset(space, data, arg->size, signal ? arg->eventfd : -1);
}
