/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_PREFETCH_H
#define IOPF_PREFETCH_H

#include <linux/types.h>

struct iopf_fault_queue;
struct iopf_device;
struct work_struct;

/**
 * struct iopf_served - what a group of page requests got, as far as it says what comes next
 * @iova: the first address missed
 * @pages: pages from there on; 0: nothing follows
 * @write: for writing
 * @absent: the CPU did not have them either
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
