/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Busy time: the time for which the CPUs of the whole machine worked between two points.
 *
 * Under the deterministic clock, one nanosecond is one instruction while the CPU works. While the
 * CPU idles, the time advances in leaps. The scheduler counts the time for which tasks ran,
 * including kernel threads and workers. The time of an interrupt counts for the task that it
 * interrupted.
 *
 * The scheduler updates a task's time when the task leaves the CPU. So busy_ns() sleeps first: the
 * count then includes everything up to the call, and background work has finished.
 *
 * An idle device that polls its doorbell adds a little busy time too. So busy_run() measures spans
 * of equal length, in which the device idles for about the same time.
 */
#ifndef BENCH_BUSY_H
#define BENCH_BUSY_H

#include <linux/iopf_sim.h>
#include <stdint.h>

#include "simdev.h"

/** busy_settle() - sleep until background work has finished */
void busy_settle(void);

/** busy_ns() - settle; then return the time for which tasks ran on all CPUs since boot */
uint64_t busy_ns(void);

/**
 * busy_run() - run a command in an otherwise idle machine; bails out if it fails
 * @s: the device
 * @cmd: the command
 * @span_ms: length of the span; longer than the command takes
 * @cpl: out: its completion
 *
 * Return: the busy time of the span.
 */
uint64_t busy_run(struct simdev *s, const struct iopf_sim_cmd *cmd, unsigned int span_ms,
		  struct iopf_sim_cpl *cpl);

#endif /* BENCH_BUSY_H */
