// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sequences about memory and processes: kinds of memory, what is charged, limits, children,
 * memory that is taken away.
 */
#include "seqs.h"

static void charges(struct run *run)
{
	run_group(run, "what is charged");
	run_try(run, V2, OPS(op_map(MAP_RW, I0, MEM_HUGE, VA_RAM)), "2 MiB");
	run_try(run, V2, OPS(op_map(MAP_RW, I0, MEM_HUGE, VA_RAM),
			     op_map(MAP_RW, I0 + MEM_HUGE, MEM_HUGE, VA_RAM)), "the same twice");
	run_try(run, V2, OPS(op_map(MAP_R, I0, 16 * PG, VA_RO)), "read-only memory");
	run_try(run, V2, OPS(op_map(MAP_R, I0, 16 * PG, VA_GONE)), "never touched, for reading");
	run_try(run, V2, OPS(op_map(MAP_RW, I0, 16 * PG, VA_GONE)), "never touched");
	run_try(run, V2, OPS(op_map(MAP_RW, I0, 16 * PG, VA_FILE)), "a shared file");
	run_try(run, V2, OPS(op_map(MAP_R, I0, 16 * PG, VA_FILE)), "a shared file, for reading");
	run_try(run, V2, OPS(op_map(MAP_RW, I0, 4 * PG, VA_EOF)), "up to the end of a file");
	run_try(run, V2, OPS(op_map(MAP_RW, I0, 8 * PG, VA_MIX)), "a failure in the middle");
	run_try(run, V2, OPS(LAYOUT, op_unmap(0, I0 + 4 * PG, 3 * PG), LAYOUT), "one unmapped");
	run_try(run, V2, OPS(LAYOUT, op_group(OP_JOIN, 1), op_group(OP_JOIN, 2),
			     op_group(OP_LEAVE, 2), op_group(OP_LEAVE, 1)), "groups come and go");
	run_try(run, V2, OPS(LAYOUT, op_unmap_all(UNMAP_VADDR),
			     op_map(MAP_VADDR, I0 + PG, 2 * PG, VA_RAM)), "addresses off and on");
	if (side_there(&run->side[0], VA_HUGE) && side_there(&run->side[1], VA_HUGE)) {
		run_try(run, V2, OPS(op_map(MAP_RW, I0, MEM_HUGE, VA_HUGE)), "hugetlb");
		run_try(run, V2, OPS(op_map(MAP_RW, I0, PG, VA_HUGE + 5 * PG)),
			"a part of hugetlb");
	}
	run_try(run, V2, OPS(op_group(OP_DEVICE, 0), op_map(MAP_RW, I0, PG, VA_BAR), op_info(256),
			     op_unmap(0, I0, PG)), "a device's BAR");
	run_try(run, V2, OPS(op_group(OP_DEVICE, 0), op_map(MAP_R, I0, 2 * PG, VA_BAR)),
		"a device's BAR, for reading");
	run_group_end(run);
}

/* The user may lock only so much, and has no CAP_IPC_LOCK. */
static void limits(struct run *run)
{
	unsigned int pages;

	run_group(run, "RLIMIT_MEMLOCK");
	for (pages = 0; pages <= 8; pages++) {
		const struct conform_op limit = op_simple(OP_MEMLOCK, pages * PG);

		run_try(run, V2, OPS(limit, LAYOUT, op_map(MAP_RW, I0 + 16 * PG, PG, VA_RAM)),
			"%u pages", pages);
		run_try(run, V2, OPS(limit, op_map(MAP_RW, I0, 4 * PG, VA_RAM),
				     op_unmap(0, I0, 4 * PG), op_map(MAP_RW, I0, 4 * PG, VA_RAM),
				     op_map(MAP_RW, I0 + 8 * PG, PG, VA_RAM)),
			"%u pages, again and again", pages);
		run_try(run, V2, OPS(limit, op_map(MAP_RW, I0, 8 * PG, VA_MIX), LAYOUT),
			"%u pages, bad memory", pages);
		run_try(run, V2, OPS(LAYOUT, limit, op_map(MAP_RW, I0 + 16 * PG, PG, VA_RAM)),
			"%u pages, some locked before", pages);
		run_try(run, V2, OPS(limit, op_map(MAP_RW, I0, PG, VA_RAM),
				     op_unmap(UNMAP_VADDR, I0, PG),
				     with_child(op_map(MAP_VADDR, I0, PG, VA_RAM))),
			"%u pages, a child takes over", pages);
		run_try(run, V2, OPS(LAYOUT, limit, op_group(OP_JOIN, 1)),
			"%u pages, a group joins", pages);
	}
	run_try(run, V2, OPS(op_simple(OP_MEMLOCK, 4 * PG + 1),
			     op_map(MAP_RW, I0, 5 * PG, VA_RAM)), "no whole page");
	run_try(run, V2, OPS(op_simple(OP_MEMLOCK, 4 * PG), op_simple(OP_MEMLOCK, CONFORM_ALWAYS),
			     op_map(MAP_RW, I0, 5 * PG, VA_RAM)), "and the capability again");
	run_group_end(run);
}

