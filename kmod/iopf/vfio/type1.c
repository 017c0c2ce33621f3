// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VFIO type1 interface: the calls of the VFIO core, and the ioctls that user space makes on a
 * container. This file copies arguments in and out, and checks sizes and flags. Other files do the
 * work.
 *
 * Both VFIO_TYPE1_IOMMU and VFIO_TYPE1v2_IOMMU are offered: many programs still
 * ask for the first.
 */
#include <linux/capability.h>
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vfio_iopf.h>

#include "../../compat/vfio_driver.h"
#include "../lib/params.h"
#include "../pin/charge.h"
#include "../pin/emulated.h"
#include "../pin/pin.h"
#include "../prefault/request.h"
#include "../prefault/requests.h"
#include "../prefault/workset.h"
#include "attach.h"
#include "container.h"
#include "dirty.h"
#include "dma.h"
#include "lock.h"
#include "policies.h"
#include "type1.h"

static void *type1_open(unsigned long arg)
{
	struct iopf_container *c;

	if (arg != VFIO_TYPE1_IOMMU && arg != VFIO_TYPE1v2_IOMMU)
		return ERR_PTR(-EINVAL);
	c = iopf_container_create(arg == VFIO_TYPE1v2_IOMMU);
	return IS_ERR(c) ? c : iopf_container_data(c);
}

static void type1_release(void *data)
{
	iopf_container_release(iopf_container_of(data));
}

static int type1_attach_group(void *data, struct iommu_group *group, enum vfio_group_type type)
{
	struct iopf_container *c = iopf_container_of(data);
	int ret = iopf_attach_group(c, group, type == VFIO_EMULATED_IOMMU);

	if (!ret)
		iopf_container_prepare(c);
	return ret;
}

static void type1_detach_group(void *data, struct iommu_group *group)
{
	iopf_detach_group(iopf_container_of(data), group);
}

static struct iommu_domain *type1_group_domain(void *data, struct iommu_group *group)
{
	return iopf_attach_domain(iopf_container_of(data), group);
}

static int type1_pin_pages(void *data, struct iommu_group *group, dma_addr_t iova, int npage,
			   int prot, struct page **pages)
{
	struct iopf_container *c = iopf_container_of(data);
	int ret;

	if (!c->v2)
		return -EACCES;
	guard(mutex)(&c->space.lock);
	ret = iopf_emulated_pin(&c->space, iova, npage, prot, pages);
	if (ret == npage)
		iopf_attach_dirty_scope(c, group);
	return ret;
}

static void type1_unpin_pages(void *data, dma_addr_t iova, int npage)
{
	iopf_emulated_unpin(&iopf_container_of(data)->space, iova, npage);
}

static void type1_register_device(void *data, struct vfio_device *vdev)
{
	iopf_emulated_register(&iopf_container_of(data)->space, vdev);
}

static void type1_unregister_device(void *data, struct vfio_device *vdev)
{
	iopf_emulated_unregister(&iopf_container_of(data)->space, vdev);
}

static int type1_dma_rw(void *data, dma_addr_t iova, void *buf, size_t count, bool write)
{
	return iopf_emulated_rw(&iopf_container_of(data)->space, iova, buf, count, write);
}

static int check_extension(struct iopf_container *c, unsigned long arg)
{
	int ret;

	switch (arg) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	/* A nesting container is refused by type1_open() and then served by stock type1. */
	case VFIO_TYPE1_NESTING_IOMMU:
	case VFIO_UNMAP_ALL:
	case VFIO_IOPF_PREFAULT_EXT:
	case VFIO_IOPF_POLICY_EXT:
		return 1;
	case VFIO_UPDATE_VADDR:
		ret = c ? iopf_container_emulated(c) : 1;
		return ret < 0 ? ret : !ret;
	case VFIO_DMA_CC_IOMMU:
		return c ? iopf_container_coherent(c) : 0;
	}
	return 0;
}

