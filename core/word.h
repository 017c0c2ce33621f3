/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Words in text that administrators write: given with their length, since nothing ends
 * them, and never assumed to be sane.
 */
#ifndef IOPF_CORE_WORD_H
#define IOPF_CORE_WORD_H

#include "shim.h"

/* Longer than any name of a device on a bus we know. */
#define IOPF_NAME_MAX 64

/* Whether the @len characters at @s are @word, all of them. */
static inline bool iopf_word_is(const char *s, size_t len, const char *word)
{
	return strlen(word) == len && !memcmp(s, word, len);
}

/**
 * iopf_word_hex() - a hexadecimal number and nothing else
 * @s: the digits, of either case; no sign, no prefix
 * @len: how many there are
 * @max: how many there may be, 16 at most; there has to be one
 * @val: out: the number; untouched if it is none
 *
 * Return: whether it is one.
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
 * Return: whether it is 1 to IOPF_NAME_MAX - 1 ASCII letters, digits and ":._-", as bus
 * addresses are made of. The kernel's isalnum() alone would take Latin-1 letters too.
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
