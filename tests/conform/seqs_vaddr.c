// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sequences about giving mappings another address: UNMAP_DMA and MAP_DMA with their VADDR flags.
 */
#include "seqs.h"

#define OFF(first, pages)	op_unmap(UNMAP_VADDR, I0 + (first) * PG, (pages) * PG)
#define ON(first, pages, va)	op_map(MAP_VADDR, I0 + (first) * PG, (pages) * PG, va)

static void plain(struct run *run)
{
	run_group(run, "VADDR: off and on");
	run_try(run, V2, OPS(LAYOUT, OFF(1, 2), ON(1, 2, VA_RAM)), "one");
	run_try(run, V2, OPS(LAYOUT, OFF(1, 2), OFF(1, 2), ON(1, 2, VA_RAM)), "off twice");
	run_try(run, V2, OPS(LAYOUT, OFF(1, 2), ON(1, 2, VA_RAM), ON(1, 2, VA_RAM)), "on twice");
	run_try(run, V2, OPS(LAYOUT, ON(1, 2, VA_RAM)), "on without off");
	run_try(run, V2, OPS(LAYOUT, OFF(4, 3), ON(1, 2, VA_RAM)), "on of another");
	run_try(run, V2, OPS(LAYOUT, OFF(0, 9), ON(1, 2, VA_RAM), ON(4, 3, VA_RAM + 16 * PG),
			     ON(7, 1, VA_RAM + 32 * PG)), "all three");
	run_try(run, V2, OPS(LAYOUT, op_unmap_all(UNMAP_VADDR), ON(4, 3, VA_RAM + 16 * PG)),
		"all, one on");
	run_try(run, V2, OPS(LAYOUT, op_unmap_all(UNMAP_VADDR), op_unmap_all(UNMAP_VADDR),
			     ON(1, 2, VA_RAM)), "all twice");
	/* Stock makes those valid again that it came by. */
	run_try(run, V2, OPS(LAYOUT, OFF(4, 3), op_unmap_all(UNMAP_VADDR), ON(1, 2, VA_RAM),
			     ON(4, 3, VA_RAM + 16 * PG)), "one, then all");
	run_try(run, V2, OPS(LAYOUT, OFF(7, 1), OFF(4, 4), ON(4, 3, VA_RAM), ON(7, 1, VA_RAM)),
		"one, then a range with it");
	run_try(run, V2, OPS(OFF(1, 2)), "off, nothing mapped");
	run_try(run, V2, OPS(op_unmap_all(UNMAP_VADDR)), "all, nothing mapped");
	run_try(run, V2, OPS(ON(1, 2, VA_RAM)), "on, nothing mapped");
	run_try(run, V2, OPS(LAYOUT, OFF(9, 4)), "off, nothing there");
	run_try(run, V2, OPS(LAYOUT, ON(9, 4, VA_RAM)), "on, nothing there");
	run_try(run, V2, OPS(LAYOUT, op_unmap(UNMAP_ALL | UNMAP_VADDR, PG, 0)), "all with an iova");
	run_try(run, V2, OPS(LAYOUT, op_unmap(UNMAP_ALL | UNMAP_VADDR, 0, PG)), "all with a size");
	run_try(run, V1, OPS(LAYOUT, OFF(1, 2), ON(1, 2, VA_RAM)), "type 1");
	run_try(run, V1, OPS(LAYOUT, op_unmap_all(UNMAP_VADDR), ON(7, 1, VA_RAM)), "type 1, all");
	run_group_end(run);
}

static void cuts(struct run *run)
{
	unsigned int first, end, t;

	run_group(run, "VADDR: every range");
	for (first = 0; first < LAYOUT_PAGES; first++) {
		for (end = first + 1; end <= LAYOUT_PAGES; end++) {
			for (t = 0; t < ARRAY_SIZE(seqs_types); t++)
				run_try(run, seqs_types[t],
					OPS(LAYOUT, OFF(first, end - first),
					    ON(4, 3, VA_RAM + 16 * PG)),
					"off, type %u, pages %u to %u", seqs_types[t], first,
					end - 1);
			run_try(run, V2, OPS(LAYOUT, op_unmap_all(UNMAP_VADDR),
					     ON(first, end - first, VA_RAM)),
				"on, pages %u to %u", first, end - 1);
			run_try(run, V2, OPS(LAYOUT, op_unmap_all(UNMAP_VADDR),
					     op_unmap(0, I0 + first * PG, (end - first) * PG)),
				"unmap while off, pages %u to %u", first, end - 1);
		}
	}
	run_group_end(run);
}

