/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_SLICE_H
#define IOPF_SLICE_H

#include <linux/types.h>

#include "../../../core/range.h"
#include "../host/mm.h"

struct iopf_space;
struct iopf_pool;
struct mem_cgroup;

/**
 * enum iopf_slice_state - the next step of a slice
 * @IOPF_SLICE_DONE: nothing: all pages that can be mapped are mapped
 * @IOPF_SLICE_WANT: pages that are absent: call iopf_slice_populate()
 * @IOPF_SLICE_WAIT: memory for page tables, or the end of an invalidation: call iopf_slice_wait()
 */
enum iopf_slice_state {
	IOPF_SLICE_DONE,
	IOPF_SLICE_WANT,
	IOPF_SLICE_WAIT,
};

/**
 * struct iopf_slice - pages to be mapped ahead of their use, in one area and one chunk
 * @range: I/O virtual addresses, whole pages
 * @write: map for writing
 * @good: number of pages that were mapped well enough at the last check
 * @present: number of pages that were mapped well enough at the first check
 * @begun: the first check is done
 * @skipped: the rest of the slice is given up
 * @at: the address to continue from: the pages before it are finished
 * @populated: the first address that has not been populated
 * @tries: attempts at the page at @at
 * @pool: threads of the process that owns the wanted pages, referenced; or NULL
 * @vaddr: CPU address of the first wanted page
 * @pages: number of wanted pages
 * @seen: the time when @vaddr was taken from its area
 */
struct iopf_slice {
	struct iopf_range range;
	bool write;
	unsigned int good;
	unsigned int present;
	bool begun;
	bool skipped;
	u64 at;
	u64 populated;
	unsigned int tries;
	struct iopf_pool *pool;
	unsigned long vaddr;
	unsigned int pages;
	struct iopf_vaddr_seen seen;
};

static inline unsigned int iopf_slice_pages(const struct iopf_slice *s)
{
	return ((s->range.last - s->range.first) >> PAGE_SHIFT) + 1;
}

bool iopf_slice_cut(struct iopf_space *space, const struct iopf_range *range, bool write,
		    bool strict, struct iopf_slice *s);
enum iopf_slice_state iopf_slice_map(struct iopf_space *space, struct iopf_slice *s);
int iopf_slice_populate(struct iopf_slice *s, const bool *stop);
int iopf_slice_wait(struct iopf_slice *s, struct mem_cgroup *memcg);
void iopf_slice_end(struct iopf_slice *s);

#endif /* IOPF_SLICE_H */
