/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The curve: how many faults there would be at what limit, and the least limit that will do.
 *
 * The policy is simulated on a log of samples (core/mrc.h), at each limit and at one that is a
 * thirty-second smaller and larger: a little more or less memory makes all the difference where a
 * loop just fits or just does not, and then the three are far apart.
 *
 * Slowdown: what the faults would take, at what one takes now on average, in comparison with the
 * time that the load takes without any fault. That assumes that the device waits for each fault,
 * for one at a time, and that they cost what they cost while there was sampling: the host has the
 * memory.
 */
#ifndef CLI_CURVE_H
#define CLI_CURVE_H

#include <stdbool.h>
#include <stdint.h>

#include "../core/mrc.h"

#define CURVE_POINTS	64

/**
 * struct curve_load - what is known of a load
 * @m: its log
 * @limits: of the container, in pages and microseconds; the maximum of resident pages does not
 * count
 * @fault_ns: what a fault takes
 * @stalled_ns: what faults took while there was sampling
 */
struct curve_load {
	struct iopf_mrc m;
	struct iopf_limits limits;
	double fault_ns;
	double stalled_ns;
};

/**
 * struct curve_point - what would be at a limit
 * @pages: the limit
 * @faults: in the time of sampling
 * @low: the least of the three
 * @high: the most of them
 * @per_s: faults per second
 * @slowdown: in percent
 * @slowdown_high: the same by @high
 * @coarse: memory would come and go about as fast as it was looked at: there may be more faults
 */
struct curve_point {
	uint64_t pages;
	uint64_t faults;
	uint64_t low;
	uint64_t high;
	double per_s;
	double slowdown;
	double slowdown_high;
	bool coarse;
};

int curve_load(struct curve_load *load, const struct iopf_sample_header *head,
	       const struct iopf_sample_event *event, uint32_t n, uint64_t pinned);
void curve_free(struct curve_load *load);
uint64_t curve_most(const struct curve_load *load);
uint64_t curve_least(const struct curve_load *load);
void curve_at(struct curve_load *load, uint64_t pages, uint32_t alone, struct curve_point *point);
uint64_t curve_recommend(struct curve_load *load, uint32_t alone, double slowdown,
			 struct curve_point *point);

#endif /* CLI_CURVE_H */
