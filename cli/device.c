// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl device: the device table.
 *
 * There are two: the administrator's file, which lasts, and the module's table, which is in force.
 * "apply" makes the second agree with the first; udev does that when the module is loaded. What
 * changes the file is in edit.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "conf.h"
#include "device.h"
#include "out.h"
#include "rules.h"
#include "sysfs.h"

static const struct option device_options[] = {
	{ "apply", no_argument, NULL, 'a' },
	{ "comment", required_argument, NULL, 'c' },
	{ "first", no_argument, NULL, 'f' },
	{ }
};

static const struct out_col device_cols[] = {
	{ "origin", "ORIGIN", 0 },
	{ "line", "LINE", OUT_RIGHT | OUT_DETAIL },
	{ "match", "MATCH", OUT_WRAP | OUT_KEY },
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

/**
 * device_say_done() - print what was done
 * @what: in a word
 * @rule: to which rule; or NULL: to all
 * @nr: how many rules there are now
 *
 * Return: CTL_OK
 */
int device_say_done(const char *what, const char *rule, unsigned int nr)
{
	struct json_object *top;
	int status;

	if (!ctl.json) {
		if (rule)
			out_line("%s: %s", what, rule);
		else
			out_line("%s: %u rule%s of %s", what, nr, nr == 1 ? "" : "s", ctl.config);
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

/**
 * device_parse() - parse the administrator's text
 * @table: out: to be freed, if CTL_OK is returned
 * @conf: the text
 *
 * Return: CTL_OK, or what it said is wrong.
 */
int device_parse(struct iopf_devtable **table, const struct conf *conf)
{
	struct iopf_devtable_error err;
	int ret = rules_parse(table, conf->text, conf->len, &err);
	char *said;

	if (!ret)
		return CTL_OK;
	if (ret == -ENOMEM)
		return ctl_fail_errno(ret, "reading %s", ctl.config);
	said = rules_error_text(ctl.config, &err);
	ctl_note("%s; nothing was changed", said);
	free(said);
	return CTL_FAILED;
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

/**
 * device_give() - give the administrator's text to the module
 * @conf: the text
 *
 * Return: CTL_OK, or what it said is wrong.
 */
int device_give(const struct conf *conf)
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
	status = device_parse(&table, &conf);
	if (status == CTL_OK) {
		nr = table->nr;
		free(table);
		status = device_give(&conf);
	}
	free(conf.text);
	return status == CTL_OK ? device_say_done("applied", NULL, nr) : status;
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
	int status, ret;
	char *said;

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
		out_line("%s: good, %u rule%s", file, table->nr, table->nr == 1 ? "" : "s");
	} else {
		said = rules_error_text(file, &err);
		ctl_note("%s", said);
		free(said);
	}
	if (ret && status == CTL_OK)
		status = CTL_FAILED;
	free(table);
	free(conf.text);
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

	while ((c = ctl_getopt(argc, argv, ":ac:fh", device_options)) != -1) {
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
