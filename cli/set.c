// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl set: change budgets, quotas and policies of a container or a device that runs.
 *
 * Everything that can be checked is, before anything is written. The kernel has the last word on
 * each value, though; if it refuses one, what was written before it is put back, in reverse, and it
 * is said what could not be. Two of us at once: each puts back what it has seen.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "out.h"
#include "size.h"
#include "sysfs.h"

#define SET_MAX		16
#define SET_VALUE	64

/**
 * enum set_kind - what a value is
 * @SET_BYTES: a size, or "max"
 * @SET_COUNT: a number, or "max"
 * @SET_NUMBER: a number
 * @SET_WORD: one of some words
 * @SET_FLAG: on or off
 */
enum set_kind {
	SET_BYTES,
	SET_COUNT,
	SET_NUMBER,
	SET_WORD,
	SET_FLAG,
};

/**
 * struct set_key - something that can be set: a file of the same name
 * @name: its name
 * @kind: what it takes
 * @words: of SET_WORD: which, with blanks between them
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
	{ "hot_max", SET_BYTES, NULL },
	{ "policy", SET_WORD, "fault prefault pin device" },
	{ "faults_max", SET_COUNT, NULL },
	{ "ahead_max", SET_COUNT, NULL },
	{ "expire", SET_COUNT, NULL },
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
 * struct set_one - one assignment
 * @key: what
 * @value: to what, as the kernel takes it
 * @old: what it was
 * @old_mode: what else "enabled" of a device may change; or ""
 */
struct set_one {
	const struct set_key *key;
	char value[SET_VALUE];
	char old[SET_VALUE];
	char old_mode[SET_VALUE];
};

/**
 * struct set - what is asked for
 * @device: it is about a device, not a container
 * @name: which
 * @dir: where that is, below the root of sysfs
 * @nr: how many assignments
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
		return ctl_usage("%s=%s: that is 2^64 or more", one->key->name, value);
	if (ret)
		return ret;
	snprintf(one->value, sizeof(one->value), "%llu", (unsigned long long)number);
	return CTL_OK;
}

static int parse_flag(struct set_one *one, const char *value)
{
	bool on = is_word("1 y yes on", value);

	if (!on && !is_word("0 n no off", value))
		return ctl_usage("enabled=%s: it is 1 or 0", value);
	snprintf(one->value, sizeof(one->value), "%d", on);
	return CTL_OK;
}

static int parse_value(struct set_one *one, const char *value)
{
	const struct set_key *key = one->key;
	int ret;

	switch (key->kind) {
	case SET_FLAG:
		return parse_flag(one, value);
	case SET_WORD:
		if (!is_word(key->words, value))
			return ctl_usage("%s=%s: it is one of %s", key->name, value, key->words);
		snprintf(one->value, sizeof(one->value), "%s", value);
		return CTL_OK;
	case SET_BYTES:
	case SET_COUNT:
		if (!strcmp(value, "max")) {
			snprintf(one->value, sizeof(one->value), "%s", value);
			return CTL_OK;
		}
		break;
	case SET_NUMBER:
		break;
	}
	ret = parse_number(one, value, key->kind == SET_BYTES);
	if (ret != -EINVAL)
		return ret;
	if (key->kind == SET_BYTES)
		return ctl_usage("%s=%s: it is a size (4096, 512M, 2G) or max", key->name, value);
	return ctl_usage("%s=%s: it is a number%s", key->name, value,
			 key->kind == SET_COUNT ? " or max" : "");
}

static int parse_assignment(struct set *set, char *arg)
{
	const struct set_key *keys = set->device ? device_keys : container_keys, *key;
	struct set_one *one = &set->one[set->nr];
	char *eq = strchr(arg, '=');
	int status;

	if (!eq)
		return ctl_usage("'%s' is no KEY=VALUE", arg);
	for (key = keys; key->name; key++)
		if (strlen(key->name) == (size_t)(eq - arg) &&
		    !memcmp(key->name, arg, eq - arg))
			break;
	if (!key->name)
		return ctl_usage("a %s has no '%.*s' to be set",
				 set->device ? "device" : "container", (int)(eq - arg), arg);
	for (unsigned int i = 0; i < set->nr; i++)
		if (set->one[i].key == key)
			return ctl_usage("%s is there twice", key->name);
	*one = (struct set_one){ .key = key };
	status = parse_value(one, eq + 1);
	/* There are fewer keys than SET_MAX, and none twice. */
	if (status == CTL_OK)
		set->nr++;
	return status;
}

