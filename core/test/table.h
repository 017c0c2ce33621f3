/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames of the tests of tables: the device table and the table of limits.
 */
#ifndef IOPF_CORE_TEST_TABLE_H
#define IOPF_CORE_TEST_TABLE_H

#include "unit.h"

#include "../devtable.h"

/**
 * struct table_bad - a table with an error
 * @text: the table
 * @line: line of the error
 * @column: its column
 * @word: the word that the error is about
 * @why: the beginning of the message
 */
struct table_bad {
	const char *text;
	unsigned int line;
	unsigned int column;
	const char *word;
	const char *why;
};

/*
 * Returns a copy without a NUL, in memory that ends with the text. The caller frees the copy after
 * the table.
 */
static inline char *table_copy(const char *text)
{
	size_t len = strlen(text);
	char *copy = malloc(len);

	assert_true(copy || !len);
	memcpy(copy, text, len);
	return copy;
}

static inline void table_result_is(int ret, int want, const char *text,
				   const struct iopf_devtable_error *err)
{
	if (ret != want)
		fail_msg("%s: \"%s\", column %u: %s", want ? "accepted" : "refused", text,
			 want ? 0 : err->column, want ? "" : err->why);
}

static inline void table_error_is(const struct iopf_devtable_error *err,
				  const struct table_bad *bad)
{
	if (err->line != bad->line || err->column != bad->column ||
	    !iopf_word_is(err->word, err->len, bad->word) ||
	    strncmp(err->why, bad->why, strlen(bad->why)))
		fail_msg("\"%s\": line %u, column %u: '%.*s': %s", bad->text, err->line,
			 err->column, (int)err->len, err->word, err->why);
}

#endif /* IOPF_CORE_TEST_TABLE_H */
