/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Side: one of the two sides of the comparison.
 */
#ifndef DEMO_SIDE_H
#define DEMO_SIDE_H

#include <stdbool.h>
#include <stddef.h>

/**
 * struct side_job - what both sides have to do
 * @size: bytes of the buffer, a multiple of 16 MiB
 * @devices: devices sharing the work
 * @hog_mib: what the neighbour wants
 */
struct side_job {
	size_t size;
	unsigned int devices;
	size_t hog_mib;
};

/**
 * side_run() - do the job, through stock vfio_iommu_type1 or through ours
 * @job: the job
 * @stock: through stock
 *
 * Return: was the data right wherever this side promises it: stock makes no promise about
 * memory that was dropped under a pinned mapping
 */
bool side_run(const struct side_job *job, bool stock);

#endif /* DEMO_SIDE_H */
