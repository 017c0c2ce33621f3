// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a dirty bitmap must look like: see image.h.
 */
#include <errno.h>
#include <string.h>

#include "image.h"
#include "mem.h"

#define WORD_BITS	64ull

/* The part of the bitmap's memory that the kernel can write: bits [first, end) of it. */
struct window {
	uint64_t first;
	uint64_t end;
};

static enum image_bit page_bit(const struct model_map *map, uint64_t page)
{
	switch (map->page[page]) {
	case PAGE_DIRTY:
		return BIT_DIRTY;
	case PAGE_MAYBE:
		return BIT_MAYBE;
	}
	return map->flags & MAP_W ? BIT_CLEAN : BIT_CLEAN_RO;
}

/* One mapping, whose first bit is @offset of the bitmap. False when the bitmap is too short. */
static bool add_map(struct image *im, const struct model_map *map, uint64_t offset,
		    const struct window *w)
{
	uint64_t start = w->first + offset;
	uint64_t end = start + map->size / MEM_PAGE;
	uint64_t words = w->first + offset / WORD_BITS * WORD_BITS;
	uint64_t words_end = words + (end - words + WORD_BITS - 1) / WORD_BITS * WORD_BITS;
	uint64_t kept_end = start > words ? words + WORD_BITS : words;
	bool complete = words_end <= w->end;
	uint64_t i;

	for (i = words; i < words_end && i < w->end; i++) {
		if (!complete)
			im->bit[i] = BIT_UNKNOWN;
		else if (i >= start && i < end)
			im->bit[i] = (uint8_t)page_bit(map, i - start);
		else if (i >= end && map->stale && !(i < kept_end && im->bit[i]))
			im->bit[i] = BIT_STALE;
		else if (i >= kept_end)
			im->bit[i] = BIT_ZERO;
	}
	return complete;
}

static bool arg_complete(const struct conform_op *op)
{
	switch (op->at) {
	case AT_GOOD:
	case AT_READ_ONLY:
		return true;
	case AT_EDGE:
		return op->edge >= (op->kind == OP_UNMAP ? UNMAP_BM_ARGSZ : GET_ARGSZ);
	}
	return false;
}

void image_make(struct image *im, const struct model *m, const struct conform_op *op,
		const struct conform_result *r)
{
	bool writable = op->bm_at == AT_GOOD || op->bm_at == AT_EDGE;
	struct window w = { r->bm_off * 8ull, writable ? IMAGE_BITS : 0 };
	unsigned int i;

	im->delivered = 0;
	im->in_range = 0;
	for (i = 0; i < IMAGE_BITS; i++)
		im->bit[i] = r->bm_before[i / 8] >> (i % 8) & 1 ? BIT_ONE : BIT_ZERO;
	if ((r->ret && r->ret != -EFAULT) || !arg_complete(op))
		return;

	for (i = 0; i < m->n; i++) {
		const struct model_map *map = &m->map[i];

		if (map->iova < op->iova || map->iova - op->iova >= op->size)
			continue;
		im->in_range++;
		if (im->delivered + 1 < im->in_range)
			continue;
		if (add_map(im, map, (map->iova - op->iova) / MEM_PAGE, &w))
			im->delivered++;
	}
}
