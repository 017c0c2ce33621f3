// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accesses: a device uses a translation.
 *
 * Invariants:
 *  - A translation is looked up, checked and used in one critical section of its bank. So a thread
 *    that changes the page table and then takes the lock of every bank knows that nothing uses the
 *    old translation any more. iotlb_sync does only this, in place of the invalidation completion
 *    that a driver of real hardware waits for.
 *  - The device uses a cached translation that the page table no longer has, as hardware does,
 *    while an unmap waits for its invalidation (iopf_sim_domain.unsynced). If no unmap waits, the
 *    invalidation was forgotten: the access is refused and counted. An IOVA that translates to
 *    something else is always a forgotten invalidation, since a range must be invalidated before
 *    it is mapped again.
 *  - The device never accesses a free page.
 *
 * Locking: iopf_sim_bank.lock, see link.h.
 */
#include <linux/memremap.h>
#include <linux/mm.h>

#include <linux/iopf_sim.h>

#include "iommu.h"

/* Whether a page that is marked reserved is memory like any other. */
static bool reserved_memory(struct page *page)
{
	return is_zero_pfn(page_to_pfn(page)) ||
	       (is_zone_device_page(page) && page->pgmap->type == MEMORY_DEVICE_FS_DAX);
}

/* Returns the CPU's address of @phys, or NULL if the device must not access @phys. */
static void *phys_va(struct iopf_sim_bank *bank, u64 phys)
{
	struct iopf_sim_endpoint *ep = bank->ep;
	struct page *page;

	if (phys >= ep->window && phys - ep->window < ep->window_size)
		return ep->window_va + (phys - ep->window);
	if (!pfn_valid(PHYS_PFN(phys)))
		return NULL;
	page = pfn_to_page(PHYS_PFN(phys));
	if (PageReserved(page) && !reserved_memory(page))
		return NULL;
	return page_address(page) + offset_in_page(phys);
}

static bool phys_free(struct iopf_sim_bank *bank, u64 phys)
{
	struct iopf_sim_endpoint *ep = bank->ep;

	if (phys >= ep->window && phys - ep->window < ep->window_size)
		return false;
	return !page_count(pfn_to_page(PHYS_PFN(phys)));
}

static bool leaf_allows(const struct iopf_sim_leaf *leaf, bool write)
{
	return write ? leaf->write : leaf->read;
}

static u64 leaf_phys(const struct iopf_sim_leaf *leaf, u64 iova)
{
	return leaf->phys + (iova & (BIT_ULL(leaf->shift) - 1));
}

/* Returns 0 and sets @phys, or returns IOPF_SIM_ST_UNTRANSLATED or IOPF_SIM_ST_STALE. */
static int translate_paging(struct iopf_sim_bank *bank, u64 iova, bool write, u64 *phys)
{
	struct iopf_sim_domain *domain = to_sim_domain(bank->domain);
	struct iopf_sim_leaf walked, cached;
	bool mapped, hit;

	hit = iopf_sim_atc_lookup(bank, iova, &cached) && leaf_allows(&cached, write);
	rcu_read_lock();
	mapped = iopf_sim_pt_lookup(&domain->pt, iova, &walked);
	rcu_read_unlock();

	if (!hit) {
		bank->atc_misses++;
		if (!mapped || !leaf_allows(&walked, write))
			return IOPF_SIM_ST_UNTRANSLATED;
		iopf_sim_atc_fill(bank, iova, &walked);
		*phys = leaf_phys(&walked, iova);
		return 0;
	}

	bank->atc_hits++;
	*phys = leaf_phys(&cached, iova);
	if (likely(mapped && leaf_phys(&walked, iova) == *phys && leaf_allows(&walked, write)))
		return 0;
	/*
	 * Pairs with the barrier in unmap_pages(): the walk that misses an entry also sees the
	 * count that allows its use until the invalidation.
	 */
	smp_rmb();
	if (!mapped && atomic_read(&domain->unsynced))
		return 0;
	bank->stale_uses++;
	return IOPF_SIM_ST_STALE;
}

