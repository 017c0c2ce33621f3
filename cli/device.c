// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl device: the device table.
 *
 * There are two: the administrator's file, which lasts, and the module's table, which is in force.
 * "apply" makes the second agree with the first; udev does that when the module is loaded. The file
 * is edited by line, so that comments and blank lines stay; it is never left malformed, and one
 * that is malformed already is not touched.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "conf.h"
#include "out.h"
#include "rules.h"
#include "sysfs.h"

static const struct option device_options[] = {
	{ "apply", no_argument, NULL, 'a' },
	{ "comment", required_argument, NULL, 'c' },
	{ "first", no_argument, NULL, 'f' },
	{ }
};

/**
 * struct device - what is asked for
 * @apply: give the changed file to the module
 * @first: put the rule before all others
 * @comment: where it is from, or NULL
 * @nr: how many words
 * @words: what follows the verb
 */
struct device {
	bool apply;
	bool first;
	const char *comment;
	int nr;
	char **words;
};

static const struct out_col device_cols[] = {
	{ "origin", "ORIGIN", 0 },
	{ "line", "LINE", OUT_RIGHT | OUT_DETAIL },
	{ "match", "MATCH", 0 },
	{ "mode", "MODE", 0 },
	{ "policy", "POLICY", 0 },
	{ "windows", "WINDOWS", OUT_WRAP },
	{ "source", "SOURCE", OUT_WRAP },
};

/* list */

static const char * const match_words[] = { "pci", "subsystem", "class", "address" };

