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
 */
#ifndef BENCH_BUSY_H
#define BENCH_BUSY_H

#include <stdint.h>

/** busy_settle() - sleep until nothing is left to do in the background */
void busy_settle(void);

/** busy_ns() - settle; time tasks ran on all CPUs since boot */
uint64_t busy_ns(void);

#endif /* BENCH_BUSY_H */
