/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Emulated VFIO devices (iopf_sim_mdev.ko): the types and functions that the module's files share.
 *
 * Vocabulary: a pin is one successful vfio_pin_pages() of one page. A page can have several pins.
 */
#ifndef IOPF_SIM_MDEV_H
#define IOPF_SIM_MDEV_H

#include <linux/mutex.h>
#include <linux/vfio.h>
#include <linux/xarray.h>

#include <linux/iopf_sim_mdev.h>

/**
 * struct iopf_sim_mdev - an emulated device
 * @vdev: VFIO's part
 * @lock: protects the fields below
 * @pins: struct pinned by page number of the IOVA
 * @status: counters; pages and pins are computed on request
 * @ignore: number of notifications still to ignore
 */
struct iopf_sim_mdev {
	struct vfio_device vdev;
	struct mutex lock; /* everything below */
	struct xarray pins;
	struct iopf_sim_mdev_status status;
	u32 ignore;
};

typedef int (*iopf_sim_mdev_rw_fn)(struct iopf_sim_mdev *mdev, const struct iopf_sim_mdev_rw *rw,
				   char *data);

/* arg.c: arguments of ioctls */
int iopf_sim_mdev_get_arg(void *to, size_t size, const void __user *from);

/* pins.c: pages that the device has pinned */
u64 iopf_sim_mdev_unpin_range(struct iopf_sim_mdev *mdev, unsigned long first, unsigned long last);
void iopf_sim_mdev_unpin_all(struct iopf_sim_mdev *mdev);
void iopf_sim_mdev_count_pins(struct iopf_sim_mdev *mdev, struct iopf_sim_mdev_status *status);
long iopf_sim_mdev_pin(struct iopf_sim_mdev *mdev, void __user *arg);
long iopf_sim_mdev_unpin(struct iopf_sim_mdev *mdev, void __user *arg);
int iopf_sim_mdev_pinned_rw(struct iopf_sim_mdev *mdev, const struct iopf_sim_mdev_rw *rw,
			    char *data);

/* transfer.c: copying between user space and the container */
int iopf_sim_mdev_dma_rw(struct iopf_sim_mdev *mdev, const struct iopf_sim_mdev_rw *rw, char *data);
long iopf_sim_mdev_rw(struct iopf_sim_mdev *mdev, void __user *arg, u32 flags,
		      iopf_sim_mdev_rw_fn fn);

/* vfio.c */
extern const struct vfio_device_ops iopf_sim_mdev_ops;

#endif /* IOPF_SIM_MDEV_H */
