// SPDX-License-Identifier: GPL-2.0-only
/*
 * Endpoints: the devices behind the simulated IOMMU.
 *
 * Purpose: translate for them, switch their domains, invalidate their caches.
 *
 * Invariants:
 *  - A translation is looked up, checked and used in one critical section of its bank.
 *    Hence whoever takes the lock of every bank after changing the page table knows
 *    that nobody uses the old translation any more. This is all that iotlb_sync does,
 *    and stands for the invalidation completion real hardware waits for.
 *  - A cached translation that the page table no longer has is used all the same, as
 *    hardware would, while an unmap waits for its invalidation (iopf_sim_domain.unsynced);
 *    otherwise the invalidation was forgotten: the use is refused and counted. An IOVA
 *    that now translates to something else is always a forgotten invalidation, for
 *    nobody may map before the invalidation of what was there.
 *  - Nothing that is free memory is ever accessed.
 *  - An endpoint is attached to domains of its own kind of IOMMU only.
 *
 * Locking: see endpoint.h.
 */
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include <linux/iopf_sim.h>

#include "atc.h"
#include "iommu.h"
#include "kind.h"

static DEFINE_MUTEX(endpoints_lock);
static LIST_HEAD(endpoints);

/**
 * iopf_sim_endpoint_find() - the endpoint a PCI device belongs to
 * @dev: any device
 *
 * Return: the endpoint, NULL if @dev is not a simulated device.
 */
struct iopf_sim_endpoint *iopf_sim_endpoint_find(struct device *dev)
{
	struct iopf_sim_endpoint *ep, *found = NULL;
	struct pci_dev *pdev;

	if (!dev_is_pci(dev))
		return NULL;
	pdev = to_pci_dev(dev);
	if (pdev->subsystem_vendor != IOPF_SIM_PCI_VENDOR ||
	    pdev->subsystem_device != IOPF_SIM_PCI_DEVICE)
		return NULL;

	mutex_lock(&endpoints_lock);
	list_for_each_entry(ep, &endpoints, node) {
		if (ep->segment == pci_domain_nr(pdev->bus) && !pdev->bus->number &&
		    ep->devfn == pdev->devfn) {
			found = ep;
			break;
		}
	}
	mutex_unlock(&endpoints_lock);
	return found;
}

/**
 * iopf_sim_endpoints_any() - ask the endpoints in turn, until one has what is wanted
 * @ask: returns it, or NULL; may sleep, not register
 * @arg: its argument
 *
 * Return: what the first one had; NULL: none has.
 */
void *iopf_sim_endpoints_any(void *(*ask)(struct iopf_sim_endpoint *ep, void *arg), void *arg)
{
	struct iopf_sim_endpoint *ep;
	void *found = NULL;

	mutex_lock(&endpoints_lock);
	list_for_each_entry(ep, &endpoints, node) {
		found = ask(ep, arg);
		if (found)
			break;
	}
	mutex_unlock(&endpoints_lock);
	return found;
}

/**
 * iopf_sim_endpoint_register() - make a device known before its bus is scanned
 * @ep: identity, operations, window and number of banks filled in
 *
 * Return: 0 or -ENOMEM.
 */
int iopf_sim_endpoint_register(struct iopf_sim_endpoint *ep)
{
	u32 i;

	init_rwsem(&ep->reports);
	ep->kind = iopf_sim_kind_of(ep->devfn);
	ep->domain = &iopf_sim_blocked_domain;
	for (i = 0; i < ep->nr_banks; i++) {
		raw_spin_lock_init(&ep->bank[i].lock);
		ep->bank[i].ep = ep;
		ep->bank[i].domain = ep->domain;
	}
	mutex_lock(&endpoints_lock);
	list_add_tail(&ep->node, &endpoints);
	mutex_unlock(&endpoints_lock);
	return 0;
}
EXPORT_SYMBOL_GPL(iopf_sim_endpoint_register);

