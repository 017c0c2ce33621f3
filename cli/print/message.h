/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages on stderr. A message that reports an error also says what to do about it.
 */
#ifndef CLI_MESSAGE_H
#define CLI_MESSAGE_H

#include <stdarg.h>

#include "exit.h"

void ctl_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void ctl_vnote(const char *fmt, va_list args) __attribute__((format(printf, 1, 0)));
int ctl_fail(enum ctl_exit status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int ctl_fail_errno(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *ctl_hint(int err);
int ctl_flush(int status);

#endif /* CLI_MESSAGE_H */
