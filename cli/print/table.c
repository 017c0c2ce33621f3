// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tables: see table.h.
 *
 * Memory: libsmartcols gets copies. When memory runs out the program exits, as in out.c.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libsmartcols/libsmartcols.h>

#include "memory.h"
#include "table.h"
#include "text.h"

/* Minimum width of a column that wraps, if its text is that wide. */
#define ROOM	24

static unsigned int min(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static unsigned int max(unsigned int a, unsigned int b)
{
	return a > b ? a : b;
}

static struct libscols_table *scols_new(void)
{
	struct libscols_table *tb = scols_new_table();

	if (!tb)
		ctl_no_memory();
	return tb;
}

/* Maximum width of a line: that of the terminal; without a terminal COLUMNS, or any width. */
static unsigned int limit(void)
{
	const char *env = getenv("COLUMNS");
	struct libscols_table *tb;
	size_t width;

	if (!isatty(STDOUT_FILENO) && (!env || !isdigit((unsigned char)*env)))
		return UINT_MAX;
	tb = scols_new();
	width = scols_table_get_termwidth(tb);
	scols_unref_table(tb);
	return width < UINT_MAX ? width : UINT_MAX;
}

static unsigned int word_width(const char *text)
{
	unsigned int most = 0;

	while (*text) {
		size_t len = strcspn(text, " ");

		most = max(most, text_width(text, len));
		text += len + strspn(text + len, " ");
	}
	return most;
}

static void measure(struct table *t)
{
	for (unsigned int c = 0; c < t->nr; c++) {
		struct table_col *col = &t->col[c];

		col->width = t->plain ? 0 : text_width(col->title, strlen(col->title));
		col->word = col->width;
		for (unsigned int r = 0; r < t->rows; r++) {
			const char *text = t->cell[(size_t)r * t->nr + c];

			col->width = max(col->width, text_width(text, strlen(text)));
			if (col->wrap)
				col->word = max(col->word, word_width(text));
		}
		if (!col->wrap)
			col->word = col->width;
	}
}

/* Minimum width of a column. */
static unsigned int least(const struct table_col *col)
{
	return min(col->width, max(col->word, ROOM));
}

/*
 * Break a text into lines of @width columns, between words. A line has at least one word. The
 * caller frees the result.
 */
static char *broken(const char *text, unsigned int width)
{
	char *lines = strdup(text), *line = lines, *end;
	char *fits = NULL;

	if (!lines)
		ctl_no_memory();
	for (end = line; *end; fits = end) {
		end += strspn(end, " ");
		end += strcspn(end, " ");
		if (!fits || text_width(line, end - line) <= width)
			continue;
		*fits = '\n';
		line = fits + 1;
		memmove(line, line + strspn(line, " "), strlen(line + strspn(line, " ")) + 1);
		end = line + strcspn(line, " ");
	}
	return lines;
}

/**
 * struct part - as many columns as fit into a line
 * @nr: number of columns
 * @col: indices of the columns
 * @width: maximum width of each
 * @used: width of all, with the gaps
 */
struct part {
	unsigned int nr;
	unsigned int *col;
	unsigned int *width;
	unsigned int used;
};

/* Widen the columns that wrap to fill the line, or narrow them if the line is too long. */
static void share(const struct table *t, struct part *p, unsigned int most)
{
	for (unsigned int i = 0; i < p->nr; i++) {
		const struct table_col *col = &t->col[p->col[i]];
		unsigned int more, narrow = least(col);

		if (p->used > most) {
			more = min(narrow - col->word, p->used - most);
			p->width[i] = narrow - more;
			p->used -= more;
		} else {
			more = min(col->width - narrow, most - p->used);
			p->width[i] = narrow + more;
			p->used += more;
		}
	}
}

static char *cell(const struct table *t, const struct part *p, unsigned int r, unsigned int i)
{
	return broken(t->cell[(size_t)r * t->nr + p->col[i]], p->width[i]);
}

static int set_options(struct libscols_table *tb, const struct table *t)
{
	/* text_visible() has encoded the text. */
	int ret = scols_table_enable_noencoding(tb, true);

	ret = ret ?: scols_table_set_termforce(tb, SCOLS_TERMFORCE_NEVER);
	ret = ret ?: scols_table_set_column_separator(tb, t->gap);
	ret = ret ?: scols_table_enable_minout(tb, true);
	return ret ?: scols_table_enable_noheadings(tb, t->plain);
}

static int add_column(struct libscols_table *tb, const struct table_col *col)
{
	int flags = (col->right ? SCOLS_FL_RIGHT : 0) | (col->wrap ? SCOLS_FL_WRAP : 0);
	struct libscols_column *cl = scols_table_new_column(tb, col->title, 0, flags);

	if (!cl)
		ctl_no_memory();
	if (!col->wrap)
		return 0;
	return scols_column_set_wrapfunc(cl, scols_wrapnl_chunksize, scols_wrapnl_nextchunk, NULL);
}

static int add_row(struct libscols_table *tb, const struct table *t, const struct part *p,
		   unsigned int r)
{
	struct libscols_line *ln = scols_table_new_line(tb, NULL);
	int ret = 0;

	if (!ln)
		ctl_no_memory();
	for (unsigned int i = 0; i < p->nr && !ret; i++)
		ret = scols_line_refer_data(ln, i, cell(t, p, r, i));
	return ret;
}

static void print_part(const struct table *t, const struct part *p)
{
	struct libscols_table *tb = scols_new();
	int ret = set_options(tb, t);

	for (unsigned int i = 0; !ret && i < p->nr; i++)
		ret = add_column(tb, &t->col[p->col[i]]);
	for (unsigned int r = 0; !ret && r < t->rows; r++)
		ret = add_row(tb, t, p, r);
	/* ctl_flush() finds out whether the table could be written. */
	ret = ret ?: scols_print_table(tb);
	if (ret == -ENOMEM)
		ctl_no_memory();
	scols_unref_table(tb);
}

static void add(const struct table *t, struct part *p, unsigned int c)
{
	p->used += least(&t->col[c]) + (p->nr ? strlen(t->gap) : 0);
	p->col[p->nr++] = c;
}

/**
 * table_print() - print a table
 * @t: the table; without rows, nothing is printed
 *
 * The width of the terminal, or COLUMNS, limits the width of lines.
 */
void table_print(struct table *t)
{
	unsigned int col[t->nr], width[t->nr], most = limit();
	struct part p = { .col = col, .width = width };

	if (!t->rows)
		return;
	measure(t);
	for (unsigned int c = 0; c < t->nr; c++) {
		bool room = strlen(t->gap) + least(&t->col[c]) + (size_t)p.used <= most;

		/* A part has at least one column besides the key. */
		if (!room && (p.nr > 1 || (p.nr && *p.col != t->key))) {
			share(t, &p, most);
			print_part(t, &p);
			putchar('\n');
			p.nr = 0;
			p.used = 0;
			if (c > t->key)
				add(t, &p, t->key);
		}
		add(t, &p, c);
	}
	share(t, &p, most);
	print_part(t, &p);
}
