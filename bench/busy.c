// SPDX-License-Identifier: GPL-2.0-only
/*
 * Busy time: see busy.h. /proc/schedstat has a line for each CPU, whose seventh number is the time
 * tasks ran.
 */
#include "busy.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tap.h"

#define SETTLE_NS	50000000

void busy_settle(void)
{
	struct timespec nap = { .tv_nsec = SETTLE_NS };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
}

uint64_t busy_ns(void)
{
	unsigned long long ran, sum = 0;
	char line[512];
	FILE *f;

	busy_settle();
	f = fopen("/proc/schedstat", "re");
	if (!f)
		tap_bail("/proc/schedstat: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "cpu%*u %*u %*u %*u %*u %*u %*u %llu", &ran) == 1)
			sum += ran;
	}
	fclose(f);
	if (!sum)
		tap_bail("/proc/schedstat does not tell how long tasks ran");
	return sum;
}
