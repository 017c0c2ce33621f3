/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_LIMITS_H
#define IOPF_LIMITS_H

#include "../../../core/budget.h"
#include "../../../core/limtable.h"

struct iommu_group;
struct iopf_container;

/**
 * struct iopf_limits_undo - the limits of a container before a group brought its own
 * @settings: all settings before
 * @joined: all settings afterwards
 * @limits: limits of the budget before
 * @hot_pinned_max: pages of hot blocks before
 * @fault_workers_max: faults that may have a worker, before
 * @prefetch_max: unused prefetched pages, before
 * @policy: the policy before
 */
struct iopf_limits_undo {
	struct iopf_settings settings;
	struct iopf_settings joined;
	struct iopf_limits limits;
	unsigned long hot_pinned_max;
	unsigned int fault_workers_max;
	unsigned int prefetch_max;
	enum iopf_policy policy;
};

u64 iopf_limits_get(struct iopf_container *c, enum iopf_setting setting);
int iopf_limits_set_budget(struct iopf_container *c, enum iopf_setting setting, u64 value);
int iopf_limits_set(struct iopf_container *c, enum iopf_setting setting, u64 value);
int iopf_limits_set_policy(struct iopf_container *c, enum iopf_policy policy);
int iopf_limits_join(struct iopf_container *c, struct iommu_group *group,
		     struct iopf_limits_undo *undo);
void iopf_limits_joined(struct iopf_container *c, const struct iopf_limits_undo *undo);
void iopf_limits_undo_policy(struct iopf_container *c, const struct iopf_limits_undo *undo);
void iopf_limits_undo(struct iopf_container *c, const struct iopf_limits_undo *undo);

#endif /* IOPF_LIMITS_H */
