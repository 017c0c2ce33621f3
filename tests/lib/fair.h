/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A flood: devices with hundreds of faults that wait for memory nobody provides, and the check
 * that others do not wait for them.
 */
#ifndef TESTS_LIB_FAIR_H
#define TESTS_LIB_FAIR_H

#include "provider.h"
#include "rig.h"

#define FLOOD_MAX	3
/* Groups that a device can have outstanding: of each of 8 engines as many as a command may have. */
#define FLOOD_GROUPS	(8 * IOPF_SIM_MAX_PRG)
#define FLOOD_LEN	(FLOOD_GROUPS * MEM_PAGE)

/**
 * struct flood - devices that wait
 * @r: the rig; devices 0..@devices - 1, of 8 engines each, flood
 * @devices: how many
 * @b: their memory, FLOOD_LEN each
 * @p: who provides it
 * @success: groups of each device answered well before
 * @unexpected: answers to none of its groups before
 */
struct flood {
	struct rig *r;
	unsigned int devices;
	struct simbuf b;
	struct provider p;
	uint64_t success[FLOOD_MAX];
	uint64_t unexpected[FLOOD_MAX];
};

/** flood_start() - let them flood; back when all of their faults wait */
void flood_start(struct flood *f, struct rig *r, unsigned int devices);

/** flood_waits() - decide a point: nothing of it has been answered */
void flood_waits(struct flood *f);

/** flood_end() - provide the memory; decide points: data, and one answer for each group */
void flood_end(struct flood *f);

/** flood_stop() - provide the memory and forget about it: for devices that were taken away */
void flood_stop(struct flood *f);

/**
 * fair_check() - decide points: while some devices flood, another one's faults, which have to wait
 * for a worker, are handled
 * @r: the rig; the last device is the other one, the rest flood
 */
void fair_check(struct rig *r);

#endif /* TESTS_LIB_FAIR_H */
