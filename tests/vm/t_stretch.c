// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whatever an owner has the kernel do, nobody waits for the processor for more than a million
 * instructions longer than without a device. Counted by the deterministic clock, so time decides
 * nothing here. `make bench` has the same cases at full size.
 *
 * vm: --mem 1024 --icount
 */
#include <stdio.h>
#include <stdlib.h>

#include "rig.h"
#include "stretch.h"

/* What the host does without a device is its own affair. */
static void check(const char *name, uint64_t longest, uint64_t control, uint64_t took)
{
	tap_ok(longest <= STRETCH_MAX + control,
	       "%s: %llu instructions at a stretch (%llu without a device), %llu in all", name,
	       (unsigned long long)longest, (unsigned long long)control,
	       (unsigned long long)took);
}

int main(void)
{
	const char *scale = getenv("SCALE");

	rig_backend_only();
	stretch_cases(scale ? (unsigned int)atoi(scale) : 1, check);
	rig_balanced_soon();
	return tap_done();
}
