// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sequences about MAP_DMA.
 */
#include "seqs.h"

#define END		(1ull << 48)		/* of the aperture */
#define MSI_FIRST	0xfee00000ull
#define MSI_END		0xfef00000ull
#define KERNEL		0xffff888000000000ull
#define USER_END	0x7ffffffff000ull

struct map_case {
	const char *name;
	struct conform_op op;
};

/* Each alone, each next to other mappings, and both types. */
static void cases(struct run *run, const char *group, const struct map_case *c, unsigned int n)
{
	unsigned int t, i;

	run_group(run, group);
	for (t = 0; t < ARRAY_SIZE(seqs_types); t++) {
		for (i = 0; i < n; i++) {
			run_try(run, seqs_types[t], OPS(c[i].op), "%s", c[i].name);
			run_try(run, seqs_types[t], OPS(LAYOUT, c[i].op), "%s, with mappings",
				c[i].name);
		}
	}
	run_group_end(run);
}

static void flags(struct run *run)
{
	const uint64_t iova = I0 + 16 * PG;
	unsigned int bit, f;

	run_group(run, "MAP_DMA: flags");
	for (f = 0; f < 8; f++)
		run_try(run, V2, OPS(op_map(f, iova, PG, VA_RAM)), "flags %u", f);
	for (bit = 3; bit < 32; bit++) {
		run_try(run, V2, OPS(op_map(MAP_RW | 1u << bit, iova, PG, VA_RAM)),
			"unknown flag %u", bit);
		run_try(run, V1, OPS(op_map(1u << bit, iova, PG, VA_RAM)), "unknown flag %u alone",
			bit);
	}
	run_group_end(run);
}

static void args(struct run *run)
{
	const struct conform_op map = op_map(MAP_RW, I0 + 16 * PG, PG, VA_RAM);
	unsigned int i, at;

	run_group(run, "MAP_DMA: argsz, and where the structure is");
	for (i = 0; i <= 40; i += i < 28 ? 4 : 1)
		run_try(run, V2, OPS(with_argsz(map, i)), "argsz %u", i);
	run_try(run, V2, OPS(with_argsz(map, ~0u)), "argsz ~0");
	for (at = AT_READ_ONLY; at < AT_WHERES; at++)
		run_try(run, V2, OPS(with_at(map, at, 0)), "place %u", at);
	for (i = 1; i <= 40; i += i < 28 ? 9 : 1)
		run_try(run, V2, OPS(with_at(map, AT_EDGE, i)), "%u bytes there", i);
	run_group_end(run);
}

