/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The longest stretch: for how long, while something goes on, nobody else gets the processor.
 *
 * A thread of the highest kind of priority wakes at short intervals, and notes how much later than
 * it should have it got the processor. On a machine with one processor under the deterministic
 * clock (vm: --icount) that is a number of instructions, and the same in each run.
 */
#ifndef TESTS_LIB_STRETCH_H
#define TESTS_LIB_STRETCH_H

#include <stdint.h>

/* Instructions that nothing may exceed. */
#define STRETCH_MAX	1000000u

/** stretch_begin() - watch from now on */
void stretch_begin(void);

/**
 * stretch_end() - watch no more
 * @took: out, may be NULL: time since stretch_begin()
 *
 * What goes on in the background is waited for, a little.
 *
 * Return: the longest stretch, in ns
 */
uint64_t stretch_end(uint64_t *took);

/**
 * typedef stretch_report_fn - told of each case
 * @name: what it was
 * @longest: its longest stretch
 * @control: the longest stretch of the same without a device that has ever used the memory; 0 if
 *           that means nothing
 * @took: how long it took
 */
typedef void (*stretch_report_fn)(const char *name, uint64_t longest, uint64_t control,
				  uint64_t took);

/**
 * stretch_cases() - all that an owner can have the kernel do at length
 * @scale: the size of everything: 1 to 8, of which 8 is 65535 areas, 1 TiB, 200 000 policies
 * @report: told of each
 *
 * Loads the modules.
 */
void stretch_cases(unsigned int scale, stretch_report_fn report);

#endif /* TESTS_LIB_STRETCH_H */
