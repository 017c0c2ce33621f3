/* SPDX-License-Identifier: GPL-2.0-only */
/* Exit status of iopfctl, and of the functions that do a part of a command. */
#ifndef CLI_EXIT_H
#define CLI_EXIT_H

/**
 * enum ctl_exit - exit status; iopfctl(8) lists the values for users
 * @CTL_OK: the command succeeded
 * @CTL_FAILED: the command failed, or a file is malformed
 * @CTL_USAGE: the command line is invalid
 * @CTL_NOT_FOUND: the container, device, rule or file does not exist
 * @CTL_NO_MODULE: the module is not loaded
 * @CTL_DENIED: this user lacks permission
 */
enum ctl_exit {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
	CTL_NOT_FOUND = 3,
	CTL_NO_MODULE = 4,
	CTL_DENIED = 5,
};

#endif /* CLI_EXIT_H */
