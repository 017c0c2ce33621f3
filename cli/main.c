// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl - drive vfio_iommu_iopf: which devices may fault, who uses how much, and who may.
 *
 * Here: options that all commands have, the choice of the command, messages. The commands are in
 * files of their own, see cmd.h; iopfctl(8) is for users.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../core/version.h"
#include "cmd.h"
#include "sysfs.h"
#include "text.h"

#define CONFIG	"/etc/vfio-iopf/devices.conf"

#define OPTIONS_MAX	16

enum {
	OPT_JSON = 0x100,
	OPT_SYSFS,
	OPT_CONFIG,
	OPT_VERSION,
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
	{ "version", no_argument, NULL, OPT_VERSION },
	{ }
};

/**
 * ctl_no_memory() - end the program for want of memory
 *
 * It has nothing half done where it is called: it reads, or prints.
 */
void ctl_no_memory(void)
{
	fputs("iopfctl: out of memory; close other programs and try again\n", stderr);
	exit(CTL_FAILED);
}

static void message(const char *fmt, va_list args)
{
	char *raw, *text;
	int len = vasprintf(&raw, fmt, args);

	if (len < 0)
		ctl_no_memory();
	text = text_visible(raw, len);
	/* What was printed before comes before. */
	fflush(stdout);
	fprintf(stderr, "iopfctl: %s\n", text);
	free(text);
	free(raw);
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
 * ctl_hint() - what to do about a system call that failed
 * @err: a negative errno
 *
 * Return: half a sentence that follows another, or ""
 */
const char *ctl_hint(int err)
{
	switch (-err) {
	case EACCES:
	case EPERM:
		return "; run it as root";
	case EBUSY:
	case EINVAL:
		return "; the kernel log says why (dmesg)";
	case EDQUOT:
	case ENOSPC:
		return "; make room there and try again";
	case EFBIG:
		return "; is it the right file, and is there a limit (ulimit -f)?";
	case EISDIR:
	case ENOTDIR:
		return "; give it the name of a file";
	case EROFS:
		return "; mount it writable first";
	case ELOOP:
		return "; remove the symbolic link";
	case ENODEV:
	case ENOENT:
		return "; it is gone";
	case ENOMEM:
		return "; there is not as much memory, or it may not be pinned (RLIMIT_MEMLOCK)";
	default:
		return "";
	}
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
	va_list args;
	char *what;
	int len;

	va_start(args, fmt);
	len = vasprintf(&what, fmt, args);
	va_end(args);
	if (len < 0)
		ctl_no_memory();
	ctl_note("%s: %s%s", what, strerror(-err), ctl_hint(err));
	free(what);
	return err == -EACCES || err == -EPERM ? CTL_DENIED : CTL_FAILED;
}

/**
 * ctl_usage() - say that the command line can't be understood
 * @fmt: what is wrong with it; NULL: ctl_getopt() has said so
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
		ctl_note("usage: iopfctl %s %s", running->name, running->args);
	ctl_note("iopfctl%s%s --help says more", running ? " " : "", running ? running->name : "");
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
	       "  --config FILE      use FILE instead of " CONFIG "\n"
	       "                     (environment: IOPFCTL_CONFIG)\n"
	       "  --version          the version\n"
	       "  -h, --help         this\n");
	return CTL_OK;
}

static int help(void)
{
	printf("usage: iopfctl [OPTION...] COMMAND [ARGUMENT...]\n\n");
	for (const struct cmd *cmd = cmds; cmd->name; cmd++)
		printf("  %-8s %s\n", cmd->name, cmd->summary);
	printf("\niopfctl COMMAND --help says more of a command, iopfctl(8) of all. Exit status:\n"
	       "0 done, 1 failed, 2 usage, 3 no such thing, 4 module not loaded,\n"
	       "5 not for this user.\n");
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
	case OPT_VERSION:
		puts("iopfctl (vfio-iopf) " IOPF_VERSION);
		exit(ctl_flush(CTL_OK));
	}
	return false;
}

/* What getopt_long() would say of the option it has looked at, @arg unless it is one letter. */
static void bad_option(int c, const char *arg, const char *shorts)
{
	if (c == ':')
		ctl_note("option %s wants a value", arg);
	else if (!optopt)
		ctl_note("there is no option %s, or more than one begins like that", arg);
	else if (optopt < OPT_JSON && !strchr(shorts, optopt))
		ctl_note("there is no option -%c", optopt);
	else
		ctl_note("option %s: there is no value to it", arg);
}

/**
 * ctl_getopt() - the next option of a command
 * @argc: as for getopt_long()
 * @argv: likewise
 * @shorts: likewise, ":" and "h" among them, so that it is we who complain
 * @longs: likewise, those of the command; the same at each call
 *
 * Options that all commands have are dealt with.
 *
 * Return: as getopt_long(): -1 at the end, '?' after a complaint, 'h' for help.
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

/**
 * ctl_flush() - see that what was printed has gone where it was to go
 * @status: what the command is going to return
 *
 * Return: @status, or CTL_FAILED after a message
 */
int ctl_flush(int status)
{
	bool bad = ferror(stdout);

	errno = 0;
	if (!fflush(stdout) && !bad)
		return status;
	/* Said once. */
	clearerr(stdout);
	ctl_fail_errno(errno ? -errno : -EIO, "writing the result");
	return CTL_FAILED;
}

/* What is opened may not take the place of stdin, stdout or stderr, which we might write to. */
static void keep_standard_files(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDONLY);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int run(int argc, char **argv)
{
	for (running = cmds; running->name; running++)
		if (!strcmp(running->name, argv[0]))
			break;
	if (!running->name) {
		running = NULL;
		return ctl_usage("there is no command '%s'", argv[0]);
	}
	/* 0, not 1: glibc begins anew, with another argv. */
	optind = 0;
	return running->run(argc, argv);
}

int main(int argc, char **argv)
{
	static const struct option no_options[] = { { } };
	char *help_of[3] = { };
	const char *env;
	int c;

	keep_standard_files();
	text_init();
	env = getenv("IOPFCTL_SYSFS");
	if (env && *env)
		sysfs_set_root(env);
	env = getenv("IOPFCTL_CONFIG");
	if (env && *env)
		ctl.config = env;

	/* "+": what follows the command is the command's. */
	while ((c = ctl_getopt(argc, argv, "+:h", no_options)) != -1)
		return c == 'h' ? ctl_flush(help()) : ctl_usage(NULL);
	if (optind == argc)
		return ctl_usage("a command is missing");
	argc -= optind;
	argv += optind;
	if (strcmp(argv[0], "help"))
		return ctl_flush(run(argc, argv));
	if (argc == 1)
		return ctl_flush(help());
	help_of[0] = argv[1];
	help_of[1] = "--help";
	return ctl_flush(run(2, help_of));
}
