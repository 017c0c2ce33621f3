/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Samples: having the module sample a container for some time, and its log of that. What the log
 * means is in core/sample.h.
 */
#ifndef CLI_SAMPLES_H
#define CLI_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../core/sample.h"

#define SAMPLES_DIR	"sample"
/* As many events as are read, some 400 MB of them. */
#define SAMPLES_MAX	(1U << 24)

/**
 * struct samples - a log
 * @container: whose
 * @fd: the log; -1: not open
 * @event: all events so far
 * @nr: how many
 * @room: for how many there is memory
 * @next: number of the event that comes next
 * @lost: events that were overwritten before they were read
 * @head: the header when it was read last
 */
struct samples {
	const char *container;
	int fd;
	struct iopf_sample_event *event;
	size_t nr;
	size_t room;
	uint64_t next;
	uint64_t lost;
	struct iopf_sample_header head;
};

int samples_start(struct samples *s, const char *container, unsigned int interval_ms,
		  unsigned int max);
int samples_more(struct samples *s);
int samples_stop(struct samples *s);
void samples_free(struct samples *s);

#endif /* CLI_SAMPLES_H */
