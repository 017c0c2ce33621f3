// SPDX-License-Identifier: GPL-2.0-only
/*
 * Words: numbers and names by tables and byte by byte.
 */
#include "unit.h"

#include "../word.h"

static bool hex(const char *s, size_t max, u64 *val)
{
	size_t len = strlen(s);
	char *copy = malloc(len);
	bool is;

	/* The word ends with its memory, so a sanitizer sees reads beyond it. */
	assert_true(copy || !len);
	memcpy(copy, s, len);
	is = iopf_word_hex(copy, len, max, val);
	free(copy);
	return is;
}

static void numbers(void **state)
{
	u64 val = 77;

	(void)state;
	assert_false(hex("", 4, &val));
	assert_false(hex("12345", 4, &val));
	assert_false(hex("0x1", 4, &val));
	assert_false(hex("-1", 4, &val));
	assert_false(hex("g", 4, &val));
	assert_false(hex("1g", 4, &val));
	assert_false(hex("1 ", 4, &val));
	assert_true(val == 77);
	assert_true(hex("0", 4, &val) && val == 0);
	assert_true(hex("aBcD", 4, &val) && val == 0xabcd);
	assert_true(hex("0123", 4, &val) && val == 0x123);
	assert_true(hex("1", 1, &val) && val == 1);
	assert_true(hex("fedcba9876543210", 16, &val) && val == 0xfedcba9876543210ULL);
}

static void names(void **state)
{
	char name[IOPF_NAME_MAX + 1];

	(void)state;
	memset(name, 'n', sizeof(name));
	for (size_t len = 0; len <= sizeof(name); len++)
		assert_int_equal(iopf_word_name(name, len), len && len < IOPF_NAME_MAX);
	for (int c = 0; c <= 0xff; c++) {
		bool good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			    (c >= 'A' && c <= 'Z') || c == ':' || c == '.' || c == '_' || c == '-';
		char word[3] = { 'a', (char)c, 'b' };

		assert_int_equal(iopf_word_name(word, 3), good);
		assert_int_equal(iopf_word_name(word + 1, 1), good);
	}
}

static void words(void **state)
{
	(void)state;
	assert_true(iopf_word_is("pin", 3, "pin"));
	assert_false(iopf_word_is("pin", 2, "pin"));
	assert_false(iopf_word_is("pins", 4, "pin"));
	assert_false(iopf_word_is("pim", 3, "pin"));
	assert_true(iopf_word_is("", 0, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(names),
		cmocka_unit_test(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
