/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Figures: what a guest program measured, handed to the report script on the host.
 *
 * One line each in a plain file, so that a run that breaks off leaves everything it had
 * found out: "<side> <key> <value>". The scripts give the figures units, ratios and words.
 */
#ifndef DEMO_FIGURES_H
#define DEMO_FIGURES_H

#include <stdint.h>

/** figures_open() - write figures to @path from now on; bails out when it can't be created */
void figures_open(const char *path);

/** figure() - one figure of @side */
void figure(const char *side, const char *key, uint64_t value);

/** figure_line() - anything else the report wants to know, one line, printf-style */
void figure_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** now_ns() - the monotonic clock */
uint64_t now_ns(void);

#endif /* DEMO_FIGURES_H */
