/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The basis of each test of iopfctl: a tree of plain files in place of /sys, and runs of the
 * program on this tree. The program runs in a process of its own, and is built with sanitizers.
 */
#ifndef CLI_TEST_TREE_H
#define CLI_TEST_TREE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <cmocka.h>
#include <json-c/json.h>

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif

/* The uid of an unprivileged user. */
#define TREE_NOBODY	65534

/**
 * struct tree - a tree and the last run
 * @dir: its root
 * @config: path of the administrator's file in it; the file need not exist
 * @as_nobody: run as an unprivileged user
 * @no_stdout: run without stdout
 * @out_file: stdout of runs, or NULL
 * @file_limit: maximum size of files that runs write; 0: no limit
 * @locale: locale of runs; "": none is set; NULL: C
 * @locales: directory of locales, or NULL
 * @other_charset: the charset of @locale is neither UTF-8 nor ASCII
 * @columns: environment variable COLUMNS of runs, or NULL
 * @terminal: columns of the terminal that runs print to; 0: they print to a pipe
 * @status: exit status of the last run
 * @out: its output
 * @err: its messages on stderr
 * @json: @out parsed, if it is JSON
 */
struct tree {
	char dir[64];
	char config[128];
	bool as_nobody;
	bool no_stdout;
	const char *out_file;
	unsigned int file_limit;
	const char *locale;
	const char *locales;
	bool other_charset;
	const char *columns;
	unsigned int terminal;
	int status;
	char *out;
	char *err;
	struct json_object *json;
};

int tree_up(void **state);
int tree_down(void **state);

void tree_file(struct tree *t, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void tree_bytes(struct tree *t, const char *path, const void *bytes, size_t len);
void tree_link(struct tree *t, const char *path, const char *target);
void tree_dir(struct tree *t, const char *path);
void tree_remove(struct tree *t, const char *path);
const char *tree_read(struct tree *t, const char *path);

void tree_module(struct tree *t);
void tree_container(struct tree *t, unsigned int id, const char *comm);
void tree_device(struct tree *t, const char *name, const char *container, unsigned int faults);

int tree_run(struct tree *t, ...) __attribute__((sentinel));
unsigned int tree_opens(struct tree *t, ...) __attribute__((sentinel));
FILE *tree_start(struct tree *t, pid_t *pid, ...) __attribute__((sentinel));

struct json_object *tree_json(struct tree *t, const char *pointer);
bool tree_json_null(struct tree *t, const char *pointer);

void tree_fits(const char *text, unsigned int columns);
void tree_has_words(const char *text, const char *words);

void tree_want(int got, int want, const char *file, int line);
void tree_says(const char *text, const char *part, bool want, const char *file, int line);
void tree_is(struct tree *t, const char *pointer, enum json_type type, int64_t want,
	     const char *file, int line);

/* Run with these arguments, and check that the exit status is @want. */
#define RUN(t, want, ...) \
	tree_want(tree_run(t, __VA_ARGS__, NULL), want, __FILE__, __LINE__)

#define SAYS(text, part)	tree_says(text, part, true, __FILE__, __LINE__)
#define SAYS_NOT(text, part)	tree_says(text, part, false, __FILE__, __LINE__)

#define JSON_INT(t, pointer, want) \
	tree_is(t, pointer, json_type_int, want, __FILE__, __LINE__)

#define JSON_BOOL(t, pointer, want) \
	tree_is(t, pointer, json_type_boolean, want, __FILE__, __LINE__)

#define JSON_STRING(t, pointer, want) \
	assert_string_equal(json_object_get_string(tree_json(t, pointer)), want)

#define JSON_NULL(t, pointer)	assert_true(tree_json_null(t, pointer))

#define JSON_LENGTH(t, pointer, want) \
	assert_int_equal(json_object_array_length(tree_json(t, pointer)), want)

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, tree_up, tree_down)

#endif /* CLI_TEST_TREE_H */
