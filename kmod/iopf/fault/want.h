/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_WANT_H
#define IOPF_WANT_H

#include "../host/mm.h"
#include "../host/pool.h"
#include "../lib/params.h"
#include "prefetch.h"

struct iopf_chunk;
struct iopf_fault;

/* Limit of a run: populating that many pages in place takes less than a million instructions. */
#define WANT_PAGES 128

/**
 * struct iopf_want - a run of pages to populate
 * @pool: threads of the process that owns the pages, referenced; NULL when nothing is wanted
 * @vaddr: the first address
 * @pages: number of pages
 * @write: populate the pages for writing
 * @iova: I/O virtual address of the first page
 * @seen: the time when @vaddr was taken from its area
 * @from: the first request of the group that has not been served; NULL before the first attempt.
 *        The owner of the group owns the request.
 */
struct iopf_want {
	struct iopf_pool *pool;
	unsigned long vaddr;
	unsigned int pages;
	bool write;
	u64 iova;
	struct iopf_vaddr_seen seen;
	struct iopf_fault *from;
};

bool iopf_want_page(struct iopf_want *want, const struct iopf_chunk *chunk, u64 iova, bool write);

/* Describe the wanted pages, which have been populated. With fault_around 0, prefetch nothing. */
static inline struct iopf_served iopf_want_served(const struct iopf_want *want)
{
	return (struct iopf_served){
		.iova = want->iova,
		.pages = READ_ONCE(iopf_fault_around) ? want->pages : 0,
		.write = want->write,
		.absent = true,
	};
}

static inline void iopf_want_drop(struct iopf_want *want)
{
	if (want->pool)
		iopf_pool_put(want->pool);
	want->pool = NULL;
}

/* Populate the wanted pages at once, if this does not wait. */
static inline bool iopf_want_now(const struct iopf_want *want)
{
	return iopf_mm_populate_now(want->pool->mm, want->vaddr, want->pages, want->write,
				    &want->seen);
}

#endif /* IOPF_WANT_H */
