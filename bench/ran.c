// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ran: see ran.h. /proc/schedstat has a line for each CPU. Its seventh number is the time for which
 * tasks ran.
 */
#include "ran.h"

#include <stdio.h>
#include <string.h>

#include "tap.h"

uint64_t ran_ns(void)
{
	unsigned long long ran, sum = 0;
	char line[512];
	FILE *f = fopen("/proc/schedstat", "re");

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
