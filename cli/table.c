// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tables for people: see table.h.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "table.h"
#include "text.h"

/* Between columns, before what is below, and what text that wraps should have at least. */
#define GAP	1
#define INDENT	2
#define ROOM	24

/**
 * table_limit() - how wide a line may be
 *
 * Return: COLUMNS of the environment; the width of the terminal; 0 where there is none: no limit.
 */
unsigned int table_limit(void)
{
	const char *env = getenv("COLUMNS");
	struct winsize size;
	char *end;

	if (env && isdigit((unsigned char)*env)) {
		unsigned long columns = strtoul(env, &end, 10);

		if (!*end && columns && columns < 65536)
			return columns;
	}
	if (!isatty(STDOUT_FILENO))
		return 0;
	return !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col ? size.ws_col : 80;
}

static unsigned int min(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static unsigned int max(unsigned int a, unsigned int b)
{
	return a > b ? a : b;
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

		col->below = 0;
		col->width = text_width(col->title, strlen(col->title));
		col->word = col->width;
		for (unsigned int r = 0; r < t->rows; r++) {
			const char *text = t->cell[(size_t)r * t->nr + c];

			col->width = max(col->width, text_width(text, strlen(text)));
			if (col->wrap)
				col->word = max(col->word, word_width(text));
		}
	}
}

/* What a column has to have. */
static unsigned int least(const struct table_col *col)
{
	return col->wrap ? min(col->width, max(col->word, ROOM)) : col->width;
}

/* Columns @from to before @to share a line: give those that wrap what the others leave. */
static void share(struct table *t, unsigned int from, unsigned int to, unsigned int limit)
{
	unsigned int used = t->col[from].below ? INDENT : 0;

	for (unsigned int c = from; c < to; c++)
		used += least(&t->col[c]) + (c > from ? GAP : 0);
	for (unsigned int c = from; c < to; c++) {
		unsigned int narrow = least(&t->col[c]);
		unsigned int more = min(t->col[c].width - narrow, limit > used ? limit - used : 0);

		t->col[c].width = narrow + more;
		used += more;
	}
}

/* See which column goes where. */
static void fold(struct table *t, unsigned int limit)
{
	unsigned int from = 0, used = 0;

	for (unsigned int c = 0; c < t->nr; c++) {
		struct table_col *col = &t->col[c];
		unsigned int want = least(col) + (c > from ? GAP : 0);

		if (c > from && used + want > limit) {
			share(t, from, c, limit);
			col->below = t->col[from].below + 1;
			from = c;
			used = INDENT + least(col);
		} else {
			col->below = t->col[from].below;
			used += want;
		}
	}
	share(t, from, t->nr, limit);
}

/* How much of @text goes into a line of @width columns: to the end of a word, at least of one. */
static size_t some(const char *text, unsigned int width)
{
	size_t fits = 0, at = 0;

	while (text[at]) {
		at += strspn(text + at, " ");
		at += strcspn(text + at, " ");
		if (fits && text_width(text, at) > width)
			break;
		fits = at;
	}
	return fits;
}

static void pad(unsigned int n)
{
	printf("%*s", (int)n, "");
}

/*
 * One line of columns @from to before @to. @rest is what is left of the text of each, and moves on.
 * Blanks that are due are printed before what comes after them only.
 */
static bool print_line(const struct table *t, const char **rest, unsigned int from, unsigned int to)
{
	unsigned int due = t->col[from].below ? INDENT : 0;
	bool more = false;

	for (unsigned int c = from; c < to; c++) {
		const struct table_col *col = &t->col[c];
		size_t len = col->wrap ? some(rest[c], col->width) : strlen(rest[c]);
		unsigned int width = text_width(rest[c], len);
		unsigned int fill = col->width > width ? col->width - width : 0;

		if (len) {
			pad(due + (col->right ? fill : 0));
			fwrite(rest[c], 1, len, stdout);
			due = (col->right ? 0 : fill) + GAP;
		} else {
			due += fill + GAP;
		}
		rest[c] += len + strspn(rest[c] + len, " ");
		more |= *rest[c];
	}
	putchar('\n');
	return more;
}

/* A row, or the titles: all lines of it. */
static void print_row(const struct table *t, const char **rest)
{
	for (unsigned int from = 0, to; from < t->nr; from = to) {
		to = from + 1;
		while (to < t->nr && t->col[to].below == t->col[from].below)
			to++;
		while (print_line(t, rest, from, to))
			;
	}
}

/**
 * table_print() - print a table
 * @t: the table; one without rows is nothing
 * @limit: how wide a line may be; 0: any width
 */
void table_print(struct table *t, unsigned int limit)
{
	const char *rest[t->nr];

	if (!t->rows)
		return;
	measure(t);
	if (limit)
		fold(t, limit);
	for (unsigned int c = 0; c < t->nr; c++)
		rest[c] = t->col[c].title;
	print_row(t, rest);
	for (unsigned int r = 0; r < t->rows; r++) {
		for (unsigned int c = 0; c < t->nr; c++)
			rest[c] = t->cell[(size_t)r * t->nr + c];
		print_row(t, rest);
	}
}

/**
 * table_text() - print the rest of a line, and as many lines below as it takes
 * @text: what to print
 * @at: the column it begins in, and stays in
 * @limit: how wide a line may be; 0: any width
 */
void table_text(const char *text, unsigned int at, unsigned int limit)
{
	do {
		size_t len = limit ? some(text, limit > at ? limit - at : 1) : strlen(text);

		fwrite(text, 1, len, stdout);
		putchar('\n');
		text += len + strspn(text + len, " ");
		if (*text)
			pad(at);
	} while (*text);
}
