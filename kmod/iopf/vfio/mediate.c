// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mediators: kernel drivers that say where their device does not fault. The interface is
 * include/linux/vfio_iopf_mediator.h.
 *
 * What a mediator locks is wanted whatever is mapped there: what is, is held (pin/hold.c), and what
 * will be is held before it is mapped. The same goes for a device's declared windows. So
 * both are looked at here when a range is mapped.
 *
 * A mediator is the device's, at most one at a time, whether the device is attached or not. Its
 * locks are of the time the device is attached.
 *
 * mediator vs attach: who attaches a device has claimed it before it asks for a mediator; who
 *   becomes one, or goes, looks for the container after it has said so.
 * mediator vs detach: detaching takes the locks away under the container's lock. Who locks a range
 *   finds the container as described at iopf_device_enter().
 * mediator vs its end: when it goes all has to be pinned instead. If that fails, it leaves
 *   what it has locked, until the device is detached (@gone): nothing that is in use gets lost.
 * mediator vs unload: its module uses ours, which can't go before it.
 *
 * Locking: the container's lock, if there is one, for a mediator's locks and for its end;
 * iopf_devices_lock, inside of it, for which device has a mediator.
 */
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vfio_iopf_mediator.h>

#include "../../../core/range.h"
#include "../device/device.h"
#include "../lib/params.h"
#include "../map/area.h"
#include "../pin/hold.h"
#include "../pin/pin.h"
#include "attach.h"
#include "container.h"
#include "devices.h"
#include "mediate.h"

/**
 * struct vfio_iopf_mediator - a driver that speaks for a device
 * @d: the device, referenced
 * @locks: what it has locked
 * @gone: the driver has left, the locks could not
 */
struct vfio_iopf_mediator {
	struct iopf_device *d;
	struct list_head locks;
	bool gone;
};

/**
 * struct mediated - a range that a mediator has locked; the owner of its holds
 * @m: the mediator
 * @node: in the mediator's list
 * @range: whole pages
 */
struct mediated {
	struct vfio_iopf_mediator *m;
	struct list_head node;
	struct iopf_range range;
};

static u64 mediated_owner(const struct mediated *lock)
{
	return (unsigned long)lock;
}

static int mediated_add(struct iopf_space *space, void *data)
{
	struct iopf_container *c = iopf_space_container(space);
	struct mediated *lock = data;
	struct vfio_iopf_mediator *m = lock->m;
	int ret;

	if (!iopf_device_in(m->d, c))
		return -ENODEV;
	ret = iopf_hold_add(&c->space, &lock->range, IOPF_HOLD_MEDIATOR, mediated_owner(lock));
	if (!ret)
		list_add_tail(&lock->node, &m->locks);
	return ret;
}

static void mediated_drop(struct iopf_container *c, struct mediated *lock)
{
	iopf_hold_remove(&c->space, &lock->range, IOPF_HOLD_MEDIATOR, mediated_owner(lock));
	list_del(&lock->node);
	kfree(lock);
}

static void mediator_drop_all(struct vfio_iopf_mediator *m, struct iopf_container *c)
{
	struct mediated *lock, *next;

	lockdep_assert_held(&c->space.lock);

	list_for_each_entry_safe(lock, next, &m->locks, node)
		mediated_drop(c, lock);
}

static void mediator_free(struct vfio_iopf_mediator *m)
{
	WARN_ON(!list_empty(&m->locks));
	iopf_device_put(m->d);
	kfree(m);
}

/**
 * vfio_iopf_mediator_register() - become a device's mediator
 * @dev: the device, which the caller's driver has, or is about to get
 *
 * From here on a selective device is taken to fault anywhere but in what gets locked.
 *
 * Context: process context; sleeps.
 * Return: the mediator, which the caller gives back with vfio_iopf_mediator_unregister(); an error
 * pointer: -EBUSY when the device has one; -ENOMEM.
 */
struct vfio_iopf_mediator *vfio_iopf_mediator_register(struct device *dev)
{
	struct vfio_iopf_mediator *m = kzalloc(sizeof(*m), GFP_KERNEL);
	struct iopf_container *c;
	struct iopf_device *d;
	bool taken;

