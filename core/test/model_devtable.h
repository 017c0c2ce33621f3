/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The model of the device table. Regular expressions describe the beginning of a rule and a whole
 * rule. Rules are matched as text. The includer defines CHECK().
 */
#ifndef IOPF_CORE_TEST_MODEL_DEVTABLE_H
#define IOPF_CORE_TEST_MODEL_DEVTABLE_H

#include <fnmatch.h>
#include <regex.h>

#include "model_line.h"

#define DT_MODEL	"[0-9A-Fa-f]{1,4}:([0-9A-Fa-f]{1,4}|[*])|[*]:[*]"
#define DT_CLASS	"([0-9A-Fa-f]{2}){1,3}"
#define DT_NAME		"[-A-Za-z0-9:._]{1,63}[*]?|[*]"
#define DT_MATCH	"((pci|subsystem) (" DT_MODEL ")|class " DT_CLASS "|address (" DT_NAME ")) "
#define DT_POLICY	"policy=(fault|prefault|pin) "
#define DT_WINDOW	"window=0x[0-9A-Fa-f]{1,16}-0x[0-9A-Fa-f]{1,16} "

enum devtable_regex {
	DT_BEGUN,	/* the beginning of a rule, without a mode */
	DT_WHOLE,	/* a whole rule */
	DT_NR,
};

static const char *const devtable_regex[DT_NR] = {
	[DT_BEGUN] = "^(" DT_MATCH ")*((pci|subsystem|class|address) )?$",
	[DT_WHOLE] = "^(" DT_MATCH ")+(none |arbitrary (" DT_POLICY ")?|selective ("
		     DT_WINDOW ")*(" DT_POLICY ")?(" DT_WINDOW ")*)$",
};

static inline bool devtable_is(enum devtable_regex which, const char *s)
{
	static regex_t re[DT_NR];
	static bool done;

	for (unsigned int k = 0; !done && k < DT_NR; k++)
		CHECK(!regcomp(&re[k], devtable_regex[k], REG_EXTENDED | REG_NOSUB));
	done = true;
	return !regexec(&re[which], s, 0, NULL, 0);
}

/* A check beyond regular expressions: at most 8 windows, and none ends before it begins. */
static inline bool devtable_windows_good(const char *rule)
{
	unsigned int nr = 0;

	for (const char *s = rule; (s = strstr(s, " window=")); s++) {
		unsigned long long first, last;

		if (sscanf(s, " window=%llx-%llx", &first, &last) == 2 && first > last)
			return false;
		nr++;
	}
	return nr <= 8;
}

/*
 * Whether the rule has each kind of match at most once. Only words at even places are kinds, since
 * a device's name may be "pci".
 */
static inline bool devtable_once(const char *rule)
{
	unsigned int seen[26] = { };
	bool even = true;

	for (const char *s = rule; *s; s = strchr(s, ' ') + 1, even = !even)
		if (even && strchr("psca", *s) && strncmp(s, "selective", 9) &&
		    strncmp(s, "policy=", 7) && strncmp(s, "arbitrary", 9) && seen[*s - 'a']++)
			return false;
	return true;
}

static inline bool devtable_begins(const char *rule)
{
	return (devtable_is(DT_BEGUN, rule) ||
		(devtable_is(DT_WHOLE, rule) && devtable_windows_good(rule))) &&
	       devtable_once(rule);
}

static inline bool devtable_whole(const char *rule)
{
	return devtable_is(DT_WHOLE, rule);
}

static const struct model_grammar devtable_grammar = { devtable_begins, devtable_whole };

/* Whether an id matches the rule's word: "*" or a number. */
static inline bool devtable_number(const char *s, u16 val)
{
	return *s == '*' || strtoul(s, NULL, 16) == val;
}

