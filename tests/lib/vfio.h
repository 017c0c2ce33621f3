/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VFIO for tests: a container, its devices, their BAR 0 and configuration space.
 *
 * A function returns 0 (or a file descriptor) or a negative errno, unless its comment says
 * otherwise. Wrap it in must() if it has to succeed. The library does not depend on the backend
 * that serves the container.
 */
#ifndef TESTS_LIB_VFIO_H
#define TESTS_LIB_VFIO_H

#include <linux/vfio.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VFIO_BDF_LEN	32

/**
 * struct vfio_container - a VFIO container
 * @fd: /dev/vfio/vfio
 * @type: VFIO_TYPE1_IOMMU or VFIO_TYPE1v2_IOMMU; 0: not set yet
 */
struct vfio_container {
	int fd;
	int type;
};

/**
 * struct vfio_dev - a device opened through VFIO
 * @container: the container of its group
 * @bdf: domain:bus:device.function
 * @group_fd: /dev/vfio/<group>; -1: another struct vfio_dev has it
 * @fd: the device; -1: closed
 * @bar: BAR 0, mapped
 * @bar_size: its size
 * @config: offset of the configuration space region in @fd
 */
struct vfio_dev {
	struct vfio_container *container;
	char bdf[VFIO_BDF_LEN];
	int group_fd;
	int fd;
	volatile void *bar;
	size_t bar_size;
	off_t config;
};

/** vfio_container_open() - open a container, without a group and an IOMMU type */
int vfio_container_open(struct vfio_container *c);

/** vfio_ioctl() - call an ioctl of the container; returns 0 or a negative errno */
int vfio_ioctl(struct vfio_container *c, unsigned long request, void *arg);

/**
 * vfio_head_refused() - decide two points: an ioctl refuses a short argsz, and an unknown flag
 * @c: the container
 * @request: the ioctl; its structure begins with argsz and flags
 * @arg: an argument with valid argsz and flags
 * @flag: the unknown flag
 * @prefix: for the points
 */
void vfio_head_refused(struct vfio_container *c, unsigned long request, const void *arg,
		       uint32_t flag, const char *prefix);

/** vfio_container_close() - close the container; it may be closed already */
void vfio_container_close(struct vfio_container *c);

/** vfio_set_iommu() - VFIO_SET_IOMMU; needs a group in the container */
int vfio_set_iommu(struct vfio_container *c, int type);

/** vfio_group_of() - number of the IOMMU group of the device with this directory in sysfs */
int vfio_group_of(const char *sysfs);

/** vfio_group_id() - number of the IOMMU group of @bdf, from sysfs */
int vfio_group_id(const char *bdf);

/** vfio_group_open_id() - open the group with this number and check that it is viable */
int vfio_group_open_id(int id);

/** vfio_group_open() - the same for the group of @bdf */
int vfio_group_open(const char *bdf);

/** vfio_group_join() - put an open group into a container, which gets @type if it has none */
int vfio_group_join(int group_fd, struct vfio_container *c, int type);

/**
 * vfio_group_attach() - open a group and put it into a container
 * @id: number of the group, or a negative errno, which is returned
 * @c: the container, which gets the type if it has none yet
 * @type: VFIO_TYPE1_IOMMU or VFIO_TYPE1v2_IOMMU
 *
 * Return: the group's fd or a negative errno
 */
int vfio_group_attach(int id, struct vfio_container *c, int type);

/**
 * vfio_dev_open() - put the group into the container, set the IOMMU type if there is none, open the
 * device, map BAR 0, enable bus mastering
 * @d: out
 * @c: an open container
 * @bdf: the device
 * @type: VFIO_TYPE1_IOMMU or VFIO_TYPE1v2_IOMMU
 */
int vfio_dev_open(struct vfio_dev *d, struct vfio_container *c, const char *bdf, int type);

/** vfio_dev_attach() - the first part of vfio_dev_open(): the group and the IOMMU type */
int vfio_dev_attach(struct vfio_dev *d, struct vfio_container *c, const char *bdf, int type);

