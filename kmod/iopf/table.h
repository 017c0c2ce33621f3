/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_TABLE_H
#define IOPF_TABLE_H

struct iopf_device;
struct kobject;

int iopf_table_init(struct kobject *root);
void iopf_table_exit(struct kobject *root);

int iopf_table_device(struct iopf_device *d);
void iopf_table_device_free(struct iopf_device *d);
void iopf_table_released(struct iopf_device *d);

#endif /* IOPF_TABLE_H */