static void children(struct run *run)
{
	const struct conform_op map = op_map(MAP_RW, I0, 4 * PG, VA_RAM);

	run_group(run, "a forked child uses the container");
	run_try(run, V2, OPS(with_child(map), op_info(256), op_unmap(0, I0, 4 * PG)), "it maps");
	run_try(run, V2, OPS(with_child(map), with_child(op_unmap(0, I0, 4 * PG))), "and unmaps");
	run_try(run, V2, OPS(map, with_child(op_unmap(0, I0, 4 * PG))), "it unmaps ours");
	run_try(run, V2, OPS(map, with_child(op_unmap_all(0))), "it unmaps all");
	run_try(run, V2, OPS(map, with_child(map)), "it maps what is mapped");
	run_try(run, V2, OPS(with_child(map), map), "we map what it mapped");
	run_try(run, V2, OPS(with_child(map), op_group(OP_JOIN, 1), op_group(OP_LEAVE, 1)),
		"a group joins when it is gone");
	run_try(run, V2, OPS(with_child(map), op_group(OP_JOIN, 2)),
		"a group joins that may not fault, when it is gone");
	run_try(run, V2, OPS(map, op_write(0, I0, 4 * PG, 1), with_child(op_info(256)),
			     op_write(0, I0, 4 * PG, 2)), "data before and after");
	run_try(run, V2, OPS(with_child(op_map(MAP_RW, I0, PG, VA_HOLE))), "it maps nothing");
	run_try(run, V1, OPS(with_child(map), op_unmap(0, I0, 4 * PG)), "it maps, type 1");
	run_try(run, V2, OPS(op_dirty(DIRTY_START), with_child(map), op_get(I0, 4 * PG)),
		"it maps while tracking");
	run_group_end(run);
}

/* Persistent memory can't be pinned for long: its file system wants to move it. */
static void dax(struct run *run)
{
	const struct conform_op map = op_map(MAP_RW, I0, 4 * PG, VA_DAX);

	run_group(run, "a file that is persistent memory");
	run_try(run, V2, OPS(map), "for both");
	run_try(run, V2, OPS(op_map(MAP_R, I0, 4 * PG, VA_DAX), op_read(0, I0, 4 * PG)),
		"for reading");
	run_try(run, V2, OPS(op_map(MAP_W, I0, 4 * PG, VA_DAX)), "for writing");
	run_try(run, V2, OPS(op_map(MAP_R, I0, 4 * PG, VA_DAX_RO)), "read-only, for reading");
	run_try(run, V2, OPS(op_map(MAP_RW, I0, 4 * PG, VA_DAX_RO)), "read-only, for both");
	run_try(run, V2, OPS(op_map(MAP_RW, I0, 17 * PG, VA_DAX)), "then nothing");
	run_try(run, V2, OPS(op_map(MAP_RW, I0, 2 * PG, VA_DAX - PG)), "nothing, then this");
	run_try(run, V2, OPS(op_group(OP_JOIN, MODEL_PINNER), map), "pinned for a group");
	run_try(run, V2, OPS(op_simple(OP_MEMLOCK, 0), map), "nothing may be locked");
	run_group_end(run);
}

