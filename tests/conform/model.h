/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a container must look like after the steps so far: its mappings and which of their pages
 * the device has written. Follows what stock type1 answered; used where the sides may differ on
 * purpose, to know exactly by how much.
 *
 * Stock's own sums are compared with it, so a wrong model does not stay unnoticed.
 */
#ifndef TESTS_CONFORM_MODEL_H
#define TESTS_CONFORM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "op.h"
#include "side.h"

#define MODEL_MAPS	96
#define MODEL_PAGES	4096	/* pages of a mapping whose contents are followed */

/* A page of a mapping. MAYBE: a device command that failed may or may not have got that far. */
enum model_page {
	PAGE_CLEAN,
	PAGE_DIRTY,
	PAGE_MAYBE,
};

/**
 * struct model_map - a mapping
 * @iova: first address
 * @size: bytes
 * @va: of the process
 * @flags: MAP_R, MAP_W
 * @invalid: after UNMAP_VADDR
 * @foreign: made by a child that is gone
 * @gone: some of its memory was taken away
 * @stale: stock may have bits left over beyond its end, see the bitmap's image
 * @page: enum model_page of each, since they were last asked for; NULL: too many
 */
struct model_map {
	uint64_t iova;
	uint64_t size;
	uint64_t va;
	uint32_t flags;
	bool invalid;
	bool foreign;
	bool gone;
	bool stale;
	uint8_t *page;
};

/**
 * struct model - a container
 * @type: 0: none set
 * @groups: bit mask of those in it
 * @tracking: between DIRTY_START and DIRTY_STOP
 * @pinner: a device that may not fault is, or was, in the faulting side's container
 * @limited: OP_MEMLOCK is in force
 * @n: mappings
 * @map: by address
 */
struct model {
	unsigned int type;
	unsigned int groups;
	bool tracking;
	bool pinner;
	bool limited;
	unsigned int n;
	struct model_map map[MODEL_MAPS];
};

/* The group whose device, on a faulting side, may not fault. */
#define MODEL_PINNER	(CONFORM_GROUPS - 1)

/** model_reset() - a fresh container; 0 like side_fresh() */
void model_reset(struct model *m, unsigned int type);

/** model_apply() - a step was done and stock answered this */
void model_apply(struct model *m, const struct conform_op *op, const struct conform_result *stock);

/** model_find() - the mapping at an address, or NULL */
const struct model_map *model_find(const struct model *m, uint64_t iova);

/** model_usable() - whether a device may be asked to reach [@iova, @iova + @size) */
bool model_usable(const struct model *m, uint64_t iova, uint64_t size);

/** model_va() - address of the memory behind a range in one mapping; 0: none, or unknown */
uint64_t model_va(const struct model *m, uint64_t iova, uint64_t size);

/** model_gone() - whether memory behind the range was taken away */
bool model_gone(const struct model *m, uint64_t iova, uint64_t size);

/** model_lost() - whether the memory of any mapping was taken away, or its process is gone */
bool model_lost(const struct model *m);

/** model_unmap_to_end() - what unmapping [@iova, 2^64) should say: bytes, or -EINVAL */
int64_t model_unmap_to_end(const struct model *m, uint64_t iova);

#endif /* TESTS_CONFORM_MODEL_H */
