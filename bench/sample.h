/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Samples of one repeated measurement. The median is the figure: a timer tick or a page-table
 * page hits a few of them, never half. Smallest and largest go into the figures too.
 */
#ifndef BENCH_SAMPLE_H
#define BENCH_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#define SAMPLE_MAX	4096

/**
 * struct sample - the values
 * @n: how many
 * @v: in the order they came
 */
struct sample {
	size_t n;
	uint64_t v[SAMPLE_MAX];
};

/** sample_add() - one more; bails out when there are too many */
void sample_add(struct sample *s, uint64_t value);

/** sample_median() - sorts them */
uint64_t sample_median(struct sample *s);

/** sample_figures() - figures <key>, <key>_min, <key>_max of @side; forgets the values */
void sample_figures(struct sample *s, const char *side, const char *key);

#endif /* BENCH_SAMPLE_H */
