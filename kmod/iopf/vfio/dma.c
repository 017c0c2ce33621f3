// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO_IOMMU_MAP_DMA and VFIO_IOMMU_UNMAP_DMA.
 *
 * The order of the checks and their results are those of stock type1.
 * docs/internals/compat.md lists the intended differences.
 *
 * Changing the CPU address of a range (VFIO_DMA_*_FLAG_VADDR, for a VMM that is replaced by a new
 * one under a running guest): unmapping with the flag freezes the areas. Devices continue to use
 * the pages that are mapped, and their faults wait. Mapping with the flag gives the area its new
 * address, and the faults are handled there. If the old process ends in between, its pages that
 * are not pinned are unmapped. User space must keep the memory itself (memfd).
 *
 * Unmapping pages that emulated devices have pinned: their drivers are notified first, without the
 * lock. So afterwards all checks are made again. Meanwhile nothing is pinned in the areas that are
 * leaving. If a driver does not unpin after several notifications, its pins in that area are
 * forgotten, and the pages stay pinned for good.
 *
 * Unmapping with a report of dirty pages: the areas are frozen first, so that no device writes
 * after the report. If copying the report to user space fails, the areas thaw and nothing has
 * changed. A MAP_DMA that is still pinning the memory of such an area waits for the end of the
 * report; see map_pin().
 *
 * Locking: the container's lock.
 */
#include <linux/capability.h>
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/vfio.h>

#include "../host/mm.h"
#include "../lib/tree.h"
#include "../map/area.h"
#include "../map/mms.h"
#include "../pin/charge.h"
#include "../pin/emulated.h"
#include "../pin/hold.h"
#include "../pin/pin.h"
#include "../pin/policy.h"
#include "../prefault/request.h"
#include "../prefault/requests.h"
#include "container.h"
#include "dirty.h"
#include "dma.h"
#include "mediate.h"

/* How often drivers of emulated devices are asked to unpin before their pins are forgotten. */
#define NOTIFY_ATTEMPTS 10

static u64 container_pgsize(const struct iopf_container *c)
{
	return BIT_ULL(__ffs64(c->pgsizes));
}

/* Require that all pages of an area that must be pinned are. -EAGAIN: some are not yet. */
static int map_held(struct iopf_container *c, struct iopf_area *area)
{
	int ret = c->pins.pinners ? iopf_hold_area(area) : 0;

	ret = ret ?: iopf_mediate_area(area);
	return ret ?: iopf_hold_require(area, &area->range);
}

/* A published area whose memory must still be pinned. */
struct map_commit {
	u64 first;
	u64 id;
};

static struct iopf_area *commit_area(struct iopf_container *c, const struct map_commit *commit)
{
	struct iopf_area *area = mtree_load(&c->space.areas, commit->first);

	return area && area->id == commit->id ? area : NULL;
}

static int map_commit(struct iopf_space *space, void *data)
{
	struct iopf_container *c = iopf_space_container(space);
	struct iopf_area *area = commit_area(c, data);
	int ret;

	/* Another thread has unmapped the area. The mapping had been made. */
	if (!area)
		return 0;
	iopf_hold_area_renew(area);
	ret = map_held(c, area);
	if (!ret)
		area->incomplete = false;
	return ret;
}

/*
 * Wait until another thread, which unmaps the area, has made its last report of dirty pages. Drops
 * the container's lock meanwhile. Return 0 or -EINTR.
 */
static int map_wait_report(struct iopf_container *c)
{
	int ret;

	iopf_space_unlock_to_wait(&c->space);
	ret = mutex_lock_killable(&c->reporting);
	if (!ret)
		mutex_unlock(&c->reporting);
	iopf_space_relock(&c->space);
	return ret;
}

/*
 * Pin the memory of a new area. This waits for user space. Other threads see the area already. If
 * one of them unmaps the area, mapping it has succeeded. While that thread makes the area's last
 * report of dirty pages, nothing can be pinned. The report may fail, and then the area stays. So
 * wait for the end of the report.
 */
