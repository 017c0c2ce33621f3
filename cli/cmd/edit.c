// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl device add, remove: changes of the administrator's file.
 *
 * A change adds or removes lines. Comments and blank lines stay. The result is never malformed. If
 * the file is malformed, the command fails and leaves it unchanged.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../print/message.h"
#include "../sys/conf.h"
#include "../sys/sysfs.h"
#include "edit.h"
#include "options.h"
#include "rulefile.h"

/**
 * edit_parse() - parse the administrator's text
 * @table: out: the rules; the caller frees them, except on failure
 * @conf: the text
 *
 * Return: an exit status, after a message on failure
 */
int edit_parse(struct iopf_devtable **table, const struct conf *conf)
{
	struct iopf_devtable_error err;
	int ret = rules_parse(table, conf->text, conf->len, &err);
	char *said;

	if (!ret)
		return CTL_OK;
	if (ret == -ENOMEM)
		return ctl_fail_errno(ret, "reading %s", conf_file());
	said = rules_error_text(conf_file(), &err);
	ctl_note("%s; nothing has changed", said);
	free(said);
	return CTL_FAILED;
}

static bool class_equal(const struct iopf_rule *a, const struct iopf_rule *b)
{
	return a->class == b->class && a->class_mask == b->class_mask;
}

static bool ids_equal(const struct iopf_rule *a, const struct iopf_rule *b)
{
	return a->vendor == b->vendor && a->vendor_mask == b->vendor_mask &&
	       a->device == b->device && a->device_mask == b->device_mask &&
	       a->subvendor == b->subvendor && a->subvendor_mask == b->subvendor_mask &&
	       a->subdevice == b->subdevice && a->subdevice_mask == b->subdevice_mask;
}

static bool address_equal(const struct iopf_rule *a, const struct iopf_rule *b)
{
	return a->by_address == b->by_address && a->address_prefix == b->address_prefix &&
	       a->address_len == b->address_len &&
	       !memcmp(a->address ?: "", b->address ?: "", a->address_len);
}

static bool match_equal(const struct iopf_rule *a, const struct iopf_rule *b)
{
	return a->by_pci == b->by_pci && ids_equal(a, b) && class_equal(a, b) &&
	       address_equal(a, b);
}

static bool rule_equal(const struct iopf_rule *a, const struct iopf_rule *b)
{
	if (!match_equal(a, b) || a->mode != b->mode || a->policy != b->policy ||
	    a->nr_windows != b->nr_windows)
		return false;
	for (unsigned int i = 0; i < a->nr_windows; i++)
		if (a->window[i].first != b->window[i].first ||
		    a->window[i].last != b->window[i].last)
			return false;
	return true;
}

/* Return the words of the rule and @more as a text; NULL: out of memory. */
static char *join(const struct edit_args *args, const char *more)
{
	size_t len = strlen(more) + 1;
	char *text;

	for (int i = 0; i < args->nr; i++)
		len += strlen(args->words[i]) + 1;
	text = calloc(1, len);
	for (int i = 0; text && i < args->nr; i++) {
		if (i)
			strcat(text, " ");
		strcat(text, args->words[i]);
	}
	return text ? strcat(text, more) : NULL;
}

/**
 * struct edit - a change of the file
 * @lock: of the file
 * @conf: the old file
 * @table: the rules of the old file
 * @text: the rule in the command line
 * @rule: the same rule, parsed: a table with one rule
 */
struct edit {
	struct conf_lock lock;
	struct conf conf;
	struct iopf_devtable *table;
	char *text;
	struct iopf_devtable *rule;
};

static void edit_end(struct edit *edit)
{
	free(edit->rule);
	free(edit->text);
	free(edit->table);
	free(edit->conf.text);
	conf_unlock(&edit->lock);
}

static int edit_begin(struct edit *edit)
{
	int status = conf_lock(&edit->lock);

	if (status != CTL_OK)
		return status;
	status = conf_read_file(&edit->conf, edit->lock.path);
	if (status != CTL_OK) {
		edit->conf.text = NULL;
		return status;
	}
	return edit_parse(&edit->table, &edit->conf);
}

/* Parse the rule in the command line, followed by @more. @quiet: report no errors of syntax. */
static int edit_rule(struct edit *edit, const struct edit_args *args, const char *more, bool quiet)
{
	struct iopf_devtable_error err;
	char *said;
	int ret;

	edit->text = join(args, more);
	if (!edit->text)
		return ctl_fail_errno(-ENOMEM, "reading the rule");
	if (strpbrk(edit->text, "\n#"))
		return ctl_usage("a rule is one line; --comment gives its comment");
	ret = rules_parse(&edit->rule, edit->text, strlen(edit->text), &err);
	if (!ret && edit->rule->nr == 1)
		return CTL_OK;
	if (ret == -ENOMEM)
		return ctl_fail_errno(ret, "reading the rule");
	if (!quiet && !ret)
		return ctl_usage("a rule is missing");
	if (!quiet) {
		said = rules_error_text("the rule", &err);
		ret = ctl_usage("%s", said);
		free(said);
		return ret;
	}
	free(edit->rule);
	free(edit->text);
	edit->rule = NULL;
	edit->text = NULL;
	return CTL_USAGE;
}

