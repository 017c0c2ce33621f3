/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Words in texts of administrators. A word is given with its length, since it is not
 * NUL-terminated. It may contain any bytes.
 */
#ifndef IOPF_CORE_WORD_H
#define IOPF_CORE_WORD_H

#include "shim.h"

/* Longer than any device name on a known bus. */
#define IOPF_NAME_MAX 64

/* Returns whether the @len characters at @s are exactly @word. */
static inline bool iopf_word_is(const char *s, size_t len, const char *word)
{
	return strlen(word) == len && !memcmp(s, word, len);
}

/**
 * iopf_word_hex() - parse a hexadecimal number without anything else
 * @s: the digits, of either case; no sign, no prefix
 * @len: number of digits, at least one
 * @max: most digits, at most 16
 * @val: out: the number; unchanged on failure
 *
 * Return: whether it is a number.
 */
static inline bool iopf_word_hex(const char *s, size_t len, size_t max, u64 *val)
{
	u64 v = 0;

	if (!len || len > max)
		return false;
	for (size_t i = 0; i < len; i++) {
		int digit = hex_to_bin(s[i]);

		if (digit < 0)
			return false;
		v = v << 4 | digit;
	}
	*val = v;
	return true;
}

/**
 * iopf_word_name() - whether a device can have this name on its bus
 * @s: the name
 * @len: its length
 *
 * Return: whether it is 1 to IOPF_NAME_MAX - 1 ASCII letters, digits and ":._-", as in bus
 * addresses. The kernel's isalnum() alone would also accept Latin-1 letters.
 */
static inline bool iopf_word_name(const char *s, size_t len)
{
	if (!len || len >= IOPF_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!(isascii(s[i]) && isalnum(s[i])) && !memchr(":._-", s[i], 4))
			return false;
	return true;
}

#endif /* IOPF_CORE_WORD_H */
