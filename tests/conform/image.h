/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a dirty bitmap must look like after a call, bit by bit.
 *
 * A mapping's bits and the rest of the words they lie in are written. In the first word, if the
 * mapping begins within it, the other bits stay as they were; in the words after it they are
 * zeroed. Words without any mapping's bits are left alone.
 *
 * Stock type1 moves bits for a mapping that does not begin at a word within its own record, clears
 * there only as many as the mapping has pages, and reports the ones it moved beyond that in later
 * calls, as pages that no mapping has: these bits are BIT_STALE here.
 */
#ifndef TESTS_CONFORM_IMAGE_H
#define TESTS_CONFORM_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "model.h"
#include "op.h"
#include "place.h"
#include "side.h"

#define IMAGE_BITS	(BM_LEN * 8)

enum image_bit {
	BIT_ZERO,		/* must be 0 */
	BIT_ONE,		/* must be 1 */
	BIT_STALE,		/* must be 0; stock may have left it 1 */
	BIT_CLEAN,		/* a mapped page: nothing wrote it */
	BIT_CLEAN_RO,		/* a mapped page that can't be written */
	BIT_DIRTY,		/* a mapped page: the device wrote it */
	BIT_MAYBE,		/* a mapped page: it may have */
	BIT_UNKNOWN,		/* the call failed before it was complete */
};

/**
 * struct image - a bitmap
 * @bit: enum image_bit of each bit of the bitmap's memory
 * @delivered: mappings, from the first in the range on, that were reported completely
 * @in_range: mappings in the range
 */
struct image {
	uint8_t bit[IMAGE_BITS];
	unsigned int delivered;
	unsigned int in_range;
};

/**
 * image_make() - the bitmap after a step
 * @im: out
 * @m: the container before the step
 * @op: a step with a bitmap
 * @r: what came out of it
 */
void image_make(struct image *im, const struct model *m, const struct conform_op *op,
		const struct conform_result *r);

#endif /* TESTS_CONFORM_IMAGE_H */
