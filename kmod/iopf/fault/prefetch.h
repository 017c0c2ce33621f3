/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_PREFETCH_H
#define IOPF_PREFETCH_H

#include <linux/types.h>

struct iopf_fault_queue;
struct iopf_device;
struct work_struct;

/**
 * struct iopf_served - the pages that a group of page requests got; the input of prefetch
 * @iova: the first address that missed
 * @pages: number of pages from @iova on; 0: no prefetch follows
 * @write: the pages are for writing
 * @absent: the pages were absent from the CPU's page tables, too
 */
struct iopf_served {
	u64 iova;
	unsigned int pages;
	bool write;
	bool absent;
};

void iopf_prefetch(struct iopf_fault_queue *fq, struct iopf_device *d,
		   const struct iopf_served *served);
void iopf_prefetch_work(struct work_struct *work);

#endif /* IOPF_PREFETCH_H */
