/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a page fault of the CPU costs: the units the device's faults are measured in.
 */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

/**
 * cpu_faults() - figures of side "cpu"
 *
 * minor_write, minor_read: touching a populated memfd page through a fresh mapping, the
 * kernel's fault-around switched off. zero_fill: first write to private anonymous memory in
 * 4 KiB pages.
 */
void cpu_faults(void);

#endif /* BENCH_CPU_H */
