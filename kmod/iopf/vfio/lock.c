// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks: ranges in which devices can't fault, as user space declares, such as rings and queues. The
 * ranges are held (pin/hold.c), and a fault in a range is unexpected (fault/group.c).
 *
 * Each lock has a number. So memory that is locked twice, for two devices, must be unlocked twice.
 * The number is the owner of the lock's holds, and no other state exists. A lock ends with its last
 * hold, by unlocking or by unmapping. So no part of a lock can be left behind.
 *
 * Complete: user space declares that it has locked all memory in which the container's selective
 * devices can't fault. Until user space, or a source named in attach.c, declares this, everything
 * is pinned for these devices.
 *
 * Locking: the container's lock. Changes of completeness also hold iopf_container.setting, outside
 * of it.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/vfio_iopf.h>

#include "../../../core/range.h"
#include "../map/chunk.h"
#include "../pin/hold.h"
#include "../pin/pin.h"
#include "../pin/policy.h"
#include "attach.h"
#include "container.h"
#include "lock.h"

/* The arguments of lock_add(). */
struct lock_add {
	struct iopf_range range;
	u64 id;
};

static int lock_add(struct iopf_space *space, void *data)
{
	struct iopf_container *c = iopf_space_container(space);
	struct lock_add *add = data;
	int ret;

	if (!c->space.domains->nr)
		return -EINVAL;
	ret = iopf_space_check(&c->space, &add->range, 0, true);
	if (ret)
		return ret;
	if (c->pins.holds.locks >= VFIO_IOPF_LOCKS_MAX)
		return -ENOSPC;
	return iopf_hold_add(&c->space, &add->range, IOPF_HOLD_LOCK, add->id);
}

/**
 * iopf_lock_add() - VFIO_IOPF_LOCK: lock a range
 * @c: the container
 * @lock: argsz and flags have been checked; id: out
 *
 * Return: 0, or an error that the header for user space lists. On error nothing has changed.
 */
int iopf_lock_add(struct iopf_container *c, struct vfio_iopf_lock *lock)
{
	struct lock_add add;
	int ret;

	if (iopf_range_init_pages(&add.range, lock->iova, lock->size))
		return -EINVAL;

	if (mutex_lock_killable(&c->space.lock))
		return -EINTR;
	add.id = ++c->last_lock;
	lock->id = add.id;
	ret = iopf_pin_run(&c->space, lock_add, &add);
	mutex_unlock(&c->space.lock);
	return ret;
}

static bool lock_remove(struct iopf_container *c, u64 id)
{
	const struct iopf_range all = { .first = 0, .last = U64_MAX };

	return iopf_hold_remove(&c->space, &all, IOPF_HOLD_LOCK, id);
}

/**
 * iopf_lock_undo() - undo iopf_lock_add(), also for a caller that is killed
 * @c: the container
 * @id: the lock
 */
void iopf_lock_undo(struct iopf_container *c, u64 id)
{
	guard(mutex)(&c->space.lock);
	lock_remove(c, id);
}

/**
 * iopf_lock_remove() - VFIO_IOPF_UNLOCK: undo iopf_lock_add()
 * @c: the container
 * @id: the lock
 *
 * Return: 0, -ENOENT or -EINTR.
 */
int iopf_lock_remove(struct iopf_container *c, u64 id)
{
	bool any;

	if (mutex_lock_killable(&c->space.lock))
		return -EINTR;
	any = lock_remove(c, id);
	mutex_unlock(&c->space.lock);
	return any ? 0 : -ENOENT;
}

/* Apply a change of iopf_container.complete to all groups. */
static int complete_locked(struct iopf_container *c)
{
	struct iopf_attach *at;
	int ret;

	list_for_each_entry(at, &c->attaches, faults.node) {
		ret = iopf_attach_update(at);
		/* If a device's faults can't be turned on, everything stays pinned for it. */
		if (ret && ret != -ENODEV)
			return ret;
	}
	return 0;
}

static int lock_complete(struct iopf_space *space, void *data)
{
	struct iopf_container *c = iopf_space_container(space);
	bool old = c->complete;
	int ret;

	c->complete = *(bool *)data;
	ret = complete_locked(c);
	if (ret) {
		c->complete = old;
		complete_locked(c);
	}
	return ret;
}

/**
 * iopf_lock_complete() - record whether the locks are complete for the selective devices
 * @c: the container
 * @complete: they are
 *
 * Return: 0; -EINTR; if @complete is false, also an error of iopf_pin_run_held(). On error nothing
 * has changed.
 */
int iopf_lock_complete(struct iopf_container *c, bool complete)
{
	int ret;

	if (mutex_lock_killable(&c->setting))
		return -EINTR;
	ret = mutex_lock_killable(&c->space.lock);
	if (!ret) {
		ret = iopf_pin_run_held(&c->space, lock_complete, &complete);
		mutex_unlock(&c->space.lock);
	}
	mutex_unlock(&c->setting);
	return ret;
}
