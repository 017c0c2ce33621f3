// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of limits: the contents of rules, the errors in bad rules and their positions, the
 * devices and owners that rules match; the stricter of two values; every short sequence of words,
 * and of characters, from a small set against the model.
 */
#include "unit.h"

#include "rng.h"
#include "model_limtable.h"
#include "sweep.h"
#include "table.h"

static const struct iopf_subject vm = {
	.id = { .name = "0000:01:00.0", .vendor = 0x8086, .device = 0x10c9, .class = 0x020000,
		.pci = true },
	.uid = 107,
	.cgroup = "/machine.slice/vm1.scope",
};

static const struct iopf_subject all[] = {
	{ .id = { .name = "a", .vendor = 0xa, .pci = true }, .cgroup = "/" },
	{ .id = { .name = "b" }, .uid = 1, .cgroup = "/a" },
	{ .id = { .name = "user" }, .uid = U32_MAX, .cgroup = "/a/b" },
	{ .id = { .name = "b" }, .uid = 2, .cgroup = "/ab" },
};

/* Parses a text in memory that ends with the text. The caller frees @copy after the table. */
static struct iopf_limtable *parse(const char *text, char **copy, struct iopf_devtable_error *err,
				   int want)
{
	size_t len = strlen(text);
	struct iopf_limtable *t;

	*copy = table_copy(text);
	limtable_compare(*copy, len, &vm, 1);
	t = limtable_alloc(*copy, len);
	table_result_is(iopf_limtable_parse(t, *copy, len, err), want, text, err);
	return t;
}

static const struct {
	const char *text;
	enum iopf_setting setting;
	u64 value;
} values[] = {
	{ "resident_max=1M", IOPF_SETTING_RESIDENT_MAX, 1 << 20 },
	{ "resident_max=256K", IOPF_SETTING_RESIDENT_MAX, 256 << 10 },
	{ "resident_max=262144", IOPF_SETTING_RESIDENT_MAX, 262144 },
	{ "resident_high=2g", IOPF_SETTING_RESIDENT_HIGH, 2ull << 30 },
	{ "resident_high=max", IOPF_SETTING_RESIDENT_HIGH, IOPF_SETTING_MAX },
	{ "pinned_max=0", IOPF_SETTING_PINNED_MAX, 0 },
	{ "pinned_high=3T", IOPF_SETTING_PINNED_HIGH, 3ull << 40 },
	{ "hot_pinned_max=16777215T", IOPF_SETTING_HOT_PINNED_MAX, 16777215ull << 40 },
	{ "hot_pinned_max=18446744073709551614", IOPF_SETTING_HOT_PINNED_MAX, U64_MAX - 1 },
	{ "aging_interval=1", IOPF_SETTING_AGING_INTERVAL, 1 },
	{ "aging_interval=4294967295", IOPF_SETTING_AGING_INTERVAL, U32_MAX },
	{ "aging_interval=max", IOPF_SETTING_AGING_INTERVAL, IOPF_SETTING_MAX },
	{ "min_residency=0", IOPF_SETTING_MIN_RESIDENCY, 0 },
	{ "min_residency=1000000", IOPF_SETTING_MIN_RESIDENCY, 1000000 },
	{ "fault_workers_max=4", IOPF_SETTING_FAULT_WORKERS_MAX, 4 },
	{ "fault_workers_max=4294967294", IOPF_SETTING_FAULT_WORKERS_MAX, U32_MAX - 1 },
	{ "prefetch_max=0", IOPF_SETTING_PREFETCH_MAX, 0 },
	{ "prefetch_max=max", IOPF_SETTING_PREFETCH_MAX, IOPF_SETTING_MAX },
	{ "policy=fault", IOPF_SETTING_POLICY, IOPF_POLICY_FAULT },
	{ "policy=pin", IOPF_SETTING_POLICY, IOPF_POLICY_PIN },
};

