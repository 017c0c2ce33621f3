// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sizes: valid and invalid texts, and printed sizes, which are never rounded up.
 */
#include <errno.h>
#include <string.h>

#include "../print/size.h"
#include "tree.h"

static void good(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
		{ "0", 0 }, { "1", 1 }, { "4096", 4096 }, { "007", 7 }, { "1K", 1024 },
		{ "1k", 1024 }, { "1KiB", 1024 }, { "3M", 3 << 20 }, { "2G", 2ull << 30 },
		{ "2GiB", 2ull << 30 }, { "5T", 5ull << 40 }, { "5t", 5ull << 40 },
		{ "18446744073709551615", UINT64_MAX }, { "16777215T", 16777215ull << 40 },
	};
	uint64_t bytes;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(size_parse(cases[i].text, &bytes), 0);
		assert_true(bytes == cases[i].bytes);
	}
}

static void bad(void **state)
{
	static const char * const not_sizes[] = {
		"", " 1", "1 ", "-1", "+1", "max", "K", "1P", "1KB", "1Ki", "1KK", "1.5G", "0x10",
		"1B", "1\n", "M1",
	};
	static const char * const too_large[] = {
		"18446744073709551616", "16777216T", "17179869184G", "99999999999999999999999",
	};
	uint64_t bytes;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(not_sizes); i++)
		assert_int_equal(size_parse(not_sizes[i], &bytes), -EINVAL);
	for (unsigned int i = 0; i < ARRAY_SIZE(too_large); i++)
		assert_int_equal(size_parse(too_large[i], &bytes), -ERANGE);
}

static void text(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{ 0, "0" }, { 1023, "1023" }, { 1024, "1K" }, { 1536, "1.5K" }, { 1025, "1K" },
		{ 1024 * 1024 - 1, "1023K" }, { 10 << 20, "10M" }, { (10 << 20) + 600000, "10M" },
		{ 3ull << 30, "3G" }, { 5ull << 40, "5T" }, { UINT64_MAX, "16777215T" },
	};
	char buf[32];

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		size_text(cases[i].bytes, buf, sizeof(buf));
		assert_string_equal(buf, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bad),
		cmocka_unit_test(text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
