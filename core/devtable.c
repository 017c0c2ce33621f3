// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device table: the parser, and the search for the rule of a device. See devtable.h for the
 * text.
 *
 * The parser reads a rule word by word, from left to right. It reports the first wrong word and
 * stops. The caller keeps the old table until the new text is parsed without an error.
 */
#include "cursor.h"
#include "word.h"

static const char expected_match[] = "expected pci, subsystem, class or address";
static const char expected_match_or_mode[] =
	"expected pci, subsystem, class, address, or the mode: arbitrary, selective or none";
static const char expected_model[] =
	"expected VENDOR:DEVICE in hexadecimal, VENDOR:* or *:*";

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Report the @len bytes at @at as wrong. Returns -EINVAL. */
static int blame(const struct iopf_cursor *c, const char *at, size_t len, const char *why)
{
	*c->err = (struct iopf_devtable_error){
		.line = c->nr,
		.column = at - c->line + 1,
		.word = at,
		.len = len,
		.why = why,
	};
	return -EINVAL;
}

/**
 * iopf_cursor_blame() - report a wrong word
 * @c: the position
 * @w: the word
 * @why: the error, or the expected word
 *
 * Return: -EINVAL.
 */
int iopf_cursor_blame(const struct iopf_cursor *c, const struct iopf_text_word *w, const char *why)
{
	return blame(c, w->s, w->len, why);
}

/**
 * iopf_cursor_word() - read the next word
 * @c: the position
 *
 * Return: the word; an empty word at the end of the line.
 */
struct iopf_text_word iopf_cursor_word(struct iopf_cursor *c)
{
	struct iopf_text_word w;

	while (c->at < c->end && is_blank(*c->at))
		c->at++;
	w.s = c->at;
	while (c->at < c->end && !is_blank(*c->at))
		c->at++;
	w.len = c->at - w.s;
	return w;
}

/* Return the length of the line at @s, at most @len. */
static size_t line_len(const char *s, size_t len)
{
	const char *newline = memchr(s, '\n', len);

	return newline ? (size_t)(newline - s) : len;
}

/*
 * Find the end of the rule, which is the start of a comment or the end of the line. Check that the
 * whole line is safe to print, since logs and terminals show it.
 */
static int check_line(struct iopf_cursor *c, size_t len)
{
	const char *end = c->line + len;
	bool comment = false;

	c->at = c->line;
	c->end = end;
	if (len > IOPF_DEVTABLE_MAX_LINE)
		return blame(c, c->line + IOPF_DEVTABLE_MAX_LINE, 0,
			     "the line is longer than 512 bytes");
	for (const char *s = c->line; s < end; s++) {
		if (!comment && *s == '#' && (s == c->line || is_blank(s[-1]))) {
			comment = true;
			c->end = s;
		}
		if (*s == '\t' || (*s >= 0x20 && *s < 0x7f) || (comment && !isascii(*s)))
			continue;
		return blame(c, s, 0, comment ? "a control character" :
			     "neither printable ASCII nor a blank");
	}
	return 0;
}

/* Parse VENDOR:DEVICE. */
static bool parse_model(const struct iopf_text_word *w, u16 *vendor, u16 *vendor_mask, u16 *device,
			u16 *device_mask)
{
	const char *colon = memchr(w->s, ':', w->len);
	u64 v = 0, d = 0;
	size_t rest;

	if (!colon)
		return false;
	rest = w->s + w->len - colon - 1;
	if (!iopf_word_is(w->s, colon - w->s, "*")) {
		if (!iopf_word_hex(w->s, colon - w->s, 4, &v))
			return false;
		*vendor_mask = U16_MAX;
	}
	if (!iopf_word_is(colon + 1, rest, "*")) {
		/* A device id has a meaning only with a vendor id. */
		if (!*vendor_mask || !iopf_word_hex(colon + 1, rest, 4, &d))
			return false;
		*device_mask = U16_MAX;
	}
	*vendor = v;
	*device = d;
	return true;
}

static int parse_pci(struct iopf_cursor *c, struct iopf_rule *r, const struct iopf_text_word *w)
{
	if (!parse_model(w, &r->vendor, &r->vendor_mask, &r->device, &r->device_mask))
		return iopf_cursor_blame(c, w, expected_model);
	r->by_pci = true;
	return 0;
}

