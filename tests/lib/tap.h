/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TAP output of the VM tests, and the ways to give up.
 *
 * A test prints its points in the order they are decided, the plan at the end
 * (tap_done()) unless tap_plan() gave it first. Exit status: 0 every point ok, 1 a
 * point failed or the test gave up, 77 the whole test was skipped.
 *
 * Vocabulary: a "point" is one ok / not ok line. "must" is for set-up: what has to
 * work for the test to mean anything; when it does not, the test bails out, which
 * counts as a failure, never as a skip.
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
 * tap_plan() - announce how many points will follow; optional, at most once, first
 * @points: how many
 */
void tap_plan(unsigned int points);

/**
 * tap_ok() - decide one point
 * @pass: passed
 * @fmt: what the point says, without a newline
 *
 * Return: @pass
 */
bool tap_ok(bool pass, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * tap_is() - decide one point: two numbers are equal; prints both when they are not
 * @got: what came out
 * @want: what should have
 * @fmt: what the point says
 *
 * Return: equal
 */
bool tap_is(uint64_t got, uint64_t want, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * tap_errno_is() - decide one point: two results, each 0 or a negative errno, are equal
 * @got: what came out
 * @want: what should have
 * @fmt: what the point says
 *
 * Return: equal
 */
bool tap_errno_is(int got, int want, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/** tap_diag() - one line of comment; may be called from any thread */
void tap_diag(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * tap_skip() - one point that can't be decided here, with the reason
 * @why: the reason
 * @fmt: what the point would have said
 */
void tap_skip(const char *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** tap_skip_all() - nothing of this test can be decided here: print the reason, exit 77 */
void tap_skip_all(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/** tap_bail() - give up: "Bail out!", exit 1 */
void tap_bail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/** tap_failed() - points failed so far */
unsigned int tap_failed(void);

/**
 * tap_quiet() - from now on count the points, but print failures as comments only
 * @on: on or off
 *
 * For a check that is expected to fail: negative controls run a check under it and
 * then decide one point of their own about tap_quiet_failures().
 */
void tap_quiet(bool on);

/** tap_quiet_failures() - points that failed since the last tap_quiet(true) */
unsigned int tap_quiet_failures(void);

/**
 * tap_done() - print the plan, if tap_plan() did not, and a summary of the failures
 *
 * Return: the exit status of the test
 */
int tap_done(void);

/**
 * tap_forget() - forget every point: for a child that uses the library but reports to
 * its parent by exit status; it must leave with _exit()
 */
void tap_forget(void);

/**
 * tap_fork() - fork() a child that does not report points: see tap_forget()
 * @quiet: its points are not printed, only counted: see tap_quiet()
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
