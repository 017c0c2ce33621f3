/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page tables of the simulated IOMMU: 48 bits of IOVA in four levels of 512
 * entries, leaves of 4 KiB or 64 KiB, of 2 MiB and 1 GiB. See pagetable.c.
 */
#ifndef IOPF_SIM_PAGETABLE_H
#define IOPF_SIM_PAGETABLE_H

#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct iopf_sim_kind;

#define IOPF_SIM_IOVA_BITS	48
#define IOPF_SIM_PGSIZES	(SZ_4K | SZ_2M | SZ_1G)

/**
 * struct iopf_sim_pt - one page table
 * @kind: what pages and addresses it is for
 * @small_first: first address for a 4 KiB leaf
 * @small_last: the last one, less than @small_first if this kind has no such leaves
 * @lock: serialises unmaps, and the linking and unlinking of tables; never taken by a walk of the
 *        device, nor by a map into a table that is there
 * @root: the top table, there as long as the page table is
 * @idle: IOVA of the one empty last-level table that is kept, %IOPF_SIM_PT_NONE if none
 *
 * Leaves are set without @lock, see pagetable.c; everything else changes under it.
 * iopf_sim_pt_lookup() reads without it, in an
 * RCU read-side section, as a device walks tables in memory.
 */
struct iopf_sim_pt {
	const struct iopf_sim_kind *kind;
	u64 small_first;
	u64 small_last;
	spinlock_t lock;	/* tables, and leaves that go */
	u64 *root;
	u64 idle;
};

#define IOPF_SIM_PT_NONE	(~0ULL)

/**
 * struct iopf_sim_leaf - what a walk found
 * @phys: start of the leaf
 * @shift: log2 of the leaf's size
 * @read: reads are allowed
 * @write: writes are allowed
 */
struct iopf_sim_leaf {
	u64 phys;
	u8 shift;
	bool read;
	bool write;
};

int iopf_sim_pt_init(struct iopf_sim_pt *pt, const struct iopf_sim_kind *kind, gfp_t gfp);
void iopf_sim_pt_destroy(struct iopf_sim_pt *pt);
size_t iopf_sim_pt_unmap(struct iopf_sim_pt *pt, u64 iova, size_t size);
bool iopf_sim_pt_lookup(const struct iopf_sim_pt *pt, u64 iova, struct iopf_sim_leaf *leaf);

#endif /* IOPF_SIM_PAGETABLE_H */
