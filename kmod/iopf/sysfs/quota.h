/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_SYSFS_QUOTA_H
#define IOPF_SYSFS_QUOTA_H

struct attribute;

extern const struct attribute *const iopf_quota_attrs[];

#endif /* IOPF_SYSFS_QUOTA_H */
