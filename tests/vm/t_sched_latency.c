// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scheduling latency: an owner makes the kernel do long work. A task of the highest priority waits
 * for the processor at most a million instructions longer than without a device. The deterministic
 * clock counts instructions, so time decides nothing here. `make bench` runs the same cases at full
 * size.
 *
 * vm: --mem 1024 --icount
 */
#include <stdio.h>
#include <stdlib.h>

#include "rig.h"
#include "sched_latency.h"

/* The control is the latency of the host without a device. */
static void check(const char *name, uint64_t longest, uint64_t control, uint64_t took)
{
	tap_ok(longest <= SCHED_LATENCY_MAX + control,
	       "%s: latency of %llu instructions (%llu without a device), %llu in all", name,
	       (unsigned long long)longest, (unsigned long long)control,
	       (unsigned long long)took);
}

int main(void)
{
	const char *scale = getenv("SCALE");

	rig_backend_only();
	sched_latency_cases(scale ? (unsigned int)atoi(scale) : 1, check);
	rig_balanced_soon();
	return tap_done();
}
