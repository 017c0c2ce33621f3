// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl set: change limits, quotas and policies of a container or device in use.
 *
 * The command checks all arguments before it writes the first. If the kernel rejects a value, the
 * command restores the values that it has already changed, in reverse order, and reports those that
 * it cannot restore. If two commands run at the same time, each restores the values that it read.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../print/message.h"
#include "../print/out.h"
#include "../print/size.h"
#include "../sys/sysfs.h"
#include "cmd.h"
#include "options.h"

#define SET_MAX		16
#define SET_VALUE	64

/**
 * enum set_kind - the type of a value
 * @SET_BYTES: a size, or "max"
 * @SET_COUNT: a number, or "max"
 * @SET_NUMBER: a number
 * @SET_WORD: a word of a list
 * @SET_FLAG: 1 or 0
 */
enum set_kind {
	SET_BYTES,
	SET_COUNT,
	SET_NUMBER,
	SET_WORD,
	SET_FLAG,
};

/**
 * struct set_key - a key, which is the name of a file
 * @name: its name
 * @kind: the type of its value
 * @words: the words for SET_WORD, separated by blanks
 */
struct set_key {
	const char *name;
	enum set_kind kind;
	const char *words;
};

static const struct set_key container_keys[] = {
	{ "resident_high", SET_BYTES, NULL },
	{ "resident_max", SET_BYTES, NULL },
	{ "pinned_high", SET_BYTES, NULL },
	{ "pinned_max", SET_BYTES, NULL },
	{ "hot_pinned_max", SET_BYTES, NULL },
	{ "policy", SET_WORD, "fault prefault pin device" },
	{ "fault_workers_max", SET_COUNT, NULL },
	{ "prefetch_max", SET_COUNT, NULL },
	{ "aging_interval", SET_COUNT, NULL },
	{ "min_residency", SET_NUMBER, NULL },
	{ }
};

static const struct set_key device_keys[] = {
	{ "mode", SET_WORD, "arbitrary selective none" },
	{ "policy", SET_WORD, "fault prefault pin default" },
	{ "enabled", SET_FLAG, NULL },
	{ }
};

/**
 * struct set_one - an assignment
 * @key: its key
 * @value: the new value, in the kernel's form
 * @old: the old value
 * @old_mode: the old mode of a device, which "enabled" may change; or ""
 */
struct set_one {
	const struct set_key *key;
	char value[SET_VALUE];
	char old[SET_VALUE];
	char old_mode[SET_VALUE];
};

/**
 * struct set - the arguments
 * @device: they are for a device, not for a container
 * @name: its name
 * @dir: the directory of devices or containers, below the root of sysfs
 * @nr: number of assignments
 * @one: the assignments
 */
struct set {
	bool device;
	const char *name;
	const char *dir;
	unsigned int nr;
	struct set_one one[SET_MAX];
};

static const struct option set_options[] = {
	{ "device", no_argument, NULL, 'd' },
	{ }
};

static bool is_word(const char *words, const char *value)
{
	size_t len = strlen(value);

	if (!len || strchr(value, ' '))
		return false;
	for (const char *p = strstr(words, value); p; p = strstr(p + 1, value))
		if ((p == words || p[-1] == ' ') && (!p[len] || p[len] == ' '))
			return true;
	return false;
}

static int parse_number(struct set_one *one, const char *value, bool size)
{
	const char *p = value;
	uint64_t number;
	int ret;

	while (!size && isdigit((unsigned char)*p))
		p++;
	ret = *p && !size ? -EINVAL : size_parse(value, &number);
	if (ret == -ERANGE)
		return ctl_usage("%s=%s: the value is 2^64 or more", one->key->name, value);
	if (ret)
		return ret;
	snprintf(one->value, sizeof(one->value), "%llu", (unsigned long long)number);
	return CTL_OK;
}

static int parse_flag(struct set_one *one, const char *value)
{
	bool on = is_word("1 y yes on", value);

	if (!on && !is_word("0 n no off", value))
		return ctl_usage("enabled=%s: the value is 1 or 0", value);
	snprintf(one->value, sizeof(one->value), "%d", on);
	return CTL_OK;
}

static int parse_limit(struct set_one *one, const char *value)
{
	const struct set_key *key = one->key;
	int ret;

	if (key->kind != SET_NUMBER && !strcmp(value, "max")) {
		snprintf(one->value, sizeof(one->value), "%s", value);
		return CTL_OK;
	}
	ret = parse_number(one, value, key->kind == SET_BYTES);
	if (ret != -EINVAL)
		return ret;
	if (key->kind == SET_BYTES)
		return ctl_usage("%s=%s: the value is a size (4096, 512M, 2G) or max", key->name,
				 value);
	return ctl_usage("%s=%s: the value is a number%s", key->name, value,
			 key->kind == SET_COUNT ? " or max" : "");
}

