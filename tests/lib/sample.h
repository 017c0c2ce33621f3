/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sampling of this test's container, by its files in sysfs: see kmod/iopf/sample/sampler.c, and
 * core/sample.h for the format of the log.
 *
 * The functions use the newest container.
 */
#ifndef TESTS_LIB_SAMPLE_H
#define TESTS_LIB_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "../../core/sample.h"

/** sample_path() - the path of a file of the container, in static memory */
const char *sample_path(const char *name);

/** sample_set() - write sampling/interval_ms, sampling/max_chunks; 0 or a negative errno */
int sample_set(const char *name, uint64_t value);

/** sample_get() - read sampling/interval_ms, sampling/max_chunks, sampling/cost_ppm */
uint64_t sample_get(const char *name);

/** sample_head() - the header of the log; 0 or a negative errno */
int sample_head(struct iopf_sample_header *head);

/**
 * sample_events() - events of the log
 * @from: number of the first
 * @event: out
 * @n: room in @event
 *
 * Return: the number of events, or a negative errno
 */
int sample_events(uint64_t from, struct iopf_sample_event *event, size_t n);

/** sample_all() - wait until sampling has unmapped all chunks */
void sample_all(void);

#endif /* TESTS_LIB_SAMPLE_H */
