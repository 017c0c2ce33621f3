/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_SYSFS_SAMPLING_H
#define IOPF_SYSFS_SAMPLING_H

struct iopf_sampler;
struct kobject;

struct kobject *iopf_sampling_dir_create(struct kobject *parent, struct iopf_sampler *sampler);
void iopf_sampling_dir_destroy(struct kobject *dir);

#endif /* IOPF_SYSFS_SAMPLING_H */
