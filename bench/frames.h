/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory for the bench by what its frames are like: side by side, or nowhere near each other.
 */
#ifndef BENCH_FRAMES_H
#define BENCH_FRAMES_H

#include <stddef.h>

/** enum frames - kinds of memory; all but the huge ones in 4 KiB pages */
enum frames {
	FRAMES_ANON,		/* private, populated from the first page to the last */
	FRAMES_CONTIGUOUS,	/* private, frames side by side for 2 MiB at a time */
	FRAMES_SCATTERED,	/* private, populated in random order */
	FRAMES_MEMFD,		/* shared, populated from the first page to the last */
	FRAMES_THP,		/* private, transparent huge pages */
	FRAMES_HUGETLB,		/* private, hugetlb pages of 2 MiB */
};

/** frames_get() - address space of @len bytes of that kind, nothing in it yet; bails out */
void *frames_get(enum frames kind, size_t len);

/** frames_populate() - give it its memory, as the kind says */
void frames_populate(enum frames kind, void *va, size_t len);

/** frames_free() - give all of it back */
void frames_free(enum frames kind, void *va, size_t len);

/** frames_runs() - in how many runs of adjacent frames the populated range is */
size_t frames_runs(const void *va, size_t len);

/**
 * frames_shuffle() - the numbers below @n in a random order, the same in each run
 * @order: out
 * @n: how many
 */
void frames_shuffle(unsigned int *order, size_t n);

#endif /* BENCH_FRAMES_H */
