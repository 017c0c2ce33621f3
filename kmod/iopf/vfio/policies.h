/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_POLICIES_H
#define IOPF_POLICIES_H

#include "../../../core/mode.h"

struct iopf_container;
struct iopf_space;
struct vfio_iopf_policy;

int iopf_policy_set(struct iopf_space *space, struct vfio_iopf_policy *arg);
int iopf_policy_get(struct iopf_space *space, struct vfio_iopf_policy *arg);

int iopf_policy_refresh(struct iopf_container *c);
int iopf_policy_put_default(struct iopf_container *c, enum iopf_policy policy);

#endif /* IOPF_POLICIES_H */
