// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mediators: kernel drivers that declare where their device does not fault. The interface is
 * include/linux/vfio_iopf_mediator.h.
 *
 * A mediator locks I/O virtual addresses. Memory that is mapped there is held (pin/hold.c), and
 * memory that is mapped there later is held before MAP_DMA returns. The same applies to a device's
 * declared windows. So mapping a range looks at both here.
 *
 * A device has at most one mediator at a time, whether it is attached or not. Locks exist only
 * while the device is attached.
 *
 * mediator vs attach: attaching claims a device before it looks for a mediator. A driver that
 *   registers or unregisters first sets iopf_device.mediator or @gone, then looks for the
 *   container. So at least one of the two sees the other.
 * mediator vs detach: detaching removes the locks under the container's lock. Locking a range finds
 *   the container by iopf_device_enter().
 * mediator vs its end: when a mediator unregisters, everything must be pinned instead. If that
 *   fails, its locks stay until the device is detached (@gone). So memory in use stays pinned.
 * mediator vs unload: a mediator's module uses this one, so this one can't be unloaded before.
 *
 * Locking: the container's lock, if there is a container, protects a mediator's locks and its end.
 * iopf_devices_lock, inside of it, protects which device has a mediator.
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
 * struct vfio_iopf_mediator - a driver that declares where a device does not fault
 * @d: the device, referenced
 * @locks: the ranges that it has locked
 * @gone: the driver has unregistered or is about to, but its locks remain
 */
struct vfio_iopf_mediator {
	struct iopf_device *d;
	struct list_head locks;
	bool gone;
};

/**
 * struct mediated - a range that a mediator has locked; its address is the owner of its holds
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
 * @dev: the device, which the caller's driver is bound to, or is about to be bound to
 *
 * From here on this module assumes that a selective device can fault everywhere except in the
 * ranges that the mediator locks.
 *
 * Context: process context; sleeps.
 * Return: the mediator, which the caller ends with vfio_iopf_mediator_unregister(); or an error
 * pointer: -EBUSY when the device has a mediator already; -ENOMEM.
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
			/* Publishes the initialized list. Pairs with device_hold(). */
			smp_store_release(&d->mediator, m);
	}
	if (taken) {
		mediator_free(m);
		return ERR_PTR(-EBUSY);
	}
	c = iopf_device_enter(d, false);
	if (c) {
		/* Unpinning can't fail. If faults can't be turned on, everything stays pinned. */
		iopf_attach_update(d->attach);
		iopf_device_leave(c);
	}
	return m;
}
EXPORT_SYMBOL_GPL(vfio_iopf_mediator_register);

/* End a mediator whose device is in a container. -ESTALE: the device has left the container. */
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

/* Keep the locks after mediator_leave() has failed. Detaching the device frees the mediator. */
static void mediator_abandon(struct vfio_iopf_mediator *m, struct iopf_container *c)
{
	struct iopf_device *d = m->d;

	lockdep_assert_held(&c->space.lock);

	if (__ratelimit(&d->news))
		dev_warn(d->dev, IOPF_DRIVER_NAME ": its mediator is gone, and not all memory can be pinned; locked ranges stay locked\n");
	guard(mutex)(&iopf_devices_lock);
	m->gone = true;
}

/**
 * vfio_iopf_mediator_unregister() - end a mediator
 * @m: the mediator
 *
 * If the device is still attached, and neither a window nor user space declares where it does not
 * fault, everything is pinned instead of the locked ranges. If pinning fails, the locked ranges
 * stay locked until the device is detached.
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
 * vfio_iopf_lock_range() - pin the memory that is mapped in a range, now or later
 * @m: the mediator; its device is attached
 * @iova: first I/O virtual address, rounded down to a page
 * @size: bytes, not 0; the end is rounded up to a page
 *
 * Ranges may overlap. A range that is locked several times must be unlocked as often. Each pinned
 * page is charged once, to the RLIMIT_MEMLOCK of the process that has mapped the memory. Where
 * nothing is mapped yet, mapping memory later fails if it can't be pinned.
 *
 * Context: process context; sleeps, maybe for user space.
 * Return: 0 when all mapped memory of the range is resident and pinned; -ENODEV when the device is
 * not attached to a container of vfio-iopf; -EINVAL for a bad range; -EBUSY while a CPU address of
 * the range is invalid (VFIO_DMA_UNMAP_FLAG_VADDR); -ENOMEM over RLIMIT_MEMLOCK, or out of memory;
 * -EFAULT without memory; -ESRCH when the process of the memory is gone; -EINTR.
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
 * Call this when the device does not use the range any more, or can fault there.
 *
 * Context: process context; sleeps.
 * Return: 0; -EINVAL for a bad range; -ENOENT when the range is not locked, or no longer, because
 * the device has been detached.
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
 * iopf_mediate_answers() - whether a mediator declares where a device does not fault
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
	/* Pairs with vfio_iopf_mediator_register(). Ending @m takes the container's lock. */
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
 * iopf_mediate_area() - hold the parts of a new area that windows or mediators cover
 * @area: the area
 *
 * Context: process context, under the container's lock.
 * Return: 0, or the error of iopf_pin_require(). On error some parts are held, and the caller
 * destroys the area, or calls again.
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
 * iopf_mediate_detach() - remove the mediators' locks for the devices of a group that leaves
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
