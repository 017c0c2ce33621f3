// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policies: how the memory of a range is treated.
 *
 *   fault     devices fault it in when they use it, and the host may reclaim it
 *   prefault  the same, and a prefault request is made at once (prefault/)
 *   pin       it is resident, pinned and charged, as under stock type1
 *
 * A range has the policy that user space gave it. Without one it has the space's default. The
 * default is the policy that the administrator wrote, or else the strongest policy that the
 * attached devices ask for, or else fault. A change of the default applies at once to mapped memory
 * without its own policy.
 *
 * Invariants, under the space's lock: only mapped memory has its own policy; memory that is to be
 * pinned is pinned, see hold.c.
 *
 * Changes are all or nothing. To pin, all is pinned first, then the policy is changed. To unpin,
 * the policy is changed first. So at any time a page that counts as pinned is pinned. The policy of
 * a range is one entry of a tree, however many areas the range covers, so changing it can't fail
 * half-way.
 *
 * While pages are being pinned without the lock, the old policy holds. The change itself is made
 * under the lock in one go. This is also so where a store first erases many policies of the range
 * (policy_thin()): no code reads policies without the lock, and after that nothing fails. So an
 * area has the old policy or the new one.
 *
 * Devices run meanwhile: see hold.c.
 *
 * User space decides how many policies there are, up to policy_entry_limit. Unmapping an area in
 * the middle of a policy splits it in two and can't fail, so there may be one more for each area. A
 * store over a range frees the part of the tree that it covers in one go, so a large number of
 * policies is erased in batches. The tree has MT_FLAGS_ALLOC_RANGE: without that flag the inner
 * nodes of a tree have their metadata in the last slot, and code that frees a part of the tree
 * takes the metadata for a child (6.12).
 *
 * Locking: the space's lock. An administrator's change of the default (vfio/limits.c) is made under
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

/* Number of policies that are erased at a time. */
#define ERASE_BATCH	512

/**
 * iopf_policy_own() - return the policy that user space gave to an address
 * @space: the space, locked
 * @iova: the address
 * @last: as of iopf_policy_at()
 *
 * Return: the policy, or IOPF_POLICY_DEFAULT: none.
 */
enum iopf_policy iopf_policy_own(struct iopf_space *space, u64 iova, u64 *last)
{
	MA_STATE(mas, &space->pins->policies.tree, iova, iova);
	void *entry;

	lockdep_assert_held(&space->lock);

	/* Most spaces have none. */
	if (mtree_empty(&space->pins->policies.tree))
		return IOPF_POLICY_DEFAULT;
	rcu_read_lock();
	entry = mas_walk(&mas);
	rcu_read_unlock();
	*last = min_t(u64, *last, mas.last);
	return entry ? xa_to_value(entry) : IOPF_POLICY_DEFAULT;
}

/**
 * iopf_policy_at() - return the policy that holds at an address
 * @space: the space, locked
 * @iova: the address
 * @last: in: the last address to look at; out: the policy holds up to here at least
 *
 * Return: the policy, never IOPF_POLICY_DEFAULT.
 */
enum iopf_policy iopf_policy_at(struct iopf_space *space, u64 iova, u64 *last)
{
	return iopf_policy_own(space, iova, last) ?: space->pins->policies.base;
}

/*
 * Find the end of the first ERASE_BATCH policies of a range. Returns the range's last address if
 * there are no more policies.
 */
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
 * Count by how many the number of policies changes when @range gets another one, or none. This
 * looks at the first @most policies of the range only: with 3 the result is at most 0 then.
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

/* Store an entry for a range that has at most ERASE_BATCH policies. */
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
 * Erase policies of a range, until one store may replace the rest. Returns whether any were erased.
 * With @may_stop it may return -EINTR: the owner is killed, and some policies are left.
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
 * iopf_policy_store() - store the policy of a range
 * @space: the space, locked
 * @range: whole pages
 * @policy: the policy
 *
 * The caller pins, unpins or prefaults accordingly.
 *
 * Return: 0, or -ENOMEM, -ENOSPC, and nothing has changed; -EINTR: the caller is killed, and a part
 * of the range may have lost its own policy.
 */
int iopf_policy_store(struct iopf_space *space, const struct iopf_range *range,
		      enum iopf_policy policy)
{
	void *entry = policy == IOPF_POLICY_DEFAULT ? NULL : xa_mk_value(policy);
	int more = policy_more(space, range, entry, 3), thinned;

	lockdep_assert_held(&space->lock);

	if (more > 0 && space->pins->policies.nr + more > space->pins->policies.max)
		return -ENOSPC;
	/*
	 * After the first batch the store can't be undone. Only a killed caller may stop here,
	 * since it does not see the result.
	 */
	thinned = policy_thin(space, range, true);
	return thinned < 0 ? thinned : policy_put(space, range, entry, thinned);
}

/**
 * iopf_policy_forget() - erase the policies of a range that is being unmapped
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
 * iopf_policy_next_default() - find the next mapped part that has no policy of its own
 * @space: the space, locked
 * @at: where to start
 * @range: out
 *
 * Return: whether there is one; false also when the caller is killed.
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
