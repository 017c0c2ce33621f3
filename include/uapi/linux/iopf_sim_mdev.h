/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Programming interface of the iopf_sim_mdev device.
 *
 * An emulated VFIO device, of the kind that mediated devices (mdev) are: it
 * has no IOMMU. It reaches the memory of its container as its driver does, by
 * vfio_pin_pages() and the pages themselves, and by vfio_dma_rw(). Each of these is
 * an ioctl here, so that user space decides what is pinned, read and written, and
 * sees what the VFIO core and its IOMMU backend answer.
 *
 * The ioctls are for the device's file descriptor (VFIO_GROUP_GET_DEVICE_FD). They
 * return 0 or what is said below; errors are those of the VFIO function unless said
 * otherwise. -EINVAL also for an argsz that is too small and for unknown flags,
 * -E2BIG for bytes after a structure that are not zero. VFIO_DEVICE_GET_INFO and
 * VFIO_DEVICE_RESET (which unpins everything) are there too. Numbers start far above
 * VFIO's own.
 */
#ifndef _UAPI_LINUX_IOPF_SIM_MDEV_H
#define _UAPI_LINUX_IOPF_SIM_MDEV_H

#include <linux/types.h>
#include <linux/vfio.h>

#define IOPF_SIM_MDEV_BASE		(VFIO_BASE + 128)

/* Pages of one PIN or UNPIN. VFIO's own limit is lower, and meant to be met. */
#define IOPF_SIM_MDEV_MAX_PAGES		1024
/* Bytes of one DMA_RW or PINNED_RW. */
#define IOPF_SIM_MDEV_MAX_RW		(1u << 20)
/* Notifications in a row that may be ignored: type1 takes more for a broken driver. */
#define IOPF_SIM_MDEV_MAX_IGNORE	8

/* Access: of a pin, or the direction of a transfer (no flag: the device reads). */
#define IOPF_SIM_MDEV_F_READ		(1u << 0)
#define IOPF_SIM_MDEV_F_WRITE		(1u << 1)
/* DMA_RW: call vfio_dma_rw() from a kernel thread, not from the calling process. */
#define IOPF_SIM_MDEV_F_KTHREAD		(1u << 2)

/**
 * struct iopf_sim_mdev_pin - pages to pin or to unpin
 * @argsz: size of this structure
 * @flags: PIN: IOPF_SIM_MDEV_F_READ, IOPF_SIM_MDEV_F_WRITE or both; UNPIN: 0
 * @iova: of the first page, page aligned
 * @npages: how many pages, at most IOPF_SIM_MDEV_MAX_PAGES
 * @reserved: zero
 */
struct iopf_sim_mdev_pin {
	__u32 argsz;
	__u32 flags;
	__aligned_u64 iova;
	__u32 npages;
	__u32 reserved;
};

/*
 * PIN: vfio_pin_pages(); returns the number of pages. The device remembers the pages; one
 * that is pinned twice has to be unpinned twice. -EIO when a page that is pinned already
 * comes back as another page.
 *
 * UNPIN: vfio_unpin_pages(). -ENOENT, and nothing is done, when one of the pages is
 * not pinned.
 */
#define IOPF_SIM_MDEV_PIN		_IO(VFIO_TYPE, IOPF_SIM_MDEV_BASE + 0)
#define IOPF_SIM_MDEV_UNPIN		_IO(VFIO_TYPE, IOPF_SIM_MDEV_BASE + 1)

/**
 * struct iopf_sim_mdev_rw - a transfer by the CPU between a buffer and the container's memory
 * @argsz: size of this structure
 * @flags: IOPF_SIM_MDEV_F_WRITE: from the buffer into the container's memory;
 *         DMA_RW: IOPF_SIM_MDEV_F_KTHREAD
 * @iova: first byte in the container; any alignment
 * @data: address of the buffer in the calling process
 * @len: bytes, at most IOPF_SIM_MDEV_MAX_RW
 */
struct iopf_sim_mdev_rw {
	__u32 argsz;
	__u32 flags;
	__aligned_u64 iova;
	__aligned_u64 data;
	__aligned_u64 len;
};

/*
 * DMA_RW: vfio_dma_rw().
 *
 * PINNED_RW: through pages that are pinned, all or nothing. -ENOENT when one is not,
 * -EACCES when one is not pinned for this direction.
 */
#define IOPF_SIM_MDEV_DMA_RW		_IO(VFIO_TYPE, IOPF_SIM_MDEV_BASE + 2)
#define IOPF_SIM_MDEV_PINNED_RW		_IO(VFIO_TYPE, IOPF_SIM_MDEV_BASE + 3)

/**
 * struct iopf_sim_mdev_status - what the device has seen since it was opened
 * @argsz: size of this structure
 * @flags: zero
 * @pages: pages pinned now
 * @pins: pins of them now: a page pinned twice counts twice
 * @unmaps: dma_unmap notifications
 * @unmap_iova: first address of the last one
 * @unmap_size: its bytes
 * @unpinned: pins that were given up because of them
 */
struct iopf_sim_mdev_status {
	__u32 argsz;
	__u32 flags;
	__aligned_u64 pages;
	__aligned_u64 pins;
	__aligned_u64 unmaps;
	__aligned_u64 unmap_iova;
	__aligned_u64 unmap_size;
	__aligned_u64 unpinned;
};

#define IOPF_SIM_MDEV_STATUS		_IO(VFIO_TYPE, IOPF_SIM_MDEV_BASE + 4)

/**
 * struct iopf_sim_mdev_ignore - be slow to unpin
 * @argsz: size of this structure
 * @flags: zero
 * @unmaps: so many of the next dma_unmap notifications are ignored, at most
 *          IOPF_SIM_MDEV_MAX_IGNORE. Otherwise the device unpins, as it must, before it
 *          returns from one.
 * @reserved: zero
 */
struct iopf_sim_mdev_ignore {
	__u32 argsz;
	__u32 flags;
	__u32 unmaps;
	__u32 reserved;
};

#define IOPF_SIM_MDEV_IGNORE		_IO(VFIO_TYPE, IOPF_SIM_MDEV_BASE + 5)

#endif /* _UAPI_LINUX_IOPF_SIM_MDEV_H */
