// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device table: the contents of rules, the errors in bad rules and their positions, the devices
 * that rules match, and the order of the tables; every short sequence of words, and of characters,
 * from a small set against the model; the rules that the module contains.
 */
#include "unit.h"

#include "rng.h"
#include "model_devtable.h"
#include "sweep.h"
#include "table.h"

#define NAME_63	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
#define W	" window=0x0-0x1"
#define WINDOWS	" window=0x1000-0x1fff policy=prefault window=0xfffffffffffff000-0xffffffffffffffff"

static const struct iopf_id nic = {
	.name = "0000:01:00.0", .vendor = 0x8086, .device = 0x10c9, .subvendor = 0x15d9,
	.subdevice = 0x0001, .class = 0x020000, .pci = true,
};

static const struct iopf_id nvme = {
	.name = "0000:0a:00.1", .vendor = 0x144d, .device = 0xa808, .subvendor = 0x144d,
	.subdevice = 0xa801, .class = 0x010802, .pci = true,
};

static const struct iopf_id zero = { .name = "0000:00:00.0", .pci = true };
static const struct iopf_id plat = {
	.name = "fsl-mc.1", .vendor = 0x8086, .device = 0x10c9, .class = 0x020000,
};

static const struct iopf_id nameless = { .name = "" };
/* A device whose name is a kind of match. */
static const struct iopf_id like = { .name = "pci" };

static const struct iopf_id all_ids[] = {
	{ .name = "a", .vendor = 0xa, .device = 0, .class = 0xaaaaaa, .pci = true },
	{ .name = "pci", .vendor = 0, .device = 0xa, .subvendor = 0xa, .pci = true },
	{ .name = "class" },
};

/* Parses a text in memory that ends with the text. The caller frees @copy after the table. */
static struct iopf_devtable *parse(const char *text, char **copy, struct iopf_devtable_error *err,
				   int want)
{
	size_t len = strlen(text);
	struct iopf_devtable *t;

	*copy = table_copy(text);
	t = devtable_alloc(*copy, len);
	table_result_is(iopf_devtable_parse(t, *copy, len, err), want, text, err);
	return t;
}

static struct iopf_devtable *parse_good(const char *text, char **copy)
{
	struct iopf_devtable_error err;
	struct iopf_devtable *t = parse(text, copy, &err, 0);

	devtable_compare(*copy, strlen(text), &nic, 1);
	return t;
}

static const struct {
	const char *text;
	unsigned int nr;
} good[] = {
	{ "", 0 }, { "\n", 0 }, { "\n\n", 0 }, { "\n \t ", 0 }, { "#", 0 }, { "# pci", 0 },
	{ "#\n#\n", 0 }, { "pci 8086:10c9 arbitrary", 1 }, { "pci 8086:10c9 arbitrary\n", 1 },
	{ "\tpci\t8086:*  none ", 1 }, { "pci *:* none", 1 }, { "pci 0:0 selective", 1 },
	{ "pci FFFF:ffff none # all ones", 1 }, { "subsystem 15d9:1 arbitrary", 1 },
	{ "class 02 none", 1 }, { "class 0200 none", 1 }, { "class 020000 none", 1 },
	{ "class 01 subsystem 1:2 address a pci 3:4 none", 1 }, { "address * none", 1 },
	{ "address 0000:01:00.* none", 1 }, { "address " NAME_63 " none", 1 },
	{ "address " NAME_63 "* none", 1 }, { "address pci none", 1 }, { "address none none", 1 },
	{ "pci 1:1 arbitrary policy=fault", 1 }, { "pci 1:1 arbitrary policy=prefault", 1 },
	{ "pci 1:1 selective policy=pin", 1 }, { "pci 1:1 selective window=0x0-0x0", 1 },
	{ "pci 1:1 selective window=0x0-0xffffffffffffffff", 1 },
	{ "pci 1:1 selective" W W " policy=fault" W W W W W W, 1 },
	{ "pci 1:1 selective window=0x1000-0x1fff window=0x1800-0x27ff", 1 },
	{ "pci 1:1 none\npci 1:1 none\npci 1:1 none", 3 },
	{ "\n# a\n\npci 1:1 none # b\n\n address a none", 2 },
	{ "pci 1:1 none #", 1 }, { "pci 1:1 none # \xc3\xa4\xff # \t#", 1 },
};

