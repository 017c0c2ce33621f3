/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The model of the table of limits. It works like the model of the device table (model_devtable.h)
 * and uses its words: regular expressions describe the beginning of a rule and a whole rule, and
 * rules are matched as text. The includer defines CHECK().
 */
#ifndef IOPF_CORE_TEST_MODEL_LIMTABLE_H
#define IOPF_CORE_TEST_MODEL_LIMTABLE_H

#include "model_devtable.h"
#include "../limtable.h"

#define LT_UID		"([0-9]+(-[0-9]+)?|[*])"
#define LT_MATCH	"(" DT_MATCH "|user " LT_UID " |cgroup /[^ ]* )"
#define LT_BYTES	"([0-9]+[kKmMgGtT]?|max)"
#define LT_SETTING	"(((resident|pinned)_(high|max)|hot_pinned_max)=" LT_BYTES " |" \
			"(aging_interval|fault_workers_max|prefetch_max)=([0-9]+|max) |" \
			"min_residency=[0-9]+ |" DT_POLICY ")"

static inline bool limtable_is(bool whole, const char *s)
{
	static regex_t re[2];
	static bool done;

	if (!done) {
		CHECK(!regcomp(&re[0],
			       "^(" LT_MATCH ")*((pci|subsystem|class|address|user|cgroup) )?$",
			       REG_EXTENDED | REG_NOSUB));
		CHECK(!regcomp(&re[1], "^(" LT_MATCH ")+(" LT_SETTING ")+$",
			       REG_EXTENDED | REG_NOSUB));
	}
	done = true;
	return !regexec(&re[whole], s, 0, NULL, 0);
}

/* Returns a number of the text. A long double holds every 64-bit number exactly. */
static inline long double limtable_scaled(const char *s)
{
	long double v = 0;
	const char *unit;

	for (; *s >= '0' && *s <= '9'; s++)
		v = v * 10 + (*s - '0');
	unit = *s && *s != ' ' ? strchr("tgmk", *s | 0x20) : NULL;
	for (; unit && *unit; unit++)
		v *= 1024;
	return v;
}

static inline bool limtable_good_user(const char *word)
{
	const char *dash = strchr(word, '-');
	double first = limtable_scaled(word), last = dash ? limtable_scaled(dash + 1) : first;

	return *word == '*' || (first <= last && last <= U32_MAX);
}

/* A check beyond regular expressions: whether the numbers of a word are in their limits. */
static inline bool limtable_good_word(const char *kind, const char *word)
{
	static const struct bound {
		const char *key;
		u64 min;
		u64 max;
	} bounds[] = {
		{ "resident_", 262144, U64_MAX - 1 },
		{ "aging_interval=", 1, U32_MAX },
		{ "min_residency=", 0, 1000000 },
		{ "fault_workers_max=", 1, U32_MAX - 1 },
		{ "prefetch_max=", 0, U32_MAX - 1 },
		{ "", 0, U64_MAX - 1 },
	};
	long double v;
	const struct bound *b = bounds;

	if (!strncmp(kind, "user ", 5))
		return limtable_good_user(word);
	word = strchr(word, '=');
	if (!word || word[1] == 'm' || !strncmp(kind, "policy=", 7))
		return true;
	v = limtable_scaled(word + 1);
	while (strncmp(kind, b->key, strlen(b->key)))
		b++;
	return v >= (long double)b->min && v <= (long double)b->max;
}

/* Whether all words are good, and the rule has each kind of match and each setting at most once. */
static inline bool limtable_words_good(const char *rule)
{
	char copy[IOPF_DEVTABLE_MAX_LINE + 2], seen[IOPF_DEVTABLE_MAX_LINE + 2] = " ";
	char *save = NULL, *word;

	memcpy(copy, rule, strlen(rule) + 1);
	for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		const char *equals = strchr(word, '=');
		char key[64];

		if (equals)
			snprintf(key, sizeof(key), " %.*s ", (int)(equals - word + 1), word);
		else
			snprintf(key, sizeof(key), " %s ", word);
		if (strstr(seen, key))
			return false;
		strcat(seen, key + 1);
		if (equals) {
			if (!limtable_good_word(word, word))
				return false;
			continue;
		}
		word = strtok_r(NULL, " ", &save);
		if (word && !limtable_good_word(key + 1, word))
			return false;
	}
	return true;
}

static inline bool limtable_begins(const char *rule)
{
	return (limtable_is(false, rule) || limtable_is(true, rule)) && limtable_words_good(rule);
}

static inline bool limtable_whole(const char *rule)
{
	return limtable_is(true, rule);
}

static const struct model_grammar limtable_grammar = { limtable_begins, limtable_whole };

