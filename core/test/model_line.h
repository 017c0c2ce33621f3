/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The model of a line of a table: the device table and the table of limits. A line is cut into
 * words and put together again with single blanks between them. The grammar of the table says
 * whether words are the beginning of a rule, and whether they are a whole rule. A wrong word is the
 * first one after which the words are not the beginning of a rule. The includer defines CHECK().
 */
#ifndef IOPF_CORE_TEST_MODEL_LINE_H
#define IOPF_CORE_TEST_MODEL_LINE_H

#include "../devtable.h"

/* A line, parsed by the model. */
struct model_line {
	enum { LINE_EMPTY, LINE_RULE, LINE_BAD } kind;
	size_t column;		/* position of the wrong word or byte, from 1 */
	size_t len;		/* length of the wrong word */
	size_t first;		/* position of the rule in the line */
	size_t rule_len;
	size_t source;		/* position of its comment */
	size_t source_len;
	char rule[IOPF_DEVTABLE_MAX_LINE + 2]; /* words of the rule, a blank after each */
};

struct model_grammar {
	bool (*begins)(const char *words);
	bool (*whole)(const char *words);
};

static inline bool line_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Returns the position at which the rule ends and the comment begins. */
static inline size_t line_end(const char *s, size_t len)
{
	size_t end = len;

	for (size_t i = len; i--;)
		if (s[i] == '#' && (!i || line_blank(s[i - 1])))
			end = i;
	return end;
}

/* Returns the column of the first byte that is not allowed; 0: all bytes are allowed. */
static inline size_t line_bad_byte(const char *s, size_t len, size_t end)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = s[i];

		if ((c < ' ' && c != '\t') || c == 0x7f || (c > 0x7f && i < end))
			return i + 1;
	}
	return 0;
}

/* Copies the words to @l. Returns false if one is wrong. */
static inline bool line_words(const struct model_grammar *g, const char *s, size_t end,
			      struct model_line *l)
{
	size_t out = 0, n;

	for (size_t i = 0; i < end; i += n) {
		n = 0;
		if (line_blank(s[i])) {
			n = 1;
			continue;
		}
		while (i + n < end && !line_blank(s[i + n]))
			n++;
		if (!out)
			l->first = i;
		memcpy(l->rule + out, s + i, n);
		l->rule[out + n] = ' ';
		out += n + 1;
		l->rule[out] = '\0';
		l->rule_len = i + n - l->first;
		if (!g->begins(l->rule)) {
			l->column = i + 1;
			l->len = n;
			return false;
		}
	}
	l->column = end + 1;
	return !out || g->whole(l->rule);
}

static inline void line_source(const char *s, size_t len, size_t end, struct model_line *l)
{
	if (end == len)
		return;
	l->source = end + 1;
	l->source_len = len - end - 1;
	while (l->source_len && line_blank(s[l->source])) {
		l->source++;
		l->source_len--;
	}
	while (l->source_len && line_blank(s[l->source + l->source_len - 1]))
		l->source_len--;
}

static inline void model_line(const struct model_grammar *g, const char *s, size_t len,
			      struct model_line *l)
{
	size_t end = line_end(s, len);

	memset(l, 0, sizeof(*l));
	l->kind = LINE_BAD;
	l->column = len > IOPF_DEVTABLE_MAX_LINE ? IOPF_DEVTABLE_MAX_LINE + 1
						 : line_bad_byte(s, len, end);
	if (l->column || !line_words(g, s, end, l))
		return;
	l->kind = *l->rule ? LINE_RULE : LINE_EMPTY;
	line_source(s, len, end, l);
}

/* Checks an error against the model's. @text is the line, and @line is its number. */
static inline void model_line_compare_error(const struct model_line *l, const char *text,
					    unsigned int line,
					    const struct iopf_devtable_error *err)
{
	CHECK(err->line == line);
	CHECK(err->column == l->column);
	CHECK(err->len == l->len);
	CHECK(err->word == text + l->column - 1);
	CHECK(err->why && *err->why);
}

/**
 * model_text() - check the parse of a whole text against the model
 * @g: the grammar
 * @text: the text
 * @len: its length
 * @ret: the result of the parser
 * @err: the error that the parser has set; its line was 12345 before
 * @rule: checks a rule: its number from 0, its line, and @data
 * @data: for @rule
 *
 * Return: the number of rules; -1 if the parser is right to refuse the text.
 */
static inline int model_text(const struct model_grammar *g, const char *text, size_t len, int ret,
			     const struct iopf_devtable_error *err,
			     void (*rule)(unsigned int nr, const char *s, size_t n,
					  unsigned int line, const struct model_line *l,
					  void *data),
			     void *data)
{
	unsigned int line = 1;
	struct model_line l;
	int nr = 0;

	CHECK(len <= IOPF_DEVTABLE_MAX_TEXT);
	for (size_t at = 0; at < len; line++) {
		const char *newline = memchr(text + at, '\n', len - at);
		size_t n = newline ? (size_t)(newline - text) - at : len - at;

		model_line(g, text + at, n, &l);
		if (l.kind == LINE_BAD) {
			CHECK(ret == -EINVAL);
			model_line_compare_error(&l, text + at, line, err);
			return -1;
		}
		if (l.kind == LINE_RULE)
			rule(nr++, text + at, n, line, &l, data);
		at += n + 1;
	}
	CHECK(!ret);
	CHECK(err->line == 12345);
	return nr;
}

#endif /* IOPF_CORE_TEST_MODEL_LINE_H */
