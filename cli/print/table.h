/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tables: columns of text from text_visible(), in lines of a given width.
 *
 * libsmartcols aligns, pads and prints the columns. table.c tells it that there is no terminal, and
 * fits the table to the width itself, because the library lacks two things:
 *
 * - Line breaks between words. The library breaks text anywhere, or at newlines. So table.c puts
 *   newlines between words, for the width of the column.
 * - Columns that do not fit. The library cuts them, or prints lines that are too long. So table.c
 *   prints several tables, one below the other. Each repeats the column that identifies the rows.
 *
 * table.c never breaks a word. A word that is wider than the line makes the line too long.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>

/**
 * struct table_col - a column
 * @title: its title
 * @right: align it to the right
 * @wrap: its text may continue in the next line
 * @width: width of its widest text
 * @word: width of its widest word
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
 * @nr: number of columns
 * @col: the columns
 * @key: the column that identifies a row
 * @rows: number of rows
 * @cell: text of the cells, row by row; the caller frees it
 * @gap: the blanks between two columns
 * @plain: print no titles
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
