// SPDX-License-Identifier: GPL-2.0-only
/*
 * Latencies in sysfs: see latency.h.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "latency.h"
#include "rig.h"

const char *latency_device(unsigned int n)
{
	static char dir[4][96];

	must_be(n < ARRAY_SIZE(dir));
	snprintf(dir[n], sizeof(dir[n]), KNOB_IOPF_DIR "/devices/%s/latency", rig_bdf(n));
	return dir[n];
}

/* The newest container has the largest number. */
const char *latency_container(void)
{
	DIR *d = opendir(KNOB_IOPF_DIR "/containers");
	static char dirs[4][96];
	static unsigned int turn;
	char *dir = dirs[turn++ % ARRAY_SIZE(dirs)];
	struct dirent *e;
	int newest = 0;

	must_be(d);
	while ((e = readdir(d))) {
		int id = (int)strtol(e->d_name, NULL, 10);

		/* "." and ".." give 0, which is not the number of a container. */
		if (id > newest)
			newest = id;
	}
	closedir(d);
	must_be(newest);
	snprintf(dir, sizeof(dirs[0]), KNOB_IOPF_DIR "/containers/%d/latency", newest);
	return dir;
}

struct latency_summary latency_summary(const char *dir, const char *phase)
{
	struct latency_summary s;
	char line[256];

	must(knob_read_text(line, sizeof(line), "%s/%s", dir, phase));
	if (sscanf(line, "count %llu sum %llu p50 %llu p90 %llu p99 %llu p99.9 %llu max %llu",
		   &s.count, &s.sum, &s.p[0], &s.p[1], &s.p[2], &s.p[3], &s.p[4]) != 7)
		tap_bail("%s/%s: '%s'", dir, phase, line);
	return s;
}

unsigned long long latency_count(const char *dir, const char *phase)
{
	return latency_summary(dir, phase).count;
}

unsigned long long latency_counted(const char *dir, unsigned long long faults)
{
	unsigned int spins = 0;

	while (latency_count(dir, "total") < faults && spins < 10000)
		sim_nap(&spins);
	return latency_count(dir, "total");
}

int latency_reset(const char *dir)
{
	return knob_write_try(1, "%s/reset", dir);
}
