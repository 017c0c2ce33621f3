// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address spaces: what a container is to those who map memory.
 *
 * A space has areas (what user space has mapped for DMA), the processes whose memory that is, and
 * the IOMMU domains into which it is mapped. It knows neither VFIO nor devices nor faults: those
 * are the business of the folders above.
 *
 * Invariants, under the space's lock:
 *  - areas do not overlap;
 *  - each chunk's set of domains is the space's.
 *
 * set of domains vs new chunks: a chunk reads the set under the lock of its area's array. Changing
 *   the set passes through that lock before it moves the area's chunks, see area.c.
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
 * iopf_space_init() - an address space without areas and domains
 * @space: zeroed; iopf_space_free() is called for it later, be it that this fails
 * @id: a number for the name of its workers
 * @repair: what its @repair does
 *
 * Return: 0 or -ENOMEM.
 */
int iopf_space_init(struct iopf_space *space, u32 id, work_func_t repair)
{
	mutex_init(&space->lock);
	space->huge_ok = !READ_ONCE(iopf_disable_hugepages);
	iopf_hint_renew(&space->generation);
	INIT_DELAYED_WORK(&space->repair, repair);
	/* What is erased in bulk has to have MT_FLAGS_ALLOC_RANGE; see pin/policy.c. */
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
 * iopf_space_free() - free what iopf_space_init() has made
 * @space: nobody can find it any more
 */
void iopf_space_free(struct iopf_space *space)
{
	mutex_destroy(&space->lock);
	free_percpu(space->resident);
	iopf_backlog_put(space->faults);
	kfree(space->domains);
}

/**
 * iopf_space_resident() - pages that are mapped
 * @space: the address space
 *
 * Anybody may ask at any time: nothing is gone through, no lock is taken.
 */
unsigned long iopf_space_resident(const struct iopf_space *space)
{
	long pages = 0;
	int cpu;

	/* One CPU counts what another takes away, so a sum that is being made may be off. */
	for_each_possible_cpu(cpu)
		pages += READ_ONCE(*per_cpu_ptr(space->resident, cpu));
	return max(pages, 0L);
}

/**
 * iopf_space_next_area() - go through the areas of a range
 * @space: the address space, locked; areas may be removed, the one at hand too
 * @area: the one before; NULL: begin
 * @index: in: an address to go on from; out: for the next call
 * @last: last address
 *
 * Others get the processor in between.
 *
 * Return: the next area, or NULL.
 */
struct iopf_area *iopf_space_next_area(struct iopf_space *space, const struct iopf_area *area,
				       unsigned long *index, unsigned long last)
{
	lockdep_assert_held(&space->lock);

	cond_resched();
	/* After the last address of all there is none. */
	return area ? mt_find_after(&space->areas, index, last) :
		      mt_find(&space->areas, index, last);
}

/**
 * iopf_space_check() - whether all of a range is mapped
 * @space: the address space, locked
 * @range: the range
 * @prot: IOMMU_READ, IOMMU_WRITE: what the areas must permit; 0: nothing in particular
 * @vaddr: their CPU addresses must be valid
 *
 * Return: 0; -ENOENT: not all of it is mapped; -EPERM: an area does not permit that; -EBUSY: the
 * CPU address of an area is invalid; -EINTR: the caller is killed.
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
 * iopf_space_repair() - have devices' memory mapped again that its owner has revoked
 * @space: the address space
 *
 * Context: any that may take a spinlock; an area keeps the space from going.
 */
void iopf_space_repair(struct iopf_space *space)
{
	WRITE_ONCE(space->repair_delay, 0);
	mod_delayed_work(iopf_wq, &space->repair, 1);
}

/**
 * iopf_space_set_domains() - change the domains that mappings go into
 * @space: the address space, locked
 * @domains: the new set, which the space takes over on success
 * @added: the domain in it that the old one lacks, or NULL
 *
 * What is not pinned is unmapped; devices fault it in again.
 *
 * Return: 0, or a negative error number and the old set is back in place.
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
