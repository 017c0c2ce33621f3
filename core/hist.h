/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Log-linear histograms of durations, like HDR histograms.
 *
 * The first 8 buckets hold one value each. Each further power of two has 8 buckets of equal width.
 * So a value that is read from a histogram is exact below 8, and at most one eighth too high above.
 * Adding a value takes a dozen instructions and no branch.
 *
 * The start of bucket i: every value gets 8 added, so it has at least four significant bits. Then
 * i / 8 is the shift that leaves four bits of the value, and i % 8 is the lower three of them.
 *
 * Locking: the caller's. A struct iopf_hist belongs to one CPU, and its 32-bit counters wrap. A
 * struct iopf_hist_sum holds the sum of many histograms.
 */
#ifndef IOPF_CORE_HIST_H
#define IOPF_CORE_HIST_H

#include "shim.h"

#define IOPF_HIST_SUB_BITS	3
#define IOPF_HIST_SUBS		8U
/* Number of powers of two; the first one is linear. */
#define IOPF_HIST_POWERS	32
#define IOPF_HIST_BUCKETS	(IOPF_HIST_POWERS * IOPF_HIST_SUBS)
/* The largest value that has its own bucket. Larger values count as this one. */
#define IOPF_HIST_MAX		(((2ULL * IOPF_HIST_SUBS) << (IOPF_HIST_POWERS - 1)) - \
				 IOPF_HIST_SUBS - 1)

/**
 * struct iopf_hist - a histogram to which values are added
 * @sum: sum of all values
 * @count: values in each bucket
 */
struct iopf_hist {
	u64 sum;
	u32 count[IOPF_HIST_BUCKETS];
};

/**
 * struct iopf_hist_sum - the sum of histograms
 * @sum: sum of all values
 * @count: values in each bucket
 */
struct iopf_hist_sum {
	u64 sum;
	u64 count[IOPF_HIST_BUCKETS];
};

/**
 * iopf_hist_bucket() - the bucket of a value
 * @value: the value
 */
static inline unsigned int iopf_hist_bucket(u64 value)
{
	u64 biased = min_t(u64, value, IOPF_HIST_MAX) + IOPF_HIST_SUBS;
	unsigned int shift = (unsigned int)fls64(biased) - (IOPF_HIST_SUB_BITS + 1);

	return (shift << IOPF_HIST_SUB_BITS) + (unsigned int)(biased >> shift) - IOPF_HIST_SUBS;
}

/**
 * iopf_hist_first() - the smallest value of a bucket
 * @bucket: the bucket; with IOPF_HIST_BUCKETS the result is one more than the largest value of the
 *          last bucket
 */
static inline u64 iopf_hist_first(unsigned int bucket)
{
	u64 top = IOPF_HIST_SUBS + bucket % IOPF_HIST_SUBS;

	return (top << (bucket / IOPF_HIST_SUBS)) - IOPF_HIST_SUBS;
}

/**
 * iopf_hist_last() - the largest value of a bucket
 * @bucket: the bucket. The last one also holds all larger values.
 */
static inline u64 iopf_hist_last(unsigned int bucket)
{
	return iopf_hist_first(bucket + 1) - 1;
}

/**
 * iopf_hist_take() - move the counts of a histogram to a sum
 * @sum: the sum
 * @hist: empty afterwards
 */
static inline void iopf_hist_take(struct iopf_hist_sum *sum, struct iopf_hist *hist)
{
	sum->sum += hist->sum;
	for (unsigned int i = 0; i < IOPF_HIST_BUCKETS; i++)
		sum->count[i] += hist->count[i];
	*hist = (struct iopf_hist){ };
}

/**
 * iopf_hist_peek() - add the counts of a histogram in use to a sum
 * @sum: the sum
 * @hist: the histogram, to which values may be added meanwhile
 */
static inline void iopf_hist_peek(struct iopf_hist_sum *sum, const struct iopf_hist *hist)
{
	sum->sum += READ_ONCE(hist->sum);
	for (unsigned int i = 0; i < IOPF_HIST_BUCKETS; i++)
		sum->count[i] += READ_ONCE(hist->count[i]);
}

/**
 * iopf_hist_merge() - add one sum to another
 * @sum: the sum that changes
 * @more: the sum to add
 */
static inline void iopf_hist_merge(struct iopf_hist_sum *sum, const struct iopf_hist_sum *more)
{
	sum->sum += more->sum;
	for (unsigned int i = 0; i < IOPF_HIST_BUCKETS; i++)
		sum->count[i] += more->count[i];
}

/**
 * iopf_hist_total() - number of values
 * @sum: the histogram
 */
static inline u64 iopf_hist_total(const struct iopf_hist_sum *sum)
{
	u64 total = 0;

	for (unsigned int i = 0; i < IOPF_HIST_BUCKETS; i++)
		total += sum->count[i];
	return total;
}

/**
 * iopf_hist_percentile() - the value that a given part of all values does not exceed
 * @sum: the histogram
 * @permille: that part, 1 to 1000: 999 is the 99.9th percentile, 1000 the maximum
 *
 * Return: the largest value of the bucket of that value; 0 for an empty histogram.
 */
static inline u64 iopf_hist_percentile(const struct iopf_hist_sum *sum, unsigned int permille)
{
	u64 total = iopf_hist_total(sum), below = 0, rank;
	unsigned int last = 0;

	/* Rounds the rank up. Two parts avoid an overflow. */
	rank = total / 1000 * permille + (total % 1000 * permille + 999) / 1000;
	for (unsigned int i = 0; i < IOPF_HIST_BUCKETS && below < rank; i++) {
		below += sum->count[i];
		last = i;
	}
	return iopf_hist_last(last);
}

#endif /* IOPF_CORE_HIST_H */
