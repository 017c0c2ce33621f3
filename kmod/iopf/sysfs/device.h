/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_SYSFS_DEVICE_H
#define IOPF_SYSFS_DEVICE_H

#include <linux/sysfs.h>

extern const struct attribute *const iopf_device_attrs[];
extern const struct sysfs_ops iopf_device_sysfs_ops;

#endif /* IOPF_SYSFS_DEVICE_H */
