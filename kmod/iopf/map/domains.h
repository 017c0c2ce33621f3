/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_DOMAINS_H
#define IOPF_DOMAINS_H

#include <linux/iommu.h>
#include <linux/types.h>

/**
 * struct iopf_domain - an IOMMU domain of a space
 * @iommu: the domain; its page sizes are restricted to those that we use
 * @pgsizes: the page sizes that its IOMMU supports
 * @coherent: its devices can't bypass the CPU's caches (no-snoop is ignored)
 */
struct iopf_domain {
	struct iommu_domain *iommu;
	u64 pgsizes;
	bool coherent;
};

/**
 * struct iopf_domains - the set of IOMMU domains of a space
 * @nr: number of domains
 * @domain: the domains; a mapping goes into each
 *
 * A set never changes once published. A space that gains or loses a domain makes a new set and
 * moves its chunks to it, see iopf_space_set_domains().
 */
struct iopf_domains {
	unsigned int nr;
	struct iopf_domain domain[] __counted_by(nr);
};

void iopf_domains_unmap(const struct iopf_domains *domains, unsigned int nr, u64 iova,
			size_t size);
int iopf_domains_map(const struct iopf_domains *domains, u64 iova, phys_addr_t phys, size_t size,
		     int prot, gfp_t gfp);

#endif /* IOPF_DOMAINS_H */
