// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl - control vfio_iommu_iopf: which devices may fault, and how much memory containers use
 * and may use.
 *
 * Each folder includes only folders above it in this list:
 *
 *   print/   text, tables and JSON on stdout; messages on stderr
 *   sys/     sysfs, PCI, the administrator's file: reads, writes, no opinion
 *   model/   conclusions from what sys/ read: the verdict on a device, the curve of faults
 *   cmd/     the commands, one file each, and their options
 *   main.c   the table of the commands
 *
 * iopfctl(8) is the documentation for users.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/options.h"
#include "print/message.h"
#include "print/text.h"

/* In the order of the help text. */
static const struct cmd *const commands[] = {
	&cmd_probe, &cmd_device, &cmd_list, &cmd_set, &cmd_limits, &cmd_advise, NULL,
};

static int help(const struct cmd *const *table)
{
	printf("usage: iopfctl [OPTION...] COMMAND [ARGUMENT...]\n\n");
	for (; *table; table++)
		printf("  %-8s %s\n", (*table)->name, (*table)->summary);
	printf("\niopfctl COMMAND --help describes a command, iopfctl(8) all of them.\n"
	       "Exit status: 0 success, 1 failure, 2 invalid command line, 3 not found,\n"
	       "4 module not loaded, 5 permission denied.\n");
	return CTL_OK;
}

/* Open files must not get the numbers of stdin, stdout or stderr, which iopfctl writes to. */
static void keep_standard_files(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDONLY);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int run(const struct cmd *const *table, int argc, char **argv)
{
	for (; *table; table++)
		if (!strcmp((*table)->name, argv[0]))
			return ctl_run(*table, argc, argv);
	return ctl_usage("there is no command '%s'", argv[0]);
}

int main(int argc, char **argv)
{
	static const struct option no_options[] = { { } };
	char *help_of[3] = { };
	int c;

	keep_standard_files();
	text_init();
	ctl_environment();

	/* "+": the options after the command belong to the command. */
	while ((c = ctl_getopt(argc, argv, "+:h", no_options)) != -1)
		return c == 'h' ? ctl_flush(help(commands)) : ctl_usage(NULL);
	if (optind == argc)
		return ctl_usage("a command is missing");
	argc -= optind;
	argv += optind;
	if (strcmp(argv[0], "help"))
		return ctl_flush(run(commands, argc, argv));
	if (argc == 1)
		return ctl_flush(help(commands));
	help_of[0] = argv[1];
	help_of[1] = "--help";
	return ctl_flush(run(commands, 2, help_of));
}
