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
 * Whether a page is anonymous, of shared memory, or of a file in the page cache, by a look at one
 * word. Devices may use these pages. If false, iopf_refuse_page_slow() decides.
 *
 * Secret memory, whose pages are not in the kernel's direct map, is not swap-backed. The kernel
 * puts its pages on the unevictable LRU list only, and sets PG_unevictable before PG_lru. A tail
 * page has none of these flags.
 */
static __always_inline bool page_is_common(const struct page *page)
{
	/* The flags may change at any time. The old and the new value are both valid. */
	unsigned long flags = data_race(page->flags);

	return likely(flags & BIT(PG_swapbacked)) ||
	       (flags & (BIT(PG_lru) | BIT(PG_unevictable))) == BIT(PG_lru);
}

/*
 * page_is_common() for a tail page, by the head page of its folio. A mapped folio is not split: the
 * kernel unmaps it first.
 */
static __always_inline bool page_is_of_common(const struct page *page)
{
	/* The word may change at any time. The old and the new value are both valid. */
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
