/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Results: rows of named values, printed as a table for people or as JSON for programs. Both come
 * from the same JSON objects, so they agree.
 *
 * An unknown value is null in JSON and "-" in a table. Numbers, and ids that are numbers, are JSON
 * numbers. Strings may contain any bytes: text.h makes them safe to print. The keys of JSON are an
 * interface: iopfctl(8) lists them.
 */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include <stdbool.h>

#include <json-c/json.h>

#define OUT_RIGHT	0x1	/* right-aligned: numbers */
#define OUT_SIZE	0x2	/* bytes, in tables as K, M, G */
#define OUT_WRAP	0x4	/* text of any length, which may take several lines */
#define OUT_DETAIL	0x8	/* in records and JSON only, not in tables */
#define OUT_KEY		0x10	/* identifies the row; without this flag the first column does */

/**
 * struct out_col - a column
 * @key: of the value, in JSON
 * @title: of the column, in tables and records
 * @flags: OUT_*
 */
struct out_col {
	const char *key;
	const char *title;
	unsigned int flags;
};

void out_set_json(void);
bool out_is_json(void);

int out_table(const struct out_col *cols, unsigned int nr, const char *key,
	      struct json_object *rows);
int out_records(const struct out_col *cols, unsigned int nr, const char *key,
		struct json_object *rows);
int out_json(struct json_object *value, bool line);

void out_put(struct json_object *row, const char *key, struct json_object *value);
void out_append(struct json_object *rows, struct json_object *value);
struct json_object *out_object(void);
struct json_object *out_array(void);
struct json_object *out_string(const char *s);
struct json_object *out_known(const char *s);
struct json_object *out_number(const char *s);
void out_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif /* CLI_OUT_H */
