/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_FRONT_H
#define IOPF_FRONT_H

struct kobject;

int iopf_front_init(struct kobject *root);
void iopf_front_exit(struct kobject *root);

#endif /* IOPF_FRONT_H */
