// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policies: what is done about the memory of a range.
 *
 *   fault     devices fault it in when they use it, and the host takes it back when it likes
 *   prefault  the same, but a request to have it ready is made at once (prefault/)
 *   pin       it is resident, pinned and charged, as under stock type1
 *
 * A range has the policy that user space gave it, or else the space's default: what the
 * administrator wrote, or else the strongest of what the attached devices ask for, or else fault.
 * A change of the default holds for what is mapped and has no policy of its own, at once.
 *
 * Invariants, under the space's lock: only what is mapped has a policy of its own; what is to
 * be pinned is, see hold.c.
 *
 * Changes are all or nothing. To pin, first all is pinned, then the policy is changed; to unpin the
 * other way round. So at any time a page that counts as pinned is. The policies of a range are one
 * entry of a tree, however many areas it goes over, so changing them can't fail half-way.
 *
 * While pages are being pinned without the lock, all is as before: the old policy holds. What is
 * then changed is changed under the lock at one go, also where a store thins the policies of a
 * range out before it (policy_thin()): nobody looks at policies without the lock, and from there on
 * nothing fails. So an area has the old policy or the new one.
 *
 * Devices go on meanwhile: see hold.c.
 *
 * User space decides how many policies there are, up to policy_entry_limit. Unmapping an area
 * in the middle of a policy makes two of it and can't fail, so there may be one more for each area.
 * A store over a range frees the part of the tree that it covers at one go, so a large number of
 * policies is erased in batches. The tree has
 * MT_FLAGS_ALLOC_RANGE: without that flag the inner nodes of a tree have their metadata in the last
 * slot, and what frees a part of the tree takes it for a child (6.12).
 *
 * Locking: the space's. An administrator's change of the default (vfio/limits.c) is made under
 * iopf_container.setting, outside of it. A device's own policy is in device/device.h.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/maple_tree.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/vfio_iopf.h>

#include "../lib/tree.h"
#include "../map/area.h"
#include "../map/chunk.h"
#include "hold.h"
#include "pin.h"
#include "pins.h"
#include "policy.h"

/* Policies that are erased at a time. */
#define ERASE_BATCH	512

/**
 * iopf_policy_own() - the policy that an address has been given
 * @space: the space, locked
 * @iova: the address
 * @last: as of iopf_policy_at()
 *
 * Return: it, or IOPF_POLICY_DEFAULT: none.
 */
enum iopf_policy iopf_policy_own(struct iopf_space *space, u64 iova, u64 *last)
{
	MA_STATE(mas, &space->pins->policies.tree, iova, iova);
	void *entry;

	lockdep_assert_held(&space->lock);

	/* Most have none. */
	if (mtree_empty(&space->pins->policies.tree))
		return IOPF_POLICY_DEFAULT;
	rcu_read_lock();
	entry = mas_walk(&mas);
	rcu_read_unlock();
	*last = min_t(u64, *last, mas.last);
	return entry ? xa_to_value(entry) : IOPF_POLICY_DEFAULT;
}

/**
 * iopf_policy_at() - the policy that holds at an address
 * @space: the space, locked
 * @iova: the address
 * @last: in: look no further than here; out: up to here it is the same, if not further
 *
 * Return: it, never IOPF_POLICY_DEFAULT.
 */
enum iopf_policy iopf_policy_at(struct iopf_space *space, u64 iova, u64 *last)
{
	return iopf_policy_own(space, iova, last) ?: space->pins->policies.base;
}

/* The end of the first ERASE_BATCH policies of a range; its last address if there are no more. */
static u64 erase_end(struct iopf_space *space, const struct iopf_range *range)
{
	MA_STATE(mas, &space->pins->policies.tree, range->first, range->first);
	unsigned int n = 0;
	void *entry;

	lockdep_assert_held(&space->lock);

	rcu_read_lock();
	mas_for_each(&mas, entry, range->last)
		if (++n == ERASE_BATCH)
			break;
	rcu_read_unlock();
	return entry ? min_t(u64, mas.last, range->last) : range->last;
}

