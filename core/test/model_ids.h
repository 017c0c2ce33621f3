/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The model of the device list: a regular expression for each kind of entry, and a list cut at its
 * commas. The includer defines CHECK().
 */
#ifndef IOPF_CORE_TEST_MODEL_IDS_H
#define IOPF_CORE_TEST_MODEL_IDS_H

#include <regex.h>

#include "../ids.h"

enum ids_kind {
	IDS_ALL,
	IDS_MODEL,
	IDS_NAME,
	IDS_KINDS,
	IDS_BAD = IDS_KINDS,
};

/* Tried in this order: an entry with one colon and no dot is never a name. */
static const char *const ids_regex[IDS_KINDS + 1] = {
	[IDS_ALL] = "^all$",
	[IDS_MODEL] = "^[0-9A-Fa-f]{1,4}:([0-9A-Fa-f]{1,4}|[*])$",
	[IDS_NAME] = "^[-A-Za-z0-9:._]{1,63}$",
	[IDS_BAD] = "^[^:.]*:[^:.]*$",
};

static inline regex_t *ids_compiled(unsigned int i)
{
	static regex_t re[ARRAY_SIZE(ids_regex)];
	static bool done;

	for (unsigned int k = 0; !done && k < ARRAY_SIZE(re); k++)
		CHECK(!regcomp(&re[k], ids_regex[k], REG_EXTENDED | REG_NOSUB));
	done = true;
	return &re[i];
}

static inline bool ids_is(const char *entry, unsigned int i)
{
	return !regexec(ids_compiled(i), entry, 0, NULL, 0);
}

static inline enum ids_kind ids_kind(const char *entry)
{
	if (ids_is(entry, IDS_ALL))
		return IDS_ALL;
	if (ids_is(entry, IDS_MODEL))
		return IDS_MODEL;
	return !ids_is(entry, IDS_BAD) && ids_is(entry, IDS_NAME) ? IDS_NAME : IDS_BAD;
}

static inline bool ids_entry_match(const char *entry, const struct iopf_id *id)
{
	const char *colon = strchr(entry, ':');

	switch (ids_kind(entry)) {
	case IDS_ALL:
		return true;
	case IDS_MODEL:
		return id->pci && strtoul(entry, NULL, 16) == id->vendor &&
		       (colon[1] == '*' || strtoul(colon + 1, NULL, 16) == id->device);
	case IDS_NAME:
		return !strcmp(entry, id->name);
	default:
		return false;
	}
}

/* Compares a list with the model, and matches each device in @ids against the list. */
static inline void ids_compare(const char *list, const struct iopf_id *ids, size_t nr_ids)
{
	size_t len = strcspn(list, "\n");
	char *copy = strndup(list, len);
	const char *bad = NULL, *model_bad = NULL;
	size_t bad_len = 0, model_bad_len = 0;
	int ret;

	CHECK(copy);
	for (char *s = copy, *comma; s && len && !model_bad; s = comma) {
		comma = strchr(s, ',');
		if (comma)
			*comma++ = '\0';
		if (ids_kind(s) == IDS_BAD) {
			model_bad = list + (s - copy);
			model_bad_len = strlen(s);
		}
	}

	ret = iopf_ids_check(list, &bad, &bad_len);
	CHECK(ret == (model_bad ? -EINVAL : 0));
	CHECK(bad == model_bad);
	CHECK(bad_len == model_bad_len);
	CHECK(iopf_ids_check(list, NULL, NULL) == ret);

	for (size_t i = 0; i < nr_ids && !model_bad; i++) {
		bool match = false;

		/* The commas are removed: entries follow each other as strings. */
		for (size_t at = 0; at < len; at += strlen(copy + at) + 1)
			match |= ids_entry_match(copy + at, &ids[i]);
		CHECK(iopf_ids_match(list, &ids[i]) == match);
	}
	free(copy);
}

#endif /* IOPF_CORE_TEST_MODEL_IDS_H */
