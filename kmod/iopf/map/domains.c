// SPDX-License-Identifier: GPL-2.0-only
/*
 * The IOMMU domains of an address space. The functions here map and unmap a range in all of them.
 *
 * Locking: the caller ensures that no other task maps or unmaps the same addresses meanwhile.
 */
#include <linux/iommu.h>

#include "domains.h"

/**
 * iopf_domains_unmap() - unmap a range that is mapped without a hole
 * @domains: a set of domains
 * @nr: number of domains to unmap from, beginning with the first
 * @iova: first address
 * @size: bytes
 */
void iopf_domains_unmap(const struct iopf_domains *domains, unsigned int nr, u64 iova,
			size_t size)
{
	while (nr--) {
		size_t unmapped = iommu_unmap(domains->domain[nr].iommu, iova, size);

		WARN_ONCE(unmapped != size, "iommu_unmap: 0x%zx of 0x%zx bytes at 0x%llx\n",
			  unmapped, size, iova);
	}
}

/**
 * iopf_domains_map() - map contiguous memory where nothing is mapped
 * @domains: a set of domains
 * @iova: first address
 * @phys: the memory
 * @size: bytes
 * @prot: IOMMU_READ, ...
 * @gfp: how to get memory for page tables
 *
 * Return: 0, or a negative error number with nothing mapped.
 */
int iopf_domains_map(const struct iopf_domains *domains, u64 iova, phys_addr_t phys, size_t size,
		     int prot, gfp_t gfp)
{
	for (unsigned int i = 0; i < domains->nr; i++) {
		int ret = iommu_map(domains->domain[i].iommu, iova, phys, size, prot, gfp);

		if (unlikely(ret)) {
			iopf_domains_unmap(domains, i, iova, size);
			return ret;
		}
	}
	return 0;
}
