/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Scheduling latency: how long a task of the highest priority waits for the processor.
 *
 * A thread with real-time priority sleeps for short intervals, and measures the delay until it gets
 * the processor. The result is the longest delay. On a machine with one processor under the
 * deterministic clock (vm: --icount) it is a number of instructions, and the same in each run.
 */
#ifndef TESTS_LIB_SCHED_LATENCY_H
#define TESTS_LIB_SCHED_LATENCY_H

#include <stdint.h>

/* The largest latency that is allowed, in instructions. */
#define SCHED_LATENCY_MAX	1000000u

/** sched_latency_begin() - start to measure */
void sched_latency_begin(void);

/**
 * sched_latency_end() - stop to measure
 * @took: out, may be NULL: time since sched_latency_begin()
 *
 * Waits for a short time first, so that work in the background is measured, too.
 *
 * Return: the longest latency, in ns
 */
uint64_t sched_latency_end(uint64_t *took);

/**
 * typedef sched_latency_fn - takes the result of a case
 * @name: name of the case
 * @longest: its longest latency
 * @control: the longest latency of the same case if no device has ever used the memory; 0 if that
 *           has no meaning
 * @took: time that the case took
 */
typedef void (*sched_latency_fn)(const char *name, uint64_t longest, uint64_t control,
				 uint64_t took);

/**
 * sched_latency_cases() - run all cases of long work that an owner can make the kernel do
 * @scale: size of the cases, 1 to 8; 8 is 65535 areas, 1 TiB, 200 000 policies
 * @report: called for each case
 *
 * Loads the modules.
 */
void sched_latency_cases(unsigned int scale, sched_latency_fn report);

#endif /* TESTS_LIB_SCHED_LATENCY_H */
