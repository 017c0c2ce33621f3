/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Busy time: what the whole machine did between two points, whoever did it.
 *
 * Under the deterministic clock one nanosecond is one instruction while the CPU works, but time
 * also goes on (in leaps) while it idles. The scheduler knows the time tasks ran, kernel
 * threads and workers included; interrupts count for the task they hit.
 *
 * The scheduler books a task's time when it leaves the CPU: busy_ns() sleeps first, so everything
 * up to the call is booked, and whatever was set off in the background comes to rest.
 *
 * An idle device that watches its doorbell is busy time too, if little. So what is compared is
 * measured over spans of equal length, in which the device idles as long (but for the length of the
 * work itself, which is a small part): busy_run().
 */
#ifndef BENCH_BUSY_H
#define BENCH_BUSY_H

#include <linux/iopf_sim.h>
#include <stdint.h>

#include "simdev.h"

/** busy_settle() - sleep until nothing is left to do in the background */
void busy_settle(void);

/** busy_ns() - settle; time tasks ran on all CPUs since boot */
uint64_t busy_ns(void);

/**
 * busy_run() - one command, from rest to rest; bails out when it fails
 * @s: the device
 * @cmd: the command
 * @span_ms: how long to wait, more than the command takes
 * @cpl: its completion
 *
 * Return: busy time of the span
 */
uint64_t busy_run(struct simdev *s, const struct iopf_sim_cmd *cmd, unsigned int span_ms,
		  struct iopf_sim_cpl *cpl);

#endif /* BENCH_BUSY_H */
