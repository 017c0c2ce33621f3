/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_WALK_H
#define IOPF_WALK_H

#include <linux/mm_types.h>
#include <linux/types.h>

/**
 * struct iopf_run - adjacent pages that the CPU maps alike, to adjacent frames
 * @pfn: frame of the first
 * @page: the first, counted from where the walk began
 * @n: pages
 * @writable: writable, and dirty already
 * @huge: part of an aligned leaf of 2 MiB or more
 * @giant: part of one of 1 GiB
 */
struct iopf_run {
	unsigned long pfn;
	u16 page;
	u16 n;
	bool writable;
	bool huge;
	bool giant;
};

/* No run is longer: as long as a chunk, the IOMMU might make one leaf of it. */
#define IOPF_RUN_MAX	256

/* Scattered frames come one by one: as many as make the way down the tables a small part. */
#define IOPF_RUNS		32

/**
 * struct iopf_runs - what a walk finds
 * @run: the runs, in the order of addresses
 * @nr: how many
 * @seen: pages that were looked at; less than asked for when there is no room for more runs, or
 *        where the walk was to stop
 * @refused: something was met that is mapped, but never for a device
 */
struct iopf_runs {
	struct iopf_run run[IOPF_RUNS];
	unsigned int nr;
	unsigned int seen;
	bool refused;
};

void iopf_walk(struct mm_struct *mm, unsigned long vaddr, unsigned int n, bool stop,
	       struct iopf_runs *runs);

#endif /* IOPF_WALK_H */
