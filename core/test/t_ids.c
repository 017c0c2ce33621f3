// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device list: tables of good and bad lists and of matches, and every short string over a
 * relevant alphabet against the model.
 */
#include "unit.h"

#include "model_ids.h"

#define NAME_63	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

static const char *const good[] = {
	"", "\n", "all", "all\n", "8086:10c9", "8086:10c9\n", "0:0", "f:f", "FFFF:ffff", "8086:*",
	"0000:01:00.0", "10f5:00:1f.7", "platform-device.0", "a", "all,all", "8086:1,8086:2",
	"8086:*,0000:01:00.0,all", "a:b:c", "...", "allx", "xall", "al", "All", "01:00.0", "_",
	"8086", NAME_63, "a," NAME_63 ",b",
	/* A newline ends the list; the parser ignores the rest. */
	"all\n,,", "a\n*", "\n:",
};

static const struct {
	const char *list;
	size_t at;
	size_t len;
} bad[] = {
	{ ",", 0, 0 }, { ",all", 0, 0 }, { "all,", 4, 0 }, { "all,,all", 4, 0 },
	{ "all,\n", 4, 0 }, { " ", 0, 1 }, { " all", 0, 4 }, { "all ", 0, 4 },
	{ "all, all", 4, 4 }, { "all;all", 0, 7 }, { "8086:", 0, 5 }, { ":10c9", 0, 5 },
	{ ":", 0, 1 }, { "::*", 0, 3 }, { "*", 0, 1 }, { "*:*", 0, 3 }, { "*:10c9", 0, 6 },
	{ "8086:**", 0, 7 }, { "8086:1*", 0, 7 }, { "80861:1", 0, 7 }, { "8086:00001", 0, 10 },
	{ "808g:1", 0, 6 }, { "0x8086:1", 0, 8 }, { "-1:1", 0, 4 }, { "+1:1", 0, 4 },
	{ "8086:1\r\n", 0, 7 }, { "8086:1\t", 0, 7 }, { "8086:1,8086:x", 7, 6 },
	{ "usb:1", 0, 5 }, { "a/b", 0, 3 }, { "a*", 0, 2 }, { "d\xe9vice", 0, 6 },
	{ "\xff", 0, 1 }, { "a\x80", 0, 2 }, { "a\x01", 0, 2 }, { NAME_63 "f", 0, 64 },
	{ "ok," NAME_63 "f,ok", 3, 64 },
};

static const struct iopf_id sim = {
	.name = "10f5:00:00.0", .vendor = 0x10f5, .device = 0xa, .pci = true,
};

static const struct iopf_id nic = {
	.name = "0000:01:00.0", .vendor = 0x8086, .device = 0x10c9, .pci = true,
};

static const struct iopf_id zero = { .name = "0000:00:00.0", .pci = true };
static const struct iopf_id plat = { .name = "fsl-mc.1", .vendor = 0x8086, .device = 0x10c9 };
static const struct iopf_id nameless = { .name = "" };
/* A name that looks like a model. */
static const struct iopf_id like = { .name = "8086:10c9" };

static const struct {
	const char *list;
	const struct iopf_id *id;
	bool match;
} matches[] = {
	{ "", &nic, false }, { "\n", &nic, false }, { "", &nameless, false },
	{ "all", &nic, true }, { "all\n", &plat, true }, { "all", &nameless, true },
	{ "8086:10c9", &nic, true }, { "8086:10C9", &nic, true }, { "8086:10c9\n", &nic, true },
	{ "8086:10ca", &nic, false }, { "8087:10c9", &nic, false }, { "10c9:8086", &nic, false },
	{ "8086:*", &nic, true }, { "8087:*", &nic, false }, { "8086:*", &sim, false },
	{ "10f5:a", &sim, true }, { "10f5:000a", &sim, true }, { "10f5:00a", &sim, true },
	{ "0:0", &zero, true }, { "0000:*", &zero, true }, { "0:1", &zero, false },
	/* The ids of a device that is not on PCI are invalid. */
	{ "8086:10c9", &plat, false }, { "8086:*", &plat, false }, { "0:0", &nameless, false },
	{ "8086:10c9", &like, false },
	{ "fsl-mc.1", &plat, true }, { "fsl-mc.10", &plat, false }, { "fsl-mc.", &plat, false },
	{ "0000:01:00.0", &nic, true }, { "0000:01:00.1", &nic, false }, { "01:00.0", &nic, false },
	{ "0000:01:00.0\n", &nic, true }, { "x,0000:01:00.0", &nic, true },
	{ "0000:01:00.0,x", &nic, true }, { "x,y,8086:*", &nic, true }, { "x,y", &nic, false },
	{ "x,all", &nic, true }, { "x\n,all", &nic, false }, { "allx", &nic, false },
};

