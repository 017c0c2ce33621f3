/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_WALK_H
#define IOPF_WALK_H

#include <linux/bits.h>
#include <linux/iommu.h>
#include <linux/mm_types.h>
#include <linux/types.h>

/* Of a run: writable, and dirty already. What to ask of the IOMMU, then. */
#define IOPF_RUN_WRITABLE	IOMMU_WRITE
/* Part of an aligned leaf of 2 MiB or more; of 1 GiB. */
#define IOPF_RUN_HUGE		BIT(8)
#define IOPF_RUN_GIANT		BIT(9)

/**
 * struct iopf_run - adjacent pages that the CPU maps alike, to adjacent frames
 * @phys: address of the first frame
 * @page: number of the first page
 * @n: pages
 * @flags: IOPF_RUN_*
 * @shape: page, n and flags at once; one more is the same of the page after
 */
struct iopf_run {
	phys_addr_t phys;
	union {
		struct {
			u16 page;
			u16 n;
			u32 flags;
		};
		u64 shape;
	};
};

static inline bool iopf_run_writable(const struct iopf_run *run)
{
	return run->flags & IOPF_RUN_WRITABLE;
}

/* No run is longer: as long as a chunk, the IOMMU might make one leaf of it. */
#define IOPF_RUN_MAX	256

/* Scattered frames come one by one: as many as make the way down the tables a small part. */
#define IOPF_RUNS		32

/**
 * struct iopf_runs - what a walk finds
 * @run: the runs, in the order of addresses
 * @nr: how many
 * @next: number of the first page that was not looked at: where there is no room for more runs,
 *        or where the walk was to stop
 * @refused: something was met that is mapped, but never for a device
 * @mm: whose page tables
 * @base: the address of page 0
 */
struct iopf_runs {
	struct iopf_run run[IOPF_RUNS];
	unsigned int nr;
	unsigned int next;
	bool refused;
	struct mm_struct *mm;
	unsigned long base;
};

/**
 * enum iopf_entry - what the CPU has for an address
 * @IOPF_ENTRY_NO_TABLE: nothing, not even a table of 4 KiB pages
 * @IOPF_ENTRY_NONE: nothing
 * @IOPF_ENTRY_PRESENT: a page
 * @IOPF_ENTRY_OTHER: a note where the page is, that it is on its way, or why there is none
 */
enum iopf_entry {
	IOPF_ENTRY_NO_TABLE,
	IOPF_ENTRY_NONE,
	IOPF_ENTRY_PRESENT,
	IOPF_ENTRY_OTHER,
};

void iopf_walk(struct mm_struct *mm, unsigned long vaddr, unsigned int page, unsigned int n,
	       bool stop, struct iopf_runs *runs);

unsigned int iopf_walk_leaves(struct mm_struct *mm, unsigned long vaddr, unsigned int max);
unsigned long iopf_walk_near(struct mm_struct *mm, unsigned long vaddr, unsigned int n, bool write,
			     bool swapped);
enum iopf_entry iopf_walk_entry(const struct vm_area_struct *vma, unsigned long vaddr,
				const unsigned long **pmd);

#endif /* IOPF_WALK_H */
