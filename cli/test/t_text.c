// SPDX-License-Identifier: GPL-2.0-only
/*
 * Text from others, such as names of programs: tables show it in the locale's charset and without
 * effect on the terminal; JSON is valid for any input. tree.c checks for every run that all output
 * is visible.
 */
#include <stdlib.h>
#include <string.h>

#include "../print/exit.h"
#include "tree.h"

#define COMM	"kernel/vfio_iopf/containers/2/comm"

static void named(struct tree *t, const char *comm)
{
	tree_module(t);
	tree_container(t, 2, comm);
}

static const struct {
	const char *comm;	/* the name */
	const char *text;	/* in a table, with UTF-8 */
	const char *json;	/* the string in JSON, decoded */
} cases[] = {
	{ "qemu", "qemu", "qemu" },
	{ "a b\\c", "a b\\c", "a b\\c" },
	{ "\033[2J\033]0;x\a", "\\x1b[2J\\x1b]0;x\\x07", "\033[2J\033]0;x\a" },
	{ "a\nb\r\tc", "a\\x0ab\\x0d\\x09c", "a\nb\r\tc" },
	{ "\177", "\\x7f", "\177" },
	/* CSI as a byte, and as a character. */
	{ "\23331m", "\\x9b31m", "\357\277\27531m" },
	{ "\302\23331m", "\\xc2\\x9b31m", "\302\23331m" },
	/* An override that shows "exe.jpg" as "gpj.exe", a mark, a byte order mark, a tag. */
	{ "\342\200\256exe", "\\xe2\\x80\\xaeexe", "\342\200\256exe" },
	{ "a\xe2\x81\xa6", "a\\xe2\\x81\\xa6", "a\xe2\x81\xa6" },
	{ "a\xe2\x80\x8b", "a\\xe2\\x80\\x8b", "a\xe2\x80\x8b" },
	{ "\357\273\277a", "\\xef\\xbb\\xbfa", "\357\273\277a" },
	{ "\xf3\xa0\x81\x81", "\\xf3\\xa0\\x81\\x81", "\xf3\xa0\x81\x81" },
	/* Visible characters. */
	{ "M\xc3\xbcller", "M\xc3\xbcller", "M\xc3\xbcller" },
	{ "\xe6\x97\xa5\xe6\x9c\xac", "\xe6\x97\xa5\xe6\x9c\xac", "\xe6\x97\xa5\xe6\x9c\xac" },
	{ "u\xcc\x88", "u\xcc\x88", "u\xcc\x88" },
	{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
	/* Invalid UTF-8: Latin-1, truncated, overlong, a surrogate, beyond the last character. */
	{ "M\xfcller", "M\\xfcller", "M\xef\xbf\xbdller" },
	{ "a\xc3", "a\\xc3", "a\xef\xbf\xbd" },
	{ "\xc0\xaf", "\\xc0\\xaf", "\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80",
	  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
};

/* Check the column COMMAND in the list of one container. */
static void command_is(struct tree *t, const char *want)
{
	char line[256];

	snprintf(line, sizeof(line), "\n 2 1002 %s ", want);
	SAYS(t->out, line);
}

static void tables(void **state)
{
	struct tree *t = *state;

	t->locale = "C.UTF-8";
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		named(t, cases[i].comm);
		t->terminal = i % 2 ? 200 : 0;
		RUN(t, CTL_OK, "list", "-i", "0");
		command_is(t, cases[i].text);
		RUN(t, CTL_OK, "list", "2", "-i", "0");
		SAYS(t->out, cases[i].text);
	}
}

static void json(void **state)
{
	static char *const locales[] = { "C", "C.UTF-8", "" };
	struct tree *t = *state;

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		named(t, cases[i].comm);
		t->locale = locales[i % ARRAY_SIZE(locales)];
		RUN(t, CTL_OK, "list", "--json", "-i", "0");
		JSON_STRING(t, "/containers/0/command", cases[i].json);
		t->terminal = 80;
		RUN(t, CTL_OK, "list", "--json", "-i", "0");
		JSON_STRING(t, "/containers/0/command", cases[i].json);
		t->terminal = 0;
	}
	/* Visible characters are escaped only on a terminal without UTF-8. */
	named(t, "M\xc3\x9cller");
	t->locale = "C";
	RUN(t, CTL_OK, "list", "--json", "-i", "0");
	SAYS(t->out, "M\xc3\x9cller");
	t->terminal = 80;
	RUN(t, CTL_OK, "list", "--json", "-i", "0");
	SAYS(t->out, "M\\u00dcller");
	SAYS_NOT(t->out, "\xc3");
	t->locale = "C.UTF-8";
	RUN(t, CTL_OK, "list", "--json", "-i", "0");
	SAYS(t->out, "M\xc3\x9cller");
}

/* Every byte except NUL, alone and before other bytes. */
static void bytes(void **state)
{
	struct tree *t = *state;

	tree_module(t);
	for (unsigned int i = 1; i < 256; i++) {
		char comm[] = { (char)i, (char)(0x80 | (i & 0x3f)), (char)i, 'x', 0 };

		tree_container(t, i, comm);
	}
	t->locale = "C.UTF-8";
	RUN(t, CTL_OK, "list", "-i", "0");
	RUN(t, CTL_OK, "list", "--json", "-i", "0");
	JSON_LENGTH(t, "/containers", 255);
	t->locale = "C";
	RUN(t, CTL_OK, "list", "-i", "0");
	for (const char *p = t->out; *p; p++)
		assert_true(*p == '\n' || (*p >= 0x20 && *p < 0x7f));
}

