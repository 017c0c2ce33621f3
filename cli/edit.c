// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl device add, remove: changing the administrator's file.
 *
 * It is edited by line, so that comments and blank lines stay; it is never left malformed, and one
 * that is malformed already is not touched.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "conf.h"
#include "device.h"
#include "rules.h"
#include "sysfs.h"

static bool match_equal(const struct iopf_rule *a, const struct iopf_rule *b)
{
	return a->vendor_mask == b->vendor_mask && a->device_mask == b->device_mask &&
	       a->subvendor_mask == b->subvendor_mask && a->subdevice_mask == b->subdevice_mask &&
	       a->class_mask == b->class_mask && a->vendor == b->vendor && a->device == b->device &&
	       a->subvendor == b->subvendor && a->subdevice == b->subdevice &&
	       a->class == b->class && a->by_pci == b->by_pci && a->by_address == b->by_address &&
	       a->address_prefix == b->address_prefix && a->address_len == b->address_len &&
	       !memcmp(a->address ?: "", b->address ?: "", a->address_len);
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

/* The words, and what may have to follow them, as a text; or NULL. */
static char *join(const struct device *device, const char *more)
{
	size_t len = strlen(more) + 1;
	char *text;

	for (int i = 0; i < device->nr; i++)
		len += strlen(device->words[i]) + 1;
	text = calloc(1, len);
	for (int i = 0; text && i < device->nr; i++) {
		if (i)
			strcat(text, " ");
		strcat(text, device->words[i]);
	}
	return text ? strcat(text, more) : NULL;
}

/**
 * struct edit - a change of the file
 * @lock: of the file
 * @conf: the file as it is
 * @table: its rules
 * @text: the rule of the command line
 * @rule: the same, parsed: a table of one
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
	return device_parse(&edit->table, &edit->conf);
}

/* The rule of the command line, followed by @more. Says what is wrong with it unless @quiet. */
static int edit_rule(struct edit *edit, const struct device *device, const char *more, bool quiet)
{
	struct iopf_devtable_error err;
	char *said;
	int ret;

	edit->text = join(device, more);
	if (!edit->text)
		return ctl_fail_errno(-ENOMEM, "reading the rule");
	if (strpbrk(edit->text, "\n#"))
		return ctl_usage("a rule is one line; a comment is given by --comment");
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

/* Put the file with @len characters at @at replaced by @with into place; apply it if asked. */
static int edit_write(struct edit *edit, const struct device *device, size_t at, size_t len,
		      const char *with)
{
	struct iopf_devtable *table;
	struct conf conf = { 0 };
	int ret, status;

	conf.len = edit->conf.len - len + strlen(with);
	conf.text = malloc(conf.len + 1);
	if (!conf.text)
		return ctl_fail_errno(-ENOMEM, "changing %s", ctl.config);
	memcpy(conf.text, edit->conf.text, at);
	memcpy(conf.text + at, with, strlen(with));
	/* With the NUL. */
	memcpy(conf.text + at + strlen(with), edit->conf.text + at + len,
	       edit->conf.len - at - len + 1);
	status = device_parse(&table, &conf);
	if (status == CTL_OK) {
		free(table);
		ret = conf_write(&edit->lock, conf.text, conf.len);
		if (ret)
			status = ctl_fail_errno(ret, "writing %s", ctl.config);
		else if (device->apply)
			status = device_give(&conf);
	}
	free(conf.text);
	return status;
}

/* Where line @line, from 1, begins. */
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

/* Where a new rule goes: to the end, or before the first and the comment above that. */
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

static int add_locked(struct edit *edit, const struct device *device)
{
	const struct iopf_rule *rule = &edit->rule->rule[0];
	size_t at = place(edit, device->first);
	bool broken = at && edit->conf.text[at - 1] != '\n';
	char *line;
	int status;

	for (unsigned int i = 0; i < edit->table->nr; i++)
		if (match_equal(&edit->table->rule[i], rule))
			return ctl_fail(CTL_FAILED,
					"line %u of %s is for the same devices: '%.*s'; remove that first",
					edit->table->rule[i].line, ctl.config,
					(int)edit->table->rule[i].len, edit->table->rule[i].text);
	if (asprintf(&line, "%s%s%s%s\n", broken ? "\n" : "", edit->text,
		     device->comment ? " # " : "", device->comment ?: "") < 0)
		return ctl_fail_errno(-ENOMEM, "changing %s", ctl.config);
	status = edit_write(edit, device, at, 0, line);
	free(line);
	if (status != CTL_OK)
		return status;
	return device_say_done("added", edit->text, edit->table->nr + 1);
}

static int need_apply(const struct device *device)
{
	return device->apply ? sysfs_need_module() : CTL_OK;
}

/**
 * device_add() - add a rule to the file
 * @device: what is asked for
 *
 * Return: an exit status.
 */
int device_add(const struct device *device)
{
	struct edit edit = { .lock = { .fd = -1 } };
	int status;

	if (device->comment && strchr(device->comment, '\n'))
		return ctl_usage("a comment is one line");
	status = need_apply(device);
	if (status == CTL_OK)
		status = edit_rule(&edit, device, "", false);
	if (status == CTL_OK)
		status = edit_begin(&edit);
	if (status == CTL_OK)
		status = add_locked(&edit, device);
	edit_end(&edit);
	return status;
}

static int remove_locked(struct edit *edit, const struct device *device, bool match_only)
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
					"lines %u and %u of %s are both so; remove one by hand",
					found->line, rule[i].line, ctl.config);
		if (equal)
			found = &rule[i];
	}
	if (!found)
		return ctl_fail(CTL_NOT_FOUND,
				"%s has no such rule; iopfctl device list shows those there are, of which only the administrator's (admin) can be removed",
				ctl.config);
	snprintf(text, sizeof(text), "%.*s", (int)found->len, found->text);
	at = line_start(&edit->conf, found->line);
	status = edit_write(edit, device, at, line_start(&edit->conf, found->line + 1) - at, "");
	if (status != CTL_OK)
		return status;
	return device_say_done("removed", text, edit->table->nr - 1);
}

/**
 * device_remove() - remove a rule from the file
 * @device: what is asked for
 *
 * Return: an exit status.
 */
int device_remove(const struct device *device)
{
	struct edit edit = { .lock = { .fd = -1 } };
	bool match_only = false;
	int status = need_apply(device);

	if (status == CTL_OK)
		status = edit_rule(&edit, device, " none", true);
	if (status == CTL_OK)
		match_only = true;
	else if (status == CTL_USAGE)
		status = edit_rule(&edit, device, "", false);
	if (status == CTL_OK)
		status = edit_begin(&edit);
	if (status == CTL_OK)
		status = remove_locked(&edit, device, match_only);
	edit_end(&edit);
	return status;
}
