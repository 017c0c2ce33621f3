// SPDX-License-Identifier: GPL-2.0-only
/*
 * Figures: see figures.h. Lines are flushed one by one; threads may write at the same time, since
 * stdio locks the stream for each call.
 */
#include "figures.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tap.h"

static FILE *figures;

void figures_open(const char *path)
{
	figures = fopen(path, "w");
	if (!figures)
		tap_bail("%s: %s", path, strerror(errno));
	setvbuf(figures, NULL, _IOLBF, 0);
}

void figure(const char *side, const char *key, uint64_t value)
{
	figure_line("%s %s %llu", side, key, (unsigned long long)value);
}

void figure_line(const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fprintf(figures, "%s\n", line);
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
