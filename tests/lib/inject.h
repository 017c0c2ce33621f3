/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Faults injected into what this thread asks of the kernel (the debug kernel only): its n-th
 * allocation, or copy from or to user space, fails. So each failure of a system call can be had by
 * counting up.
 */
#ifndef TESTS_LIB_INJECT_H
#define TESTS_LIB_INJECT_H

#include <stdbool.h>

/** inject_begin() - get ready; false: this kernel can't inject faults */
bool inject_begin(void);

/** inject_nth() - from now on count, and let number @n fail, from 1 on */
void inject_nth(unsigned int n);

/** inject_end() - count no more; whether it came to number @n of inject_nth() */
bool inject_end(void);

#endif /* TESTS_LIB_INJECT_H */
