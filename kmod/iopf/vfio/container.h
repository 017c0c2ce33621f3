/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_CONTAINER_H
#define IOPF_CONTAINER_H

#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/types.h>

#include "../../../core/iovas.h"
#include "../../../core/limtable.h"
#include "../../../core/mode.h"
#include "../map/space.h"
#include "../pin/pins.h"
#include "owner.h"

struct iopf_latency_past;
struct iopf_part;
struct iopf_pool;
struct iopf_sampler;

/**
 * struct iopf_container - one VFIO container that is served here
 * @space: its address space
 * @pins: the pinned pages of @space
 * @kobj: /sys/kernel/vfio_iopf/containers/<id>
 * @id: that id, never 0; see iopf_container_get()
 * @pid: the process that set the container up
 * @comm: name of that process
 * @owner: the owner for whom limits are kept; see defaults.c
 * @v2: VFIO_TYPE1v2_IOMMU semantics of unmapping
 * @sampler: its sampling
 * @sampling_dir: the sysfs directory of @sampler
 * @latency_past: fault latency of the devices that have left; under iopf_devices_lock
 * @latency_dir: the sysfs directory that shows the latency of all devices, with @latency_past
 * @setting: one change of @policy or @complete at a time; outside of the space's lock
 * @reporting: one report of dirty pages at a time; outside of the space's lock. Only the owner's
 *             reports hold it; MAP_DMA takes it to wait for a report
 * @pool: the threads of the process that attached the first group, in use; or NULL. Under the VFIO
 *        core's lock of its container.
 * @dma_avail: areas that may still be mapped
 * @attaches: attached groups, by iopf_attach.faults.node; changes are under iopf_devices_lock, too
 * @settings: the limits that have been set, by its groups or live; see limits.c
 * @fault_workers_max: how many parked faults of its groups may have a worker; UINT_MAX: no limit
 * @prefetch_max: how many prefetched pages may be unused at a time; UINT_MAX: no limit
 * @iovas: usable addresses
 * @pgsizes: page sizes that all IOMMUs have, as VFIO_IOMMU_GET_INFO reports
 * @last_lock: number of the last lock
 * @complete: user space has locked all memory in which the selective devices can't fault
 * @policy: the administrator's default, or IOPF_POLICY_DEFAULT; see policies.c
 *
 * @space.lock protects all from @dma_avail on. It is "the container's lock".
 */
struct iopf_container {
	struct iopf_space space;
	struct iopf_pins pins;
	struct kobject kobj;
	u32 id;
	pid_t pid;
	char comm[TASK_COMM_LEN];
	struct iopf_owner owner;
	bool v2;
	struct iopf_sampler *sampler;
	struct kobject *sampling_dir;
	struct iopf_latency_past *latency_past;
	struct kobject *latency_dir;
	struct mutex setting; /* order: docs/internals/locking.md */
	struct mutex reporting; /* order: docs/internals/locking.md */
	struct iopf_pool *pool;
	unsigned int dma_avail;
	struct list_head attaches;
	struct iopf_settings settings;
	unsigned int fault_workers_max;
	unsigned int prefetch_max;
	struct iopf_iovas *iovas;
	u64 pgsizes;
	u64 last_lock;
	bool complete;
	enum iopf_policy policy;
};

/**
 * struct iopf_container_attr - a file in a container's directory
 * @attr: name and mode
 * @show: read
 * @store: write, or NULL
 */
struct iopf_container_attr {
	struct attribute attr;
	ssize_t (*show)(struct iopf_container *c, char *buf);
	ssize_t (*store)(struct iopf_container *c, const char *buf, size_t count);
};

/* How many areas are removed at a time; see iopf_container_remove_areas(). */
#define IOPF_REMOVE_BATCH 256

/* The container of an address space. Each space has one. */
static inline struct iopf_container *iopf_space_container(struct iopf_space *space)
{
	return container_of(space, struct iopf_container, space);
}

int iopf_containers_init(struct kobject *root, const struct iopf_part *parts);
void iopf_containers_exit(void);

struct iopf_container *iopf_container_create(bool v2);
void iopf_container_release(struct iopf_container *c);
void *iopf_container_data(const struct iopf_container *c);
struct iopf_container *iopf_container_of(void *data);
struct iopf_container *iopf_container_get(void *data);
void iopf_container_put(struct iopf_container *c);

bool iopf_container_bisected(struct iopf_container *c, const struct iopf_range *range);
void iopf_container_remove_areas(struct iopf_container *c, struct list_head *areas);
void iopf_container_unmap_all(struct iopf_container *c);
void iopf_container_prepare(struct iopf_container *c);
void iopf_container_share(struct iopf_container *c);
int iopf_container_coherent(struct iopf_container *c);
int iopf_container_emulated(struct iopf_container *c);
int iopf_container_pin(struct iopf_container *c);
void iopf_container_unpin(struct iopf_container *c);

#endif /* IOPF_CONTAINER_H */
