/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_ATTACH_H
#define IOPF_ATTACH_H

#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

struct iopf_container;
struct iopf_device;

/**
 * struct iopf_attach - an IOMMU group attached to a container
 * @handle: how the IOMMU core finds us when a device of the group faults
 * @container: where it is attached; outlives it
 * @group: the IOMMU group
 * @domain: the domain it is attached to
 * @failed: should attaching fail: why, for people; a constant
 * @node: in the container's list, under its lock
 * @iopf_on: page faults are on in the IOMMU driver. Under the container's lock.
 * @faulting: they are used; otherwise the group is a pinner. Under the container's lock.
 * @dirty_scope: its driver pins what its devices write (vfio_pin_pages()), so that tells what
 *               is dirty. Under the container's lock.
 * @refs: one for the attachment, one for each waiting or parked fault
 * @lock: protects @dead, @waiting, @parked, @workers and @active
 * @dead: being detached: take no more faults
 * @waiting: faults that wait for one of its workers, in order
 * @parked: faults that have a worker and wait for memory, and nothing of ours
 * @workers: workers it has; bounded, see fault.c
 * @active: faults being handled out of the reporting context; never for long
 * @idle: woken when @active falls to zero
 * @nr_devices: devices in the group
 * @device: the devices
 */
struct iopf_attach {
	struct iommu_attach_handle handle;
	struct iopf_container *container;
	struct iommu_group *group;
	struct iommu_domain *domain;
	const char *failed;
	struct list_head node;
	bool iopf_on;
	bool faulting;
	bool dirty_scope;
	refcount_t refs;
	spinlock_t lock; /* leaf */
	bool dead;
	struct list_head waiting;
	struct list_head parked;
	unsigned int workers;
	unsigned int active;
	wait_queue_head_t idle;
	unsigned int nr_devices;
	struct iopf_device *device[] __counted_by(nr_devices);
};

int iopf_attach_group(struct iopf_container *c, struct iommu_group *group, bool emulated);
void iopf_detach_group(struct iopf_container *c, struct iommu_group *group);
struct iommu_domain *iopf_attach_domain(struct iopf_container *c, struct iommu_group *group);
int iopf_attach_enable(struct iopf_attach *at, struct iopf_device *d, bool enable);
void iopf_attach_put(struct iopf_attach *at);
struct iopf_device *iopf_attach_device(struct iopf_attach *at, struct device *dev);

#endif /* IOPF_ATTACH_H */
