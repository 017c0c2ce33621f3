/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Say: what the person in front of the terminal sees while the work goes on.
 */
#ifndef DEMO_SAY_H
#define DEMO_SAY_H

#include <stddef.h>

/** say_every() - progress lines at most once in @ms of the guest's time */
void say_every(unsigned int ms);

/** say_side() - the name that every line begins with from now on */
void say_side(const char *side);

/** say() - one line, printf-style */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** say_progress() - a line about @done of @total bytes, when nothing was said for a while */
void say_progress(const char *what, size_t done, size_t total);

#endif /* DEMO_SAY_H */
