// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO for tests: see vfio.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tap.h"
#include "vfio.h"

int vfio_container_open(struct vfio_container *c)
{
	c->type = 0;
	c->fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (c->fd < 0)
		return -errno;
	if (ioctl(c->fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION) {
		vfio_container_close(c);
		return -EPROTO;
	}
	return 0;
}

int vfio_ioctl(struct vfio_container *c, unsigned long request, void *arg)
{
	return ioctl(c->fd, request, arg) ? -errno : 0;
}

void vfio_head_refused(struct vfio_container *c, unsigned long request, const void *arg,
		       uint32_t flag, const char *prefix)
{
	const uint32_t argsz = *(const uint32_t *)arg;
	uint32_t *copy = malloc(argsz);

	must_be(copy);
	memcpy(copy, arg, argsz);
	copy[0] = argsz - 1;
	tap_errno_is(vfio_ioctl(c, request, copy), -EINVAL, "%sargsz too small", prefix);
	copy[0] = argsz;
	copy[1] = flag;
	tap_errno_is(vfio_ioctl(c, request, copy), -EINVAL, "%san unknown flag", prefix);
	free(copy);
}

void vfio_container_close(struct vfio_container *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->type = 0;
}

int vfio_set_iommu(struct vfio_container *c, int type)
{
	if (ioctl(c->fd, VFIO_SET_IOMMU, type))
		return -errno;
	c->type = type;
	return 0;
}

int vfio_group_of(const char *sysfs)
{
	char path[128], link[256];
	const char *name;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/iommu_group", sysfs);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return -errno;
	link[n] = 0;
	name = strrchr(link, '/');
	return name ? atoi(name + 1) : -EINVAL;
}

int vfio_group_id(const char *bdf)
{
	char sysfs[96];

	snprintf(sysfs, sizeof(sysfs), "/sys/bus/pci/devices/%s", bdf);
	return vfio_group_of(sysfs);
}

int vfio_group_open_id(int id)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/%d", id);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, VFIO_GROUP_GET_STATUS, &status)) {
		int err = -errno;

		close(fd);
		return err;
	}
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
		close(fd);
		return -EPERM;
	}
	return fd;
}

int vfio_group_open(const char *bdf)
{
	int id = vfio_group_id(bdf);

	return id < 0 ? id : vfio_group_open_id(id);
}

int vfio_group_join(int group_fd, struct vfio_container *c, int type)
{
	if (ioctl(group_fd, VFIO_GROUP_SET_CONTAINER, &c->fd))
		return -errno;
	return c->type ? 0 : vfio_set_iommu(c, type);
}

int vfio_group_attach(int id, struct vfio_container *c, int type)
{
	int fd = id < 0 ? id : vfio_group_open_id(id), err;

	if (fd < 0)
		return fd;
	err = vfio_group_join(fd, c, type);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int vfio_dev_attach(struct vfio_dev *d, struct vfio_container *c, const char *bdf, int type)
{
	memset(d, 0, sizeof(*d));
	d->fd = -1;
	d->container = c;
	snprintf(d->bdf, sizeof(d->bdf), "%s", bdf);
	d->group_fd = vfio_group_attach(vfio_group_id(bdf), c, type);
	return d->group_fd < 0 ? d->group_fd : 0;
}

int vfio_dev_get(struct vfio_dev *d)
{
	struct vfio_region_info config = {
		.argsz = sizeof(config),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	struct vfio_region_info bar = {
		.argsz = sizeof(bar),
		.index = VFIO_PCI_BAR0_REGION_INDEX,
	};
	void *map;
	int err;

	d->fd = ioctl(d->group_fd, VFIO_GROUP_GET_DEVICE_FD, d->bdf);
	if (d->fd < 0)
		return -errno;
	if (ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, &config) ||
	    ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, &bar)) {
		err = -errno;
		goto err_fd;
	}
	d->config = config.offset;
	map = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, bar.offset);
	if (map == MAP_FAILED) {
		err = -errno;
		goto err_fd;
	}
	d->bar = map;
	d->bar_size = bar.size;
	err = vfio_bus_master(d, true);
	if (err)
		goto err_bar;
	return 0;

err_bar:
	vfio_dev_unmap_bar(d);
err_fd:
	close(d->fd);
	d->fd = -1;
	return err;
}

int vfio_dev_open(struct vfio_dev *d, struct vfio_container *c, const char *bdf, int type)
{
	int err;

	err = vfio_dev_attach(d, c, bdf, type);
	if (err)
		return err;
	err = vfio_dev_get(d);
	if (err)
		vfio_dev_close(d);
	return err;
}

void vfio_dev_unmap_bar(struct vfio_dev *d)
{
	if (d->bar)
		munmap((void *)d->bar, d->bar_size);
	d->bar = NULL;
}

