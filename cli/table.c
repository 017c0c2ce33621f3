// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tables for people: see table.h.
 *
 * Memory: libsmartcols gets copies. When memory is short the program ends, as in out.c.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libsmartcols/libsmartcols.h>

#include "cmd.h"
#include "table.h"
#include "text.h"

/* What text that wraps should have at least. */
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

/* How wide a line may be: as wide as the terminal; elsewhere COLUMNS, or any width. */
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

/* What a column should have at least. */
static unsigned int least(const struct table_col *col)
{
	return min(col->width, max(col->word, ROOM));
}

/*
 * Text for a column of that width: a newline where it goes on in the next line, after a word, at
 * least one. To be freed.
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
 * struct part - some of the columns, as many as fit beside each other
 * @nr: how many
 * @col: which
 * @width: how wide each may be
 * @used: how wide all are, with what is between them
 */
struct part {
	unsigned int nr;
	unsigned int *col;
	unsigned int *width;
	unsigned int used;
};

/* Give columns that wrap what is left; if too much is used already, take of what they have. */
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

static void print_part(const struct table *t, const struct part *p)
{
	struct libscols_table *tb = scols_new();
	struct libscols_column *cl;
	struct libscols_line *ln;
	int ret;

	/* Text is fit to be seen, and is so wide already. */
	ret = scols_table_enable_noencoding(tb, true);
	ret = ret ?: scols_table_set_termforce(tb, SCOLS_TERMFORCE_NEVER);
	ret = ret ?: scols_table_set_column_separator(tb, t->gap);
	ret = ret ?: scols_table_enable_minout(tb, true);
	ret = ret ?: scols_table_enable_noheadings(tb, t->plain);
	for (unsigned int i = 0; !ret && i < p->nr; i++) {
		const struct table_col *c = &t->col[p->col[i]];

		cl = scols_table_new_column(tb, c->title, 0,
					    (c->right ? SCOLS_FL_RIGHT : 0) |
						    (c->wrap ? SCOLS_FL_WRAP : 0));
		if (!cl)
			ctl_no_memory();
		if (c->wrap)
			ret = scols_column_set_wrapfunc(cl, scols_wrapnl_chunksize,
							scols_wrapnl_nextchunk, NULL);
	}
	for (unsigned int r = 0; !ret && r < t->rows; r++) {
		ln = scols_table_new_line(tb, NULL);
		if (!ln)
			ctl_no_memory();
		for (unsigned int i = 0; i < p->nr && !ret; i++)
			ret = scols_line_refer_data(ln, i, cell(t, p, r, i));
	}
	/* Whether it could be written is found out at the end: ctl_flush(). */
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
 * @t: the table; one without rows is nothing
 *
 * On a terminal, or where COLUMNS is set, for lines of its width.
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

		/* A part has a column besides the key. */
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
