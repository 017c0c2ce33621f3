/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_SYSFS_CONTAINER_H
#define IOPF_SYSFS_CONTAINER_H

struct attribute;

/* Up to NULL, as all of these. */
extern const struct attribute *const iopf_container_attrs[];

#endif /* IOPF_SYSFS_CONTAINER_H */