static int add_iova_ranges(struct iopf_container *c, struct vfio_info_cap *caps)
{
	const struct iopf_iovas *iovas = c->iovas;
	struct vfio_iommu_type1_info_cap_iova_range *cap;
	struct vfio_info_cap_header *header;

	if (!iovas->nr)
		return 0;
	header = vfio_info_cap_add(caps, struct_size(cap, iova_ranges, iovas->nr),
				   VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1);
	if (IS_ERR(header))
		return PTR_ERR(header);
	cap = container_of(header, struct vfio_iommu_type1_info_cap_iova_range, header);
	cap->nr_iovas = iovas->nr;
	cap->reserved = 0;
	for (unsigned int i = 0; i < iovas->nr; i++) {
		cap->iova_ranges[i].start = iovas->range[i].first;
		cap->iova_ranges[i].end = iovas->range[i].last;
	}
	return 0;
}

static int add_migration(struct iopf_container *c, struct vfio_info_cap *caps)
{
	struct vfio_iommu_type1_info_cap_migration cap = {
		.header = { .id = VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, .version = 1 },
		.pgsize_bitmap = BIT_ULL(__ffs64(c->pgsizes)),
		.max_dirty_bitmap_size = iopf_dirty_bitmap_bytes(IOPF_DIRTY_PAGES_MAX),
	};

	return vfio_info_add_capability(caps, &cap.header, sizeof(cap));
}

static int add_dma_avail(struct iopf_container *c, struct vfio_info_cap *caps)
{
	struct vfio_iommu_type1_info_dma_avail cap = {
		.header = { .id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, .version = 1 },
		.avail = c->dma_avail,
	};

	return vfio_info_add_capability(caps, &cap.header, sizeof(cap));
}

