// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file of rules: see rulefile.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../print/message.h"
#include "../print/out.h"
#include "../sys/conf.h"
#include "../sys/sysfs.h"
#include "rulefile.h"

/**
 * rulefile_give() - give a text of rules to the module
 * @conf: the text
 * @path: the module's file, below the root of sysfs
 *
 * Return: an exit status, after a message on failure
 */
int rulefile_give(const struct conf *conf, const char *path)
{
	size_t len;
	char *text;
	int ret;

	if (!sysfs_there("%s", path))
		return ctl_fail(CTL_FAILED,
				"this vfio_iommu_iopf has no %s/%s; it is older than iopfctl",
				sysfs_root(), path);
	text = conf_for_sysfs(conf, &len);
	if (!text)
		return ctl_fail_errno(-ENOMEM, "writing %s/%s", sysfs_root(), path);
	ret = sysfs_write_all(text, len, "%s", path);
	free(text);
	if (ret == -EINVAL || ret == -E2BIG)
		return ctl_fail(CTL_FAILED,
				"the module rejects the rules and keeps its old ones: %s; the kernel log says why (dmesg)",
				strerror(-ret));
	return ret ? ctl_fail_errno(ret, "writing %s/%s", sysfs_root(), path) : CTL_OK;
}

/**
 * rulefile_done() - print the result of a command
 * @what: the result, in a word
 * @file: the file of rules
 * @rule: the rule that was changed; NULL: all rules
 * @nr: the number of rules now
 *
 * Return: CTL_OK
 */
int rulefile_done(const char *what, const char *file, const char *rule, unsigned int nr)
{
	struct json_object *top;
	int status;

	if (!out_is_json()) {
		if (rule)
			out_line("%s: %s", what, rule);
		else
			out_line("%s: %u rule%s of %s", what, nr, nr == 1 ? "" : "s", file);
		return CTL_OK;
	}
	top = out_object();
	out_put(top, "done", out_string(what));
	out_put(top, "file", out_string(file));
	out_put(top, "rule", rule ? out_string(rule) : NULL);
	out_put(top, "rules", json_object_new_uint64(nr));
	status = out_json(top, false);
	json_object_put(top);
	return status;
}