/* Whether a rule, in the form that the model wrote, matches a device. */
static inline bool devtable_model_match(const char *rule, const struct iopf_id *id)
{
	char copy[IOPF_DEVTABLE_MAX_LINE + 2], class[8], *save = NULL;

	memcpy(copy, rule, strlen(rule) + 1);
	snprintf(class, sizeof(class), "%06x", id->class);
	for (char *kind = strtok_r(copy, " ", &save); ; kind = strtok_r(NULL, " ", &save)) {
		char *arg;
		bool match;

		if (!strcmp(kind, "none") || !strcmp(kind, "selective") ||
		    !strcmp(kind, "arbitrary"))
			return true;
		arg = strtok_r(NULL, " ", &save);
		if (!strcmp(kind, "pci"))
			match = id->pci && devtable_number(arg, id->vendor) &&
				devtable_number(strchr(arg, ':') + 1, id->device);
		else if (!strcmp(kind, "subsystem"))
			match = id->pci && devtable_number(arg, id->subvendor) &&
				devtable_number(strchr(arg, ':') + 1, id->subdevice);
		else if (!strcmp(kind, "class"))
			match = id->pci && !strncasecmp(class, arg, strlen(arg));
		else
			match = !fnmatch(arg, id->name, 0);
		if (!match)
			return false;
	}
}

/* Compares a parsed rule with its text. */
static inline void devtable_compare_rule(const struct iopf_rule *r, const struct model_line *l)
{
	const char *mode = strstr(l->rule, " none ") ? "none" :
			   strstr(l->rule, " selective ") ? "selective" : "arbitrary";
	const char *policy = strstr(l->rule, " policy=");
	unsigned int nr = 0;

	CHECK(r->len == l->rule_len);
	CHECK(r->source_len == l->source_len);
	/* A device's name may be the word of a mode, so compare modes in rules without names. */
	if (!strstr(l->rule, "address "))
		CHECK(!strcmp(iopf_mode_name(r->mode), mode));
	if (policy)
		CHECK(!strncmp(policy + 8, iopf_policy_name(r->policy),
			       strlen(iopf_policy_name(r->policy))));
	else
		CHECK(r->policy == IOPF_POLICY_DEFAULT);
	for (const char *s = l->rule; (s = strstr(s, " window=")); s++, nr++) {
		unsigned long long first, last;

		CHECK(sscanf(s, " window=%llx-%llx", &first, &last) == 2);
		CHECK(nr < r->nr_windows);
		CHECK(r->window[nr].first == first && r->window[nr].last == last);
	}
	CHECK(r->nr_windows == nr);
}

static inline struct iopf_devtable *devtable_alloc(const char *text, size_t len)
{
	unsigned int room = iopf_devtable_room(text, len);
	struct iopf_devtable *t = malloc(sizeof(*t) + room * sizeof(t->rule[0]));

	CHECK(t);
	t->max = room;
	t->nr = 77;
	return t;
}

/* A comparison: the table, devices, and the rule that the model finds for each device. */
struct devtable_comparison {
	struct iopf_devtable *t;
	const struct iopf_id *ids;
	size_t nr_ids;
	const struct iopf_rule *want[8];
};

static inline void devtable_compare_line(unsigned int nr, const char *s, size_t n,
					 unsigned int line, const struct model_line *l, void *data)
{
	struct devtable_comparison *c = data;
	const struct iopf_rule *r = &c->t->rule[nr];

	(void)n;
	CHECK(nr < c->t->max);
	CHECK(r->line == line);
	CHECK(r->text == s + l->first);
	CHECK(!l->source_len || r->source == s + l->source);
	devtable_compare_rule(r, l);
	for (size_t i = 0; i < c->nr_ids; i++)
		if (!c->want[i] && devtable_model_match(l->rule, &c->ids[i]))
			c->want[i] = r;
}

/* Checks a text against the model, and each device in @ids against the table. */
static inline void devtable_compare(const char *text, size_t len, const struct iopf_id *ids,
				    size_t nr_ids)
{
	struct devtable_comparison c = {
		.t = devtable_alloc(text, len), .ids = ids, .nr_ids = nr_ids,
	};
	struct iopf_devtable_error err = { .line = 12345 };
	int ret = iopf_devtable_parse(c.t, text, len, &err), nr;

	CHECK(nr_ids <= ARRAY_SIZE(c.want));
	nr = model_text(&devtable_grammar, text, len, ret, &err, devtable_compare_line, &c);
	CHECK(nr < 0 || c.t->nr == (unsigned int)nr);
	for (size_t i = 0; nr >= 0 && i < nr_ids; i++)
		CHECK(iopf_devtable_match(c.t, &ids[i]) == c.want[i]);
	free(c.t);
}

#endif /* IOPF_CORE_TEST_MODEL_DEVTABLE_H */
