// SPDX-License-Identifier: GPL-2.0-only
/*
 * Containers: the address space that a set of devices shares.
 *
 * A container is made by VFIO_SET_IOMMU, gets groups attached, ranges mapped and
 * unmapped, and goes when its last group leaves. Mapping records the range
 * and is done; devices fault in what they use. While a group is attached that
 * can't fault (a "pinner"), every area is pinned, as stock type1 would. Parts may be pinned for
 * other reasons: hold.c.
 *
 * Invariants, under the container's lock:
 *  - areas do not overlap and lie in usable addresses;
 *  - each area is pinned as a whole if and only if there are pinners; a page is pinned if and only
 *    if that is so, or hold.c says it is to be;
 *  - each chunk's set of domains is the container's.
 *
 * Teardown: all groups have been detached (the VFIO core sees to it, or their
 * attaching failed), so no fault is in progress; unmap all; unregister notifiers; free.
 *
 * ioctl vs teardown: the VFIO core calls the backend for an ioctl without any lock, with what it
 * has read before, while another thread may take the last group out and so release the
 * container, or give the file another one. So what the core knows is no pointer but a number,
 * which is not used again, and an ioctl looks it up: iopf_container_get(). It then holds
 * the container's memory, and the module. What it does to a container that has been released
 * meanwhile has no effect: there is nothing to be found in it, and without groups
 * nothing can be mapped.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poison.h>
#include <linux/slab.h>
#include <linux/string_helpers.h>
#include <linux/vfio.h>
#include <linux/xarray.h>

#include "../budget/budget.h"
#include "../budget/sample.h"
#include "../fault/latency.h"
#include "../fault/quota.h"
#include "../host/mm.h"
#include "../host/pool.h"
#include "../lib/backlog.h"
#include "../lib/params.h"
#include "../lib/tree.h"
#include "../map/area.h"
#include "../map/chunk.h"
#include "../map/hint.h"
#include "../pin/emulated.h"
#include "../pin/hold.h"
#include "../pin/pin.h"
#include "../pin/policy.h"
#include "../prefetch/prefaults.h"
#include "container.h"
#include "dirty.h"
#include "limits.h"

/* Containers by id, from creation to release; an entry without a container is reserved. */
static DEFINE_XARRAY_ALLOC1(iopf_containers);
static u32 iopf_container_next;
static struct kobject *iopf_containers_kobj;

/* sysfs: one file each */

/* Anybody may read these at any time: nothing is gone through, no lock is taken. */

static unsigned long resident_pages(const struct iopf_container *c)
{
	long pages = 0;
	int cpu;

	/* One CPU counts what another takes away, so a sum that is being made may be off. */
	for_each_possible_cpu(cpu)
		pages += READ_ONCE(*per_cpu_ptr(c->resident, cpu));
	return max(pages, 0L);
}

#define CONTAINER_ATTR(_name) \
	static const struct iopf_container_attr container_##_name = { \
		.attr = { .name = #_name, .mode = 0444 }, \
		.show = _name##_show, \
	}

static ssize_t pid_show(struct iopf_container *c, char *buf)
{
	return sysfs_emit(buf, "%d\n", c->pid);
}

CONTAINER_ATTR(pid);

/*
 * The name is whatever the program wants it to be; the file has one line, and nothing that a
 * terminal obeys: controls and backslashes are escaped. Other bytes are left alone, as nobody knows
 * their charset.
 */
static ssize_t comm_show(struct iopf_container *c, char *buf)
{
	static const char escaped[] = "\001\002\003\004\005\006\007\010\011\012\013\014\015\016\017"
				      "\020\021\022\023\024\025\026\027\030\031\032\033\034\035\036\037"
				      "\177\\";
	char text[4 * sizeof(c->comm) + 1];
	int len;

	len = string_escape_mem(c->comm, strnlen(c->comm, sizeof(c->comm)), text, sizeof(text) - 1,
				ESCAPE_SPACE | ESCAPE_SPECIAL | ESCAPE_HEX, escaped);
	return sysfs_emit(buf, "%.*s\n", len, text);
}

CONTAINER_ATTR(comm);

#define CONTAINER_COUNT_ATTR(_name, _expr) \
	static ssize_t _name##_show(struct iopf_container *c, char *buf) \
	{ \
		return sysfs_emit(buf, "%lu\n", _expr); \
	} \
	CONTAINER_ATTR(_name)

