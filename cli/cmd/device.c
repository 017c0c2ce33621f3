// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl device: the device table.
 *
 * There are two tables: the administrator's file, which is permanent, and the module's table, which
 * is in force. "apply" copies the file to the module. udev runs "apply" when the module is loaded.
 * edit.c changes the file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../print/array.h"
#include "../print/message.h"
#include "../print/out.h"
#include "../sys/conf.h"
#include "../sys/rules.h"
#include "../sys/sysfs.h"
#include "cmd.h"
#include "edit.h"
#include "options.h"
#include "rulefile.h"

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

static bool is_match_word(const char *word)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(match_words); i++)
		if (!strcmp(word, match_words[i]))
			return true;
	return false;
}

/* Write the words of a rule before its mode to @buf, separated by single blanks. */
static void match_text(const struct iopf_rule *rule, char *buf, size_t size)
{
	char text[IOPF_DEVTABLE_MAX_LINE + 1], *save, *word;
	size_t n = 0;

	buf[0] = 0;
	snprintf(text, sizeof(text), "%.*s", (int)rule->len, rule->text);
	for (word = strtok_r(text, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
		const char *value = is_match_word(word) ? strtok_r(NULL, " \t", &save) : NULL;

		if (!value || n >= size)
			return;
		n += snprintf(buf + n, size - n, "%s%s %s", n ? " " : "", word, value);
	}
}

static struct json_object *rule_row(enum iopf_origin origin, const struct iopf_rule *rule,
				    bool active)
{
	struct json_object *row = out_object(), *windows = out_array();
	char text[IOPF_DEVTABLE_MAX_LINE + 1];

	out_put(row, "origin", out_string(iopf_origin_name(origin)));
	out_put(row, "active", json_object_new_boolean(active));
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

/* Make a row for an entry of the parameter "ids". Such an entry means "arbitrary". */
static struct json_object *ids_row(const char *entry)
{
	struct json_object *row = out_object();

	out_put(row, "origin", out_string(iopf_origin_name(IOPF_ORIGIN_IDS)));
	out_put(row, "active", json_object_new_boolean(true));
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
		       const struct iopf_devtable *table, bool active)
{
	for (unsigned int i = 0; i < table->nr; i++)
		out_append(rows, rule_row(origin, &table->rule[i], active));
}

static int device_list(const struct edit_args *args)
{
	struct json_object *rows;
	struct rules rules;
	char *save, *entry;
	int status;

	if (args->nr)
		return ctl_usage("unexpected argument '%s'", args->words[0]);
	status = rules_load(&rules);
	if (status != CTL_OK)
		return status;
	if (!rules.active)
		ctl_note("the module is not loaded; it would have these rules, with %s",
			 conf_file());
	rows = out_array();
	for (entry = strtok_r(rules.ids, ",", &save); entry; entry = strtok_r(NULL, ",", &save))
		out_append(rows, ids_row(entry));
	table_rows(rows, IOPF_ORIGIN_ADMIN, rules.admin, rules.active);
	table_rows(rows, IOPF_ORIGIN_BUILTIN, rules.builtin, rules.active);
	status = out_table(device_cols, ARRAY_SIZE(device_cols), "rules", rows);
	json_object_put(rows);
	rules_free(&rules);
	return status;
}

/* apply, check */

static int device_apply(const struct edit_args *args)
{
	struct iopf_devtable *table;
	struct conf conf;
	unsigned int nr;
	int status;

	if (args->nr)
		return ctl_usage("unexpected argument '%s'; --config names the file",
				 args->words[0]);
	status = sysfs_need_module();
	if (status != CTL_OK)
		return status;
	status = conf_read(&conf);
	if (status != CTL_OK)
		return status;
	if (conf.missing)
		ctl_note("there is no %s: the module has its built-in rules only", conf_file());
	status = edit_parse(&table, &conf);
	if (status == CTL_OK) {
		nr = table->nr;
		free(table);
		status = rulefile_give(&conf, SYSFS_TABLE);
	}
	free(conf.text);
	return status == CTL_OK ? rulefile_done("applied", conf_file(), NULL, nr) : status;
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
	out_put(top, "valid", json_object_new_boolean(!err));
	out_put(top, "rules", err ? NULL : json_object_new_uint64(nr));
	out_put(top, "error", error);
	status = out_json(top, false);
	json_object_put(top);
	return status;
}

/* Parse the text of a file, and print the result. */
static int check_text(const char *file, const struct conf *conf)
{
	struct iopf_devtable *table = NULL;
	struct iopf_devtable_error err;
	int status = CTL_OK, ret;
	char *said;

	ret = rules_parse(&table, conf->text, conf->len, &err);
	if (ret == -ENOMEM)
		return ctl_fail_errno(ret, "reading %s", file);
	if (out_is_json()) {
		status = print_check(file, ret ? 0 : table->nr, ret ? &err : NULL);
	} else if (!ret) {
		out_line("%s: valid, %u rule%s", file, table->nr, table->nr == 1 ? "" : "s");
	} else {
		said = rules_error_text(file, &err);
		ctl_note("%s", said);
		free(said);
	}
	free(table);
	return ret && status == CTL_OK ? CTL_FAILED : status;
}

static int device_check(const struct edit_args *args)
{
	const char *file = args->nr ? args->words[0] : conf_file();
	struct conf conf;
	int status;

	if (args->nr > 1)
		return ctl_usage("unexpected argument '%s'", args->words[1]);
	status = conf_read_file(&conf, file);
	if (status != CTL_OK)
		return status;
	if (conf.missing)
		status = ctl_fail(CTL_NOT_FOUND, "there is no %s", file);
	else
		status = check_text(file, &conf);
	free(conf.text);
	return status;
}

/* mode */

static int device_mode(const struct edit_args *args)
{
	char assign[32], *argv[] = { "set", "--device", NULL, assign, NULL };

	if (args->nr != 2)
		return ctl_usage("give a device and a mode");
	if (snprintf(assign, sizeof(assign), "mode=%s", args->words[1]) >= (int)sizeof(assign))
		return ctl_usage("'%s' is no mode", args->words[1]);
	argv[2] = args->words[0];
	/* Start getopt_long() again, as ctl_run() does. */
	optind = 0;
	return cmd_set.run(4, argv);
}

static const struct {
	const char *name;
	int (*run)(const struct edit_args *args);
} device_verbs[] = {
	{ "list", device_list },
	{ "add", edit_add },
	{ "remove", edit_remove },
	{ "check", device_check },
	{ "apply", device_apply },
	{ "mode", device_mode },
};

static int run(int argc, char **argv)
{
	struct edit_args args = { 0 };
	const char *verb;
	int c;

	while ((c = ctl_getopt(argc, argv, ":ac:fh", device_options)) != -1) {
		switch (c) {
		case 'a':
			args.apply = true;
			break;
		case 'c':
			args.comment = optarg;
			break;
		case 'f':
			args.first = true;
			break;
		case 'h':
			return ctl_help();
		default:
			return ctl_usage(NULL);
		}
	}
	if (optind == argc)
		return device_list(&args);
	verb = argv[optind];
	args.words = argv + optind + 1;
	args.nr = argc - optind - 1;
	for (unsigned int i = 0; i < ARRAY_SIZE(device_verbs); i++)
		if (!strcmp(verb, device_verbs[i].name))
			return device_verbs[i].run(&args);
	return ctl_usage("'%s' is not list, add, remove, check, apply or mode", verb);
}

const struct cmd cmd_device = {
	.name = "device",
	.args = "[list | add | remove | check | apply | mode] [ARGUMENT...]",
	.summary = "Show and change the device table: which devices may fault, and how",
	.help = "  list               show the rules in order of precedence (the default)\n"
		"  add RULE...        add a rule to the administrator's file\n"
		"  remove RULE...     remove a rule; its match is enough\n"
		"  check [FILE]       check the syntax of a file\n"
		"  apply              give the administrator's file to the module\n"
		"  mode DEVICE MODE   change the mode of a device in use; see set --device\n\n"
		"A RULE consists of words, as in the file: pci 8086:0b25 arbitrary.\n"
		"iopfctl(8) describes rules.\n\n"
		"  -a, --apply        add, remove: give the new file to the module, too\n"
		"  -c, --comment TEXT add: the source of the rule\n"
		"  -f, --first        add: put the rule before all others; the first match counts\n",
	.run = run,
};