static void what_a_rule_sets(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		struct iopf_devtable_error err;
		const struct iopf_limit_rule *r;
		struct iopf_limtable *t;
		char text[128], *copy;

		snprintf(text, sizeof(text), "\nuser 107 %s # x", values[i].text);
		t = parse(text, &copy, &err, 0);
		assert_int_equal(t->nr, 1);
		r = &t->rule[0];
		assert_int_equal(r->match.line, 2);
		assert_true(iopf_word_is(r->match.source, r->match.source_len, "x"));
		assert_int_equal(r->match.len, strlen("user 107 ") + strlen(values[i].text));
		assert_int_equal(r->settings.set, BIT(values[i].setting));
		assert_true(r->settings.value[values[i].setting] == values[i].value);
		free(t);
		free(copy);
	}
}

/* A printed value parses again, and is the same value. */
static void print(void **state)
{
	char text[64];
	u64 value;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		int n = iopf_setting_print(text, sizeof(text), values[i].setting, values[i].value);

		assert_int_equal(n, strlen(text));
		assert_true(iopf_setting_parse(values[i].setting, text, n, &value));
		assert_true(value == values[i].value);
	}
	assert_int_equal(iopf_setting_print(text, sizeof(text), IOPF_SETTING_POLICY, 0), 7);
	assert_string_equal(text, "default");
}

static const struct table_bad bad[] = {
	{ "x", 1, 1, "x", "expected pci, subsystem, class, address, user or cgroup" },
	{ "resident_max=1M", 1, 1, "resident_max=1M", "expected pci, subsystem, class, addr" },
	{ "user", 1, 5, "", "expected a user's number" },
	{ "user x resident_max=1M", 1, 6, "x", "expected a user's number" },
	{ "user -1 resident_max=1M", 1, 6, "-1", "expected a user's number" },
	{ "user 1- resident_max=1M", 1, 6, "1-", "expected a user's number" },
	{ "user 2-1 resident_max=1M", 1, 6, "2-1", "expected a user's number" },
	{ "user 1-2-3 resident_max=1M", 1, 6, "1-2-3", "expected a user's number" },
	{ "user ** resident_max=1M", 1, 6, "**", "expected a user's number" },
	{ "user 4294967296 aging_interval=1", 1, 6, "4294967296", "expected a user's number" },
	{ "user 0-4294967296 aging_interval=1", 1, 6, "0-4294967296", "expected a user's number" },
	{ "cgroup", 1, 7, "", "expected a cgroup's path" },
	{ "cgroup a aging_interval=1", 1, 8, "a", "expected a cgroup's path" },
	{ "cgroup *", 1, 8, "*", "expected a cgroup's path" },
	{ "pci x", 1, 5, "x", "expected VENDOR:DEVICE" },
	{ "user 1 user 2 aging_interval=1", 1, 8, "user", "is there twice" },
	{ "cgroup / cgroup / aging_interval=1", 1, 10, "cgroup", "is there twice" },
	{ "pci 1:1 pci 1:1 aging_interval=1", 1, 9, "pci", "is there twice" },
	{ "user 1", 1, 7, "", "expected pci, subsystem, class, address, user, cgroup, or a s" },
	{ "user 1 arbitrary", 1, 8, "arbitrary", "expected pci, subsystem, class, address, use" },
	{ "user 1 =1", 1, 8, "=1", "expected pci" },
	{ "user 1 resident_max", 1, 8, "resident_max", "expected pci" },
	{ "user 1 aging_interval=1 user 2", 1, 25, "user", "expected a setting" },
	{ "user 1 aging_interval=1 aging_interval=2", 1, 25, "aging_interval=2", "is there twice" },
	{ "user 1 resident_max=", 1, 8, "resident_max=", "expected bytes, 256K at least" },
	{ "user 1 resident_max=K", 1, 8, "resident_max=K", "expected bytes, 256K at least" },
	{ "user 1 resident_max=1KK", 1, 8, "resident_max=1KK", "expected bytes, 256K at least" },
	{ "user 1 resident_max=262143", 1, 8, "resident_max=262143", "expected bytes, 256K" },
	{ "user 1 resident_high=255K", 1, 8, "resident_high=255K", "expected bytes, 256K" },
	{ "user 1 resident_max=0x100000", 1, 8, "resident_max=0x100000", "expected bytes" },
	{ "user 1 resident_max=-1", 1, 8, "resident_max=-1", "expected bytes" },
	{ "user 1 resident_max=MAX", 1, 8, "resident_max=MAX", "expected bytes" },
	{ "user 1 pinned_max=16777216T", 1, 8, "pinned_max=16777216T", "expected bytes, with" },
	{ "user 1 hot_pinned_max=18446744073709551615", 1, 8, "hot_pinned_max=18446744073709551615",
	  "expected" },
	{ "user 1 hot_pinned_max=18446744073709551616", 1, 8, "hot_pinned_max=18446744073709551616",
	  "expected" },
	{ "user 1 aging_interval=0", 1, 8, "aging_interval=0", "expected seconds" },
	{ "user 1 aging_interval=1K", 1, 8, "aging_interval=1K", "expected seconds" },
	{ "user 1 aging_interval=4294967296", 1, 8, "aging_interval=4294967296",
	  "expected seconds" },
	{ "user 1 min_residency=max", 1, 8, "min_residency=max", "expected microseconds" },
	{ "user 1 min_residency=1000001", 1, 8, "min_residency=1000001", "expected microsec" },
	{ "user 1 fault_workers_max=0", 1, 8, "fault_workers_max=0", "expected a number from 1" },
	{ "user 1 fault_workers_max=4294967295", 1, 8, "fault_workers_max=4294967295",
	  "expected a number" },
	{ "user 1 prefetch_max=4294967295", 1, 8, "prefetch_max=4294967295",
	  "expected a number, or" },
	{ "user 1 policy=default", 1, 8, "policy=default", "expected policy=fault" },
	{ "user 1 policy=max", 1, 8, "policy=max", "expected policy=fault" },
	{ "user 1 aging_interval=1\r", 1, 24, "", "neither printable ASCII nor a blank" },
	{ "user 1 aging_interval=1\n\n user 1 x", 3, 9, "x", "expected pci" },
};