CONTAINER_COUNT_ATTR(areas, READ_ONCE(c->nr_areas));
CONTAINER_COUNT_ATTR(mapped, READ_ONCE(c->area_pages) << PAGE_SHIFT);
CONTAINER_COUNT_ATTR(resident, resident_pages(c) << PAGE_SHIFT);
CONTAINER_COUNT_ATTR(pinned, atomic_long_read(&c->pinned_pages) << PAGE_SHIFT);

#define CONTAINER_PREFAULT_ATTR(_name, _format, _expr) \
	static ssize_t _name##_show(struct iopf_container *c, char *buf) \
	{ \
		unsigned int held; \
		u64 pages; \
\
		iopf_prefaults_count(c->prefaults, &held, &pages); \
		return sysfs_emit(buf, _format "\n", _expr); \
	} \
	CONTAINER_ATTR(_name)

CONTAINER_PREFAULT_ATTR(prefault_requests, "%u", held);
CONTAINER_PREFAULT_ATTR(prefault_pages, "%llu", pages);

/* What a container without a default of its own has is its devices'. */
static const char policy_of_devices[] = "device";

static ssize_t policy_show(struct iopf_container *c, char *buf)
{
	enum iopf_policy policy = READ_ONCE(c->policy);

	return sysfs_emit(buf, "%s\n", policy == IOPF_POLICY_DEFAULT ? policy_of_devices
								    : iopf_policy_name(policy));
}

static ssize_t policy_store(struct iopf_container *c, const char *buf, size_t count)
{
	size_t len = strcspn(buf, "\n");
	int policy = iopf_policy_parse(buf, len);

	if (iopf_word_is(buf, len, policy_of_devices))
		policy = IOPF_POLICY_DEFAULT;
	else if (policy <= IOPF_POLICY_DEFAULT)
		return -EINVAL;
	return iopf_limits_set_policy(c, policy) ?: count;
}

static const struct iopf_container_attr container_policy = {
	.attr = { .name = "policy", .mode = 0644 },
	.show = policy_show,
	.store = policy_store,
};

static const struct attribute *const container_attrs[] = {
	&container_pid.attr,
	&container_comm.attr,
	&container_areas.attr,
	&container_mapped.attr,
	&container_resident.attr,
	&container_pinned.attr,
	&container_prefault_requests.attr,
	&container_prefault_pages.attr,
	&container_policy.attr,
	NULL,
};

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

static void container_free(struct kobject *kobj)
{
	struct iopf_container *c = container_of(kobj, struct iopf_container, kobj);

	mutex_destroy(&c->lock);
	mutex_destroy(&c->reporting);
	mutex_destroy(&c->setting);
	free_percpu(c->resident);
	iopf_prefaults_put(c->prefaults);
	iopf_evictor_free(c->evictor);
	iopf_backlog_put(c->faults);
	kvfree(c->latency_past);
	iopf_sampler_free(c->sampler);
	kfree(c->domains);
	kfree(c->iovas);
	iopf_owner_end(&c->owner);
	kfree(c);
}

static const struct kobj_type container_ktype = {
	.sysfs_ops = &container_sysfs_ops,
	.release = container_free,
};

int iopf_containers_init(struct kobject *root)
{
	iopf_containers_kobj = kobject_create_and_add("containers", root);
	return iopf_containers_kobj ? 0 : -ENOMEM;
}

void iopf_containers_exit(void)
{
	kobject_put(iopf_containers_kobj);
	WARN_ON(!xa_empty(&iopf_containers));
}

