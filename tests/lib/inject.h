/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fault injection into system calls of this thread (the debug kernel only): the n-th allocation,
 * or the n-th copy from or to user space, fails. A test counts n up to reach each failure.
 */
#ifndef TESTS_LIB_INJECT_H
#define TESTS_LIB_INJECT_H

#include <stdbool.h>

/** inject_begin() - prepare; false: this kernel can't inject faults */
bool inject_begin(void);

/** inject_nth() - count from now on, and let call number @n fail; the first is 1 */
void inject_nth(unsigned int n);

/** inject_end() - stop; returns whether call number @n of inject_nth() was reached */
bool inject_end(void);

#endif /* TESTS_LIB_INJECT_H */
