/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Samples: the module samples a container for some time, and iopfctl reads the log. core/sample.h
 * describes the log.
 */
#ifndef CLI_SAMPLES_H
#define CLI_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../core/sample.h"

#define SAMPLES_DIR	"sampling"
/* Maximum number of events: about 400 MB. */
#define SAMPLES_MAX	(1U << 24)

/**
 * struct samples - a log
 * @container: its container
 * @fd: the open log; -1: not open
 * @event: the events read so far
 * @nr: number of events in @event
 * @room: number of events that @event has memory for
 * @next: number of the next event to read
 * @lost: number of events that the module has overwritten before iopfctl read them
 * @head: the latest header
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