static void good_tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct iopf_devtable *t;
		char *copy;

		t = parse_good(good[i].text, &copy);
		if (t->nr != good[i].nr)
			fail_msg("\"%s\": %u rules", good[i].text, t->nr);
		free(t);
		free(copy);
	}
}

static const struct table_bad bad[] = {
	{ "x", 1, 1, "x", "expected pci, subsystem, class or address" },
	{ "  none", 1, 3, "none", "expected pci, subsystem, class or address" },
	{ "policy=pin", 1, 1, "policy=pin", "expected pci, subsystem, class or address" },
	{ "PCI 1:1 none", 1, 1, "PCI", "expected pci" },
	{ "pcix 1:1 none", 1, 1, "pcix", "expected pci" },
	{ "\n\npci", 3, 4, "", "expected VENDOR:DEVICE in hexadecimal, VENDOR:* or *:*" },
	{ "pci none", 1, 5, "none", "expected VENDOR:DEVICE" },
	{ "pci 8086 none", 1, 5, "8086", "expected VENDOR:DEVICE" },
	{ "pci 8086: none", 1, 5, "8086:", "expected VENDOR:DEVICE" },
	{ "pci :1 none", 1, 5, ":1", "expected VENDOR:DEVICE" },
	{ "pci *:1 none", 1, 5, "*:1", "expected VENDOR:DEVICE" },
	{ "pci 80860:1 none", 1, 5, "80860:1", "expected VENDOR:DEVICE" },
	{ "pci 1:00001 none", 1, 5, "1:00001", "expected VENDOR:DEVICE" },
	{ "pci 1:1* none", 1, 5, "1:1*", "expected VENDOR:DEVICE" },
	{ "pci 1:2:3 none", 1, 5, "1:2:3", "expected VENDOR:DEVICE" },
	{ "pci 0x1:1 none", 1, 5, "0x1:1", "expected VENDOR:DEVICE" },
	{ "pci -1:1 none", 1, 5, "-1:1", "expected VENDOR:DEVICE" },
	{ "subsystem *:1 none", 1, 11, "*:1", "expected VENDOR:DEVICE" },
	{ "class none", 1, 7, "none", "expected a class of 2, 4 or 6 hexadecimal digits" },
	{ "class", 1, 6, "", "expected a class" },
	{ "class 1 none", 1, 7, "1", "expected a class" },
	{ "class 123 none", 1, 7, "123", "expected a class" },
	{ "class 12345678 none", 1, 7, "12345678", "expected a class" },
	{ "class * none", 1, 7, "*", "expected a class" },
	{ "address", 1, 8, "", "expected a device's name" },
	{ "address  # a", 1, 10, "", "expected a device's name" },
	{ "address a/b none", 1, 9, "a/b", "expected a device's name" },
	{ "address a*b none", 1, 9, "a*b", "expected a device's name" },
	{ "address ** none", 1, 9, "**", "expected a device's name" },
	{ "address " NAME_63 "f none", 1, 9, NAME_63 "f", "expected a device's name" },
	{ "address " NAME_63 "f* none", 1, 9, NAME_63 "f*", "expected a device's name" },
	{ "pci 1:1", 1, 8, "", "expected pci, subsystem, class, address, or the mode" },
	{ "pci 1:1 # none", 1, 9, "", "expected pci, subsystem, class, address, or the mode" },
	{ "pci 1:1 any", 1, 9, "any", "expected pci, subsystem, class, address, or the mode" },
	{ "pci 1:1 pci 2:2 none", 1, 9, "pci", "is there twice" },
	{ "class 01 pci 1:1 class 01 none", 1, 18, "class", "is there twice" },
	{ "address a address b none", 1, 11, "address", "is there twice" },
	{ "subsystem 1:1 subsystem 1:1 none", 1, 15, "subsystem", "is there twice" },
	{ "pci 1:1 none none", 1, 14, "none", "expected policy=POLICY or window=" },
	{ "pci 1:1 none#", 1, 9, "none#", "expected pci, subsystem, class, address" },
	{ "pci 1:1 none class 01", 1, 14, "class", "expected policy=POLICY or window=" },
	{ "pci 1:1 arbitrary policy", 1, 19, "policy", "expected policy=POLICY or window=" },
	{ "pci 1:1 arbitrary policy=", 1, 19, "policy=", "expected policy=fault, policy=p" },
	{ "pci 1:1 arbitrary policy=default", 1, 19, "policy=default", "expected policy=fault" },
	{ "pci 1:1 arbitrary policy=pinx", 1, 19, "policy=pinx", "expected policy=fault" },
	{ "pci 1:1 arbitrary policy=pin policy=pin", 1, 30, "policy=pin", "a second policy" },
	{ "pci 1:1 none policy=pin", 1, 14, "policy=pin", "a device that may not fault" },
	{ "pci 1:1 none" W, 1, 14, "window=0x0-0x1", "only a selective device has windows" },
	{ "pci 1:1 arbitrary" W, 1, 19, "window=0x0-0x1", "only a selective device has" },
	{ "address a selective window=", 1, 21, "window=", "expected window=0xFIRST-0xLAST" },
	{ "address a selective window=0x1", 1, 21, "window=0x1", "expected window=0xFIRST" },
	{ "address a selective window=0x1-", 1, 21, "window=0x1-", "expected window=0xFIRST" },
	{ "address a selective window=1-2", 1, 21, "window=1-2", "expected window=0xFIRST" },
	{ "address a selective window=0X1-0x2", 1, 21, "window=0X1-0x2", "expected window=0x" },
	{ "address a selective window=0x-0x2", 1, 21, "window=0x-0x2", "expected window=0xF" },
	{ "address a selective window=0x1-0x2-0x3", 1, 21, "window=0x1-0x2-0x3", "expected w" },
	{ "address a selective window=0x0-0x10000000000000000", 1, 21,
	  "window=0x0-0x10000000000000000", "expected window=0xFIRST-0xLAST" },
	{ "address a selective window=0x2-0x1", 1, 21, "window=0x2-0x1", "the window ends befo" },
	{ "address a selective" W W W W W W W W W, 1, 141, "window=0x0-0x1", "more than 8" },
	{ "pci 1:1 none\r\n", 1, 13, "", "neither printable ASCII nor a blank" },
	{ "pci 1:1 none\npci\v1:1 none", 2, 4, "", "neither printable ASCII nor a blank" },
	{ "pci 1:1 n\xc3\xb6ne", 1, 10, "", "neither printable ASCII nor a blank" },
	{ "pci 1:1 none\x7f", 1, 13, "", "neither printable ASCII nor a blank" },
	{ "# \xc3\xa4\n# a\033[31m", 2, 4, "", "a control character" },
	{ "#\x7f", 1, 2, "", "a control character" },
	{ "pci 1:1 none # \x01", 1, 16, "", "a control character" },
	{ "pci 1:1 none # fine\npci 2:2 none # fine\n x # fine\n y", 3, 2, "x", "expected pci" },
};

