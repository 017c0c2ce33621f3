// SPDX-License-Identifier: GPL-2.0-only
/*
 * The domain of a group: a domain that its container has already, if the group's IOMMU accepts it,
 * or a new one, as in type1.
 *
 * The container's pinned pages are mapped in a new domain before the group's devices may do DMA. So
 * no page is ever pinned without a domain that knows it.
 *
 * Locking: the container's lock.
 */
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "../../../core/reason.h"
#include "../../compat/iommu.h"
#include "../fault/fault.h"
#include "../map/chunk.h"
#include "../map/domains.h"
#include "../map/span.h"
#include "../pin/hold.h"
#include "aperture.h"
#include "attach.h"
#include "container.h"
#include "domain.h"

static const char reason_pages[] = IOPF_REASON_PAGE_SIZE
	": its IOMMU has no pages as small as the CPU's";

/**
 * iopf_domain_pgsizes() - page sizes that all domains of a container have
 * @c: the container, locked
 */
u64 iopf_domain_pgsizes(struct iopf_container *c)
{
	u64 pgsizes = PAGE_MASK;

	for (unsigned int i = 0; i < c->space.domains->nr; i++)
		pgsizes &= c->space.domains->domain[i].pgsizes;
	return pgsizes;
}

static int domain_create(struct iopf_attach *at, bool huge_ok, struct iopf_domain *d)
{
	struct iommu_domain *domain = iommu_paging_domain_alloc(at->faults.device[0]->dev);

	if (IS_ERR(domain))
		return PTR_ERR(domain);
	if (!(domain->pgsize_bitmap & PAGE_SIZE)) {
		at->failed = reason_pages;
		iommu_domain_free(domain);
		return -EINVAL;
	}
	d->iommu = domain;
	d->pgsizes = domain->pgsize_bitmap;
	/*
	 * Some IOMMUs make one leaf of any power of two, and unmap the whole leaf
	 * when asked for part of it. So limit leaves to known sizes: a page, a chunk, or a span.
	 */
	domain->pgsize_bitmap &= PAGE_SIZE | (huge_ok ? IOPF_CHUNK_SIZE | IOPF_SPAN_SIZE : 0);
	domain->iopf_handler = iopf_fault_handler;
	d->coherent = false;
	return 0;
}

static struct iopf_domains *domains_with(const struct iopf_domains *old,
					 const struct iopf_domain *domain)
{
	struct iopf_domains *new = kzalloc(struct_size(new, domain, old->nr + 1),
					   GFP_KERNEL_ACCOUNT);

	if (!new)
		return NULL;
	new->nr = old->nr + 1;
	for (unsigned int i = 0; i < old->nr; i++)
		new->domain[i] = old->domain[i];
	new->domain[old->nr] = *domain;
	return new;
}

/* Copy @old without @domain. Detaching needs this and can't fail, so it must not fail either. */
static struct iopf_domains *domains_without(const struct iopf_domains *old,
					    struct iommu_domain *domain)
{
	struct iopf_domains *new = kzalloc(struct_size(new, domain, old->nr - 1),
					   GFP_KERNEL | __GFP_NOFAIL);

	new->nr = old->nr - 1;
	for (unsigned int i = 0, j = 0; i < old->nr; i++)
		if (old->domain[i].iommu != domain)
			new->domain[j++] = old->domain[i];
	return new;
}

/* Attach to a domain of the container, if the group's IOMMU accepts one. */
static bool attach_shared(struct iopf_container *c, struct iopf_attach *at)
{
	for (unsigned int i = 0; i < c->space.domains->nr; i++) {
		struct iommu_domain *domain = c->space.domains->domain[i].iommu;

		if (!iommu_attach_group_handle(domain, at->group, &at->faults.handle)) {
			at->domain = domain;
			return true;
		}
	}
	return false;
}

/*
 * Attach the group to a new domain, then map the pinned pages in it. The devices can't do DMA
 * before this has returned.
 */
static int attach_own(struct iopf_container *c, struct iopf_attach *at, struct iopf_iovas **iovas)
{
	struct iopf_domains *domains;
	struct iopf_domain domain;
	int ret;

	ret = domain_create(at, c->space.huge_ok, &domain);
	if (ret)
		return ret;
	ret = iommu_attach_group_handle(domain.iommu, at->group, &at->faults.handle);
	if (ret)
		goto err_free;
	at->domain = domain.iommu;
	/*
	 * Ask now, with the devices attached and nothing mapped. If asked before, VT-d agrees, and
	 * then refuses to attach devices whose IOMMU can't enforce it. If asked with pages mapped,
	 * VT-d refuses.
	 */
	domain.coherent = domain.iommu->ops->enforce_cache_coherency &&
			  domain.iommu->ops->enforce_cache_coherency(domain.iommu);
	ret = iopf_aperture_msi(at);
	if (ret)
		goto err_detach;
	/* Check before pinned pages are mapped at addresses that the domain does not have. */
	ret = iopf_aperture_check(c, at, iovas);
	if (ret)
		goto err_detach;
	domains = domains_with(c->space.domains, &domain);
	if (!domains) {
		ret = -ENOMEM;
		goto err_free_iovas;
	}
	ret = iopf_space_set_domains(&c->space, domains, domain.iommu);
	if (ret) {
		kfree(domains);
		goto err_free_iovas;
	}
	return 0;

err_free_iovas:
	kfree(*iovas);
err_detach:
	iopf_fault_drain(&at->faults);
	iommu_detach_group_handle(domain.iommu, at->group);
err_free:
	iommu_domain_free(domain.iommu);
	return ret;
}

/**
 * iopf_domain_join() - attach a group to a domain
 * @c: the container, locked
 * @at: the group
 * @iovas: out: the usable addresses from now on
 *
 * The devices can't do DMA before this has returned.
 *
 * Return: 0 or a negative error number.
 */
int iopf_domain_join(struct iopf_container *c, struct iopf_attach *at, struct iopf_iovas **iovas)
{
	int ret;

	if (!attach_shared(c, at))
		return attach_own(c, at, iovas);
	ret = iopf_aperture_check(c, at, iovas);
	if (ret) {
		iopf_fault_drain(&at->faults);
		iopf_domain_leave(c, at);
	}
	return ret;
}

/*
 * Unpin the memory that is held. The holds stay, and the next domain gets them pinned. While
 * iopf_pins.pinning is not zero nothing is unpinned, so clear it meanwhile.
 */
static void attach_unpin(struct iopf_container *c)
{
	unsigned int pinning = c->pins.pinning;

	c->pins.pinning = 0;
	iopf_hold_drain_all(&c->space);
	c->pins.pinning = pinning;
}

/**
 * iopf_domain_leave() - detach a group from its domain, and free the domain after its last group
 * @c: the container, locked
 * @at: the group; not in the container's list, and without faults
 */
void iopf_domain_leave(struct iopf_container *c, struct iopf_attach *at)
{
	struct iopf_attach *other;

	if (list_empty(&c->attaches))
		attach_unpin(c);
	iommu_detach_group_handle(at->domain, at->group);
	list_for_each_entry(other, &c->attaches, faults.node)
		if (other->domain == at->domain)
			return;
	iopf_space_set_domains(&c->space, domains_without(c->space.domains, at->domain), NULL);
	iommu_domain_free(at->domain);
}
