// SPDX-License-Identifier: GPL-2.0-only
/*
 * The features that all commands have in common: help, options, exit status, and the error if the
 * module is not loaded.
 */
#include <string.h>

#include "../../core/version.h"
#include "../print/exit.h"
#include "tree.h"

static char *const commands[] = { "probe", "device", "list", "set", "limits", "advise" };

static void help(void **state)
{
	struct tree *t = *state;

	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++) {
		RUN(t, CTL_OK, "--help");
		SAYS(t->out, commands[i]);
		RUN(t, CTL_OK, commands[i], "--help");
		SAYS(t->out, "usage: iopfctl ");
		SAYS(t->out, "--json");
		assert_string_equal(t->err, "");
		tree_fits(t->out, 80);
		RUN(t, CTL_OK, commands[i], "-h");
		RUN(t, CTL_OK, "help", commands[i]);
		SAYS(t->out, "--json");
	}
	RUN(t, CTL_OK, "help");
	SAYS(t->out, "Exit status");
	tree_fits(t->out, 80);
	RUN(t, CTL_USAGE, "help", "nonsense");
	/* The words after "device" have no help texts of their own. */
	RUN(t, CTL_OK, "device", "add", "--help");
	SAYS(t->out, "usage: iopfctl device ");
}

static void version(void **state)
{
	struct tree *t = *state;

	RUN(t, CTL_OK, "--version");
	assert_string_equal(t->out, "iopfctl (vfio-iopf) " IOPF_VERSION "\n");
	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++) {
		RUN(t, CTL_OK, commands[i], "--version");
		assert_string_equal(t->out, "iopfctl (vfio-iopf) " IOPF_VERSION "\n");
	}
}

/* tree.c checks that each line begins with "iopfctl:". */
static void bad_options(void **state)
{
	struct tree *t = *state;

	RUN(t, CTL_USAGE, "list", "--nonsense");
	SAYS(t->err, "option --nonsense does not exist");
	RUN(t, CTL_USAGE, "list", "-wz");
	SAYS(t->err, "option -z does not exist");
	RUN(t, CTL_USAGE, "list", "--json", "-z");
	SAYS(t->err, "option -z does not exist");
	RUN(t, CTL_USAGE, "list", "-i");
	SAYS(t->err, "option -i takes a value");
	RUN(t, CTL_USAGE, "list", "--config");
	SAYS(t->err, "option --config takes a value");
	RUN(t, CTL_USAGE, "list", "--watch=yes");
	SAYS(t->err, "option --watch=yes takes no value");
	RUN(t, CTL_USAGE, "list", "--json=yes");
	SAYS(t->err, "option --json=yes takes no value");
	RUN(t, CTL_USAGE, "--sysfs");
	SAYS(t->err, "option --sysfs takes a value");
	RUN(t, CTL_USAGE, "-x");
	SAYS(t->err, "option -x does not exist");
	/* The start of two options. */
	RUN(t, CTL_USAGE, "advise", "--s", "5");
	SAYS(t->err, "option --s does not exist, or is the start of several");
}

static void usage(void **state)
{
	struct tree *t = *state;

	RUN(t, CTL_USAGE, "nonsense");
	SAYS(t->err, "there is no command 'nonsense'");
	RUN(t, CTL_USAGE, "--nonsense");
	RUN(t, CTL_USAGE, "--sysfs");
	assert_int_equal(tree_run(t, NULL), CTL_USAGE);
	SAYS(t->err, "a command is missing");
	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++) {
		RUN(t, CTL_USAGE, commands[i], "--nonsense");
		SAYS(t->err, "--help says more");
		assert_string_equal(t->out, "");
	}
}

static void no_module(void **state)
{
	struct tree *t = *state;

	RUN(t, CTL_NO_MODULE, "list");
	SAYS(t->err, "modprobe vfio_iommu_iopf");
	RUN(t, CTL_NO_MODULE, "list", "3");
	RUN(t, CTL_NO_MODULE, "set", "3", "resident_max=1M");
	RUN(t, CTL_NO_MODULE, "set", "--device", "0000:01:00.0", "mode=none");
	RUN(t, CTL_NO_MODULE, "device", "apply");
	RUN(t, CTL_NO_MODULE, "device", "mode", "0000:01:00.0", "none");
	RUN(t, CTL_NO_MODULE, "device", "add", "--apply", "pci", "1:2", "none");
	/* These work without the module. */
	RUN(t, CTL_OK, "probe");
	RUN(t, CTL_OK, "device");
}

/* Common options may stand before the command or after it. The last one counts. */
static void options(void **state)
{
	struct tree *t = *state;

	tree_module(t);
	RUN(t, CTL_OK, "--json", "list", "--interval", "0");
	JSON_LENGTH(t, "/containers", 0);
	RUN(t, CTL_OK, "list", "--interval", "0", "--json");
	JSON_LENGTH(t, "/containers", 0);
	RUN(t, CTL_NO_MODULE, "list", "--sysfs", "/nowhere");
	RUN(t, CTL_NO_MODULE, "--sysfs", "/nowhere", "list");
	RUN(t, CTL_OK, "--sysfs", "/nowhere", "list", "--sysfs", t->dir);
	SAYS(t->err, "serves no container");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(help),
		TEST(version),
		TEST(usage),
		TEST(bad_options),
		TEST(no_module),
		TEST(options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