/**
 * iopf_sim_endpoint_unregister() - forget a device
 * @ep: the endpoint of a device that is not on the bus any more
 */
void iopf_sim_endpoint_unregister(struct iopf_sim_endpoint *ep)
{
	u32 i;

	mutex_lock(&endpoints_lock);
	list_del(&ep->node);
	mutex_unlock(&endpoints_lock);
	iopf_sim_prq_flush(ep);
	for (i = 0; i < ep->nr_banks; i++)
		kvfree(ep->bank[i].atc);
}
EXPORT_SYMBOL_GPL(iopf_sim_endpoint_unregister);

/**
 * iopf_sim_endpoint_set_atc() - change the size of the ATC
 * @ep: the endpoint
 * @entries: entries in each bank, a power of two, or 0 for no cache
 *
 * Return: 0, -EINVAL or -ENOMEM.
 */
int iopf_sim_endpoint_set_atc(struct iopf_sim_endpoint *ep, u32 entries)
{
	struct iopf_sim_atc_entry *atc[IOPF_SIM_MAX_BANKS] = {};
	unsigned long irq;
	u32 i;

	if (entries > IOPF_SIM_MAX_ATC || (entries & (entries - 1)))
		return -EINVAL;
	for (i = 0; entries && i < ep->nr_banks; i++) {
		atc[i] = iopf_sim_atc_alloc(entries);
		if (!atc[i])
			goto err_free;
	}
	for (i = 0; i < ep->nr_banks; i++) {
		struct iopf_sim_bank *bank = &ep->bank[i];

		raw_spin_lock_irqsave(&bank->lock, irq);
		swap(bank->atc, atc[i]);
		bank->atc_entries = entries;
		raw_spin_unlock_irqrestore(&bank->lock, irq);
		kvfree(atc[i]);
	}
	return 0;

err_free:
	while (i--)
		kvfree(atc[i]);
	return -ENOMEM;
}
EXPORT_SYMBOL_GPL(iopf_sim_endpoint_set_atc);

/**
 * iopf_sim_endpoint_set_dma() - bus mastering and ATS of a device were switched
 * @ep: the endpoint
 * @dma: DMA is allowed
 * @ats: translations may be cached
 *
 * Returns when no access that is not allowed any more is under way. Atomic.
 */
void iopf_sim_endpoint_set_dma(struct iopf_sim_endpoint *ep, bool dma, bool ats)
{
	unsigned long irq;
	u32 i;

	for (i = 0; i < ep->nr_banks; i++) {
		struct iopf_sim_bank *bank = &ep->bank[i];

		raw_spin_lock_irqsave(&bank->lock, irq);
		bank->dma = dma;
		if (bank->ats != ats)
			iopf_sim_atc_flush(bank);
		bank->ats = ats;
		raw_spin_unlock_irqrestore(&bank->lock, irq);
	}
}
EXPORT_SYMBOL_GPL(iopf_sim_endpoint_set_dma);

/**
 * iopf_sim_endpoint_reset() - a device was reset
 * @ep: the endpoint
 * @epoch: the only epoch for which accesses are allowed from now on
 *
 * Returns when no access of an earlier epoch is under way. Atomic.
 */
void iopf_sim_endpoint_reset(struct iopf_sim_endpoint *ep, u32 epoch)
{
	unsigned long irq;
	u32 i;

	for (i = 0; i < ep->nr_banks; i++) {
		struct iopf_sim_bank *bank = &ep->bank[i];

		raw_spin_lock_irqsave(&bank->lock, irq);
		bank->epoch = epoch;
		bank->dma = false;
		bank->ats = ep->stall;
		iopf_sim_atc_flush(bank);
		raw_spin_unlock_irqrestore(&bank->lock, irq);
	}
}
EXPORT_SYMBOL_GPL(iopf_sim_endpoint_reset);

