// SPDX-License-Identifier: GPL-2.0-only
/*
 * The clock that times a fault, and the time that each phase of the fault has taken.
 *
 * The clock is the TSC, read without ordering. The kernel's own clocks do more than durations need:
 * they scale, and they make all CPUs agree. If the kernel does not trust the TSC when the module is
 * loaded, the clock is local_clock().
 *
 * A struct iopf_timing belongs to the context that handles its fault, so it needs no lock. Code
 * that maps and code that handles faults both record phases; fault/latency.c collects
 * them.
 */
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/time64.h>
#include <asm/tsc.h>

#include "timing.h"

DEFINE_STATIC_KEY_TRUE(iopf_clock_tsc);

/**
 * iopf_clock_init() - choose the clock
 */
void iopf_clock_init(void)
{
	if (!tsc_khz || check_tsc_unstable())
		static_branch_disable(&iopf_clock_tsc);
}

/**
 * iopf_clock_ns() - convert a duration
 * @ticks: difference of two values of iopf_clock()
 *
 * Return: nanoseconds.
 */
u64 iopf_clock_ns(u64 ticks)
{
	if (!static_branch_likely(&iopf_clock_tsc))
		return ticks;
	return mul_u64_u32_div(ticks, USEC_PER_SEC, tsc_khz);
}

/**
 * iopf_timing_ns() - time since a fault was reported
 * @t: clock of the fault; if the fault is not timed, the clock began when @t->start was set
 *
 * Return: nanoseconds.
 */
u64 iopf_timing_ns(const struct iopf_timing *t)
{
	s64 ticks = iopf_clock() - t->start;

	return iopf_clock_ns(max(ticks, 0LL));
}
