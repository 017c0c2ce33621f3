// SPDX-License-Identifier: GPL-2.0-only
/*
 * Containers: the address space that a set of devices shares.
 *
 * VFIO_SET_IOMMU makes a container. Groups are attached to it, ranges are mapped and unmapped, and
 * the container is released when its last group leaves. Mapping only records the range. Devices
 * fault in the pages that they use. While a group that can't fault (a "pinner") is attached, every
 * area is pinned, as in stock type1. Parts may be pinned for other reasons: pin/hold.c.
 *
 * Invariants, under the container's lock:
 *  - areas lie in usable addresses;
 *  - each area is pinned as a whole if and only if there are pinners;
 *  - a page is pinned if and only if there are pinners, or pin/hold.c requires it.
 *
 * Teardown: all groups have been detached (by the VFIO core, or because attaching failed), so no
 * fault is in progress. Unmap all; unregister notifiers; free.
 *
 * ioctl vs teardown: the VFIO core calls the backend for an ioctl without any lock, with a value
 * that it read earlier. Meanwhile another thread may detach the last group, which releases the
 * container, or give the file another container. So the core's value is not a pointer but a
 * number, which is never used again. An ioctl looks the number up (iopf_container_get()), and then
 * holds a reference to the container and to the module. If the container has been released
 * meanwhile, the ioctl has no effect: the container has no areas, and without groups nothing can
 * be mapped.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poison.h>
#include <linux/slab.h>
#include <linux/vfio.h>
#include <linux/xarray.h>

#include "../fault/quota.h"
#include "../host/pool.h"
#include "../lib/params.h"
#include "../lib/tree.h"
#include "../map/area.h"
#include "../map/domains.h"
#include "../map/mms.h"
#include "../pin/emulated.h"
#include "../pin/hold.h"
#include "../pin/pin.h"
#include "container.h"
#include "part.h"

/* Containers by id, from creation to release; an entry without a container is reserved. */
static DEFINE_XARRAY_ALLOC1(iopf_containers);
static u32 iopf_container_next;
static struct kobject *iopf_containers_kobj;
/* The parts of each container. */
static const struct iopf_part *container_parts;
static unsigned int container_nr_parts;

static ssize_t container_attr_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	return container_of_const(attr, struct iopf_container_attr, attr)
		->show(container_of(kobj, struct iopf_container, kobj), buf);
}

static ssize_t container_attr_store(struct kobject *kobj, struct attribute *attr,
				    const char *buf, size_t count)
{
	const struct iopf_container_attr *a =
		container_of_const(attr, struct iopf_container_attr, attr);

	return a->store ? a->store(container_of(kobj, struct iopf_container, kobj), buf, count)
			: -EIO;
}

static const struct sysfs_ops container_sysfs_ops = {
	.show = container_attr_show,
	.store = container_attr_store,
};

static int parts_init(struct iopf_container *c)
{
	int ret = 0;

	for (unsigned int i = 0; !ret && i < container_nr_parts; i++)
		if (container_parts[i].init)
			ret = container_parts[i].init(c);
	return ret;
}

/* Unpublish the first @nr parts. */
static void parts_unpublish(struct iopf_container *c, unsigned int nr)
{
	while (nr--)
		if (container_parts[nr].unpublish)
			container_parts[nr].unpublish(c);
}

static int part_publish(struct iopf_container *c, const struct iopf_part *part)
{
	int ret = 0;

	if (part->attrs)
		ret = sysfs_create_files(&c->kobj, (const struct attribute *const *)part->attrs);
	return !ret && part->publish ? part->publish(c) : ret;
}

/* Add the container's directory, with the files of all parts. */
static int parts_publish(struct iopf_container *c)
{
	int ret = kobject_add(&c->kobj, iopf_containers_kobj, "%u", c->id);

	if (ret)
		return ret;
	for (unsigned int i = 0; i < container_nr_parts; i++) {
		ret = part_publish(c, &container_parts[i]);
		if (ret) {
			parts_unpublish(c, i);
			kobject_del(&c->kobj);
			return ret;
		}
	}
	return 0;
}