/** vfio_dev_get() - the second part of vfio_dev_open(): the device, BAR 0, bus mastering */
int vfio_dev_get(struct vfio_dev *d);

/** vfio_dev_unmap_bar() - unmap BAR 0, if it is mapped */
void vfio_dev_unmap_bar(struct vfio_dev *d);

/** vfio_dev_put() - unmap BAR 0 and close the device fd; the group stays in the container */
void vfio_dev_put(struct vfio_dev *d);

/** vfio_dev_detach() - VFIO_GROUP_UNSET_CONTAINER; the device must be closed first */
int vfio_dev_detach(struct vfio_dev *d);

/** vfio_dev_close() - vfio_dev_put(), and close the group; they may be closed already */
void vfio_dev_close(struct vfio_dev *d);

/** vfio_reset() - VFIO_DEVICE_RESET: function level reset */
int vfio_reset(struct vfio_dev *d);

/** vfio_bus_master() - set or clear PCI_COMMAND_MASTER */
int vfio_bus_master(struct vfio_dev *d, bool on);

/** vfio_config_read() - @len 1, 2, 4 bytes of configuration space at @off */
int vfio_config_read(struct vfio_dev *d, unsigned int off, unsigned int len, uint32_t *value);

/** vfio_config_write() - write to configuration space in the same way */
int vfio_config_write(struct vfio_dev *d, unsigned int off, unsigned int len, uint32_t value);

/**
 * vfio_find_cap() - find a capability
 * @d: the device
 * @id: id of the capability; with VFIO_EXT_CAP: of an extended capability
 *
 * Return: its offset, -ENOENT, or another negative errno
 */
int vfio_find_cap(struct vfio_dev *d, unsigned int id);
#define VFIO_EXT_CAP	0x10000

/**
 * vfio_req_eventfd() - an eventfd that the kernel signals at the start of an unplug
 * (VFIO_PCI_REQ_IRQ_INDEX)
 * @d: the device
 *
 * Return: the eventfd or a negative errno
 */
int vfio_req_eventfd(struct vfio_dev *d);

/** vfio_map_flags() - VFIO_IOMMU_MAP_DMA with these VFIO_DMA_MAP_FLAG_* */
int vfio_map_flags(struct vfio_container *c, const void *va, uint64_t iova, uint64_t size,
		   uint32_t flags);

/** vfio_map() - VFIO_IOMMU_MAP_DMA, readable and writable */
int vfio_map(struct vfio_container *c, const void *va, uint64_t iova, uint64_t size);

/**
 * vfio_unmap_flags() - VFIO_IOMMU_UNMAP_DMA
 * @c: container
 * @iova: first address
 * @size: bytes
 * @flags: VFIO_DMA_UNMAP_FLAG_*
 * @unmapped: out, may be NULL: bytes that the kernel reports as unmapped
 */
int vfio_unmap_flags(struct vfio_container *c, uint64_t iova, uint64_t size, uint32_t flags,
		     uint64_t *unmapped);

/** vfio_unmap() - unmap exactly this range; -ENOENT: the kernel unmapped another size */
int vfio_unmap(struct vfio_container *c, uint64_t iova, uint64_t size);

/**
 * vfio_get_info() - VFIO_IOMMU_GET_INFO with all its capabilities
 * @c: the container
 *
 * Return: the information, which the caller frees; NULL with errno on failure
 */
struct vfio_iommu_type1_info *vfio_get_info(struct vfio_container *c);

/** vfio_info_cap() - find capability @id in the result of vfio_get_info(); NULL: absent */
const struct vfio_info_cap_header *vfio_info_cap(const struct vfio_iommu_type1_info *info,
						 unsigned int id);

/** vfio_avail() - number of mappings that the container still permits (dma_avail); -1: unknown */
int64_t vfio_avail(struct vfio_container *c);

#endif /* TESTS_LIB_VFIO_H */
