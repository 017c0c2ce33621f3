// SPDX-License-Identifier: GPL-2.0-only
/*
 * The processes whose memory is mapped in an address space: at most IOPF_MMS_MAX of them.
 *
 * A space follows a process (host/mm.c) from its first MAP_DMA on, until the process has exited and
 * has no area left in the space, or until the space ends. If a process exits while another one
 * shares its memory, the space follows the other one anew.
 *
 * following vs exit: registering a notifier waits for the mmap lock of the process. So it is done
 *   without the space's lock, and the space is checked again after that.
 *
 * Locking: the space's lock protects its list of processes.
 */
#include <linux/mm.h>
#include <linux/sched.h>

#include "../host/mm.h"
#include "../host/pool.h"
#include "area.h"
#include "mms.h"
#include "space.h"

/* Processes that a space follows at most; docs/internals/bounds.md says so. */
#define IOPF_MMS_MAX	1024

/* How long the end of a space waits for the threads of its processes. */
#define LEAVE_TIME	HZ

/*
 * Find the process in the space. One that has exited stays stopped, even if another process shares
 * its memory: that process gets a new entry.
 */
static struct iopf_mm *mm_find(struct iopf_space *space, struct mm_struct *mm)
{
	struct iopf_mm *m;

	lockdep_assert_held(&space->lock);

	list_for_each_entry(m, &space->mms, node)
		if (m->mm == mm && !READ_ONCE(m->exited))
			return m;
	return NULL;
}

/* Stop following a process that has no area left in the tree. Callbacks may still run. */
static void mm_unfollow(struct iopf_mm *m)
{
	WARN_ON(!RB_EMPTY_ROOT(&m->ranges.rb_root));
	list_del(&m->node);
	iopf_mm_end(m);
}

/**
 * iopf_mms_reap() - stop following processes that have exited and have no areas
 * @space: the address space, locked
 */
void iopf_mms_reap(struct iopf_space *space)
{
	struct iopf_mm *m, *next;

	lockdep_assert_held(&space->lock);

	list_for_each_entry_safe(m, next, &space->mms, node)
		if (READ_ONCE(m->exited) && RB_EMPTY_ROOT(&m->ranges.rb_root))
			mm_unfollow(m);
}

/* Whether the space can follow another process. */
static bool mm_has_room(struct iopf_space *space)
{
	iopf_mms_reap(space);
	return list_count_nodes(&space->mms) < IOPF_MMS_MAX;
}

/**
 * iopf_mms_follow() - ensure that the calling process is followed, and lock the space
 * @space: the address space, not locked
 *
 * Called before the process maps anything. Registering waits for the mmap lock of the process,
 * which other threads may hold without limit.
 *
 * Return: 0 with the space locked, or a negative error number without the lock: -ENOSPC: the space
 * follows as many processes as it may; -ESRCH: the process is exiting; -EINTR: the caller is
 * killed.
 */
int iopf_mms_follow(struct iopf_space *space)
{
	struct iopf_mm *m = NULL, *found;
	bool room;

	for (;;) {
		if (mutex_lock_killable(&space->lock)) {
			if (m)
				iopf_mm_end(m);
			return -EINTR;
		}
		/* Without a group nothing can be mapped. */
		if (!current->mm || iopf_space_groupless(space))
			break;
		found = mm_find(space, current->mm);
		if (found || m)
			break;
		room = mm_has_room(space);
		mutex_unlock(&space->lock);
		if (!room)
			return -ENOSPC;
		m = iopf_mm_create(current->mm, &iopf_area_mm_ops);
		if (IS_ERR(m))
			return PTR_ERR(m);
	}
	if (!m)
		return 0;
	if (!found && !iopf_space_groupless(space)) {
		list_add(&m->node, &space->mms);
		return 0;
	}
	mutex_unlock(&space->lock);
	iopf_mm_end(m);
	return mutex_lock_killable(&space->lock);
}

/**
 * iopf_mms_get() - get the space's entry for the calling process
 * @space: the address space
 * @mm: current->mm
 *
 * Context: process context, under the space's lock.
 * Return: the entry, with a reference for the caller's area; or an error pointer: -ENODEV: no group
 * is attached; -EAGAIN: the process is not followed, see iopf_mms_follow().
 */
struct iopf_mm *iopf_mms_get(struct iopf_space *space, struct mm_struct *mm)
{
	struct iopf_mm *m = mm ? mm_find(space, mm) : NULL;

	/* A process that shared the memory may have exited just now. */
	if (!m)
		return ERR_PTR(mm && !iopf_space_groupless(space) ? -EAGAIN : -ENODEV);
	refcount_inc(&m->refs);
	return m;
}

/**
 * iopf_mms_end() - stop following all processes, when the space ends
 * @space: the address space, locked, without areas
 * @ended: out: the processes, for iopf_mms_wait()
 */
void iopf_mms_end(struct iopf_space *space, struct list_head *ended)
{
	struct iopf_mm *m, *next;

	lockdep_assert_held(&space->lock);

	list_for_each_entry_safe(m, next, &space->mms, node) {
		refcount_inc(&m->refs);
		mm_unfollow(m);
		list_add_tail(&m->node, ended);
		cond_resched();
	}
}

/**
 * iopf_mms_wait() - give threads of processes that are not followed any more some time to leave
 * @ended: of iopf_mms_end(); empty afterwards
 *
 * These threads hold a reference to the module.
 */
void iopf_mms_wait(struct list_head *ended)
{
	struct iopf_mm *m, *next;
	long left = LEAVE_TIME;

	list_for_each_entry_safe(m, next, ended, node) {
		left = iopf_pool_wait(m->pool, left);
		iopf_mm_put(m);
	}
}