static void bad_tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct iopf_devtable_error err = { };
		char *copy;
		struct iopf_devtable *t = parse(bad[i].text, &copy, &err, -EINVAL);

		table_error_is(&err, &bad[i]);
		devtable_compare(copy, strlen(bad[i].text), NULL, 0);
		free(t);
		free(copy);
	}
}

static void what_a_rule_says(void **state)
{
	static const char text[] =
		"# A comment is nobody's source.\n"
		"  pci 8086:* subsystem 15D9:1 class 0200 address 0000:01:* selective" WINDOWS
		" \t#\t a data sheet, page 3 \t\n"
		"address 0000:01:00.0 none\n";
	const struct iopf_rule *r;
	struct iopf_devtable *t;
	char *copy;

	(void)state;
	t = parse_good(text, &copy);
	assert_int_equal(t->nr, 2);
	r = &t->rule[0];
	assert_int_equal(r->line, 2);
	assert_true(r->text == copy + strlen("# A comment is nobody's source.\n  "));
	assert_true(!memcmp(r->text + r->len - 6, "ffffff", 6));
	assert_true(iopf_word_is(r->source, r->source_len, "a data sheet, page 3"));
	assert_int_equal(r->vendor, 0x8086);
	assert_int_equal(r->vendor_mask, 0xffff);
	assert_int_equal(r->device_mask, 0);
	assert_int_equal(r->subvendor, 0x15d9);
	assert_int_equal(r->subdevice, 1);
	assert_int_equal(r->subdevice_mask, 0xffff);
	assert_int_equal(r->class, 0x020000);
	assert_int_equal(r->class_mask, 0xffff00);
	assert_true(iopf_word_is(r->address, r->address_len, "0000:01:"));
	assert_true(r->address_prefix && r->by_address && r->by_pci);
	assert_int_equal(r->mode, IOPF_MODE_SELECTIVE);
	assert_int_equal(r->policy, IOPF_POLICY_PREFAULT);
	assert_int_equal(r->nr_windows, 2);
	assert_true(r->window[0].first == 0x1000 && r->window[0].last == 0x1fff);
	assert_true(r->window[1].first == ~0xfffULL && r->window[1].last == ~0ULL);
	r = &t->rule[1];
	assert_int_equal(r->line, 3);
	assert_true(iopf_word_is(r->text, r->len, "address 0000:01:00.0 none"));
	assert_int_equal(r->source_len, 0);
	assert_true(r->by_address && !r->by_pci && !r->address_prefix);
	assert_int_equal(r->mode, IOPF_MODE_NONE);
	assert_int_equal(r->policy, IOPF_POLICY_DEFAULT);
	assert_int_equal(r->nr_windows, 0);
	free(t);
	free(copy);
}

