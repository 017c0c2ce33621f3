/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_DEFAULTS_H
#define IOPF_DEFAULTS_H

#include <linux/uidgid_types.h>

#include "../../../core/limtable.h"

struct cgroup;
struct iommu_group;
struct iopf_container;
struct iopf_keep;
struct kobject;
struct pid;

/**
 * struct iopf_owner - who set a container up; does not change
 * @uid: the user
 * @cgroup: the cgroup (v2), referenced
 * @process: the process, referenced
 */
struct iopf_owner {
	kuid_t uid;
	struct cgroup *cgroup;
	struct pid *process;
};

int iopf_defaults_init(struct kobject *root);
void iopf_defaults_exit(struct kobject *root);

void iopf_owner_init(struct iopf_owner *o);
void iopf_owner_end(struct iopf_owner *o);

int iopf_defaults_get(struct iopf_container *c, struct iommu_group *group,
		      struct iopf_settings *s);
struct iopf_keep *iopf_keep_begin(struct iopf_container *c);
void iopf_keep_end(struct iopf_keep *keep, enum iopf_setting setting, u64 value, bool good);
void iopf_keep_forget_device(const char *name);

#endif /* IOPF_DEFAULTS_H */
