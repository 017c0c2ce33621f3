/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_SYSFS_LATENCY_H
#define IOPF_SYSFS_LATENCY_H

struct iopf_device;
struct iopf_latency_past;
struct kobject;
struct list_head;

struct kobject *iopf_latency_dir_device(struct kobject *parent, struct iopf_device *d);
struct kobject *iopf_latency_dir_container(struct kobject *parent, struct iopf_latency_past *past,
					   struct list_head *queues);
void iopf_latency_dir_destroy(struct kobject *dir);

#endif /* IOPF_SYSFS_LATENCY_H */
