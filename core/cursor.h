/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A parser of rules, which administrators write: the common part of the device table and the table
 * of limits. devtable.c has the functions. Only devtable.c and limtable.c include this header.
 */
#ifndef IOPF_CORE_CURSOR_H
#define IOPF_CORE_CURSOR_H

#include "devtable.h"

/**
 * struct iopf_cursor - a position in a text
 * @line: start of the line
 * @at: next byte to read
 * @end: end of the line without its comment
 * @nr: number of the line
 * @err: out: the error
 */
struct iopf_cursor {
	const char *line;
	const char *at;
	const char *end;
	unsigned int nr;
	struct iopf_devtable_error *err;
};

/**
 * struct iopf_text_word - a word in a text
 * @s: the word
 * @len: its length; 0 at the end of the line
 */
struct iopf_text_word {
	const char *s;
	size_t len;
};

int iopf_cursor_blame(const struct iopf_cursor *c, const struct iopf_text_word *w, const char *why);
struct iopf_text_word iopf_cursor_word(struct iopf_cursor *c);
void iopf_cursor_source(const struct iopf_cursor *c, struct iopf_rule *r, const char *end);
int iopf_cursor_room(struct iopf_cursor *c, unsigned int nr, unsigned int max);
int iopf_cursor_match(struct iopf_cursor *c, struct iopf_rule *r, const struct iopf_text_word *w,
		      unsigned long *seen);
int iopf_cursor_lines(const char *text, size_t len, struct iopf_devtable_error *err,
		      int (*rule)(struct iopf_cursor *c, const char *end, void *data), void *data);
bool iopf_rule_matches(const struct iopf_rule *r, const struct iopf_id *id);

#endif /* IOPF_CORE_CURSOR_H */