static void bad_tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct iopf_devtable_error err = { };
		char *copy;
		struct iopf_limtable *t = parse(bad[i].text, &copy, &err, -EINVAL);

		table_error_is(&err, &bad[i]);
		free(t);
		free(copy);
	}
}

static const struct {
	const char *text;
	unsigned int line;	/* line of the rule; 0: no rule matches */
} matching[] = {
	{ "", 0 },
	{ "user 107 aging_interval=1", 1 },
	{ "user 108 aging_interval=1", 0 },
	{ "user 106 aging_interval=1", 0 },
	{ "user * aging_interval=1", 1 },
	{ "user 0-4294967295 aging_interval=1", 1 },
	{ "user 107-107 aging_interval=1", 1 },
	{ "user 0-106 aging_interval=1", 0 },
	{ "user 108-200 aging_interval=1", 0 },
	{ "user 100-107 aging_interval=1", 1 },
	{ "cgroup / aging_interval=1", 1 },
	{ "cgroup /machine.slice aging_interval=1", 1 },
	{ "cgroup /machine.slice/ aging_interval=1", 1 },
	{ "cgroup /machine.slic aging_interval=1", 0 },
	{ "cgroup /machine.slice/vm1.scope aging_interval=1", 1 },
	{ "cgroup /machine.slice/vm1.scope/ aging_interval=1", 1 },
	{ "cgroup /machine.slice/vm1.scope/x aging_interval=1", 0 },
	{ "cgroup /machine.slice/vm1 aging_interval=1", 0 },
	{ "cgroup /machine.slice/vm1* aging_interval=1", 1 },
	{ "cgroup /machine.slice/vm2* aging_interval=1", 0 },
	{ "cgroup /* aging_interval=1", 1 },
	{ "cgroup /vm1.scope aging_interval=1", 0 },
	{ "address 0000:01:00.0 aging_interval=1", 1 },
	{ "address 0000:01:00.1 aging_interval=1", 0 },
	{ "class 02 user 107 cgroup /machine.slice aging_interval=1", 1 },
	{ "class 03 user 107 cgroup /machine.slice aging_interval=1", 0 },
	{ "class 02 user 1 cgroup /machine.slice aging_interval=1", 0 },
	{ "class 02 user 107 cgroup /user.slice aging_interval=1", 0 },
	{ "user 1 aging_interval=1\npci 8086:* aging_interval=2\nuser 107 aging_interval=3", 2 },
};

