// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chunks: which pages have been written, for reports of dirty pages. See vfio/dirty.c.
 *
 * Locking: the chunk's lock.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "area.h"
#include "chunk.h"
#include "chunk_private.h"
#include "space.h"

/**
 * iopf_chunk_track() - begin to track writes: no page is dirty and no page is writable
 * @chunk: the chunk; @tracking of its space is set already
 */
void iopf_chunk_track(struct iopf_chunk *chunk)
{
	spin_lock(&chunk->lock);
	iopf_chunk_zap_writable(chunk);
	iopf_chunkmap_forget_dirty(&chunk->map);
	chunk_settle(chunk, IOPF_SETTLE_LOST);
	spin_unlock(&chunk->lock);
}

/**
 * iopf_chunk_report() - take the pages that have been written since the last report
 * @chunk: the chunk
 * @pins_dirty: pages that are pinned for writing count as written
 * @bits: out: bitmap of the chunk's pages
 *
 * A page that is written from now on belongs to the next report. The caller then calls
 * iopf_chunk_report_end().
 */
void iopf_chunk_report(struct iopf_chunk *chunk, bool pins_dirty, unsigned long *bits)
{
	spin_lock(&chunk->lock);
	iopf_chunk_zap_writable(chunk);
	iopf_chunkmap_report(&chunk->map, pins_dirty, bits);
	chunk_settle(chunk, IOPF_SETTLE_LOST);
	spin_unlock(&chunk->lock);
}

/**
 * iopf_chunk_report_end() - end a report that has been made, or has failed
 * @chunk: the chunk
 * @made: user space has the report
 */
void iopf_chunk_report_end(struct iopf_chunk *chunk, bool made)
{
	spin_lock(&chunk->lock);
	iopf_chunkmap_report_end(&chunk->map, made);
	spin_unlock(&chunk->lock);
}

/**
 * iopf_chunk_dirty() - note that a driver of an emulated device may have written pages
 * @chunk: the chunk
 * @page: first page
 * @n: pages
 *
 * Context: process context, under the space's lock; sleeps.
 */
void iopf_chunk_dirty(struct iopf_chunk *chunk, unsigned int page, unsigned int n)
{
	iopf_chunk_marks(chunk, GFP_KERNEL_ACCOUNT | __GFP_NOFAIL);
	spin_lock(&chunk->lock);
	iopf_chunkmap_dirty(&chunk->map, page, n);
	spin_unlock(&chunk->lock);
}

/**
 * iopf_chunk_dirty_pinned() - note that a device may have written the pages pinned for writing
 * @chunk: the chunk
 */
void iopf_chunk_dirty_pinned(struct iopf_chunk *chunk)
{
	spin_lock(&chunk->lock);
	iopf_chunkmap_dirty_pinned(&chunk->map);
	spin_unlock(&chunk->lock);
}

/**
 * iopf_area_dirty() - note that a driver of an emulated device may write to memory
 * @area: the area
 * @iova: first address
 * @size: bytes, within the area
 *
 * Return: 0 or -ENOMEM; always 0 where the chunks exist.
 */
int iopf_area_dirty(struct iopf_area *area, u64 iova, u64 size)
{
	u64 last = iova + (size - 1);

	lockdep_assert_held(&area->space->lock);

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
		cond_resched();
	}
}
