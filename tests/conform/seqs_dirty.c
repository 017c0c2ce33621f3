// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sequences about dirty tracking: DIRTY_PAGES, and UNMAP_DMA with a bitmap.
 *
 * Left out, because stock type1 shifts by an undefined amount there and the debug kernel says so:
 * a bitmap's pgsize of 0, DIRTY_PAGES without any flag.
 */
#include "seqs.h"

#define START	op_dirty(DIRTY_START)
#define STOP	op_dirty(DIRTY_STOP)

/* Long enough for several words, from a page that is not at a word. */
#define LONG	op_map(MAP_RW, I0 + 10 * PG, 150 * PG, VA_RAM)
#define BEHIND	op_map(MAP_RW, I0 + 160 * PG, 100 * PG, VA_RAM + 256 * PG)

static void control(struct run *run)
{
	const struct conform_op get = op_get(I0, 16 * PG);
	unsigned int bit, f;

	run_group(run, "DIRTY_PAGES: start and stop");
	run_try(run, V2, OPS(START, STOP), "nothing mapped");
	run_try(run, V2, OPS(LAYOUT, START, STOP), "start, stop");
	run_try(run, V2, OPS(LAYOUT, START, START, get, STOP, get), "start twice");
	run_try(run, V2, OPS(LAYOUT, STOP, STOP), "stop without start");
	run_try(run, V2, OPS(LAYOUT, START, STOP, START, get), "start again");
	run_try(run, V2, OPS(START, LAYOUT, get), "mapped after start");
	run_try(run, V2, OPS(LAYOUT, get), "bitmap before start");
	run_try(run, V2, OPS(LAYOUT, START, STOP, get), "bitmap after stop");
	run_try(run, V2, OPS(LAYOUT, START, op_unmap_all(0), get), "bitmap of nothing");
	run_try(run, V2, OPS(LAYOUT, START, op_unmap_all(0), LAYOUT, get), "unmapped and mapped");
	run_try(run, V1, OPS(LAYOUT, START), "start, type 1");
	run_try(run, V1, OPS(LAYOUT, STOP), "stop, type 1");
	run_try(run, V1, OPS(LAYOUT, get), "bitmap, type 1");
	run_try(run, V1, OPS(with_argsz(START, 0)), "argsz 0, type 1");
	run_try(run, V1, OPS(with_at(START, AT_NULL, 0)), "nowhere, type 1");
	for (f = 1; f < 8; f++) {
		struct conform_op op = get;

		op.flags = f;
		run_try(run, V2, OPS(LAYOUT, op), "flags %u, not tracking", f);
		run_try(run, V2, OPS(LAYOUT, START, op), "flags %u, tracking", f);
	}
	for (bit = 3; bit < 32; bit++)
		run_try(run, V2, OPS(LAYOUT, op_dirty(1u << bit)), "unknown flag %u", bit);
	for (bit = 3; bit < 32; bit += 4)
		run_try(run, V2, OPS(LAYOUT, op_dirty(DIRTY_START | 1u << bit), get),
			"start with unknown flag %u", bit);
	run_try(run, V2, OPS(LAYOUT, with_child(START), get), "started by a child");
	run_try(run, V2, OPS(LAYOUT, START, with_child(STOP), get), "stopped by a child");
	run_try(run, V2, OPS(LAYOUT, START, with_child(get), get), "asked by a child");
	run_group_end(run);
}

static void args(struct run *run)
{
	const struct conform_op get = op_get(I0, 16 * PG);
	unsigned int i, at;

	run_group(run, "DIRTY_PAGES: argsz, and where the structure is");
	for (i = 0; i <= 64; i += 4)
		run_try(run, V2, OPS(LAYOUT, START, with_argsz(get, i)), "bitmap, argsz %u", i);
	for (i = 0; i <= 12; i++)
		run_try(run, V2, OPS(LAYOUT, with_argsz(START, i), get), "start, argsz %u", i);
	for (at = AT_READ_ONLY; at < AT_WHERES; at++) {
		run_try(run, V2, OPS(LAYOUT, START, with_at(get, at, 0)), "bitmap, place %u", at);
		run_try(run, V2, OPS(LAYOUT, with_at(START, at, 0), get), "start, place %u", at);
	}
	for (i = 4; i <= 52; i += 4) {
		run_try(run, V2, OPS(LAYOUT, START, with_at(get, AT_EDGE, i)),
			"bitmap, %u bytes there", i);
		run_try(run, V2, OPS(LAYOUT, START, with_at(STOP, AT_EDGE, i), get),
			"stop, %u bytes there", i);
	}
	run_group_end(run);
}

