// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scheduling latency: how long a task of the highest priority waits for the processor while an
 * owner makes the kernel do long work. tests/lib/sched_latency.c has the cases.
 */
#include <stdio.h>

#include "dma.h"
#include "figures.h"
#include "sched_latency.h"

#define SCALE	8

static unsigned int cases;

static void report(const char *name, uint64_t longest, uint64_t control, uint64_t took)
{
	char key[32];

	printf("iopf: scheduling latency: %s: %llu (%llu without a device) of %llu\n", name,
	       (unsigned long long)longest, (unsigned long long)control,
	       (unsigned long long)took);
	figure_line("iopf sched_latency%u_name %s", cases, name);
	snprintf(key, sizeof(key), "sched_latency%u_longest", cases);
	figure("iopf", key, longest);
	snprintf(key, sizeof(key), "sched_latency%u_control", cases);
	figure("iopf", key, control);
	snprintf(key, sizeof(key), "sched_latency%u_took", cases);
	figure("iopf", key, took);
	cases++;
}

void sched_latency(void)
{
	sched_latency_cases(SCALE, report);
}
