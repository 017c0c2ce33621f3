// SPDX-License-Identifier: GPL-2.0-only
/*
 * Areas: unmapping pages that are not pinned, when the CPU's page tables change, or when the host
 * looks which pages are used.
 *
 * The notifier (host/mm.c) comes here with CPU addresses of an area. It holds iopf_mm.lock, and may
 * hold a lock of the page tables. So each function here is short, or stops when another task wants
 * the processor.
 *
 * Locking: iopf_mm.lock or the space's lock; the locks of spans and chunks inside.
 */
#include <linux/mm.h>
#include <linux/sched.h>

#include "../host/mm.h"
#include "area.h"
#include "chunk.h"
#include "space.h"
#include "span.h"

/* The host unmaps at most this many chunks in one look. The next look unmaps more. */
#define AGE_CHUNKS	8

/* The pages of @chunk that lie in @range. */
static void chunk_part(const struct iopf_chunk *chunk, const struct iopf_range *range,
		       unsigned int *first, unsigned int *last)
{
	u64 end = chunk->iova + (IOPF_CHUNK_SIZE - 1);

	*first = range->first > chunk->iova ? iopf_chunkmap_page(range->first) : 0;
	*last = range->last < end ? iopf_chunkmap_page(range->last) : IOPF_CHUNK_PAGES - 1;
}

/* Unmap the pages of @chunk that lie in @range and are not pinned. Returns their number. */
static unsigned int chunk_zap_part(struct iopf_chunk *chunk, const struct iopf_range *range,
				   bool age)
{
	unsigned int first, last, zapped;

	chunk_part(chunk, range, &first, &last);
	zapped = iopf_chunk_zap(chunk, first, last, age);
	if (zapped)
		WRITE_ONCE(chunk->lost, true);
	return zapped;
}

/*
 * Unmap chunks of a range until another task wants the processor. Returns whether anything is left.
 * Then @range is the part that is left.
 */
static bool area_zap_chunks_some(struct iopf_area *area, struct iopf_range *range,
				 unsigned int *all)
{
	struct iopf_chunk *chunk;
	unsigned long index;

	xa_for_each_range(&area->chunks, index, chunk, iopf_area_chunk_index(area, range->first),
			  iopf_area_chunk_index(area, range->last)) {
		*all += chunk_zap_part(chunk, range, false);
		if (need_resched() && range->last - chunk->iova >= IOPF_CHUNK_SIZE) {
			range->first = chunk->iova + IOPF_CHUNK_SIZE;
			return true;
		}
	}
	return false;
}

/**
 * iopf_area_zap_some() - unmap pages of a range that are not pinned, until another task wants the
 *                        processor
 * @area: the area
 * @range: within it; out: the part that is left
 * @zapped: incremented by the pages unmapped
 *
 * Context: any that may take a spinlock.
 * Return: whether anything is left.
 */
bool iopf_area_zap_some(struct iopf_area *area, struct iopf_range *range, unsigned int *zapped)
{
	for (;;) {
		struct iopf_range part = *range;

		/* In one GiB either a span is mapped or chunks are, never both. */
		if (!xa_empty(&area->spans))
			part.last = min(range->first | (IOPF_SPAN_SIZE - 1), range->last);
		*zapped += iopf_spans_zap(area, &part);
		if (area_zap_chunks_some(area, &part, zapped)) {
			range->first = part.first;
			return true;
		}
		if (part.last == range->last)
			return false;
		range->first = part.last + 1;
		if (need_resched())
			return true;
	}
}

/**
 * iopf_area_zap_chunks() - unmap pages of a range that chunks map and that are not pinned
 * @area: the area
 * @range: within it
 * @age: see iopf_chunk_zap()
 *
 * Context: any that may take a spinlock.
 * Return: pages unmapped.
 */
