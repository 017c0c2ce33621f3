// SPDX-License-Identifier: GPL-2.0-only
/*
 * The administrator's list of devices that may fault. See ids.h.
 *
 * The list stays text and is parsed at each use: when a device is attached, not when it faults.
 */
#include "ids.h"
#include "word.h"

enum iopf_id_kind {
	IOPF_ID_BAD,
	IOPF_ID_ALL,
	IOPF_ID_MODEL,
	IOPF_ID_NAME,
};

struct iopf_id_entry {
	enum iopf_id_kind kind;
	u16 vendor;
	u16 device;
	bool any_device;
};

/* Parses a 16-bit hexadecimal number of 1 to 4 digits without anything else. */
static bool parse_hex16(const char *s, size_t len, u16 *val)
{
	u64 v;

	if (!iopf_word_hex(s, len, 4, &v))
		return false;
	*val = v;
	return true;
}

static void parse_entry(struct iopf_id_entry *e, const char *s, size_t len)
{
	const char *colon = memchr(s, ':', len);

	*e = (struct iopf_id_entry){ .kind = IOPF_ID_BAD };
	if (iopf_word_is(s, len, "all")) {
		e->kind = IOPF_ID_ALL;
	} else if (colon && !memchr(colon + 1, ':', s + len - colon - 1) &&
		   !memchr(s, '.', len)) {
		size_t rest = s + len - colon - 1;

		if (!parse_hex16(s, colon - s, &e->vendor))
			return;
		e->any_device = rest == 1 && colon[1] == '*';
		if (e->any_device || parse_hex16(colon + 1, rest, &e->device))
			e->kind = IOPF_ID_MODEL;
	} else if (iopf_word_name(s, len)) {
		e->kind = IOPF_ID_NAME;
	}
}

/* Returns the length of the entry at @s. Sets @next to the next entry, or NULL. */
static size_t next_entry(const char *s, const char **next)
{
	size_t len = strcspn(s, ",\n");

	*next = s[len] == ',' ? s + len + 1 : NULL;
	return len;
}

/**
 * iopf_ids_check() - check a list
 * @list: the list; a newline ends it, since a shell's echo adds one
 * @bad: out, may be NULL: the first bad entry
 * @bad_len: out: its length
 *
 * Return: 0 or -EINVAL. An empty list is valid: it has no device.
 */
int iopf_ids_check(const char *list, const char **bad, size_t *bad_len)
{
	struct iopf_id_entry e;

	if (!*list || *list == '\n')
		return 0;
	for (const char *s = list, *next; s; s = next) {
		size_t len = next_entry(s, &next);

		parse_entry(&e, s, len);
		if (e.kind == IOPF_ID_BAD) {
			if (bad) {
				*bad = s;
				*bad_len = len;
			}
			return -EINVAL;
		}
	}
	return 0;
}

/**
 * iopf_ids_match() - whether a device is in a list
 * @list: a list that iopf_ids_check() accepted
 * @id: the device
 */
bool iopf_ids_match(const char *list, const struct iopf_id *id)
{
	struct iopf_id_entry e;

	for (const char *s = list, *next; s; s = next) {
		size_t len = next_entry(s, &next);

		parse_entry(&e, s, len);
		if (e.kind == IOPF_ID_ALL)
			return true;
		if (e.kind == IOPF_ID_MODEL && id->pci && e.vendor == id->vendor &&
		    (e.any_device || e.device == id->device))
			return true;
		if (e.kind == IOPF_ID_NAME && strlen(id->name) == len &&
		    !memcmp(id->name, s, len))
			return true;
	}
	return false;
}
