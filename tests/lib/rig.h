/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rig: modules are loaded, a container is open, its devices are ready. Most tests start with a
 * rig.
 *
 * A test that only makes sense with the backend calls rig_backend_only(). With NOBACKEND=1 in the
 * environment, stock type1 serves instead of the backend: a run with stock type1 checks the test
 * itself. rig_open() prints which of them serves, and decides a point: it is the right one.
 */
#ifndef TESTS_LIB_RIG_H
#define TESTS_LIB_RIG_H

#include "knob.h"
#include "mem.h"
#include "simdev.h"
#include "tap.h"
#include "vfio.h"

#define RIG_MAX_DEVICES	17
#define RIG_IOVA	0x100000000ull	/* address of the first buffer in most tests */

/**
 * struct rig - a container and its devices
 * @c: the container
 * @devices: number of devices
 * @vfio: the devices
 * @sim: the drivers of the same devices
 */
struct rig {
	struct vfio_container c;
	unsigned int devices;
	struct vfio_dev vfio[RIG_MAX_DEVICES];
	struct simdev sim[RIG_MAX_DEVICES];
};

/**
 * rig_load() - unload the modules, if loaded, and load them
 * @sim_args: parameters of the simulator; "": its defaults
 * @iopf_args: parameters of the backend, after ids=all; NULL: do not load it, stock type1 serves
 *
 * If no test has called it, rig_open() calls rig_load("", "").
 */
void rig_load(const char *sim_args, const char *iopf_args);

/** rig_unload() - unload backend and simulator; returns 0 or a negative errno; -EAGAIN: in use */
int rig_unload(void);

/** rig_unload_soon() - the same after a process has ended; see rig_balanced_soon() */
int rig_unload_soon(void);

/** rig_stock() - whether stock type1 should serve: NOBACKEND=1, or rig_load() with NULL */
bool rig_stock(void);

/** rig_backend_only() - skip the whole test with stock type1 */
void rig_backend_only(void);

/**
 * rig_debug_kernel() - whether the kernel has lockdep, KASAN and other checkers
 *
 * Everything takes about nine times longer there, even on the instruction clock. Tests choose sizes
 * and pauses by it.
 */
bool rig_debug_kernel(void);

/** rig_bdf() - the name of simulated device @n */
const char *rig_bdf(unsigned int n);

/** rig_bind() - bind a device without a driver to vfio-pci */
int rig_bind(const char *bdf);

/** rig_open() - open a container of type @type with devices 0 to @devices - 1; rings in the BAR */
void rig_open(struct rig *r, unsigned int devices, int type);

/** rig_open_at() - the same, with devices from @first on */
void rig_open_at(struct rig *r, unsigned int first, unsigned int devices, int type);

/**
 * rig_open_mapped() - open a container with device 0, and map anonymous memory for it
 * @r: the rig
 * @b: address and length of the mapping; the function sets @b->va
 */
void rig_open_mapped(struct rig *r, struct simbuf *b);

/** rig_buffer() - populate @len bytes of anonymous memory, and map it at RIG_IOVA */
struct simbuf rig_buffer(struct rig *r, size_t len);

/** rig_buffer_free() - unmap a buffer, and free its memory */
void rig_buffer_free(struct rig *r, struct simbuf *b);

/** rig_close() - close the devices and the container */
void rig_close(struct rig *r);

/** rig_end() - the usual end of a test: rig_clean(), rig_close(), rig_balanced() */
void rig_end(struct rig *r);

/** rig_end_unmapped() - the same, with rig_balanced() before rig_close(): all is unmapped */
void rig_end_unmapped(struct rig *r);

/** rig_served_right() - decide a point: the right backend serves the device */
void rig_served_right(const char *bdf);

/**
 * rig_both_ways() - decide a point: the device writes and the CPU verifies; the CPU writes and the
 * device verifies; the device writes in random order and the CPU verifies
 * @s: the device
 * @b: the memory; at the end it contains the pattern of @seed + 1
 * @seed: seed of the pattern
 * @what: text of the point
 *
 * Return: whether the point passed
 */
bool rig_both_ways(struct simdev *s, const struct simbuf *b, uint64_t seed, const char *what);

/**
 * rig_clean() - decide points: no device used a stale translation, or accessed freed memory; the
 * simulated IOMMU unmapped no hole, and mapped no page twice
 * @r: the rig
 */
void rig_clean(struct rig *r);

/** rig_unpinned() - decide a point: no memory of this process is pinned; with stock type1: none */
void rig_unpinned(const char *what);

/**
 * rig_status_is() - decide a point: a command ended with this status
 * @got: the status of the command, IOPF_SIM_ST_*
 * @want: the expected status
 * @what: text of the point
 */
bool rig_status_is(int got, int want, const char *what, ...) __attribute__((format(printf, 3, 4)));

/** rig_same() - decide a point: the CPU sees the pattern of @seed in all of @b */
bool rig_same(const struct simbuf *b, uint64_t seed, const char *what);

/** rig_balanced() - decide a point: no page is mapped in the IOMMU */
void rig_balanced(void);

/**
 * rig_balanced_soon() - the same after a process has ended: a fault in progress may keep its memory
 * for a moment
 */
void rig_balanced_soon(void);

/** rig_describe_faults() - print the backend's counters of a device as comments */
void rig_describe_faults(const char *bdf);

/**
 * rig_fork_user() - fork a child that is an unprivileged user and may use VFIO
 * @group: number of the IOMMU group that the user may open
 * @bytes: RLIMIT_MEMLOCK of the user
 *
 * Return: 0 in the child, which must not decide points; in the parent the child's number
 */
pid_t rig_fork_user(int group, size_t bytes);

/** rig_map() - map a buffer for the devices; bails out on failure */
void rig_map(struct rig *r, const struct simbuf *b);

/** rig_unmap() - unmap a buffer; bails out on failure */
void rig_unmap(struct rig *r, const struct simbuf *b);

#endif /* TESTS_LIB_RIG_H */