static void match_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(matching); i++) {
		struct iopf_devtable_error err;
		char *copy;
		struct iopf_limtable *t = parse(matching[i].text, &copy, &err, 0);
		const struct iopf_limit_rule *r = iopf_limtable_match(t, &vm);

		if ((r ? r->match.line : 0) != matching[i].line)
			fail_msg("\"%s\"", matching[i].text);
		free(t);
		free(copy);
	}
}

static void combine(void **state)
{
	struct iopf_settings s = { }, more = { };

	(void)state;
	iopf_settings_restrict(&s, &more);
	iopf_settings_default(&s, &more);
	assert_int_equal(s.set, 0);

	more.set = BIT(IOPF_SETTING_RESIDENT_MAX) | BIT(IOPF_SETTING_POLICY);
	more.value[IOPF_SETTING_RESIDENT_MAX] = IOPF_SETTING_MAX;
	more.value[IOPF_SETTING_POLICY] = IOPF_POLICY_PREFAULT;
	iopf_settings_restrict(&s, &more);
	assert_int_equal(s.set, more.set);
	assert_true(s.value[IOPF_SETTING_RESIDENT_MAX] == IOPF_SETTING_MAX);
	assert_int_equal(s.value[IOPF_SETTING_POLICY], IOPF_POLICY_PREFAULT);

	/* The smaller number, the stronger policy, and new settings. */
	more.value[IOPF_SETTING_RESIDENT_MAX] = 7;
	more.value[IOPF_SETTING_POLICY] = IOPF_POLICY_PIN;
	more.value[IOPF_SETTING_AGING_INTERVAL] = 3;
	more.set |= BIT(IOPF_SETTING_AGING_INTERVAL);
	iopf_settings_restrict(&s, &more);
	assert_int_equal(s.set, more.set);
	assert_int_equal(s.value[IOPF_SETTING_RESIDENT_MAX], 7);
	assert_int_equal(s.value[IOPF_SETTING_POLICY], IOPF_POLICY_PIN);
	assert_int_equal(s.value[IOPF_SETTING_AGING_INTERVAL], 3);
	more.value[IOPF_SETTING_RESIDENT_MAX] = 8;
	more.value[IOPF_SETTING_POLICY] = IOPF_POLICY_FAULT;
	more.value[IOPF_SETTING_AGING_INTERVAL] = 2;
	iopf_settings_restrict(&s, &more);
	assert_int_equal(s.value[IOPF_SETTING_RESIDENT_MAX], 7);
	assert_int_equal(s.value[IOPF_SETTING_POLICY], IOPF_POLICY_PIN);
	assert_int_equal(s.value[IOPF_SETTING_AGING_INTERVAL], 2);

	/* Values that are not set have no effect. */
	more.set = 0;
	iopf_settings_restrict(&s, &more);
	more.value[IOPF_SETTING_AGING_INTERVAL] = 1;
	iopf_settings_restrict(&s, &more);
	assert_int_equal(s.value[IOPF_SETTING_AGING_INTERVAL], 2);

	/* A default does not change a value that is set. */
	more.value[IOPF_SETTING_RESIDENT_MAX] = 1;
	more.value[IOPF_SETTING_HOT_PINNED_MAX] = 9;
	more.set = BIT(IOPF_SETTING_RESIDENT_MAX) | BIT(IOPF_SETTING_HOT_PINNED_MAX);
	iopf_settings_default(&s, &more);
	assert_int_equal(s.value[IOPF_SETTING_RESIDENT_MAX], 7);
	assert_int_equal(s.value[IOPF_SETTING_HOT_PINNED_MAX], 9);
	assert_true(s.set & BIT(IOPF_SETTING_HOT_PINNED_MAX) &&
		    s.set & BIT(IOPF_SETTING_AGING_INTERVAL));
}

