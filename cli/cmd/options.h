/* SPDX-License-Identifier: GPL-2.0-only */
/* Options: those that all commands have in common, and the help text of a command. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <getopt.h>

struct cmd;

void ctl_environment(void);
int ctl_run(const struct cmd *cmd, int argc, char **argv);
int ctl_getopt(int argc, char **argv, const char *shorts, const struct option *longs);
int ctl_help(void);
int ctl_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif /* CLI_OPTIONS_H */
