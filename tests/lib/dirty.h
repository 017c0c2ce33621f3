/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dirty tracking of a container: VFIO_IOMMU_DIRTY_PAGES, and the report that comes with
 * unmapping. Results are 0 or a negative errno.
 */
#ifndef TESTS_LIB_DIRTY_H
#define TESTS_LIB_DIRTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfio.h"

/**
 * struct dirty_map - a bitmap for a range
 * @iova: of the first bit
 * @len: bytes of the range
 * @words: 64-bit words
 * @bits: the bitmap
 */
struct dirty_map {
	uint64_t iova;
	uint64_t len;
	size_t words;
	uint64_t *bits;
};

/** dirty_map_init() - an empty bitmap for [@iova, @iova + @len) */
void dirty_map_init(struct dirty_map *m, uint64_t iova, uint64_t len);
void dirty_map_free(struct dirty_map *m);

/** dirty_track() - switch tracking on or off */
int dirty_track(struct vfio_container *c, bool on);

/** dirty_get() - VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP for the whole range of @m */
int dirty_get(struct vfio_container *c, struct dirty_map *m);

/** dirty_unmap() - unmap the range of @m with VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP */
int dirty_unmap(struct vfio_container *c, struct dirty_map *m);

/** dirty_page() - whether page @page of the range is dirty */
bool dirty_page(const struct dirty_map *m, size_t page);

/** dirty_count() - number of dirty pages */
size_t dirty_count(const struct dirty_map *m);

/**
 * dirty_differs() - count pages that are not as expected; prints the first one as a comment
 * @m: the bitmap
 * @want: for each page of the range, whether it must be dirty; NULL: no page
 *
 * Return: their number; 0: the bitmap is exact
 */
size_t dirty_differs(const struct dirty_map *m, const bool *want);

#endif /* TESTS_LIB_DIRTY_H */