/* Whether a rule, in the form that the model wrote, matches a device and its owner. */
static inline bool limtable_model_match(const char *rule, const struct iopf_subject *subject)
{
	char copy[IOPF_DEVTABLE_MAX_LINE + 2], match[IOPF_DEVTABLE_MAX_LINE + 32] = "";
	char pattern[IOPF_DEVTABLE_MAX_LINE + 3], path[IOPF_DEVTABLE_MAX_LINE + 2];
	char *save = NULL, *kind;

	memcpy(copy, rule, strlen(rule) + 1);
	for (kind = strtok_r(copy, " ", &save); !strchr(kind, '=');
	     kind = strtok_r(NULL, " ", &save)) {
		char *arg = strtok_r(NULL, " ", &save);
		size_t len = strlen(arg);

		if (!strcmp(kind, "user")) {
			const char *dash = strchr(arg, '-');

			if (*arg != '*' &&
			    (subject->uid < strtoul(arg, NULL, 10) ||
			     subject->uid > strtoul(dash ? dash + 1 : arg, NULL, 10)))
				return false;
		} else if (strcmp(kind, "cgroup")) {
			strcat(strcat(strcat(strcat(match, kind), " "), arg), " ");
		} else if (arg[len - 1] == '*') {
			if (strncmp(arg, subject->cgroup, len - 1))
				return false;
		} else {
			/* With a slash at the end of both, the rule's path must begin the other. */
			snprintf(pattern, sizeof(pattern), "%s%s", arg,
				 arg[len - 1] == '/' ? "" : "/");
			snprintf(path, sizeof(path), "%s%s", subject->cgroup,
				 !strcmp(subject->cgroup, "/") ? "" : "/");
			if (strncmp(path, pattern, strlen(pattern)))
				return false;
		}
	}
	return !*match || devtable_model_match(strcat(match, "none "), &subject->id);
}

/* Compares the settings of a parsed rule with its text. */
static inline void limtable_compare_settings(const struct iopf_limit_rule *r, const char *rule)
{
	for (unsigned int i = 0; i < IOPF_SETTING_NR; i++) {
		u64 value = r->settings.value[i];
		char key[64];
		const char *at;

		snprintf(key, sizeof(key), " %s=", iopf_setting_name(i));
		at = strstr(rule, key);
		CHECK(!!at == !!(r->settings.set & BIT(i)));
		if (!at)
			continue;
		at += strlen(key);
		if (i == IOPF_SETTING_POLICY)
			CHECK(!strncmp(at, iopf_policy_name(value),
				       strlen(iopf_policy_name(value))));
		else if (*at == 'm')
			CHECK(value == IOPF_SETTING_MAX);
		else
			CHECK((long double)value == limtable_scaled(at));
	}
}

static inline struct iopf_limtable *limtable_alloc(const char *text, size_t len)
{
	unsigned int room = iopf_devtable_room(text, len);
	struct iopf_limtable *t = malloc(sizeof(*t) + room * sizeof(t->rule[0]));

	CHECK(t);
	t->max = room;
	t->nr = 77;
	return t;
}

/* A comparison: the table, subjects, and the rule that the model finds for each subject. */
struct limtable_comparison {
	struct iopf_limtable *t;
	const struct iopf_subject *subjects;
	size_t nr_subjects;
	const struct iopf_limit_rule *want[8];
};

static inline void limtable_compare_line(unsigned int nr, const char *s, size_t n,
					 unsigned int line, const struct model_line *l, void *data)
{
	struct limtable_comparison *c = data;
	const struct iopf_limit_rule *r = &c->t->rule[nr];

	CHECK(nr < c->t->max);
	CHECK(r->match.line == line);
	CHECK(r->match.text >= s);
	CHECK(r->match.text + r->match.len <= s + n);
	limtable_compare_settings(r, l->rule);
	for (size_t i = 0; i < c->nr_subjects; i++)
		if (!c->want[i] && limtable_model_match(l->rule, &c->subjects[i]))
			c->want[i] = r;
}

/* Checks a text against the model, and each subject against the table. */
static inline void limtable_compare(const char *text, size_t len,
				    const struct iopf_subject *subjects, size_t nr_subjects)
{
	struct limtable_comparison c = {
		.t = limtable_alloc(text, len), .subjects = subjects, .nr_subjects = nr_subjects,
	};
	struct iopf_devtable_error err = { .line = 12345 };
	int ret = iopf_limtable_parse(c.t, text, len, &err), nr;

	CHECK(nr_subjects <= ARRAY_SIZE(c.want));
	nr = model_text(&limtable_grammar, text, len, ret, &err, limtable_compare_line, &c);
	CHECK(nr < 0 || c.t->nr == (unsigned int)nr);
	for (size_t i = 0; nr >= 0 && i < nr_subjects; i++)
		CHECK(iopf_limtable_match(c.t, &subjects[i]) == c.want[i]);
	free(c.t);
}

#endif /* IOPF_CORE_TEST_MODEL_LIMTABLE_H */