/* Replace @len bytes of the file at @at by @with, and give the file to the module for --apply. */
static int edit_write(struct edit *edit, const struct edit_args *args, size_t at, size_t len,
		      const char *with)
{
	struct iopf_devtable *table;
	struct conf conf = { 0 };
	int ret, status;

	conf.len = edit->conf.len - len + strlen(with);
	conf.text = malloc(conf.len + 1);
	if (!conf.text)
		return ctl_fail_errno(-ENOMEM, "changing %s", conf_file());
	memcpy(conf.text, edit->conf.text, at);
	memcpy(conf.text + at, with, strlen(with));
	/* The rest, and the NUL. */
	memcpy(conf.text + at + strlen(with), edit->conf.text + at + len,
	       edit->conf.len - at - len + 1);
	status = edit_parse(&table, &conf);
	if (status == CTL_OK) {
		free(table);
		ret = conf_write(&edit->lock, conf.text, conf.len);
		if (ret)
			status = ctl_fail_errno(ret, "writing %s", conf_file());
		else if (args->apply)
			status = rulefile_give(&conf, SYSFS_TABLE);
	}
	free(conf.text);
	return status;
}

/* Return the position of line number @line. The first line is 1. */
static size_t line_start(const struct conf *conf, unsigned int line)
{
	const char *p = conf->text;

	while (--line) {
		p = memchr(p, '\n', conf->text + conf->len - p);
		if (!p)
			return conf->len;
		p++;
	}
	return p - conf->text;
}

/* Return the position of a new rule: the end; @first: above the first rule and its comments. */
static size_t place(const struct edit *edit, bool first)
{
	unsigned int line;

	if (!first || !edit->table->nr)
		return edit->conf.len;
	line = edit->table->rule[0].line;
	while (line > 1 && edit->conf.text[line_start(&edit->conf, line - 1)] == '#')
		line--;
	return line_start(&edit->conf, line);
}

static int add_locked(struct edit *edit, const struct edit_args *args)
{
	const struct iopf_rule *rule = &edit->rule->rule[0];
	size_t at = place(edit, args->first);
	bool broken = at && edit->conf.text[at - 1] != '\n';
	char *line;
	int status;

	for (unsigned int i = 0; i < edit->table->nr; i++)
		if (match_equal(&edit->table->rule[i], rule))
			return ctl_fail(CTL_FAILED,
					"line %u of %s matches the same devices: '%.*s'; remove that rule first",
					edit->table->rule[i].line, conf_file(),
					(int)edit->table->rule[i].len, edit->table->rule[i].text);
	if (asprintf(&line, "%s%s%s%s\n", broken ? "\n" : "", edit->text,
		     args->comment ? " # " : "", args->comment ?: "") < 0)
		return ctl_fail_errno(-ENOMEM, "changing %s", conf_file());
	status = edit_write(edit, args, at, 0, line);
	free(line);
	if (status != CTL_OK)
		return status;
	return rulefile_done("added", conf_file(), edit->text, edit->table->nr + 1);
}

static int need_apply(const struct edit_args *args)
{
	return args->apply ? sysfs_need_module() : CTL_OK;
}

/**
 * edit_add() - add a rule to the file
 * @args: the rule
 *
 * Return: an exit status, after a message on failure
 */
int edit_add(const struct edit_args *args)
{
	struct edit edit = { .lock = { .fd = -1 } };
	int status;

	if (args->comment && strchr(args->comment, '\n'))
		return ctl_usage("a comment is one line");
	status = need_apply(args);
	if (status == CTL_OK)
		status = edit_rule(&edit, args, "", false);
	if (status == CTL_OK)
		status = edit_begin(&edit);
	if (status == CTL_OK)
		status = add_locked(&edit, args);
	edit_end(&edit);
	return status;
}

static int remove_locked(struct edit *edit, const struct edit_args *args, bool match_only)
{
	const struct iopf_rule *found = NULL, *rule = edit->table->rule;
	char text[IOPF_DEVTABLE_MAX_LINE + 1];
	size_t at;
	int status;

	for (unsigned int i = 0; i < edit->table->nr; i++) {
		bool equal = match_only ? match_equal(&rule[i], &edit->rule->rule[0])
					: rule_equal(&rule[i], &edit->rule->rule[0]);

		if (equal && found)
			return ctl_fail(CTL_FAILED,
					"lines %u and %u of %s are equal; remove one in an editor",
					found->line, rule[i].line, conf_file());
		if (equal)
			found = &rule[i];
	}
	if (!found)
		return ctl_fail(CTL_NOT_FOUND,
				"%s has no such rule; iopfctl device list shows all; only those of the administrator (admin) can be removed",
				conf_file());
	snprintf(text, sizeof(text), "%.*s", (int)found->len, found->text);
	at = line_start(&edit->conf, found->line);
	status = edit_write(edit, args, at, line_start(&edit->conf, found->line + 1) - at, "");
	if (status != CTL_OK)
		return status;
	return rulefile_done("removed", conf_file(), text, edit->table->nr - 1);
}

/**
 * edit_remove() - remove a rule from the file
 * @args: the rule, or its match
 *
 * Return: an exit status, after a message on failure
 */
int edit_remove(const struct edit_args *args)
{
	struct edit edit = { .lock = { .fd = -1 } };
	bool match_only = false;
	int status = need_apply(args);

	if (status == CTL_OK)
		status = edit_rule(&edit, args, " none", true);
	if (status == CTL_OK)
		match_only = true;
	else if (status == CTL_USAGE)
		status = edit_rule(&edit, args, "", false);
	if (status == CTL_OK)
		status = edit_begin(&edit);
	if (status == CTL_OK)
		status = remove_locked(&edit, args, match_only);
	edit_end(&edit);
	return status;
}