static void container_repair_work(struct work_struct *work)
{
	struct iopf_container *c = container_of(to_delayed_work(work), struct iopf_container,
						repair);
	unsigned long index = 0, delay;
	struct iopf_area *area;
	int missing = 0, ret;

	scoped_guard(mutex, &c->lock) {
		area = NULL;
		while ((area = iopf_container_next_area(c, area, &index, ULONG_MAX))) {
			ret = iopf_pin_repair(area);
			missing |= ret;
			/* The container has changed: from the start, some time later. */
			if (ret < 0)
				break;
		}
	}
	if (!missing)
		return;
	delay = min(2 * READ_ONCE(c->repair_delay) + 1, (unsigned long)HZ);
	WRITE_ONCE(c->repair_delay, delay);
	queue_delayed_work(iopf_wq, &c->repair, delay);
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
	c->pid = task_tgid_nr(current);
	get_task_comm(c->comm, current->group_leader);
	iopf_owner_init(&c->owner);
	c->v2 = v2;
	c->huge_ok = !READ_ONCE(iopf_disable_hugepages);
	c->dma_avail = READ_ONCE(iopf_dma_entry_limit);
	c->policy_entry_limit = READ_ONCE(iopf_policy_entry_limit);
	c->pgsizes = PAGE_MASK;
	iopf_hint_renew(&c->generation);
	mutex_init(&c->setting);
	mutex_init(&c->reporting);
	spin_lock_init(&c->waits_lock);
	INIT_LIST_HEAD(&c->waits);
	mutex_init(&c->lock);
	/* What is erased in bulk has to have MT_FLAGS_ALLOC_RANGE; see policy.c. */
	mt_init_flags(&c->areas, MT_FLAGS_ALLOC_RANGE | MT_FLAGS_USE_RCU);
	c->holds = RB_ROOT_CACHED;
	spin_lock_init(&c->holds_lock);
	c->default_policy = IOPF_POLICY_FAULT;
	mt_init_flags(&c->policies, MT_FLAGS_ALLOC_RANGE);
	INIT_LIST_HEAD(&c->mms);
	INIT_LIST_HEAD(&c->attaches);
	c->fault_workers_max = UINT_MAX;
	c->prefetch_max = UINT_MAX;
	INIT_LIST_HEAD(&c->emulated);
	INIT_LIST_HEAD(&c->devices);
	init_waitqueue_head(&c->notified);
	INIT_LIST_HEAD(&c->copies);
	INIT_DELAYED_WORK(&c->repair, container_repair_work);
	kobject_init(&c->kobj, &container_ktype);

	ret = -ENOMEM;
	c->resident = alloc_percpu_gfp(*c->resident, GFP_KERNEL_ACCOUNT);
	c->domains = kzalloc(struct_size(c->domains, domain, 0), GFP_KERNEL_ACCOUNT);
	c->iovas = kzalloc(struct_size(c->iovas, range, 0), GFP_KERNEL_ACCOUNT);
	c->faults = iopf_backlog_create(c->id);
	c->latency_past = iopf_latency_past_alloc();
	if (!c->resident || !c->domains || !c->iovas || !c->faults || !c->latency_past)
		goto err_put;
	c->prefaults = iopf_prefaults_create(c);
	c->evictor = iopf_evictor_create(c);
	if (!c->prefaults || !c->evictor)
		goto err_put;
	c->memcg = c->faults->memcg;
	ret = kobject_add(&c->kobj, iopf_containers_kobj, "%u", c->id);
	if (ret)
		goto err_put;
	ret = sysfs_create_files(&c->kobj, (const struct attribute *const *)container_attrs);
	if (!ret)
		ret = iopf_limits_add_files(c) ?: iopf_quota_add_files(c);
	if (ret)
		goto err_del;
	ret = -ENOMEM;
	c->latency_dir = iopf_latency_dir_create(&c->kobj, NULL, c);
	if (!c->latency_dir)
		goto err_del;
	c->sampler = iopf_sampler_create(c);
	if (!c->sampler)
		goto err_latency;
	/* Into the place that is reserved for it, so this can't fail. */
	xa_store(&iopf_containers, c->id, c, GFP_KERNEL);
	return c;

err_latency:
	iopf_latency_dir_destroy(c->latency_dir);
err_del:
	kobject_del(&c->kobj);
	iopf_evictor_end(c->evictor);
err_put:
	xa_erase(&iopf_containers, c->id);
	kobject_put(&c->kobj);
	return ERR_PTR(ret);
}

/**
 * iopf_container_data() - what the VFIO core gets to know of a container
 * @c: the container
 *
 * Not an address, so that the core's losing a race makes nobody use memory that is somebody
 * else's by now: the core may even hand it to another backend, where it is to be a bad pointer.
 *
 * Return: the number of the container, in the guise of a pointer that is neither an error
 * nor anything's address.
 */
void *iopf_container_data(const struct iopf_container *c)
{
	return (void *)(POISON_POINTER_DELTA + c->id);
}