static int parse_subsystem(struct iopf_cursor *c, struct iopf_rule *r,
			   const struct iopf_text_word *w)
{
	if (!parse_model(w, &r->subvendor, &r->subvendor_mask, &r->subdevice, &r->subdevice_mask))
		return iopf_cursor_blame(c, w, expected_model);
	r->by_pci = true;
	return 0;
}

static int parse_class(struct iopf_cursor *c, struct iopf_rule *r, const struct iopf_text_word *w)
{
	unsigned int bits = 4 * w->len;
	u64 class;

	if (w->len % 2 || !iopf_word_hex(w->s, w->len, 6, &class))
		return iopf_cursor_blame(c, w, "expected a class of 2, 4 or 6 hexadecimal digits");
	r->class = class << (24 - bits);
	r->class_mask = 0xffffff & ~(0xffffff >> bits);
	r->by_pci = true;
	return 0;
}

static int parse_address(struct iopf_cursor *c, struct iopf_rule *r, const struct iopf_text_word *w)
{
	size_t len = w->len;

	if (len && w->s[len - 1] == '*') {
		r->address_prefix = true;
		len--;
	}
	if (!iopf_word_name(w->s, len) && !(r->address_prefix && !len))
		return iopf_cursor_blame(c, w,
					 "expected a device's name, or the beginning of one and *");
	r->address = w->s;
	r->address_len = len;
	r->by_address = true;
	return 0;
}

static const struct match {
	const char *name;
	int (*parse)(struct iopf_cursor *c, struct iopf_rule *r, const struct iopf_text_word *w);
} matches[] = {
	{ "pci", parse_pci },
	{ "subsystem", parse_subsystem },
	{ "class", parse_class },
	{ "address", parse_address },
};

/**
 * iopf_cursor_match() - read one match of a rule
 * @c: the position
 * @r: the rule
 * @w: the word that was read last. If it is a kind of match, its argument is read too.
 * @seen: kinds of matches that the rule has so far, a bit each; 0 at first
 *
 * Return: 1: a match was read; 0: @w is no kind of match; -EINVAL: the match is wrong, and the
 * error is reported.
 */
int iopf_cursor_match(struct iopf_cursor *c, struct iopf_rule *r, const struct iopf_text_word *w,
		      unsigned long *seen)
{
	struct iopf_text_word what;
	unsigned int i = 0;

	while (i < ARRAY_SIZE(matches) && !iopf_word_is(w->s, w->len, matches[i].name))
		i++;
	if (i == ARRAY_SIZE(matches))
		return 0;
	if (*seen & BIT(i))
		return iopf_cursor_blame(c, w, "is there twice");
	*seen |= BIT(i);
	what = iopf_cursor_word(c);
	return matches[i].parse(c, r, &what) ?: 1;
}

/* Read the matches of a rule. @mode is the first word after them. */
static int parse_matches(struct iopf_cursor *c, struct iopf_rule *r, struct iopf_text_word *mode)
{
	unsigned long seen = 0;
	int ret;

	do {
		*mode = iopf_cursor_word(c);
		ret = iopf_cursor_match(c, r, mode, &seen);
	} while (ret > 0);
	if (!ret && !seen)
		return iopf_cursor_blame(c, mode, expected_match);
	return ret;
}

static int parse_policy(struct iopf_cursor *c, struct iopf_rule *r,
			const struct iopf_text_word *w, size_t skip)
{
	int policy = iopf_policy_parse(w->s + skip, w->len - skip);

	if (r->mode == IOPF_MODE_NONE)
		return iopf_cursor_blame(c, w, "a device that may not fault has no policy");
	if (r->policy != IOPF_POLICY_DEFAULT)
		return iopf_cursor_blame(c, w, "a second policy");
	if (policy < 0 || policy == IOPF_POLICY_DEFAULT)
		return iopf_cursor_blame(c, w,
					 "expected policy=fault, policy=prefault or policy=pin");
	r->policy = policy;
	return 0;
}

/* Parse 0xHEX of @len characters. */
static bool parse_iova(const char *s, size_t len, u64 *iova)
{
	return len > 2 && s[0] == '0' && s[1] == 'x' && iopf_word_hex(s + 2, len - 2, 16, iova);
}

