/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kinds of IOMMU: what the IOMMU in front of a device can do. See kind.c.
 */
#ifndef IOPF_SIM_KIND_H
#define IOPF_SIM_KIND_H

#include <linux/sizes.h>
#include <linux/types.h>

#define IOPF_SIM_MAX_RESV	4
#define IOPF_SIM_MSI_SIZE	SZ_1M

/**
 * struct iopf_sim_kind - one kind of IOMMU
 * @pgsizes: page sizes, bit by bit
 * @first: first address it can translate
 * @last: last one
 * @coherent: it can make all DMA snoop the CPU's caches
 * @iopf: its devices may fault
 * @sw_msi: where doorbells of MSIs may be mapped; 0: MSIs pass by translation, at the usual place
 * @nr_resv: reserved regions, without that of MSIs
 * @resv: those, first and last address
 *
 * Constant from load to unload.
 */
struct iopf_sim_kind {
	u64 pgsizes;
	u64 first;
	u64 last;
	bool coherent;
	bool iopf;
	u64 sw_msi;
	unsigned int nr_resv;
	struct {
		u64 first;
		u64 last;
	} resv[IOPF_SIM_MAX_RESV];
};

int iopf_sim_kind_init(void);
const struct iopf_sim_kind *iopf_sim_kind_of(u8 devfn);

/* The smallest page: what is mapped and unmapped is a multiple of it. */
static inline u64 iopf_sim_kind_page(const struct iopf_sim_kind *kind)
{
	return kind->pgsizes & -kind->pgsizes;
}

#endif /* IOPF_SIM_KIND_H */
