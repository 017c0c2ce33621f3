// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO_IOMMU_MAP_DMA and VFIO_IOMMU_UNMAP_DMA.
 *
 * The order of the checks and their results are those of stock type1.
 * docs/internals/compat.md lists the intended differences.
 *
 * Changing the CPU address of a range (VFIO_DMA_*_FLAG_VADDR, for a VMM that is replaced by a new
 * one under a running guest): unmapping with the flag freezes the areas; devices go on with what
 * is mapped, and their faults wait. Mapping with the flag gives the area its new
 * address, and the faults go on there. When the old process ends in between, what was not
 * pinned is unmapped with it; the memory itself is the user's to keep (memfd).
 *
 * Unmapping what emulated devices have pinned: their drivers are told first, without the lock, so
 * afterwards everything is looked at anew. Meanwhile nothing is pinned in the
 * areas that are leaving. A driver that does not unpin after several notifications is given up,
 * area by area.
 *
 * Unmapping with a report of dirty pages: the areas are frozen first, so that nothing is
 * written between the report and the end. If user space can't take the report, they thaw and
 * nothing has happened. MAP_DMA of such an area, which still pins its memory, waits for the end of
 * the report; see map_pin().
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

/* How often drivers of emulated devices are asked to unpin before they are given up. */
#define NOTIFY_ATTEMPTS 10

static u64 container_pgsize(const struct iopf_container *c)
{
	return BIT_ULL(__ffs64(c->pgsizes));
}

/* Whether all that is to be pinned of an area is, or -EAGAIN. */
static int map_held(struct iopf_container *c, struct iopf_area *area)
{
	int ret = c->pins.pinners ? iopf_hold_area(area) : 0;

	ret = ret ?: iopf_mediate_area(area);
	return ret ?: iopf_hold_fill(area, &area->range);
}

/* An area that is there, but whose memory has still to be pinned. */
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

	/* It was mapped, and somebody has unmapped it. */
	if (!area)
		return 0;
	iopf_hold_area_renew(area);
	ret = map_held(c, area);
	if (!ret)
		area->coming = false;
	return ret;
}

/*
 * Wait until another thread has made the last report of the area, and unmaps it. The lock is
 * dropped meanwhile. 0, or -EINTR.
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
 * Pin the memory of a new area, which waits for user space. Other threads see the area already.
 * When one of them unmaps it, the mapping has been made, and is gone. This also holds while that
 * thread makes the area's last report of dirty pages: nothing can be pinned then, and the report
 * may fail, after which the area stays.
 */
static int map_pin(struct iopf_container *c, struct iopf_area *area)
{
	struct map_commit commit = { .first = area->range.first, .id = area->id };
	LIST_HEAD(gone);
	int ret;

	area->coming = true;
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

	/* Released since the caller looked; see container.c. */
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
	 * The error that pinning would have found; it finds it itself where it is done. A container
	 * of emulated devices only touches no memory until they do, as in type1.
	 */
	if (!list_empty(&c->attaches) && !c->pins.pinners && memory)
		return memory;

	if ((policy ?: c->pins.policies.base) == IOPF_POLICY_PREFAULT) {
		p = iopf_prefault_of_policy(&c->space, range);
		/* By default it is a hint. */
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

/* Give an area its new CPU address, and the caller what was charged for it. */
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
	/* Whoever makes its last report has it frozen, too. */
	if (!area->reported)
		iopf_area_thaw(area);
	if (area->mmio)
		iopf_space_repair(&c->space);
	return 0;
}

/* @memory: whether it exists and permits that, as of iopf_mm_check(). */
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
 * @policy: what the range gets, unless it is there already; IOPF_POLICY_DEFAULT: none of its own
 *
 * Return: 0; -EINVAL for a bad range or one that is not usable; -EEXIST when it
 * overlaps an area; -ENOSPC when there are dma_entry_limit areas;
 * -EFAULT without memory or permission at the CPU address; -ENODEV without
 * an mm; where it is to be pinned, also the errors of iopf_pin_run(); -EBUSY when too much is to
 * be prefaulted. With
 * VFIO_DMA_MAP_FLAG_VADDR: 0; -ENOENT without an area; -EINVAL when it is not exactly that, or its
 * address is valid; -ENOMEM over the new owner's RLIMIT_MEMLOCK.
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

	/* What takes the lock of the process's address space comes before the container's lock. */
	if (!set_vaddr && current->mm && !iopf_range_init(&va, map->vaddr, map->size))
		memory = iopf_mm_check(current->mm, va.first, va.last, prot);
	do {
		ret = iopf_mms_follow(&c->space);
		if (ret)
			return ret;
		ret = map_locked(c, map, prot, policy, memory);
		mutex_unlock(&c->space.lock);
		/* The address space is in use. */
		if (ret == -EAGAIN && mmap_write_lock_killable(current->mm))
			return -EINTR;
		if (ret == -EAGAIN)
			mmap_write_unlock(current->mm);
	} while (ret == -EAGAIN);
	return ret;
}

/*
 * The areas that unmapping a range is about, one after the other. @reported: those of the last
 * report only.
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
		/* Mapped since the report was begun. */
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
 * Tell drivers of emulated devices to unpin, of one area after the other, in which nothing is
 * pinned from here on. The lock is dropped: true means look again. What the next look finds is
 * what has come meanwhile, or what drivers have left.
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
		/* It may be gone afterwards. The next begins after it, whatever has changed. */
		iopf_emulated_notify_unmap(&c->space, area);
		told = true;
		v->index = last + 1;
	}
	return told;
}

/* Unmapping has failed: the areas stay. */
static void keep_victims(struct victims *v)
{
	struct iopf_area *area;

	for (area = victims_first(v); area; area = victims_next(v))
		area->leaving = false;
}

/*
 * The last report of the areas, which are frozen from here on unless it fails. The lock is dropped
 * meanwhile: others may unmap them, and what they map in between is none of ours.
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
	/* Nobody uses the old addresses any more; see iopf_area_rebase(). */
	if (*size)
		synchronize_rcu();
	iopf_area_forget_vaddr(&c->space);
	return 0;
}

/* What has to be right whenever the lock has been taken. */
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

/* Have nobody else use the areas: drivers unpin what they have pinned, and end their copies. */
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

/* Remove the areas. -EINTR: the owner is dying; the container takes along those that are left. */
static int unmap_remove(struct iopf_container *c, struct vfio_iommu_type1_dma_unmap *unmap,
			struct victims *v)
{
	struct iopf_area *area;
	unsigned int n = 0;
	LIST_HEAD(gone);

	for (area = victims_first(v); area; area = victims_next(v)) {
		unmap->size += iopf_area_size(area);
		list_add_tail(&area->gone, &gone);
		/* Those that have been mapped since the report lie in between, and stay. */
		if (++n % IOPF_REMOVE_BATCH && !v->reported)
			continue;
		iopf_container_remove_areas(c, &gone);
		/* Who is dying learns nothing of it, and the rest goes with the container. */
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
 * When this returns no device reaches the memory any more (or, with VFIO_DMA_UNMAP_FLAG_VADDR, none
 * uses the CPU address), and no memory is populated there for one, but for the page that somebody
 * is in the middle of.
 *
 * Return: 0; -EINVAL for a bad range, one that cuts an area (v2), when writes are not tracked, or
 * when an address is invalid already; -EBUSY when addresses can't be invalid, because of an
 * emulated device; -EFAULT; -EINTR. On error nothing has changed, but that a caller that is killed
 * may leave a part of the range mapped.
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
