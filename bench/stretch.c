// SPDX-License-Identifier: GPL-2.0-only
/*
 * The longest stretch: for how long nobody else gets the processor, whatever an owner has the
 * kernel do. The cases are tests/lib/stretch.c's.
 */
#include <stdio.h>

#include "dma.h"
#include "figures.h"
#include "stretch.h"

#define SCALE	8

static unsigned int cases;

static void report(const char *name, uint64_t longest, uint64_t control, uint64_t took)
{
	char key[32];

	printf("iopf: stretch: %s: %llu (%llu without a device) of %llu\n", name,
	       (unsigned long long)longest, (unsigned long long)control,
	       (unsigned long long)took);
	figure_line("iopf stretch%u_name %s", cases, name);
	snprintf(key, sizeof(key), "stretch%u_longest", cases);
	figure("iopf", key, longest);
	snprintf(key, sizeof(key), "stretch%u_control", cases);
	figure("iopf", key, control);
	snprintf(key, sizeof(key), "stretch%u_took", cases);
	figure("iopf", key, took);
	cases++;
}

void longest_stretch(void)
{
	stretch_cases(SCALE, report);
}