static int map_pin(struct iopf_container *c, struct iopf_area *area)
{
	struct map_commit commit = { .first = area->range.first, .id = area->id };
	LIST_HEAD(gone);
	int ret;

	area->incomplete = true;
	do {
		ret = iopf_pin_run(&c->space, map_commit, &commit);
		area = commit_area(c, &commit);
		if (ret != -EBUSY || !area || !area->reported)
			break;
		ret = map_wait_report(c);
	} while (!ret);
	if (ret) {
		area = commit_area(c, &commit);
		if (area)
			list_add(&area->gone, &gone);
		iopf_container_remove_areas(c, &gone);
	}
	return ret;
}

static int map_area(struct iopf_container *c, const struct iopf_range *range,
		    const struct iopf_range *va, int prot, enum iopf_policy policy)
{
	struct iopf_area *area;
	struct iopf_mm *mm;
	LIST_HEAD(gone);
	bool wait;
	int ret = 0;

	iopf_mms_reap(&c->space);
	mm = iopf_mms_get(&c->space, current->mm);
	if (IS_ERR(mm))
		return PTR_ERR(mm);
	area = iopf_area_create(&c->space, mm, range, va->first, prot);
	if (IS_ERR(area))
		return PTR_ERR(area);
	c->dma_avail--;
	if (policy != IOPF_POLICY_DEFAULT)
		ret = iopf_policy_store(&c->space, range, policy);
	if (!ret)
		ret = map_held(c, area);
	wait = ret == -EAGAIN;
	if (!ret || wait)
		ret = iopf_tree_store(&c->space.areas, range->first, range->last, area, false);
	if (!ret) {
		WRITE_ONCE(c->space.nr_areas, c->space.nr_areas + 1);
		WRITE_ONCE(c->space.area_pages, c->space.area_pages + iopf_area_pages(area));
		return wait ? map_pin(c, area) : 0;
	}

	iopf_hold_area_end(area);
	list_add(&area->gone, &gone);
	iopf_areas_destroy(&gone);
	c->dma_avail++;
	return ret;
}

static int map_new(struct iopf_container *c, const struct iopf_range *range,
		   const struct iopf_range *va, int prot, enum iopf_policy policy, int memory)
{
	struct iopf_prefault *p = NULL;
	int ret;

	/* The container was released after the caller looked it up; see container.c. */
	if (iopf_space_groupless(&c->space))
		return -EINVAL;
	if (!c->dma_avail)
		return -ENOSPC;
	if (!iopf_iovas_contain(c->iovas, range))
		return -EINVAL;
	if (c->space.tracking && (range->last - range->first) >> PAGE_SHIFT >= IOPF_DIRTY_PAGES_MAX)
		return -EINVAL;
	if (!current->mm)
		return -ENODEV;
	/*
	 * Return the error that stock type1 would find when it pins. Where this module pins, too,
	 * pinning finds the error itself. A container with emulated devices only touches no memory
	 * before its devices do, as in type1.
	 */
	if (!list_empty(&c->attaches) && !c->pins.pinners && memory)
		return memory;

	if ((policy ?: c->pins.policies.base) == IOPF_POLICY_PREFAULT) {
		p = iopf_prefault_of_policy(&c->space, range);
		/* If prefaulting is the default policy, it is a hint and may fail. */
		if (IS_ERR(p) && policy != IOPF_POLICY_DEFAULT)
			return PTR_ERR(p);
	}
	ret = map_area(c, range, va, prot, policy);
	if (!IS_ERR_OR_NULL(p)) {
		if (!ret)
			iopf_prefaults_start_policy(p);
		iopf_prefault_put(p);
	}
	return ret;
}

/* Give an area its new CPU address, and move its charges to the caller. */
static int map_vaddr(struct iopf_container *c, struct iopf_area *area, unsigned long vaddr)
{
	struct task_struct *task = current->group_leader;
	bool lock_cap = capable(CAP_IPC_LOCK);
	struct iopf_mm *mm = iopf_mms_get(&c->space, current->mm);
	int ret;

	if (IS_ERR(mm))
		return PTR_ERR(mm);
	if (mm != area->mm) {
		ret = iopf_pin_charge_new_owner(area, task, mm->mm, lock_cap);
		if (ret) {
			iopf_mm_put(mm);
			return ret;
		}
		put_task_struct(area->task);
		area->task = get_task_struct(task);
		area->lock_cap = lock_cap;
	}
	c->space.serial++;
	iopf_area_rebase(area, mm, vaddr);
	area->vaddr_invalid = false;
	c->space.vaddr_invalid--;
	/* A thread that makes the area's last report keeps it frozen. */
	if (!area->reported)
		iopf_area_thaw(area);
	if (area->mmio)
		iopf_space_repair(&c->space);
	return 0;
}

