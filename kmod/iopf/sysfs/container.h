/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_SYSFS_CONTAINER_H
#define IOPF_SYSFS_CONTAINER_H

struct attribute;

/* All arrays of attributes end with NULL. */
extern const struct attribute *const iopf_container_attrs[];

#endif /* IOPF_SYSFS_CONTAINER_H */
