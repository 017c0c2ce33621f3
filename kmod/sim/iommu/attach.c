// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attaching an endpoint to a domain.
 *
 * Purpose: switch the domain of a device. The identity and the blocked domain are here too: their
 * only operation is attach.
 *
 * Invariants: an endpoint is attached only to domains of its own kind of IOMMU. When an attach
 * returns, nothing uses the old domain.
 *
 * Locking: iopf_sim_endpoint.reports is held for writing over the switch, so no fault is reported
 * meanwhile. The endpoint joins the new domain's list before it uses the domain, so it misses no
 * invalidation.
 */
#include <linux/slab.h>

#include "iommu.h"

/**
 * attach() - switch the domain of an endpoint
 * @ep: the endpoint
 * @domain: paging, identity or blocked domain
 *
 * When it returns, no access through the old domain is under way, no fault of the old domain is
 * being reported, and the core's fault queue is empty. A switch to a static domain cannot fail.
 *
 * Return: 0; -EINVAL for a domain of another kind of IOMMU; -ENOMEM.
 */
static int attach(struct iopf_sim_endpoint *ep, struct iommu_domain *domain)
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
	/* Join the list first: the endpoint must miss no invalidation of the new domain. */
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

int iopf_sim_attach_dev(struct iommu_domain *domain, struct device *dev)
{
	return attach(dev_iommu_priv_get(dev), domain);
}

static const struct iommu_domain_ops static_domain_ops = {
	.attach_dev = iopf_sim_attach_dev,
};

struct iommu_domain iopf_sim_identity_domain = {
	.type = IOMMU_DOMAIN_IDENTITY,
	.ops = &static_domain_ops,
};

struct iommu_domain iopf_sim_blocked_domain = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &static_domain_ops,
};
