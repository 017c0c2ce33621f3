// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sequences about the container itself: its type, extensions, what it does not know, GET_INFO.
 */
#include "seqs.h"

#define EXTENSIONS	21
#define NUMBERS		32

static void set_iommu(struct run *run)
{
	unsigned int type;

	run_group(run, "SET_IOMMU");
	for (type = 0; type <= 12; type++) {
		run_try(run, 0, OPS(op_simple(OP_SET, type)), "type %u, no group", type);
		run_try(run, 0, OPS(op_group(OP_JOIN, 0), op_simple(OP_SET, type),
				    op_simple(OP_SET, V2), op_info(256)), "type %u", type);
	}
	run_try(run, 0, OPS(op_group(OP_JOIN, 0), op_simple(OP_SET, ~0u)), "type ~0");
	run_try(run, V2, OPS(op_simple(OP_SET, V2)), "twice");
	run_try(run, V2, OPS(op_simple(OP_SET, V1)), "type 1 after 1v2");
	run_try(run, V1, OPS(op_simple(OP_SET, V2)), "type 1v2 after 1");
	run_try(run, V2, OPS(op_group(OP_LEAVE, 0), op_simple(OP_SET, V1)), "after leaving");
	run_try(run, V2, OPS(op_group(OP_LEAVE, 0), op_group(OP_JOIN, 0), op_simple(OP_SET, V1)),
		"type 1 after leaving 1v2");
	run_try(run, V1, OPS(op_group(OP_LEAVE, 0), op_group(OP_JOIN, 0), op_simple(OP_SET, V2),
			     op_info(256)), "type 1v2 after leaving 1");
	run_group_end(run);
}

static void extensions(struct run *run)
{
	struct conform_op ops[EXTENSIONS + 3];
	unsigned int n, i, way;

	run_group(run, "CHECK_EXTENSION");
	for (way = 0; way < 4; way++) {
		static const char *const names[] = {
			"empty", "with a group", "type 1v2", "type 1",
		};

		n = 0;
		if (way == 1)
			ops[n++] = op_group(OP_JOIN, 0);
		for (i = 0; i < EXTENSIONS; i++)
			ops[n++] = op_simple(OP_EXTENSION, i);
		ops[n++] = op_simple(OP_EXTENSION, ~0u);
		ops[n].kind = OP_END;
		run_try(run, way == 2 ? V2 : way == 3 ? V1 : 0, ops, "%s", names[way]);
	}
	for (i = 0; i < EXTENSIONS; i++)
		run_try(run, V2, OPS(LAYOUT, op_simple(OP_EXTENSION, i)), "%u, with mappings", i);
	run_group_end(run);
}

/* By the numbers that mean something else elsewhere, or nothing anywhere. */
static void unknown(struct run *run)
{
	unsigned int i, way;

	run_group(run, "ioctls that a container does not have");
	for (i = 0; i < NUMBERS; i++) {
		/* These change the container and have groups of their own. */
		if (i == 2)
			continue;
		for (way = 0; way < 3; way++) {
			struct conform_op op = op_simple(OP_IOCTL, _IO(VFIO_TYPE, VFIO_BASE + i));

			if (way < 2)
				run_try(run, way ? V2 : 0, OPS(op), "%u, %s", i,
					way ? "type 1v2" : "empty");
			else
				run_try(run, 0, OPS(op_group(OP_JOIN, 0), op),
					"%u, with a group", i);
		}
	}
	run_try(run, V2, OPS(op_simple(OP_IOCTL, _IO('x', VFIO_BASE + 13))), "of another type");
	run_try(run, V2, OPS(op_simple(OP_IOCTL, _IOR(VFIO_TYPE, VFIO_BASE + 13, int))),
		"with a size");
	run_group_end(run);
}

static void before_set(struct run *run)
{
	static const char *const names[] = {
		"GET_INFO", "MAP_DMA", "UNMAP_DMA", "START", "GET_BITMAP",
	};
	const struct conform_op ops[] = {
		op_info(INFO_ARGSZ), op_map(MAP_RW, I0, PG, VA_RAM), op_unmap(0, I0, PG),
		op_dirty(DIRTY_START), op_get(I0, PG),
	};
	unsigned int i;

	run_group(run, "before SET_IOMMU, and after the last group left");
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		run_try(run, 0, OPS(ops[i]), "%s, empty", names[i]);
		run_try(run, 0, OPS(op_group(OP_JOIN, 0), ops[i]), "%s, with a group", names[i]);
		run_try(run, V2, OPS(LAYOUT, op_group(OP_LEAVE, 0), ops[i]), "%s, left", names[i]);
	}
	run_group_end(run);
}

void seqs_container(struct run *run)
{
	set_iommu(run);
	extensions(run);
	unknown(run);
	before_set(run);
}

static void info_sizes(struct run *run)
{
	static const uint32_t more[] = { 256, 400, 4096, 1u << 31, ~0u };
	unsigned int t, i;

	run_group(run, "GET_INFO: argsz");
	for (t = 0; t < ARRAY_SIZE(seqs_types); t++) {
		for (i = 0; i < 160; i += i < 28 ? 1 : 4)
			run_try(run, seqs_types[t], OPS(op_info(i)), "%u, type %u", i,
				seqs_types[t]);
		for (i = 0; i < ARRAY_SIZE(more); i++)
			run_try(run, seqs_types[t], OPS(op_info(more[i])), "%u, type %u", more[i],
				seqs_types[t]);
	}
	run_group_end(run);
}

static void info_places(struct run *run)
{
	static const uint32_t sizes[] = { 15, 16, 24, 64, 256 };
	unsigned int i, edge, at;

	run_group(run, "GET_INFO: where");
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (at = AT_READ_ONLY; at < AT_WHERES; at++)
			run_try(run, V2, OPS(with_at(op_info(sizes[i]), at, 0)),
				"argsz %u, place %u", sizes[i], at);
		for (edge = 4; edge <= 128; edge += 4)
			run_try(run, V2, OPS(with_at(op_info(sizes[i]), AT_EDGE, edge)),
				"argsz %u, %u bytes there", sizes[i], edge);
	}
	run_group_end(run);
}

static void info_state(struct run *run)
{
	const struct conform_op info = op_info(256);

	run_group(run, "GET_INFO: in every state");
	run_try(run, V2, OPS(info, LAYOUT, info, op_unmap(0, I0 + PG, 2 * PG), info,
			     op_unmap_all(0), info), "mapping and unmapping");
	run_try(run, V2, OPS(LAYOUT, op_dirty(DIRTY_START), info, op_dirty(DIRTY_STOP), info),
		"tracking");
	run_try(run, V2, OPS(LAYOUT, op_unmap_all(UNMAP_VADDR), info), "without addresses");
	run_try(run, V2, OPS(op_map(MAP_RW, I0, PG, VA_HOLE), info), "after MAP_DMA failed");
	run_try(run, V1, OPS(info, LAYOUT, info, op_unmap_all(0), info), "type 1");
	run_try(run, V2, OPS(with_child(info)), "by a child");
	run_try(run, V2, OPS(with_child(op_info(64))), "by a child, too short for capabilities");
	run_group_end(run);
}

void seqs_info(struct run *run)
{
	info_sizes(run);
	info_places(run);
	info_state(run);
}
