/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_CONTAINER_H
#define IOPF_CONTAINER_H

#include <linux/atomic.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/maple_tree.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/rbtree.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "../../../core/iovas.h"
#include "../../../core/mode.h"
#include "../../../core/range.h"
#include "../lib/controls.h"
#include "defaults.h"

struct iommu_domain;
struct iopf_area;
struct iopf_domains;
struct iopf_backlog;
struct iopf_evictor;
struct iopf_latency_past;
struct iopf_pool;
struct iopf_prefaults;
struct iopf_sampler;
struct mem_cgroup;

/*
 * Lock order of the module, outermost first:
 *
 *   iopf_device.setting   an administrator changes a device (mutex)
 *   iopf_container.setting  somebody changes what holds for all of a container (mutex)
 *   iopf_container.reporting  its owner is being told which pages are dirty (mutex)
 *   iopf_container.lock   mapping, attaching, switching a device (mutex). Short: nothing of user
 *                         space is copied, pinned or waited for under it.
 *   iopf_devices_lock     device list, which container a device is in (mutex)
 *   mmap_lock             of a user process
 *   [the notifier's and reclaim's context begins here]
 *   iopf_mm.lock          areas by CPU address (rwlock)
 *   iopf_span.lock        whether 1 GiB is mapped as a whole (spinlock)
 *   iopf_area.chunks      chunk array (xarray's spinlock)
 *   iopf_chunk.lock       what is mapped (spinlock)
 *   iopf_evictor.lock      the budget (leaf spinlock), and
 *   the IOMMU driver's    page tables, invalidation
 *
 * iopf_attach.lock (parked faults), iopf_prefaults.lock, iopf_container.holds_lock and waits_lock
 * are leaf spinlocks. The fault path takes
 * RCU, iopf_area.chunks when it makes a chunk, and iopf_chunk.lock or, without that,
 * iopf_span.lock; when it has to wait, it holds nothing. iopf_area.spans is a leaf. The lock of
 * struct iopf_sampler is outside of the container's, its points_lock a leaf.
 */

/**
 * struct iopf_container - one VFIO container that is served here
 * @kobj: /sys/kernel/vfio_iopf/containers/<id>
 * @id: that id, never 0; see iopf_container_get()
 * @pid: who set it up
 * @comm: its name
 * @owner: the same, as far as limits are kept for it; see defaults.c
 * @v2: VFIO_TYPE1v2_IOMMU semantics of unmapping
 * @huge_ok: 2 MiB mappings are allowed
 * @faults: workers for faults that have to wait
 * @memcg: who pays for chunks and IOMMU page tables; @faults holds it
 * @prefaults: what is being made ready before its use
 * @tracking: device writes are tracked; chunks look at it under their locks. See dirty.c.
 * @sampled: it is being sampled; see sample.c
 * @sampler: that
 * @budgeted: it has limits, so what is mapped is charged; see limits.c. Changes under @lock.
 * @evictor: keeps its budget
 * @generation: of the hints to its chunks; see hint.h
 * @resident: pages that are mapped, by the CPU that counted them: a part may be negative
 * @pinned_pages: pages of those that are pinned
 * @repair: maps devices' memory again that has been revoked; see pin.c
 * @latency_past: how long faults took of devices that have left; under iopf_devices_lock
 * @latency_dir: where that is to be read, with those of the others
 * @setting: one change of @policy or @complete at a time; outside of @lock
 * @reporting: one report of dirty pages at a time; outside of @lock, and only the owner's reports
 *             take it
 * @waits_lock: protects @waits; a leaf
 * @waits: waits for memory to be pinned that can be ended; see pin.c
 * @ended: the container is being released; read without a lock
 * @unbinding: devices in it, or about to be, that are being unbound from their VFIO drivers; under
 *             iopf_devices_lock, read without
 * @owing: charged pages are to be given back yet, see pin.c; read without a lock
 * @lock: see above; protects all that follows
 * @serial: changes when an area may have gone, or have got another CPU address
 * @last_area: number of the last area
 * @pinning: how many wait for memory to be pinned; meanwhile nothing is unpinned for want of a
 *           reason; see pin.c
 * @undrained: something was to be unpinned meanwhile, or has been pinned in vain
 * @missing: what was found not to be pinned; see iopf_pin_require()
 * @areas: areas by IOVA; read under RCU
 * @nr_areas: how many there are
 * @area_pages: how many pages they have
 * @mms: the processes whose memory is mapped
 * @pool: the threads of the process that attached the first group, in use; or NULL. Under the VFIO
 *        core's lock of its container.
 * @dma_avail: areas that may still be mapped
 * @attaches: attached groups; changes are under iopf_devices_lock, too
 * @settings: what limits have been set, by its groups or live; see limits.c
 * @fault_workers_max: of their faults that wait, how many may have a worker; UINT_MAX: no limit
 * @prefetch_max: prefetched pages not used yet, at most; UINT_MAX: no limit
 * @domains: the IOMMU domains; chunks copy the pointer under iopf_area.chunks
 * @iovas: usable addresses
 * @pgsizes: page sizes that all IOMMUs have, as VFIO_IOMMU_GET_INFO reports
 * @pinners: attached groups that can't fault or may not; when not zero, all areas are pinned
 * @holds: what is held pinned of areas beyond that, see hold.c; changes are under @holds_lock, too
 * @holds_lock: a leaf, for faults
 * @guards: how many of them are where devices don't fault; read without a lock
 * @locks: how many of them are user space's
 * @last_lock: number of its last lock
 * @complete: user space has locked all that its selective devices can't fault in
 * @policy: the administrator's default, or IOPF_POLICY_DEFAULT; see policy.c
 * @default_policy: what holds for what has no policy of its own; never IOPF_POLICY_DEFAULT
 * @policies: of what has one, by IOVA
 * @nr_policies: how many
 * @policy_entry_limit: how many there may be, but see policy.c
 * @emulated: groups of emulated devices
 * @devices: devices that are told of unmapping
 * @notifying: tellings in progress
 * @notified: woken when that falls to zero, and when a copy has ended
 * @copies: of drivers of emulated devices, under way; see emulated.c
 * @copied: those that have ended
 * @vaddr_invalid: areas whose CPU address is invalid
 * @repair_delay: jiffies until the next attempt
 */
