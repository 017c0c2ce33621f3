/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tally: what guests and their host have counted up to a moment. What happened between two is the
 * figures of a step.
 */
#ifndef BENCH_DENSITY_TALLY_H
#define BENCH_DENSITY_TALLY_H

#include "guest.h"
#include "host.h"

#define TALLY_MAX_GUESTS	64	/* what the simulator has devices for */

/**
 * struct tally - counters at a moment
 * @each: of each guest, its latency apart
 * @latency: of all of them
 * @slow: faults of all of them that had to wait for memory or swap
 * @host: of the host
 */
struct tally {
	struct guest each[TALLY_MAX_GUESTS];
	struct iopf_hist_sum latency;
	uint64_t slow;
	struct host host;
};

/**
 * tally_take() - look at all counters
 * @t: out
 * @guests: the guests
 * @n: how many
 */
void tally_take(struct tally *t, const struct guest *guests, unsigned int n);

/**
 * tally_jobs() - jobs done between two tallies of the same guests
 * @from: the first
 * @to: the second
 * @n: how many guests
 */
uint64_t tally_jobs(const struct tally *from, const struct tally *to, unsigned int n);

/**
 * tally_figures() - write what happened between two tallies of the same guests
 * @side: whose figures they are
 * @n: how many guests
 * @from: the first
 * @to: the second
 */
void tally_figures(const char *side, unsigned int n, const struct tally *from,
		   const struct tally *to);

#endif /* BENCH_DENSITY_TALLY_H */
