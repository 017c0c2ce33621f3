/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_HOT_H
#define IOPF_HOT_H

#include <linux/list.h>
#include <linux/types.h>

struct iopf_space;

/**
 * struct iopf_hots - what is held because it is hot
 * @space: whose
 * @node: in the list of all that hold something, or may
 * @max: pages that may be held; read without a lock
 * @pages: pages that are, or were before they were unmapped; read without a lock
 * @ranges: where; of the evictor's work alone
 * @until: in jiffies: nothing is held until then, if @cooling
 * @cooling: see @until
 * @cool: the host wants its memory back; set without a lock
 */
struct iopf_hots {
	struct iopf_space *space;
	struct list_head node;
	unsigned long max;
	unsigned long pages;
	struct list_head ranges;
	unsigned long until;
	bool cooling;
	bool cool;
};

int iopf_hot_init(void);
void iopf_hot_exit(void);
void iopf_hot_begin(struct iopf_hots *h, struct iopf_space *space);
void iopf_hot_work(struct iopf_space *space, bool thrashing);
void iopf_hot_end(struct iopf_hots *h);
void iopf_hot_forget(struct iopf_hots *h);

#endif /* IOPF_HOT_H */