static const struct {
	const char *text;
	const struct iopf_id *id;
	unsigned int line;	/* line of the rule; 0: no rule matches */
} matching[] = {
	{ "", &nic, 0 }, { "# pci 8086:10c9 none", &nic, 0 },
	{ "pci 8086:10c9 none", &nic, 1 }, { "pci 8086:10C9 none", &nic, 1 },
	{ "pci 8086:10c8 none", &nic, 0 }, { "pci 8087:10c9 none", &nic, 0 },
	{ "pci 10c9:8086 none", &nic, 0 }, { "pci 8086:* none", &nic, 1 },
	{ "pci 8086:* none", &nvme, 0 }, { "pci *:* none", &nvme, 1 },
	{ "pci 0:0 none", &zero, 1 }, { "pci 0:1 none", &zero, 0 }, { "pci 1:0 none", &zero, 0 },
	{ "subsystem 15d9:1 none", &nic, 1 }, { "subsystem 15d9:2 none", &nic, 0 },
	{ "subsystem 15d8:1 none", &nic, 0 }, { "subsystem 15d9:* none", &nic, 1 },
	{ "subsystem 8086:10c9 none", &nic, 0 }, { "subsystem *:* none", &nic, 1 },
	{ "class 02 none", &nic, 1 }, { "class 0200 none", &nic, 1 },
	{ "class 020000 none", &nic, 1 }, { "class 0201 none", &nic, 0 },
	{ "class 020001 none", &nic, 0 }, { "class 00 none", &nic, 0 },
	{ "class 01 none", &nvme, 1 }, { "class 0108 none", &nvme, 1 },
	{ "class 010802 none", &nvme, 1 }, { "class 010801 none", &nvme, 0 },
	{ "class 0802 none", &nvme, 0 }, { "class 00 none", &zero, 1 },
	/* The ids of a device that is not on PCI are invalid. */
	{ "pci 8086:10c9 none", &plat, 0 }, { "pci *:* none", &plat, 0 },
	{ "subsystem *:* none", &plat, 0 }, { "class 02 none", &plat, 0 },
	{ "pci *:* address fsl-mc.1 none", &plat, 0 },
	{ "address fsl-mc.1 none", &plat, 1 }, { "address fsl-mc.10 none", &plat, 0 },
	{ "address fsl-mc. none", &plat, 0 }, { "address fsl-mc.* none", &plat, 1 },
	{ "address fsl-mc.1* none", &plat, 1 }, { "address fsl-mc.2* none", &plat, 0 },
	{ "address fsl-mc.11* none", &plat, 0 }, { "address * none", &plat, 1 },
	{ "address * none", &nameless, 1 }, { "address a* none", &nameless, 0 },
	{ "address pci none", &like, 1 }, { "address FSL-MC.1 none", &plat, 0 },
	/* All matches have to agree. */
	{ "pci 8086:10c9 class 02 subsystem 15d9:1 address 0000:01:00.0 none", &nic, 1 },
	{ "pci 8086:10ca class 02 subsystem 15d9:1 address 0000:01:00.0 none", &nic, 0 },
	{ "pci 8086:10c9 class 03 subsystem 15d9:1 address 0000:01:00.0 none", &nic, 0 },
	{ "pci 8086:10c9 class 02 subsystem 15d9:2 address 0000:01:00.0 none", &nic, 0 },
	{ "pci 8086:10c9 class 02 subsystem 15d9:1 address 0000:01:00.1 none", &nic, 0 },
	/* The first rule that matches applies. */
	{ "pci 1:1 none\npci 8086:* none\npci 8086:10c9 arbitrary", &nic, 2 },
	{ "address * none\npci 8086:* none", &nic, 1 }, { "\n\naddress * none", &nvme, 3 },
};