/* A name may contain a NUL. */
static void nul(void **state)
{
	struct tree *t = *state;

	named(t, "");
	tree_bytes(t, COMM, "a\0b\n", 4);
	tree_bytes(t, "kernel/vfio_iopf/containers/2/areas", "1\0002\n", 4);
	RUN(t, CTL_OK, "list", "-i", "0");
	command_is(t, "a\\x00b");
	RUN(t, CTL_OK, "list", "-i", "0", "--json");
	assert_int_equal(json_object_get_string_len(tree_json(t, "/containers/0/command")), 3);
	JSON_NULL(t, "/containers/0/areas");
}

static void locales(void **state)
{
	static char *const utf8[] = { "", "C.UTF-8", "xx_XX.UTF-8", "xx_XX.utf8" };
	static char *const ascii[] = { "C", "POSIX", "xx_XX", "xx_XX.ISO-8859-1" };
	struct tree *t = *state;

	named(t, "M\xc3\xbcller");
	/* No locale is set, or the locale is not installed: its name still tells the charset. */
	for (unsigned int i = 0; i < ARRAY_SIZE(utf8); i++) {
		t->locale = utf8[i];
		RUN(t, CTL_OK, "list", "-i", "0");
		command_is(t, "M\xc3\xbcller");
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(ascii); i++) {
		t->locale = ascii[i];
		RUN(t, CTL_OK, "list", "-i", "0");
		command_is(t, "M\\xc3\\xbcller");
	}
}

/* Make a locale. Returns false if its sources are not installed. */
static bool make_locale(struct tree *t, const char *charset, const char *name)
{
	char command[512];

	t->locales = t->dir;
	snprintf(command, sizeof(command), "localedef -i de_DE -f %s %s/%s >%s/localedef.log 2>&1",
		 charset, t->dir, name, t->dir);
	return !system(command);
}

/* A charset with umlauts but no Japanese; a language with commas in numbers. */
static void german(void **state)
{
	struct tree *t = *state;

	if (!make_locale(t, "ISO-8859-1", "de_DE") || !make_locale(t, "UTF-8", "de_DE.UTF-8"))
		skip();
	t->locale = "de_DE";
	t->other_charset = true;
	named(t, "M\xc3\xbcller");
	RUN(t, CTL_OK, "list", "-i", "0");
	command_is(t, "M\xfcller");
	named(t, "\xe6\x97\xa5\x9b");
	RUN(t, CTL_OK, "list", "-i", "0");
	command_is(t, "\\xe6\\x97\\xa5\\x9b");
	/* A letter in UTF-8, whose second byte is a control in ISO 8859-1. */
	named(t, "\xc3\x9b");
	RUN(t, CTL_OK, "list", "-i", "0");
	command_is(t, "\xdb");
	t->other_charset = false;
	RUN(t, CTL_OK, "list", "-i", "0.01", "--json");
	JSON_STRING(t, "/containers/0/command", "\xc3\x9b");
	t->locale = "de_DE.UTF-8";
	tree_device(t, "0000:01:00.0", "2", 100);
	RUN(t, CTL_OK, "list", "-i", "0.01");
	command_is(t, "\xc3\x9b");
	SAYS(t->out, " 0.0 ");
	RUN(t, CTL_USAGE, "list", "-i", "0,5");
}

/* Text from other sources, and messages about it. */
static void elsewhere(void **state)
{
	struct tree *t = *state;
	char path[256];

	t->locale = "C.UTF-8";
	named(t, "x");
	tree_device(t, "0000:01:00.0", "2", 0);
	tree_file(t, "kernel/vfio_iopf/containers/2/policy", "p\033[m\n");
	tree_file(t, "kernel/vfio_iopf/containers/2/resident_max", "1\0332\n");
	RUN(t, CTL_OK, "list", "-i", "0");
	SAYS(t->out, "p\\x1b[m");
	RUN(t, CTL_OK, "set", "2", "policy=pin", "resident_max=1M");
	SAYS(t->out, "was p\\x1b[m");
	/* Comments of rules. */
	tree_file(t, "kernel/vfio_iopf/device_table",
		  "admin 1 pci 1:2 none # by \xc3\xb6 \xc2\x9b \xff\n");
	RUN(t, CTL_OK, "device");
	SAYS(t->out, "by \xc3\xb6 \\xc2\\x9b \\xff");
	RUN(t, CTL_OK, "device", "--json");
	JSON_STRING(t, "/rules/0/source", "by \xc3\xb6 \xc2\x9b \xef\xbf\xbd");
	/* Names of files, and arguments. */
	snprintf(path, sizeof(path), "%s/\033c\xff", t->dir);
	tree_file(t, "\033c\xff", "pci 1:2 none\n");
	RUN(t, CTL_OK, "device", "check", path);
	SAYS(t->out, "\\x1bc\\xff: valid");
	RUN(t, CTL_OK, "device", "check", path, "--json");
	JSON_BOOL(t, "/valid", true);
	tree_file(t, "\033c\xff", "pci 1:2 none\n\n\033\n");
	RUN(t, CTL_FAILED, "device", "check", path);
	SAYS(t->err, "\\x1bc\\xff: line 3");
	RUN(t, CTL_USAGE, "\033[m");
	RUN(t, CTL_USAGE, "list", "--\033[m");
	RUN(t, CTL_USAGE, "list", "-\033");
	RUN(t, CTL_USAGE, "set", "2", "\033=\xff");
	RUN(t, CTL_NOT_FOUND, "probe", "\n\033");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tables),
		TEST(json),
		TEST(bytes),
		TEST(nul),
		TEST(locales),
		TEST(german),
		TEST(elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