static int translate(struct iopf_sim_bank *bank, u64 iova, bool write, u64 *phys)
{
	switch (bank->domain->type) {
	case IOMMU_DOMAIN_BLOCKED:
		return IOPF_SIM_ST_UNTRANSLATED;
	case IOMMU_DOMAIN_IDENTITY:
		*phys = iova;
		return 0;
	default:
		return translate_paging(bank, iova, write, phys);
	}
}

/**
 * iopf_sim_access_begin() - translate an address and hold the translation
 * @bank: the engine's bank
 * @epoch: the device's epoch for which the access is made
 * @iova: the address. The access stays within its 4 KiB page.
 * @write: the access writes
 * @access: filled in on success
 *
 * On success the translation stays valid until iopf_sim_access_end(). The caller must call that
 * soon: interrupts are off, and an unmap waits.
 *
 * Return: 0; IOPF_SIM_ST_UNTRANSLATED, IOPF_SIM_ST_STALE or IOPF_SIM_ST_ABORTED.
 */
int iopf_sim_access_begin(struct iopf_sim_bank *bank, u32 epoch, u64 iova, bool write,
			  struct iopf_sim_access *access)
{
	u64 phys;
	int st;

	raw_spin_lock_irqsave(&bank->lock, access->irq);
	if (unlikely(bank->epoch != epoch)) {
		st = IOPF_SIM_ST_ABORTED;
		goto err_unlock;
	}
	st = bank->dma ? translate(bank, iova, write, &phys) : IOPF_SIM_ST_UNTRANSLATED;
	if (st)
		goto err_unlock;
	access->va = phys_va(bank, phys);
	if (unlikely(!access->va)) {
		st = IOPF_SIM_ST_UNTRANSLATED;
		goto err_unlock;
	}
	if (unlikely(phys_free(bank, phys))) {
		bank->dma_to_free++;
		st = IOPF_SIM_ST_STALE;
		goto err_unlock;
	}
	/* The caller holds the lock from here on. Sparse checks each function on its own. */
	__release(&bank->lock);
	return 0;

err_unlock:
	raw_spin_unlock_irqrestore(&bank->lock, access->irq);
	return st;
}
EXPORT_SYMBOL_GPL(iopf_sim_access_begin);

/**
 * iopf_sim_access_end() - release a translation
 * @bank: the engine's bank
 * @access: from iopf_sim_access_begin()
 */
void iopf_sim_access_end(struct iopf_sim_bank *bank, struct iopf_sim_access *access)
{
	__acquire(&bank->lock);
	raw_spin_unlock_irqrestore(&bank->lock, access->irq);
}
EXPORT_SYMBOL_GPL(iopf_sim_access_end);

/**
 * iopf_sim_translates() - whether an address has a translation, without using it
 * @bank: the engine's bank
 * @iova: the address
 * @write: ask for write permission
 *
 * Return: whether an access finds a translation, unless a map or unmap comes first.
 */
bool iopf_sim_translates(struct iopf_sim_bank *bank, u64 iova, bool write)
{
	struct iopf_sim_leaf leaf;
	unsigned long irq;
	bool ret;

	raw_spin_lock_irqsave(&bank->lock, irq);
	switch (bank->domain->type) {
	case IOMMU_DOMAIN_BLOCKED:
		ret = false;
		break;
	case IOMMU_DOMAIN_IDENTITY:
		ret = true;
		break;
	default:
		rcu_read_lock();
		ret = iopf_sim_pt_lookup(&to_sim_domain(bank->domain)->pt, iova, &leaf) &&
		      leaf_allows(&leaf, write);
		rcu_read_unlock();
	}
	raw_spin_unlock_irqrestore(&bank->lock, irq);
	return ret;
}
EXPORT_SYMBOL_GPL(iopf_sim_translates);
