// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parser of the table of limits. See limtable.h for the text, and devtable.c for the method.
 */
#include "budget.h"
#include "cursor.h"
#include "limtable.h"
#include "word.h"

/* IOPF_BUDGET_MIN in bytes. */
#define LEAST_BYTES	(IOPF_BUDGET_MIN * PAGE_SIZE)

static const char expected_match[] =
	"expected pci, subsystem, class, address, user or cgroup";
static const char expected_match_or_setting[] =
	"expected pci, subsystem, class, address, user, cgroup, or a setting";
static const char expected_setting[] =
	"expected a setting: resident_max=, resident_high=, pinned_max=, ...";

enum unit {
	UNIT_BYTES,
	UNIT_NUMBER,
	UNIT_POLICY,
};

static const struct {
	const char *name;
	enum unit unit;
	u64 least;
	u64 most;	/* largest number; "max" is not a number */
	bool max;	/* "max" is allowed */
	const char *why;
} settings[IOPF_SETTING_NR] = {
	[IOPF_SETTING_RESIDENT_HIGH] = { "resident_high", UNIT_BYTES, LEAST_BYTES, U64_MAX - 1,
		true, "expected bytes, 256K at least, or max" },
	[IOPF_SETTING_RESIDENT_MAX] = { "resident_max", UNIT_BYTES, LEAST_BYTES, U64_MAX - 1,
		true, "expected bytes, 256K at least, or max" },
	[IOPF_SETTING_PINNED_HIGH] = { "pinned_high", UNIT_BYTES, 0, U64_MAX - 1,
		true, "expected bytes, with or without K, M, G or T, or max" },
	[IOPF_SETTING_PINNED_MAX] = { "pinned_max", UNIT_BYTES, 0, U64_MAX - 1,
		true, "expected bytes, with or without K, M, G or T, or max" },
	[IOPF_SETTING_HOT_PINNED_MAX] = { "hot_pinned_max", UNIT_BYTES, 0, U64_MAX - 1,
		true, "expected bytes, with or without K, M, G or T, or max" },
	[IOPF_SETTING_AGING_INTERVAL] = { "aging_interval", UNIT_NUMBER, 1, U32_MAX,
		true, "expected seconds, or max" },
	[IOPF_SETTING_MIN_RESIDENCY] = { "min_residency", UNIT_NUMBER, 0, 1000000,
		false, "expected microseconds, 1000000 at most" },
	[IOPF_SETTING_FAULT_WORKERS_MAX] = { "fault_workers_max", UNIT_NUMBER, 1, U32_MAX - 1,
		true, "expected a number from 1, or max" },
	[IOPF_SETTING_PREFETCH_MAX] = { "prefetch_max", UNIT_NUMBER, 0, U32_MAX - 1,
		true, "expected a number, or max" },
	[IOPF_SETTING_POLICY] = { "policy", UNIT_POLICY, IOPF_POLICY_FAULT, IOPF_POLICY_PIN,
		false, "expected policy=fault, policy=prefault or policy=pin" },
};

/** iopf_setting_name() - the name of a setting */
const char *iopf_setting_name(enum iopf_setting setting)
{
	return settings[setting].name;
}

