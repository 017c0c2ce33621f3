// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a container must look like: see model.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "mem.h"
#include "model.h"
#include "place.h"
#include "tap.h"

static void remove_at(struct model *m, unsigned int i)
{
	free(m->map[i].page);
	m->n--;
	memmove(&m->map[i], &m->map[i + 1], (m->n - i) * sizeof(m->map[0]));
}

static void remove_all(struct model *m)
{
	while (m->n)
		remove_at(m, m->n - 1);
}

void model_reset(struct model *m, unsigned int type)
{
	remove_all(m);
	m->type = type;
	m->groups = !!type;
	m->tracking = false;
	m->pinner = false;
	m->limited = false;
}

static uint64_t last_of(const struct model_map *map)
{
	return map->iova + (map->size - 1);
}

const struct model_map *model_find(const struct model *m, uint64_t iova)
{
	unsigned int i;

	for (i = 0; i < m->n; i++)
		if (iova >= m->map[i].iova && iova <= last_of(&m->map[i]))
			return &m->map[i];
	return NULL;
}

bool model_lost(const struct model *m)
{
	unsigned int i;

	for (i = 0; i < m->n; i++)
		if (m->map[i].gone || m->map[i].foreign)
			return true;
	return false;
}

bool model_usable(const struct model *m, uint64_t iova, uint64_t size)
{
	unsigned int i;

	for (i = 0; i < m->n; i++) {
		const struct model_map *map = &m->map[i];

		/* While an address is being replaced, only pinned memory can be reached. */
		if (map->invalid)
			return false;
		/* The memory of a process that is gone is there only where it was pinned. */
		if (map->foreign && map->iova < iova + size && iova <= last_of(map))
			return false;
	}
	return true;
}

uint64_t model_va(const struct model *m, uint64_t iova, uint64_t size)
{
	const struct model_map *map = model_find(m, iova);

	if (!map || map->foreign || map->gone || size > map->size - (iova - map->iova))
		return 0;
	return map->va + (iova - map->iova);
}

bool model_gone(const struct model *m, uint64_t iova, uint64_t size)
{
	unsigned int i;

	for (i = 0; i < m->n; i++)
		if (m->map[i].gone && m->map[i].iova < iova + size && iova <= last_of(&m->map[i]))
			return true;
	return false;
}

int64_t model_unmap_to_end(const struct model *m, uint64_t iova)
{
	const struct model_map *at = model_find(m, iova);
	int64_t size = 0;
	unsigned int i;

	if (at && at->iova != iova)
		return m->type == VFIO_TYPE1_IOMMU ? 0 : -EINVAL;
	for (i = 0; i < m->n; i++)
		if (m->map[i].iova >= iova)
			size += (int64_t)m->map[i].size;
	return size;
}

/* Mapping and unmapping */

static void add(struct model *m, const struct conform_op *op)
{
	unsigned int i = m->n;

	must_be(m->n < MODEL_MAPS && op->size / MEM_PAGE <= MODEL_PAGES);
	while (i && m->map[i - 1].iova > op->iova)
		i--;
	memmove(&m->map[i + 1], &m->map[i], (m->n - i) * sizeof(m->map[0]));
	m->n++;
	m->map[i] = (struct model_map){
		.iova = op->iova,
		.size = op->size,
		.va = op->va,
		.flags = op->flags,
		.foreign = op->child,
		.page = calloc(1, op->size / MEM_PAGE),
	};
	must_be(m->map[i].page);
}

/* Whether two addresses are the same memory: equal, or in the two mappings of one file. */
static bool same_memory(uint64_t a, uint64_t b)
{
	uint64_t off = a > b ? a - b : b - a;

	return !off || (off == VA_ALIAS - VA_FILE && (a < b ? a : b) - VA_FILE < PART_LEN);
}

/* With other memory behind the new address, stock's device stays with the old; ours moves. */
static void new_address(struct model *m, const struct conform_op *op)
{
	unsigned int i;

	for (i = 0; i < m->n; i++) {
		if (m->map[i].iova != op->iova)
			continue;
		/* Another process has other memory there; stock keeps the first one's pages. */
		m->map[i].gone = m->map[i].gone || m->map[i].foreign != op->child ||
				 !same_memory(m->map[i].va, op->va);
		m->map[i].va = op->va;
		m->map[i].invalid = false;
		m->map[i].foreign = op->child;
	}
}

static uint64_t reported_size(const struct conform_result *r)
{
	struct vfio_iommu_type1_dma_unmap unmap;

	memcpy(&unmap, r->arg, sizeof(unmap));
	return unmap.size;
}

/* Whether stock takes this mapping for one in the range. */
static bool unmaps(const struct model *m, const struct conform_op *op, const struct model_map *map)
{
	const struct model_map *at;

	if (op->flags & UNMAP_ALL)
		return true;
	/* The range's end is computed modulo 2^64. */
	if (map->iova < op->iova || map->iova >= op->iova + op->size)
		return false;
	/* Type 1: a range that begins within a mapping unmaps nothing. */
	at = model_find(m, op->iova);
	return !at || at->iova == op->iova;
}

