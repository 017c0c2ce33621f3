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

/** drop_costs() - unmapping what the device has used, and the host taking it back */
void drop_costs(struct rig *r, const char *side);

/** single_costs() - one fault on one page, nothing else going on; not for stock */
void single_costs(struct rig *r, const char *side);

/** job_faults() - how often short cold jobs fault; not for stock */
void job_faults(struct rig *r, const char *side);

/** stream_faults() - how long a steady stream faults, and the memory it costs; not for stock */
void stream_faults(struct rig *r, const char *side);

/** sparse_memory() - the memory a huge range costs that nobody touches; not for stock */
void sparse_memory(struct rig *r, const char *side);

/**
 * tail_latency() - the latency of each fault of a mixed load; not for stock
 * @r: a rig with a device of several engines
 * @side: whose figures
 */
void tail_latency(struct rig *r, const char *side);

/**
 * smp_faults() - two devices that fault at once, next to one alone; by the clock of the machine
 * @r: a rig with two devices, in a machine of two processors
 * @side: whose figures
 */
void smp_faults(struct rig *r, const char *side);

/** sched_latency() - measure the scheduling latency, case by case */
void sched_latency(void);

#endif /* BENCH_DMA_H */
