/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Phases: the profile (bench/profile) counts each phase separately. A phase has one or more spans,
 * from phase_on() to phase_off(). Without a profile nothing is written, and the marks are nops.
 */
#ifndef BENCH_PHASE_H
#define BENCH_PHASE_H

#include <stdbool.h>
#include <stdint.h>

#include "mark.h"

/** phase_profile() - switch the profile on: write the phases to the figures */
void phase_profile(void);

/** phase_symbols() - copy the addresses of functions of the kernel and of loaded modules */
void phase_symbols(const char *path);

/**
 * phase_next() - begin a new phase
 * @name: name of the phase
 * @base: name of an earlier or later phase, whose instructions the report subtracts; "-": none
 * @count: number of units in the phase, by which the report divides
 * @unit: name of a unit
 */
void phase_next(const char *name, const char *base, uint64_t count, const char *unit);

static inline void phase_on(void)
{
	mark(MARK_ON);
}

static inline void phase_off(void)
{
	mark(MARK_OFF);
}

#endif /* BENCH_PHASE_H */