static void unmap(struct model *m, const struct conform_op *op, const struct conform_result *r)
{
	bool keep = op->flags & UNMAP_VADDR;
	uint64_t size = 0;
	bool hit[MODEL_MAPS];
	unsigned int i;

	for (i = 0; i < m->n; i++) {
		hit[i] = unmaps(m, op, &m->map[i]);
		if (hit[i])
			size += m->map[i].size;
	}
	for (i = m->n; i--;) {
		if (!hit[i])
			continue;
		if (keep)
			m->map[i].invalid = true;
		else
			remove_at(m, i);
	}
	if (op->at == AT_GOOD && !r->ret && size != reported_size(r))
		tap_bail("the model is wrong: unmapping 0x%llx+0x%llx, 0x%llx, stock says 0x%llx",
			 (unsigned long long)op->iova, (unsigned long long)op->size,
			 (unsigned long long)size, (unsigned long long)reported_size(r));
}

/* Dirty pages */

static void clean(struct model_map *map)
{
	memset(map->page, PAGE_CLEAN, map->size / MEM_PAGE);
}

static void track(struct model *m, bool on)
{
	unsigned int i;

	if (on == m->tracking)
		return;
	m->tracking = on;
	for (i = 0; i < m->n; i++) {
		clean(&m->map[i]);
		m->map[i].stale = false;
	}
}

/* A bitmap was asked for: mappings that were reported are clean, and gone if unmapped. */
static void report(struct model *m, const struct conform_op *op, const struct conform_result *r)
{
	static struct image im;
	unsigned int i, seen = 0;

	image_make(&im, m, op, r);
	if (!im.in_range)
		return;
	for (i = 0; i < m->n; i++) {
		struct model_map *map = &m->map[i];

		if (map->iova < op->iova || map->iova - op->iova >= op->size)
			continue;
		if (seen > im.delivered)
			break;
		if ((map->iova - op->iova) / MEM_PAGE % 64)
			map->stale = true;
		if (seen++ == im.delivered)
			break;
		clean(map);
		if (op->kind == OP_UNMAP)
			remove_at(m, i--);
	}
}

static void write_pages(struct model *m, const struct conform_op *op, bool complete)
{
	unsigned int i;
	uint64_t k;

	for (i = 0; m->tracking && i < m->n; i++) {
		struct model_map *map = &m->map[i];

		if (!(map->flags & MAP_W))
			continue;
		for (k = 0; k < map->size / MEM_PAGE; k++) {
			uint64_t iova = map->iova + k * MEM_PAGE;

			if (iova + (MEM_PAGE - 1) < op->iova || iova >= op->iova + op->size)
				continue;
			if (complete)
				map->page[k] = PAGE_DIRTY;
			else if (map->page[k] == PAGE_CLEAN)
				map->page[k] = PAGE_MAYBE;
		}
	}
}

static void take_away(struct model *m, const struct conform_op *op)
{
	unsigned int i;

	for (i = 0; i < m->n; i++)
		if (m->map[i].va < op->va + op->size && op->va < m->map[i].va + m->map[i].size)
			m->map[i].gone = true;
}

static void leave(struct model *m, unsigned int group)
{
	m->groups &= ~(1u << group);
	if (m->groups)
		return;
	remove_all(m);
	m->type = 0;
	m->tracking = false;
}

static void unmap_or_fail(struct model *m, const struct conform_op *op,
			  const struct conform_result *r)
{
	if (op_has_bitmap(op))
		report(m, op, r);
	else if (!r->ret || (r->ret == -EFAULT && op->at == AT_READ_ONLY))
		unmap(m, op, r);
}

/* What a step does whose ioctl or system call has succeeded. */
static void apply_good(struct model *m, const struct conform_op *op)
{
	switch (op->kind) {
	case OP_SET:
		m->type = (unsigned int)op->value;
		m->pinner = m->groups & 1u << MODEL_PINNER;
		break;
	case OP_JOIN:
		m->groups |= 1u << op->group;
		m->pinner = m->pinner || op->group == MODEL_PINNER;
		break;
	case OP_LEAVE:
		leave(m, op->group);
		break;
	case OP_MAP:
		if (op->flags & MAP_VADDR)
			new_address(m, op);
		else
			add(m, op);
		break;
	case OP_DIRTY:
		if (op->flags & (DIRTY_START | DIRTY_STOP))
			track(m, op->flags & DIRTY_START);
		break;
	case OP_MEMLOCK:
		m->limited = op->value != CONFORM_ALWAYS;
		break;
	case OP_MUNMAP:
	case OP_DROP:
		take_away(m, op);
		break;
	}
}

void model_apply(struct model *m, const struct conform_op *op, const struct conform_result *stock)
{
	bool good = !stock->ret;

	if (op->kind == OP_UNMAP)
		unmap_or_fail(m, op, stock);
	else if (op->kind == OP_DIRTY && op_has_bitmap(op))
		report(m, op, stock);
	else if (op->kind == OP_WRITE && !stock->skipped)
		write_pages(m, op, good);
	if (good)
		apply_good(m, op);
}
