/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The commands. Each is a file here that defines one struct cmd; the table in main.c names them
 * all. A new command takes: a file, a line below, a line in that table, a section in iopfctl.8, an
 * entry in completion.sh.
 *
 * A command gets its arguments as main() does, its own name first. It reads its options with
 * ctl_getopt() (options.h), prints results with out.h, reports errors with message.h, and returns
 * an exit status.
 */
#ifndef CLI_CMD_H
#define CLI_CMD_H

/**
 * struct cmd - a command
 * @name: its name
 * @args: its arguments, for the usage line
 * @summary: half a sentence, for the list of commands
 * @help: its options, keys and the like: lines of text
 * @run: executes it; returns an enum ctl_exit
 */
struct cmd {
	const char *name;
	const char *args;
	const char *summary;
	const char *help;
	int (*run)(int argc, char **argv);
};

extern const struct cmd cmd_advise;
extern const struct cmd cmd_device;
extern const struct cmd cmd_limits;
extern const struct cmd cmd_list;
extern const struct cmd cmd_probe;
extern const struct cmd cmd_set;

#endif /* CLI_CMD_H */
