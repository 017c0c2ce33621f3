/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_WALK_H
#define IOPF_WALK_H

#include <linux/mm_types.h>
#include <linux/types.h>

/*
 * What the CPU maps at one page: a page frame number and flags, packed in a
 * word so that a batch fits on the stack. Zero means nothing usable.
 */
#define IOPF_CPU_PRESENT	BIT_ULL(0)
#define IOPF_CPU_WRITE		BIT_ULL(1)	/* writable, and already dirty */
#define IOPF_CPU_HUGE		BIT_ULL(2)	/* part of an aligned 2 MiB CPU leaf */
#define IOPF_CPU_REFUSED	BIT_ULL(3)	/* mapped, but never for a device */
#define IOPF_CPU_FLAGS		(IOPF_CPU_PRESENT | IOPF_CPU_WRITE | IOPF_CPU_HUGE | \
				 IOPF_CPU_REFUSED)
#define IOPF_CPU_PFN_SHIFT	4

static inline unsigned long iopf_cpu_pfn(u64 entry)
{
	return entry >> IOPF_CPU_PFN_SHIFT;
}

void iopf_walk(struct mm_struct *mm, unsigned long vaddr, unsigned int n, u64 *entries);

#endif /* IOPF_WALK_H */
