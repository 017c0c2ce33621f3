/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_DMA_H
#define IOPF_DMA_H

#include "../../../core/mode.h"

struct iopf_container;
struct vfio_bitmap;
struct vfio_iommu_type1_dma_map;
struct vfio_iommu_type1_dma_unmap;

int iopf_dma_map(struct iopf_container *c, const struct vfio_iommu_type1_dma_map *map,
		 enum iopf_policy policy);
int iopf_dma_unmap(struct iopf_container *c, struct vfio_iommu_type1_dma_unmap *unmap,
		   const struct vfio_bitmap *bitmap);

#endif /* IOPF_DMA_H */
