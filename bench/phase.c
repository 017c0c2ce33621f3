// SPDX-License-Identifier: GPL-2.0-only
/* Phases: see phase.h. The report counts the lines, the counter counts the marks. */
#include "phase.h"

#include "figures.h"

static bool profiled;

void phase_profile(void)
{
	profiled = true;
}

void phase_next(const char *name, const char *base, uint64_t count, const char *unit)
{
	mark(MARK_NEXT);
	if (profiled)
		figure_line("profile phase %s %s %llu %s", name, base, (unsigned long long)count,
			    unit);
}