/* Parse a decimal number. */
static bool parse_number(const char *s, size_t len, u64 *value)
{
	u64 v = 0;

	if (!len)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned int digit = (unsigned char)s[i] - '0';

		if (digit > 9 || v > (U64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*value = v;
	return true;
}

/* Parse a decimal number with or without a suffix. */
static bool parse_bytes(const char *s, size_t len, u64 *value)
{
	static const char suffixes[] = "kKmMgGtT";
	const char *suffix = len ? memchr(suffixes, s[len - 1], sizeof(suffixes) - 1) : NULL;
	unsigned int shift = suffix ? 10 * ((suffix - suffixes) / 2 + 1) : 0;

	if (!parse_number(s, len - !!suffix, value) || *value > U64_MAX >> shift)
		return false;
	*value <<= shift;
	return true;
}

/**
 * iopf_setting_parse() - parse the value of a setting
 * @setting: the setting
 * @s: the word
 * @len: its length
 * @value: out: the value; undefined if the word is wrong
 *
 * Return: whether the word is a value of the setting.
 */
bool iopf_setting_parse(enum iopf_setting setting, const char *s, size_t len, u64 *value)
{
	bool good = true;

	if (settings[setting].max && iopf_word_is(s, len, "max")) {
		*value = IOPF_SETTING_MAX;
		return true;
	}
	switch (settings[setting].unit) {
	case UNIT_BYTES:
		good = parse_bytes(s, len, value);
		break;
	case UNIT_NUMBER:
		good = parse_number(s, len, value);
		break;
	default:
		/* A negative error number becomes greater than all policies. */
		*value = iopf_policy_parse(s, len);
	}
	return good && *value >= settings[setting].least && *value <= settings[setting].most;
}

/**
 * iopf_setting_print() - print the value of a setting
 * @buf: out
 * @size: room in @buf
 * @setting: the setting
 * @value: the value
 *
 * Return: as snprintf().
 */
int iopf_setting_print(char *buf, size_t size, enum iopf_setting setting, u64 value)
{
	if (settings[setting].unit == UNIT_POLICY)
		return snprintf(buf, size, "%s", iopf_policy_name(value));
	if (value == IOPF_SETTING_MAX)
		return snprintf(buf, size, "max");
	return snprintf(buf, size, "%llu", value);
}

/**
 * iopf_settings_restrict() - add settings; of two values of a setting, keep the stricter one
 * @s: some settings; out: these and @more
 * @more: the settings to add
 *
 * The stricter value is the smaller one. The stricter policy is the one that keeps more memory
 * resident.
 */
void iopf_settings_restrict(struct iopf_settings *s, const struct iopf_settings *more)
{
	for (unsigned int i = 0; i < IOPF_SETTING_NR; i++) {
		u64 value = more->value[i];

		if (!(more->set & BIT(i)))
			continue;
		if (s->set & BIT(i))
			value = i == IOPF_SETTING_POLICY ? max(value, s->value[i]) :
							   min(value, s->value[i]);
		s->value[i] = value;
	}
	s->set |= more->set;
}

/**
 * iopf_settings_default() - add settings that have no value yet
 * @s: some settings; out: these, and those that only @less has
 * @less: the settings to add
 */
void iopf_settings_default(struct iopf_settings *s, const struct iopf_settings *less)
{
	for (unsigned int i = 0; i < IOPF_SETTING_NR; i++)
		if (less->set & ~s->set & BIT(i))
			s->value[i] = less->value[i];
	s->set |= less->set;
}

static int parse_user(struct iopf_cursor *c, struct iopf_limit_rule *r,
		      const struct iopf_text_word *w)
{
	const char *dash = memchr(w->s, '-', w->len);
	size_t len = dash ? (size_t)(dash - w->s) : w->len;
	u64 first = 0, last = U32_MAX;
	bool good = true;

	if (!iopf_word_is(w->s, w->len, "*")) {
		good = parse_number(w->s, len, &first);
		last = first;
		if (dash)
			good &= parse_number(dash + 1, w->len - len - 1, &last);
	}
	if (!good || first > last || last > U32_MAX)
		return iopf_cursor_blame(c, w, "expected a user's number, FIRST-LAST, or *");
	r->by_user = true;
	r->uid_first = first;
	r->uid_last = last;
	return 0;
}

static int parse_cgroup(struct iopf_cursor *c, struct iopf_limit_rule *r,
			const struct iopf_text_word *w)
{
	size_t len = w->len;

	if (!len || w->s[0] != '/')
		return iopf_cursor_blame(c, w, "expected a cgroup's path, which begins with /");
	if (w->s[len - 1] == '*') {
		r->cgroup_prefix = true;
		len--;
	} else if (w->s[len - 1] == '/') {
		/* The root becomes an empty path, and all cgroups are below it. */
		len--;
	}
	r->cgroup = w->s;
	r->cgroup_len = len;
	return 0;
}

/* Like iopf_cursor_match(), but knows "user" and "cgroup" too. */
static int parse_match(struct iopf_cursor *c, struct iopf_limit_rule *r,
		       const struct iopf_text_word *w, unsigned long *seen)
{
	bool user = iopf_word_is(w->s, w->len, "user");
	struct iopf_text_word what;

	if (!user && !iopf_word_is(w->s, w->len, "cgroup"))
		return iopf_cursor_match(c, &r->match, w, seen);
	if (user ? r->by_user : !!r->cgroup)
		return iopf_cursor_blame(c, w, "is there twice");
	what = iopf_cursor_word(c);
	return (user ? parse_user(c, r, &what) : parse_cgroup(c, r, &what)) ?: 1;
}

static int parse_setting(struct iopf_cursor *c, struct iopf_limit_rule *r,
			 const struct iopf_text_word *w, const char *expected)
{
	const char *equals = memchr(w->s, '=', w->len);
	size_t len = equals ? (size_t)(equals - w->s) : 0;
	unsigned int i = 0;

	while (i < IOPF_SETTING_NR && !iopf_word_is(w->s, len, settings[i].name))
		i++;
	if (i == IOPF_SETTING_NR)
		return iopf_cursor_blame(c, w, expected);
	if (r->settings.set & BIT(i))
		return iopf_cursor_blame(c, w, "is there twice");
	if (!iopf_setting_parse(i, equals + 1, w->len - len - 1, &r->settings.value[i]))
		return iopf_cursor_blame(c, w, settings[i].why);
	r->settings.set |= BIT(i);
	return 0;
}

static int parse_rule(struct iopf_cursor *c, struct iopf_limit_rule *r)
{
	const char *expected = expected_match;
	struct iopf_text_word w;
	unsigned long seen = 0;
	int ret;

	*r = (struct iopf_limit_rule){ .match = { .line = c->nr, .text = c->at } };
	for (;;) {
		w = iopf_cursor_word(c);
		ret = parse_match(c, r, &w, &seen);
		if (ret < 0)
			return ret;
		if (!ret)
			break;
		expected = expected_match_or_setting;
	}
	if (expected == expected_match)
		return iopf_cursor_blame(c, &w, expected);
	do {
		ret = parse_setting(c, r, &w, expected);
		if (ret)
			return ret;
		expected = expected_setting;
		r->match.len = c->at - r->match.text;
		w = iopf_cursor_word(c);
	} while (w.len);
	return 0;
}

static int add_rule(struct iopf_cursor *c, const char *end, void *data)
{
	struct iopf_limtable *t = data;
	int ret = iopf_cursor_room(c, t->nr, t->max);

	if (!ret)
		ret = parse_rule(c, &t->rule[t->nr]);
	if (ret)
		return ret;
	iopf_cursor_source(c, &t->rule[t->nr].match, end);
	t->nr++;
	return 0;
}

/**
 * iopf_limtable_parse() - parse a text into a table
 * @t: the table, with room for iopf_devtable_room() rules; undefined on error
 * @text: any bytes; must stay as long as @t is used
 * @len: number of bytes
 * @err: out, on error: the error; points into @text
 *
 * Return: 0 or -EINVAL. An empty text is a table without rules.
 */
int iopf_limtable_parse(struct iopf_limtable *t, const char *text, size_t len,
			struct iopf_devtable_error *err)
{
	t->nr = 0;
	return iopf_cursor_lines(text, len, err, add_rule, t);
}

static bool cgroup_matches(const struct iopf_limit_rule *r, const char *path)
{
	if (r->cgroup_prefix)
		return !strncmp(path, r->cgroup, r->cgroup_len);
	/* Remove the slash of the root, as in the rule's path. */
	if (!strcmp(path, "/"))
		path = "";
	if (strncmp(path, r->cgroup, r->cgroup_len))
		return false;
	/* The path must be the rule's, or below it. Another name may begin in the same way. */
	path += r->cgroup_len;
	return !*path || *path == '/';
}

/**
 * iopf_limtable_match() - the rule for a device and its owner
 * @t: the table
 * @subject: the device and its owner
 *
 * Return: the first rule that matches, or NULL.
 */
const struct iopf_limit_rule *iopf_limtable_match(const struct iopf_limtable *t,
						  const struct iopf_subject *subject)
{
	for (unsigned int i = 0; i < t->nr; i++) {
		const struct iopf_limit_rule *r = &t->rule[i];

		if (iopf_rule_matches(&r->match, &subject->id) &&
		    (!r->by_user ||
		     (subject->uid >= r->uid_first && subject->uid <= r->uid_last)) &&
		    (!r->cgroup || cgroup_matches(r, subject->cgroup)))
			return r;
	}
	return NULL;
}
