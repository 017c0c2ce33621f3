/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_ATTACH_H
#define IOPF_ATTACH_H

#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "../device/device.h"

struct iopf_container;
struct iopf_backlog;

/* Streams of the group's devices that are being served in the background at a time. */
#define IOPF_RUNNERS 8

/**
 * struct iopf_runner - what is still to be had ahead of a device
 * @d: the device
 * @page: the first page
 * @stride: pages from one to the next; 1: side by side
 * @pages: how many
 * @next: what the stream is to miss after that; see core/stream.h
 * @write: for writing
 */
struct iopf_runner {
	struct iopf_device *d;
	u64 page;
	s64 stride;
	unsigned int pages;
	u64 next;
	bool write;
};

/**
 * struct iopf_attach - an IOMMU group attached to a container
 * @handle: how the IOMMU core finds us when a device of the group faults
 * @container: where it is attached; outlives it
 * @group: the IOMMU group
 * @domain: the domain it is attached to
 * @reason: why it does not fault, for people, or NULL; a constant, of the time it is attached
 * @failed: should attaching fail: why, for people; a constant
 * @node: in the container's list; changes under its lock and iopf_devices_lock
 * @listed: it is there
 * @iopf_on: page faults are on in the IOMMU driver. Under the container's lock.
 * @faulting: they are used; otherwise the group is a pinner. Under the container's lock.
 * @dirty_scope: its driver pins what its devices write (vfio_pin_pages()), so that tells what
 *               is dirty. Under the container's lock.
 * @refs: one for the attachment, one for each waiting or parked fault
 * @lock: protects @dead, @waiting, @parked, @requests, @workers and @active
 * @dead: being detached: take no more faults
 * @waiting: faults that wait for one of its workers, in order
 * @parked: faults that have a worker and wait for memory, and nothing of ours
 * @requests: page requests of faults that wait, or are handled by a worker
 * @max_requests: how many there may be of them, and in a group; see iopf_fault_room()
 * @reserve: memory for such faults
 * @workers: workers it has
 * @max_workers: workers it may have; at least 1, see quota.c
 * @max_ahead: pages that each of its devices may have ahead and not used yet; see quota.c
 * @active: faults being handled out of the reporting context, and what is done after an answer;
 *          never for long
 * @running: @run_work is queued, with references as of a parked fault. Under @lock.
 * @nr_runners: how many there are. Under @lock.
 * @runner: what @run_work has to do. Under @lock.
 * @run_queue: where @run_work is queued; the container may be gone before it runs. Under @lock.
 * @run_work: see ahead.c
 * @idle: woken when @active falls to zero
 * @nr_devices: devices in the group
 * @device: the devices
 */
struct iopf_attach {
	struct iommu_attach_handle handle;
	struct iopf_container *container;
	struct iommu_group *group;
	struct iommu_domain *domain;
	const char *reason;
	const char *failed;
	struct list_head node;
	bool listed;
	bool iopf_on;
	bool faulting;
	bool dirty_scope;
	refcount_t refs;
	spinlock_t lock; /* leaf */
	bool dead;
	struct list_head waiting;
	struct list_head parked;
	unsigned int requests;
	unsigned int max_requests;
	mempool_t *reserve;
	unsigned int workers;
	unsigned int max_workers;
	unsigned int max_ahead;
	unsigned int active;
	bool running;
	unsigned int nr_runners;
	struct iopf_runner runner[IOPF_RUNNERS];
	struct iopf_backlog *run_queue;
	struct work_struct run_work;
	wait_queue_head_t idle;
	unsigned int nr_devices;
	struct iopf_device *device[] __counted_by(nr_devices);
};

int iopf_attach_group(struct iopf_container *c, struct iommu_group *group, bool emulated);
void iopf_detach_group(struct iopf_container *c, struct iommu_group *group);
struct iommu_domain *iopf_attach_domain(struct iopf_container *c, struct iommu_group *group);
int iopf_attach_update(struct iopf_attach *at);
void iopf_attach_put(struct iopf_attach *at);

/**
 * iopf_attach_device() - the device of a group that a fault is from
 * @at: the group
 * @dev: the device
 *
 * Return: it. A device can't join a group that user space owns, so it is there.
 */
static inline struct iopf_device *iopf_attach_device(struct iopf_attach *at, struct device *dev)
{
	for (unsigned int i = 1; i < at->nr_devices; i++)
		if (at->device[i]->dev == dev)
			return at->device[i];
	return at->device[0];
}

/**
 * iopf_attach_enter() - begin to use the attachment after the answer to a fault
 * @at: the attachment
 *
 * Return: whether it is not dead; then detaching waits for iopf_attach_leave().
 */
static inline bool iopf_attach_enter(struct iopf_attach *at)
{
	bool alive;

	spin_lock(&at->lock);
	alive = !at->dead;
	at->active += alive;
	spin_unlock(&at->lock);
	return alive;
}

static inline void iopf_attach_leave(struct iopf_attach *at)
{
	spin_lock(&at->lock);
	if (!--at->active)
		wake_up(&at->idle);
	spin_unlock(&at->lock);
}

#endif /* IOPF_ATTACH_H */
