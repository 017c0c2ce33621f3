// SPDX-License-Identifier: GPL-2.0-only
/*
 * Driver of the emulated device: see mdev.h.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
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
	m->fd = -1;
	snprintf(m->name, sizeof(m->name), "iopf_sim_mdev.%u", n);
	m->group_fd = vfio_group_attach(mdev_group_id(n), c, type);
	return m->group_fd < 0 ? m->group_fd : 0;
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

static int mdev_rw(struct mdev *m, enum mdev_way way, bool write, uint64_t iova, const void *data,
		   size_t len)
{
	struct iopf_sim_mdev_rw rw = {
		.argsz = sizeof(rw),
		.flags = (write ? IOPF_SIM_MDEV_F_WRITE : 0) |
			 (way == MDEV_DMA_RW_KTHREAD ? IOPF_SIM_MDEV_F_KTHREAD : 0),
		.iova = iova,
		.data = (uintptr_t)data,
		.len = len,
	};

	return mdev_ioctl(m, way == MDEV_PINNED ? IOPF_SIM_MDEV_PINNED_RW : IOPF_SIM_MDEV_DMA_RW,
			  &rw);
}

const char *mdev_way_name(enum mdev_way way)
{
	static const char * const names[] = {
		[MDEV_PINNED] = "pinned pages",
		[MDEV_DMA_RW] = "dma_rw",
		[MDEV_DMA_RW_KTHREAD] = "dma_rw, kernel thread",
	};

	return names[way];
}

int mdev_read(struct mdev *m, enum mdev_way way, uint64_t iova, void *data, size_t len)
{
	return mdev_rw(m, way, false, iova, data, len);
}

int mdev_write(struct mdev *m, enum mdev_way way, uint64_t iova, const void *data, size_t len)
{
	return mdev_rw(m, way, true, iova, data, len);
}

/* Return a bounce buffer whose part [off, off + len) is the memory of a transfer. */
static struct simbuf mdev_bounce(size_t off, size_t len)
{
	struct simbuf copy = { .len = off + len };

	must_be(len <= IOPF_SIM_MDEV_MAX_RW);
	copy.va = calloc(1, copy.len);
	must_be(copy.va);
	return copy;
}

int mdev_fill(struct mdev *m, enum mdev_way way, const struct simbuf *b, size_t off, size_t len,
	      uint64_t seed)
{
	struct simbuf copy = mdev_bounce(off, len);
	int err;

	simbuf_fill(&copy, off, len, seed);
	err = mdev_write(m, way, b->iova + off, (char *)copy.va + off, len);
	free(copy.va);
	return err;
}

int64_t mdev_differs(struct mdev *m, enum mdev_way way, const struct simbuf *b, size_t off,
		     size_t len, uint64_t seed)
{
	struct simbuf copy = mdev_bounce(off, len);
	int64_t ret;

	ret = mdev_read(m, way, b->iova + off, (char *)copy.va + off, len);
	if (!ret)
		ret = (int64_t)simbuf_differs(&copy, off, len, seed);
	free(copy.va);
	return ret;
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