static int parse_window(struct iopf_cursor *c, struct iopf_rule *r,
			const struct iopf_text_word *w, size_t skip)
{
	const char *s = w->s + skip, *end = w->s + w->len;
	const char *dash = memchr(s, '-', end - s);
	struct iopf_range window;

	if (r->mode != IOPF_MODE_SELECTIVE)
		return iopf_cursor_blame(c, w, "only a selective device has windows");
	if (!dash || !parse_iova(s, dash - s, &window.first) ||
	    !parse_iova(dash + 1, end - dash - 1, &window.last))
		return iopf_cursor_blame(c, w, "expected window=0xFIRST-0xLAST, hexadecimal");
	if (window.first > window.last)
		return iopf_cursor_blame(c, w, "the window ends before it begins");
	if (r->nr_windows == IOPF_RULE_MAX_WINDOWS)
		return iopf_cursor_blame(c, w, "more than 8 windows");
	r->window[r->nr_windows++] = window;
	return 0;
}

static const struct setting {
	const char *name;
	int (*parse)(struct iopf_cursor *c, struct iopf_rule *r, const struct iopf_text_word *w,
		     size_t skip);
} settings[] = {
	{ "policy=", parse_policy },
	{ "window=", parse_window },
};

static int parse_setting(struct iopf_cursor *c, struct iopf_rule *r, const struct iopf_text_word *w)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(settings); i++) {
		size_t len = strlen(settings[i].name);

		if (w->len >= len && !memcmp(w->s, settings[i].name, len))
			return settings[i].parse(c, r, w, len);
	}
	return iopf_cursor_blame(c, w, "expected policy=POLICY or window=0xFIRST-0xLAST");
}

/**
 * iopf_cursor_source() - read the comment after a rule
 * @c: the position
 * @r: the rule
 * @end: end of the line
 */
void iopf_cursor_source(const struct iopf_cursor *c, struct iopf_rule *r, const char *end)
{
	const char *s = c->end;

	if (s == end)
		return;
	s++;
	while (s < end && is_blank(*s))
		s++;
	while (s < end && is_blank(end[-1]))
		end--;
	r->source = s;
	r->source_len = end - s;
}

/* Parse one rule. The position is at its first word. */
static int parse_rule(struct iopf_cursor *c, struct iopf_rule *r)
{
	struct iopf_text_word w;
	int ret;

	*r = (struct iopf_rule){ .line = c->nr, .text = c->at };
	ret = parse_matches(c, r, &w);
	if (ret)
		return ret;
	ret = iopf_mode_parse(w.s, w.len);
	if (ret < 0)
		return iopf_cursor_blame(c, &w, expected_match_or_mode);
	r->mode = ret;
	do {
		r->len = c->at - r->text;
		w = iopf_cursor_word(c);
		ret = w.len ? parse_setting(c, r, &w) : 0;
	} while (w.len && !ret);
	return ret;
}

/**
 * iopf_devtable_room() - the most rules that a text can have
 * @text: any bytes
 * @len: number of bytes
 *
 * Return: a number of rules that suffices for iopf_devtable_parse(), at most
 * IOPF_DEVTABLE_MAX_RULES.
 */
unsigned int iopf_devtable_room(const char *text, size_t len)
{
	unsigned int lines = 0;

	for (size_t at = 0; at < len && lines < IOPF_DEVTABLE_MAX_RULES; lines++)
		at += line_len(text + at, len - at) + 1;
	return lines;
}

/* Report that the text is too long, at the first byte beyond the limit. */
static int blame_size(struct iopf_cursor *c, const char *text)
{
	const char *over = text + IOPF_DEVTABLE_MAX_TEXT;

	c->line = text;
	for (const char *s = text; s < over; s++) {
		if (*s == '\n') {
			c->line = s + 1;
			c->nr++;
		}
	}
	return blame(c, over, 0, "the table is longer than 65536 bytes");
}

/**
 * iopf_cursor_lines() - read a text of rules
 * @text: any bytes
 * @len: number of bytes
 * @err: out, on error: the error; points into @text
 * @rule: reads a rule; gets the cursor at the rule, the end of the line, and @data
 * @data: for @rule
 *
 * Return: 0; -EINVAL; or the result of @rule, if it is not 0.
 */
int iopf_cursor_lines(const char *text, size_t len, struct iopf_devtable_error *err,
		      int (*rule)(struct iopf_cursor *c, const char *end, void *data), void *data)
{
	struct iopf_cursor c = { .nr = 1, .err = err };

	if (len > IOPF_DEVTABLE_MAX_TEXT)
		return blame_size(&c, text);
	for (size_t at = 0; at < len; c.nr++) {
		size_t n = line_len(text + at, len - at);
		struct iopf_text_word w;
		int ret;

		c.line = text + at;
		ret = check_line(&c, n);
		if (ret)
			return ret;
		w = iopf_cursor_word(&c);
		c.at = w.s;
		ret = w.len ? rule(&c, c.line + n, data) : 0;
		if (ret)
			return ret;
		at += n + 1;
	}
	return 0;
}