unsigned int iopf_area_zap_chunks(struct iopf_area *area, const struct iopf_range *range,
				  bool age)
{
	unsigned int all = 0, zapped, aged = 0;
	struct iopf_chunk *chunk;
	unsigned long index;

	xa_for_each_range(&area->chunks, index, chunk, iopf_area_chunk_index(area, range->first),
			  iopf_area_chunk_index(area, range->last)) {
		zapped = chunk_zap_part(chunk, range, age);
		all += zapped;
		/* The answer is known, and the caller holds a lock of the page tables. */
		if (age && zapped && ++aged == AGE_CHUNKS)
			break;
	}
	return all;
}

/*
 * Whether a page of the range may be mapped. Reclaim asks for single pages by the hundred, mostly
 * for pages that are not mapped. So this is fast for a single page. It takes no lock: the next look
 * sees a page that is mapped after this one.
 */
static bool area_may_be_mapped(struct iopf_area *area, const struct iopf_range *range)
{
	struct iopf_chunk *chunk;

	if (range->first >> PAGE_SHIFT != range->last >> PAGE_SHIFT || !xa_empty(&area->spans))
		return true;
	chunk = iopf_area_chunk_there(area, range->first);
	return chunk && iopf_chunkmap_lookup(&chunk->map, iopf_chunkmap_page(range->first),
					     false) != IOPF_MISS;
}

static bool area_mapped(struct iopf_area *area, const struct iopf_range *range)
{
	struct iopf_chunk *chunk;
	unsigned long index;
	unsigned int first, last;
	bool mapped = iopf_spans_mapped(area, range);

	if (mapped)
		return true;
	xa_for_each_range(&area->chunks, index, chunk, iopf_area_chunk_index(area, range->first),
			  iopf_area_chunk_index(area, range->last)) {
		chunk_part(chunk, range, &first, &last);
		spin_lock(&chunk->lock);
		mapped = find_next_bit(chunk->map.present, last + 1, first) <= last;
		spin_unlock(&chunk->lock);
		if (mapped)
			return true;
	}
	return false;
}

/* Callbacks for changes of the process's memory; see struct iopf_mm_ops. */

static struct iopf_range cpu_range(const struct iopf_area *area, unsigned long first,
				   unsigned long last)
{
	return (struct iopf_range){
		.first = area->range.first + (first - area->cpu.node.start),
		.last = area->range.first + (last - area->cpu.node.start),
	};
}

static bool cpu_zap_some(struct iopf_mm_range *cpu, unsigned long *from, unsigned long last,
			 unsigned int *zapped)
{
	struct iopf_area *area = container_of(cpu, struct iopf_area, cpu);
	struct iopf_range left = cpu_range(area, *from, last);

	if (iopf_area_zap_some(area, &left, zapped)) {
		*from = cpu->node.start + (unsigned long)(left.first - area->range.first);
		return true;
	}
	if (unlikely(*zapped && READ_ONCE(area->mmio)))
		iopf_space_repair(area->space);
	return false;
}

static bool cpu_mapped(struct iopf_mm_range *cpu, unsigned long first, unsigned long last)
{
	struct iopf_area *area = container_of(cpu, struct iopf_area, cpu);
	struct iopf_range range = cpu_range(area, first, last);

	return area_mapped(area, &range);
}

static bool cpu_age(struct iopf_mm_range *cpu, unsigned long first, unsigned long last)
{
	struct iopf_area *area = container_of(cpu, struct iopf_area, cpu);
	struct iopf_range range = cpu_range(area, first, last);
	unsigned int zapped;

	if (!area_may_be_mapped(area, &range))
		return false;
	zapped = iopf_spans_zap(area, &range);
	zapped += iopf_area_zap_chunks(area, &range, true);
	if (unlikely(zapped && READ_ONCE(area->mmio)))
		iopf_space_repair(area->space);
	return zapped;
}

const struct iopf_mm_ops iopf_area_mm_ops = {
	.zap_some = cpu_zap_some,
	.mapped = cpu_mapped,
	.age = cpu_age,
};
