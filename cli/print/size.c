// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sizes: see size.h.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "size.h"

static const char units[] = "KMGT";

/**
 * size_parse() - convert a text to bytes
 * @text: decimal digits, then optionally K, M, G or T (or k, m, g, t), then optionally iB
 * @bytes: out
 *
 * Return: 0; -EINVAL: @text is malformed; -ERANGE: the size is 2^64 or more
 */
int size_parse(const char *text, uint64_t *bytes)
{
	unsigned int shift = 0;
	const char *unit;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	*bytes = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	if (*end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit)
			return -EINVAL;
		shift = 10 * (unit - units + 1);
		end++;
		if (*end && strcmp(end, "iB"))
			return -EINVAL;
	}
	if (*bytes > UINT64_MAX >> shift)
		return -ERANGE;
	*bytes <<= shift;
	return 0;
}

/**
 * size_text() - convert bytes to a text, in the largest unit that does not exceed the size
 * @bytes: the size
 * @buf: out: the text, rounded down; a fraction below 10 has one decimal
 * @size: size of @buf
 */
void size_text(uint64_t bytes, char *buf, size_t size)
{
	unsigned int unit = 0, tenths = 0;

	while (bytes >= 1024 && unit < sizeof(units) - 1) {
		tenths = (bytes & 1023) * 10 / 1024;
		bytes >>= 10;
		unit++;
	}
	if (tenths && bytes < 10)
		snprintf(buf, size, "%llu.%u%c", (unsigned long long)bytes, tenths,
			 units[unit - 1]);
	else if (unit)
		snprintf(buf, size, "%llu%c", (unsigned long long)bytes, units[unit - 1]);
	else
		snprintf(buf, size, "%llu", (unsigned long long)bytes);
}
