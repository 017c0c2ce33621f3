// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl - drive vfio_iommu_iopf: which devices may fault, who uses how much, and who may.
 *
 * Here: options that all commands have, the choice of the command, messages. The commands are in
 * files of their own, see cmd.h; iopfctl(8) is for users.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "sysfs.h"

#define CONFIG	"/etc/vfio-iopf/devices.conf"

#define OPTIONS_MAX	16

enum {
	OPT_JSON = 0x100,
	OPT_SYSFS,
	OPT_CONFIG,
};

struct ctl ctl = { .config = CONFIG };

/* The command that runs, for its usage line. */
static const struct cmd *running;

/* What all commands have, beside their own. */
static const struct option common_options[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "help", no_argument, NULL, 'h' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "sysfs", required_argument, NULL, OPT_SYSFS },
	{ }
};

static void message(const char *fmt, va_list args)
{
	/* What was printed before comes before. */
	fflush(stdout);
	fprintf(stderr, "iopfctl: ");
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
}

/**
 * ctl_note() - say something that is no result, on stderr
 * @fmt: a sentence, without a newline
 */
void ctl_note(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	message(fmt, args);
	va_end(args);
}

/**
 * ctl_fail() - say what is wrong and what to do
 * @status: what the command is going to return
 * @fmt: a sentence, without a newline
 *
 * Return: @status
 */
int ctl_fail(enum ctl_exit status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	message(fmt, args);
	va_end(args);
	return status;
}

/**
 * ctl_fail_errno() - say that a system call failed
 * @err: a negative errno
 * @fmt: what it was to do, without a newline
 *
 * Return: CTL_DENIED when that is why, CTL_FAILED otherwise
 */
int ctl_fail_errno(int err, const char *fmt, ...)
{
	bool denied = err == -EACCES || err == -EPERM;
	va_list args;
	char *what;

	va_start(args, fmt);
	if (vasprintf(&what, fmt, args) < 0)
		what = NULL;
	va_end(args);
	ctl_note("%s: %s%s", what ? what : fmt, strerror(-err),
		 denied ? "; run it as root" : "");
	free(what);
	return denied ? CTL_DENIED : CTL_FAILED;
}

/**
 * ctl_usage() - say that the command line can't be understood
 * @fmt: what is wrong with it; NULL: getopt has said so
 *
 * Return: CTL_USAGE
 */
int ctl_usage(const char *fmt, ...)
{
	va_list args;

	if (fmt) {
		va_start(args, fmt);
		message(fmt, args);
		va_end(args);
	}
	if (running)
		fprintf(stderr, "usage: iopfctl %s %s\n", running->name, running->args);
	fprintf(stderr, "iopfctl%s%s --help says more\n", running ? " " : "",
		running ? running->name : "");
	return CTL_USAGE;
}

/**
 * ctl_help() - print what there is to know of the command that runs
 *
 * Return: CTL_OK
 */
int ctl_help(void)
{
	const struct cmd *cmd = running;

	printf("usage: iopfctl %s %s\n%s.\n\n%s", cmd->name, cmd->args, cmd->summary, cmd->help);
	printf("  --json             print JSON\n"
	       "  --sysfs DIR        use DIR instead of /sys (environment: IOPFCTL_SYSFS)\n"
	       "  --config FILE      use FILE instead of " CONFIG " (IOPFCTL_CONFIG)\n"
	       "  -h, --help         this\n");
	return CTL_OK;
}

static int help(void)
{
	printf("usage: iopfctl [OPTION...] COMMAND [ARGUMENT...]\n\n");
	for (const struct cmd *cmd = cmds; cmd->name; cmd++)
		printf("  %-8s %s\n", cmd->name, cmd->summary);
	printf("\niopfctl COMMAND --help says more of a command, iopfctl(8) of all. Exit status:\n"
	       "0 done, 1 failed, 2 usage, 3 no such thing, 4 module not loaded, 5 not for this user.\n");
	return CTL_OK;
}

/* Deal with an option that all commands have; whether it was one. */
static bool common_option(int c)
{
	switch (c) {
	case OPT_JSON:
		ctl.json = true;
		return true;
	case OPT_SYSFS:
		sysfs_set_root(optarg);
		return true;
	case OPT_CONFIG:
		ctl.config = optarg;
		return true;
	}
	return false;
}

/**
 * ctl_getopt() - the next option of a command
 * @argc: as for getopt_long()
 * @argv: likewise
 * @shorts: likewise, "h" among them
 * @longs: likewise, those of the command; the same at each call
 *
 * Options that all commands have are dealt with.
 *
 * Return: as getopt_long(): -1 at the end, '?' when it has complained, 'h' for help.
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
	do {
		c = getopt_long(argc, argv, shorts, all, NULL);
	} while (common_option(c));
	return c;
}

int main(int argc, char **argv)
{
	static const struct option no_options[] = { { } };
	const char *env;
	int c, status;

	env = getenv("IOPFCTL_SYSFS");
	if (env && *env)
		sysfs_set_root(env);
	env = getenv("IOPFCTL_CONFIG");
	if (env && *env)
		ctl.config = env;

	/* "+": what follows the command is the command's. */
	while ((c = ctl_getopt(argc, argv, "+h", no_options)) != -1)
		return c == 'h' ? help() : ctl_usage(NULL);
	if (optind == argc)
		return ctl_usage("a command is missing");
	argc -= optind;
	argv += optind;
	if (!strcmp(argv[0], "help"))
		return help();
	for (running = cmds; running->name; running++)
		if (!strcmp(running->name, argv[0]))
			break;
	if (!running->name) {
		running = NULL;
		return ctl_usage("there is no command '%s'", argv[0]);
	}
	/* 0, not 1: glibc begins anew, with another argv. */
	optind = 0;
	status = running->run(argc, argv);
	if (fflush(stdout) || ferror(stdout))
		return ctl_fail_errno(errno ? -errno : -EIO, "writing the result");
	return status;
}