/* The words of a rule before its mode, with one blank between them. */
static void match_text(const struct iopf_rule *rule, char *buf, size_t size)
{
	char text[IOPF_DEVTABLE_MAX_LINE + 1], *save, *word;
	size_t n = 0;

	buf[0] = 0;
	snprintf(text, sizeof(text), "%.*s", (int)rule->len, rule->text);
	for (word = strtok_r(text, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
		const char *value;
		bool match = false;

		for (unsigned int i = 0; i < ARRAY_SIZE(match_words); i++)
			match |= !strcmp(word, match_words[i]);
		value = match ? strtok_r(NULL, " \t", &save) : NULL;
		if (!value || n >= size)
			return;
		n += snprintf(buf + n, size - n, "%s%s %s", n ? " " : "", word, value);
	}
}

static struct json_object *rule_row(enum iopf_origin origin, const struct iopf_rule *rule,
				    bool in_force)
{
	struct json_object *row = out_object(), *windows = out_array();
	char text[IOPF_DEVTABLE_MAX_LINE + 1];

	out_put(row, "origin", out_string(iopf_origin_name(origin)));
	out_put(row, "in_force", json_object_new_boolean(in_force));
	out_put(row, "line", json_object_new_uint64(rule->line));
	snprintf(text, sizeof(text), "%.*s", (int)rule->len, rule->text);
	out_put(row, "rule", out_string(text));
	match_text(rule, text, sizeof(text));
	out_put(row, "match", out_string(text));
	out_put(row, "mode", out_string(iopf_mode_name(rule->mode)));
	out_put(row, "policy",
		rule->policy == IOPF_POLICY_DEFAULT ? NULL
						    : out_string(iopf_policy_name(rule->policy)));
	for (unsigned int i = 0; i < rule->nr_windows; i++) {
		snprintf(text, sizeof(text), "0x%llx-0x%llx",
			 (unsigned long long)rule->window[i].first,
			 (unsigned long long)rule->window[i].last);
		out_append(windows, out_string(text));
	}
	out_put(row, "windows", windows);
	snprintf(text, sizeof(text), "%.*s", (int)rule->source_len, rule->source ?: "");
	out_put(row, "source", out_known(text));
	return row;
}

/* The parameter has rules of its own kind, which all mean "arbitrary". */
static struct json_object *ids_row(const char *entry)
{
	struct json_object *row = out_object();

	out_put(row, "origin", out_string(iopf_origin_name(IOPF_ORIGIN_IDS)));
	out_put(row, "in_force", json_object_new_boolean(true));
	out_put(row, "line", NULL);
	out_put(row, "rule", out_string(entry));
	out_put(row, "match", out_string(entry));
	out_put(row, "mode", out_string(iopf_mode_name(IOPF_MODE_ARBITRARY)));
	out_put(row, "policy", NULL);
	out_put(row, "windows", out_array());
	out_put(row, "source", out_string("module parameter ids"));
	return row;
}

static void table_rows(struct json_object *rows, enum iopf_origin origin,
		       const struct iopf_devtable *table, bool in_force)
{
	for (unsigned int i = 0; i < table->nr; i++)
		out_append(rows, rule_row(origin, &table->rule[i], in_force));
}

static int device_list(const struct device *device)
{
	struct json_object *rows;
	struct rules rules;
	char *save, *entry;
	int status;

	if (device->nr)
		return ctl_usage("'%s' is too much", device->words[0]);
	status = rules_load(&rules);
	if (status != CTL_OK)
		return status;
	if (!rules.in_force)
		ctl_note("the module is not loaded: these are the rules it would have, with %s",
			 ctl.config);
	rows = out_array();
	for (entry = strtok_r(rules.ids, ",", &save); entry; entry = strtok_r(NULL, ",", &save))
		out_append(rows, ids_row(entry));
	table_rows(rows, IOPF_ORIGIN_ADMIN, rules.admin, rules.in_force);
	table_rows(rows, IOPF_ORIGIN_BUILTIN, rules.builtin, rules.in_force);
	status = out_table(device_cols, ARRAY_SIZE(device_cols), "rules", rows);
	json_object_put(rows);
	rules_free(&rules);
	return status;
}

/* apply, check */

static int say_done(const char *what, const char *rule, unsigned int nr)
{
	struct json_object *top;
	int status;

	if (!ctl.json) {
		if (rule)
			printf("%s: %s\n", what, rule);
		else
			printf("%s: %u rule%s of %s\n", what, nr, nr == 1 ? "" : "s", ctl.config);
		return CTL_OK;
	}
	top = out_object();
	out_put(top, "done", out_string(what));
	out_put(top, "file", out_string(ctl.config));
	out_put(top, "rule", rule ? out_string(rule) : NULL);
	out_put(top, "rules", json_object_new_uint64(nr));
	status = out_json(top, false);
	json_object_put(top);
	return status;
}

/* Parse the administrator's text; says what is wrong with it. */
static int parse_file(struct iopf_devtable **table, const struct conf *conf)
{
	struct iopf_devtable_error err;
	char said[1024];
	int ret = rules_parse(table, conf->text, conf->len, &err);

	if (!ret)
		return CTL_OK;
	if (ret == -ENOMEM)
		return ctl_fail_errno(ret, "reading %s", ctl.config);
	rules_say_error(ctl.config, &err, said, sizeof(said));
	return ctl_fail(CTL_FAILED, "%s; nothing was changed", said);
}

/*
 * The text as the module takes it: the last write has to be less than a page, and not nothing. So
 * a last newline is left out or added.
 */
static char *text_for_module(const struct conf *conf, size_t *len)
{
	char *text = malloc(conf->len + 1);

	if (!text)
		return NULL;
	memcpy(text, conf->text, conf->len);
	*len = conf->len;
	if (*len % sysconf(_SC_PAGESIZE))
		return text;
	if (*len && text[*len - 1] == '\n')
		--*len;
	else
		text[(*len)++] = '\n';
	return text;
}

static int apply_text(const struct conf *conf)
{
	size_t len;
	char *text;
	int ret;

	if (!sysfs_there(SYSFS_TABLE))
		return ctl_fail(CTL_FAILED,
				"this vfio_iommu_iopf has no device table (%s/%s); it is older than iopfctl",
				sysfs_root(), SYSFS_TABLE);
	text = text_for_module(conf, &len);
	if (!text)
		return ctl_fail_errno(-ENOMEM, "reading %s", ctl.config);
	ret = sysfs_write_all(text, len, SYSFS_TABLE);
	free(text);
	if (ret == -EINVAL || ret == -E2BIG)
		return ctl_fail(CTL_FAILED,
				"the module refuses the table and keeps the one it had: %s; the kernel log says why (dmesg)",
				strerror(-ret));
	return ret ? ctl_fail_errno(ret, "writing %s/" SYSFS_TABLE, sysfs_root()) : CTL_OK;
}

static int device_apply(const struct device *device)
{
	struct iopf_devtable *table;
	struct conf conf;
	unsigned int nr;
	int status;

	if (device->nr)
		return ctl_usage("'%s' is too much; --config gives the file", device->words[0]);
	status = sysfs_need_module();
	if (status != CTL_OK)
		return status;
	status = conf_read(&conf);
	if (status != CTL_OK)
		return status;
	if (conf.missing)
		ctl_note("there is no %s: the module gets no rules but its own", ctl.config);
	status = parse_file(&table, &conf);
	if (status == CTL_OK) {
		nr = table->nr;
		free(table);
		status = apply_text(&conf);
	}
	free(conf.text);
	return status == CTL_OK ? say_done("applied", NULL, nr) : status;
}

static int print_check(const char *file, unsigned int nr, const struct iopf_devtable_error *err)
{
	struct json_object *top = out_object(), *error = NULL;
	char word[IOPF_DEVTABLE_MAX_LINE + 1];
	int status;

	if (err) {
		error = out_object();
		snprintf(word, sizeof(word), "%.*s", (int)err->len, err->word ?: "");
		out_put(error, "line", json_object_new_uint64(err->line));
		out_put(error, "column", json_object_new_uint64(err->column));
		out_put(error, "word", out_known(word));
		out_put(error, "why", out_string(err->why));
	}
	out_put(top, "file", out_string(file));
	out_put(top, "good", json_object_new_boolean(!err));
	out_put(top, "rules", err ? NULL : json_object_new_uint64(nr));
	out_put(top, "error", error);
	status = out_json(top, false);
	json_object_put(top);
	return status;
}

static int device_check(const struct device *device)
{
	const char *file = device->nr ? device->words[0] : ctl.config;
	struct iopf_devtable *table = NULL;
	struct iopf_devtable_error err;
	struct conf conf;
	char said[1024];
	int status, ret;

	if (device->nr > 1)
		return ctl_usage("'%s' is too much", device->words[1]);
	status = conf_read_file(&conf, file);
	if (status != CTL_OK)
		return status;
	if (conf.missing) {
		free(conf.text);
		return ctl_fail(CTL_NOT_FOUND, "there is no %s", file);
	}
	ret = rules_parse(&table, conf.text, conf.len, &err);
	if (ret == -ENOMEM) {
		status = ctl_fail_errno(ret, "reading %s", file);
	} else if (ctl.json) {
		status = print_check(file, ret ? 0 : table->nr, ret ? &err : NULL);
	} else if (!ret) {
		printf("%s: good, %u rule%s\n", file, table->nr, table->nr == 1 ? "" : "s");
	} else {
		rules_say_error(file, &err, said, sizeof(said));
		ctl_note("%s", said);
	}
	if (ret && status == CTL_OK)
		status = CTL_FAILED;
	free(table);
	free(conf.text);
	return status;
}

/* add, remove */

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
	int lock;
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
	if (edit->lock >= 0)
		conf_unlock(edit->lock);
}

