/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A flood: devices have hundreds of faults that wait for memory, and the test does not provide it.
 * The check: other devices do not wait.
 */
#ifndef TESTS_LIB_FAIR_H
#define TESTS_LIB_FAIR_H

#include "provider.h"
#include "rig.h"

#define FLOOD_MAX	3
/* Groups that a device can have outstanding: 8 engines with the most groups of a command each. */
#define FLOOD_GROUPS	(8 * IOPF_SIM_MAX_PRG)
#define FLOOD_LEN	(FLOOD_GROUPS * MEM_PAGE)

/**
 * struct flood - devices with faults that wait
 * @r: the rig
 * @devices: number of these devices: 0 to @devices - 1, of 8 engines each
 * @b: their memory, FLOOD_LEN each
 * @p: the provider of the memory
 * @success: groups of each device that were answered SUCCESS before
 * @unexpected: responses of each device before that belong to no group
 */
struct flood {
	struct rig *r;
	unsigned int devices;
	struct simbuf b;
	struct provider p;
	uint64_t success[FLOOD_MAX];
	uint64_t unexpected[FLOOD_MAX];
};

/** flood_start() - send the faults, and wait until all of them wait */
void flood_start(struct flood *f, struct rig *r, unsigned int devices);

/** flood_waits() - decide a point: none of the faults has been answered */
void flood_waits(struct flood *f);

/** flood_end() - provide the memory; decide points: data, and one answer for each group */
void flood_end(struct flood *f);

/** flood_stop() - provide the memory without deciding points, after the devices have left */
void flood_stop(struct flood *f);

/**
 * fair_check() - decide points: during a flood the faults of another device, which need a worker,
 * are answered
 * @r: the rig; the last device is the other one
 */
void fair_check(struct rig *r);

#endif /* TESTS_LIB_FAIR_H */
