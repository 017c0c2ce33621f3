// SPDX-License-Identifier: GPL-2.0-only
/*
 * Say: see say.h. Any thread may say something; lines do not mix.
 */
#include "say.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "figures.h"

static const char *say_who = "";
static uint64_t say_gap_ns = 2000000000;
static _Atomic uint64_t said;

void say_every(unsigned int ms)
{
	say_gap_ns = ms * 1000000ull;
}

void say_side(const char *side)
{
	say_who = side;
}

void say(const char *fmt, ...)
{
	va_list ap;

	flockfile(stdout);
	printf("%-7s", say_who);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	funlockfile(stdout);
	said = now_ns();
}

void say_progress(const char *what, size_t done, size_t total)
{
	if (now_ns() - said < say_gap_ns)
		return;
	say("  %s: %zu of %zu MiB", what, done >> 20, total >> 20);
}
