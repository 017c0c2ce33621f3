/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Samples of one repeated measurement. The median is the figure: timer ticks and allocations of
 * page tables change only a few samples. The figures include the smallest and the largest value.
 */
#ifndef BENCH_SAMPLE_H
#define BENCH_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#define SAMPLE_MAX	4096

/**
 * struct sample - the values
 * @n: number of values
 * @v: the values, in the order of measurement until they are sorted
 */
struct sample {
	size_t n;
	uint64_t v[SAMPLE_MAX];
};

/** sample_add() - add a value; bails out if there are too many */
void sample_add(struct sample *s, uint64_t value);

/** sample_median() - return the median; sorts the values */
uint64_t sample_median(struct sample *s);

/** sample_figures() - write figures <key>, <key>_min, <key>_max of @side; drop the values */
void sample_figures(struct sample *s, const char *side, const char *key);

#endif /* BENCH_SAMPLE_H */