static int parse_value(struct set_one *one, const char *value)
{
	const struct set_key *key = one->key;

	if (key->kind == SET_FLAG)
		return parse_flag(one, value);
	if (key->kind != SET_WORD)
		return parse_limit(one, value);
	if (!is_word(key->words, value))
		return ctl_usage("%s=%s: the value is one of %s", key->name, value, key->words);
	snprintf(one->value, sizeof(one->value), "%s", value);
	return CTL_OK;
}

static const struct set_key *find_key(const struct set_key *key, const char *name, size_t len)
{
	for (; key->name; key++)
		if (strlen(key->name) == len && !memcmp(key->name, name, len))
			return key;
	return NULL;
}

static int parse_assignment(struct set *set, char *arg)
{
	struct set_one *one = &set->one[set->nr];
	const struct set_key *key;
	char *eq = strchr(arg, '=');
	int status;

	if (!eq)
		return ctl_usage("'%s' is no KEY=VALUE", arg);
	key = find_key(set->device ? device_keys : container_keys, arg, eq - arg);
	if (!key)
		return ctl_usage("a %s has no key '%.*s'", set->device ? "device" : "container",
				 (int)(eq - arg), arg);
	for (unsigned int i = 0; i < set->nr; i++)
		if (set->one[i].key == key)
			return ctl_usage("%s occurs twice", key->name);
	*one = (struct set_one){ .key = key };
	status = parse_value(one, eq + 1);
	/* There are fewer keys than SET_MAX, and no key occurs twice. */
	if (status == CTL_OK)
		set->nr++;
	return status;
}

static int parse_arguments(struct set *set, int argc, char **argv)
{
	int status = CTL_OK;

	if (!argc)
		return ctl_usage("which %s?", set->device ? "device" : "container");
	if (argc == 1)
		return ctl_usage("set what? KEY=VALUE is missing");
	set->name = argv[0];
	set->dir = set->device ? SYSFS_DEVICES : SYSFS_CONTAINERS;
	if (set->device ? sysfs_check_name(set->name) : sysfs_check_number(set->name))
		return ctl_usage("'%s' is no %s", set->name,
				 set->device ? "device" : "number of a container");
	for (int i = 1; status == CTL_OK && i < argc; i++)
		status = parse_assignment(set, argv[i]);
	return status;
}

static int parse(struct set *set, int argc, char **argv)
{
	int c;

	while ((c = ctl_getopt(argc, argv, ":dh", set_options)) != -1) {
		switch (c) {
		case 'd':
			set->device = true;
			break;
		case 'h':
			return -1;
		default:
			return ctl_usage(NULL);
		}
	}
	return parse_arguments(set, argc - optind, argv + optind);
}

/* Check that the file of an assignment exists and is writable, and read it. */
static int check_one(const struct set *set, struct set_one *one)
{
	const char *key = one->key->name;
	int ret;

	if (!sysfs_there("%s/%s/%s", set->dir, set->name, key))
		return ctl_fail(CTL_FAILED,
				"this vfio_iommu_iopf has no '%s'; it is older than iopfctl; nothing has changed",
				key);
	if (!sysfs_writable("%s/%s/%s", set->dir, set->name, key))
		return ctl_fail(CTL_DENIED, "only root may set %s; nothing has changed", key);
	ret = sysfs_read(one->old, sizeof(one->old), "%s/%s/%s", set->dir, set->name, key);
	if (ret)
		return ctl_fail_errno(ret, "reading %s; nothing has changed", key);
	/* "enabled" changes the mode of a device from none to arbitrary. */
	if (one->key->kind == SET_FLAG)
		sysfs_read(one->old_mode, sizeof(one->old_mode), "%s/%s/mode", set->dir,
			   set->name);
	return CTL_OK;
}

static int check(struct set *set)
{
	int status = CTL_OK;

	if (!sysfs_there("%s/%s", set->dir, set->name))
		return ctl_fail(CTL_NOT_FOUND, "there is no %s %s%s",
				set->device ? "device" : "container", set->name,
				set->device ? " with a VFIO driver; iopfctl probe says more"
					    : "; iopfctl list shows all");
	for (unsigned int i = 0; status == CTL_OK && i < set->nr; i++)
		status = check_one(set, &set->one[i]);
	return status;
}

