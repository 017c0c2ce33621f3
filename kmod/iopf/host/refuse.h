/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_REFUSE_H
#define IOPF_REFUSE_H

#include <linux/mm.h>

#include "../lib/controls.h"

struct iopf_runs;

bool iopf_refuse_page_slow(const struct iopf_runs *runs, unsigned int nr, const struct page *page);
bool iopf_refuse_special(const struct iopf_runs *runs, unsigned int nr, unsigned long pfn,
			 unsigned long entry);

/*
 * Whether a page is anonymous, shared memory's, or a file's in the page cache, by a look at one
 * word. Those are for devices; so are others that have to be looked at more closely.
 *
 * Secret memory, whose pages are not in the kernel's own map, is not swap-backed. It is put on an
 * LRU list some time, but always the unevictable one: before it is said to be on a list it is said
 * to be unevictable. What is not the first page of its folio has none of the flags.
 */
static __always_inline bool page_is_common(const struct page *page)
{
	/* The flags may change at any time: either is an answer. */
	unsigned long flags = data_race(page->flags);

	return likely(flags & BIT(PG_swapbacked)) ||
	       (flags & (BIT(PG_lru) | BIT(PG_unevictable))) == BIT(PG_lru);
}

/*
 * The same by the first page of its folio, for one that is not the first. What is mapped is not
 * split: that unmaps it first.
 */
static __always_inline bool page_is_of_common(const struct page *page)
{
	/* A look at any time: either is an answer. */
	unsigned long head = data_race(page->compound_head);

	return head & 1 && page_is_common((const struct page *)(head - 1));
}

/* Whether page @nr of the runs is not for devices. */
static __always_inline bool iopf_refuse_page(const struct iopf_runs *runs, unsigned int nr,
					     const struct page *page)
{
	return !page_is_common(page) && !page_is_of_common(page) &&
	       iopf_refuse_page_slow(runs, nr, page) && !iopf_broken(refused);
}

#endif /* IOPF_REFUSE_H */