static int edit_begin(struct edit *edit)
{
	int status;

	edit->lock = conf_lock();
	if (edit->lock < 0)
		return ctl_fail_errno(edit->lock, "locking the directory of %s", ctl.config);
	status = conf_read(&edit->conf);
	if (status != CTL_OK) {
		edit->conf.text = NULL;
		return status;
	}
	return parse_file(&edit->table, &edit->conf);
}

/* The rule of the command line, followed by @more. Says what is wrong with it unless @quiet. */
static int edit_rule(struct edit *edit, const struct device *device, const char *more, bool quiet)
{
	struct iopf_devtable_error err;
	char said[1024];
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
		rules_say_error("the rule", &err, said, sizeof(said));
		return ctl_usage("%s", said);
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
	status = parse_file(&table, &conf);
	if (status == CTL_OK) {
		free(table);
		ret = conf_write(conf.text, conf.len);
		if (ret)
			status = ctl_fail_errno(ret, "writing %s", ctl.config);
		else if (device->apply)
			status = apply_text(&conf);
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
	return status == CTL_OK ? say_done("added", edit->text, edit->table->nr + 1) : status;
}

static int need_apply(const struct device *device)
{
	return device->apply ? sysfs_need_module() : CTL_OK;
}

static int device_add(const struct device *device)
{
	struct edit edit = { .lock = -1 };
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
	return status == CTL_OK ? say_done("removed", text, edit->table->nr - 1) : status;
}

static int device_remove(const struct device *device)
{
	struct edit edit = { .lock = -1 };
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

/* mode */

static int device_mode(const struct device *device)
{
	char assign[32], *argv[] = { "set", "--device", NULL, assign, NULL };

	if (device->nr != 2)
		return ctl_usage("a device and a mode are wanted");
	if (snprintf(assign, sizeof(assign), "mode=%s", device->words[1]) >= (int)sizeof(assign))
		return ctl_usage("'%s' is no mode", device->words[1]);
	argv[2] = device->words[0];
	optind = 0;
	return cmd_set(4, argv);
}

static const struct {
	const char *name;
	int (*run)(const struct device *device);
} device_verbs[] = {
	{ "list", device_list },
	{ "add", device_add },
	{ "remove", device_remove },
	{ "check", device_check },
	{ "apply", device_apply },
	{ "mode", device_mode },
};

int cmd_device(int argc, char **argv)
{
	struct device device = { 0 };
	const char *verb;
	int c;

	while ((c = ctl_getopt(argc, argv, "ac:fh", device_options)) != -1) {
		switch (c) {
		case 'a':
			device.apply = true;
			break;
		case 'c':
			device.comment = optarg;
			break;
		case 'f':
			device.first = true;
			break;
		case 'h':
			return ctl_help();
		default:
			return ctl_usage(NULL);
		}
	}
	if (optind == argc)
		return device_list(&device);
	verb = argv[optind];
	device.words = argv + optind + 1;
	device.nr = argc - optind - 1;
	for (unsigned int i = 0; i < ARRAY_SIZE(device_verbs); i++)
		if (!strcmp(verb, device_verbs[i].name))
			return device_verbs[i].run(&device);
	return ctl_usage("'%s' is not list, add, remove, check, apply or mode", verb);
}