static int parse(struct set *set, int argc, char **argv)
{
	int c, status = CTL_OK;

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
	argc -= optind;
	argv += optind;
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

/* See that all files are there and may be written, and what they have now. */
static int check(struct set *set)
{
	if (!sysfs_there("%s/%s", set->dir, set->name))
		return ctl_fail(CTL_NOT_FOUND, "there is no %s %s%s",
				set->device ? "device" : "container", set->name,
				set->device ? " that a VFIO driver has; iopfctl probe says more"
					    : "; iopfctl list shows those there are");
	for (unsigned int i = 0; i < set->nr; i++) {
		struct set_one *one = &set->one[i];
		int ret;

		if (!sysfs_there("%s/%s/%s", set->dir, set->name, one->key->name))
			return ctl_fail(CTL_FAILED,
					"this vfio_iommu_iopf has no '%s'; it is older than iopfctl; nothing was changed",
					one->key->name);
		if (!sysfs_writable("%s/%s/%s", set->dir, set->name, one->key->name))
			return ctl_fail(CTL_DENIED,
					"%s may be set by root only; nothing was changed",
					one->key->name);
		ret = sysfs_read(one->old, sizeof(one->old), "%s/%s/%s", set->dir, set->name,
				 one->key->name);
		if (ret)
			return ctl_fail_errno(ret, "reading %s; nothing was changed",
					      one->key->name);
		/* "enabled" of a device that is of mode none makes it arbitrary. */
		if (one->key->kind == SET_FLAG)
			sysfs_read(one->old_mode, sizeof(one->old_mode), "%s/%s/mode", set->dir,
				   set->name);
	}
	return CTL_OK;
}

static int put_back(const struct set *set, const struct set_one *one)
{
	int ret = 0;

	if (*one->old_mode)
		ret = sysfs_write(one->old_mode, "%s/%s/mode", set->dir, set->name);
	return ret ? ret
		   : sysfs_write(one->old, "%s/%s/%s", set->dir, set->name, one->key->name);
}

/* Put back what was written before assignment @failed; what that fails for goes to @stuck. */
static void undo(const struct set *set, unsigned int failed, struct json_object *restored,
		 struct json_object *stuck)
{
	for (unsigned int i = failed; i--;) {
		const struct set_one *one = &set->one[i];
		int ret = put_back(set, one);

		out_append(ret ? stuck : restored, out_string(one->key->name));
		if (ret)
			ctl_note("%s could not be put back to %s: %s", one->key->name, one->old,
				 strerror(-ret));
		else
			ctl_note("%s is put back to %s", one->key->name, one->old);
	}
}

static struct json_object *value_json(const struct set_one *one)
{
	return one->key->kind == SET_FLAG ? json_object_new_boolean(*one->value == '1')
					  : out_number(one->value);
}

/* What was done, and what not: @err for assignment @nr of them, or 0. */
static int report(const struct set *set, unsigned int nr, int err, struct json_object *restored,
		  struct json_object *stuck)
{
	struct json_object *top, *done;
	int status;

	if (!ctl.json) {
		for (unsigned int i = 0; !err && i < nr; i++)
			out_line("%s %s: %s = %s (was %s)", set->device ? "device" : "container",
				 set->name, set->one[i].key->name, set->one[i].value,
				 set->one[i].old);
		return CTL_OK;
	}
	top = out_object();
	done = out_object();
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

static int run(struct set *set)
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
		ctl_note("%s=%s is refused: %s%s", set->one[i].key->name, set->one[i].value,
			 strerror(-err), ctl_hint(err));
		undo(set, i, restored, stuck);
	}
	if (report(set, i, err, restored, stuck) != CTL_OK)
		status = CTL_FAILED;
	json_object_put(restored);
	json_object_put(stuck);
	return status;
}

int cmd_set(int argc, char **argv)
{
	struct set set = { 0 };
	int status = parse(&set, argc, argv);

	if (status < 0)
		return ctl_help();
	if (status == CTL_OK)
		status = sysfs_need_module();
	if (status == CTL_OK)
		status = check(&set);
	return status == CTL_OK ? run(&set) : status;
}