static void ranges(struct run *run)
{
	const struct map_case list[] = {
		{ "size 0", op_map(MAP_RW, I0 + 16 * PG, 0, VA_RAM) },
		{ "size 1", op_map(MAP_RW, I0 + 16 * PG, 1, VA_RAM) },
		{ "size one less than a page", op_map(MAP_RW, I0 + 16 * PG, PG - 1, VA_RAM) },
		{ "size one more than a page", op_map(MAP_RW, I0 + 16 * PG, PG + 1, VA_RAM) },
		{ "size of half a page", op_map(MAP_RW, I0 + 16 * PG, PG / 2, VA_RAM) },
		{ "iova + 1", op_map(MAP_RW, I0 + 16 * PG + 1, PG, VA_RAM) },
		{ "iova of half a page", op_map(MAP_RW, I0 + 16 * PG + PG / 2, PG, VA_RAM) },
		{ "va + 1", op_map(MAP_RW, I0 + 16 * PG, PG, VA_RAM + 1) },
		{ "va of half a page", op_map(MAP_RW, I0 + 16 * PG, PG, VA_RAM + PG / 2) },
		{ "all off by the same", op_map(MAP_RW, I0 + 16 * PG + 8, PG, VA_RAM + 8) },
		{ "iova and size off", op_map(MAP_RW, I0 + 16 * PG + 8, PG - 8, VA_RAM) },
		{ "iova 0", op_map(MAP_RW, 0, PG, VA_RAM) },
		{ "iova 0, two pages", op_map(MAP_RW, 0, 2 * PG, VA_RAM) },
		{ "2 MiB", op_map(MAP_RW, I0 + MEM_HUGE, MEM_HUGE, VA_RAM) },
		{ "2 MiB, crossing 2 MiB", op_map(MAP_RW, I0 + MEM_HUGE + PG, MEM_HUGE, VA_RAM) },
		{ "4 MiB and a page", op_map(MAP_RW, I0 + MEM_HUGE, 2 * MEM_HUGE + PG, VA_RAM) },
		{ "iova wraps", op_map(MAP_RW, -PG, 2 * PG, VA_RAM) },
		{ "iova ends at 2^64", op_map(MAP_RW, -PG, PG, VA_RAM) },
		{ "two pages to 2^64", op_map(MAP_RW, -2 * PG, 2 * PG, VA_RAM) },
		{ "iova + size is 2^64 + 1 page", op_map(MAP_RW, 2 * PG, -PG, VA_MIX) },
		{ "iova + size is 2^64", op_map(MAP_RW, PG, -PG, VA_MIX) },
		{ "size nearly 2^64", op_map(MAP_RW, 0, -PG, VA_MIX) },
		{ "size 2^63", op_map(MAP_RW, 0, 1ull << 63, VA_MIX) },
		{ "the last page", op_map(MAP_RW, END - PG, PG, VA_RAM) },
		{ "the last two pages", op_map(MAP_RW, END - 2 * PG, 2 * PG, VA_RAM) },
		{ "over the end", op_map(MAP_RW, END - PG, 2 * PG, VA_RAM) },
		{ "right behind the end", op_map(MAP_RW, END, PG, VA_RAM) },
		{ "far behind the end", op_map(MAP_RW, 1ull << 60, PG, VA_RAM) },
		{ "all of the aperture", op_map(MAP_RW, 0, END, VA_MIX) },
		{ "up to the reserved window", op_map(MAP_RW, MSI_FIRST - PG, PG, VA_RAM) },
		{ "into the reserved window", op_map(MAP_RW, MSI_FIRST - PG, 2 * PG, VA_RAM) },
		{ "its first page", op_map(MAP_RW, MSI_FIRST, PG, VA_RAM) },
		{ "in the middle of it", op_map(MAP_RW, MSI_FIRST + 16 * PG, PG, VA_RAM) },
		{ "its last page", op_map(MAP_RW, MSI_END - PG, PG, VA_RAM) },
		{ "out of it", op_map(MAP_RW, MSI_END - PG, 2 * PG, VA_RAM) },
		{ "behind it", op_map(MAP_RW, MSI_END, PG, VA_RAM) },
		{ "all of it", op_map(MAP_RW, MSI_FIRST, MSI_END - MSI_FIRST, VA_RAM) },
		{ "around it", op_map(MAP_RW, MSI_FIRST - PG, 0x102 * PG, VA_RAM) },
		{ "bad range, bad memory", op_map(MAP_RW, MSI_FIRST, PG, VA_HOLE) },
		{ "overlap, bad memory", op_map(MAP_RW, I0 + PG, PG, VA_HOLE) },
	};

	cases(run, "MAP_DMA: addresses and sizes", list, ARRAY_SIZE(list));
}

