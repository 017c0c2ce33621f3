/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The curve: the predicted number of faults at each limit of resident memory, and the smallest
 * acceptable limit.
 *
 * core/mrc.h simulates the eviction policy on a log of samples. The simulation runs three times:
 * with the limit, with 1/32 less, and with 1/32 more. Where a loop just fits, a little memory makes
 * a large difference, and the three results are far apart.
 *
 * Slowdown: the time of all predicted faults, divided by the time that the load takes without
 * faults. The prediction assumes that the device waits for each fault, that faults do not overlap,
 * and that a fault takes as long as during sampling: that is, the host has the memory.
 */
#ifndef CLI_CURVE_H
#define CLI_CURVE_H

#include <stdbool.h>
#include <stdint.h>

#include "../../core/mrc.h"

#define CURVE_POINTS	64

/**
 * struct curve_load - a load
 * @m: its log
 * @limits: of the container, in pages and microseconds; the curve ignores @limits.max
 * @fault_ns: mean duration of a fault
 * @stalled_ns: duration of all faults during sampling
 */
struct curve_load {
	struct iopf_mrc m;
	struct iopf_limits limits;
	double fault_ns;
	double stalled_ns;
};

/**
 * struct curve_point - the prediction for a limit
 * @pages: the limit
 * @faults: number of faults, in the time of sampling
 * @low: the smallest of the three results
 * @high: the largest of the three results
 * @per_s: faults per second
 * @slowdown: in percent
 * @slowdown_high: the slowdown for @high
 * @coarse: the policy evicts memory about as fast as sampling looks at it, so @faults is a lower
 *          bound
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
