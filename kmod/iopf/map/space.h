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
 * struct iopf_space - an I/O address space: what is mapped in it, and where that goes
 * @huge_ok: 2 MiB mappings are allowed
 * @tracking: device writes are tracked; chunks look at it under their locks. See vfio/dirty.c.
 * @sampled: it is being sampled; see sample/sampler.c
 * @budgeted: it has limits, so what is mapped is charged; see vfio/limits.c. Changes under @lock.
 * @faults: workers for faults that have to wait
 * @memcg: who pays for chunks and IOMMU page tables; @faults holds it
 * @evictor: keeps its budget
 * @watch: which chunks are sampled
 * @pins: what is pinned, and for what reason
 * @prefaults: requests to have memory ready before its use
 * @generation: of the hints to its chunks; see hint.h
 * @resident: pages that are mapped, by the CPU that counted them: a part may be negative
 * @pinned_pages: pages of those that are pinned
 * @repair: maps devices' memory again that has been revoked; see pin/mmio.c
 * @repair_delay: jiffies until the next attempt
 * @lock: order: see docs/internals/locking.md; protects all that follows
 * @serial: changes when an area may have gone, or have got another CPU address
 * @last_area: number of the last area
 * @areas: areas by IOVA; read under RCU
 * @nr_areas: how many there are
 * @area_pages: how many pages they have
 * @vaddr_invalid: areas whose CPU address is invalid
 * @mms: the processes whose memory is mapped
 * @domains: the IOMMU domains; chunks copy the pointer under iopf_area.chunks
 * @groups: attached groups of devices that do DMA; without one no domain knows pinned pages
 * @emulated_groups: attached groups of emulated devices
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
 * iopf_space_count() - count what is mapped, for people
 * @space: the address space
 * @pages: how many more; negative: less
 */
static inline void iopf_space_count(struct iopf_space *space, long pages)
{
	this_cpu_add(*space->resident, pages);
}

/**
 * iopf_space_unlock_to_wait() - drop the lock to do what may take for ever
 * @space: the address space, locked
 *
 * Followed by iopf_space_relock(); meanwhile all but the space itself may have gone.
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
 * iopf_space_groupless() - whether no group is attached: it is released, or being set up
 * @space: the address space, locked
 */
static inline bool iopf_space_groupless(const struct iopf_space *space)
{
	lockdep_assert_held(&space->lock);

	return !space->groups && !space->emulated_groups;
}

/**
 * iopf_space_enter() - a fault is going to be handled
 * @space: the address space
 *
 * Return: what iopf_space_leave() wants to know.
 */
static inline int iopf_space_enter(struct iopf_space *space)
{
	return unlikely(READ_ONCE(space->budgeted)) ? iopf_evictor_enter(space->evictor) : -1;
}

/**
 * iopf_space_leave() - the fault has been answered, or will be handled again
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