static void memory(struct run *run)
{
	const uint64_t iova = I0 + 32 * PG;
	const struct map_case list[] = {
		{ "NULL", op_map(MAP_RW, iova, PG, 0) },
		{ "the first page but one", op_map(MAP_RW, iova, PG, PG) },
		{ "kernel memory", op_map(MAP_RW, iova, PG, KERNEL) },
		{ "kernel memory, for reading", op_map(MAP_R, iova, PG, KERNEL) },
		{ "the last page of user space", op_map(MAP_RW, iova, PG, USER_END - PG) },
		{ "behind user space", op_map(MAP_RW, iova, PG, USER_END) },
		{ "over the end of user space", op_map(MAP_RW, iova, 2 * PG, USER_END - PG) },
		{ "not canonical", op_map(MAP_RW, iova, PG, 1ull << 60) },
		{ "va wraps", op_map(MAP_RW, iova, 2 * PG, -PG) },
		{ "va ends at 2^64", op_map(MAP_RW, iova, PG, -PG) },
		{ "nothing there", op_map(MAP_RW, iova, PG, VA_HOLE) },
		{ "nothing there, for reading", op_map(MAP_R, iova, 4 * PG, VA_HOLE) },
		{ "ends in a hole", op_map(MAP_RW, iova, 5 * PG, VA_MIX) },
		{ "begins in a hole", op_map(MAP_R, iova, 3 * PG, VA_MIX_RO - PG) },
		{ "a hole in the middle", op_map(MAP_R, iova, 8 * PG, VA_MIX) },
		{ "right before the hole", op_map(MAP_RW, iova, 4 * PG, VA_MIX) },
		{ "read-only, for writing", op_map(MAP_RW, iova, PG, VA_RO) },
		{ "read-only, for writing alone", op_map(MAP_W, iova, PG, VA_RO) },
		{ "read-only, for reading", op_map(MAP_R, iova, 4 * PG, VA_RO) },
		{ "read-only in the middle", op_map(MAP_RW, iova, 2 * PG, VA_MIX_RO) },
		{ "read-only, then none", op_map(MAP_R, iova, 4 * PG, VA_MIX_RO) },
		{ "PROT_NONE", op_map(MAP_RW, iova, PG, VA_NONE) },
		{ "PROT_NONE, for reading", op_map(MAP_R, iova, PG, VA_NONE) },
		{ "PROT_NONE, then writable", op_map(MAP_RW, iova, 4 * PG, VA_MIX_NONE) },
		{ "PROT_WRITE, for reading", op_map(MAP_R, iova, PG, VA_WO) },
		{ "PROT_WRITE, for writing", op_map(MAP_W, iova, PG, VA_WO) },
		{ "PROT_WRITE, for both", op_map(MAP_RW, iova, PG, VA_WO) },
		{ "several mappings of the process", op_map(MAP_RW, iova, 6 * PG, VA_MIX_END) },
		{ "a shared file", op_map(MAP_RW, iova, 16 * PG, VA_FILE) },
		{ "over the end of a mapping", op_map(MAP_RW, iova, 17 * PG, VA_FILE) },
		{ "a terabyte that is not there", op_map(MAP_RW, iova, 1ull << 40, VA_HOLE) },
		{ "a terabyte of which a bit is there", op_map(MAP_RW, iova, 1ull << 40, VA_MIX) },
	};

	cases(run, "MAP_DMA: memory", list, ARRAY_SIZE(list));
}

/* Every range of whole pages over the layout. */
static void overlaps(struct run *run)
{
	unsigned int first, end, t;

	run_group(run, "MAP_DMA: every overlap");
	for (t = 0; t < ARRAY_SIZE(seqs_types); t++)
		for (first = 0; first < LAYOUT_PAGES; first++)
			for (end = first + 1; end <= LAYOUT_PAGES; end++)
				run_try(run, seqs_types[t],
					OPS(LAYOUT, op_map(MAP_RW, I0 + first * PG,
							   (end - first) * PG, VA_RAM)),
					"pages %u to %u", first, end - 1);
	run_group_end(run);
}

