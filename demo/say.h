/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Say: what the person in front of the terminal sees while the work goes on.
 */
#ifndef DEMO_SAY_H
#define DEMO_SAY_H

#include <stddef.h>

/** say_side() - the name that every line begins with from now on */
void say_side(const char *side);

/** say() - one line, printf-style */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** say_progress() - a line about @done of @total bytes, at most one each two seconds */
void say_progress(const char *what, size_t done, size_t total);

#endif /* DEMO_SAY_H */
