/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_HOT_H
#define IOPF_HOT_H

#include <linux/list.h>
#include <linux/types.h>

struct iopf_space;

/**
 * struct iopf_hots - the hot ranges that a space holds
 * @space: the space
 * @node: in the list of all spaces that hold hot ranges, or may hold them
 * @max: the maximum number of held pages; read without a lock
 * @pages: held pages, including held pages that were unmapped since; read without a lock
 * @ranges: the held ranges; only the evictor's work uses the list
 * @until: in jiffies; if @cooling, nothing is held before this time
 * @cooling: @until is valid
 * @cool: the host needs its memory back; set without a lock
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