void vfio_dev_put(struct vfio_dev *d)
{
	vfio_dev_unmap_bar(d);
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

int vfio_dev_detach(struct vfio_dev *d)
{
	return ioctl(d->group_fd, VFIO_GROUP_UNSET_CONTAINER) ? -errno : 0;
}

void vfio_dev_close(struct vfio_dev *d)
{
	vfio_dev_put(d);
	if (d->group_fd >= 0)
		close(d->group_fd);
	d->group_fd = -1;
}

int vfio_reset(struct vfio_dev *d)
{
	return ioctl(d->fd, VFIO_DEVICE_RESET) ? -errno : 0;
}

int vfio_config_read(struct vfio_dev *d, unsigned int off, unsigned int len, uint32_t *value)
{
	ssize_t n;

	*value = 0;
	n = pread(d->fd, value, len, d->config + off);
	if (n < 0)
		return -errno;
	return n == (ssize_t)len ? 0 : -EIO;
}

int vfio_config_write(struct vfio_dev *d, unsigned int off, unsigned int len, uint32_t value)
{
	ssize_t n;

	n = pwrite(d->fd, &value, len, d->config + off);
	if (n < 0)
		return -errno;
	return n == (ssize_t)len ? 0 : -EIO;
}

int vfio_bus_master(struct vfio_dev *d, bool on)
{
	uint32_t command;
	int err;

	err = vfio_config_read(d, PCI_COMMAND, 2, &command);
	if (err)
		return err;
	if (on)
		command |= PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY;
	else
		command &= ~PCI_COMMAND_MASTER;
	return vfio_config_write(d, PCI_COMMAND, 2, command);
}

/* Both lists are bounded: 48 capabilities fit into 256 bytes, 480 into the rest of 4 KiB. */
static int vfio_find_std_cap(struct vfio_dev *d, unsigned int id)
{
	uint32_t pos, header;
	unsigned int i;
	int err;

	err = vfio_config_read(d, PCI_CAPABILITY_LIST, 1, &pos);
	for (i = 0; !err && pos >= PCI_STD_HEADER_SIZEOF && i < 48; i++) {
		err = vfio_config_read(d, pos & ~3u, 2, &header);
		if (!err && (header & 0xff) == id)
			return (int)(pos & ~3u);
		pos = header >> 8;
	}
	return err ? err : -ENOENT;
}

static int vfio_find_ext_cap(struct vfio_dev *d, unsigned int id)
{
	uint32_t pos = PCI_CFG_SPACE_SIZE, header;
	unsigned int i;
	int err = 0;

	for (i = 0; !err && pos >= PCI_CFG_SPACE_SIZE && i < 480; i++) {
		err = vfio_config_read(d, pos, 4, &header);
		if (!err && header && PCI_EXT_CAP_ID(header) == id)
			return (int)pos;
		pos = PCI_EXT_CAP_NEXT(header);
	}
	return err ? err : -ENOENT;
}

int vfio_find_cap(struct vfio_dev *d, unsigned int id)
{
	if (id & VFIO_EXT_CAP)
		return vfio_find_ext_cap(d, id & ~VFIO_EXT_CAP);
	return vfio_find_std_cap(d, id);
}

int vfio_req_eventfd(struct vfio_dev *d)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} __attribute__((packed)) req = {
		.set = {
			.argsz = sizeof(req),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_REQ_IRQ_INDEX,
			.count = 1,
		},
	};

	req.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (req.fd < 0)
		return -errno;
	if (ioctl(d->fd, VFIO_DEVICE_SET_IRQS, &req)) {
		int err = -errno;

		close(req.fd);
		return err;
	}
	return req.fd;
}

int vfio_map_flags(struct vfio_container *c, const void *va, uint64_t iova, uint64_t size,
		   uint32_t flags)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = flags,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = size,
	};

	return ioctl(c->fd, VFIO_IOMMU_MAP_DMA, &map) ? -errno : 0;
}

int vfio_map(struct vfio_container *c, const void *va, uint64_t iova, uint64_t size)
{
	return vfio_map_flags(c, va, iova, size, VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
}

int vfio_unmap_flags(struct vfio_container *c, uint64_t iova, uint64_t size, uint32_t flags,
		     uint64_t *unmapped)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.flags = flags,
		.iova = iova,
		.size = size,
	};

	if (ioctl(c->fd, VFIO_IOMMU_UNMAP_DMA, &unmap))
		return -errno;
	if (unmapped)
		*unmapped = unmap.size;
	return 0;
}

int vfio_unmap(struct vfio_container *c, uint64_t iova, uint64_t size)
{
	uint64_t unmapped = 0;
	int err;

	err = vfio_unmap_flags(c, iova, size, 0, &unmapped);
	if (err)
		return err;
	return unmapped == size ? 0 : -ENOENT;
}

struct vfio_iommu_type1_info *vfio_get_info(struct vfio_container *c)
{
	struct vfio_iommu_type1_info first = { .argsz = sizeof(first) }, *info;

	if (ioctl(c->fd, VFIO_IOMMU_GET_INFO, &first))
		return NULL;
	if (first.argsz < sizeof(first))
		first.argsz = sizeof(first);
	info = calloc(1, first.argsz);
	if (!info)
		return NULL;
	info->argsz = first.argsz;
	if (ioctl(c->fd, VFIO_IOMMU_GET_INFO, info)) {
		int err = errno;

		free(info);
		errno = err;
		return NULL;
	}
	return info;
}

const struct vfio_info_cap_header *vfio_info_cap(const struct vfio_iommu_type1_info *info,
						 unsigned int id)
{
	uint32_t off = info->flags & VFIO_IOMMU_INFO_CAPS ? info->cap_offset : 0;

	while (off && off + sizeof(struct vfio_info_cap_header) <= info->argsz) {
		const struct vfio_info_cap_header *cap =
			(const void *)((const char *)info + off);

		if (cap->id == id)
			return cap;
		if (cap->next <= off)
			break;
		off = cap->next;
	}
	return NULL;
}

int64_t vfio_avail(struct vfio_container *c)
{
	const struct vfio_iommu_type1_info_dma_avail *cap;
	struct vfio_iommu_type1_info *info;
	int64_t avail = -1;

	info = vfio_get_info(c);
	if (!info)
		return -1;
	cap = (const void *)vfio_info_cap(info, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
	if (cap)
		avail = cap->avail;
	free(info);
	return avail;
}
