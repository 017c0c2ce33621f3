// SPDX-License-Identifier: GPL-2.0-only
/*
 * TAP output: see tap.h.
 *
 * Output is line-buffered from the start. So a reader on a serial console sees each point at once,
 * and a forked child inherits an empty buffer. A mutex keeps the lines of threads apart.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"

static struct {
	pthread_mutex_t lock;
	unsigned int points;
	unsigned int planned;
	unsigned int failed;
	unsigned int quiet_failed;
	bool quiet;
} tap = { .lock = PTHREAD_MUTEX_INITIALIZER };

__attribute__((constructor)) static void tap_line_buffer(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
}

void tap_plan(unsigned int points)
{
	tap.planned = points;
	printf("1..%u\n", points);
}

static void tap_point(bool pass, const char *what, const char *more)
{
	pthread_mutex_lock(&tap.lock);
	if (tap.quiet) {
		if (!pass) {
			tap.quiet_failed++;
			printf("# would fail: %s%s\n", what, more);
		}
	} else {
		tap.points++;
		if (!pass)
			tap.failed++;
		printf("%sok %u - %s%s\n", pass ? "" : "not ", tap.points, what, more);
	}
	pthread_mutex_unlock(&tap.lock);
}

#define TAP_TEXT	512

/* Print the caller's variable arguments, which follow its parameter fmt, into @text. */
#define tap_format(text)						\
do {									\
	va_list format_args;						\
									\
	va_start(format_args, fmt);					\
	vsnprintf(text, TAP_TEXT, fmt, format_args);			\
	va_end(format_args);						\
} while (0)

bool tap_ok(bool pass, const char *fmt, ...)
{
	char what[TAP_TEXT];

	tap_format(what);
	tap_point(pass, what, "");
	return pass;
}

bool tap_is(uint64_t got, uint64_t want, const char *fmt, ...)
{
	char what[TAP_TEXT];

	tap_format(what);
	tap_point(got == want, what, "");
	if (got != want)
		tap_diag("got %llu (0x%llx), want %llu (0x%llx)", (unsigned long long)got,
			 (unsigned long long)got, (unsigned long long)want,
			 (unsigned long long)want);
	return got == want;
}

static const char *tap_errno_name(int result)
{
	const char *name;

	if (result >= 0)
		return "success";
	name = strerrorname_np(-result);
	return name ? name : "an unknown error";
}

bool tap_errno_is(int got, int want, const char *fmt, ...)
{
	char what[TAP_TEXT];

	tap_format(what);
	tap_point(got == want, what, "");
	if (got != want)
		tap_diag("got %s (%d), want %s (%d)", tap_errno_name(got), got,
			 tap_errno_name(want), want);
	return got == want;
}

void tap_diag(const char *fmt, ...)
{
	char what[TAP_TEXT];

	tap_format(what);
	pthread_mutex_lock(&tap.lock);
	printf("# %s\n", what);
	pthread_mutex_unlock(&tap.lock);
}

void tap_skip(const char *why, const char *fmt, ...)
{
	char what[TAP_TEXT], more[TAP_TEXT];

	tap_format(what);
	snprintf(more, sizeof(more), " # SKIP %s", why);
	tap_point(true, what, more);
}

void tap_skip_all(const char *fmt, ...)
{
	char what[TAP_TEXT];

	tap_format(what);
	printf("1..0 # SKIP %s\n", what);
	exit(TAP_EXIT_SKIP);
}

void tap_bail(const char *fmt, ...)
{
	char what[TAP_TEXT];

	tap_format(what);
	pthread_mutex_lock(&tap.lock);
	printf("Bail out! %s\n", what);
	fflush(stdout);
	/* Not exit(), whose handlers would run beside other threads. No handler is needed. */
	_exit(1);
}

unsigned int tap_failed(void)
{
	return tap.failed;
}

void tap_quiet(bool on)
{
	if (on)
		tap.quiet_failed = 0;
	tap.quiet = on;
}

unsigned int tap_quiet_failures(void)
{
	return tap.quiet_failed;
}

int tap_done(void)
{
	if (!tap.planned)
		printf("1..%u\n", tap.points);
	else if (tap.planned != tap.points)
		printf("# planned %u points, decided %u\n", tap.planned, tap.points);
	if (tap.failed)
		printf("# %u of %u points failed\n", tap.failed, tap.points);
	return tap.failed || !tap.points || (tap.planned && tap.planned != tap.points);
}

void tap_forget(void)
{
	tap.points = 0;
	tap.failed = 0;
	tap.planned = 0;
}

pid_t tap_fork(bool quiet)
{
	pid_t pid = must_sys(fork());

	if (pid)
		return pid;
	tap_forget();
	if (quiet)
		tap_quiet(true);
	return 0;
}

void must_failed(const char *file, int line, const char *expr, long value)
{
	tap_bail("%s:%d: %s: %s", file, line, expr, strerror(-(int)value));
}
