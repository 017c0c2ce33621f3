/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Inside of the simulated IOMMU: what its files share.
 */
#ifndef IOPF_SIM_IOMMU_H
#define IOPF_SIM_IOMMU_H

#include <linux/atomic.h>
#include <linux/iommu.h>

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
 * struct iopf_sim_stats - counters shown in debugfs, iopf_sim/iommu/
 * @maps: map requests
 * @unmaps: unmap requests
 * @unmap_holes: unmap requests that met a hole
 * @unmap_splits: unmap requests that would have had to split a leaf
 * @map_collisions: map requests that met a mapping
 * @tables: tables allocated now
 * @leaves_4k: 4 KiB leaves mapped now
 * @leaves_2m: 2 MiB leaves mapped now
 * @leaves_1g: 1 GiB leaves mapped now
 * @syncs: invalidation requests
 * @stop_markers: stop markers received and discarded
 * @refused: requests answered by the IOMMU itself, for want of a handler
 */
struct iopf_sim_stats {
	atomic64_t maps;
	atomic64_t unmaps;
	atomic64_t unmap_holes;
	atomic64_t unmap_splits;
	atomic64_t map_collisions;
	atomic64_t tables;
	atomic64_t leaves_4k;
	atomic64_t leaves_2m;
	atomic64_t leaves_1g;
	atomic64_t syncs;
	atomic64_t stop_markers;
	atomic64_t refused;
};

extern struct iopf_sim_stats iopf_sim_stats;
extern struct iommu_domain iopf_sim_identity_domain;
extern struct iommu_domain iopf_sim_blocked_domain;

struct iopf_sim_endpoint *iopf_sim_endpoint_find(struct device *dev);
void *iopf_sim_endpoints_any(void *(*ask)(struct iopf_sim_endpoint *ep, void *arg), void *arg);
int iopf_sim_endpoint_attach(struct iopf_sim_endpoint *ep, struct iommu_domain *domain);
void iopf_sim_domain_invalidate(struct iopf_sim_domain *domain, u64 iova, u64 last);

int iopf_sim_prq_init(struct dentry *dir);
void iopf_sim_prq_exit(void);
void iopf_sim_prq_flush(struct iopf_sim_endpoint *ep);
struct iopf_queue *iopf_sim_prq_queue(void);

#endif /* IOPF_SIM_IOMMU_H */
