/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ran: how long the machine's processors have been at work, whoever's work it was.
 *
 * The scheduler's books: the time tasks ran, kernel threads and workers included; interrupts count
 * for the task they hit. A task's time is booked when it leaves the processor, or at a tick.
 */
#ifndef BENCH_RAN_H
#define BENCH_RAN_H

#include <stdint.h>

/** ran_ns() - time tasks ran on all CPUs since boot, as far as it is booked */
uint64_t ran_ns(void);

#endif /* BENCH_RAN_H */