/*
 * By how many the number of policies changes when @range gets another one, or none. Beyond the
 * first @most policies of the range it is not looked at: with 3 the result is at most 0 then.
 */
static int policy_more(struct iopf_space *space, const struct iopf_range *range, bool another,
		       unsigned int most)
{
	MA_STATE(mas, &space->pins->policies.tree, range->first, range->first);
	int more = another;
	void *entry;

	lockdep_assert_held(&space->lock);

	rcu_read_lock();
	mas_for_each(&mas, entry, range->last) {
		more += (mas.index < range->first) + (mas.last > range->last) - 1;
		if (!--most)
			break;
	}
	rcu_read_unlock();
	return more;
}

/* @range has ERASE_BATCH policies at most. */
static int policy_put(struct iopf_space *space, const struct iopf_range *range, void *entry,
		      bool must)
{
	int more = policy_more(space, range, entry, UINT_MAX), ret;

	ret = iopf_tree_store(&space->pins->policies.tree, range->first, range->last, entry, must);
	if (!ret)
		space->pins->policies.nr += more;
	return ret;
}

static void policy_erase(struct iopf_space *space, const struct iopf_range *range)
{
	WARN_ON(policy_put(space, range, NULL, true));
}

/*
 * Leave no more policies of a range than one store may replace. Returns whether there were more;
 * with @may_stop -EINTR, too: the owner is killed, and some are left.
 */
static int policy_thin(struct iopf_space *space, const struct iopf_range *range, bool may_stop)
{
	struct iopf_range part, left = *range;

	while ((part.last = erase_end(space, &left)) != range->last) {
		part.first = left.first;
		policy_erase(space, &part);
		left.first = part.last + 1;
		if (may_stop && fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return left.first != range->first;
}

/**
 * iopf_policy_store() - note the policy of a range
 * @space: the space, locked
 * @range: whole pages
 * @policy: the policy
 *
 * What follows from it is the caller's to do.
 *
 * Return: 0, or -ENOMEM, -ENOSPC, and nothing has changed; -EINTR: the caller is killed, and a
 * part of the range may have no policy of its own any more.
 */
int iopf_policy_store(struct iopf_space *space, const struct iopf_range *range,
		      enum iopf_policy policy)
{
	void *entry = policy == IOPF_POLICY_DEFAULT ? NULL : xa_mk_value(policy);
	int more = policy_more(space, range, entry, 3), thinned;

	lockdep_assert_held(&space->lock);

	if (more > 0 && space->pins->policies.nr + more > space->pins->policies.max)
		return -ENOSPC;
	/* After the first batch there is no way back, but for who learns nothing of it. */
	thinned = policy_thin(space, range, true);
	return thinned < 0 ? thinned : policy_put(space, range, entry, thinned);
}

/**
 * iopf_policy_forget() - a range is unmapped: it has no policy any more
 * @space: the space, locked
 * @range: the range
 */
void iopf_policy_forget(struct iopf_space *space, const struct iopf_range *range)
{
	unsigned long index = range->first;

	lockdep_assert_held(&space->lock);

	if (!mt_find(&space->pins->policies.tree, &index, range->last))
		return;
	policy_thin(space, range, false);
	/* Unmapping can't fail. */
	policy_erase(space, range);
}

/**
 * iopf_policy_next_default() - the next part of what is mapped that has no policy of its own
 * @space: the space, locked
 * @at: where to look from
 * @range: out
 *
 * Return: whether there is one; no, too, when the caller is killed.
 */
bool iopf_policy_next_default(struct iopf_space *space, u64 at, struct iopf_range *range)
{
	struct iopf_area *area = NULL;
	unsigned long index = at;

	while ((area = iopf_space_next_area(space, area, &index, ULONG_MAX))) {
		u64 first = max(at, area->range.first), last;

		for (;; first = last + 1) {
			last = area->range.last;
			if (iopf_policy_own(space, first, &last) == IOPF_POLICY_DEFAULT) {
				*range = (struct iopf_range){ first, last };
				return true;
			}
			if (fatal_signal_pending(current))
				return false;
			if (last == area->range.last)
				break;
			cond_resched();
		}
	}
	return false;
}
