/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Inside of the simulated IOMMU: what its files share.
 */
#ifndef IOPF_SIM_IOMMU_H
#define IOPF_SIM_IOMMU_H

#include <linux/atomic.h>
#include <linux/iommu.h>
#include <linux/percpu.h>

#include "endpoint.h"
#include "pagetable.h"

/**
 * struct iopf_sim_domain - a paging domain
 * @domain: the core's view
 * @pt: its page table, which knows what kind of IOMMU the domain is for
 * @unsynced: unmaps whose invalidation has not been asked for yet. While there are
 *            any, the device may lawfully use an unmapped page out of its ATC.
 * @lock: protects @attachments
 * @attachments: struct iopf_sim_attachment of each endpoint attached
 */
struct iopf_sim_domain {
	struct iommu_domain domain;
	struct iopf_sim_pt pt;
	atomic_t unsynced;
	raw_spinlock_t lock;
	struct list_head attachments;
};

/**
 * struct iopf_sim_attachment - an endpoint uses a domain
 * @node: in iopf_sim_domain.attachments
 * @ep: who
 */
struct iopf_sim_attachment {
	struct list_head node;
	struct iopf_sim_endpoint *ep;
};

static inline struct iopf_sim_domain *to_sim_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct iopf_sim_domain, domain);
}

/**
 * enum iopf_sim_stat - counters shown in debugfs, iopf_sim/iommu/
 * @IOPF_SIM_STAT_MAPS: map requests
 * @IOPF_SIM_STAT_UNMAPS: unmap requests
 * @IOPF_SIM_STAT_UNMAP_HOLES: unmap requests that met a hole
 * @IOPF_SIM_STAT_UNMAP_SPLITS: unmap requests that would have had to split a leaf
 * @IOPF_SIM_STAT_MAP_COLLISIONS: map requests that met a mapping
 * @IOPF_SIM_STAT_SYNCS: invalidation requests
 * @IOPF_SIM_STAT_STOP_MARKERS: stop markers received and discarded
 * @IOPF_SIM_STAT_REFUSED: requests answered by the IOMMU itself, for want of a handler
 * @IOPF_SIM_STAT_TABLES: tables allocated now
 * @IOPF_SIM_STAT_LEAVES_4K: 4 KiB leaves mapped now
 * @IOPF_SIM_STAT_LEAVES_2M: 2 MiB leaves mapped now
 * @IOPF_SIM_STAT_LEAVES_1G: 1 GiB leaves mapped now
 * @IOPF_SIM_STAT_NR: how many counters there are
 */
enum iopf_sim_stat {
	IOPF_SIM_STAT_MAPS,
	IOPF_SIM_STAT_UNMAPS,
	IOPF_SIM_STAT_UNMAP_HOLES,
	IOPF_SIM_STAT_UNMAP_SPLITS,
	IOPF_SIM_STAT_MAP_COLLISIONS,
	IOPF_SIM_STAT_SYNCS,
	IOPF_SIM_STAT_STOP_MARKERS,
	IOPF_SIM_STAT_REFUSED,
	IOPF_SIM_STAT_TABLES,
	/* In the order of the levels of tables. */
	IOPF_SIM_STAT_LEAVES_4K,
	IOPF_SIM_STAT_LEAVES_2M,
	IOPF_SIM_STAT_LEAVES_1G,
	IOPF_SIM_STAT_NR,
};

/**
 * struct iopf_sim_stats - what one CPU has counted, see stats_read()
 * @count: by counter; of what there is now, what came on this CPU less what went
 */
struct iopf_sim_stats {
	s64 count[IOPF_SIM_STAT_NR];
};

DECLARE_PER_CPU(struct iopf_sim_stats, iopf_sim_stats);

static inline void iopf_sim_count(enum iopf_sim_stat stat, s64 n)
{
	this_cpu_add(iopf_sim_stats.count[stat], n);
}

extern struct iommu_domain iopf_sim_identity_domain;
extern struct iommu_domain iopf_sim_blocked_domain;

int iopf_sim_map_pages(struct iommu_domain *domain, unsigned long iova, phys_addr_t phys,
		       size_t pgsize, size_t count, int prot, gfp_t gfp, size_t *mapped);

struct iopf_sim_endpoint *iopf_sim_endpoint_find(struct device *dev);
void *iopf_sim_endpoints_any(void *(*ask)(struct iopf_sim_endpoint *ep, void *arg), void *arg);
int iopf_sim_endpoint_attach(struct iopf_sim_endpoint *ep, struct iommu_domain *domain);
void iopf_sim_domain_invalidate(struct iopf_sim_domain *domain, u64 iova, u64 last);

int iopf_sim_prq_init(struct dentry *dir);
void iopf_sim_prq_exit(void);
void iopf_sim_prq_flush(struct iopf_sim_endpoint *ep);
struct iopf_queue *iopf_sim_prq_queue(void);

#endif /* IOPF_SIM_IOMMU_H */
