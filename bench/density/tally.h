/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tally: the counters of the guests and their host at one time. The figures of a step are the
 * differences between two tallies.
 */
#ifndef BENCH_DENSITY_TALLY_H
#define BENCH_DENSITY_TALLY_H

#include "guest.h"
#include "host.h"

#define TALLY_MAX_GUESTS	64	/* most devices of the simulator */

/**
 * struct tally - counters at one time
 * @each: counters of each guest, without its latency
 * @latency: latency of all guests
 * @slow: faults of all guests that waited for memory or swap
 * @host: counters of the host
 */
struct tally {
	struct guest each[TALLY_MAX_GUESTS];
	struct iopf_hist_sum latency;
	uint64_t slow;
	struct host host;
};

/**
 * tally_take() - read all counters
 * @t: out
 * @guests: the guests
 * @n: number of guests
 */
void tally_take(struct tally *t, const struct guest *guests, unsigned int n);

/**
 * tally_jobs() - number of jobs between two tallies of the same guests
 * @from: the first tally
 * @to: the second tally
 * @n: number of guests
 */
uint64_t tally_jobs(const struct tally *from, const struct tally *to, unsigned int n);

/**
 * tally_figures() - write the differences between two tallies of the same guests
 * @side: the side of the figures
 * @n: number of guests
 * @from: the first tally
 * @to: the second tally
 */
void tally_figures(const char *side, unsigned int n, const struct tally *from,
		   const struct tally *to);

#endif /* BENCH_DENSITY_TALLY_H */