/* @memory: the result of iopf_mm_check() for the CPU addresses. */
static int map_locked(struct iopf_container *c, const struct vfio_iommu_type1_dma_map *map,
		      int prot, enum iopf_policy policy, int memory)
{
	struct iopf_range range, va;
	struct iopf_area *area;
	unsigned long index;

	lockdep_assert_held(&c->space.lock);

	if ((map->size | map->iova | map->vaddr) & (container_pgsize(c) - 1))
		return -EINVAL;
	if (iopf_range_init(&range, map->iova, map->size) ||
	    iopf_range_init(&va, map->vaddr, map->size))
		return -EINVAL;
	index = range.first;
	area = mt_find(&c->space.areas, &index, range.last);
	if (!(map->flags & VFIO_DMA_MAP_FLAG_VADDR))
		return area ? -EEXIST : map_new(c, &range, &va, prot, policy, memory);
	if (!area)
		return -ENOENT;
	if (!area->vaddr_invalid || area->range.first != range.first ||
	    area->range.last != range.last)
		return -EINVAL;
	return map_vaddr(c, area, va.first);
}

/**
 * iopf_dma_map() - VFIO_IOMMU_MAP_DMA
 * @c: the container
 * @map: argsz and flags have been checked
 * @policy: the policy of the new range; IOPF_POLICY_DEFAULT: it gets none of its own
 *
 * Return: 0; -EINVAL for a bad range or one that is not usable; -EEXIST when it overlaps an area;
 * -ENOSPC when there are dma_entry_limit areas; -EFAULT without memory or permission at the CPU
 * address; -ENODEV without an mm; if the range must be pinned, also the errors of iopf_pin_run();
 * -EBUSY when too many prefault requests are in progress.
 *
 * Return with VFIO_DMA_MAP_FLAG_VADDR: 0; -ENOENT without an area; -EINVAL when the range is not
 * exactly one area, or the area's address is valid; -ENOMEM over the new owner's RLIMIT_MEMLOCK.
 */
int iopf_dma_map(struct iopf_container *c, const struct vfio_iommu_type1_dma_map *map,
		 enum iopf_policy policy)
{
	bool set_vaddr = map->flags & VFIO_DMA_MAP_FLAG_VADDR;
	int prot = 0, memory = 0, ret;
	struct iopf_range va;

	if (map->flags & VFIO_DMA_MAP_FLAG_WRITE)
		prot |= IOMMU_WRITE;
	if (map->flags & VFIO_DMA_MAP_FLAG_READ)
		prot |= IOMMU_READ;
	if (!prot == !set_vaddr)
		return -EINVAL;

	/* This takes the mmap lock of the process, which comes before the container's lock. */
	if (!set_vaddr && current->mm && !iopf_range_init(&va, map->vaddr, map->size))
		memory = iopf_mm_check(current->mm, va.first, va.last, prot);
	do {
		ret = iopf_mms_follow(&c->space);
		if (ret)
			return ret;
		ret = map_locked(c, map, prot, policy, memory);
		mutex_unlock(&c->space.lock);
		/* Charging found the mmap lock taken. Wait for the lock, then try again. */
		if (ret == -EAGAIN && mmap_write_lock_killable(current->mm))
			return -EINTR;
		if (ret == -EAGAIN)
			mmap_write_unlock(current->mm);
	} while (ret == -EAGAIN);
	return ret;
}

/*
 * An iterator over the areas that unmapping a range removes. @reported: return only areas of the
 * last report.
 */
struct victims {
	struct iopf_container *c;
	struct iopf_range range;
	bool cut_ok;
	bool done;
	bool reported;
	unsigned long index;
};

