/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tables for people: columns of text that is fit to be seen (text.h), for lines of a width.
 *
 * libsmartcols lays them out. It is used as if there were no terminal: it aligns, pads and prints
 * what it gets, of any width. For where there is one this is ours, because the library can't do it:
 *
 * - where text goes on in the next line. The library breaks it anywhere, or where there is a
 *   newline: so newlines are put between words, for the width that the column gets.
 * - which columns fit. The library cuts those that don't, or leaves the line too long: so a table
 *   becomes several, one below the other, each with the column that says what its rows are.
 *
 * No word is ever broken, so a single one that is wider than all there is sticks out.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>

/**
 * struct table_col - a column
 * @title: its title
 * @right: aligned to the right
 * @wrap: its text may be broken between words
 * @width: how wide it is
 * @word: how wide its widest word is
 */
struct table_col {
	const char *title;
	bool right;
	bool wrap;
	unsigned int width;
	unsigned int word;
};

/**
 * struct table - a table
 * @nr: columns
 * @col: the columns
 * @key: the column that says what a row is
 * @rows: how many rows
 * @cell: text of the cells, row by row; to be freed
 * @gap: what is between columns: blanks
 * @plain: without titles
 */
struct table {
	unsigned int nr;
	struct table_col *col;
	unsigned int key;
	unsigned int rows;
	char **cell;
	const char *gap;
	bool plain;
};

void table_print(struct table *t);

#endif /* CLI_TABLE_H */
