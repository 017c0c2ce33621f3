// SPDX-License-Identifier: GPL-2.0-only
/*
 * Held memory: see held.h.
 *
 * A thread takes a sample every HELD_PERIOD_MS; each phase takes one more at its start, so that
 * even the shortest has an edge. @held_lock keeps samples and phases in order in the file.
 */
#include "held.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "figures.h"
#include "mem.h"
#include "say.h"
#include "tap.h"

#define HELD_PERIOD_MS	50

static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_t held_thread;
static bool held_run;
static const char *held_side;
static size_t held_size;
static uint64_t held_t0;
static size_t held_rss0;

size_t held_pinned(void)
{
	return mem_status_kb(0, "VmLck") * 1024;
}

static size_t held_rss(void)
{
	return mem_status_kb(0, "VmRSS") * 1024;
}

size_t held_now(void)
{
	size_t rss = held_rss();
	size_t pinned = held_pinned();

	rss = rss > held_rss0 ? rss - held_rss0 : 0;
	return rss > pinned ? rss : pinned;
}

size_t held_free(void)
{
	size_t kept = 0, count;
	char line[256];
	FILE *f;

	f = fopen("/proc/zoneinfo", "re");
	if (!f)
		tap_bail("/proc/zoneinfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, " count: %zu", &count) == 1)
			kept += count;
	}
	fclose(f);
	return mem_info_kb("MemFree") * 1024 + kept * MEM_PAGE;
}

static void held_sample(void)
{
	figure_line("%s sample %llu %zu", held_side,
		    (unsigned long long)(now_ns() - held_t0), held_now());
}

static void *held_sampler(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&held_lock);
	while (held_run) {
		held_sample();
		pthread_mutex_unlock(&held_lock);
		say_progress("memory held", held_now(), held_size);
		usleep(HELD_PERIOD_MS * 1000);
		pthread_mutex_lock(&held_lock);
	}
	pthread_mutex_unlock(&held_lock);
	return NULL;
}

void held_start(const char *side, size_t size)
{
	held_size = size;
	held_side = side;
	held_run = true;
	held_rss0 = held_rss();
	held_t0 = now_ns();
	must(-pthread_create(&held_thread, NULL, held_sampler, NULL));
}

void held_phase(const char *name)
{
	pthread_mutex_lock(&held_lock);
	held_sample();
	figure_line("%s phase %llu %s", held_side, (unsigned long long)(now_ns() - held_t0), name);
	held_sample();
	pthread_mutex_unlock(&held_lock);
}

void held_stop(void)
{
	held_phase("end");
	pthread_mutex_lock(&held_lock);
	held_run = false;
	pthread_mutex_unlock(&held_lock);
	pthread_join(held_thread, NULL);
}
