/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The model of a container's usable addresses: a bitmap.
 *
 * The address space is divided into CELLS cells, small and large ones. The first starts at 0, and
 * the last ends at the top. Holes and apertures are runs of cells, so a bit for each cell is
 * enough. The ranges must be the maximal runs of set bits: ranges that come from one range never
 * touch.
 *
 * The includer defines CHECK().
 */
#ifndef IOPF_CORE_TEST_MODEL_IOVAS_H
#define IOPF_CORE_TEST_MODEL_IOVAS_H

#include "../iovas.h"
#include "input.h"

#define CELLS 16

/* Start of each cell. */
static const u64 cell_first[CELLS] = {
	0, 1, 2, 0xfff, 0x1000, 0xa0000, 0x100000, 0xfee00000, 0xfef00000, 1ULL << 32,
	1ULL << 39, 1ULL << 48, 1ULL << 63, U64_MAX - 0xfff, U64_MAX - 1, U64_MAX,
};

static inline u64 cell_last(unsigned int cell)
{
	return cell == CELLS - 1 ? U64_MAX : cell_first[cell + 1] - 1;
}

/* Cells [first, last] as addresses, and as bits. */
static inline struct iopf_range cells_range(unsigned int first, unsigned int last)
{
	return (struct iopf_range){ .first = cell_first[first], .last = cell_last(last) };
}

static inline u32 cells_mask(unsigned int first, unsigned int last)
{
	return (2U << last) - (1U << first);
}

/* Returns the number of runs of set bits: each ends at a set bit below a clear one. */
static inline unsigned int cells_runs(u32 mask)
{
	return __builtin_popcount(mask & ~(mask >> 1));
}

/* Allocates ranges that hold everything, of the exact size, so that overruns show. */
static inline struct iopf_iovas *iovas_new(unsigned int max)
{
	struct iopf_iovas *v = malloc(sizeof(*v) + max * sizeof(v->range[0]));

	CHECK(v);
	v->nr = 1;
	v->max = max;
	v->range[0] = (struct iopf_range){ .first = 0, .last = U64_MAX };
	return v;
}

static inline void iovas_compare(const struct iopf_iovas *v, u32 mask)
{
	unsigned int nr = 0;

	CHECK(v->nr <= v->max);
	for (unsigned int i = 0; i < CELLS; i++) {
		unsigned int last = i;

		if (!(mask >> i & 1))
			continue;
		while (mask >> (last + 1) & 1)
			last++;
		CHECK(nr < v->nr);
		CHECK(v->range[nr].first == cell_first[i]);
		CHECK(v->range[nr].last == cell_last(last));
		nr++;
		i = last;
	}
	CHECK(v->nr == nr);
}

/* Asks about cells [first, last], and about single addresses at their edges. */
static inline void iovas_check_contain(const struct iopf_iovas *v, u32 mask, unsigned int first,
				       unsigned int last)
{
	struct iopf_range all = cells_range(first, last);
	struct iopf_range low = { .first = all.first, .last = all.first };
	struct iopf_range high = { .first = all.last, .last = all.last };
	u32 asked = cells_mask(first, last);

	CHECK(iopf_iovas_contain(v, &all) == (!mask || (mask & asked) == asked));
	CHECK(iopf_iovas_contain(v, &low) == (!mask || (mask >> first & 1)));
	CHECK(iopf_iovas_contain(v, &high) == (!mask || (mask >> last & 1)));
}

static inline void iovas_do_exclude(struct iopf_iovas *v, u32 *mask, unsigned int first,
				    unsigned int last)
{
	struct iopf_range hole = cells_range(first, last);
	u32 left = *mask & ~cells_mask(first, last);
	int ret = iopf_iovas_exclude(v, &hole);

	if (cells_runs(left) > v->max) {
		CHECK(ret == -ENOSPC);
	} else {
		CHECK(!ret);
		*mask = left;
	}
	iovas_compare(v, *mask);
}

static inline void iovas_do_limit(struct iopf_iovas *v, u32 *mask, unsigned int first,
				  unsigned int last)
{
	struct iopf_range aperture = cells_range(first, last);

	iopf_iovas_limit(v, &aperture);
	*mask &= cells_mask(first, last);
	iovas_compare(v, *mask);
}

/* Runs a program: room for a number of ranges, then an operation and two cells each time. */
static inline void iovas_run(const u8 *data, size_t size)
{
	struct input in = { .data = data, .left = size };
	struct iopf_iovas *v = iovas_new(1 + input_u8(&in) % CELLS);
	u32 mask = cells_mask(0, CELLS - 1);

	iovas_compare(v, mask);
	while (in.left) {
		u8 op = input_u8(&in), cells = input_u8(&in);
		unsigned int a = cells % CELLS, b = cells / CELLS;
		unsigned int first = min(a, b), last = max(a, b);

		/* Mostly small holes, since large ones leave nothing. */
		if (op & 0x40)
			last = min(last, first + 1);
		switch (op % 8) {
		case 0:
			iovas_do_limit(v, &mask, first, last);
			break;
		case 1:
			iovas_check_contain(v, mask, first, last);
			break;
		case 2:
			if (mask)
				break;
			v->nr = 1;
			v->range[0] = cells_range(first, last);
			mask = cells_mask(first, last);
			break;
		default:
			iovas_do_exclude(v, &mask, first, last);
			break;
		}
	}
	free(v);
}

#endif /* IOPF_CORE_TEST_MODEL_IOVAS_H */
