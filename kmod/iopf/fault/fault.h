/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_FAULT_H
#define IOPF_FAULT_H

struct iopf_group;

int iopf_fault_handler(struct iopf_group *group);

#endif /* IOPF_FAULT_H */
