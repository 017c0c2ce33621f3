// SPDX-License-Identifier: GPL-2.0-only
/*
 * Driver of the emulated device: see mdev.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "mdev.h"
#include "tap.h"

int mdev_group_id(unsigned int n)
{
	char sysfs[96];

	snprintf(sysfs, sizeof(sysfs), "/sys/bus/platform/devices/iopf_sim_mdev.%u", n);
	return vfio_group_of(sysfs);
}

int mdev_attach(struct mdev *m, struct vfio_container *c, unsigned int n, int type)
{
	int id = mdev_group_id(n), err;

	m->fd = -1;
	m->group_fd = -1;
	snprintf(m->name, sizeof(m->name), "iopf_sim_mdev.%u", n);
	if (id < 0)
		return id;
	m->group_fd = vfio_group_open_id(id);
	if (m->group_fd < 0)
		return m->group_fd;
	err = vfio_group_join(m->group_fd, c, type);
	if (err)
		mdev_close(m);
	return err;
}

int mdev_get(struct mdev *m)
{
	m->fd = ioctl(m->group_fd, VFIO_GROUP_GET_DEVICE_FD, m->name);
	return m->fd < 0 ? -errno : 0;
}

int mdev_open(struct mdev *m, struct vfio_container *c, unsigned int n, int type)
{
	int err;

	err = mdev_attach(m, c, n, type);
	if (err)
		return err;
	err = mdev_get(m);
	if (err)
		mdev_close(m);
	return err;
}

void mdev_put(struct mdev *m)
{
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
}

void mdev_close(struct mdev *m)
{
	mdev_put(m);
	if (m->group_fd >= 0)
		close(m->group_fd);
	m->group_fd = -1;
}

static int mdev_ioctl(struct mdev *m, unsigned long request, void *arg)
{
	int ret = ioctl(m->fd, request, arg);

	return ret < 0 ? -errno : ret;
}

int mdev_pin(struct mdev *m, uint64_t iova, unsigned int npages, unsigned int access)
{
	struct iopf_sim_mdev_pin pin = {
		.argsz = sizeof(pin),
		.flags = access,
		.iova = iova,
		.npages = npages,
	};

	return mdev_ioctl(m, IOPF_SIM_MDEV_PIN, &pin);
}

int mdev_unpin(struct mdev *m, uint64_t iova, unsigned int npages)
{
	struct iopf_sim_mdev_pin pin = {
		.argsz = sizeof(pin),
		.iova = iova,
		.npages = npages,
	};

	return mdev_ioctl(m, IOPF_SIM_MDEV_UNPIN, &pin);
}

static int mdev_rw(struct mdev *m, unsigned long request, unsigned int flags, uint64_t iova,
		   void *data, size_t len)
{
	struct iopf_sim_mdev_rw rw = {
		.argsz = sizeof(rw),
		/* Reading is what no flag means. */
		.flags = flags & ~MDEV_R,
		.iova = iova,
		.data = (uintptr_t)data,
		.len = len,
	};

	return mdev_ioctl(m, request, &rw);
}

int mdev_dma_rw(struct mdev *m, unsigned int flags, uint64_t iova, void *data, size_t len)
{
	return mdev_rw(m, IOPF_SIM_MDEV_DMA_RW, flags, iova, data, len);
}

int mdev_pinned_rw(struct mdev *m, unsigned int flags, uint64_t iova, void *data, size_t len)
{
	return mdev_rw(m, IOPF_SIM_MDEV_PINNED_RW, flags, iova, data, len);
}

struct iopf_sim_mdev_status mdev_status(struct mdev *m)
{
	struct iopf_sim_mdev_status status = { .argsz = sizeof(status) };

	must(mdev_ioctl(m, IOPF_SIM_MDEV_STATUS, &status));
	return status;
}

int mdev_ignore(struct mdev *m, unsigned int unmaps)
{
	struct iopf_sim_mdev_ignore ignore = { .argsz = sizeof(ignore), .unmaps = unmaps };

	return mdev_ioctl(m, IOPF_SIM_MDEV_IGNORE, &ignore);
}

int mdev_reset(struct mdev *m)
{
	return mdev_ioctl(m, VFIO_DEVICE_RESET, NULL);
}
