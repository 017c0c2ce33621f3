/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tables for people: columns of text that is fit to be seen (text.h), laid out for a width.
 *
 * Where there is no limit a row is a line. Where there is one, text of columns that may wrap goes
 * over several lines, broken between words only; and columns for which there is no room are put
 * below the others, indented, with their titles in the same place. No word is ever broken, so a
 * single one that is wider than all there is sticks out.
 *
 * This is our own since libsmartcols, when columns do not fit, has no way but to cut them, to break
 * them anywhere or to leave the line too long; it can't put columns below others.
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
 * @below: on which line of a row it is, from 0
 */
struct table_col {
	const char *title;
	bool right;
	bool wrap;
	unsigned int width;
	unsigned int word;
	unsigned int below;
};

/**
 * struct table - a table
 * @nr: columns
 * @col: the columns
 * @rows: how many rows
 * @cell: text of the cells, row by row; to be freed
 */
struct table {
	unsigned int nr;
	struct table_col *col;
	unsigned int rows;
	char **cell;
};

unsigned int table_limit(void);
void table_print(struct table *t, unsigned int limit);
void table_text(const char *text, unsigned int at, unsigned int limit);

#endif /* CLI_TABLE_H */
