/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The usable I/O virtual addresses of a container: the common aperture of its IOMMUs without the
 * reserved regions of its devices. It is a sorted array of disjoint ranges, which
 * VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE reports.
 */
#ifndef IOPF_CORE_IOVAS_H
#define IOPF_CORE_IOVAS_H

#include "range.h"

/**
 * struct iopf_iovas - sorted, disjoint ranges
 * @nr: number of ranges
 * @max: room for this number of ranges
 * @range: the ranges
 */
struct iopf_iovas {
	unsigned int nr;
	unsigned int max;
	struct iopf_range range[] __counted_by(max);
};

bool iopf_iovas_contain(const struct iopf_iovas *v, const struct iopf_range *r);
void iopf_iovas_limit(struct iopf_iovas *v, const struct iopf_range *aperture);
int iopf_iovas_exclude(struct iopf_iovas *v, const struct iopf_range *hole);

#endif /* IOPF_CORE_IOVAS_H */
