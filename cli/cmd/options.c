// SPDX-License-Identifier: GPL-2.0-only
/*
 * Options that all commands have in common: see options.h.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../core/version.h"
#include "../print/array.h"
#include "../print/message.h"
#include "../print/out.h"
#include "../sys/conf.h"
#include "../sys/sysfs.h"
#include "cmd.h"
#include "options.h"

#define OPTIONS_MAX	16

enum {
	OPT_JSON = 0x100,
	OPT_SYSFS,
	OPT_CONFIG,
	OPT_VERSION,
};

/* The command that runs; NULL until ctl_run() sets it. */
static const struct cmd *running;

static const struct option common_options[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "help", no_argument, NULL, 'h' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "sysfs", required_argument, NULL, OPT_SYSFS },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ }
};

/** ctl_environment() - apply the environment variables */
void ctl_environment(void)
{
	const char *env = getenv("IOPFCTL_SYSFS");

	if (env && *env)
		sysfs_set_root(env);
	env = getenv("IOPFCTL_CONFIG");
	if (env && *env)
		conf_set_file(env);
}

/**
 * ctl_run() - execute a command
 * @cmd: the command
 * @argc: as of main()
 * @argv: its arguments, its own name first
 *
 * Return: its exit status
 */
int ctl_run(const struct cmd *cmd, int argc, char **argv)
{
	running = cmd;
	/* 0 makes getopt_long() of glibc start again with another argv. 1 does not. */
	optind = 0;
	return cmd->run(argc, argv);
}

/**
 * ctl_usage() - report that the command line is invalid
 * @fmt: the error; NULL: ctl_getopt() has reported it
 *
 * Return: CTL_USAGE
 */
int ctl_usage(const char *fmt, ...)
{
	va_list args;

	if (fmt) {
		va_start(args, fmt);
		ctl_vnote(fmt, args);
		va_end(args);
	}
	if (running)
		ctl_note("usage: iopfctl %s %s", running->name, running->args);
	ctl_note("iopfctl%s%s --help says more", running ? " " : "", running ? running->name : "");
	return CTL_USAGE;
}

/**
 * ctl_help() - print the help text of the command that runs
 *
 * Return: CTL_OK
 */
int ctl_help(void)
{
	const struct cmd *cmd = running;

	printf("usage: iopfctl %s %s\n%s.\n\n%s", cmd->name, cmd->args, cmd->summary, cmd->help);
	printf("  --json             print JSON\n"
	       "  --sysfs DIR        use DIR instead of /sys (environment: IOPFCTL_SYSFS)\n"
	       "  --config FILE      use FILE instead of " CONF_FILE "\n"
	       "                     (environment: IOPFCTL_CONFIG)\n"
	       "  --version          print the version\n"
	       "  -h, --help         print this text\n");
	return CTL_OK;
}

/* Apply an option that all commands have in common; false: it is another one. */
static bool common_option(int c)
{
	switch (c) {
	case OPT_JSON:
		out_set_json();
		return true;
	case OPT_SYSFS:
		sysfs_set_root(optarg);
		return true;
	case OPT_CONFIG:
		conf_set_file(optarg);
		return true;
	case OPT_VERSION:
		puts("iopfctl (vfio-iopf) " IOPF_VERSION);
		exit(ctl_flush(CTL_OK));
	}
	return false;
}

/* Report an option that getopt_long() rejects: @arg, unless the option is a letter. */
static void bad_option(int c, const char *arg, const char *shorts)
{
	if (c == ':')
		ctl_note("option %s takes a value", arg);
	else if (!optopt)
		ctl_note("option %s does not exist, or is the start of several", arg);
	else if (optopt < OPT_JSON && !strchr(shorts, optopt))
		ctl_note("option -%c does not exist", optopt);
	else
		ctl_note("option %s takes no value", arg);
}

/**
 * ctl_getopt() - the next option of a command
 * @argc: as of getopt_long()
 * @argv: likewise
 * @shorts: likewise, with ":" (this function reports errors) and "h"
 * @longs: likewise, the options of the command; the same at each call
 *
 * The function itself applies the options that all commands have in common.
 *
 * Return: as getopt_long(): -1 at the end, '?' after an error message, 'h' for help
 */
int ctl_getopt(int argc, char **argv, const char *shorts, const struct option *longs)
{
	struct option all[OPTIONS_MAX] = { };
	unsigned int n = 0;
	int c;

	while (longs[n].name && n < OPTIONS_MAX - ARRAY_SIZE(common_options)) {
		all[n] = longs[n];
		n++;
	}
	memcpy(all + n, common_options, sizeof(common_options));
	opterr = 0;
	do {
		c = getopt_long(argc, argv, shorts, all, NULL);
	} while (common_option(c));
	if (c != '?' && c != ':')
		return c;
	bad_option(c, argv[optind - 1], shorts);
	return '?';
}