static void bitmaps(struct run *run)
{
	static const uint64_t pgsizes[] = { 1, 512, 2048, 8192, MEM_HUGE, 1ull << 30, 1ull << 63,
					    4096 + 8192, 4096 + 1 };
	const struct conform_op get = op_get(I0, 16 * PG);
	const struct conform_op unmap = op_unmap(UNMAP_BITMAP, I0, 16 * PG);
	unsigned int i, at;

	run_group(run, "bitmaps: page size, size, and where they are");
	for (i = 0; i < ARRAY_SIZE(pgsizes); i++) {
		run_try(run, V2, OPS(LAYOUT, START, with_pgsize(get, pgsizes[i])), "pgsize 0x%llx",
			(unsigned long long)pgsizes[i]);
		run_try(run, V2, OPS(LAYOUT, START, with_pgsize(unmap, pgsizes[i])),
			"unmap, pgsize 0x%llx", (unsigned long long)pgsizes[i]);
	}
	for (i = 0; i <= 24; i++) {
		run_try(run, V2, OPS(LAYOUT, START, with_bm_size(get, i)), "size %u", i);
		run_try(run, V2, OPS(LAYOUT, START, with_bm_size(unmap, i)), "unmap, size %u", i);
	}
	run_try(run, V2, OPS(LAYOUT, START, with_bm_size(get, 1ull << 28)), "256 MiB");
	run_try(run, V2, OPS(LAYOUT, START, with_bm_size(get, (1ull << 28) + 1)), "and a byte");
	run_try(run, V2, OPS(LAYOUT, START, with_bm_size(get, ~0ull)), "size ~0");
	run_try(run, V2, OPS(LAYOUT, START, with_bm_size(unmap, ~0ull)), "unmap, size ~0");
	for (at = AT_READ_ONLY; at < AT_WHERES; at++) {
		run_try(run, V2, OPS(LAYOUT, START, with_bm(get, at, 0), get), "place %u", at);
		run_try(run, V2, OPS(LAYOUT, START, with_bm(unmap, at, 0), get), "unmap, place %u",
			at);
		run_try(run, V2, OPS(START, with_bm(get, at, 0)), "nothing mapped, place %u", at);
		run_try(run, V2, OPS(LAYOUT, with_bm(get, at, 0)), "not tracking, place %u", at);
	}
	for (i = 1; i <= 20; i++) {
		run_try(run, V2, OPS(LAYOUT, START, with_bm(get, AT_EDGE, i), get),
			"%u bytes there", i);
		run_try(run, V2, OPS(LAYOUT, START, with_bm(unmap, AT_EDGE, i), get),
			"unmap, %u bytes there", i);
	}
	run_group_end(run);
}

/* The second mapping's bits do not fit: what was reported before is reported. */
static void half_there(struct run *run)
{
	const struct conform_op get = op_get(I0, 260 * PG), exact = op_get(I0 + 10 * PG, 250 * PG);
	const struct conform_op unmap = op_unmap(UNMAP_BITMAP, I0, 260 * PG);
	unsigned int i;

	run_group(run, "bitmaps that end too early");
	for (i = 1; i <= 40; i += i % 8 < 2 ? 1 : 6) {
		run_try(run, V2, OPS(LONG, BEHIND, START, with_bm(get, AT_EDGE, i), get),
			"%u bytes there", i);
		run_try(run, V2, OPS(LONG, BEHIND, START, with_bm(exact, AT_EDGE, i), exact),
			"from the first page on, %u bytes there", i);
		run_try(run, V2, OPS(LONG, BEHIND, START, with_bm(unmap, AT_EDGE, i), get),
			"unmap, %u bytes there", i);
	}
	run_group_end(run);
}

static void ranges(struct run *run)
{
	unsigned int i, fill;

	run_group(run, "bitmaps: addresses and sizes");
	for (i = 0; seqs_ranges[i].name; i++) {
		const struct seqs_range *range = &seqs_ranges[i];
		const struct conform_op get = op_get(range->iova, range->size);

		run_try(run, V2, OPS(LAYOUT, START, get), "%s", range->name);
		run_try(run, V2, OPS(START, get), "%s, empty", range->name);
		run_try(run, V2, OPS(LAYOUT, get), "%s, not tracking", range->name);
		run_try(run, V2, OPS(LAYOUT, START,
				     op_unmap(UNMAP_BITMAP, range->iova, range->size)),
			"unmap, %s", range->name);
	}
	for (fill = 0; fill < FILL_KINDS; fill++)
		run_try(run, V2, OPS(LAYOUT, START,
				     with_fill(op_get(I0 - 70 * PG, 140 * PG), fill)),
			"words without mappings, over %u", fill);
	run_group_end(run);
}