/**
 * iopf_sim_endpoint_attach() - switch the domain of an endpoint
 * @ep: the endpoint
 * @domain: paging, identity or blocked domain
 *
 * When it returns, no access through the old domain is under way, no fault of it is
 * being reported, and the core's fault queue has been flushed. Switching to a static
 * domain cannot fail.
 *
 * Return: 0; -EINVAL for a domain of another kind of IOMMU; -ENOMEM.
 */
int iopf_sim_endpoint_attach(struct iopf_sim_endpoint *ep, struct iommu_domain *domain)
{
	struct iopf_sim_attachment *new = NULL, *old;
	struct iopf_sim_domain *sim;
	unsigned long irq;
	bool iopf;
	u32 i;

	if (domain->type & __IOMMU_DOMAIN_PAGING) {
		if (to_sim_domain(domain)->pt.kind != ep->kind)
			return -EINVAL;
		new = kzalloc(sizeof(*new), GFP_KERNEL);
		if (!new)
			return -ENOMEM;
		new->ep = ep;
	}

	down_write(&ep->reports);
	/* First get invalidations of the new domain, then use it. */
	if (new) {
		sim = to_sim_domain(domain);
		raw_spin_lock_irqsave(&sim->lock, irq);
		list_add_tail(&new->node, &sim->attachments);
		raw_spin_unlock_irqrestore(&sim->lock, irq);
	}
	for (i = 0; i < ep->nr_banks; i++) {
		struct iopf_sim_bank *bank = &ep->bank[i];

		raw_spin_lock_irqsave(&bank->lock, irq);
		bank->domain = domain;
		iopf_sim_atc_flush(bank);
		raw_spin_unlock_irqrestore(&bank->lock, irq);
	}
	old = ep->attachment;
	if (old) {
		sim = to_sim_domain(ep->domain);
		raw_spin_lock_irqsave(&sim->lock, irq);
		list_del(&old->node);
		raw_spin_unlock_irqrestore(&sim->lock, irq);
	}
	ep->attachment = new;
	ep->domain = domain;
	iopf = ep->iopf;
	up_write(&ep->reports);

	kfree(old);
	iopf_sim_prq_flush(ep);
	if (iopf)
		iopf_queue_flush_dev(ep->dev);
	return 0;
}

/**
 * iopf_sim_domain_invalidate() - let no device use what was unmapped
 * @domain: the domain
 * @iova: first address
 * @last: last address
 *
 * Returns when no access through an old translation of the range is under way. Atomic.
 */
void iopf_sim_domain_invalidate(struct iopf_sim_domain *domain, u64 iova, u64 last)
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

/* Whether a page that is marked reserved is memory like any other. */
static bool reserved_memory(struct page *page)
{
	return is_zero_pfn(page_to_pfn(page)) ||
	       (is_zone_device_page(page) && page->pgmap->type == MEMORY_DEVICE_FS_DAX);
}

/* The CPU's view of a physical address the device may touch; NULL if it may not. */
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

/* 0 and @phys; or IOPF_SIM_ST_UNTRANSLATED, IOPF_SIM_ST_STALE. */
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
	 * Pairs with the barrier in unmap_pages(): an entry that was unmapped a
	 * moment ago is seen together with the count that excuses its use.
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
 * @iova: the address; the access stays within its 4 KiB page
 * @write: the access writes
 * @access: filled in on success
 *
 * On success the translation stays valid until iopf_sim_access_end(), which must follow
 * soon: interrupts are off and unmapping waits.
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
	/* Held for the caller; static checkers count by function. */
	__release(&bank->lock);
	return 0;

err_unlock:
	raw_spin_unlock_irqrestore(&bank->lock, access->irq);
	return st;
}
EXPORT_SYMBOL_GPL(iopf_sim_access_begin);

/**
 * iopf_sim_access_end() - let go of a translation
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
 * @write: for writing
 *
 * Return: whether an access would find a translation, if nothing changes.
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
