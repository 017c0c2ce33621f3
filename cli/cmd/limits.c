// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl limits: the initial limits of containers. The administrator's file is permanent. The
 * module has the rules in force, and keeps the limits that were set while a container was in use.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../core/limtable.h"
#include "../print/array.h"
#include "../print/message.h"
#include "../print/out.h"
#include "../sys/conf.h"
#include "../sys/rules.h"
#include "../sys/sysfs.h"
#include "cmd.h"
#include "options.h"
#include "rulefile.h"

#define FILE_LIMITS	"/etc/vfio-iopf/limits.conf"
#define SYSFS_LIMITS	SYSFS_IOPF "/limits"
#define SYSFS_KEPT	SYSFS_IOPF "/limits_sticky"

static const struct option limits_options[] = {
	{ }
};

static const struct out_col limits_cols[] = {
	{ "origin", "ORIGIN", 0 },
	{ "line", "LINE", OUT_RIGHT },
	{ "match", "MATCH", OUT_WRAP | OUT_KEY },
	{ "settings", "SETTINGS", OUT_WRAP },
	{ "source", "SOURCE", OUT_WRAP },
};

static int need_limits(void)
{
	int status = sysfs_need_module();

	if (status == CTL_OK && !sysfs_there(SYSFS_LIMITS))
		return ctl_fail(CTL_FAILED,
				"this vfio_iommu_iopf has no table of limits (%s/%s); it is older than iopfctl",
				sysfs_root(), SYSFS_LIMITS);
	return status;
}

/* Collect the pairs of words that form a rule's match. Returns the word after them, or NULL. */
static char *limits_match(char *match, size_t size, char **save)
{
	char *word = strtok_r(NULL, " \t", save);
	size_t n = 0;

	while (word && !strchr(word, '=') && n < size) {
		const char *value = strtok_r(NULL, " \t", save);

		n += snprintf(match + n, size - n, "%s%s %s", n ? " " : "", word, value ?: "");
		word = strtok_r(NULL, " \t", save);
	}
	return word;
}

/* Make a row from a line of the module's file: origin, number, match, settings, comment. */
static struct json_object *limits_row(char *line)
{
	struct json_object *row = out_object(), *settings = out_array();
	char match[IOPF_DEVTABLE_MAX_LINE * 10] = "", *save, *word, *number;
	char *source = strstr(line, " # ");

	if (source) {
		*source = 0;
		source += 3;
	}
	out_put(row, "origin", out_string(strtok_r(line, " \t", &save) ?: ""));
	number = strtok_r(NULL, " \t", &save);
	if (number && *number == '-')
		number = NULL;
	out_put(row, "line", number ? json_object_new_uint64(strtoull(number, NULL, 10)) : NULL);
	for (word = limits_match(match, sizeof(match), &save); word;
	     word = strtok_r(NULL, " \t", &save))
		out_append(settings, out_string(word));
	out_put(row, "match", out_string(match));
	out_put(row, "settings", settings);
	out_put(row, "source", out_known(source ?: ""));
	return row;
}

