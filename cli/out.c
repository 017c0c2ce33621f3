// SPDX-License-Identifier: GPL-2.0-only
/*
 * Results as tables and as JSON: see out.h.
 *
 * Memory: objects belong to what they are put into; out_table() and out_records() leave their rows
 * to the caller. When memory is short the program ends: it has nothing half done while it prints.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libsmartcols.h>

#include "cmd.h"
#include "out.h"
#include "size.h"

#define TEXT	4096

static void no_memory(void)
{
	ctl_note("out of memory");
	exit(CTL_FAILED);
}

/**
 * out_put() - put a value into an object
 * @row: the object
 * @key: a constant
 * @value: the value, or NULL: null; belongs to @row afterwards
 */
void out_put(struct json_object *row, const char *key, struct json_object *value)
{
	if (json_object_object_add_ex(row, key, value, JSON_C_OBJECT_ADD_CONSTANT_KEY))
		no_memory();
}

/**
 * out_append() - put a value at the end of an array
 * @rows: the array
 * @value: the value; belongs to @rows afterwards
 */
void out_append(struct json_object *rows, struct json_object *value)
{
	if (json_object_array_add(rows, value))
		no_memory();
}

static struct json_object *made(struct json_object *value)
{
	if (!value)
		no_memory();
	return value;
}

/** out_object() - an empty object */
struct json_object *out_object(void)
{
	return made(json_object_new_object());
}

/** out_array() - an empty array */
struct json_object *out_array(void)
{
	return made(json_object_new_array());
}

/** out_string() - a string */
struct json_object *out_string(const char *s)
{
	return made(json_object_new_string(s));
}

/** out_known() - a string, or null for "" */
struct json_object *out_known(const char *s)
{
	return *s ? out_string(s) : NULL;
}

/* A value as people read it. */
static void text_of(const struct out_col *col, struct json_object *value, char *buf, size_t size)
{
	size_t n = 0;

	switch (json_object_get_type(value)) {
	case json_type_null:
		snprintf(buf, size, "-");
		break;
	case json_type_boolean:
		snprintf(buf, size, "%s", json_object_get_boolean(value) ? "yes" : "no");
		break;
	case json_type_double:
		snprintf(buf, size, "%.1f", json_object_get_double(value));
		break;
	case json_type_int:
		if (col->flags & OUT_SIZE)
			size_text(json_object_get_uint64(value), buf, size);
		else
			snprintf(buf, size, "%llu",
				 (unsigned long long)json_object_get_uint64(value));
		break;
	case json_type_array:
		snprintf(buf, size, "-");
		for (size_t i = 0; i < json_object_array_length(value) && n < size; i++)
			n += snprintf(buf + n, size - n, "%s%s", i ? ", " : "",
				      json_object_get_string(json_object_array_get_idx(value, i)));
		break;
	default:
		snprintf(buf, size, "%s", json_object_get_string(value));
	}
}

/**
 * out_json() - print JSON
 * @value: what to print; the caller's
 * @line: all on one line, for streams of them
 *
 * Return: CTL_OK or CTL_FAILED.
 */
int out_json(struct json_object *value, bool line)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
	const char *text;

	if (!line)
		flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	text = json_object_to_json_string_ext(value, flags);
	if (!text)
		no_memory();
	return puts(text) < 0 ? ctl_fail_errno(-errno, "writing the result") : CTL_OK;
}

static int json_rows(const char *key, struct json_object *rows)
{
	struct json_object *top = out_object();
	int status;

	out_put(top, key, json_object_get(rows));
	status = out_json(top, false);
	json_object_put(top);
	return status;
}

static struct libscols_table *table_new(const struct out_col *cols, unsigned int nr)
{
	struct libscols_table *tb;

	scols_init_debug(0);
	tb = scols_new_table();
	if (!tb)
		return NULL;
	for (unsigned int i = 0; i < nr; i++) {
		int flags = 0;

		if (cols[i].flags & OUT_DETAIL)
			continue;
		if (cols[i].flags & OUT_RIGHT)
			flags |= SCOLS_FL_RIGHT;
		if (cols[i].flags & OUT_WRAP)
			flags |= SCOLS_FL_WRAP;
		if (!scols_table_new_column(tb, cols[i].title, 0, flags)) {
			scols_unref_table(tb);
			return NULL;
		}
	}
	return tb;
}

static int table_line(struct libscols_table *tb, const struct out_col *cols, unsigned int nr,
		      struct json_object *row)
{
	struct libscols_line *line = scols_table_new_line(tb, NULL);
	char text[TEXT];
	size_t n = 0;

	if (!line)
		return -ENOMEM;
	for (unsigned int i = 0; i < nr; i++) {
		if (cols[i].flags & OUT_DETAIL)
			continue;
		text_of(&cols[i], json_object_object_get(row, cols[i].key), text, sizeof(text));
		if (scols_line_set_data(line, n++, text))
			return -ENOMEM;
	}
	return 0;
}

/**
 * out_table() - print rows as a table, or as JSON if that is wanted
 * @cols: the columns
 * @nr: how many
 * @key: what the rows are, in JSON
 * @rows: an array of objects; the caller's
 *
 * Return: CTL_OK or CTL_FAILED.
 */
int out_table(const struct out_col *cols, unsigned int nr, const char *key,
	      struct json_object *rows)
{
	struct libscols_table *tb;
	int ret = 0;

	if (ctl.json)
		return json_rows(key, rows);
	tb = table_new(cols, nr);
	if (!tb)
		no_memory();
	for (size_t i = 0; !ret && i < json_object_array_length(rows); i++)
		ret = table_line(tb, cols, nr, json_object_array_get_idx(rows, i));
	if (!ret)
		ret = scols_print_table(tb);
	scols_unref_table(tb);
	return ret ? ctl_fail_errno(ret, "printing a table") : CTL_OK;
}

/**
 * out_records() - print rows with a line for each value, or as JSON if that is wanted
 * @cols: the values, those with OUT_DETAIL as well
 * @nr: how many
 * @key: what the rows are, in JSON
 * @rows: an array of objects; the caller's
 *
 * Return: CTL_OK or CTL_FAILED.
 */
int out_records(const struct out_col *cols, unsigned int nr, const char *key,
		struct json_object *rows)
{
	char text[TEXT];
	int width = 0;

	if (ctl.json)
		return json_rows(key, rows);
	for (unsigned int i = 0; i < nr; i++)
		if ((int)strlen(cols[i].title) > width)
			width = strlen(cols[i].title);
	for (size_t r = 0; r < json_object_array_length(rows); r++) {
		struct json_object *row = json_object_array_get_idx(rows, r);

		if (r)
			putchar('\n');
		for (unsigned int i = 0; i < nr; i++) {
			text_of(&cols[i], json_object_object_get(row, cols[i].key), text,
				sizeof(text));
			printf("%-*s  %s\n", width, cols[i].title, text);
		}
	}
	return CTL_OK;
}
