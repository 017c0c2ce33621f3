/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Prefaulting: requests that memory be ready before a device uses it, and working sets. Results are
 * 0 or a negative errno.
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
 * @ranges: what
 * @nr: how many
 * @flags: PREFAULT_READ, PREFAULT_WRITE
 * @eventfd: to be signalled; -1: none
 * @id: out
 */
int prefault_start(struct vfio_container *c, const struct vfio_iopf_range *ranges, unsigned int nr,
		   uint32_t flags, int eventfd, uint64_t *id);

/** prefault_query() - VFIO_IOPF_PREFAULT_QUERY */
int prefault_query(struct vfio_container *c, uint64_t id, struct vfio_iopf_prefault_status *s);

/** prefault_cancel() - VFIO_IOPF_PREFAULT_CANCEL */
int prefault_cancel(struct vfio_container *c, uint64_t id, struct vfio_iopf_prefault_status *s);

/** prefault_wait() - wait for the end of a request; *@s is how it ended. Bails out on a hang. */
void prefault_wait(struct vfio_container *c, uint64_t id, struct vfio_iopf_prefault_status *s);

/** prefault_run() - a buffer, from start to end, which has to be that it is done */
void prefault_run(struct vfio_container *c, const struct simbuf *b, uint32_t flags,
		  struct vfio_iopf_prefault_status *s);

/** prefault_knob() - a number in sysfs about this process's container; bails out without one */
uint64_t prefault_knob(const char *name);

/**
 * workset_get() - VFIO_IOPF_WORKING_SET_SAVE, of whatever size it is
 * @c: the container
 * @flags: VFIO_IOPF_WORKING_SET_AGE
 * @size: out
 *
 * Return: allocated, to be freed by the caller; bails out on failure
 */
uint8_t *workset_get(struct vfio_container *c, uint32_t flags, size_t *size);

/** workset_put() - VFIO_IOPF_WORKING_SET_RESTORE */
int workset_put(struct vfio_container *c, const void *data, size_t size, int eventfd, uint64_t *id);

#endif /* TESTS_LIB_PREFAULT_H */
