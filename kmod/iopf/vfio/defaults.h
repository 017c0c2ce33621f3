/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_DEFAULTS_H
#define IOPF_DEFAULTS_H

#include "../../../core/limtable.h"

struct iommu_group;
struct iopf_container;
struct iopf_keep;
struct kobject;

int iopf_defaults_init(struct kobject *root);
void iopf_defaults_exit(struct kobject *root);

int iopf_defaults_get(struct iopf_container *c, struct iommu_group *group,
		      struct iopf_settings *s);
struct iopf_keep *iopf_keep_begin(struct iopf_container *c);
void iopf_keep_end(struct iopf_keep *keep, enum iopf_setting setting, u64 value, bool good);
void iopf_keep_forget_device(const char *name);

#endif /* IOPF_DEFAULTS_H */