/* Every range of whole pages over the layout. */
static void cuts(struct run *run)
{
	unsigned int first, end, fill;

	run_group(run, "bitmaps: every range");
	for (first = 0; first < LAYOUT_PAGES; first++) {
		for (end = first + 1; end <= LAYOUT_PAGES; end++) {
			const uint64_t iova = I0 + first * PG, size = (end - first) * PG;

			fill = (first + end) % FILL_KINDS;
			run_try(run, V2, OPS(LAYOUT, START, with_fill(op_get(iova, size), fill)),
				"pages %u to %u", first, end - 1);
			run_try(run, V2, OPS(LAYOUT, START,
					     with_fill(op_unmap(UNMAP_BITMAP, iova, size), fill),
					     op_get(I0, LAYOUT_PAGES * PG)),
				"unmap, pages %u to %u", first, end - 1);
			run_try(run, V2, OPS(LAYOUT, op_unmap(UNMAP_BITMAP, iova, size)),
				"unmap, not tracking, pages %u to %u", first, end - 1);
		}
	}
	run_group_end(run);
}

/* Several mappings in one bitmap, none of which begins at a word. */
static void clubbed(struct run *run)
{
	unsigned int before, fill;

	run_group(run, "bitmaps: several mappings at odd offsets");
	for (before = 0; before <= 128; before += before % 64 < 2 ? 1 : 20) {
		for (fill = 0; fill < FILL_KINDS; fill++) {
			const uint64_t first = I0 + 10 * PG - before * PG;
			const uint64_t size = (before + 250 + fill * 3) * PG;

			run_try(run, V2, OPS(LONG, BEHIND, START, op_write(0, I0 + 70 * PG, PG, 1),
					     op_write(0, I0 + 159 * PG, 2 * PG, 2),
					     op_write(0, I0 + 259 * PG, PG, 3),
					     with_fill(op_get(first, size), fill),
					     with_fill(op_get(first, size), fill)),
				"%u pages before, fill %u", before, fill);
		}
	}
	run_try(run, V2, OPS(op_map(MAP_RW, I0 + PG, PG, VA_RAM),
			     op_map(MAP_RW, I0 + 3 * PG, PG, VA_RAM + PG),
			     op_map(MAP_RW, I0 + 63 * PG, 2 * PG, VA_RAM + 2 * PG),
			     op_map(MAP_RW, I0 + 127 * PG, PG, VA_RAM + 4 * PG), START,
			     op_write(0, I0 + 3 * PG, PG, 1), op_write(0, I0 + 63 * PG, 2 * PG, 2),
			     with_fill(op_get(I0, 128 * PG), FILL_ONES),
			     op_write(0, I0 + 127 * PG, PG, 3),
			     with_fill(op_get(I0, 128 * PG), FILL_ONES)), "single pages");
	/* What stock type1 shifts out of a mapping's bits comes back at another offset. */
	run_try(run, V2, OPS(op_map(MAP_RW, I0 + 5 * PG, 3 * PG, VA_RAM), START,
			     with_fill(op_get(I0, 8 * PG), FILL_ZEROS),
			     with_fill(op_get(I0 + 5 * PG, 8 * PG), FILL_ZEROS),
			     with_fill(op_get(I0 + 4 * PG, 8 * PG), FILL_ZEROS)), "other offsets");
	run_try(run, V2, OPS(LONG, BEHIND, START, with_fill(op_get(I0, 260 * PG), FILL_ZEROS),
			     with_fill(op_unmap(UNMAP_BITMAP, I0 + 10 * PG, 250 * PG), FILL_ZEROS)),
		"other offsets, unmap");
	run_group_end(run);
}

