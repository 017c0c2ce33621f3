// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages on stderr: see message.h. Each is one line that begins with "iopfctl:".
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "memory.h"
#include "message.h"
#include "text.h"

/**
 * ctl_vnote() - ctl_note() with a va_list
 * @fmt: a sentence, without a newline
 * @args: its arguments
 */
void ctl_vnote(const char *fmt, va_list args)
{
	char *raw, *text;
	int len = vasprintf(&raw, fmt, args);

	if (len < 0)
		ctl_no_memory();
	text = text_visible(raw, len);
	/* Keep results and messages in order. */
	fflush(stdout);
	fprintf(stderr, "iopfctl: %s\n", text);
	free(text);
	free(raw);
}

/**
 * ctl_note() - print a message
 * @fmt: a sentence, without a newline
 */
void ctl_note(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	ctl_vnote(fmt, args);
	va_end(args);
}

/**
 * ctl_fail() - report an error, and what to do about it
 * @status: the exit status of the command
 * @fmt: a sentence, without a newline
 *
 * Return: @status
 */
int ctl_fail(enum ctl_exit status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	ctl_vnote(fmt, args);
	va_end(args);
	return status;
}

static const struct {
	int err;
	const char *text;
} hints[] = {
	{ EACCES, "; run it as root" },
	{ EPERM, "; run it as root" },
	{ EBUSY, "; the kernel log says why (dmesg)" },
	{ EINVAL, "; the kernel log says why (dmesg)" },
	{ EDQUOT, "; free space there and try again" },
	{ ENOSPC, "; free space there and try again" },
	{ EFBIG, "; check the file and the limit of file sizes (ulimit -f)" },
	{ EISDIR, "; give the name of a file" },
	{ ENOTDIR, "; give the name of a file" },
	{ EROFS, "; mount it writable first" },
	{ ELOOP, "; remove the symbolic link" },
	{ ENODEV, "; it no longer exists" },
	{ ENOENT, "; it no longer exists" },
	{ ENOMEM, "; memory is short, or RLIMIT_MEMLOCK forbids to pin it" },
};

/**
 * ctl_hint() - what to do about a system call that failed
 * @err: a negative errno
 *
 * Return: half a sentence to append to another, or ""
 */
const char *ctl_hint(int err)
{
	for (size_t i = 0; i < ARRAY_SIZE(hints); i++)
		if (hints[i].err == -err)
			return hints[i].text;
	return "";
}

/**
 * ctl_fail_errno() - report that a system call failed
 * @err: a negative errno
 * @fmt: the purpose of the call, without a newline
 *
 * Return: CTL_DENIED for a lack of permission, otherwise CTL_FAILED
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
 * ctl_flush() - flush stdout, and report an error of writing
 * @status: the exit status of the command
 *
 * Return: @status, or CTL_FAILED after a message
 */
int ctl_flush(int status)
{
	bool bad = ferror(stdout);

	errno = 0;
	if (!fflush(stdout) && !bad)
		return status;
	/* Report the error only once. */
	clearerr(stdout);
	ctl_fail_errno(errno ? -errno : -EIO, "writing the result");
	return CTL_FAILED;
}
