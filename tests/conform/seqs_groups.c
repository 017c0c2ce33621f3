// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sequences about groups: joining and leaving, with mappings there.
 *
 * On a faulting side the last group is of a device that may not fault.
 */
#include "seqs.h"

#define JOIN(g)		op_group(OP_JOIN, g)
#define LEAVE(g)	op_group(OP_LEAVE, g)

static void join(struct run *run)
{
	const struct conform_op info = op_info(256), set = op_simple(OP_SET, V2);
	unsigned int g, t;

	run_group(run, "groups join and leave");
	for (t = 0; t < ARRAY_SIZE(seqs_types); t++) {
		unsigned int type = seqs_types[t];

		for (g = 1; g < CONFORM_GROUPS; g++) {
			run_try(run, type, OPS(JOIN(g), info, LEAVE(g), info), "%u, empty", g);
			run_try(run, type, OPS(LAYOUT, JOIN(g), info, LEAVE(g), info),
				"%u, with mappings", g);
			run_try(run, type, OPS(JOIN(g), LAYOUT, LEAVE(g), info),
				"%u, then mappings", g);
			run_try(run, type, OPS(LAYOUT, JOIN(g), LEAVE(0), info, op_unmap_all(0)),
				"%u, the first leaves", g);
			run_try(run, type, OPS(LAYOUT, JOIN(g), JOIN(g)), "%u, twice", g);
		}
		run_try(run, type, OPS(LAYOUT, JOIN(1), JOIN(2), info, LEAVE(1), info, LEAVE(2),
				       info), "both");
		run_try(run, type, OPS(LAYOUT, JOIN(1), LEAVE(1), JOIN(1), info), "again");
		run_try(run, type, OPS(LAYOUT, LEAVE(0), info), "the last leaves");
		run_try(run, type, OPS(LAYOUT, LEAVE(0), JOIN(0), info, set, info, LAYOUT),
			"the last leaves and comes back");
		run_try(run, type, OPS(LAYOUT, LEAVE(0), JOIN(1), JOIN(0), set, info, LAYOUT),
			"two come back");
	}
	run_try(run, 0, OPS(JOIN(0), JOIN(1), info, set, info, LAYOUT), "two from the start");
	run_try(run, 0, OPS(JOIN(0), LEAVE(0), set), "none is left");
	run_try(run, 0, OPS(LEAVE(0)), "leaving without having joined");
	run_try(run, V2, OPS(JOIN(0)), "the same twice");
	run_group_end(run);
}

/* A device open keeps its group; both devices reach what was mapped before and after. */
static void devices(struct run *run)
{
	run_group(run, "groups with open devices");
	run_try(run, V2, OPS(op_group(OP_DEVICE, 0), LEAVE(0), LAYOUT, op_write(0, I0 + PG, PG, 1)),
		"leaving");
	run_try(run, V2, OPS(LAYOUT, JOIN(1), op_write(1, I0 + PG, 2 * PG, 1),
			     op_write(0, I0 + PG, PG, 2), op_map(MAP_RW, I0 + 9 * PG, PG, VA_RAM),
			     op_write(1, I0 + 9 * PG, PG, 3), op_unmap(0, I0 + PG, 2 * PG),
			     op_write(1, I0 + PG, PG, 4), op_write(0, I0 + PG, PG, 5)),
		"a second device");
	run_try(run, V2, OPS(LAYOUT, JOIN(2), op_write(2, I0 + PG, 2 * PG, 1),
			     op_write(0, I0 + PG, PG, 2), op_map(MAP_RW, I0 + 9 * PG, PG, VA_RAM),
			     op_write(2, I0 + 9 * PG, PG, 3), op_unmap(0, I0 + PG, 2 * PG),
			     op_write(2, I0 + PG, PG, 4)), "one that may not fault");
	run_try(run, V2, OPS(LAYOUT, op_dirty(DIRTY_START), JOIN(1), op_write(1, I0 + PG, PG, 1),
			     op_write(0, I0 + 5 * PG, PG, 2), op_get(I0, 16 * PG),
			     op_get(I0, 16 * PG)), "dirty pages of two devices");
	run_try(run, V2, OPS(LAYOUT, op_dirty(DIRTY_START), JOIN(2), op_write(2, I0 + PG, PG, 1),
			     op_get(I0, 16 * PG), op_write(0, I0 + 2 * PG, PG, 2),
			     op_get(I0, 16 * PG)), "dirty pages, one may not fault");
	run_try(run, V2, OPS(LAYOUT, op_dirty(DIRTY_START), op_write(0, I0 + PG, PG, 1), JOIN(1),
			     LEAVE(1), op_get(I0, 16 * PG), op_get(I0, 16 * PG)),
		"dirty pages, a group came and went");
	run_try(run, V2, OPS(LAYOUT, op_dirty(DIRTY_START), op_write(0, I0 + PG, PG, 1), JOIN(2),
			     LEAVE(2), op_get(I0, 16 * PG), op_get(I0, 16 * PG)),
		"dirty pages, one came and went that may not fault");
	run_group_end(run);
}

void seqs_groups(struct run *run)
{
	join(run);
	devices(run);
}
