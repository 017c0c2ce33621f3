/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The cost of a page fault of the CPU. It is the unit for the faults of devices.
 */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

/**
 * cpu_faults() - write the figures of side "cpu"
 *
 * minor_write, minor_read: a touch of a populated memfd page through a fresh mapping, with the
 * kernel's fault-around switched off. zero_fill: the first write to private anonymous memory in
 * 4 KiB pages.
 */
void cpu_faults(void);

#endif /* BENCH_CPU_H */