static long get_info(struct iopf_container *c, void __user *arg)
{
	size_t minsz = offsetofend(struct vfio_iommu_type1_info, iova_pgsizes);
	struct vfio_iommu_type1_info info = { };
	struct vfio_info_cap caps = { };
	int ret;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	/* An older caller's structure ends before cap_offset. */
	minsz = min_t(size_t, info.argsz, sizeof(info));

	if (mutex_lock_killable(&c->space.lock))
		return -EINTR;
	info.flags = VFIO_IOMMU_INFO_PGSIZES;
	info.iova_pgsizes = c->pgsizes;
	ret = add_migration(c, &caps);
	if (!ret)
		ret = add_dma_avail(c, &caps);
	if (!ret)
		ret = add_iova_ranges(c, &caps);
	mutex_unlock(&c->space.lock);
	if (ret) {
		kfree(caps.buf);
		return ret;
	}

	info.flags |= VFIO_IOMMU_INFO_CAPS;
	if (info.argsz < sizeof(info) + caps.size) {
		info.argsz = sizeof(info) + caps.size;
	} else {
		vfio_info_cap_shift(&caps, sizeof(info));
		if (copy_to_user(arg + sizeof(info), caps.buf, caps.size)) {
			kfree(caps.buf);
			return -EFAULT;
		}
		info.cap_offset = sizeof(info);
	}
	kfree(caps.buf);
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static long map_dma(struct iopf_container *c, void __user *arg)
{
	const u32 flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE |
			  VFIO_DMA_MAP_FLAG_VADDR;
	size_t minsz = offsetofend(struct vfio_iommu_type1_dma_map, size);
	struct vfio_iommu_type1_dma_map map;

	if (copy_from_user(&map, arg, minsz))
		return -EFAULT;
	if (map.argsz < minsz || map.flags & ~flags)
		return -EINVAL;
	return iopf_dma_map(c, &map, IOPF_POLICY_DEFAULT);
}

static long unmap_dma(struct iopf_container *c, void __user *arg)
{
	const u32 flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP | VFIO_DMA_UNMAP_FLAG_ALL |
			  VFIO_DMA_UNMAP_FLAG_VADDR;
	size_t minsz = offsetofend(struct vfio_iommu_type1_dma_unmap, size);
	struct vfio_iommu_type1_dma_unmap unmap;
	struct vfio_bitmap bitmap = { };
	int ret;

	if (copy_from_user(&unmap, arg, minsz))
		return -EFAULT;
	if (unmap.argsz < minsz || unmap.flags & ~flags)
		return -EINVAL;
	if (unmap.flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP) {
		if (unmap.flags & ~VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP ||
		    unmap.argsz < minsz + sizeof(bitmap))
			return -EINVAL;
		if (copy_from_user(&bitmap, arg + minsz, sizeof(bitmap)))
			return -EFAULT;
		ret = iopf_dirty_check_bitmap(&bitmap, unmap.size);
		if (ret)
			return ret;
	}
	ret = iopf_dma_unmap(c, &unmap, &bitmap);
	if (ret)
		return ret;
	return copy_to_user(arg, &unmap, minsz) ? -EFAULT : 0;
}

static long dirty_get_bitmap(struct iopf_container *c, u32 argsz, void __user *arg)
{
	struct vfio_iommu_type1_dirty_bitmap_get get;
	size_t minsz = offsetofend(struct vfio_iommu_type1_dirty_bitmap, flags);
	u64 end;
	int ret;

	if (argsz - minsz < sizeof(get))
		return -EINVAL;
	if (copy_from_user(&get, arg + minsz, sizeof(get)))
		return -EFAULT;
	if ((get.iova | get.size) & ~PAGE_MASK || check_add_overflow(get.iova, get.size, &end))
		return -EINVAL;
	ret = iopf_dirty_check_bitmap(&get.bitmap, get.size);
	if (ret)
		return ret;
	return iopf_dirty_get(c, get.iova, get.size, &get.bitmap);
}

static long dirty_start_or_stop(struct iopf_container *c, bool start)
{
	long ret = 0;

	if (mutex_lock_killable(&c->space.lock))
		return -EINTR;
	if (start)
		ret = iopf_dirty_start(c);
	else
		iopf_dirty_stop(c);
	mutex_unlock(&c->space.lock);
	return ret;
}

static long dirty_pages(struct iopf_container *c, void __user *arg)
{
	size_t minsz = offsetofend(struct vfio_iommu_type1_dirty_bitmap, flags);
	struct vfio_iommu_type1_dirty_bitmap dirty;

	if (!c->v2)
		return -EACCES;
	if (copy_from_user(&dirty, arg, minsz))
		return -EFAULT;
	if (dirty.argsz < minsz)
		return -EINVAL;

	switch (dirty.flags) {
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_START:
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP:
		return dirty_start_or_stop(c, dirty.flags & VFIO_IOMMU_DIRTY_PAGES_FLAG_START);
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP:
		return dirty_get_bitmap(c, dirty.argsz, arg);
	}
	/* None, several, or unknown. */
	return -EINVAL;
}

/* These sizes are fixed: user space has been compiled with them. */
static_assert(sizeof(struct vfio_iopf_range) == 16);
static_assert(sizeof(struct vfio_iopf_prefault) == 32);
static_assert(sizeof(struct vfio_iopf_prefault_status) == 56);
static_assert(sizeof(struct vfio_iopf_working_set) == 24);
static_assert(sizeof(struct vfio_iopf_working_set_restore) == 40);
static_assert(sizeof(struct vfio_iopf_policy) == 40);
static_assert(sizeof(struct vfio_iopf_map_dma) == 40);
static_assert(sizeof(struct vfio_iopf_lock) == 32);
static_assert(sizeof(struct vfio_iopf_unlock) == 16);

/* Copy the request's number to the caller, then start the request, unless the copy has failed. */
static long prefault_start(struct iopf_prefault *p, u64 __user *id)
{
	long ret = -EFAULT;

	if (IS_ERR(p))
		return PTR_ERR(p);
	if (!copy_to_user(id, &(u64){ iopf_prefault_id(p) }, sizeof(*id)))
		ret = iopf_prefaults_start(p);
	iopf_prefault_put(p);
	return ret;
}

static long prefault(struct iopf_container *c, void __user *arg)
{
	const u32 access = VFIO_IOPF_PREFAULT_READ | VFIO_IOPF_PREFAULT_WRITE;
	struct vfio_iopf_prefault prefault;

	if (copy_from_user(&prefault, arg, sizeof(prefault)))
		return -EFAULT;
	if (prefault.argsz < sizeof(prefault) || !(prefault.flags & access) ||
	    prefault.flags & ~(access | VFIO_IOPF_PREFAULT_EVENTFD))
		return -EINVAL;
	return prefault_start(iopf_prefault_of_ranges(&c->space, &prefault),
			      arg + offsetof(struct vfio_iopf_prefault, id));
}

static long prefault_query(struct iopf_container *c, void __user *arg, bool cancel)
{
	struct vfio_iopf_prefault_status status;
	long ret;

	if (copy_from_user(&status, arg, sizeof(status)))
		return -EFAULT;
	if (status.argsz < sizeof(status) || status.flags)
		return -EINVAL;
	ret = iopf_prefaults_query(&c->space, &status, cancel);
	if (ret)
		return ret;
	return copy_to_user(arg, &status, sizeof(status)) ? -EFAULT : 0;
}

static long working_set_get(struct iopf_container *c, void __user *arg)
{
	struct vfio_iopf_working_set set;
	long ret;

	if (copy_from_user(&set, arg, sizeof(set)))
		return -EFAULT;
	if (set.argsz < sizeof(set) || set.flags & ~VFIO_IOPF_WORKING_SET_AGE)
		return -EINVAL;
	ret = iopf_workset_export(&c->space, &set);
	if (ret && ret != -ENOSPC)
		return ret;
	return copy_to_user(arg, &set, sizeof(set)) ? -EFAULT : ret;
}

static long working_set_put(struct iopf_container *c, void __user *arg)
{
	struct vfio_iopf_working_set_restore set;

	if (copy_from_user(&set, arg, sizeof(set)))
		return -EFAULT;
	if (set.argsz < sizeof(set) || set.flags & ~VFIO_IOPF_WORKING_SET_EVENTFD ||
	    set.reserved)
		return -EINVAL;
	return prefault_start(iopf_workset_import(&c->space, &set),
			      arg + offsetof(struct vfio_iopf_working_set_restore, id));
}

static long policy(struct iopf_container *c, void __user *arg)
{
	struct vfio_iopf_policy policy;
	long ret;

	if (copy_from_user(&policy, arg, sizeof(policy)))
		return -EFAULT;
	if (policy.argsz < sizeof(policy) || policy.flags & ~VFIO_IOPF_POLICY_GET)
		return -EINVAL;
	/* Check that the result can be copied out, before anything changes. */
	if (copy_to_user(arg, &policy, sizeof(policy)))
		return -EFAULT;
	ret = policy.flags ? iopf_policy_get(&c->space, &policy) :
			     iopf_policy_set(&c->space, &policy);
	if (ret)
		return ret;
	return copy_to_user(arg, &policy, sizeof(policy)) ? -EFAULT : 0;
}

static long map_dma_policy(struct iopf_container *c, void __user *arg)
{
	const u32 flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	struct vfio_iommu_type1_dma_map map;
	struct vfio_iopf_map_dma with;

	if (copy_from_user(&with, arg, sizeof(with)))
		return -EFAULT;
	if (with.argsz < sizeof(with) || with.flags & ~flags || with.reserved ||
	    with.policy > VFIO_IOPF_POLICY_PIN)
		return -EINVAL;
	map = (struct vfio_iommu_type1_dma_map){
		.flags = with.flags,
		.vaddr = with.vaddr,
		.iova = with.iova,
		.size = with.size,
	};
	return iopf_dma_map(c, &map, with.policy);
}

static long lock(struct iopf_container *c, void __user *arg)
{
	struct vfio_iopf_lock lock;
	bool complete;
	long ret;

	if (copy_from_user(&lock, arg, sizeof(lock)))
		return -EFAULT;
	complete = lock.flags & VFIO_IOPF_LOCK_COMPLETE;
	if (lock.argsz < sizeof(lock) || lock.flags & ~VFIO_IOPF_LOCK_COMPLETE)
		return -EINVAL;
	lock.id = 0;
	if (lock.size || !complete) {
		ret = iopf_lock_add(c, &lock);
		if (ret)
			return ret;
	}
	if (copy_to_user(arg, &lock, sizeof(lock))) {
		if (lock.id)
			iopf_lock_undo(c, lock.id);
		return -EFAULT;
	}
	return complete ? iopf_lock_complete(c, true) : 0;
}

static long unlock(struct iopf_container *c, void __user *arg)
{
	struct vfio_iopf_unlock unlock;
	bool incomplete;

	if (copy_from_user(&unlock, arg, sizeof(unlock)))
		return -EFAULT;
	incomplete = unlock.flags & VFIO_IOPF_UNLOCK_INCOMPLETE;
	if (unlock.argsz < sizeof(unlock) || unlock.flags & ~VFIO_IOPF_UNLOCK_INCOMPLETE ||
	    incomplete == !!unlock.id)
		return -EINVAL;
	return incomplete ? iopf_lock_complete(c, false) : iopf_lock_remove(c, unlock.id);
}

static long container_ioctl(struct iopf_container *c, unsigned int cmd, void __user *arg)
{
	switch (cmd) {
	case VFIO_IOMMU_GET_INFO:
		return get_info(c, arg);
	case VFIO_IOMMU_MAP_DMA:
		return map_dma(c, arg);
	case VFIO_IOMMU_UNMAP_DMA:
		return unmap_dma(c, arg);
	case VFIO_IOMMU_DIRTY_PAGES:
		return dirty_pages(c, arg);
	case VFIO_IOPF_PREFAULT:
		return prefault(c, arg);
	case VFIO_IOPF_PREFAULT_QUERY:
		return prefault_query(c, arg, false);
	case VFIO_IOPF_PREFAULT_CANCEL:
		return prefault_query(c, arg, true);
	case VFIO_IOPF_WORKING_SET_SAVE:
		return working_set_get(c, arg);
	case VFIO_IOPF_WORKING_SET_RESTORE:
		return working_set_put(c, arg);
	case VFIO_IOPF_POLICY:
		return policy(c, arg);
	case VFIO_IOPF_MAP_DMA:
		return map_dma_policy(c, arg);
	case VFIO_IOPF_LOCK:
		return lock(c, arg);
	case VFIO_IOPF_UNLOCK:
		return unlock(c, arg);
	}
	return -ENOTTY;
}

static long type1_ioctl(void *data, unsigned int cmd, unsigned long arg)
{
	struct iopf_container *c;
	long ret;

	/* The core holds its lock if it asks about a container. @data is NULL without one. */
	if (cmd == VFIO_CHECK_EXTENSION)
		return check_extension(data ? iopf_container_of(data) : NULL, arg);
	c = iopf_container_get(data);
	/* The error that the core returns for a file without a backend. */
	if (!c)
		return -EINVAL;
	ret = container_ioctl(c, cmd, (void __user *)arg);
	iopf_pin_settle(&c->space);
	iopf_container_put(c);
	return ret;
}

/* The functions that the VFIO core calls. front.c registers them. */
const struct vfio_iommu_driver_ops iopf_type1_ops = {
	.name = IOPF_DRIVER_NAME,
	.owner = THIS_MODULE,
	.open = type1_open,
	.release = type1_release,
	.ioctl = type1_ioctl,
	.attach_group = type1_attach_group,
	.detach_group = type1_detach_group,
	.pin_pages = type1_pin_pages,
	.unpin_pages = type1_unpin_pages,
	.register_device = type1_register_device,
	.unregister_device = type1_unregister_device,
	.dma_rw = type1_dma_rw,
	.group_iommu_domain = type1_group_domain,
};
