/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * NUMA memory policy of a process whose memory is populated, and free memory of nodes.
 *
 * Most machines have one node. There a policy has no effect, and each function looks at
 * nr_online_nodes only.
 */
#ifndef IOPF_NODES_H
#define IOPF_NODES_H

#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>

#include "../../compat/mempolicy.h"

/*
 * Whether a zone of a node stays above its high watermark after @pages pages; with @huge, also
 * whether it has 2 MiB in one piece.
 */
static __always_inline bool iopf_node_has_room(int node, unsigned int pages, bool huge)
{
	struct zone *zones = NODE_DATA(node)->node_zones;

	for (int i = ZONE_NORMAL; i >= 0; i--) {
		struct zone *zone = &zones[i];
		unsigned long nr_free = 0, keep;

		if (!populated_zone(zone))
			continue;
		keep = high_wmark_pages(zone) + zone->lowmem_reserve[ZONE_NORMAL];
		if (zone_page_state(zone, NR_FREE_PAGES) <= keep + pages)
			continue;
		for (unsigned int order = PMD_ORDER; huge && order < NR_PAGE_ORDERS; order++)
			nr_free += READ_ONCE(zone->free_area[order].nr_free);
		if (!huge || nr_free)
			return true;
	}
	return false;
}

#if defined(CONFIG_NUMA) && defined(CONFIG_MEMCG)
struct mempolicy *iopf_mempolicy_borrow(struct mm_struct *mm);
void iopf_mempolicy_return(struct mempolicy *policy);
bool iopf_mempolicy_copy_nodes(struct mm_struct *mm, struct mempolicy *copy);
bool iopf_nodes_have_room(const nodemask_t *nodes, unsigned int pages, bool huge);
bool iopf_vma_mempolicy_has_room(struct vm_area_struct *vma, unsigned long vaddr, bool huge);

/*
 * Copy the memory policy of the process's main thread; the copy has mode MPOL_DEFAULT if there is
 * none. False: the caller is no kernel thread, or has a policy, or the owner's cpuset does not have
 * all nodes.
 */
static inline bool iopf_mempolicy_copy(struct mm_struct *mm, struct mempolicy *copy)
{
	copy->mode = MPOL_DEFAULT;
	return nr_online_nodes == 1 || iopf_mempolicy_copy_nodes(mm, copy);
}

/* Make a copy the memory policy of the calling thread, until iopf_mempolicy_return_copy(). */
static inline void iopf_mempolicy_borrow_copy(struct mempolicy *copy)
{
	if (unlikely(copy->mode != MPOL_DEFAULT))
		iopf_mpol_exchange(copy);
}

static inline void iopf_mempolicy_return_copy(const struct mempolicy *copy)
{
	if (unlikely(copy->mode != MPOL_DEFAULT))
		iopf_mpol_exchange(NULL);
}

/* iopf_node_has_room() for each node that a policy names; if there is none, for the nearest. */
static __always_inline bool iopf_mempolicy_has_room(const struct mempolicy *policy,
						    unsigned int pages, bool huge)
{
	if (likely(policy->mode == MPOL_DEFAULT) || nodes_empty(policy->nodes))
		return iopf_node_has_room(numa_mem_id(), pages, huge);
	return iopf_nodes_have_room(&policy->nodes, pages, huge);
}

/* iopf_node_has_room() for each node of the policy of the VMA or the file, if there is one. */
static inline bool iopf_vma_has_room(struct vm_area_struct *vma, unsigned long vaddr, bool huge)
{
	return nr_online_nodes == 1 || iopf_vma_mempolicy_has_room(vma, vaddr, huge);
}
#else
static inline struct mempolicy *iopf_mempolicy_borrow(struct mm_struct *mm)
{
	return NULL;
}

static inline void iopf_mempolicy_return(struct mempolicy *policy) { }

static inline bool iopf_mempolicy_copy(struct mm_struct *mm, struct mempolicy *copy)
{
	return true;
}

static inline void iopf_mempolicy_borrow_copy(struct mempolicy *copy) { }

static inline void iopf_mempolicy_return_copy(const struct mempolicy *copy) { }

static inline bool iopf_mempolicy_has_room(const struct mempolicy *policy, unsigned int pages,
					   bool huge)
{
	return iopf_node_has_room(numa_mem_id(), pages, huge);
}

static inline bool iopf_vma_has_room(struct vm_area_struct *vma, unsigned long vaddr, bool huge)
{
	return true;
}
#endif

#endif /* IOPF_NODES_H */
