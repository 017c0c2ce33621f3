/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_WALK_H
#define IOPF_WALK_H

#include <linux/bits.h>
#include <linux/iommu.h>
#include <linux/mm_types.h>
#include <linux/types.h>

/* The CPU's entries are writable and dirty. The value is the flag to pass to iommu_map(). */
#define IOPF_RUN_WRITABLE	IOMMU_WRITE
/* The run is part of an aligned leaf. HUGE: of 2 MiB or 1 GiB. GIANT, too: of 1 GiB. */
#define IOPF_RUN_HUGE		BIT(8)
#define IOPF_RUN_GIANT		BIT(9)

/**
 * struct iopf_run - adjacent pages that the CPU maps with equal permissions to adjacent frames
 * @phys: physical address of the first frame
 * @page: number of the first page
 * @n: number of pages
 * @flags: IOPF_RUN_*
 * @shape: @page, @n and @flags in one word; @shape + 1 has the next page number
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

/* Maximum length of a run. The IOMMU could make one leaf of a run as long as a chunk. */
#define IOPF_RUN_MAX	256

/* A scattered frame is a run of its own. With this many, walking down the tables costs little. */
#define IOPF_RUNS		32

/**
 * struct iopf_runs - result of a walk
 * @run: the runs, in the order of addresses
 * @nr: number of runs
 * @next: number of the first page that was not looked at, because @run is full or the walk stopped
 * @refused: the walk has met a present page that no device may use
 * @mm: memory of the process
 * @base: address of page 0
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
 * enum iopf_entry - the CPU's page table entry of an address
 * @IOPF_ENTRY_NO_TABLE: there is no table of 4 KiB pages
 * @IOPF_ENTRY_NONE: the entry is empty
 * @IOPF_ENTRY_PRESENT: the entry is present
 * @IOPF_ENTRY_OTHER: another entry: swap, migration, PROT_NONE, a marker
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
