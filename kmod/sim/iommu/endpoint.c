// SPDX-License-Identifier: GPL-2.0-only
/*
 * Endpoints: the devices behind the simulated IOMMU.
 *
 * Purpose: keep the list of devices, and apply changes of a device: bus mastering, ATS, a reset, a
 * new size of the ATC.
 *
 * Locking: endpoints_lock protects the list. For the other locks see link.h.
 */
#include <linux/pci.h>
#include <linux/slab.h>

#include <linux/iopf_sim.h>

#include "iommu.h"

static DEFINE_MUTEX(endpoints_lock);
static LIST_HEAD(endpoints);

/**
 * iopf_sim_endpoint_find() - find the endpoint of a device
 * @dev: any device
 *
 * Return: the endpoint, or NULL if @dev is not a simulated device.
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
 * iopf_sim_endpoints_any() - ask the endpoints in turn until one returns a result
 * @ask: returns the result, or NULL. It may sleep, but must not register an endpoint.
 * @arg: argument of @ask
 *
 * Return: the first result; NULL if there is none.
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
 * iopf_sim_endpoint_register() - add a device before its bus is scanned
 * @ep: the caller has filled in the identity, operations, window and number of banks
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
 * iopf_sim_endpoint_unregister() - remove a device
 * @ep: the endpoint of a device that is no longer on the bus
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
 * iopf_sim_endpoint_set_dma() - apply a change of bus mastering or ATS
 * @ep: the endpoint
 * @dma: the device may do DMA
 * @ats: the device may cache translations
 *
 * When it returns, no access that is no longer allowed is under way. Atomic.
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
 * iopf_sim_endpoint_reset() - apply a reset of a device
 * @ep: the endpoint
 * @epoch: from now on only accesses for this epoch are allowed
 *
 * When it returns, no access of an earlier epoch is under way. Atomic.
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
