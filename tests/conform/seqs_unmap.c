// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sequences about UNMAP_DMA without a bitmap.
 */
#include "seqs.h"

/* Every range of whole pages over the layout, and then what is left. */
static void cuts(struct run *run)
{
	unsigned int first, end, t;

	run_group(run, "UNMAP_DMA: every range");
	for (t = 0; t < ARRAY_SIZE(seqs_types); t++)
		for (first = 0; first < LAYOUT_PAGES; first++)
			for (end = first + 1; end <= LAYOUT_PAGES; end++)
				run_try(run, seqs_types[t],
					OPS(LAYOUT,
					    op_unmap(0, I0 + first * PG, (end - first) * PG),
					    op_unmap(0, I0 + 4 * PG, 3 * PG)),
					"type %u, pages %u to %u", seqs_types[t], first, end - 1);
	run_group_end(run);
}

static void one_large(struct run *run)
{
	const struct conform_op map = op_map(MAP_RW, I0, 2 * MEM_HUGE, VA_RAM);
	const struct conform_op all = op_unmap(0, I0, 2 * MEM_HUGE);
	unsigned int t;

	run_group(run, "UNMAP_DMA: parts of 4 MiB");
	for (t = 0; t < ARRAY_SIZE(seqs_types); t++) {
		unsigned int type = seqs_types[t];

		run_try(run, type, OPS(map, op_unmap(0, I0, MEM_HUGE), all), "first half");
		run_try(run, type, OPS(map, op_unmap(0, I0 + MEM_HUGE, MEM_HUGE), all),
			"second half");
		run_try(run, type, OPS(map, op_unmap(0, I0, PG), all), "first page");
		run_try(run, type, OPS(map, op_unmap(0, I0 + MEM_HUGE - PG, 2 * PG), all),
			"around 2 MiB");
		run_try(run, type, OPS(map, op_unmap(0, I0 + 2 * MEM_HUGE - PG, PG), all),
			"last page");
		run_try(run, type, OPS(map, op_unmap(0, I0 - PG, 2 * MEM_HUGE + PG)), "and before");
		run_try(run, type, OPS(map, op_unmap(0, I0, 2 * MEM_HUGE + PG)), "and behind");
		run_try(run, type, OPS(map, op_write(0, I0 + MEM_HUGE - PG, 2 * PG, 1), all,
				       op_write(0, I0, PG, 2)), "after a write");
	}
	run_group_end(run);
}

static void ranges(struct run *run)
{
	unsigned int t, i;

	run_group(run, "UNMAP_DMA: addresses and sizes");
	for (t = 0; t < ARRAY_SIZE(seqs_types); t++) {
		for (i = 0; seqs_ranges[i].name; i++) {
			const struct seqs_range *range = &seqs_ranges[i];
			const struct conform_op op = op_unmap(0, range->iova, range->size);

			run_try(run, seqs_types[t], OPS(op), "%s, nothing mapped", range->name);
			run_try(run, seqs_types[t], OPS(LAYOUT, op, op), "%s", range->name);
		}
	}
	run_group_end(run);
}

static void to_the_end(struct run *run)
{
	static const uint64_t firsts[] = {
		I0 + PG, I0 + 3 * PG, I0 + 5 * PG, I0 + 64 * PG, PG, -PG,
	};
	unsigned int t, i;

	run_group(run, "UNMAP_DMA: ranges that end at 2^64");
	for (t = 0; t < ARRAY_SIZE(seqs_types); t++)
		for (i = 0; i < ARRAY_SIZE(firsts); i++)
			run_try(run, seqs_types[t], OPS(LAYOUT, op_unmap(0, firsts[i], -firsts[i])),
				"type %u, from 0x%llx", seqs_types[t],
				(unsigned long long)firsts[i]);
	run_group_end(run);
}

static void all(struct run *run)
{
	unsigned int t;

	run_group(run, "UNMAP_DMA: all");
	for (t = 0; t < ARRAY_SIZE(seqs_types); t++) {
		unsigned int type = seqs_types[t];

		run_try(run, type, OPS(op_unmap_all(0)), "of nothing");
		run_try(run, type, OPS(LAYOUT, op_unmap_all(0), op_unmap_all(0)), "twice");
		run_try(run, type, OPS(LAYOUT, op_unmap(UNMAP_ALL, PG, 0)), "with an iova");
		run_try(run, type, OPS(LAYOUT, op_unmap(UNMAP_ALL, 1, 0)), "with a bad iova");
		run_try(run, type, OPS(LAYOUT, op_unmap(UNMAP_ALL, 0, PG)), "with a size");
		run_try(run, type, OPS(LAYOUT, op_unmap(UNMAP_ALL, 0, 1)), "with a bad size");
		run_try(run, type, OPS(LAYOUT, op_unmap(UNMAP_ALL, 0, ~0ull)), "with size ~0");
		run_try(run, type, OPS(LAYOUT, op_map(MAP_RW, 0, PG, VA_RAM),
				       op_map(MAP_R, (1ull << 48) - PG, PG, VA_RO),
				       op_unmap_all(0)), "from the first to the last page");
		run_try(run, type, OPS(LAYOUT, op_unmap_all(UNMAP_BITMAP)), "with a bitmap");
	}
	run_group_end(run);
}

static void flags(struct run *run)
{
	unsigned int bit, f;

	run_group(run, "UNMAP_DMA: flags");
	for (f = 0; f < 8; f++) {
		run_try(run, V2, OPS(LAYOUT, op_unmap(f, I0 + PG, 2 * PG)), "flags %u", f);
		run_try(run, V1, OPS(LAYOUT, op_unmap(f, I0 + PG, 2 * PG)), "flags %u, type 1", f);
		run_try(run, V2, OPS(LAYOUT, op_unmap(f, 0, 0)), "flags %u, no range", f);
		run_try(run, V2, OPS(op_dirty(DIRTY_START), LAYOUT, op_unmap(f, I0 + PG, 2 * PG)),
			"flags %u, tracking", f);
	}
	for (bit = 3; bit < 32; bit++)
		run_try(run, V2, OPS(LAYOUT, op_unmap(1u << bit, I0 + PG, 2 * PG)),
			"unknown flag %u", bit);
	run_group_end(run);
}

static void args(struct run *run)
{
	const struct conform_op unmap = op_unmap(0, I0 + PG, 2 * PG);
	unsigned int i, at;

	run_group(run, "UNMAP_DMA: argsz, and where the structure is");
	for (i = 0; i <= 56; i += i < 20 || i > 28 ? 4 : 1)
		run_try(run, V2, OPS(LAYOUT, with_argsz(unmap, i)), "argsz %u", i);
	run_try(run, V2, OPS(LAYOUT, with_argsz(unmap, ~0u)), "argsz ~0");
	/* In read-only memory it is done, and then can't be told. */
	for (at = AT_READ_ONLY; at < AT_WHERES; at++)
		run_try(run, V2, OPS(LAYOUT, with_at(unmap, at, 0)), "place %u", at);
	for (i = 1; i <= 32; i += i < 20 ? 6 : 1)
		run_try(run, V2, OPS(LAYOUT, with_at(unmap, AT_EDGE, i)), "%u bytes there", i);
	run_group_end(run);
}

void seqs_unmap(struct run *run)
{
	cuts(run);
	one_large(run);
	ranges(run);
	to_the_end(run);
	all(run);
	flags(run);
	args(run);
}
