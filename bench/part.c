// SPDX-License-Identifier: GPL-2.0-only
/* Parts: see part.h. At the end, a chosen name that no caller has asked about is an error. */
#include "part.h"

#include <stddef.h>
#include <string.h>

#include "tap.h"

#define PARTS_MAX	32

static char **parts;
static int nr_parts;
static bool asked[PARTS_MAX];

void part_choose(char **names, int n)
{
	if (n > PARTS_MAX)
		tap_bail("more than %d parts are named", PARTS_MAX);
	parts = names;
	nr_parts = n;
}

bool part_wanted(const char *part)
{
	size_t len = strlen(part);
	bool wanted = !nr_parts;

	for (int i = 0; i < nr_parts; i++) {
		if (strncmp(parts[i], part, len) || (parts[i][len] && parts[i][len] != ':'))
			continue;
		/* A name with a case counts as asked only when part_case_wanted() gets the case. */
		asked[i] |= !parts[i][len];
		wanted = true;
	}
	return wanted;
}

bool part_case_wanted(const char *part, const char *name)
{
	size_t len = strlen(part);
	bool wanted = !nr_parts;

	for (int i = 0; i < nr_parts; i++) {
		if (strncmp(parts[i], part, len))
			continue;
		if (!parts[i][len]) {
			wanted = true;
		} else if (parts[i][len] == ':' && !strcmp(parts[i] + len + 1, name)) {
			asked[i] = true;
			wanted = true;
		}
	}
	return wanted;
}

const char *part_unknown(void)
{
	for (int i = 0; i < nr_parts; i++) {
		if (!asked[i])
			return parts[i];
	}
	return NULL;
}
