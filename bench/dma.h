/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The cost of DMA on one side of the comparison: stock vfio_iommu_type1 or vfio_iommu_iopf.
 *
 * Each function writes figures of @side. A cost is the busy time (busy.h) of the whole machine for
 * a pass, minus the busy time of the same pass after everything is mapped. So the work of workers
 * counts, but the device's own work and the movement of data do not.
 */
#ifndef BENCH_DMA_H
#define BENCH_DMA_H

#include "rig.h"

/** map_costs() - MAP_DMA and UNMAP_DMA of several sizes */
void map_costs(struct rig *r, const char *side);

/** pass_costs() - cold and hot passes over several kinds of memory */
void pass_costs(struct rig *r, const char *side);

/** drop_costs() - UNMAP_DMA of memory that the device used, and the host's drop of such memory */
void drop_costs(struct rig *r, const char *side);

/** single_costs() - one fault on one page in an idle machine; not for stock */
void single_costs(struct rig *r, const char *side);

/** job_faults() - number of faults of short cold jobs; not for stock */
void job_faults(struct rig *r, const char *side);

/** stream_faults() - the faults of a steady stream, and the memory that it costs; not for stock */
void stream_faults(struct rig *r, const char *side);

/** sparse_memory() - the memory that a huge untouched range costs; not for stock */
void sparse_memory(struct rig *r, const char *side);

/**
 * tail_latency() - the latency of each fault of a mixed load; not for stock
 * @r: a rig with a device of several engines
 * @side: the side of the figures
 */
void tail_latency(struct rig *r, const char *side);

/**
 * smp_faults() - two devices that fault at once, compared with one; by the wall clock
 * @r: a rig with two devices, in a machine of two processors
 * @side: the side of the figures
 */
void smp_faults(struct rig *r, const char *side);

/** sched_latency() - measure the scheduling latency, case by case */
void sched_latency(void);

#endif /* BENCH_DMA_H */
