/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_GROUP_H
#define IOPF_GROUP_H

struct iopf_device;
struct iopf_fault_queue;
struct iopf_group;
struct iopf_served;
struct iopf_timing;
struct iopf_want;

int iopf_fault_group(struct iopf_fault_queue *fq, struct iopf_device *d, struct iopf_group *group,
		     struct iopf_want *want, struct iopf_served *served,
		     struct iopf_timing *timing);
int iopf_fault_filter(struct iopf_fault_queue *fq, struct iopf_device *d,
		      struct iopf_group *group);

#endif /* IOPF_GROUP_H */