static int restore(const struct set *set, const struct set_one *one)
{
	int ret = 0;

	if (*one->old_mode)
		ret = sysfs_write(one->old_mode, "%s/%s/mode", set->dir, set->name);
	return ret ? ret
		   : sysfs_write(one->old, "%s/%s/%s", set->dir, set->name, one->key->name);
}

/* Restore the keys before number @failed. Their names go to @restored, or on failure to @stuck. */
static void undo(const struct set *set, unsigned int failed, struct json_object *restored,
		 struct json_object *stuck)
{
	for (unsigned int i = failed; i--;) {
		const struct set_one *one = &set->one[i];
		int ret = restore(set, one);

		out_append(ret ? stuck : restored, out_string(one->key->name));
		if (ret)
			ctl_note("%s could not be restored to %s: %s", one->key->name, one->old,
				 strerror(-ret));
		else
			ctl_note("%s is restored to %s", one->key->name, one->old);
	}
}

static struct json_object *value_json(const struct set_one *one)
{
	return one->key->kind == SET_FLAG ? json_object_new_boolean(*one->value == '1')
					  : out_number(one->value);
}

static int report_text(const struct set *set, int err)
{
	for (unsigned int i = 0; !err && i < set->nr; i++)
		out_line("%s %s: %s = %s (was %s)", set->device ? "device" : "container",
			 set->name, set->one[i].key->name, set->one[i].value, set->one[i].old);
	return CTL_OK;
}

/* Print the result: @err is the error of assignment @nr; 0: all succeeded. */
static int report_json(const struct set *set, unsigned int nr, int err,
		       struct json_object *restored, struct json_object *stuck)
{
	struct json_object *top = out_object(), *done = out_object();
	int status;

	for (unsigned int i = 0; !err && i < nr; i++)
		out_put(done, set->one[i].key->name, value_json(&set->one[i]));
	out_put(top, set->device ? "device" : "container", out_number(set->name));
	out_put(top, "set", done);
	out_put(top, "failed", err ? out_string(set->one[nr].key->name) : NULL);
	out_put(top, "error", err ? out_string(strerror(-err)) : NULL);
	out_put(top, "restored", json_object_get(restored));
	out_put(top, "not_restored", json_object_get(stuck));
	status = out_json(top, false);
	json_object_put(top);
	return status;
}

static int set_run(struct set *set)
{
	struct json_object *restored = out_array(), *stuck = out_array();
	int err = 0, status = CTL_OK;
	unsigned int i;

	for (i = 0; i < set->nr; i++) {
		const struct set_one *one = &set->one[i];

		err = sysfs_write(one->value, "%s/%s/%s", set->dir, set->name, one->key->name);
		if (err)
			break;
	}
	if (err) {
		status = err == -EACCES || err == -EPERM ? CTL_DENIED : CTL_FAILED;
		ctl_note("the kernel rejects %s=%s: %s%s", set->one[i].key->name,
			 set->one[i].value, strerror(-err), ctl_hint(err));
		undo(set, i, restored, stuck);
	}
	if ((out_is_json() ? report_json(set, i, err, restored, stuck)
			   : report_text(set, err)) != CTL_OK)
		status = CTL_FAILED;
	json_object_put(restored);
	json_object_put(stuck);
	return status;
}

static int run(int argc, char **argv)
{
	struct set set = { 0 };
	int status = parse(&set, argc, argv);

	if (status < 0)
		return ctl_help();
	if (status == CTL_OK)
		status = sysfs_need_module();
	if (status == CTL_OK)
		status = check(&set);
	return status == CTL_OK ? set_run(&set) : status;
}

const struct cmd cmd_set = {
	.name = "set",
	.args = "CONTAINER KEY=VALUE... | --device DEVICE KEY=VALUE...",
	.summary = "Change limits, quotas and policy of a container or device in use",
	.help = "CONTAINER is a number that list shows. Keys of a container:\n"
		"  resident_high, resident_max, pinned_high, pinned_max, hot_pinned_max\n"
		"                     bytes; K, M, G, T are powers of 1024; or max\n"
		"  policy             fault, prefault, pin or device\n"
		"  fault_workers_max  faults that have a worker at a time; a number or max\n"
		"  prefetch_max       prefetched pages not used yet; a number or max\n"
		"  aging_interval     seconds until idle memory is unmapped; or max: never\n"
		"  min_residency      microseconds that a page stays mapped at least\n"
		"Keys of a device:\n"
		"  mode               arbitrary, selective or none\n"
		"  policy             fault, prefault, pin or default\n"
		"  enabled            1 or 0\n\n"
		"The command checks all values before it writes the first. If the kernel\n"
		"rejects one, the command restores the others.\n\n"
		"  -d, --device       set keys of a device\n",
	.run = run,
};
