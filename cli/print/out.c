// SPDX-License-Identifier: GPL-2.0-only
/*
 * Results as tables and as JSON: see out.h.
 *
 * Strings in rows are unchanged input: any bytes. This file makes them safe to print.
 *
 * Memory: an object belongs to the object that contains it. The rows of out_table() and
 * out_records() stay with the caller. When memory runs out the program exits: code that prints
 * leaves no change half done.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "exit.h"
#include "memory.h"
#include "out.h"
#include "size.h"
#include "table.h"
#include "text.h"

static bool json_wanted;

/** out_set_json() - print JSON instead of tables from now on */
void out_set_json(void)
{
	json_wanted = true;
}

/** out_is_json() - whether results are JSON */
bool out_is_json(void)
{
	return json_wanted;
}

/**
 * out_put() - put a value into an object
 * @row: the object
 * @key: a constant
 * @value: the value, which becomes part of @row; NULL: null
 */
void out_put(struct json_object *row, const char *key, struct json_object *value)
{
	if (json_object_object_add_ex(row, key, value, JSON_C_OBJECT_ADD_CONSTANT_KEY))
		ctl_no_memory();
}

/**
 * out_append() - append a value to an array
 * @rows: the array
 * @value: the value, which becomes part of @rows
 */
void out_append(struct json_object *rows, struct json_object *value)
{
	if (json_object_array_add(rows, value))
		ctl_no_memory();
}

static struct json_object *made(struct json_object *value)
{
	if (!value)
		ctl_no_memory();
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

/**
 * out_number() - a number if a text is one, otherwise a string
 * @s: the text
 */
struct json_object *out_number(const char *s)
{
	char *end;
	unsigned long long value;

	if (!isdigit((unsigned char)*s))
		return out_string(s);
	errno = 0;
	value = strtoull(s, &end, 10);
	return errno || *end ? out_string(s) : made(json_object_new_uint64(value));
}

static void print_value(FILE *f, const struct out_col *col, struct json_object *value);

static void print_list(FILE *f, const struct out_col *col, struct json_object *list)
{
	if (!json_object_array_length(list))
		fputs("-", f);
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		if (i)
			fputs(", ", f);
		print_value(f, col, json_object_array_get_idx(list, i));
	}
}

static void print_value(FILE *f, const struct out_col *col, struct json_object *value)
{
	char size[32];

	switch (json_object_get_type(value)) {
	case json_type_null:
		fputs("-", f);
		break;
	case json_type_boolean:
		fputs(json_object_get_boolean(value) ? "yes" : "no", f);
		break;
	case json_type_double:
		fprintf(f, "%.1f", json_object_get_double(value));
		break;
	case json_type_int:
		if (col->flags & OUT_SIZE) {
			size_text(json_object_get_uint64(value), size, sizeof(size));
			fputs(size, f);
		} else {
			fprintf(f, "%llu", (unsigned long long)json_object_get_uint64(value));
		}
		break;
	case json_type_array:
		print_list(f, col, value);
		break;
	default:
		fwrite(json_object_get_string(value), 1, json_object_get_string_len(value), f);
	}
}

/* Return the text of a value in a table. The caller frees it. */
static char *visible(const struct out_col *col, struct json_object *row)
{
	char *raw = NULL, *text;
	size_t len;
	FILE *f = open_memstream(&raw, &len);

	if (!f)
		ctl_no_memory();
	print_value(f, col, json_object_object_get(row, col->key));
	if (fclose(f))
		ctl_no_memory();
	text = text_visible(raw, len);
	free(raw);
	return text;
}

/**
 * out_line() - print a line of text
 * @fmt: the line, without a newline
 */
void out_line(const char *fmt, ...)
{
	char *raw, *text;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vasprintf(&raw, fmt, args);
	va_end(args);
	if (len < 0)
		ctl_no_memory();
	text = text_visible(raw, len);
	puts(text);
	free(text);
	free(raw);
}

/**
 * out_json() - print JSON
 * @value: the value, which stays with the caller
 * @line: print it in one line, for a stream of values
 *
 * Return: CTL_OK; ctl_flush() finds out whether it could be written
 */
int out_json(struct json_object *value, bool line)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
	const char *text;

	if (!line)
		flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	text = json_object_to_json_string_ext(value, flags);
	if (!text)
		ctl_no_memory();
	text_json(stdout, text);
	putchar('\n');
	return CTL_OK;
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

static struct table table_new(struct table_col *col, unsigned int rows, unsigned int nr)
{
	struct table t = { .col = col, .rows = rows, .gap = " " };

	t.cell = calloc((size_t)rows * nr + 1, sizeof(*t.cell));
	if (!t.cell)
		ctl_no_memory();
	return t;
}

static void table_end(struct table *t)
{
	table_print(t);
	for (size_t i = 0; i < (size_t)t->rows * t->nr; i++)
		free(t->cell[i]);
	free(t->cell);
}

/**
 * out_table() - print rows as a table, or as JSON after out_set_json()
 * @cols: the columns
 * @nr: number of columns
 * @key: the key of the rows in JSON
 * @rows: an array of objects, which stays with the caller
 *
 * Return: CTL_OK, as out_json()
 */
int out_table(const struct out_col *cols, unsigned int nr, const char *key,
	      struct json_object *rows)
{
	struct table_col col[nr];
	struct table t;
	size_t cells = 0;

	if (json_wanted)
		return json_rows(key, rows);
	t = table_new(col, json_object_array_length(rows), nr);
	for (unsigned int i = 0; i < nr; i++) {
		if (cols[i].flags & OUT_DETAIL)
			continue;
		if (cols[i].flags & OUT_KEY)
			t.key = t.nr;
		col[t.nr++] = (struct table_col){
			.title = cols[i].title,
			.right = cols[i].flags & OUT_RIGHT,
			.wrap = cols[i].flags & OUT_WRAP,
		};
	}
	for (unsigned int r = 0; r < t.rows; r++)
		for (unsigned int i = 0; i < nr; i++)
			if (!(cols[i].flags & OUT_DETAIL))
				t.cell[cells++] = visible(&cols[i],
							  json_object_array_get_idx(rows, r));
	table_end(&t);
	return CTL_OK;
}

static void print_record(const struct out_col *cols, unsigned int nr, struct json_object *row)
{
	struct table_col col[] = { { .title = "" }, { .title = "", .wrap = true } };
	struct table t = table_new(col, nr, ARRAY_SIZE(col));

	t.nr = ARRAY_SIZE(col);
	t.gap = "  ";
	t.plain = true;
	for (unsigned int i = 0; i < nr; i++) {
		t.cell[2 * i] = text_visible(cols[i].title, strlen(cols[i].title));
		t.cell[2 * i + 1] = visible(&cols[i], row);
	}
	table_end(&t);
}

/**
 * out_records() - print each value of each row in a line, or JSON after out_set_json()
 * @cols: the values, including those with OUT_DETAIL
 * @nr: number of values
 * @key: the key of the rows in JSON
 * @rows: an array of objects, which stays with the caller
 *
 * Return: CTL_OK, as out_json()
 */
int out_records(const struct out_col *cols, unsigned int nr, const char *key,
		struct json_object *rows)
{
	if (json_wanted)
		return json_rows(key, rows);
	for (size_t r = 0; r < json_object_array_length(rows); r++) {
		if (r)
			putchar('\n');
		print_record(cols, nr, json_object_array_get_idx(rows, r));
	}
	return CTL_OK;
}