/**
 * iopf_cursor_room() - check that a table has room for one more rule
 * @c: position of the rule
 * @nr: number of rules in the table
 * @max: number of rules for which there is memory
 *
 * Return: 0 or -EINVAL.
 */
int iopf_cursor_room(struct iopf_cursor *c, unsigned int nr, unsigned int max)
{
	struct iopf_cursor first = *c;
	struct iopf_text_word w = iopf_cursor_word(&first);

	if (nr == min_t(unsigned int, max, IOPF_DEVTABLE_MAX_RULES))
		return iopf_cursor_blame(c, &w, "more than 1024 rules");
	return 0;
}

static int add_rule(struct iopf_cursor *c, const char *end, void *data)
{
	struct iopf_devtable *t = data;
	int ret = iopf_cursor_room(c, t->nr, t->max);

	if (!ret)
		ret = parse_rule(c, &t->rule[t->nr]);
	if (ret)
		return ret;
	iopf_cursor_source(c, &t->rule[t->nr], end);
	t->nr++;
	return 0;
}

/**
 * iopf_devtable_parse() - parse a text into a table
 * @t: the table, with room for iopf_devtable_room() rules; undefined on error
 * @text: any bytes; must stay as long as @t is used
 * @len: number of bytes
 * @err: out, on error: the error; points into @text
 *
 * Return: 0 or -EINVAL. An empty text is a table without rules.
 */
int iopf_devtable_parse(struct iopf_devtable *t, const char *text, size_t len,
			struct iopf_devtable_error *err)
{
	t->nr = 0;
	return iopf_cursor_lines(text, len, err, add_rule, t);
}

/**
 * iopf_rule_matches() - whether a rule matches a device
 * @r: the rule
 * @id: the device
 *
 * Return: whether the device agrees with all matches of the rule.
 */
bool iopf_rule_matches(const struct iopf_rule *r, const struct iopf_id *id)
{
	if (r->by_pci && !id->pci)
		return false;
	if (((r->vendor ^ id->vendor) & r->vendor_mask) ||
	    ((r->device ^ id->device) & r->device_mask) ||
	    ((r->subvendor ^ id->subvendor) & r->subvendor_mask) ||
	    ((r->subdevice ^ id->subdevice) & r->subdevice_mask) ||
	    ((r->class ^ id->class) & r->class_mask))
		return false;
	if (r->by_address) {
		size_t len = strlen(id->name);

		if (len < r->address_len || (len > r->address_len && !r->address_prefix))
			return false;
		return !memcmp(id->name, r->address, r->address_len);
	}
	return true;
}

/**
 * iopf_devtable_match() - the rule for a device
 * @t: the table
 * @id: the device
 *
 * Return: the first rule that matches, or NULL.
 */
const struct iopf_rule *iopf_devtable_match(const struct iopf_devtable *t,
					    const struct iopf_id *id)
{
	for (unsigned int i = 0; i < t->nr; i++)
		if (iopf_rule_matches(&t->rule[i], id))
			return &t->rule[i];
	return NULL;
}

/**
 * iopf_devtable_judge() - how a device may fault
 * @ids: a list that iopf_ids_check() accepted: the module parameter "ids"
 * @admin: the administrator's rules
 * @builtin: the rules that the module contains
 * @id: the device
 *
 * Return: the decision of the first of @ids, @admin and @builtin that matches the device. If none
 * does, the device may not fault.
 */
struct iopf_verdict iopf_devtable_judge(const char *ids, const struct iopf_devtable *admin,
					const struct iopf_devtable *builtin,
					const struct iopf_id *id)
{
	struct iopf_verdict v = { .origin = IOPF_ORIGIN_IDS, .mode = IOPF_MODE_ARBITRARY };

	if (iopf_ids_match(ids, id))
		return v;
	v.origin = IOPF_ORIGIN_ADMIN;
	v.rule = iopf_devtable_match(admin, id);
	if (!v.rule) {
		v.origin = IOPF_ORIGIN_BUILTIN;
		v.rule = iopf_devtable_match(builtin, id);
	}
	if (!v.rule)
		v.origin = IOPF_ORIGIN_DEFAULT;
	v.mode = v.rule ? v.rule->mode : IOPF_MODE_NONE;
	return v;
}