static int limits_list(void)
{
	struct json_object *rows;
	char *all, *save, *line;
	int status = need_limits(), ret;
	size_t len;

	if (status != CTL_OK)
		return status;
	ret = sysfs_read_all(&all, &len, SYSFS_LIMITS);
	if (ret)
		return ctl_fail_errno(ret, "reading %s/%s", sysfs_root(), SYSFS_LIMITS);
	rows = out_array();
	for (line = strtok_r(all, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		out_append(rows, limits_row(line));
	status = out_table(limits_cols, ARRAY_SIZE(limits_cols), "limits", rows);
	json_object_put(rows);
	free(all);
	return status;
}

/* Read a file and check its syntax. Returns an exit status, after a message on failure. */
static int limits_read(struct conf *conf, const char *file, unsigned int *nr)
{
	int status = conf_read_file(conf, file), ret;
	struct iopf_devtable_error err;
	struct iopf_limtable *table;
	unsigned int room;
	char *said;

	if (status != CTL_OK)
		return status;
	room = iopf_devtable_room(conf->text, conf->len);
	table = calloc(1, sizeof(*table) + room * sizeof(table->rule[0]));
	if (!table) {
		free(conf->text);
		return ctl_fail_errno(-ENOMEM, "reading %s", file);
	}
	table->max = room;
	ret = iopf_limtable_parse(table, conf->text, conf->len, &err);
	*nr = table->nr;
	free(table);
	if (!ret)
		return CTL_OK;
	said = rules_error_text(file, &err);
	free(conf->text);
	ctl_note("%s", said);
	free(said);
	return CTL_FAILED;
}

static int limits_check(const char *file)
{
	struct conf conf;
	unsigned int nr;
	int status = limits_read(&conf, file, &nr);

	if (status != CTL_OK)
		return status;
	free(conf.text);
	if (conf.missing)
		return ctl_fail(CTL_NOT_FOUND, "there is no %s", file);
	return rulefile_done("valid", file, NULL, nr);
}

static int limits_apply(const char *file)
{
	struct conf conf;
	unsigned int nr;
	int status = need_limits();

	if (status == CTL_OK)
		status = limits_read(&conf, file, &nr);
	if (status != CTL_OK)
		return status;
	if (conf.missing)
		ctl_note("there is no %s: containers start without limits", file);
	status = rulefile_give(&conf, SYSFS_LIMITS);
	free(conf.text);
	if (status != CTL_OK)
		return status;
	return rulefile_done("applied", file, NULL, nr);
}

/* The words identify an entry: address NAME, user UID, cgroup PATH, process PID; or "all". */
static int limits_forget(int nr, char **words)
{
	char key[IOPF_DEVTABLE_MAX_LINE * 10] = "";
	int status, ret;
	size_t n = 0;

	if (!nr)
		return ctl_usage("forget what? iopfctl limits list shows the limits that are kept");
	status = need_limits();
	if (status != CTL_OK)
		return status;
	for (int i = 0; i < nr && n < sizeof(key); i++)
		n += snprintf(key + n, sizeof(key) - n, "%s%s", i ? " " : "", words[i]);
	ret = sysfs_write(!strcmp(key, "all") ? "*" : key, SYSFS_KEPT);
	if (ret == -ENOENT)
		return ctl_fail(CTL_NOT_FOUND,
				"no limits are kept for '%s'; iopfctl limits list shows those that are",
				key);
	return ret ? ctl_fail_errno(ret, "writing %s/" SYSFS_KEPT, sysfs_root()) : CTL_OK;
}

static int run(int argc, char **argv)
{
	const char *verb, *file;
	int c;

	while ((c = ctl_getopt(argc, argv, ":h", limits_options)) != -1)
		return c == 'h' ? ctl_help() : ctl_usage(NULL);
	verb = optind < argc ? argv[optind++] : "list";
	if (!strcmp(verb, "forget"))
		return limits_forget(argc - optind, argv + optind);
	file = optind < argc ? argv[optind++] : FILE_LIMITS;
	if (optind < argc)
		return ctl_usage("unexpected argument '%s'", argv[optind]);
	if (!strcmp(verb, "check"))
		return limits_check(file);
	if (!strcmp(verb, "apply"))
		return limits_apply(file);
	if (strcmp(verb, "list"))
		return ctl_usage("there is no limits %s", verb);
	return limits_list();
}

const struct cmd cmd_limits = {
	.name = "limits",
	.args = "[list | check [FILE] | apply [FILE] | forget KEY]",
	.summary = "Show and set the initial limits of containers",
	.help = "  list               show the rules in force, and the limits that are kept\n"
		"  check [FILE]       check the syntax of a file\n"
		"  apply [FILE]       give a file to the module\n"
		"  forget KEY         forget the limits that are kept for address NAME, user UID,\n"
		"                     cgroup PATH or process PID, as list shows them; or all\n\n"
		"FILE is /etc/vfio-iopf/limits.conf by default. iopfctl(8) describes rules.\n\n",
	.run = run,
};