static void addresses(struct run *run)
{
	static const struct {
		const char *name;
		uint64_t va;
	} list[] = {
		{ "the same", VA_RAM },
		{ "other memory", VA_RAM + 64 * PG },
		{ "misaligned", VA_RAM + 8 },
		{ "NULL", 0 },
		{ "nothing there", VA_HOLE },
		{ "read-only", VA_RO },
		{ "PROT_NONE", VA_NONE },
		{ "a kernel address", 0xffff888000000000ull },
		{ "wraps", -PG },
		{ "ends at 2^64", -2 * PG },
	};
	unsigned int i, f;

	run_group(run, "VADDR: addresses and flags");
	for (i = 0; i < ARRAY_SIZE(list); i++)
		run_try(run, V2, OPS(LAYOUT, OFF(1, 2), ON(1, 2, list[i].va), ON(1, 2, VA_RAM)),
			"on, %s", list[i].name);
	for (f = 0; f < 4; f++)
		run_try(run, V2, OPS(LAYOUT, OFF(1, 2),
				     op_map(MAP_VADDR | f, I0 + PG, 2 * PG, VA_RAM)),
			"on, with flags %u", f);
	run_try(run, V2, OPS(LAYOUT, OFF(1, 2), op_map(MAP_RW, I0 + PG, 2 * PG, VA_RAM)),
		"mapped while off");
	run_try(run, V2, OPS(LAYOUT, OFF(1, 2), op_map(MAP_RW, I0 + 20 * PG, 2 * PG, VA_RAM)),
		"another mapped while off");
	run_try(run, V2, OPS(LAYOUT, OFF(1, 2), with_argsz(ON(1, 2, VA_RAM), MAP_ARGSZ - 1)),
		"on, argsz short");
	run_try(run, V2, OPS(LAYOUT, OFF(1, 2), op_map(MAP_VADDR, I0 + PG, 0, VA_RAM)),
		"on, size 0");
	run_try(run, V2, OPS(LAYOUT, OFF(1, 2), op_map(MAP_VADDR, I0 + PG + 8, 2 * PG, VA_RAM)),
		"on, iova misaligned");
	run_try(run, V2, OPS(LAYOUT, OFF(1, 2), op_map(MAP_VADDR, -PG, 2 * PG, VA_RAM)),
		"on, iova wraps");
	run_group_end(run);
}

static void state(struct run *run)
{
	const struct conform_op file = op_map(MAP_RW, I0, 8 * PG, VA_FILE);
	const struct conform_op get = op_get(I0, 16 * PG);

	run_group(run, "VADDR: together with the rest");
	run_try(run, V2, OPS(file, op_write(0, I0, 4 * PG, 1), OFF(0, 8), ON(0, 8, VA_ALIAS),
			     op_write(0, I0 + 2 * PG, 4 * PG, 2), op_read(0, I0, 8 * PG)),
		"data through both addresses");
	run_try(run, V2, OPS(file, op_dirty(DIRTY_START), op_write(0, I0 + PG, PG, 1), OFF(0, 8),
			     ON(0, 8, VA_ALIAS), op_write(0, I0 + 3 * PG, PG, 2), get, get),
		"dirty pages of both addresses");
	run_try(run, V2, OPS(file, op_dirty(DIRTY_START), op_write(0, I0 + PG, PG, 1), OFF(0, 8),
			     get, ON(0, 8, VA_ALIAS), get), "bitmap while off");
	run_try(run, V2, OPS(file, OFF(0, 8), op_dirty(DIRTY_START), get, op_dirty(DIRTY_STOP)),
		"start and stop while off");
	run_try(run, V2, OPS(LAYOUT, op_dirty(DIRTY_START), OFF(1, 2),
			     op_unmap(UNMAP_BITMAP, I0, 16 * PG)),
		"unmapped with a bitmap while off");
	run_try(run, V2, OPS(LAYOUT, OFF(1, 2), op_unmap(0, I0 + PG, 2 * PG),
			     op_group(OP_JOIN, 1)), "unmapping makes it good");
	run_try(run, V2, OPS(LAYOUT, OFF(1, 2), op_unmap_all(0), LAYOUT, ON(1, 2, VA_RAM)),
		"mapped anew");
	run_try(run, V2, OPS(LAYOUT, OFF(1, 2), op_group(OP_JOIN, 1), ON(1, 2, VA_RAM),
			     op_group(OP_JOIN, 1), op_group(OP_LEAVE, 1)), "a group joins");
	run_try(run, V2, OPS(LAYOUT, OFF(1, 2), op_group(OP_JOIN, 2), ON(1, 2, VA_RAM),
			     op_group(OP_JOIN, 2)), "a group joins that may not fault");
	run_try(run, V2, OPS(LAYOUT, op_group(OP_JOIN, 1), OFF(1, 2), op_group(OP_LEAVE, 1),
			     ON(1, 2, VA_RAM)), "a group leaves");
	run_try(run, V2, OPS(LAYOUT, OFF(1, 2), op_group(OP_LEAVE, 0)), "the last group leaves");
	run_try(run, V2, OPS(LAYOUT, OFF(1, 2), with_child(ON(1, 2, VA_RAM)), OFF(1, 2),
			     ON(1, 2, VA_RAM)), "on by a child");
	run_try(run, V2, OPS(LAYOUT, with_child(OFF(1, 2)), ON(1, 2, VA_RAM)), "off by a child");
	run_try(run, V2, OPS(LAYOUT, OFF(0, 9), with_child(ON(4, 3, VA_RAM)), op_unmap_all(0)),
		"on by a child, unmapped by us");
	run_try(run, V2, OPS(LAYOUT, OFF(1, 2), op_simple(OP_EXTENSION, 10), op_info(256)),
		"extension while off");
	run_group_end(run);
}

void seqs_vaddr(struct run *run)
{
	plain(run);
	cuts(run);
	addresses(run);
	state(run);
}
