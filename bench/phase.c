// SPDX-License-Identifier: GPL-2.0-only
/* Phases: see phase.h. The report counts the lines, the counter counts the marks. */
#include "phase.h"

#include <stdio.h>
#include <string.h>

#include "figures.h"
#include "tap.h"

static bool profiled;

void phase_profile(void)
{
	profiled = true;
}

void phase_symbols(const char *path)
{
	static char buf[1 << 16];
	FILE *from = fopen("/proc/kallsyms", "re"), *to = fopen(path, "we");
	size_t n;

	if (!from || !to)
		tap_bail("/proc/kallsyms can't be copied to %s: %s", path, strerror(errno));
	while ((n = fread(buf, 1, sizeof(buf), from)) > 0)
		must_be(fwrite(buf, 1, n, to) == n);
	must_be(!ferror(from));
	fclose(from);
	must_be(!fclose(to));
}

void phase_next(const char *name, const char *base, uint64_t count, const char *unit)
{
	mark(MARK_NEXT);
	if (profiled)
		figure_line("profile phase %s %s %llu %s", name, base, (unsigned long long)count,
			    unit);
}
