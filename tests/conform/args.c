// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arguments of ioctls in memory: see args.h.
 */
#include <string.h>

#include "args.h"
#include "place.h"
#include "side.h"

#define ADDR_LOW	8ul
#define ADDR_KERNEL	0xffff888000000000ul
#define CANARY		0xc3

/* The address for @at. @base: writable memory of @len bytes; @ro: read-only memory. */
static uint64_t address(unsigned int at, uint64_t base, uint64_t ro, uint64_t len, uint32_t edge)
{
	switch (at) {
	case AT_EDGE:
		return base + len - edge;
	case AT_READ_ONLY:
		return ro;
	case AT_HOLE:
		return VA_HOLE;
	case AT_NULL:
		return 0;
	case AT_LOW:
		return ADDR_LOW;
	case AT_KERNEL:
		return ADDR_KERNEL;
	}
	return base;
}

unsigned long args_place(const struct conform_op *op, const void *arg, size_t len)
{
	uint64_t va = address(op->at, VA_ARG, VA_ARG_RO, ARG_LEN, op->edge);

	memset((void *)VA_ARG, CANARY, ARG_LEN);
	if (op->at == AT_READ_ONLY)
		memcpy((void *)VA_ARG, arg, len);
	else if (op->at == AT_GOOD)
		memcpy((void *)va, arg, len);
	else if (op->at == AT_EDGE)
		memcpy((void *)va, arg, len < op->edge ? len : op->edge);
	return va;
}

void args_fetch(const struct conform_op *op, struct conform_result *r)
{
	uint64_t va = op->at == AT_EDGE ? VA_ARG + ARG_LEN - op->edge : VA_ARG;

	r->arg_len = op->at == AT_EDGE && op->edge < SIDE_ARG_BYTES ? op->edge : SIDE_ARG_BYTES;
	memcpy(r->arg, (void *)va, r->arg_len);
}

static uint64_t place_bitmap(const struct conform_op *op, struct conform_result *r)
{
	uint8_t *bm = (uint8_t *)ARGS_BM_BASE;
	unsigned int i;

	for (i = 0; i < BM_LEN; i++)
		bm[i] = (uint8_t)(op->fill == FILL_ZEROS ? 0 : op->fill == FILL_ONES ? 0xff :
				  i * 29 + 0x65);
	memcpy(r->bm_before, bm, BM_LEN);
	r->has_bm = true;
	r->bm_off = (uint32_t)(op->bm_at == AT_EDGE ? BM_LEN - op->bm_edge : BM_OFF);
	if (op->bm_at == AT_EDGE || op->bm_at == AT_GOOD)
		return ARGS_BM_BASE + r->bm_off;
	return address(op->bm_at, 0, VA_BM_RO, 0, 0);
}

struct vfio_bitmap args_bitmap(const struct conform_op *op, struct conform_result *r)
{
	return (struct vfio_bitmap){
		.pgsize = op->pgsize,
		.size = op->bm_size,
		.data = (__u64 *)place_bitmap(op, r),
	};
}
