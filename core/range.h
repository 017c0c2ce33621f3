/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ranges of I/O virtual addresses.
 *
 * A range is [first, last], both inclusive. So a range can end at the top of the address space, and
 * no code adds one to a last address without a check.
 */
#ifndef IOPF_CORE_RANGE_H
#define IOPF_CORE_RANGE_H

#include "shim.h"

/**
 * struct iopf_range - [first, last], both inclusive
 * @first: lowest address
 * @last: highest address, never below @first
 */
struct iopf_range {
	u64 first;
	u64 last;
};

/**
 * iopf_range_init() - make a range from a start and a size
 * @r: result; unchanged on error
 * @start: lowest address
 * @size: bytes
 *
 * Return: 0, or -EINVAL if @size is zero or the range wraps.
 */
static inline int iopf_range_init(struct iopf_range *r, u64 start, u64 size)
{
	if (!size || size - 1 > U64_MAX - start)
		return -EINVAL;
	r->first = start;
	r->last = start + (size - 1);
	return 0;
}

/**
 * iopf_range_pages() - the whole pages that a range touches
 * @range: any range
 *
 * The last address is inclusive, so rounding it up cannot wrap.
 */
static inline struct iopf_range iopf_range_pages(const struct iopf_range *range)
{
	return (struct iopf_range){
		.first = range->first & ~(u64)(PAGE_SIZE - 1),
		.last = range->last | (PAGE_SIZE - 1),
	};
}

/**
 * iopf_range_init_pages() - make a range of whole pages from a start and a size
 * @r: result; unchanged on error
 * @start: lowest address, rounded down
 * @size: bytes; the end is rounded up
 *
 * Return: as iopf_range_init().
 */
static inline int iopf_range_init_pages(struct iopf_range *r, u64 start, u64 size)
{
	int ret = iopf_range_init(r, start, size);

	if (!ret)
		*r = iopf_range_pages(r);
	return ret;
}

static inline bool iopf_range_contains(const struct iopf_range *outer,
				       const struct iopf_range *inner)
{
	return outer->first <= inner->first && inner->last <= outer->last;
}

static inline bool iopf_range_overlaps(const struct iopf_range *a, const struct iopf_range *b)
{
	return a->first <= b->last && b->first <= a->last;
}

/**
 * iopf_range_intersect() - the common part of two ranges
 * @r: result; unchanged if there is none
 * @a: one range
 * @b: the other range
 *
 * Return: whether there is a common part.
 */
static inline bool iopf_range_intersect(struct iopf_range *r, const struct iopf_range *a,
					const struct iopf_range *b)
{
	if (!iopf_range_overlaps(a, b))
		return false;
	*r = (struct iopf_range){
		.first = max(a->first, b->first),
		.last = min(a->last, b->last),
	};
	return true;
}

#endif /* IOPF_CORE_RANGE_H */