static void limit(struct run *run)
{
	const struct conform_op join = op_group(OP_JOIN, 0), set = op_simple(OP_SET, V2);
	const struct conform_op info = op_info(256);
	unsigned int n;

	run_group(run, "MAP_DMA: dma_entry_limit");
	for (n = 0; n < 4; n++) {
		const struct conform_op lower = op_simple(OP_LIMIT, n);

		run_try(run, 0, OPS(lower, join, set, info, LAYOUT, info), "limit %u", n);
		run_try(run, 0, OPS(lower, join, set, LAYOUT, op_unmap(0, I0 + PG, 2 * PG), LAYOUT,
				    info), "limit %u, one made free", n);
		run_try(run, 0, OPS(lower, join, set, LAYOUT,
				    op_map(MAP_RW, I0 + PG, PG, VA_RAM)), "limit %u, overlap", n);
		run_try(run, 0, OPS(lower, join, set, op_map(MAP_RW, I0, PG, VA_HOLE), LAYOUT),
			"limit %u, a failure does not count", n);
		run_try(run, 0, OPS(lower, join, set, LAYOUT,
				    op_map(MAP_RW, MSI_FIRST, PG, VA_RAM)),
			"limit %u, reserved", n);
	}
	run_try(run, V2, OPS(op_simple(OP_LIMIT, 1), LAYOUT, info), "lowered too late");
	run_try(run, 0, OPS(op_simple(OP_LIMIT, 1), join, set, op_simple(OP_LIMIT, 9), LAYOUT,
			    info), "raised too late");
	run_group_end(run);
}

static void again(struct run *run)
{
	run_group(run, "MAP_DMA: again, and the same memory");
	run_try(run, V2, OPS(op_map(MAP_RW, I0, PG, VA_RAM), op_map(MAP_RW, I0, PG, VA_RAM)),
		"the same twice");
	run_try(run, V2, OPS(op_map(MAP_RW, I0, PG, VA_RAM), op_unmap(0, I0, PG),
			     op_map(MAP_RW, I0, PG, VA_RAM)), "unmapped in between");
	run_try(run, V2, OPS(op_map(MAP_RW, I0, 4 * PG, VA_RAM),
			     op_map(MAP_RW, I0 + 8 * PG, 4 * PG, VA_RAM),
			     op_write(0, I0, 4 * PG, 1), op_write(0, I0 + 9 * PG, PG, 2)),
		"the same memory twice");
	run_try(run, V2, OPS(op_map(MAP_R, I0, 4 * PG, VA_RAM),
			     op_map(MAP_RW, I0 + 8 * PG, 4 * PG, VA_RAM + 2 * PG),
			     op_write(0, I0 + 8 * PG, 4 * PG, 1), op_read(0, I0, 4 * PG),
			     op_write(0, I0, PG, 3)), "overlapping memory, one read-only");
	run_try(run, V2, OPS(op_map(MAP_RW, I0, 4 * PG, VA_FILE),
			     op_map(MAP_RW, I0 + 8 * PG, 4 * PG, VA_ALIAS),
			     op_write(0, I0, 4 * PG, 1), op_write(0, I0 + 8 * PG, PG, 2),
			     op_read(0, I0, PG)), "one file by two addresses");
	run_try(run, V2, OPS(op_map(MAP_W, I0, 4 * PG, VA_RAM), op_write(0, I0, 4 * PG, 1),
			     op_read(0, I0, PG)), "for writing alone");
	run_try(run, V2, OPS(op_map(MAP_R, I0, 4 * PG, VA_RAM), op_read(0, I0, 4 * PG),
			     op_write(0, I0, PG, 1)), "for reading alone");
	run_try(run, V1, OPS(LAYOUT, op_write(0, I0 + PG, 2 * PG, 1),
			     op_write(0, I0 + 3 * PG, PG, 2), op_write(0, I0 + 4 * PG, 4 * PG, 3)),
		"type 1, and data");
	run_group_end(run);
}

void seqs_map(struct run *run)
{
	flags(run);
	args(run);
	ranges(run);
	memory(run);
	overlaps(run);
	limit(run);
	again(run);
}