struct iopf_container {
	struct kobject kobj;
	u32 id;
	pid_t pid;
	char comm[TASK_COMM_LEN];
	struct iopf_owner owner;
	bool v2;
	bool huge_ok;
	struct iopf_backlog *faults;
	struct mem_cgroup *memcg;
	struct iopf_prefaults *prefaults;
	bool tracking;
	bool sampled;
	struct iopf_sampler *sampler;
	bool budgeted;
	struct iopf_evictor *evictor;
	u64 generation;
	long __percpu *resident;
	atomic_long_t pinned_pages;
	struct delayed_work repair;
	struct iopf_latency_past *latency_past;
	struct kobject *latency_dir;
	struct mutex setting; /* order: see above */
	struct mutex reporting; /* order: see above */
	spinlock_t waits_lock; /* leaf */
	struct list_head waits;
	bool ended;
	unsigned int unbinding;
	bool owing;
	struct mutex lock; /* order: see above */
	u64 serial;
	u64 last_area;
	unsigned int pinning;
	bool undrained;
	struct iopf_range missing;
	struct maple_tree areas;
	unsigned long nr_areas;
	unsigned long area_pages;
	struct list_head mms;
	struct iopf_pool *pool;
	unsigned int dma_avail;
	struct list_head attaches;
	struct iopf_settings settings;
	unsigned int fault_workers_max;
	unsigned int prefetch_max;
	struct iopf_domains *domains;
	struct iopf_iovas *iovas;
	u64 pgsizes;
	unsigned int pinners;
	struct rb_root_cached holds;
	spinlock_t holds_lock; /* leaf */
	unsigned int guards;
	unsigned int locks;
	u64 last_lock;
	bool complete;
	enum iopf_policy policy;
	enum iopf_policy default_policy;
	struct maple_tree policies;
	unsigned int nr_policies;
	unsigned int policy_entry_limit;
	struct list_head emulated;
	struct list_head devices;
	unsigned int notifying;
	wait_queue_head_t notified;
	struct list_head copies;
	unsigned int copied;
	unsigned int vaddr_invalid;
	unsigned long repair_delay;
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

/* Areas that are removed at a time; see iopf_container_remove_areas(). */
#define IOPF_REMOVE_BATCH 256

/**
 * iopf_container_count() - count what is mapped, for people
 * @c: the container
 * @pages: how many more; negative: less
 */
static inline void iopf_container_count(struct iopf_container *c, long pages)
{
	this_cpu_add(*c->resident, pages);
}

int iopf_containers_init(struct kobject *root);
void iopf_containers_exit(void);

struct iopf_container *iopf_container_create(bool v2);
void iopf_container_release(struct iopf_container *c);
void *iopf_container_data(const struct iopf_container *c);
struct iopf_container *iopf_container_of(void *data);
struct iopf_container *iopf_container_get(void *data);
void iopf_container_put(struct iopf_container *c);

/**
 * iopf_container_unlock_to_wait() - drop a container's lock to do what may take for ever
 * @c: the container, locked
 *
 * Followed by iopf_container_relock(); meanwhile all but the container may have gone.
 */
static inline void iopf_container_unlock_to_wait(struct iopf_container *c)
{
	if (!iopf_broken(unlock))
		mutex_unlock(&c->lock);
}

static inline void iopf_container_relock(struct iopf_container *c)
{
	if (!iopf_broken(unlock))
		mutex_lock(&c->lock);
}

bool iopf_container_groupless(const struct iopf_container *c);
bool iopf_container_bisected(struct iopf_container *c, const struct iopf_range *range);
void iopf_container_remove_areas(struct iopf_container *c, struct list_head *areas);
struct iopf_area *iopf_container_next_area(struct iopf_container *c, const struct iopf_area *area,
					   unsigned long *index, unsigned long last);
void iopf_container_unmap_all(struct iopf_container *c);
void iopf_container_prepare(struct iopf_container *c);
void iopf_container_reap_mms(struct iopf_container *c);
void iopf_container_repair(struct iopf_container *c);
int iopf_container_set_domains(struct iopf_container *c, struct iopf_domains *domains,
			       struct iommu_domain *added);
int iopf_container_coherent(struct iopf_container *c);
int iopf_container_emulated(struct iopf_container *c);
int iopf_container_pin(struct iopf_container *c);
void iopf_container_unpin(struct iopf_container *c);

#endif /* IOPF_CONTAINER_H */
