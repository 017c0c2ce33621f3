/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Driver of the emulated device (include/uapi/linux/iopf_sim_mdev.h), over VFIO.
 *
 * The module is loaded by rig_load("... mdev.devices=1", ...).
 *
 * A function returns 0 or a negative errno, unless its comment says otherwise. Wrap it in must() if
 * it has to succeed. The library does not depend on the backend that serves the container.
 */
#ifndef TESTS_LIB_MDEV_H
#define TESTS_LIB_MDEV_H

#include <linux/iopf_sim_mdev.h>
#include <stddef.h>
#include <stdint.h>

#include "simdev.h"

#define MDEV_R		IOPF_SIM_MDEV_F_READ
#define MDEV_W		IOPF_SIM_MDEV_F_WRITE
#define MDEV_RW		(MDEV_R | MDEV_W)

/**
 * enum mdev_way - how the device reaches memory
 * @MDEV_PINNED: through pages that it has pinned
 * @MDEV_DMA_RW: vfio_dma_rw(), called by the process itself
 * @MDEV_DMA_RW_KTHREAD: vfio_dma_rw(), called by a kernel thread
 * @MDEV_WAYS: number of ways
 */
enum mdev_way {
	MDEV_PINNED,
	MDEV_DMA_RW,
	MDEV_DMA_RW_KTHREAD,
	MDEV_WAYS,
};

/**
 * struct mdev - an emulated device opened through VFIO
 * @name: its name
 * @group_fd: /dev/vfio/<group>; -1 when closed
 * @fd: the device; -1 when closed
 */
struct mdev {
	char name[32];
	int group_fd;
	int fd;
};

/** mdev_group_id() - number of the IOMMU group of emulated device @n */
int mdev_group_id(unsigned int n);

/** mdev_attach() - put the group of device @n into a container; set the type if it has none */
int mdev_attach(struct mdev *m, struct vfio_container *c, unsigned int n, int type);

/** mdev_get() - open the device */
int mdev_get(struct mdev *m);

/** mdev_open() - mdev_attach() and mdev_get() */
int mdev_open(struct mdev *m, struct vfio_container *c, unsigned int n, int type);

/** mdev_put() - close the device, which unpins everything; the group stays in the container */
void mdev_put(struct mdev *m);

/** mdev_close() - mdev_put(), and close the group; they may be closed already */
void mdev_close(struct mdev *m);

/**
 * mdev_pin() - pin pages
 * @m: the device
 * @iova: address of the first page
 * @npages: number of pages
 * @access: MDEV_R, MDEV_W or both
 *
 * Return: what vfio_pin_pages() returned: the number of pages, or a negative errno
 */
int mdev_pin(struct mdev *m, uint64_t iova, unsigned int npages, unsigned int access);

/** mdev_unpin() - unpin pages; -ENOENT: a page is not pinned */
int mdev_unpin(struct mdev *m, uint64_t iova, unsigned int npages);

/** mdev_way_name() - name of a way, for the text of a point */
const char *mdev_way_name(enum mdev_way way);

/** mdev_read() - the device reads @len bytes at @iova into @data */
int mdev_read(struct mdev *m, enum mdev_way way, uint64_t iova, void *data, size_t len);

/** mdev_write() - the device writes @len bytes from @data to @iova */
int mdev_write(struct mdev *m, enum mdev_way way, uint64_t iova, const void *data, size_t len);

/** mdev_fill() - the device writes the pattern into bytes [off, off + len) of @b; at most 1 MiB */
int mdev_fill(struct mdev *m, enum mdev_way way, const struct simbuf *b, size_t off, size_t len,
	      uint64_t seed);

/**
 * mdev_differs() - the device reads memory, and counts words that are not the pattern
 * @m: the device
 * @way: how it reads
 * @b: the buffer
 * @off: first byte, a multiple of 8
 * @len: bytes, a multiple of 8; at most 1 MiB
 * @seed: seed of the pattern
 *
 * Return: their number; 0: every byte is right; or a negative errno
 */
int64_t mdev_differs(struct mdev *m, enum mdev_way way, const struct simbuf *b, size_t off,
		     size_t len, uint64_t seed);

/** mdev_status() - read the counters; bails out on failure */
struct iopf_sim_mdev_status mdev_status(struct mdev *m);

/** mdev_ignore() - ignore the next dma_unmap notifications */
int mdev_ignore(struct mdev *m, unsigned int unmaps);

/** mdev_reset() - VFIO_DEVICE_RESET: unpins everything */
int mdev_reset(struct mdev *m);

#endif /* TESTS_LIB_MDEV_H */
