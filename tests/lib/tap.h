/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TAP output of the VM tests, and the ways to bail out.
 *
 * A test prints each point when it decides it. It prints the plan at the end (tap_done()), unless
 * tap_plan() has printed it. Exit status: 0: all points passed; 1: a point failed, or the test
 * bailed out; 77: the whole test was skipped.
 *
 * Vocabulary: a "point" is a line "ok" or "not ok". "must" is for set-up. If the set-up fails, the
 * test bails out. That counts as a failure, never as a skip.
 */
#ifndef TESTS_LIB_TAP_H
#define TESTS_LIB_TAP_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define TAP_EXIT_SKIP	77

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif

/**
 * tap_plan() - announce the number of points; optional, at most once, before the first point
 * @points: the number
 */
void tap_plan(unsigned int points);

/**
 * tap_ok() - decide one point
 * @pass: passed
 * @fmt: text of the point, without a newline
 *
 * Return: @pass
 */
bool tap_ok(bool pass, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * tap_is() - decide one point: two numbers are equal; prints both if they are not
 * @got: the result
 * @want: the expected result
 * @fmt: text of the point
 *
 * Return: whether they are equal
 */
bool tap_is(uint64_t got, uint64_t want, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * tap_errno_is() - decide one point: two results, each 0 or a negative errno, are equal
 * @got: the result
 * @want: the expected result
 * @fmt: text of the point
 *
 * Return: whether they are equal
 */
bool tap_errno_is(int got, int want, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/** tap_diag() - print a comment of one line; any thread may call it */
void tap_diag(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * tap_skip() - skip a point that cannot be decided here
 * @why: the reason
 * @fmt: text of the point
 */
void tap_skip(const char *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** tap_skip_all() - skip the whole test: print the reason, exit with 77 */
void tap_skip_all(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/** tap_bail() - bail out: print "Bail out!", exit with 1 */
void tap_bail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/** tap_failed() - number of points that have failed so far */
unsigned int tap_failed(void);

/**
 * tap_quiet() - count points instead of printing them; print failures as comments
 * @on: on or off
 *
 * For checks that are expected to fail: a negative control runs a check, then decides a point about
 * tap_quiet_failures().
 */
void tap_quiet(bool on);

/** tap_quiet_failures() - number of points that have failed since the last tap_quiet(true) */
unsigned int tap_quiet_failures(void);

/**
 * tap_done() - print the plan, unless tap_plan() has done so, and a summary of the failures
 *
 * Return: the exit status of the test
 */
int tap_done(void);

/**
 * tap_forget() - forget all points
 *
 * A child that uses the library calls it. The child reports to its parent by its exit status, and
 * ends with _exit().
 */
void tap_forget(void);

/**
 * tap_fork() - fork a child, in which tap_forget() has been called
 * @quiet: call tap_quiet(true) in it, too
 *
 * Return: 0 in the child; in the parent the child's number
 */
pid_t tap_fork(bool quiet);

void must_failed(const char *file, int line, const char *expr, long value)
	__attribute__((noreturn));

/**
 * must() - bail out unless @expr, 0 or positive or a negative errno, succeeded
 * @expr: evaluated once
 *
 * Return: its value
 */
#define must(expr)							\
({									\
	__typeof__(expr) must_value = (expr);				\
									\
	if (must_value < 0)						\
		must_failed(__FILE__, __LINE__, #expr, (long)must_value); \
	must_value;							\
})

/**
 * must_sys() - bail out unless @expr, a system call that returns -1 and errno, succeeded
 * @expr: evaluated once
 *
 * Return: its value
 */
#define must_sys(expr)							\
({									\
	__typeof__(expr) must_value = (expr);				\
									\
	if (must_value == (__typeof__(expr))-1)				\
		must_failed(__FILE__, __LINE__, #expr, -(long)errno);	\
	must_value;							\
})

/**
 * must_be() - bail out unless @cond is true
 * @cond: evaluated once
 */
#define must_be(cond)							\
do {									\
	if (!(cond))							\
		tap_bail("%s:%d: %s is false", __FILE__, __LINE__, #cond); \
} while (0)

#endif /* TESTS_LIB_TAP_H */
