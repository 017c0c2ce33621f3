/* SPDX-License-Identifier: GPL-2.0-only */
/* iopfctl advise: the state that its files share. */
#ifndef CLI_ADVISE_H
#define CLI_ADVISE_H

#include <stdbool.h>
#include <stdint.h>

#include "../model/curve.h"
#include "../sys/samples.h"

/**
 * struct advise - arguments and results
 * @container: number of the container
 * @seconds: duration of sampling
 * @interval: interval of sampling, in ms
 * @max: maximum number of chunks to sample; 0: leave it unchanged
 * @steps: number of limits in the table
 * @size: the limits in the table, in bytes
 * @sizes: number of entries in @size
 * @slowdown: the acceptable slowdown, in percent
 * @apply: set the recommended limit
 * @share: the part of the time that sampling took, in ppm
 * @faults: number of faults during sampling, including those that sampling caused
 * @samples: the log
 * @load: the load in the log
 * @point: the curve
 * @points: number of points in @point
 * @advice: the prediction for the recommended limit; @advice.pages is 0 if there is none
 */
struct advise {
	const char *container;
	double seconds;
	unsigned int interval;
	unsigned int max;
	unsigned int steps;
	uint64_t size[CURVE_POINTS];
	unsigned int sizes;
	double slowdown;
	bool apply;
	uint64_t share;
	uint64_t faults;
	struct samples samples;
	struct curve_load load;
	struct curve_point point[CURVE_POINTS];
	unsigned int points;
	struct curve_point advice;
};

int advise_print(const struct advise *a, bool applied);

#endif /* CLI_ADVISE_H */
