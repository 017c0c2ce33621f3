// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paging domains of the simulated IOMMU.
 *
 * Purpose: allocate, map, unmap, invalidate.
 *
 * Invariants: between an unmap and its iotlb_sync, devices may use the old translation, as
 * hardware does. iopf_sim_domain.unsynced counts the unmaps in that state. When iotlb_sync
 * returns, no access through the old translation is under way.
 *
 * Locking: see link.h.
 */
#include <linux/slab.h>

#include "iommu.h"

struct iommu_domain *iopf_sim_domain_alloc_paging(struct device *dev)
{
	struct iopf_sim_domain *domain = kzalloc(sizeof(*domain), GFP_KERNEL_ACCOUNT);
	struct iopf_sim_endpoint *ep = dev_iommu_priv_get(dev);

	if (!domain)
		return NULL;
	if (iopf_sim_pt_init(&domain->pt, ep->kind, GFP_KERNEL_ACCOUNT)) {
		kfree(domain);
		return NULL;
	}
	raw_spin_lock_init(&domain->lock);
	INIT_LIST_HEAD(&domain->attachments);
	domain->domain.pgsize_bitmap = ep->kind->pgsizes;
	domain->domain.geometry.aperture_start = ep->kind->first;
	domain->domain.geometry.aperture_end = ep->kind->last;
	domain->domain.geometry.force_aperture = true;
	return &domain->domain;
}

static void domain_free(struct iommu_domain *iommu_domain)
{
	struct iopf_sim_domain *domain = to_sim_domain(iommu_domain);

	WARN_ON(!list_empty(&domain->attachments));
	iopf_sim_pt_destroy(&domain->pt);
	kfree(domain);
}

/**
 * invalidate() - drop the cached translations of a range
 * @domain: the domain
 * @iova: first address
 * @last: last address
 *
 * When it returns, no access through an old translation of the range is under way. Atomic.
 */
static void invalidate(struct iopf_sim_domain *domain, u64 iova, u64 last)
{
	struct iopf_sim_attachment *attachment;
	unsigned long irq;
	u32 i;

	raw_spin_lock_irqsave(&domain->lock, irq);
	list_for_each_entry(attachment, &domain->attachments, node) {
		struct iopf_sim_endpoint *ep = attachment->ep;

		for (i = 0; i < ep->nr_banks; i++) {
			struct iopf_sim_bank *bank = &ep->bank[i];

			raw_spin_lock(&bank->lock);
			if (likely(!READ_ONCE(ep->ignore_inv)))
				iopf_sim_atc_invalidate(bank, iova, last);
			raw_spin_unlock(&bank->lock);
		}
	}
	raw_spin_unlock_irqrestore(&domain->lock, irq);
}

static size_t unmap_pages(struct iommu_domain *iommu_domain, unsigned long iova, size_t pgsize,
			  size_t count, struct iommu_iotlb_gather *gather)
{
	struct iopf_sim_domain *domain = to_sim_domain(iommu_domain);
	size_t size;

	iopf_sim_count(IOPF_SIM_STAT_UNMAPS, 1);
	/*
	 * Until the sync, the device may use the old translation. The first unmap of a gather
	 * opens this window, and the sync closes it.
	 */
	if (!gather->end) {
		atomic_inc(&domain->unsynced);
		/* Before the entries are cleared; pairs with the barrier in translate_paging(). */
		smp_mb__after_atomic();
	}
	size = iopf_sim_pt_unmap(&domain->pt, iova, pgsize * count);
	if (size)
		iommu_iotlb_gather_add_range(gather, iova, size);
	else if (!gather->end)
		atomic_dec(&domain->unsynced);
	return size;
}

static void iotlb_sync(struct iommu_domain *iommu_domain, struct iommu_iotlb_gather *gather)
{
	struct iopf_sim_domain *domain = to_sim_domain(iommu_domain);

	if (!gather->end)
		return;
	iopf_sim_count(IOPF_SIM_STAT_SYNCS, 1);
	invalidate(domain, gather->start, gather->end);
	atomic_dec(&domain->unsynced);
}

static void flush_iotlb_all(struct iommu_domain *domain)
{
	invalidate(to_sim_domain(domain), 0, BIT_ULL(IOPF_SIM_IOVA_BITS) - 1);
}

static phys_addr_t iova_to_phys(struct iommu_domain *domain, dma_addr_t iova)
{
	struct iopf_sim_leaf leaf;
	phys_addr_t phys = 0;

	rcu_read_lock();
	if (iopf_sim_pt_lookup(&to_sim_domain(domain)->pt, iova, &leaf))
		phys = leaf.phys + (iova & (BIT_ULL(leaf.shift) - 1));
	rcu_read_unlock();
	return phys;
}

/* A device that attaches later is of the same kind, so the answer remains true. */
static bool enforce_cache_coherency(struct iommu_domain *domain)
{
	return to_sim_domain(domain)->pt.kind->coherent;
}

const struct iommu_domain_ops iopf_sim_paging_ops = {
	.attach_dev = iopf_sim_attach_dev,
	.map_pages = iopf_sim_map_pages,
	.unmap_pages = unmap_pages,
	.flush_iotlb_all = flush_iotlb_all,
	.iotlb_sync = iotlb_sync,
	.iova_to_phys = iova_to_phys,
	.enforce_cache_coherency = enforce_cache_coherency,
	.free = domain_free,
};