static void match_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(matching); i++) {
		char *copy;
		struct iopf_devtable *t = parse_good(matching[i].text, &copy);
		const struct iopf_rule *r = iopf_devtable_match(t, matching[i].id);

		if ((r ? r->line : 0) != matching[i].line)
			fail_msg("\"%s\" and %s", matching[i].text, matching[i].id->name);
		devtable_compare(copy, strlen(matching[i].text), matching[i].id, 1);
		free(t);
		free(copy);
	}
}

static const struct {
	const char *ids;
	const char *admin;
	const char *builtin;
	enum iopf_origin origin;
	enum iopf_mode mode;
} verdicts[] = {
	{ "", "", "", IOPF_ORIGIN_DEFAULT, IOPF_MODE_NONE },
	{ "8087:*", "pci 1:1 arbitrary", "pci 1:1 arbitrary", IOPF_ORIGIN_DEFAULT, IOPF_MODE_NONE },
	{ "", "", "pci 8086:* selective", IOPF_ORIGIN_BUILTIN, IOPF_MODE_SELECTIVE },
	{ "", "", "pci 8086:* arbitrary", IOPF_ORIGIN_BUILTIN, IOPF_MODE_ARBITRARY },
	{ "", "", "pci 8086:* none", IOPF_ORIGIN_BUILTIN, IOPF_MODE_NONE },
	{ "", "pci 8086:* none", "pci 8086:* arbitrary", IOPF_ORIGIN_ADMIN, IOPF_MODE_NONE },
	{ "", "pci 8086:* arbitrary", "pci 8086:* none", IOPF_ORIGIN_ADMIN, IOPF_MODE_ARBITRARY },
	{ "", "class 02 selective", "", IOPF_ORIGIN_ADMIN, IOPF_MODE_SELECTIVE },
	{ "8086:10c9", "pci 8086:* none", "pci 8086:* none", IOPF_ORIGIN_IDS, IOPF_MODE_ARBITRARY },
	{ "all\n", "", "", IOPF_ORIGIN_IDS, IOPF_MODE_ARBITRARY },
};

