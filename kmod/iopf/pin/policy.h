/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_POLICY_H
#define IOPF_POLICY_H

#include <linux/types.h>

#include "../../../core/mode.h"

struct iopf_area;
struct iopf_container;
struct iopf_range;
struct vfio_iopf_policy;

enum iopf_policy iopf_policy_at(struct iopf_container *c, u64 iova, u64 *last);
int iopf_policy_store(struct iopf_container *c, const struct iopf_range *range,
		      enum iopf_policy policy);
void iopf_policy_forget(struct iopf_container *c, const struct iopf_range *range);

bool iopf_policy_next_default(struct iopf_container *c, u64 at, struct iopf_range *range);

int iopf_policy_check(struct iopf_container *c, const struct iopf_range *range);
int iopf_policy_set(struct iopf_container *c, struct vfio_iopf_policy *arg);
int iopf_policy_get(struct iopf_container *c, struct vfio_iopf_policy *arg);

int iopf_policy_refresh(struct iopf_container *c);
int iopf_policy_put_default(struct iopf_container *c, enum iopf_policy policy);

#endif /* IOPF_POLICY_H */