/* End the activity of the parts. Their memory stays until they are freed. */
static void parts_end(struct iopf_container *c)
{
	for (unsigned int i = container_nr_parts; i--;)
		if (container_parts[i].end)
			container_parts[i].end(c);
}

static void parts_stop(struct iopf_container *c)
{
	for (unsigned int i = container_nr_parts; i--;)
		if (container_parts[i].stop)
			container_parts[i].stop(c);
}

static void container_free(struct kobject *kobj)
{
	struct iopf_container *c = container_of(kobj, struct iopf_container, kobj);

	for (unsigned int i = container_nr_parts; i--;)
		if (container_parts[i].free)
			container_parts[i].free(c);
	mutex_destroy(&c->reporting);
	mutex_destroy(&c->setting);
	kfree(c->iovas);
	iopf_owner_end(&c->owner);
	kfree(c);
}

static const struct kobj_type container_ktype = {
	.sysfs_ops = &container_sysfs_ops,
	.release = container_free,
};

/**
 * iopf_containers_init() - add the directory for containers
 * @root: its parent
 * @parts: the parts of each container; the last entry has no name
 *
 * Return: 0 or -ENOMEM.
 */
int iopf_containers_init(struct kobject *root, const struct iopf_part *parts)
{
	container_parts = parts;
	container_nr_parts = 0;
	while (parts[container_nr_parts].name)
		container_nr_parts++;
	iopf_containers_kobj = kobject_create_and_add("containers", root);
	return iopf_containers_kobj ? 0 : -ENOMEM;
}

void iopf_containers_exit(void)
{
	kobject_put(iopf_containers_kobj);
	WARN_ON(!xa_empty(&iopf_containers));
}

/* Record the owner, and set the fields that belong to no part. */
static void container_init(struct iopf_container *c, bool v2)
{
	c->pid = task_tgid_nr(current);
	get_task_comm(c->comm, current->group_leader);
	iopf_owner_init(&c->owner);
	c->v2 = v2;
	c->dma_avail = READ_ONCE(iopf_dma_entry_limit);
	c->pgsizes = PAGE_MASK;
	mutex_init(&c->setting);
	mutex_init(&c->reporting);
	INIT_LIST_HEAD(&c->attaches);
	kobject_init(&c->kobj, &container_ktype);
}

/**
 * iopf_container_create() - a container without groups
 * @v2: VFIO_TYPE1v2_IOMMU rather than VFIO_TYPE1_IOMMU
 *
 * Return: the container or an error pointer.
 */
struct iopf_container *iopf_container_create(bool v2)
{
	struct iopf_container *c = kzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!c)
		return ERR_PTR(-ENOMEM);
	ret = xa_alloc_cyclic(&iopf_containers, &c->id, NULL, xa_limit_31b, &iopf_container_next,
			      GFP_KERNEL);
	if (ret < 0) {
		kfree(c);
		return ERR_PTR(ret);
	}
	container_init(c, v2);
	c->iovas = kzalloc(struct_size(c->iovas, range, 0), GFP_KERNEL_ACCOUNT);
	ret = c->iovas ? parts_init(c) : -ENOMEM;
	if (ret)
		goto err_put;
	ret = parts_publish(c);
	if (ret)
		goto err_stop;
	/* The entry was reserved above, so this can't fail. */
	xa_store(&iopf_containers, c->id, c, GFP_KERNEL);
	return c;

err_stop:
	parts_end(c);
	parts_stop(c);
err_put:
	xa_erase(&iopf_containers, c->id);
	kobject_put(&c->kobj);
	return ERR_PTR(ret);
}

/**
 * iopf_container_data() - the value by which the VFIO core knows a container
 * @c: the container
 *
 * The core may pass a stale value after a race with the release, even to another backend. An
 * address could then be the address of other memory. This value is an invalid pointer instead.
 *
 * Return: the number of the container, as a pointer that is neither an error pointer nor a valid
 * address.
 */