	if (!m)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&m->locks);
	d = iopf_device_get(dev);
	if (IS_ERR(d)) {
		kfree(m);
		return ERR_CAST(d);
	}
	m->d = d;
	scoped_guard(mutex, &iopf_devices_lock) {
		taken = d->mediator;
		if (!taken)
			/* With its list. Pairs with device_hold(). */
			smp_store_release(&d->mediator, m);
	}
	if (taken) {
		mediator_free(m);
		return ERR_PTR(-EBUSY);
	}
	c = iopf_device_enter(d, false);
	if (c) {
		/* To unpin can't fail, and where faults can't be turned on all stays pinned. */
		iopf_attach_update(d->attach);
		iopf_device_leave(c);
	}
	return m;
}
EXPORT_SYMBOL_GPL(vfio_iopf_mediator_register);

/* The end of a mediator whose device is in a container. -ESTALE: it is not any more. */
static int mediator_leave(struct iopf_space *space, void *data)
{
	struct iopf_container *c = iopf_space_container(space);
	struct vfio_iopf_mediator *m = data;
	struct iopf_device *d = m->d;
	int ret;

	if (!iopf_device_in(d, c))
		return -ESTALE;
	scoped_guard(mutex, &iopf_devices_lock)
		m->gone = true;
	ret = iopf_attach_update(d->attach);
	scoped_guard(mutex, &iopf_devices_lock) {
		m->gone = false;
		if (!ret)
			WRITE_ONCE(d->mediator, NULL);
	}
	if (!ret)
		mediator_drop_all(m, c);
	return ret;
}

/* That has failed: what it has locked stays until the device is detached, which frees it, too. */
static void mediator_abandon(struct vfio_iopf_mediator *m, struct iopf_container *c)
{
	struct iopf_device *d = m->d;

	lockdep_assert_held(&c->space.lock);

	if (__ratelimit(&d->news))
		dev_warn(d->dev, IOPF_DRIVER_NAME ": its mediator is gone and not all can be pinned; what was locked stays locked\n");
	guard(mutex)(&iopf_devices_lock);
	m->gone = true;
}

/**
 * vfio_iopf_mediator_unregister() - be a device's mediator no more
 * @m: the mediator
 *
 * If the device is attached still and nobody else answers for it, everything is pinned instead of
 * what has been locked. If that can't be, what has been locked stays so until it is detached.
 *
 * Context: process context; sleeps.
 */
void vfio_iopf_mediator_unregister(struct vfio_iopf_mediator *m)
{
	struct iopf_device *d = m->d;
	struct iopf_container *c;
	int ret;

	do {
		c = iopf_device_enter(d, false);
		if (c) {
			ret = iopf_pin_run_held(&c->space, mediator_leave, m);
			if (ret && iopf_device_in(d, c)) {
				mediator_abandon(m, c);
				iopf_device_leave(c);
				return;
			}
			iopf_device_leave(c);
			continue;
		}
		scoped_guard(mutex, &iopf_devices_lock)
			if (!d->attach)
				WRITE_ONCE(d->mediator, NULL);
	} while (READ_ONCE(d->mediator) == m);
	mediator_free(m);
}
EXPORT_SYMBOL_GPL(vfio_iopf_mediator_unregister);

/**
 * vfio_iopf_lock_range() - keep pinned what is mapped of a range, now and from now on
 * @m: the mediator; its device is attached
 * @iova: first I/O virtual address, rounded down to a page
 * @size: bytes, not 0; the end is rounded up to a page
 *
 * Ranges may overlap, and may be locked several times; then they are unlocked as often. It is
 * charged to the RLIMIT_MEMLOCK of whoever has mapped the memory, a page at a time, once. Where
 * nothing is mapped yet, mapping will fail if it can't be pinned.
 *
 * Context: process context; sleeps, maybe for user space.
 * Return: 0 with all of it resident and pinned; -ENODEV when the device is not attached to a
 * container of vfio-iopf; -EINVAL for a bad range; -EBUSY while an address of it is invalid
 * (VFIO_DMA_UNMAP_FLAG_VADDR); -ENOMEM over RLIMIT_MEMLOCK, or out of memory; -EFAULT without
 * memory; -ESRCH when its process is gone; -EINTR.
 */
