/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Policies of ranges and of containers, locks, modes of devices. Results are 0 or a negative errno.
 */
#ifndef TESTS_LIB_POLICY_H
#define TESTS_LIB_POLICY_H

#include <linux/vfio_iopf.h>
#include <stddef.h>
#include <stdint.h>

#include "simdev.h"
#include "vfio.h"

/** policy_set() - VFIO_IOPF_POLICY */
int policy_set(struct vfio_container *c, uint64_t iova, uint64_t size, uint32_t policy);

/**
 * policy_get() - VFIO_IOPF_POLICY with VFIO_IOPF_POLICY_GET
 * @c: the container
 * @iova: the address
 * @p: out
 */
int policy_get(struct vfio_container *c, uint64_t iova, struct vfio_iopf_policy *p);

/** policy_map() - VFIO_IOPF_MAP_DMA, readable and writable */
int policy_map(struct vfio_container *c, const struct simbuf *b, uint32_t policy);

/** policy_default() - write to the file "policy" of the container that a device is in */
int policy_default(const char *bdf, const char *policy);

/** policy_device() - write to a device's file "policy" */
int policy_device(const char *bdf, const char *policy);

/** policy_count() - read a number from a file of the container that a device is in */
uint64_t policy_count(const char *bdf, const char *name);

/**
 * policy_lock() - VFIO_IOPF_LOCK
 * @c: the container
 * @iova: first address
 * @size: bytes
 * @flags: VFIO_IOPF_LOCK_*
 * @id: out, unless NULL
 */
int policy_lock(struct vfio_container *c, uint64_t iova, uint64_t size, uint32_t flags,
		uint64_t *id);

/** policy_unlock() - VFIO_IOPF_UNLOCK */
int policy_unlock(struct vfio_container *c, uint64_t id, uint32_t flags);

/** policy_mode() - write to a device's file "mode" */
int policy_mode(const char *bdf, const char *mode);

/** policy_table() - write the device table, which replaces the old one */
int policy_table(const char *text);

/** policy_locked_kb() - KiB that are charged to RLIMIT_MEMLOCK of this process */
size_t policy_locked_kb(void);

/** policy_charged_is() - decide a point: bytes charged to RLIMIT_MEMLOCK of this process */
bool policy_charged_is(size_t bytes, const char *what);

/**
 * policy_pinned_is() - decide a point: @bytes are pinned in a container, and charged to this
 * process
 * @bdf: a device in the container
 * @bytes: the expected number
 * @what: text of the point
 */
bool policy_pinned_is(const char *bdf, size_t bytes, const char *what);

#endif /* TESTS_LIB_POLICY_H */
