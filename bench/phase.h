/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Phases: what the profile (bench/profile) counts apart. Each is a span or many, from phase_on() to
 * phase_off(). Without a profile nothing is written, and the marks are nops.
 */
#ifndef BENCH_PHASE_H
#define BENCH_PHASE_H

#include <stdbool.h>
#include <stdint.h>

#include "mark.h"

/** phase_profile() - a profile is taken: tell it of the phases, in the figures */
void phase_profile(void);

/** phase_symbols() - copy the addresses of functions of the kernel and of the modules loaded */
void phase_symbols(const char *path);

/**
 * phase_next() - what follows is a new phase
 * @name: of the phase
 * @base: name of the phase, earlier or later, whose share the report takes off; "-": none
 * @count: units in it, what the report divides by
 * @unit: what one is called
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
