/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ran: the time for which the machine's processors have worked.
 *
 * The scheduler counts the time for which tasks ran, including kernel threads and workers. The time
 * of an interrupt counts for the task that it interrupted. The scheduler updates a task's time when
 * the task leaves the processor, or at a tick.
 */
#ifndef BENCH_RAN_H
#define BENCH_RAN_H

#include <stdint.h>

/** ran_ns() - time for which tasks ran on all CPUs since boot, up to the last updates */
uint64_t ran_ns(void);

#endif /* BENCH_RAN_H */
