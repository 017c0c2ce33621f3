/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Histograms of durations, in the manner of HDR histograms: log-linear.
 *
 * Values are counted in buckets: the first 8 hold one value each, then each power of two is divided
 * into 8 of the same width. So whatever is read out of a histogram is exact below 8, and otherwise
 * too high by an eighth at most. Adding a value takes a dozen instructions and no branch.
 *
 * Where bucket i begins: 8 is added to every value, so that all have a fourth bit from the right
 * to begin with; then i / 8 is by how many bits a value is shifted to have four, and
 * i % 8 are the three below the highest.
 *
 * Locking: the caller's. A struct iopf_hist belongs to one CPU, and its counters of 32 bits
 * wrap; a struct iopf_hist_sum holds what was added up of many.
 */
#ifndef IOPF_CORE_HIST_H
#define IOPF_CORE_HIST_H

#include "shim.h"

#define IOPF_HIST_SUB_BITS	3
#define IOPF_HIST_SUBS		8U
/* Powers of two, the first of them linear. */
#define IOPF_HIST_POWERS	32
#define IOPF_HIST_BUCKETS	(IOPF_HIST_POWERS * IOPF_HIST_SUBS)
/* The largest value that is told apart: larger ones count as this. */
#define IOPF_HIST_MAX		(((2ULL * IOPF_HIST_SUBS) << (IOPF_HIST_POWERS - 1)) - \
				 IOPF_HIST_SUBS - 1)

/**
 * struct iopf_hist - a histogram that is added to
 * @sum: of all values
 * @count: values in each bucket
 */
struct iopf_hist {
	u64 sum;
	u32 count[IOPF_HIST_BUCKETS];
};

/**
 * struct iopf_hist_sum - histograms added up
 * @sum: of all values
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
 * @bucket: the bucket; IOPF_HIST_BUCKETS: one more than the largest of the last
 */
static inline u64 iopf_hist_first(unsigned int bucket)
{
	u64 top = IOPF_HIST_SUBS + bucket % IOPF_HIST_SUBS;

	return (top << (bucket / IOPF_HIST_SUBS)) - IOPF_HIST_SUBS;
}

/**
 * iopf_hist_last() - the largest value of a bucket
 * @bucket: the bucket. The last one holds any larger values, too.
 */
static inline u64 iopf_hist_last(unsigned int bucket)
{
	return iopf_hist_first(bucket + 1) - 1;
}

/**
 * iopf_hist_take() - move what was counted to a sum
 * @sum: added to
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
 * iopf_hist_peek() - add to a sum what was counted, which may go on
 * @sum: added to
 * @hist: what was counted
 */
static inline void iopf_hist_peek(struct iopf_hist_sum *sum, const struct iopf_hist *hist)
{
	sum->sum += READ_ONCE(hist->sum);
	for (unsigned int i = 0; i < IOPF_HIST_BUCKETS; i++)
		sum->count[i] += READ_ONCE(hist->count[i]);
}

/**
 * iopf_hist_merge() - add one sum to another
 * @sum: added to
 * @more: what is added
 */
static inline void iopf_hist_merge(struct iopf_hist_sum *sum, const struct iopf_hist_sum *more)
{
	sum->sum += more->sum;
	for (unsigned int i = 0; i < IOPF_HIST_BUCKETS; i++)
		sum->count[i] += more->count[i];
}

/**
 * iopf_hist_total() - how many values there are
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
 * iopf_hist_percentile() - the value that a part of all values does not exceed
 * @sum: the histogram
 * @permille: that part, 1 to 1000: 999 is the 99.9th percentile, 1000 the maximum
 *
 * Return: the largest value of the bucket in which that value is; 0 for an empty histogram.
 */
static inline u64 iopf_hist_percentile(const struct iopf_hist_sum *sum, unsigned int permille)
{
	u64 total = iopf_hist_total(sum), below = 0, rank;
	unsigned int last = 0;

	/* The rank is rounded up. The two halves keep it from overflowing. */
	rank = total / 1000 * permille + (total % 1000 * permille + 999) / 1000;
	for (unsigned int i = 0; i < IOPF_HIST_BUCKETS && below < rank; i++) {
		below += sum->count[i];
		last = i;
	}
	return iopf_hist_last(last);
}

#endif /* IOPF_CORE_HIST_H */