static struct iopf_area *victims_next(struct victims *v)
{
	struct iopf_area *area;

	do {
		if (v->done)
			return NULL;
		cond_resched();
		area = mt_find(&v->c->space.areas, &v->index, v->range.last);
		if (!area)
			return NULL;
		/* Type 1: a range that starts inside an area unmaps nothing. */
		if (!v->cut_ok && !v->reported && v->range.first > area->range.first)
			return NULL;
		v->index = area->range.last + 1;
		v->done = area->range.last >= v->range.last;
		/* Skip areas that were mapped after the report began. */
	} while (v->reported && !area->reported);
	return area;
}

static struct iopf_area *victims_first(struct victims *v)
{
	v->index = v->range.first;
	v->done = false;
	return victims_next(v);
}

/*
 * Tell drivers of emulated devices to unpin, one area after the other. From here on nothing new is
 * pinned in these areas. Return true if the lock was dropped: the caller must look again. The next
 * look finds areas that were mapped meanwhile, and pins that drivers have left.
 */
static bool release_pins(struct iopf_container *c, struct victims *v)
{
	struct iopf_area *area;
	bool told = false;

	for (area = victims_first(v); area; area = victims_next(v)) {
		u64 last = area->range.last;

		area->leaving = true;
		if (xa_empty(&area->pins)) {
			area->notifications = 0;
			continue;
		}
		if (area->notifications++ == NOTIFY_ATTEMPTS) {
			iopf_emulated_abandon(area);
			continue;
		}
		/* The area may be gone afterwards. Continue at the address after its end. */
		iopf_emulated_notify_unmap(&c->space, area);
		told = true;
		v->index = last + 1;
	}
	return told;
}

/* Keep the areas, since unmapping has failed. */
static void keep_victims(struct victims *v)
{
	struct iopf_area *area;

	for (area = victims_first(v); area; area = victims_next(v))
		area->leaving = false;
}

/*
 * Make the last report of the areas. They stay frozen, unless the report fails. The lock is dropped
 * meanwhile: other threads may unmap these areas. Areas that they map meanwhile are not part of
 * this unmapping.
 */
static int report_victims(struct iopf_container *c, struct victims *v,
			  const struct vfio_bitmap *bitmap)
{
	struct iopf_area *area;
	int ret;

	for (area = victims_first(v); area; area = victims_next(v)) {
		iopf_area_freeze(area);
		area->reported = true;
	}
	ret = iopf_dirty_report(c, &v->range, bitmap->data, true);
	v->reported = true;
	if (!ret)
		return 0;
	iopf_dirty_report_end(c, &v->range, true, false);
	for (area = victims_first(v); area; area = victims_next(v)) {
		area->reported = false;
		if (!area->vaddr_invalid)
			iopf_area_thaw(area);
	}
	v->reported = false;
	return ret;
}

static int invalidate_vaddr(struct iopf_container *c, struct victims *v, u64 *size)
{
	struct iopf_area *area;

	for (area = victims_first(v); area; area = victims_next(v))
		if (area->vaddr_invalid)
			return -EINVAL;
	for (area = victims_first(v); area; area = victims_next(v)) {
		c->space.serial++;
		area->vaddr_invalid = true;
		c->space.vaddr_invalid++;
		iopf_area_freeze(area);
		*size += iopf_area_size(area);
	}
	/* After this no reader uses the old addresses; see iopf_area_rebase(). */
	if (*size)
		synchronize_rcu();
	iopf_area_forget_vaddr(&c->space);
	return 0;
}

/* Check the arguments against the container. Needed again whenever the lock has been dropped. */
static int unmap_check(struct iopf_container *c, const struct vfio_iommu_type1_dma_unmap *unmap,
		       u64 iova, u64 size, struct victims *v)
{
	bool all = unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL;
	bool dirty = unmap->flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	u64 pgmask = container_pgsize(c) - 1;

	if (iova & pgmask)
		return -EINVAL;
	if (all ? iova || size : (size & pgmask) || iopf_range_init(&v->range, iova, size))
		return -EINVAL;
	if (dirty && !c->space.tracking)
		return -EINVAL;
	return c->v2 && !all && iopf_container_bisected(c, &v->range) ? -EINVAL : 0;
}