int vfio_iopf_lock_range(struct vfio_iopf_mediator *m, u64 iova, u64 size)
{
	struct iopf_container *c;
	struct mediated *lock;
	int ret;

	lock = kzalloc(sizeof(*lock), GFP_KERNEL_ACCOUNT);
	if (!lock)
		return -ENOMEM;
	ret = iopf_range_init_pages(&lock->range, iova, size);
	if (ret)
		goto err_free;
	ret = -ENODEV;
	c = iopf_device_enter(m->d, false);
	if (!c)
		goto err_free;
	lock->m = m;
	ret = iopf_pin_run(&c->space, mediated_add, lock);
	iopf_device_leave(c);
	if (ret)
		goto err_free;
	return 0;

err_free:
	kfree(lock);
	return ret;
}
EXPORT_SYMBOL_GPL(vfio_iopf_lock_range);

/**
 * vfio_iopf_unlock_range() - undo one vfio_iopf_lock_range()
 * @m: the mediator
 * @iova: as it was locked
 * @size: as it was locked
 *
 * The device does not use it any more, or may fault there.
 *
 * Context: process context; sleeps.
 * Return: 0; -EINVAL for a bad range; -ENOENT when it is not locked, also since the device has been
 * detached meanwhile.
 */
int vfio_iopf_unlock_range(struct vfio_iopf_mediator *m, u64 iova, u64 size)
{
	struct iopf_container *c;
	struct iopf_range range;
	struct mediated *lock;
	int ret;

	ret = iopf_range_init_pages(&range, iova, size);
	if (ret)
		return ret;
	c = iopf_device_enter(m->d, false);
	if (!c)
		return -ENOENT;
	ret = -ENOENT;
	list_for_each_entry(lock, &m->locks, node) {
		if (lock->range.first == range.first && lock->range.last == range.last) {
			mediated_drop(c, lock);
			ret = 0;
			break;
		}
	}
	iopf_device_leave(c);
	return ret;
}
EXPORT_SYMBOL_GPL(vfio_iopf_unlock_range);

/**
 * iopf_mediate_answers() - whether a driver speaks for a device
 * @d: the device
 *
 * Context: under iopf_devices_lock.
 */
bool iopf_mediate_answers(const struct iopf_device *d)
{
	return d->mediator && !d->mediator->gone;
}

static int device_hold(struct iopf_area *area, const struct iopf_device *d)
{
	struct vfio_iopf_mediator *m;
	struct mediated *lock;
	int ret;

	for (unsigned int i = 0; i < d->nr_windows; i++) {
		ret = iopf_hold_add_area(area, &d->windows[i], IOPF_HOLD_WINDOW,
					 iopf_device_window_owner(d->windows, i));
		if (ret)
			return ret;
	}
	/* Pairs with vfio_iopf_mediator_register(). A leaver takes the container's lock first. */
	m = smp_load_acquire(&d->mediator);
	if (!m)
		return 0;
	list_for_each_entry(lock, &m->locks, node) {
		ret = iopf_hold_add_area(area, &lock->range, IOPF_HOLD_MEDIATOR,
					 mediated_owner(lock));
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * iopf_mediate_area() - hold what is wanted of a new area, by windows and mediators
 * @area: not published yet
 *
 * Context: process context, under the container's lock.
 * Return: 0, or the error of iopf_pin_require(), with some of it held: the caller destroys the
 *   area.
 */
int iopf_mediate_area(struct iopf_area *area)
{
	struct iopf_container *c = iopf_space_container(area->space);
	struct iopf_attach *at;
	int ret = 0;

	lockdep_assert_held(&c->space.lock);

	list_for_each_entry(at, &c->attaches, faults.node)
		for (unsigned int i = 0; !ret && i < at->faults.nr_devices; i++)
			ret = device_hold(area, at->faults.device[i]);
	return ret;
}

/**
 * iopf_mediate_detach() - a group is leaving: nothing is locked for its devices any more
 * @c: the container, locked
 * @at: the group
 */
void iopf_mediate_detach(struct iopf_container *c, struct iopf_attach *at)
{
	lockdep_assert_held(&c->space.lock);

	for (unsigned int i = 0; i < at->faults.nr_devices; i++) {
		struct iopf_device *d = at->faults.device[i];
		struct vfio_iopf_mediator *m = d->mediator;

		if (!m)
			continue;
		mediator_drop_all(m, c);
		if (m->gone) {
			scoped_guard(mutex, &iopf_devices_lock)
				WRITE_ONCE(d->mediator, NULL);
			mediator_free(m);
		}
	}
}
