// SPDX-License-Identifier: GPL-2.0-only
/* Samples: see sample.h. */
#include "sample.h"

#include <stdio.h>
#include <stdlib.h>

#include "figures.h"
#include "tap.h"

void sample_add(struct sample *s, uint64_t value)
{
	must_be(s->n < SAMPLE_MAX);
	s->v[s->n++] = value;
}

static int sample_order(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

uint64_t sample_median(struct sample *s)
{
	must_be(s->n);
	qsort(s->v, s->n, sizeof(s->v[0]), sample_order);
	return s->v[s->n / 2];
}

void sample_figures(struct sample *s, const char *side, const char *key)
{
	uint64_t sum = 0;
	char name[96];

	for (size_t i = 0; i < s->n; i++)
		sum += s->v[i];
	snprintf(name, sizeof(name), "%s_mean", key);
	figure(side, name, sum / s->n);
	figure(side, key, sample_median(s));
	snprintf(name, sizeof(name), "%s_min", key);
	figure(side, name, s->v[0]);
	snprintf(name, sizeof(name), "%s_max", key);
	figure(side, name, s->v[s->n - 1]);
	s->n = 0;
}
