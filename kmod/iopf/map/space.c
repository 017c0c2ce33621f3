// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address spaces: the part of a container in which memory is mapped.
 *
 * A space has areas (the ranges that user space has mapped for DMA), the processes whose memory
 * they are, and the IOMMU domains in which they are mapped. A space knows neither VFIO nor devices
 * nor faults. Folders above this one know them.
 *
 * Invariants, under the space's lock:
 *  - areas do not overlap;
 *  - each chunk has the space's set of domains.
 *
 * set of domains vs new chunks: a chunk reads the set under the lock of its area's array. Code that
 *   changes the set takes that lock before it moves the area's chunks, see area.c.
 */
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "../lib/backlog.h"
#include "../lib/params.h"
#include "area.h"
#include "chunk.h"
#include "hint.h"
#include "space.h"

/**
 * iopf_space_init() - make an address space without areas and domains
 * @space: zeroed; the caller later calls iopf_space_free(), even on failure
 * @id: a number for the name of its workers
 * @repair: function of the work @repair of the space
 *
 * Return: 0 or -ENOMEM.
 */
int iopf_space_init(struct iopf_space *space, u32 id, work_func_t repair)
{
	mutex_init(&space->lock);
	space->huge_ok = !READ_ONCE(iopf_disable_hugepages);
	iopf_hint_renew(&space->generation);
	INIT_DELAYED_WORK(&space->repair, repair);
	/* A tree that is erased in bulk needs MT_FLAGS_ALLOC_RANGE; see pin/policy.c. */
	mt_init_flags(&space->areas, MT_FLAGS_ALLOC_RANGE | MT_FLAGS_USE_RCU);
	INIT_LIST_HEAD(&space->mms);
	space->resident = alloc_percpu_gfp(*space->resident, GFP_KERNEL_ACCOUNT);
	space->domains = kzalloc(struct_size(space->domains, domain, 0), GFP_KERNEL_ACCOUNT);
	space->faults = iopf_backlog_create(id);
	if (!space->resident || !space->domains || !space->faults)
		return -ENOMEM;
	space->memcg = space->faults->memcg;
	return 0;
}

/**
 * iopf_space_free() - free what iopf_space_init() has allocated
 * @space: no code can find it any more
 */
void iopf_space_free(struct iopf_space *space)
{
	mutex_destroy(&space->lock);
	free_percpu(space->resident);
	iopf_backlog_put(space->faults);
	kfree(space->domains);
}

/**
 * iopf_space_resident() - return the number of pages that are mapped
 * @space: the address space
 *
 * This may be called at any time. It takes no lock, and walks through no areas.
 */
unsigned long iopf_space_resident(const struct iopf_space *space)
{
	long pages = 0;
	int cpu;

	/*
	 * One CPU counts a page when it is mapped, another when it is unmapped. So a sum that is
	 * read meanwhile may be wrong.
	 */
	for_each_possible_cpu(cpu)
		pages += READ_ONCE(*per_cpu_ptr(space->resident, cpu));
	return max(pages, 0L);
}

/**
 * iopf_space_next_area() - go through the areas of a range
 * @space: the address space, locked; the caller may remove areas, the present one too
 * @area: the previous area; NULL for the first call
 * @index: in: the address to start from; out: for the next call
 * @last: last address
 *
 * Other tasks may get the processor in each call.
 *
 * Return: the next area, or NULL.
 */
struct iopf_area *iopf_space_next_area(struct iopf_space *space, const struct iopf_area *area,
				       unsigned long *index, unsigned long last)
{
	lockdep_assert_held(&space->lock);

	cond_resched();
	/* mt_find_after() finds nothing after the last address of all. */
	return area ? mt_find_after(&space->areas, index, last) :
		      mt_find(&space->areas, index, last);
}

/**
 * iopf_space_check() - check whether all of a range is mapped
 * @space: the address space, locked
 * @range: the range
 * @prot: IOMMU_READ, IOMMU_WRITE: the access that the areas must permit; 0: any areas
 * @vaddr: their CPU addresses must be valid
 *
 * Return: 0; -ENOENT: a part of it is not mapped; -EPERM: an area does not permit the access;
 * -EBUSY: the CPU address of an area is invalid; -EINTR: the caller is killed.
 */
int iopf_space_check(struct iopf_space *space, const struct iopf_range *range, int prot,
		     bool vaddr)
{
	u64 at = range->first;

	lockdep_assert_held(&space->lock);

	for (;;) {
		struct iopf_area *area = mtree_load(&space->areas, at);

		if (!area)
			return -ENOENT;
		if ((area->prot & prot) != prot)
			return -EPERM;
		if (vaddr && area->vaddr_invalid)
			return -EBUSY;
		if (area->range.last >= range->last)
			return 0;
		at = area->range.last + 1;
		/* There may be 65535 areas. */
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

/**
 * iopf_space_repair() - schedule the worker that maps revoked device memory again
 * @space: the address space
 *
 * Context: any that may take a spinlock; an area keeps the space from being freed.
 */
void iopf_space_repair(struct iopf_space *space)
{
	WRITE_ONCE(space->repair_delay, 0);
	mod_delayed_work(iopf_wq, &space->repair, 1);
}

/**
 * iopf_space_set_domains() - change the set of domains
 * @space: the address space, locked
 * @domains: the new set, which the space takes over on success
 * @added: the domain in it that the old set does not have, or NULL
 *
 * Pages that are not pinned are unmapped. Faults map them again.
 *
 * Return: 0, or a negative error number with the old set in place again.
 */
int iopf_space_set_domains(struct iopf_space *space, struct iopf_domains *domains,
			   struct iommu_domain *added)
{
	struct iopf_domains *old = space->domains;
	unsigned long index = 0;
	struct iopf_area *area;
	int ret = 0;

	lockdep_assert_held(&space->lock);

	WRITE_ONCE(space->domains, domains);
	area = NULL;
	while ((area = iopf_space_next_area(space, area, &index, ULONG_MAX))) {
		ret = iopf_area_set_domains(area, domains, added);
		if (ret)
			goto err_back;
	}
	kfree(old);
	return 0;

err_back:
	WRITE_ONCE(space->domains, old);
	index = 0;
	area = NULL;
	while ((area = iopf_space_next_area(space, area, &index, ULONG_MAX)))
		iopf_area_set_domains(area, old, NULL);
	return ret;
}