static void who_wins(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		char *admin_text, *builtin_text;
		struct iopf_devtable *admin = parse_good(verdicts[i].admin, &admin_text);
		struct iopf_devtable *builtin = parse_good(verdicts[i].builtin, &builtin_text);
		struct iopf_verdict v = iopf_devtable_judge(verdicts[i].ids, admin, builtin, &nic);

		assert_int_equal(v.origin, verdicts[i].origin);
		assert_int_equal(v.mode, verdicts[i].mode);
		assert_true(v.rule == (v.origin == IOPF_ORIGIN_ADMIN ? admin->rule :
				       v.origin == IOPF_ORIGIN_BUILTIN ? builtin->rule : NULL));
		free(admin);
		free(builtin);
		free(admin_text);
		free(builtin_text);
	}
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(iopf_origin_name(IOPF_ORIGIN_IDS), "ids");
	assert_string_equal(iopf_origin_name(IOPF_ORIGIN_ADMIN), "admin");
	assert_string_equal(iopf_origin_name(IOPF_ORIGIN_BUILTIN), "builtin");
	assert_string_equal(iopf_origin_name(IOPF_ORIGIN_DEFAULT), "default");
}

/* Parses @len bytes of text and returns the error's line, column and word's length, or 0. */
static int parse_limits(const char *text, size_t len, struct iopf_devtable_error *err)
{
	struct iopf_devtable *t = devtable_alloc(text, len);
	int ret = iopf_devtable_parse(t, text, len, err);

	free(t);
	return ret;
}

static void limits(void **state)
{
	static const char rule[] = "pci 1:1 none\n";
	struct iopf_devtable_error err = { };
	size_t len = IOPF_DEVTABLE_MAX_TEXT + 1;
	struct iopf_devtable *t;
	char *text = malloc(len);

	(void)state;
	/* The bytes of a text, including newlines. */
	assert_non_null(text);
	memset(text, '\n', len);
	assert_int_equal(parse_limits(text, len - 1, &err), 0);
	assert_int_equal(parse_limits(text, len, &err), -EINVAL);
	assert_int_equal(err.line, IOPF_DEVTABLE_MAX_TEXT + 1);
	assert_int_equal(err.column, 1);
	assert_true(err.word == text + len - 1 && !err.len);
	assert_string_equal(err.why, "the table is longer than 65536 bytes");
	/* The bytes of a line: with a newline, without a newline, with a comment. */
	for (int kind = 0; kind < 3; kind++) {
		memset(text, ' ', 514);
		text[0] = kind == 2 ? '#' : ' ';
		text[512] = kind == 1 ? ' ' : '\n';
		assert_int_equal(parse_limits(text, 512, &err), 0);
		text[512] = ' ';
		text[513] = kind == 1 ? ' ' : '\n';
		assert_int_equal(parse_limits(text, 514, &err), -EINVAL);
		assert_int_equal(err.line, 1);
		assert_int_equal(err.column, 513);
		assert_int_equal(err.len, 0);
		assert_string_equal(err.why, "the line is longer than 512 bytes");
		devtable_compare(text, 514, NULL, 0);
	}
	/* The number of rules. Comments and empty lines do not count. */
	len = 0;
	for (unsigned int i = 0; i <= IOPF_DEVTABLE_MAX_RULES; i++) {
		text[len++] = '\n';
		memcpy(text + len, rule, sizeof(rule) - 1);
		len += sizeof(rule) - 1;
	}
	assert_true(len < IOPF_DEVTABLE_MAX_TEXT);
	assert_int_equal(parse_limits(text, len - sizeof(rule) + 1, &err), 0);
	assert_int_equal(parse_limits(text, len, &err), -EINVAL);
	assert_int_equal(err.line, 2 * IOPF_DEVTABLE_MAX_RULES + 2);
	assert_int_equal(err.column, 1);
	assert_int_equal(err.len, 3);
	assert_string_equal(err.why, "more than 1024 rules");
	/* Room for more rules makes no difference. */
	t = malloc(sizeof(*t) + (IOPF_DEVTABLE_MAX_RULES + 1) * sizeof(t->rule[0]));
	assert_non_null(t);
	t->max = IOPF_DEVTABLE_MAX_RULES + 1;
	assert_int_equal(iopf_devtable_parse(t, text, len, &err), -EINVAL);
	free(t);
	free(text);
}

