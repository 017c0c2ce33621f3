/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What DMA costs on one side of the comparison: stock vfio_iommu_type1 or vfio_iommu_iopf.
 *
 * Each function writes figures of the side it is told. Costs are the host's: the whole
 * machine's busy time (busy.h) of a pass, less the same pass once everything is mapped, so that
 * nothing hides in a worker, and the device's own work and the movement of data drop out.
 */
#ifndef BENCH_DMA_H
#define BENCH_DMA_H

#include "rig.h"

/** map_costs() - MAP_DMA and UNMAP_DMA of several sizes */
void map_costs(struct rig *r, const char *side);

/** pass_costs() - cold and hot passes over several kinds of memory */
void pass_costs(struct rig *r, const char *side);

/** single_costs() - one fault on one page, nothing else going on; not for stock */
void single_costs(struct rig *r, const char *side);

#endif /* BENCH_DMA_H */
