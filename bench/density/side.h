/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Side: the experiment with one of the two backends.
 *
 * Guests are started one after the other and go on working. At each step, a number of guests, the
 * host is looked at in windows, one after the other, until the guests' throughput is the same in
 * two of them. A side ends when the host can't hold another guest, or with the last step.
 */
#ifndef BENCH_DENSITY_SIDE_H
#define BENCH_DENSITY_SIDE_H

#include <stdbool.h>

#include "guest.h"

/**
 * struct side_setting - a file and what to write into it
 * @file: of the host, a path; or of each container, its name in sysfs
 * @text: what
 */
struct side_setting {
	const char *file;
	const char *text;
};

#define SIDE_SETTINGS_MAX	16

/**
 * struct side_plan - what to do
 * @conf: of the guests
 * @settle_ms: how long a step is left alone first
 * @window_ms: length of a window
 * @windows: how many there are at most
 * @step: the steps, numbers of guests, ascending
 * @steps: how many
 * @setting: of the containers, with the backend
 * @settings: how many
 * @symbols: a profile is taken: where to copy the kernel's symbols to; or NULL
 */
struct side_plan {
	struct guest_conf conf;
	unsigned int settle_ms;
	unsigned int window_ms;
	unsigned int windows;
	const unsigned int *step;
	unsigned int steps;
	struct side_setting setting[SIDE_SETTINGS_MAX];
	unsigned int settings;
	const char *symbols;
};

/**
 * side_run() - all steps, then the data of all guests are checked
 * @name: of the side, in the figures
 * @stock: with stock type1; else with the backend
 * @plan: what to do
 */
void side_run(const char *name, bool stock, const struct side_plan *plan);

#endif /* BENCH_DENSITY_SIDE_H */
