/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory for the benchmark, with contiguous or scattered frames.
 */
#ifndef BENCH_FRAMES_H
#define BENCH_FRAMES_H

#include <stddef.h>

/** enum frames - kinds of memory; in 4 KiB pages unless huge pages are named */
enum frames {
	FRAMES_ANON,		/* private, populated from the first page to the last */
	FRAMES_CONTIGUOUS,	/* private, frames are contiguous for 2 MiB at a time */
	FRAMES_SCATTERED,	/* private, populated in random order */
	FRAMES_MEMFD,		/* shared, populated from the first page to the last */
	FRAMES_THP,		/* private, transparent huge pages */
	FRAMES_HUGETLB,		/* private, hugetlb pages of 2 MiB */
};

/** frames_get() - map @len bytes of a kind, unpopulated; bails out on error */
void *frames_get(enum frames kind, size_t len);

/** frames_populate() - populate the memory, as the kind requires */
void frames_populate(enum frames kind, void *va, size_t len);

/** frames_free() - unmap and free the memory */
void frames_free(enum frames kind, void *va, size_t len);

/** frames_runs() - number of runs of adjacent frames in a populated range */
size_t frames_runs(const void *va, size_t len);

/**
 * frames_shuffle() - write the numbers below @n in a random order, the same in each run
 * @order: out
 * @n: how many numbers
 */
void frames_shuffle(unsigned int *order, size_t n);

#endif /* BENCH_FRAMES_H */
