/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table of limits, which containers get when a device is attached. Rules are text, one rule a
 * line:
 *
 *	MATCH... SETTING...	# source of this rule
 *
 *	MATCH	pci, subsystem, class, address	as in the device table (devtable.h)
 *		user UID, or FIRST-LAST, or *	user of the container's owner; decimal
 *		cgroup PATH	cgroup of the owner: PATH or one below it; PATH*: the path begins
 *				with PATH
 *	SETTING	resident_high=, resident_max=, pinned_high=, pinned_max=, hot_pinned_max=
 *				bytes with or without K, M, G or T, or max
 *		aging_interval=		seconds, or max
 *		min_residency=	microseconds
 *		fault_workers_max=, prefetch_max=	a number, or max
 *		policy=		fault, prefault or pin
 *
 * Words, comments and errors are as in the device table. A rule needs at least one match and one
 * setting, and has at most one of each kind. The device and its owner must agree with all matches
 * of the rule. The first rule that matches them applies.
 */
#ifndef IOPF_CORE_LIMTABLE_H
#define IOPF_CORE_LIMTABLE_H

#include "devtable.h"

/* A setting without a limit. */
#define IOPF_SETTING_MAX	U64_MAX

/**
 * enum iopf_setting - the settings of a container
 * @IOPF_SETTING_RESIDENT_HIGH: bytes
 * @IOPF_SETTING_RESIDENT_MAX: bytes
 * @IOPF_SETTING_PINNED_HIGH: bytes
 * @IOPF_SETTING_PINNED_MAX: bytes
 * @IOPF_SETTING_HOT_PINNED_MAX: bytes
 * @IOPF_SETTING_AGING_INTERVAL: seconds
 * @IOPF_SETTING_MIN_RESIDENCY: microseconds
 * @IOPF_SETTING_FAULT_WORKERS_MAX: a number
 * @IOPF_SETTING_PREFETCH_MAX: a number
 * @IOPF_SETTING_POLICY: an enum iopf_policy
 * @IOPF_SETTING_NR: number of settings
 */
enum iopf_setting {
	IOPF_SETTING_RESIDENT_HIGH,
	IOPF_SETTING_RESIDENT_MAX,
	IOPF_SETTING_PINNED_HIGH,
	IOPF_SETTING_PINNED_MAX,
	IOPF_SETTING_HOT_PINNED_MAX,
	IOPF_SETTING_AGING_INTERVAL,
	IOPF_SETTING_MIN_RESIDENCY,
	IOPF_SETTING_FAULT_WORKERS_MAX,
	IOPF_SETTING_PREFETCH_MAX,
	IOPF_SETTING_POLICY,
	IOPF_SETTING_NR,
};

/**
 * struct iopf_settings - values of some settings
 * @set: settings that have a value, a bit each
 * @value: the values; IOPF_SETTING_MAX: no limit
 */
struct iopf_settings {
	unsigned long set;
	u64 value[IOPF_SETTING_NR];
};

/**
 * struct iopf_limit_rule - a rule
 * @match: its text, and its matches of devices. Without such a match, any device matches.
 * @by_user: the rule has "user"
 * @uid_first: first user
 * @uid_last: last user
 * @cgroup: path, in the table's text; NULL: the rule does not have "cgroup"
 * @cgroup_len: length of @cgroup, without a "*" or a "/" at its end
 * @cgroup_prefix: any path that begins with @cgroup matches
 * @settings: settings of the rule
 */
struct iopf_limit_rule {
	struct iopf_rule match;
	bool by_user;
	u32 uid_first;
	u32 uid_last;
	const char *cgroup;
	size_t cgroup_len;
	bool cgroup_prefix;
	struct iopf_settings settings;
};

/**
 * struct iopf_limtable - rules; the first one that matches applies
 * @nr: number of rules
 * @max: room for this number of rules
 * @rule: the rules. They point into the parsed text, which must stay.
 */
struct iopf_limtable {
	unsigned int nr;
	unsigned int max;
	struct iopf_limit_rule rule[] __counted_by(max);
};

/**
 * struct iopf_subject - a device and its owner
 * @id: the device
 * @uid: the user
 * @cgroup: path of the cgroup; "/", or a path without a slash at its end
 */
struct iopf_subject {
	struct iopf_id id;
	u32 uid;
	const char *cgroup;
};

const char *iopf_setting_name(enum iopf_setting setting);
bool iopf_setting_parse(enum iopf_setting setting, const char *s, size_t len, u64 *value);
int iopf_setting_print(char *buf, size_t size, enum iopf_setting setting, u64 value);
void iopf_settings_restrict(struct iopf_settings *s, const struct iopf_settings *more);
void iopf_settings_default(struct iopf_settings *s, const struct iopf_settings *less);
int iopf_limtable_parse(struct iopf_limtable *t, const char *text, size_t len,
			struct iopf_devtable_error *err);
const struct iopf_limit_rule *iopf_limtable_match(const struct iopf_limtable *t,
						  const struct iopf_subject *subject);

#endif /* IOPF_CORE_LIMTABLE_H */
