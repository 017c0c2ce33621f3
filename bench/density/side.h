/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Side: the experiment with one of the two backends.
 *
 * Guests are started one after the other, and continue to work. A step is a number of guests. At
 * each step, the host is measured in windows, one after the other, until two windows have the same
 * throughput of all guests. A side ends when the host cannot hold another guest, or after the last
 * step.
 */
#ifndef BENCH_DENSITY_SIDE_H
#define BENCH_DENSITY_SIDE_H

#include <stdbool.h>

#include "guest.h"

/**
 * struct side_setting - a file, and the text to write into it
 * @file: a path on the host; or the name of a container's file in sysfs
 * @text: the text
 */
struct side_setting {
	const char *file;
	const char *text;
};

#define SIDE_SETTINGS_MAX	16

/**
 * struct side_plan - the plan of a side
 * @conf: settings of the guests
 * @settle_ms: time before the first window of a step
 * @window_ms: length of a window
 * @windows: most windows of a step
 * @step: the steps: numbers of guests, ascending
 * @steps: number of steps
 * @setting: settings of the containers of vfio_iommu_iopf
 * @settings: number of settings
 * @symbols: for a profile, the file to which the kernel's symbols are copied; or NULL
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
 * side_run() - run all steps, then check the data of all guests
 * @name: name of the side in the figures
 * @stock: use stock type1; otherwise vfio_iommu_iopf
 * @plan: the plan
 */
void side_run(const char *name, bool stock, const struct side_plan *plan);

#endif /* BENCH_DENSITY_SIDE_H */
