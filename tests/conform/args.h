/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Arguments of ioctls in memory, at the addresses that a step gives.
 */
#ifndef TESTS_CONFORM_ARGS_H
#define TESTS_CONFORM_ARGS_H

#include <linux/vfio.h>
#include <stddef.h>

#include "op.h"
#include "place.h"

struct conform_result;

/* Address of bitmaps. */
#define ARGS_BM_BASE	(VA_BM + BM_PAGE - BM_LEN)

/** args_place() - put a structure at the address of the step; returns the address */
unsigned long args_place(const struct conform_op *op, const void *arg, size_t len);

/** args_fetch() - copy the structure to the result, after the ioctl */
void args_fetch(const struct conform_op *op, struct conform_result *r);

/** args_bitmap() - make the bitmap of the step, and describe it */
struct vfio_bitmap args_bitmap(const struct conform_op *op, struct conform_result *r);

#endif /* TESTS_CONFORM_ARGS_H */
