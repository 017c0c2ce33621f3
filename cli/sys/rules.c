// SPDX-License-Identifier: GPL-2.0-only
/*
 * The whole device table: see rules.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../print/memory.h"
#include "../print/message.h"
#include "conf.h"
#include "rules.h"
#include "sysfs.h"

#define PARAM_IDS	"module/vfio_iommu_iopf/parameters/ids"

/**
 * rules_parse() - parse a text of rules
 * @table: out: the rules, which point into the text; the caller frees the table
 * @text: the text
 * @len: its length
 * @err: out: the error in the text
 *
 * Return: 0 or a negative errno; @err is set for all but -ENOMEM
 */
int rules_parse(struct iopf_devtable **table, const char *text, size_t len,
		struct iopf_devtable_error *err)
{
	unsigned int room = iopf_devtable_room(text, len);
	int ret;

	*table = calloc(1, sizeof(**table) + room * sizeof((*table)->rule[0]));
	if (!*table)
		return -ENOMEM;
	(*table)->max = room;
	ret = iopf_devtable_parse(*table, text, len, err);
	if (ret) {
		free(*table);
		*table = NULL;
	}
	return ret;
}

/**
 * rules_error_text() - describe an error in a text of rules
 * @file: the file of the text
 * @err: the error
 *
 * Return: half a sentence; the caller frees it
 */
char *rules_error_text(const char *file, const struct iopf_devtable_error *err)
{
	char *text;
	int len;

	if (err->len)
		len = asprintf(&text, "%s: line %u, column %u: '%.*s': %s", file, err->line,
			       err->column, (int)err->len, err->word, err->why);
	else
		len = asprintf(&text, "%s: line %u, column %u: %s", file, err->line, err->column,
			       err->why);
	if (len < 0)
		ctl_no_memory();
	return text;
}

/* Parse the text of a whole table. Returns an exit status. */
static int parse_known(struct iopf_devtable **table, const char *file, const char *text,
		       size_t len)
{
	struct iopf_devtable_error err;
	int ret = rules_parse(table, text, len, &err);
	char *said;

	if (ret == -ENOMEM)
		return ctl_fail_errno(ret, "reading %s", file);
	if (!ret)
		return CTL_OK;
	said = rules_error_text(file, &err);
	ctl_note("%s", said);
	free(said);
	return CTL_FAILED;
}

/**
 * rules_split() - split a line of the table in force
 * @line: the line; the function inserts NULs
 * @number: out: the rule's line number in its text; 0: none
 * @rest: out: the rule, with its source as a comment; or the list "ids"
 *
 * Return: the origin; IOPF_ORIGIN_DEFAULT, too, for a malformed line
 */
enum iopf_origin rules_split(char *line, unsigned int *number, char **rest)
{
	char *save, *origin = strtok_r(line, " ", &save), *word = strtok_r(NULL, " ", &save);

	*number = word ? strtoul(word, NULL, 10) : 0;
	*rest = word ? save : "";
	for (int i = IOPF_ORIGIN_BUILTIN; word && i <= IOPF_ORIGIN_IDS; i++)
		if (!strcmp(origin, iopf_origin_name(i)))
			return i;
	return IOPF_ORIGIN_DEFAULT;
}

/* Return the rules of one origin as a text. Each rule is on the line with its number. */
static char *text_of(const char *all, enum iopf_origin origin)
{
	char *copy = strdup(all), *save, *line, *rest, *text = NULL;
	unsigned int at = 1, number;
	size_t size;
	FILE *f;

	f = copy ? open_memstream(&text, &size) : NULL;
	if (!f)
		goto out;
	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (rules_split(line, &number, &rest) != origin)
			continue;
		for (; at < number && at < IOPF_DEVTABLE_MAX_TEXT; at++)
			fputc('\n', f);
		fputs(rest, f);
	}
	if (fclose(f)) {
		free(text);
		text = NULL;
	}
out:
	free(copy);
	return text;
}

static int load_in_force(struct rules *rules, const char *all)
{
	int status;

	rules->active = true;
	rules->admin_text = text_of(all, IOPF_ORIGIN_ADMIN);
	rules->builtin_text = text_of(all, IOPF_ORIGIN_BUILTIN);
	if (!rules->admin_text || !rules->builtin_text)
		return ctl_fail_errno(-ENOMEM, "reading the device table");
	status = parse_known(&rules->builtin, SYSFS_TABLE, rules->builtin_text,
			     strlen(rules->builtin_text));
	return status == CTL_OK ? parse_known(&rules->admin, SYSFS_TABLE, rules->admin_text,
					      strlen(rules->admin_text))
				: status;
}

static int load_file(struct rules *rules)
{
	struct conf conf;
	int status;

	status = parse_known(&rules->builtin, "the built-in rules", iopf_devtable_builtin,
			     iopf_devtable_builtin_len);
	if (status == CTL_OK)
		status = conf_read(&conf);
	if (status != CTL_OK)
		return status;
	rules->admin_text = conf.text;
	return parse_known(&rules->admin, conf_file(), conf.text, conf.len);
}

/**
 * rules_load() - read all rules
 * @rules: out: the rules; rules_free() frees them, except on failure
 *
 * Return: an exit status, after a message on failure
 */
int rules_load(struct rules *rules)
{
	size_t len;
	char *all;
	int status, ret;

	*rules = (struct rules){ 0 };
	sysfs_read(rules->ids, sizeof(rules->ids), PARAM_IDS);
	ret = sysfs_read_all(&all, &len, SYSFS_TABLE);
	if (ret && ret != -ENOENT)
		return ctl_fail_errno(ret, "reading %s/%s", sysfs_root(), SYSFS_TABLE);
	if (ret) {
		status = load_file(rules);
	} else {
		status = load_in_force(rules, all);
		free(all);
	}
	if (status != CTL_OK)
		rules_free(rules);
	return status;
}

/** rules_free() - free the rules from rules_load() */
void rules_free(struct rules *rules)
{
	free(rules->admin);
	free(rules->admin_text);
	free(rules->builtin);
	free(rules->builtin_text);
	*rules = (struct rules){ 0 };
}
