/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sequences written by hand, by topic. Each function runs groups of them; each group is one
 * point.
 */
#ifndef TESTS_CONFORM_SEQS_H
#define TESTS_CONFORM_SEQS_H

#include "mem.h"
#include "op.h"
#include "place.h"
#include "rig.h"
#include "run.h"

#define V1	VFIO_TYPE1_IOMMU
#define V2	VFIO_TYPE1v2_IOMMU
#define PG	MEM_PAGE
#define I0	RIG_IOVA

static const unsigned int seqs_types[] = { V2, V1 };

/* Three mappings in 9 pages, for ranges that cut them: pages 1-2, 4-6 and 7; see run_try(). */
#define LAYOUT_PAGES	9
#define LAYOUT		op_simple(OP_LAYOUT, 0)

/**
 * struct seqs_range - a range to ask about
 * @name: for the sequence's name
 * @iova: first address
 * @size: bytes
 */
struct seqs_range {
	const char *name;
	uint64_t iova;
	uint64_t size;
};

/* Good, odd and impossible ranges over LAYOUT, for whatever takes one; ends with a NULL name. */
extern const struct seqs_range seqs_ranges[];

void seqs_container(struct run *run);
void seqs_info(struct run *run);
void seqs_map(struct run *run);
void seqs_unmap(struct run *run);
void seqs_dirty(struct run *run);
void seqs_vaddr(struct run *run);
void seqs_groups(struct run *run);
void seqs_memory(struct run *run);

#endif /* TESTS_CONFORM_SEQS_H */