static void written(struct run *run)
{
	const struct conform_op get = op_get(I0, 16 * PG);

	run_group(run, "dirty pages are those the device wrote");
	run_try(run, V2, OPS(LAYOUT, op_write(0, I0 + PG, 2 * PG, 1), START, get),
		"written before start");
	run_try(run, V2, OPS(LAYOUT, START, op_write(0, I0 + PG, PG, 1), get, get), "written once");
	run_try(run, V2, OPS(LAYOUT, START, op_write(0, I0 + PG, PG, 1), get,
			     op_write(0, I0 + PG, PG, 2), get), "written twice");
	run_try(run, V2, OPS(LAYOUT, op_write(0, I0 + PG, PG, 1), START,
			     op_write(0, I0 + PG, PG, 2), get), "before and after start");
	run_try(run, V2, OPS(LAYOUT, START, op_read(0, I0 + PG, 2 * PG), get), "read");
	run_try(run, V2, OPS(LAYOUT, START, op_read(0, I0 + PG, 2 * PG),
			     op_write(0, I0 + PG, PG, 1), get), "read, then written");
	run_try(run, V2, OPS(LAYOUT, START, op_write(0, I0 + 5 * PG, PG, 1), START, get),
		"start does not forget");
	run_try(run, V2, OPS(LAYOUT, START, op_write(0, I0 + 5 * PG, PG, 1), STOP, START, get),
		"stop does");
	run_try(run, V2, OPS(LAYOUT, START, op_write(0, I0 + 4 * PG, 4 * PG, 1),
			     op_get(I0 + 4 * PG, 3 * PG), get), "asked about a part");
	run_try(run, V2, OPS(LAYOUT, START, op_write(0, I0 + 4 * PG, 4 * PG, 1),
			     op_unmap(UNMAP_BITMAP, I0 + 4 * PG, 3 * PG), get), "unmapped");
	run_try(run, V2, OPS(LAYOUT, START, op_write(0, I0 + PG, 2 * PG, 1), get,
			     op_unmap(UNMAP_BITMAP, I0, 16 * PG)), "asked, then unmapped");
	run_try(run, V2, OPS(LAYOUT, START, op_write(0, I0 + 2 * PG, PG, 1),
			     op_unmap(0, I0 + PG, 2 * PG), LAYOUT, get), "unmapped and mapped");
	run_try(run, V2, OPS(LAYOUT, START, op_write(0, I0 + 2 * PG, 2 * PG, 1), get),
		"a write that fails in the middle");
	run_try(run, V2, OPS(LAYOUT, START, op_write(0, I0 + 5 * PG, PG, 1),
			     with_bm_size(get, 1), get), "a call that is refused");
	run_try(run, V2, OPS(LAYOUT, START, op_write(0, I0 + 5 * PG, PG, 1),
			     with_bm(get, AT_HOLE, 0), get), "a call that fails");
	run_try(run, V2, OPS(op_map(MAP_R, I0, 8 * PG, VA_RAM), START, op_read(0, I0, 8 * PG), get),
		"a range that can't be written");
	run_try(run, V2, OPS(op_map(MAP_R, I0, 8 * PG, VA_RO), START, get), "read-only memory");
	run_try(run, V2, OPS(op_map(MAP_R, I0, 4 * PG, VA_RAM),
			     op_map(MAP_RW, I0 + 4 * PG, 4 * PG, VA_RAM), START,
			     op_write(0, I0 + 5 * PG, PG, 1), get), "the same memory, two ranges");
	run_try(run, V2, OPS(op_map(MAP_W, I0, 8 * PG, VA_RAM), START,
			     op_write(0, I0 + 3 * PG, PG, 1), get), "for writing alone");
	run_try(run, V2, OPS(op_map(MAP_RW, I0, 8 * PG, VA_FILE), START,
			     op_write(0, I0 + 3 * PG, 2 * PG, 1), get), "a shared file");
	run_try(run, V2, OPS(op_map(MAP_RW, I0, MEM_HUGE, VA_RAM), START,
			     op_write(0, I0 + 77 * PG, PG, 1),
			     op_write(0, I0 + 300 * PG, 9 * PG, 2),
			     op_get(I0, MEM_HUGE), op_get(I0, MEM_HUGE)), "2 MiB");
	run_try(run, V2, OPS(op_map(MAP_RW, I0, 2 * MEM_HUGE, VA_RAM),
			     op_write(0, I0, 2 * MEM_HUGE, 9), START,
			     op_write(0, I0 + 511 * PG, 2 * PG, 1), op_get(I0, 2 * MEM_HUGE)),
		"4 MiB, all of it there before");
	run_group_end(run);
}

void seqs_dirty(struct run *run)
{
	control(run);
	args(run);
	bitmaps(run);
	half_there(run);
	ranges(run);
	cuts(run);
	clubbed(run);
	written(run);
}