static void limits(void **state)
{
	static const char rule[] = "user 1 aging_interval=1\n";
	size_t len = 0, size = IOPF_DEVTABLE_MAX_TEXT + 1;
	struct iopf_devtable_error err = { };
	char *text = malloc(size);
	struct iopf_limtable *t;

	(void)state;
	assert_non_null(text);
	memset(text, '\n', size);
	t = limtable_alloc(text, size);
	assert_int_equal(iopf_limtable_parse(t, text, size - 1, &err), 0);
	assert_int_equal(iopf_limtable_parse(t, text, size, &err), -EINVAL);
	for (unsigned int i = 0; i <= IOPF_DEVTABLE_MAX_RULES; i++) {
		memcpy(text + len, rule, sizeof(rule) - 1);
		len += sizeof(rule) - 1;
	}
	assert_int_equal(iopf_limtable_parse(t, text, len - sizeof(rule) + 1, &err), 0);
	assert_int_equal(t->nr, IOPF_DEVTABLE_MAX_RULES);
	assert_int_equal(iopf_limtable_parse(t, text, len, &err), -EINVAL);
	assert_int_equal(err.line, IOPF_DEVTABLE_MAX_RULES + 1);
	assert_string_equal(err.why, "more than 1024 rules");
	/* A table without room for all rules: an error, and nothing is written beyond its end. */
	t->max = 1;
	assert_int_equal(iopf_limtable_parse(t, text, 2 * (sizeof(rule) - 1), &err), -EINVAL);
	assert_int_equal(err.line, 2);
	free(t);
	/* Room for more rules makes no difference. */
	t = malloc(sizeof(*t) + (IOPF_DEVTABLE_MAX_RULES + 1) * sizeof(t->rule[0]));
	assert_non_null(t);
	t->max = IOPF_DEVTABLE_MAX_RULES + 1;
	assert_int_equal(iopf_limtable_parse(t, text, len, &err), -EINVAL);
	free(t);
	free(text);
}

static void compare_all(const char *text, size_t len)
{
	limtable_compare(text, len, all, ARRAY_SIZE(all));
}

/* Every sequence of up to five words from a small set. */
static void every_short_rule(void **state)
{
	static const char *const words[] = {
		"pci",
		"a:*",
		"user",
		"1",
		"cgroup",
		"/a",
		"/a*",
		"address",
		"b",
		"aging_interval=1",
		"resident_max=1M",
		"policy=pin",
		"#",
	};

	(void)state;
	sweep_words(words, ARRAY_SIZE(words), 5, compare_all);
}

/* Every user, path and value of up to four characters from a small set. */
static void every_short_word(void **state)
{
	static const struct sweep_frame frame[] = {
		{ "user ", " aging_interval=1" }, { "cgroup ", " aging_interval=1" },
		{ "user 1 pinned_max=", "" }, { "user 1 fault_workers_max=", "" },
	};

	(void)state;
	for (size_t f = 0; f < ARRAY_SIZE(frame); f++)
		sweep_characters("a01/*-kT =\n", 4, &frame[f], compare_all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_rule_sets),
		cmocka_unit_test(print),
		cmocka_unit_test(bad_tables),
		cmocka_unit_test(match_table),
		cmocka_unit_test(combine),
		cmocka_unit_test(limits),
		cmocka_unit_test(every_short_rule),
		cmocka_unit_test(every_short_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