void *iopf_container_data(const struct iopf_container *c)
{
	return (void *)(POISON_POINTER_DELTA + c->id);
}

/**
 * iopf_container_of() - the container of a call that the VFIO core makes under its own locks
 * @data: of iopf_container_data()
 *
 * Return: the container. It can't be released during the call.
 */
struct iopf_container *iopf_container_of(void *data)
{
	return xa_load(&iopf_containers, (unsigned long)data - POISON_POINTER_DELTA);
}

/**
 * iopf_container_get() - the container of a call that may race with the container's release
 * @data: of iopf_container_data(); the container may have been released
 *
 * Return: the container with a reference, which iopf_container_put() drops; or NULL.
 */
struct iopf_container *iopf_container_get(void *data)
{
	struct iopf_container *c;

	xa_lock(&iopf_containers);
	c = iopf_container_of(data);
	if (c) {
		kobject_get(&c->kobj);
		/* The core holds the module until the container is released. */
		__module_get(THIS_MODULE);
	}
	xa_unlock(&iopf_containers);
	return c;
}

/**
 * iopf_container_put() - undo iopf_container_get()
 * @c: the container
 */
void iopf_container_put(struct iopf_container *c)
{
	kobject_put(&c->kobj);
	/* The end of the module waits for tasks that are still in its code after this. */
	module_put(THIS_MODULE);
}

/**
 * iopf_container_release() - release a container
 * @c: the container, without groups
 */
void iopf_container_release(struct iopf_container *c)
{
	LIST_HEAD(mms);

	xa_erase(&iopf_containers, c->id);
	/* Removing the files waits for their writers. End the writers' waits for pinning first. */
	WRITE_ONCE(c->pins.ended, true);
	iopf_pin_end(&c->space);
	parts_unpublish(c, container_nr_parts);
	kobject_del(&c->kobj);
	parts_end(c);
	scoped_guard(mutex, &c->space.lock) {
		WARN_ON(!iopf_space_groupless(&c->space));
		iopf_container_unmap_all(c);
		iopf_mms_end(&c->space, &mms);
	}
	parts_stop(c);
	if (c->pool) {
		iopf_pool_unuse(c->pool);
		iopf_pool_wait(c->pool, HZ);
		iopf_pool_put(c->pool);
	}
	iopf_mms_wait(&mms);
	kobject_put(&c->kobj);
}

/**
 * iopf_container_prepare() - make the threads of the calling process before it maps memory
 * @c: the container; the caller attaches a group, one at a time
 *
 * If that fails, mapping memory tries again and returns the error. Another process may map the
 * memory.
 */
void iopf_container_prepare(struct iopf_container *c)
{
	struct iopf_pool *pool;

	if (c->pool || !current->mm || current->flags & PF_KTHREAD)
		return;
	pool = iopf_pool_use();
	if (!IS_ERR(pool))
		c->pool = pool;
}

/**
 * iopf_container_remove_areas() - remove areas
 * @c: the container, locked
 * @areas: the areas, linked by iopf_area.gone in the order of their addresses: published, without
 *         pins of emulated devices, and with no other area between them. Empty afterwards
 */
void iopf_container_remove_areas(struct iopf_container *c, struct list_head *areas)
{
	struct iopf_area *area;

	lockdep_assert_held(&c->space.lock);

	if (list_empty(areas))
		return;
	c->space.serial++;
	/* This can't fail. */
	WARN_ON(iopf_tree_store(&c->space.areas,
				list_first_entry(areas, struct iopf_area, gone)->range.first,
				list_last_entry(areas, struct iopf_area, gone)->range.last, NULL,
				true));
	list_for_each_entry(area, areas, gone) {
		iopf_hold_area_end(area);
		if (area->vaddr_invalid)
			c->space.vaddr_invalid--;
		c->dma_avail++;
		WRITE_ONCE(c->space.nr_areas, c->space.nr_areas - 1);
		WRITE_ONCE(c->space.area_pages, c->space.area_pages - iopf_area_pages(area));
		cond_resched();
	}
	iopf_areas_destroy(areas);
}

