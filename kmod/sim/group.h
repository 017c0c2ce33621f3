/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_SIM_GROUP_H
#define IOPF_SIM_GROUP_H

struct device;
struct iommu_group;

int iopf_sim_group_init(void);
struct iommu_group *iopf_sim_group_of(struct device *dev);

#endif /* IOPF_SIM_GROUP_H */
