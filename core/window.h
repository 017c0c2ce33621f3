/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fault-around windows. When the device faults on a page, the fault handler also maps the present
 * pages of the window around it.
 */
#ifndef IOPF_CORE_WINDOW_H
#define IOPF_CORE_WINDOW_H

#include "chunkmap.h"

/**
 * struct iopf_window - pages [first, last] of a chunk
 * @first: first page
 * @last: last page
 */
struct iopf_window {
	unsigned int first;
	unsigned int last;
};

/**
 * iopf_window_size() - size of the windows
 * @size: requested number of pages
 *
 * Return: a power of two, at least one page, at most a chunk.
 */
static inline unsigned int iopf_window_size(unsigned int size)
{
	size = clamp_t(unsigned int, size, 1, IOPF_CHUNK_PAGES);
	size = rounddown_pow_of_two(size);
	return size;
}

/**
 * iopf_window_aligned() - the naturally aligned window around a page
 * @w: result; contains @page
 * @page: the page that faulted
 * @size: from iopf_window_size()
 * @bound_first: first page of the chunk that belongs to the area
 * @bound_last: last page of the chunk that belongs to the area; @page is within
 */
static inline void iopf_window_aligned(struct iopf_window *w, unsigned int page, unsigned int size,
				       unsigned int bound_first, unsigned int bound_last)
{
	w->first = max(round_down(page, size), bound_first);
	w->last = min(round_down(page, size) + size - 1, bound_last);
}

/**
 * iopf_window_around() - like iopf_window_aligned(), for any size
 * @w: result; contains @page
 * @page: the page that faulted
 * @size: pages of the window, rounded down to a power of two. 0 and 1 mean only @page. A window is
 *        at most a chunk.
 * @bound_first: first page of the chunk that belongs to the area
 * @bound_last: last page of the chunk that belongs to the area; @page is within
 */
static inline void iopf_window_around(struct iopf_window *w, unsigned int page, unsigned int size,
				      unsigned int bound_first, unsigned int bound_last)
{
	iopf_window_aligned(w, page, iopf_window_size(size), bound_first, bound_last);
}

#endif /* IOPF_CORE_WINDOW_H */
