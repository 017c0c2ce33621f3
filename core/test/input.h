/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads a program of operations from the bytes of a fuzzer. Every string of bytes is a program.
 * Bytes beyond its end read as zero.
 */
#ifndef IOPF_CORE_TEST_INPUT_H
#define IOPF_CORE_TEST_INPUT_H

#include "shim.h"

struct input {
	const u8 *data;
	size_t left;
};

static inline u8 input_u8(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->data++;
}

static inline u16 input_u16(struct input *in)
{
	u16 high = input_u8(in);

	return high << 8 | input_u8(in);
}

#endif /* IOPF_CORE_TEST_INPUT_H */
