/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_TABLE_H
#define IOPF_TABLE_H

#include "../../../core/devtable.h"

struct device;
struct iopf_device;
struct kobject;
struct seq_buf;

int iopf_table_init(struct kobject *root);
void iopf_table_exit(struct kobject *root);

int iopf_table_device(struct iopf_device *d);
void iopf_table_device_free(struct iopf_device *d);
void iopf_table_released(struct iopf_device *d);

void iopf_table_complain(const char *name, const struct iopf_devtable_error *err);
void iopf_table_id(struct device *dev, struct iopf_id *id);
void iopf_table_print(struct seq_buf *s, enum iopf_origin origin, const struct iopf_rule *r);

#endif /* IOPF_TABLE_H */
