/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * iopfctl's commands: one file each, behind one table (cmds.c), and what they share.
 *
 * A command gets its arguments as main() does, its own name first. It goes through its options
 * with ctl_getopt(), which deals with those that all have; it prints results to stdout by out.h,
 * and what is wrong by ctl_fail(), which says what to do next; and it returns an exit status.
 */
#ifndef CLI_CMD_H
#define CLI_CMD_H

#include <getopt.h>
#include <stdbool.h>

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif

/**
 * enum ctl_exit - exit status; iopfctl(8) has the list for users
 * @CTL_OK: done
 * @CTL_FAILED: it did not work, or a file is not as it should be
 * @CTL_USAGE: the command line can't be understood
 * @CTL_NOT_FOUND: there is no such container, device, rule or file
 * @CTL_NO_MODULE: the module is not loaded
 * @CTL_DENIED: not for this user
 */
enum ctl_exit {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
	CTL_NOT_FOUND = 3,
	CTL_NO_MODULE = 4,
	CTL_DENIED = 5,
};

/**
 * struct ctl - what holds for all of a run
 * @json: print JSON instead of tables
 * @config: the administrator's device table
 */
struct ctl {
	bool json;
	const char *config;
};

extern struct ctl ctl;

/**
 * struct cmd - a command
 * @name: its name
 * @args: what may follow it, for the usage line
 * @summary: half a sentence, for the list of commands
 * @help: its options and the like, lines of text
 * @run: does it; returns an enum ctl_exit
 */
struct cmd {
	const char *name;
	const char *args;
	const char *summary;
	const char *help;
	int (*run)(int argc, char **argv);
};

/* The table, in the order in which help shows it; ends with an entry without a name. */
extern const struct cmd cmds[];

int cmd_advise(int argc, char **argv);
int cmd_device(int argc, char **argv);
int cmd_limits(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_probe(int argc, char **argv);
int cmd_set(int argc, char **argv);

int ctl_getopt(int argc, char **argv, const char *shorts, const struct option *longs);
int ctl_help(void);
int ctl_flush(int status);
int ctl_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int ctl_fail(enum ctl_exit status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int ctl_fail_errno(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *ctl_hint(int err);
_Noreturn void ctl_no_memory(void);
void ctl_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif /* CLI_CMD_H */
