/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_SYSFS_LIMITS_H
#define IOPF_SYSFS_LIMITS_H

struct attribute;

extern const struct attribute *const iopf_limits_attrs[];

#endif /* IOPF_SYSFS_LIMITS_H */
