// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl limits: what containers may have from their start. The administrator's file lasts; the
 * module has the rules that are in force, and what is kept of limits that were set live.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../core/limtable.h"
#include "cmd.h"
#include "conf.h"
#include "out.h"
#include "rules.h"
#include "sysfs.h"

#define FILE_LIMITS	"/etc/vfio-iopf/limits.conf"
#define SYSFS_LIMITS	SYSFS_IOPF "/limits"
#define SYSFS_KEPT	SYSFS_IOPF "/limits_kept"

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

/* A line of what is in force: who says it, its line, pairs of words, settings, a comment. */
static struct json_object *limits_row(char *line)
{
	struct json_object *row = out_object(), *settings = out_array();
	char match[IOPF_DEVTABLE_MAX_LINE * 10] = "", *save, *word, *number;
	char *source = strstr(line, " # ");
	size_t n = 0;

	if (source) {
		*source = 0;
		source += 3;
	}
	out_put(row, "origin", out_string(strtok_r(line, " \t", &save) ?: ""));
	number = strtok_r(NULL, " \t", &save);
	if (number && *number == '-')
		number = NULL;
	out_put(row, "line", number ? json_object_new_uint64(strtoull(number, NULL, 10)) : NULL);
	word = strtok_r(NULL, " \t", &save);
	while (word && !strchr(word, '=') && n < sizeof(match)) {
		const char *value = strtok_r(NULL, " \t", &save);

		n += snprintf(match + n, sizeof(match) - n, "%s%s %s", n ? " " : "", word,
			      value ?: "");
		word = strtok_r(NULL, " \t", &save);
	}
	for (; word; word = strtok_r(NULL, " \t", &save))
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

/* Read a file and see that it can be understood; says what is wrong with it. */
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

static int say_done(const char *what, const char *file, unsigned int nr)
{
	struct json_object *top;
	int status;

	if (!ctl.json) {
		out_line("%s: %u rule%s of %s", what, nr, nr == 1 ? "" : "s", file);
		return CTL_OK;
	}
	top = out_object();
	out_put(top, "done", out_string(what));
	out_put(top, "file", out_string(file));
	out_put(top, "rules", json_object_new_uint64(nr));
	status = out_json(top, false);
	json_object_put(top);
	return status;
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
	return say_done("good", file, nr);
}

static int limits_apply(const char *file)
{
	struct conf conf;
	unsigned int nr;
	int status = need_limits(), ret;

	if (status == CTL_OK)
		status = limits_read(&conf, file, &nr);
	if (status != CTL_OK)
		return status;
	if (conf.missing)
		ctl_note("there is no %s: containers begin without limits", file);
	/* The last write has to be less than a page, and not nothing; instead of the NUL. */
	if (!(conf.len % sysconf(_SC_PAGESIZE))) {
		if (conf.len && conf.text[conf.len - 1] == '\n')
			conf.len--;
		else
			conf.text[conf.len++] = '\n';
	}
	ret = sysfs_write_all(conf.text, conf.len, SYSFS_LIMITS);
	free(conf.text);
	if (ret == -EINVAL || ret == -E2BIG)
		return ctl_fail(CTL_FAILED,
				"the module refuses the rules and keeps those it had: %s; the kernel log says why (dmesg)",
				strerror(-ret));
	if (ret)
		return ctl_fail_errno(ret, "writing %s/" SYSFS_LIMITS, sysfs_root());
	return say_done("applied", file, nr);
}

/* The words are one entry's key: address NAME, user UID, cgroup PATH, process PID; or all. */
static int limits_forget(int nr, char **words)
{
	char key[IOPF_DEVTABLE_MAX_LINE * 10] = "";
	int status, ret;
	size_t n = 0;

	if (!nr)
		return ctl_usage("what is to be forgotten? iopfctl limits list shows what is kept");
	status = need_limits();
	if (status != CTL_OK)
		return status;
	for (int i = 0; i < nr && n < sizeof(key); i++)
		n += snprintf(key + n, sizeof(key) - n, "%s%s", i ? " " : "", words[i]);
	ret = sysfs_write(!strcmp(key, "all") ? "*" : key, SYSFS_KEPT);
	if (ret == -ENOENT)
		return ctl_fail(CTL_NOT_FOUND,
				"nothing is kept for '%s'; iopfctl limits list shows what is kept",
				key);
	return ret ? ctl_fail_errno(ret, "writing %s/" SYSFS_KEPT, sysfs_root()) : CTL_OK;
}

int cmd_limits(int argc, char **argv)
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
		return ctl_usage("'%s' is too much", argv[optind]);
	if (!strcmp(verb, "check"))
		return limits_check(file);
	if (!strcmp(verb, "apply"))
		return limits_apply(file);
	if (strcmp(verb, "list"))
		return ctl_usage("there is no limits %s", verb);
	return limits_list();
}
