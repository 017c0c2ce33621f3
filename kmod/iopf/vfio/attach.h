/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_ATTACH_H
#define IOPF_ATTACH_H

#include <linux/types.h>

#include "../fault/queue.h"

struct iommu_domain;
struct iommu_group;
struct iopf_container;

/**
 * struct iopf_attach - an IOMMU group attached to a container
 * @container: where it is attached; outlives it
 * @group: the IOMMU group
 * @domain: the domain it is attached to
 * @reason: why the group does not fault, as a text for people, or NULL; a constant. Set when the
 *          group is attached
 * @failed: why attaching fails, if it does, as a text for people; a constant
 * @listed: the group is in the container's list
 * @iopf_on: page faults are on in the IOMMU driver. Under the container's lock.
 * @dirty_scope: the group's driver pins all pages that the devices write (vfio_pin_pages()), so
 *               only those are dirty. Under the container's lock.
 * @faults: the group's devices, and their faults
 */
struct iopf_attach {
	struct iopf_container *container;
	struct iommu_group *group;
	struct iommu_domain *domain;
	const char *reason;
	const char *failed;
	bool listed;
	bool iopf_on;
	bool dirty_scope;
	struct iopf_fault_queue faults; /* last: it ends with the array of devices */
};

int iopf_attach_group(struct iopf_container *c, struct iommu_group *group, bool emulated);
void iopf_detach_group(struct iopf_container *c, struct iommu_group *group);
struct iommu_domain *iopf_attach_domain(struct iopf_container *c, struct iommu_group *group);
void iopf_attach_dirty_scope(struct iopf_container *c, struct iommu_group *group);
int iopf_attach_update(struct iopf_attach *at);

#endif /* IOPF_ATTACH_H */