/* Lists that end with their memory, so that a sanitizer sees reads beyond. */
static char *exact(const char *list)
{
	char *copy = strdup(list);

	assert_non_null(copy);
	return copy;
}

static void good_lists(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		char *list = exact(good[i]);
		const char *where = "untouched";
		size_t len = 99;

		if (iopf_ids_check(list, &where, &len))
			fail_msg("iommu_refused: \"%s\"", good[i]);
		assert_string_equal(where, "untouched");
		assert_int_equal(len, 99);
		ids_compare(list, &nic, 1);
		free(list);
	}
}

static void bad_lists(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char *list = exact(bad[i].list);
		const char *where = NULL;
		size_t len = 99;

		if (iopf_ids_check(list, &where, &len) != -EINVAL)
			fail_msg("taken: \"%s\"", bad[i].list);
		if (where != list + bad[i].at || len != bad[i].len)
			fail_msg("\"%s\": blames \"%.*s\"", bad[i].list, (int)len, where);
		ids_compare(list, NULL, 0);
		free(list);
	}
}

static void match_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(matches); i++) {
		char *list = exact(matches[i].list);

		assert_int_equal(iopf_ids_check(list, NULL, NULL), 0);
		if (iopf_ids_match(list, matches[i].id) != matches[i].match)
			fail_msg("\"%s\" and %s", matches[i].list, matches[i].id->name);
		ids_compare(list, matches[i].id, 1);
		free(list);
	}
}

/* Names of every length around the limit. */
static void name_lengths(void **state)
{
	char name[80];

	(void)state;
	for (size_t len = 1; len < sizeof(name); len++) {
		struct iopf_id id = { .name = name };
		char *list;

		memset(name, 'n', len);
		name[len] = '\0';
		list = exact(name);
		assert_int_equal(iopf_ids_check(list, NULL, NULL), len < 64 ? 0 : -EINVAL);
		if (len < 64)
			assert_true(iopf_ids_match(list, &id));
		free(list);
	}
}

/* Every single byte, alone and inside a name. */
static void every_byte(void **state)
{
	(void)state;
	for (unsigned int c = 1; c <= 0xff; c++) {
		char list[4] = { c };

		ids_compare(list, &nic, 1);
		list[0] = 'a';
		list[1] = c;
		ids_compare(list, &nic, 1);
		list[2] = 'b';
		ids_compare(list, &nic, 1);
	}
}

/* Every string of up to six characters from an alphabet in which each one matters. */
static void every_short_list(void **state)
{
	static const char alphabet[] = "al0:.*,\n";
	const struct iopf_id ids[] = {
		{ .name = "a", .vendor = 0xa, .device = 0, .pci = true },
		{ .name = "a0", .vendor = 0, .device = 0xa, .pci = true },
		{ .name = "0:a:0", .vendor = 0xa, .device = 0xa, .pci = false },
	};
	const size_t base = sizeof(alphabet) - 1;
	size_t combinations = 1;

	(void)state;
	for (size_t len = 0; len <= 6; len++, combinations *= base) {
		for (size_t i = 0; i < combinations; i++) {
			char *list = malloc(len + 1);
			size_t rest = i;

			assert_non_null(list);
			for (size_t k = 0; k < len; k++, rest /= base)
				list[k] = alphabet[rest % base];
			list[len] = '\0';
			ids_compare(list, ids, ARRAY_SIZE(ids));
			free(list);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_lists),
		cmocka_unit_test(bad_lists),
		cmocka_unit_test(match_table),
		cmocka_unit_test(name_lengths),
		cmocka_unit_test(every_byte),
		cmocka_unit_test(every_short_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