static void room(void **state)
{
	char *many = malloc(5000);

	(void)state;
	assert_int_equal(iopf_devtable_room("", 0), 0);
	assert_int_equal(iopf_devtable_room("x", 1), 1);
	assert_int_equal(iopf_devtable_room("x\n", 2), 1);
	assert_int_equal(iopf_devtable_room("\nx", 2), 2);
	assert_int_equal(iopf_devtable_room("x\0\n\n", 4), 2);
	assert_non_null(many);
	memset(many, '\n', 5000);
	assert_int_equal(iopf_devtable_room(many, 1023), 1023);
	assert_int_equal(iopf_devtable_room(many, 1024), 1024);
	assert_int_equal(iopf_devtable_room(many, 5000), 1024);
	free(many);
}

/* A table without room for all rules: an error, and nothing is written beyond its end. */
static void little_room(void **state)
{
	static const char text[] = "pci 1:1 none\n# a\npci 2:2 none\n";
	struct iopf_devtable_error err;
	struct iopf_devtable *t = malloc(sizeof(*t) + 2 * sizeof(t->rule[0]));

	(void)state;
	assert_non_null(t);
	t->max = 2;
	assert_int_equal(iopf_devtable_parse(t, text, sizeof(text) - 1, &err), 0);
	t->max = 1;
	assert_int_equal(iopf_devtable_parse(t, text, sizeof(text) - 1, &err), -EINVAL);
	assert_int_equal(err.line, 3);
	free(t);
}

/* Every value of a byte: in a name, before a rule, in a comment. */
static void every_byte(void **state)
{
	(void)state;
	for (unsigned int c = 0; c <= 0xff; c++) {
		char name[] = "address a_b none", front[] = "?address a none";
		char comment[] = "address a none # _ ";
		/* The length excludes the NUL. A parser that reads it reports a wrong column. */
		*strchr(name, '_') = (char)c;
		*strchr(comment, '_') = (char)c;
		front[0] = (char)c;
		devtable_compare(name, sizeof(name) - 1, all_ids, ARRAY_SIZE(all_ids));
		devtable_compare(front, sizeof(front) - 1, all_ids, ARRAY_SIZE(all_ids));
		devtable_compare(comment, sizeof(comment) - 1, all_ids, ARRAY_SIZE(all_ids));
	}
}

static void compare_all(const char *text, size_t len)
{
	devtable_compare(text, len, all_ids, ARRAY_SIZE(all_ids));
}

/* Every sequence of up to five words from a small set. */
static void every_short_rule(void **state)
{
	static const char *const words[] = {
		"pci", "class", "address", "a:*", "aa", "*", "none", "selective", "arbitrary",
		"policy=pin", "window=0x0-0xa", "#",
	};

	(void)state;
	sweep_words(words, ARRAY_SIZE(words), 5, compare_all);
}

/* Every model, class, name, and setting of up to four characters from a small set. */
static void every_short_word(void **state)
{
	static const struct sweep_frame frame[] = {
		{ "pci ", " none" }, { "class ", " none" }, { "address ", " none" },
		{ "pci a:0 selective window=0x", "x0" }, { "", "address a none" },
		{ "address a none", "" },
	};

	(void)state;
	for (size_t f = 0; f < ARRAY_SIZE(frame); f++)
		sweep_characters("a0:*-x #\n", 4, &frame[f], compare_all);
}