/**
 * iopf_container_unmap_all() - remove every area
 * @c: the container, locked
 */
void iopf_container_unmap_all(struct iopf_container *c)
{
	unsigned long index = 0;
	struct iopf_area *area;
	unsigned int n = 0;
	LIST_HEAD(areas);

	lockdep_assert_held(&c->space.lock);

	area = NULL;
	while ((area = iopf_space_next_area(&c->space, area, &index, ULONG_MAX))) {
		if (!xa_empty(&area->pins))
			iopf_emulated_abandon(area);
		list_add_tail(&area->gone, &areas);
		if (++n % IOPF_REMOVE_BATCH == 0)
			iopf_container_remove_areas(c, &areas);
	}
	iopf_container_remove_areas(c, &areas);
}

/**
 * iopf_container_bisected() - whether an end of a range lies inside an area
 * @c: the container, locked
 * @range: I/O virtual addresses
 */
bool iopf_container_bisected(struct iopf_container *c, const struct iopf_range *range)
{
	struct iopf_area *area = mtree_load(&c->space.areas, range->first);

	if (area && area->range.first != range->first)
		return true;
	if (area && area->range.last >= range->last)
		return area->range.last != range->last;
	area = mtree_load(&c->space.areas, range->last);
	return area && area->range.last != range->last;
}

/**
 * iopf_container_share() - divide the quotas again: a quota or the list of groups has changed
 * @c: the container, locked
 */
void iopf_container_share(struct iopf_container *c)
{
	lockdep_assert_held(&c->space.lock);

	iopf_quota_share(&c->attaches, c->fault_workers_max, c->prefetch_max);
}

/**
 * iopf_container_coherent() - whether no device can bypass the CPU's caches
 * @c: the container
 *
 * Return: 1 or 0; -EINTR: the caller is killed.
 */
int iopf_container_coherent(struct iopf_container *c)
{
	bool coherent = true;

	if (mutex_lock_killable(&c->space.lock))
		return -EINTR;
	for (unsigned int i = 0; i < c->space.domains->nr; i++)
		coherent &= c->space.domains->domain[i].coherent;
	mutex_unlock(&c->space.lock);
	return coherent;
}

/**
 * iopf_container_emulated() - whether there is an emulated device
 * @c: the container
 *
 * Return: 1 or 0; -EINTR: the caller is killed.
 */
int iopf_container_emulated(struct iopf_container *c)
{
	bool emulated;

	if (mutex_lock_killable(&c->space.lock))
		return -EINTR;
	emulated = c->space.emulated_groups;
	mutex_unlock(&c->space.lock);
	return emulated;
}

/**
 * iopf_container_pin() - pin everything for one more group
 * @c: the container, locked
 *
 * Return: 0, or the error of iopf_pin_require(). On error nothing has changed.
 */
int iopf_container_pin(struct iopf_container *c)
{
	unsigned long index = 0;
	struct iopf_area *area;
	int ret;

	lockdep_assert_held(&c->space.lock);

	if (c->pins.pinners++)
		return 0;
	area = NULL;
	while ((area = iopf_space_next_area(&c->space, area, &index, ULONG_MAX))) {
		ret = iopf_hold_area(area);
		if (ret) {
			/* The areas that follow are to be pinned, too. */
			c->pins.missing.last = U64_MAX;
			iopf_container_unpin(c);
			return ret;
		}
	}
	return 0;
}

/**
 * iopf_container_unpin() - undo iopf_container_pin() for one group
 * @c: the container, locked
 */
void iopf_container_unpin(struct iopf_container *c)
{
	unsigned long index = 0;
	struct iopf_area *area;

	lockdep_assert_held(&c->space.lock);

	if (--c->pins.pinners)
		return;
	area = NULL;
	while ((area = iopf_space_next_area(&c->space, area, &index, ULONG_MAX)))
		if (area->pinned)
			iopf_hold_area_undo(area);
}