/**
 * iopf_container_of() - the container of a call that the VFIO core makes under its own locks
 * @data: of iopf_container_data()
 *
 * Return: the container, which stays for the time of the call.
 */
struct iopf_container *iopf_container_of(void *data)
{
	return xa_load(&iopf_containers, (unsigned long)data - POISON_POINTER_DELTA);
}

/**
 * iopf_container_get() - the container of a call that may lose a race with its release
 * @data: of iopf_container_data(), maybe of a container that is gone
 *
 * Return: the container, to be given back with iopf_container_put(), or NULL.
 */
struct iopf_container *iopf_container_get(void *data)
{
	struct iopf_container *c;

	xa_lock(&iopf_containers);
	c = iopf_container_of(data);
	if (c) {
		kobject_get(&c->kobj);
		/* The core holds the module for as long as the container is not released. */
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
	/* Whoever is still in the module after this is waited for by its end. */
	module_put(THIS_MODULE);
}

/**
 * iopf_container_groupless() - whether no group is attached: released, or being set up
 * @c: the container, locked
 */
bool iopf_container_groupless(const struct iopf_container *c)
{
	lockdep_assert_held(&c->lock);

	return list_empty(&c->attaches) && list_empty(&c->emulated);
}

/**
 * iopf_container_release() - the end of a container
 * @c: without groups
 */
void iopf_container_release(struct iopf_container *c)
{
	LIST_HEAD(mms);

	xa_erase(&iopf_containers, c->id);
	/* Removing its files waits for who writes to them. */
	WRITE_ONCE(c->ended, true);
	iopf_pin_end(c);
	iopf_latency_dir_destroy(c->latency_dir);
	iopf_sampler_end(c->sampler);
	kobject_del(&c->kobj);
	iopf_prefaults_end(c->prefaults);
	scoped_guard(mutex, &c->lock) {
		WARN_ON(!iopf_container_groupless(c));
		iopf_container_unmap_all(c);
		iopf_mms_end(c, &mms);
		mtree_destroy(&c->areas);
		mtree_destroy(&c->policies);
	}
	/* No area is left to ask for it again. */
	cancel_delayed_work_sync(&c->repair);
	iopf_evictor_end(c->evictor);
	if (c->pool) {
		iopf_pool_unuse(c->pool);
		iopf_pool_wait(c->pool, HZ);
		iopf_pool_put(c->pool);
	}
	iopf_mms_wait(&mms);
	kobject_put(&c->kobj);
}

/**
 * iopf_container_prepare() - have threads of the calling process made before it maps memory
 * @c: the container; the caller attaches a group, one at a time
 *
 * If that fails, mapping memory tries again, and says so. It may be another process that maps.
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
 * iopf_container_next_area() - go through the areas of a range
 * @c: the container, locked; areas may be removed, the one at hand too
 * @area: the one before; NULL: begin
 * @index: in: an address to go on from; out: for the next call
 * @last: last address
 *
 * Others get the processor in between.
 *
 * Return: the next area, or NULL.
 */
struct iopf_area *iopf_container_next_area(struct iopf_container *c, const struct iopf_area *area,
					   unsigned long *index, unsigned long last)
{
	lockdep_assert_held(&c->lock);

	cond_resched();
	/* After the last address of all there is none. */
	return area ? mt_find_after(&c->areas, index, last) : mt_find(&c->areas, index, last);
}

/**
 * iopf_container_remove_areas() - remove areas
 * @c: the container, locked
 * @areas: published, without pins of emulated devices, linked by their @gone in the order of
 *         addresses, with no others in between; empty afterwards
 */
void iopf_container_remove_areas(struct iopf_container *c, struct list_head *areas)
{
	struct iopf_area *area;

	lockdep_assert_held(&c->lock);

	if (list_empty(areas))
		return;
	c->serial++;
	/* This can't fail. */
	WARN_ON(iopf_tree_store(&c->areas,
				list_first_entry(areas, struct iopf_area, gone)->range.first,
				list_last_entry(areas, struct iopf_area, gone)->range.last, NULL,
				true));
	list_for_each_entry(area, areas, gone) {
		iopf_hold_area_end(area);
		if (area->vaddr_invalid)
			c->vaddr_invalid--;
		c->dma_avail++;
		WRITE_ONCE(c->nr_areas, c->nr_areas - 1);
		WRITE_ONCE(c->area_pages, c->area_pages - iopf_area_pages(area));
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

	lockdep_assert_held(&c->lock);

	area = NULL;
	while ((area = iopf_container_next_area(c, area, &index, ULONG_MAX))) {
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
	struct iopf_area *area = mtree_load(&c->areas, range->first);

	if (area && area->range.first != range->first)
		return true;
	area = mtree_load(&c->areas, range->last);
	return area && area->range.last != range->last;
}

/**
 * iopf_container_reap_mms() - drop processes that are gone: their notifiers serve nobody
 * @c: the container, locked
 */
void iopf_container_reap_mms(struct iopf_container *c)
{
	struct iopf_mm *m, *next;

	lockdep_assert_held(&c->lock);

	list_for_each_entry_safe(m, next, &c->mms, node)
		if (READ_ONCE(m->exited) && RB_EMPTY_ROOT(&m->areas.rb_root))
			iopf_mm_unregister(m);
}

/**
 * iopf_container_repair() - have devices' memory mapped again that its owner has revoked
 * @c: the container
 *
 * Context: any that may take a spinlock; an area keeps the container from going.
 */
void iopf_container_repair(struct iopf_container *c)
{
	WRITE_ONCE(c->repair_delay, 0);
	mod_delayed_work(iopf_wq, &c->repair, 1);
}

/**
 * iopf_container_set_domains() - change the domains that mappings go into
 * @c: the container, locked
 * @domains: the new set, which the container takes over on success
 * @added: the domain in it that the old one lacks, or NULL
 *
 * What is not pinned is unmapped; devices fault it in again.
 *
 * Return: 0, or a negative error number and the old set is back in place.
 */
int iopf_container_set_domains(struct iopf_container *c, struct iopf_domains *domains,
			       struct iommu_domain *added)
{
	struct iopf_domains *old = c->domains;
	unsigned long index = 0;
	struct iopf_area *area;
	int ret = 0;

	lockdep_assert_held(&c->lock);

	WRITE_ONCE(c->domains, domains);
	area = NULL;
	while ((area = iopf_container_next_area(c, area, &index, ULONG_MAX))) {
		ret = iopf_area_set_domains(area, domains, added);
		if (ret)
			goto err_back;
	}
	kfree(old);
	return 0;

err_back:
	WRITE_ONCE(c->domains, old);
	index = 0;
	area = NULL;
	while ((area = iopf_container_next_area(c, area, &index, ULONG_MAX)))
		iopf_area_set_domains(area, old, NULL);
	return ret;
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

	if (mutex_lock_killable(&c->lock))
		return -EINTR;
	for (unsigned int i = 0; i < c->domains->nr; i++)
		coherent &= c->domains->domain[i].coherent;
	mutex_unlock(&c->lock);
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

	if (mutex_lock_killable(&c->lock))
		return -EINTR;
	emulated = !list_empty(&c->emulated);
	mutex_unlock(&c->lock);
	return emulated;
}

/**
 * iopf_container_pin() - one more group needs everything pinned
 * @c: the container, locked
 *
 * Return: 0, or the error of iopf_pin_require() and nothing has changed.
 */
int iopf_container_pin(struct iopf_container *c)
{
	unsigned long index = 0;
	struct iopf_area *area;
	int ret;

	lockdep_assert_held(&c->lock);

	if (c->pinners++)
		return 0;
	area = NULL;
	while ((area = iopf_container_next_area(c, area, &index, ULONG_MAX))) {
		ret = iopf_hold_area(area);
		if (ret) {
			/* All of the others will be missing, too. */
			c->missing.last = U64_MAX;
			iopf_container_unpin(c);
			return ret;
		}
	}
	return 0;
}

/**
 * iopf_container_unpin() - one group less needs everything pinned
 * @c: the container, locked
 */
void iopf_container_unpin(struct iopf_container *c)
{
	unsigned long index = 0;
	struct iopf_area *area;

	lockdep_assert_held(&c->lock);

	if (--c->pinners)
		return;
	area = NULL;
	while ((area = iopf_container_next_area(c, area, &index, ULONG_MAX)))
		if (area->pinned)
			iopf_hold_area_undo(area);
}
