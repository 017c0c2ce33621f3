/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Prefaulting: requests to populate memory before a device uses it, and working sets. Results are 0
 * or a negative errno.
 */
#ifndef TESTS_LIB_PREFAULT_H
#define TESTS_LIB_PREFAULT_H

#include <linux/vfio_iopf.h>
#include <stddef.h>
#include <stdint.h>

#include "simdev.h"
#include "vfio.h"

#define PREFAULT_READ	VFIO_IOPF_PREFAULT_READ
#define PREFAULT_WRITE	VFIO_IOPF_PREFAULT_WRITE

/**
 * prefault_start() - VFIO_IOPF_PREFAULT
 * @c: the container
 * @ranges: the ranges
 * @nr: number of ranges
 * @flags: PREFAULT_READ, PREFAULT_WRITE
 * @eventfd: eventfd to signal; -1: none
 * @id: out
 */
int prefault_start(struct vfio_container *c, const struct vfio_iopf_range *ranges, unsigned int nr,
		   uint32_t flags, int eventfd, uint64_t *id);

/** prefault_query() - VFIO_IOPF_PREFAULT_QUERY */
int prefault_query(struct vfio_container *c, uint64_t id, struct vfio_iopf_prefault_status *s);

/** prefault_cancel() - VFIO_IOPF_PREFAULT_CANCEL */
int prefault_cancel(struct vfio_container *c, uint64_t id, struct vfio_iopf_prefault_status *s);

/** prefault_wait() - wait for the end of a request; *@s is its status. Bails out on a hang. */
void prefault_wait(struct vfio_container *c, uint64_t id, struct vfio_iopf_prefault_status *s);

/** prefault_run() - prefault a buffer, and wait for the end; bails out if it does not succeed */
void prefault_run(struct vfio_container *c, const struct simbuf *b, uint32_t flags,
		  struct vfio_iopf_prefault_status *s);

/** prefault_knob() - read a number of this process's container in sysfs; bails out on failure */
uint64_t prefault_knob(const char *name);

/**
 * workset_get() - VFIO_IOPF_WORKING_SET_SAVE of any size; bails out on failure
 * @c: the container
 * @flags: VFIO_IOPF_WORKING_SET_AGE
 * @size: out
 *
 * Return: the working set; the caller frees it.
 */
uint8_t *workset_get(struct vfio_container *c, uint32_t flags, size_t *size);

/** workset_put() - VFIO_IOPF_WORKING_SET_RESTORE */
int workset_put(struct vfio_container *c, const void *data, size_t size, int eventfd, uint64_t *id);

#endif /* TESTS_LIB_PREFAULT_H */
