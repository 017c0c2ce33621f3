/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_CLAIM_H
#define IOPF_CLAIM_H

#include <linux/types.h>

struct iommu_group;
struct iopf_attach;
struct iopf_container;

struct iopf_attach *iopf_claim_group(struct iopf_container *c, struct iommu_group *group);
void iopf_claim_end(struct iopf_attach *at, bool left);
void iopf_claim_served(struct iopf_attach *at, const char *by, const char *reason);

#endif /* IOPF_CLAIM_H */
