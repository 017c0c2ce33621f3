/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rig: modules loaded, a container, devices in it, brought up. What nearly every
 * test starts with.
 *
 * A test says with rig_need() whether it is about the backend. With NOBACKEND=1 in the
 * environment the backend is not loaded and stock type1 serves: that checks the test
 * itself. rig_open() prints who serves, and bails out if it is not who should.
 */
#ifndef TESTS_LIB_RIG_H
#define TESTS_LIB_RIG_H

#include "knob.h"
#include "mem.h"
#include "simdev.h"
#include "tap.h"
#include "vfio.h"

#define RIG_MAX_DEVICES	17
#define RIG_IOVA	0x100000000ull	/* where tests map their first buffer, by habit */

/**
 * struct rig - a container and its devices
 * @c: the container
 * @devices: how many
 * @vfio: the devices
 * @sim: the same, brought up
 */
struct rig {
	struct vfio_container c;
	unsigned int devices;
	struct vfio_dev vfio[RIG_MAX_DEVICES];
	struct simdev sim[RIG_MAX_DEVICES];
};

/**
 * rig_load() - load the modules afresh (unload them first if they are there)
 * @sim_args: parameters of the simulator, "" for its defaults
 * @iopf_args: parameters of the backend added to ids=all; NULL means not loaded: stock
 *
 * Without a call, rig_open() does rig_load("", "").
 */
void rig_load(const char *sim_args, const char *iopf_args);

/** rig_unload() - unload backend and simulator; 0 or a negative errno (-EAGAIN: in use) */
int rig_unload(void);

/** rig_unload_soon() - the same after a process died; see rig_balanced_soon() */
int rig_unload_soon(void);

/** rig_stock() - is stock type1 meant to serve: NOBACKEND=1, or loaded with NULL */
bool rig_stock(void);

/** rig_backend_only() - this test means nothing with stock type1: skip it all there */
void rig_backend_only(void);

/** rig_bdf() - name of simulated device @n */
const char *rig_bdf(unsigned int n);

/** rig_bind() - give a device that is bound to nothing (after rescan) to vfio-pci */
int rig_bind(const char *bdf);

/** rig_open() - devices 0..@devices - 1 into one container of type @type, rings in the BAR */
void rig_open(struct rig *r, unsigned int devices, int type);

/** rig_open_at() - the same, from device @first on */
void rig_open_at(struct rig *r, unsigned int first, unsigned int devices, int type);

/**
 * rig_open_mapped() - open a container with device 0, and map anonymous memory for it
 * @r: the rig
 * @b: where to map, and how much; the function sets @b->va
 */
void rig_open_mapped(struct rig *r, struct simbuf *b);

/** rig_buffer() - populate @len bytes of anonymous memory, and map it at RIG_IOVA */
struct simbuf rig_buffer(struct rig *r, size_t len);

/** rig_buffer_free() - unmap a buffer, and free its memory */
void rig_buffer_free(struct rig *r, struct simbuf *b);

/** rig_close() - close everything that is open */
void rig_close(struct rig *r);

/** rig_end() - the usual end of a test: rig_clean(), rig_close(), rig_balanced() */
void rig_end(struct rig *r);

/** rig_end_unmapped() - the same, with rig_balanced() before rig_close(): all is unmapped */
void rig_end_unmapped(struct rig *r);

/** rig_served_right() - decide a point: the device is served by who should serve it */
void rig_served_right(const char *bdf);

/**
 * rig_both_ways() - the basic check, one point: the device writes and the CPU verifies, the
 * CPU writes and the device verifies, then the device writes in random order
 * @s: the device
 * @b: the memory; ends up with the pattern of @seed + 1
 * @seed: of the pattern
 * @what: what the point says
 *
 * Return: passed
 */
bool rig_both_ways(struct simdev *s, const struct simbuf *b, uint64_t seed, const char *what);

/**
 * rig_clean() - decide points: no stale translation was used, no DMA to freed memory, no hole
 * or collision in the simulated IOMMU
 * @r: the rig
 */
void rig_clean(struct rig *r);

/** rig_unpinned() - decide a point: this process has nothing pinned (no point on stock type1) */
void rig_unpinned(const char *what);

/**
 * rig_status_is() - decide a point: a command ended with this status
 * @got: IOPF_SIM_ST_*, what it ended with
 * @want: IOPF_SIM_ST_*
 * @what: what the point says
 */
bool rig_status_is(int got, int want, const char *what, ...) __attribute__((format(printf, 3, 4)));

/** rig_same() - decide a point: the CPU sees the pattern of @seed in all of @b */
bool rig_same(const struct simbuf *b, uint64_t seed, const char *what);

/** rig_balanced() - decide a point: nothing is mapped in the IOMMU (containers closed) */
void rig_balanced(void);

/**
 * rig_balanced_soon() - the same after a process died, whose memory may live on for as long as
 * a fault under way needs it
 */
void rig_balanced_soon(void);

/** rig_describe_faults() - the backend's counters of a device, as comments */
void rig_describe_faults(const char *bdf);

/**
 * rig_fork_user() - a child that is an ordinary user, who may use VFIO
 * @group: number of the IOMMU group the user gets
 * @bytes: what the user may lock
 *
 * Return: 0 in the child, which is not to decide points; in the parent the child's number
 */
pid_t rig_fork_user(int group, size_t bytes);

/** rig_map() - map the buffer for the devices, bails out on failure */
void rig_map(struct rig *r, const struct simbuf *b);

/** rig_unmap() - unmap it again */
void rig_unmap(struct rig *r, const struct simbuf *b);

#endif /* TESTS_LIB_RIG_H */
