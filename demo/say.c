// SPDX-License-Identifier: GPL-2.0-only
/*
 * Say: see say.h. Used by the main thread only.
 */
#include "say.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "figures.h"

#define SAY_EVERY_NS	2000000000ull

static const char *say_who = "";
static uint64_t said;

void say_side(const char *side)
{
	say_who = side;
}

void say(const char *fmt, ...)
{
	va_list ap;

	printf("%-7s", say_who);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	said = now_ns();
}

void say_progress(const char *what, size_t done, size_t total)
{
	if (now_ns() - said < SAY_EVERY_NS)
		return;
	say("  %s: %zu of %zu MiB", what, done >> 20, total >> 20);
}