/* Permitted, but not there, or not for pinning: who faults can wait for it. */
static void later(struct run *run)
{
	run_group(run, "memory that can't be pinned");
	run_try(run, V2, OPS(op_map(MAP_RW, I0, 8 * PG, VA_EOF)), "over the end of a file");
	run_try(run, V2, OPS(op_map(MAP_RW, I0, 2 * PG, VA_EOF + 4 * PG)), "behind it");
	run_try(run, V2, OPS(op_map(MAP_R, I0, 2 * PG, VA_EOF + 4 * PG)), "for reading");
	if (side_there(&run->side[0], VA_SECRET) && side_there(&run->side[1], VA_SECRET)) {
		run_try(run, V2, OPS(op_map(MAP_RW, I0, PG, VA_SECRET)), "secret memory");
		run_try(run, V2, OPS(op_map(MAP_R, I0, PG, VA_SECRET)), "for reading");
	}
	if (side_there(&run->side[0], VA_POISON) && side_there(&run->side[1], VA_POISON)) {
		run_try(run, V2, OPS(op_map(MAP_RW, I0, 2 * PG, VA_POISON)), "poison");
		run_try(run, V2, OPS(op_map(MAP_R, I0, PG, VA_POISON)), "for reading");
	}
	if (side_there(&run->side[0], VA_DISK) && side_there(&run->side[1], VA_DISK)) {
		run_try(run, V2, OPS(op_map(MAP_RW, I0, 4 * PG, VA_DISK)), "a file on a disk");
		run_try(run, V2, OPS(op_map(MAP_R, I0, 4 * PG, VA_DISK), op_read(0, I0, 4 * PG)),
			"a file on a disk, for reading");
	}
	run_group_end(run);
}

static void gone(struct run *run)
{
	const struct conform_op map = op_map(MAP_RW, I0, 8 * PG, VA_GONE);
	const struct conform_op away = op_memory(OP_MUNMAP, VA_GONE, 8 * PG);

	run_group(run, "memory that goes away");
	run_try(run, V2, OPS(map, op_write(0, I0, 8 * PG, 1), away, op_write(0, I0, PG, 2),
			     op_unmap(0, I0, 8 * PG)), "unmapped, then written");
	run_try(run, V2, OPS(map, away, op_read(0, I0 + 3 * PG, PG)), "unmapped, then read");
	run_try(run, V2, OPS(map, op_memory(OP_MUNMAP, VA_GONE + 4 * PG, PG),
			     op_read(0, I0, 4 * PG), op_read(0, I0 + 4 * PG, PG)), "a page of it");
	run_try(run, V2, OPS(map, op_write(0, I0, 8 * PG, 1), op_memory(OP_DROP, VA_GONE, 8 * PG),
			     op_write(0, I0, 8 * PG, 2)), "dropped, then written");
	run_try(run, V2, OPS(map, away, op_map(MAP_RW, I0 + 8 * PG, 8 * PG, VA_GONE)),
		"unmapped, then mapped");
	run_try(run, V2, OPS(map, away, op_group(OP_JOIN, 1), op_group(OP_JOIN, 2)),
		"unmapped, and groups join");
	run_try(run, V2, OPS(map, op_group(OP_JOIN, 2), away, op_write(0, I0, PG, 1),
			     op_write(2, I0, PG, 2)), "unmapped, after a group joined");
	run_try(run, V2, OPS(map, op_dirty(DIRTY_START), op_write(0, I0 + PG, PG, 1),
			     op_memory(OP_DROP, VA_GONE, 8 * PG), op_get(I0, 8 * PG)),
		"written, dropped, and asked");
	run_try(run, V2, OPS(map, op_dirty(DIRTY_START), op_write(0, I0 + PG, PG, 1), away,
			     op_unmap(UNMAP_BITMAP, I0, 8 * PG)), "written, unmapped, and asked");
	run_group_end(run);
}

void seqs_memory(struct run *run)
{
	charges(run);
	limits(run);
	children(run);
	later(run);
	if (side_there(&run->side[0], VA_DAX) && side_there(&run->side[1], VA_DAX))
		dax(run);
	gone(run);
}
