/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_SPACE_H
#define IOPF_SPACE_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/maple_tree.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/workqueue.h>

#include "../budget/budget.h"
#include "../lib/controls.h"

struct iommu_domain;
struct iopf_area;
struct iopf_backlog;
struct iopf_domains;
struct iopf_pins;
struct iopf_prefaults;
struct iopf_range;
struct iopf_watch;
struct mem_cgroup;

/**
 * struct iopf_space - an I/O address space: its areas, and the domains in which they are mapped
 * @huge_ok: 2 MiB mappings are allowed
 * @tracking: device writes are tracked; chunks read it under their locks. See vfio/dirty.c.
 * @sampled: it is being sampled; see sample/sampler.c
 * @budgeted: it has limits, so mapped pages are charged; see vfio/limits.c. Changes under @lock.
 * @faults: workers for faults that have to wait
 * @memcg: the memory cgroup that pays for chunks and IOMMU page tables; @faults holds it
 * @evictor: its budget, and the work that evicts
 * @watch: which chunks are sampled
 * @pins: what is pinned, and why
 * @prefaults: requests to prefault
 * @generation: the generation of its hints; see hint.h
 * @resident: mapped pages, per CPU that counted them: the number of one CPU may be negative
 * @pinned_pages: the mapped pages that are pinned
 * @repair: maps revoked device memory again; see pin/mmio.c
 * @repair_delay: jiffies until the next attempt of @repair
 * @lock: order: see docs/internals/locking.md; protects all fields below
 * @serial: changes when an area may have been removed, or have got another CPU address
 * @last_area: number of the last area that was made
 * @areas: areas by IOVA; read under RCU
 * @nr_areas: number of areas
 * @area_pages: number of pages in them
 * @vaddr_invalid: number of areas whose CPU address is invalid
 * @mms: the processes whose memory is mapped
 * @domains: the IOMMU domains; chunks copy the pointer under iopf_area.chunks
 * @groups: number of attached groups of devices that do DMA; without one there is no domain that
 *          maps pinned pages
 * @emulated_groups: number of attached groups of emulated devices
 */
struct iopf_space {
	bool huge_ok;
	bool tracking;
	bool sampled;
	bool budgeted;
	struct iopf_backlog *faults;
	struct mem_cgroup *memcg;
	struct iopf_evictor *evictor;
	struct iopf_watch *watch;
	struct iopf_pins *pins;
	struct iopf_prefaults *prefaults;
	u64 generation;
	long __percpu *resident;
	atomic_long_t pinned_pages;
	struct delayed_work repair;
	unsigned long repair_delay;
	struct mutex lock; /* order: docs/internals/locking.md */
	u64 serial;
	u64 last_area;
	struct maple_tree areas;
	unsigned long nr_areas;
	unsigned long area_pages;
	unsigned int vaddr_invalid;
	struct list_head mms;
	struct iopf_domains *domains;
	unsigned int groups;
	unsigned int emulated_groups;
};

int iopf_space_init(struct iopf_space *space, u32 id, work_func_t repair);
void iopf_space_free(struct iopf_space *space);

/**
 * iopf_space_count() - count mapped pages, for sysfs
 * @space: the address space
 * @pages: how many more; negative: less
 */
static inline void iopf_space_count(struct iopf_space *space, long pages)
{
	this_cpu_add(*space->resident, pages);
}

/**
 * iopf_space_unlock_to_wait() - drop the lock before an operation that may wait without limit
 * @space: the address space, locked
 *
 * The caller then calls iopf_space_relock(). Meanwhile everything but the space itself may be
 * removed.
 */
static inline void iopf_space_unlock_to_wait(struct iopf_space *space)
{
	if (!iopf_broken(unlock))
		mutex_unlock(&space->lock);
}

static inline void iopf_space_relock(struct iopf_space *space)
{
	if (!iopf_broken(unlock))
		mutex_lock(&space->lock);
}

/**
 * iopf_space_groupless() - whether no group is attached: the space is being released or set up
 * @space: the address space, locked
 */
static inline bool iopf_space_groupless(const struct iopf_space *space)
{
	lockdep_assert_held(&space->lock);

	return !space->groups && !space->emulated_groups;
}

/**
 * iopf_space_enter() - begin to handle a fault
 * @space: the address space
 *
 * Return: a value for iopf_space_leave().
 */
static inline int iopf_space_enter(struct iopf_space *space)
{
	return unlikely(READ_ONCE(space->budgeted)) ? iopf_evictor_enter(space->evictor) : -1;
}

/**
 * iopf_space_leave() - undo iopf_space_enter(): the fault is answered, or will be handled again
 * @space: the address space
 * @turn: of iopf_space_enter()
 */
static inline void iopf_space_leave(struct iopf_space *space, int turn)
{
	if (unlikely(turn >= 0))
		iopf_evictor_leave(space->evictor, turn);
}

unsigned long iopf_space_resident(const struct iopf_space *space);
struct iopf_area *iopf_space_next_area(struct iopf_space *space, const struct iopf_area *area,
				       unsigned long *index, unsigned long last);
int iopf_space_check(struct iopf_space *space, const struct iopf_range *range, int prot,
		     bool vaddr);
void iopf_space_repair(struct iopf_space *space);
int iopf_space_set_domains(struct iopf_space *space, struct iopf_domains *domains,
			   struct iommu_domain *added);

#endif /* IOPF_SPACE_H */