static unsigned int pick(u64 *rng, unsigned int n)
{
	return (unsigned int)rng_below(rng, n);
}

/* Tables of random rules against random devices. Both have few values, so rules match often. */
static void random_tables(void **state)
{
	static const char *const devices[] = { "1", "2", "*" };
	static const char *const modes[] = { "none", "selective", "arbitrary" };
	u64 rng = 5;

	(void)state;
	for (unsigned int round = 0; round < 3000; round++) {
		unsigned int rules = pick(&rng, 8);
		struct iopf_id ids[8];
		char text[1024], name[8][4];
		size_t len = 0;

		for (unsigned int i = 0; i < rules; i++) {
			unsigned int kinds = 1 + pick(&rng, 15);

			if (kinds & 1)
				len += (size_t)sprintf(text + len, "pci %u:%s ",
						       1 + pick(&rng, 2),
						       devices[pick(&rng, 3)]);
			if (kinds & 2)
				len += (size_t)sprintf(text + len, "subsystem 1:%s ",
						       devices[pick(&rng, 3)]);
			if (kinds & 4)
				len += (size_t)sprintf(text + len, "class %02x%02x ",
						       pick(&rng, 2), pick(&rng, 2));
			if (kinds & 8)
				len += (size_t)sprintf(text + len, "address %u%s ",
						       pick(&rng, 3),
						       devices[pick(&rng, 3)]);
			len += (size_t)sprintf(text + len, "%s\n", modes[pick(&rng, 3)]);
		}
		for (unsigned int i = 0; i < ARRAY_SIZE(ids); i++) {
			sprintf(name[i], "%u%u", pick(&rng, 3), pick(&rng, 3));
			ids[i] = (struct iopf_id){
				.name = name[i],
				.vendor = 1 + pick(&rng, 2),
				.device = 1 + pick(&rng, 3),
				.subvendor = pick(&rng, 2),
				.subdevice = 1 + pick(&rng, 3),
				.class = pick(&rng, 2) << 16 | pick(&rng, 2) << 8,
				.pci = pick(&rng, 5),
			};
		}
		devtable_compare(text, len, ids, ARRAY_SIZE(ids));
	}
}

/* The rules of the module: they parse, each has a source, and no rule hides another. */
static void builtin(void **state)
{
	struct iopf_devtable *t;
	struct iopf_id id = { .name = "0000:00:00.0", .pci = true };
	char *copy;

	(void)state;
	assert_int_equal(strlen(iopf_devtable_builtin), iopf_devtable_builtin_len);
	t = parse_good(iopf_devtable_builtin, &copy);
	assert_true(t->nr);
	for (unsigned int i = 0; i < t->nr; i++) {
		const struct iopf_rule *r = &t->rule[i];

		assert_true(r->source_len);
		id.vendor = r->vendor;
		id.device = r->device;
		assert_true(r->vendor_mask && r->device_mask && !r->by_address && !r->class_mask);
		assert_true(iopf_devtable_match(t, &id) == r);
		/* No rule has a policy or windows: these are up to the administrator. */
		assert_int_equal(r->policy, IOPF_POLICY_DEFAULT);
		assert_int_equal(r->nr_windows, 0);
	}
	assert_null(iopf_devtable_match(t, &nic));
	free(t);
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_tables),
		cmocka_unit_test(bad_tables),
		cmocka_unit_test(what_a_rule_says),
		cmocka_unit_test(match_table),
		cmocka_unit_test(who_wins),
		cmocka_unit_test(names),
		cmocka_unit_test(limits),
		cmocka_unit_test(room),
		cmocka_unit_test(little_room),
		cmocka_unit_test(every_byte),
		cmocka_unit_test(every_short_rule),
		cmocka_unit_test(every_short_word),
		cmocka_unit_test(random_tables),
		cmocka_unit_test(builtin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