/* Wait until drivers of emulated devices have unpinned, and their copies have ended. */
static int unmap_release(struct iopf_container *c,
			 const struct vfio_iommu_type1_dma_unmap *unmap, u64 iova, u64 size,
			 struct victims *v)
{
	int ret;

	do {
		while (release_pins(c, v)) {
			ret = unmap_check(c, unmap, iova, size, v);
			if (ret)
				return ret;
		}
		ret = iopf_emulated_wait(&c->space, &v->range);
		if (ret > 0 && unmap_check(c, unmap, iova, size, v))
			return -EINVAL;
	} while (ret > 0);
	return ret;
}

/* Remove the areas. -EINTR: the caller is killed. The container's release removes the rest. */
static int unmap_remove(struct iopf_container *c, struct vfio_iommu_type1_dma_unmap *unmap,
			struct victims *v)
{
	struct iopf_area *area;
	unsigned int n = 0;
	LIST_HEAD(gone);

	for (area = victims_first(v); area; area = victims_next(v)) {
		unmap->size += iopf_area_size(area);
		list_add_tail(&area->gone, &gone);
		/* Areas that were mapped after the report may lie in between. They stay. */
		if (++n % IOPF_REMOVE_BATCH && !v->reported)
			continue;
		iopf_container_remove_areas(c, &gone);
		/* A killed caller sees no result. The rest is removed with the container. */
		if (!v->reported && fatal_signal_pending(current))
			return -EINTR;
	}
	iopf_container_remove_areas(c, &gone);
	return 0;
}

static int unmap_locked(struct iopf_container *c, struct vfio_iommu_type1_dma_unmap *unmap,
			u64 iova, u64 size, const struct vfio_bitmap *bitmap)
{
	bool vaddr = unmap->flags & VFIO_DMA_UNMAP_FLAG_VADDR;
	bool dirty = unmap->flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	struct victims v = { .c = c, .range = { .first = 0, .last = U64_MAX }, .cut_ok = c->v2 };
	int ret;

	lockdep_assert_held(&c->space.lock);

	if (vaddr && c->space.emulated_groups)
		return -EBUSY;
	ret = unmap_check(c, unmap, iova, size, &v);
	if (ret)
		return ret;
	if (vaddr)
		return invalidate_vaddr(c, &v, &unmap->size);
	ret = unmap_release(c, unmap, iova, size, &v);
	if (!ret && dirty)
		ret = report_victims(c, &v, bitmap);
	if (!ret)
		ret = unmap_remove(c, unmap, &v);
	if (ret)
		keep_victims(&v);
	return ret;
}

/**
 * iopf_dma_unmap() - VFIO_IOMMU_UNMAP_DMA
 * @c: the container
 * @unmap: argsz and flags have been checked; size: out: bytes unmapped
 * @bitmap: with VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, checked
 *
 * When this returns, no device can access the memory any more. With VFIO_DMA_UNMAP_FLAG_VADDR no
 * fault uses the CPU address any more. No memory is populated there for a device, except for a
 * page that a worker is populating at this moment.
 *
 * Return: 0; -EINVAL for a bad range, a range that cuts an area (v2), when writes are not tracked,
 * or when an address is invalid already; -EBUSY when addresses can't be invalid, because of an
 * emulated device; -EFAULT; -EINTR. On error nothing has changed, except that a part of the range
 * may stay mapped if the caller is killed.
 */
int iopf_dma_unmap(struct iopf_container *c, struct vfio_iommu_type1_dma_unmap *unmap,
		   const struct vfio_bitmap *bitmap)
{
	bool report = unmap->flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	u64 size = unmap->size;
	int ret;

	unmap->size = 0;
	if (report && mutex_lock_killable(&c->reporting))
		return -EINTR;
	ret = mutex_lock_killable(&c->space.lock);
	if (!ret) {
		ret = unmap_locked(c, unmap, unmap->iova, size, bitmap);
		mutex_unlock(&c->space.lock);
	}
	if (report)
		mutex_unlock(&c->reporting);
	return ret;
}
