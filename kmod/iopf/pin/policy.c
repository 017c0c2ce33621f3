// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policies: what is done about the memory of a range.
 *
 *   fault     devices fault it in when they use it, and the host takes it back when it likes
 *   prefault  the same, but a request to have it ready is made at once (prefault.c)
 *   pin       it is resident, pinned and charged, as under stock type1
 *
 * A range has the policy that user space gave it, or else the container's default: what the
 * administrator wrote, or else the strongest of what the attached devices ask for, or else fault.
 * A change of the default holds for what is mapped and has no policy of its own, at once.
 *
 * Invariants, under the container's lock: only what is mapped has a policy of its own; what is to
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
 * Locking: the container's. An administrator's change of the default (limits.c) is made under
 * iopf_container.setting, outside of it. A device's own policy is the device's, see device.h.
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
#include "../prefetch/prefault.h"
#include "../prefetch/prefaults.h"
#include "../vfio/attach.h"
#include "../vfio/container.h"
#include "hold.h"
#include "pin.h"
#include "policy.h"

static_assert(VFIO_IOPF_POLICY_DEFAULT == (int)IOPF_POLICY_DEFAULT);
static_assert(VFIO_IOPF_POLICY_FAULT == (int)IOPF_POLICY_FAULT);
static_assert(VFIO_IOPF_POLICY_PREFAULT == (int)IOPF_POLICY_PREFAULT);
static_assert(VFIO_IOPF_POLICY_PIN == (int)IOPF_POLICY_PIN);

/* Policies that are erased at a time. */
#define ERASE_BATCH	512

/* The range's own, or IOPF_POLICY_DEFAULT; @last: as of iopf_policy_at(). */
static enum iopf_policy policy_own(struct iopf_container *c, u64 iova, u64 *last)
{
	MA_STATE(mas, &c->policies, iova, iova);
	void *entry;

	lockdep_assert_held(&c->lock);

	rcu_read_lock();
	entry = mas_walk(&mas);
	rcu_read_unlock();
	*last = min_t(u64, *last, mas.last);
	return entry ? xa_to_value(entry) : IOPF_POLICY_DEFAULT;
}

/**
 * iopf_policy_at() - the policy that holds at an address
 * @c: the container, locked
 * @iova: the address
 * @last: in: look no further than here; out: up to here it is the same, if not further
 *
 * Return: it, never IOPF_POLICY_DEFAULT.
 */
enum iopf_policy iopf_policy_at(struct iopf_container *c, u64 iova, u64 *last)
{
	return policy_own(c, iova, last) ?: c->default_policy;
}

/* The end of the first ERASE_BATCH policies of a range; its last address if there are no more. */
static u64 erase_end(struct iopf_container *c, const struct iopf_range *range)
{
	MA_STATE(mas, &c->policies, range->first, range->first);
	unsigned int n = 0;
	void *entry;

	lockdep_assert_held(&c->lock);

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
static int policy_more(struct iopf_container *c, const struct iopf_range *range, bool another,
		       unsigned int most)
{
	MA_STATE(mas, &c->policies, range->first, range->first);
	int more = another;
	void *entry;

	lockdep_assert_held(&c->lock);

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
static int policy_put(struct iopf_container *c, const struct iopf_range *range, void *entry,
		      bool must)
{
	int more = policy_more(c, range, entry, UINT_MAX), ret;

	ret = iopf_tree_store(&c->policies, range->first, range->last, entry, must);
	if (!ret)
		c->nr_policies += more;
	return ret;
}

static void policy_erase(struct iopf_container *c, const struct iopf_range *range)
{
	WARN_ON(policy_put(c, range, NULL, true));
}

/*
 * Leave no more policies of a range than one store may replace. Returns whether there were more;
 * with @may_stop -EINTR, too: the owner is killed, and some are left.
 */
static int policy_thin(struct iopf_container *c, const struct iopf_range *range, bool may_stop)
{
	struct iopf_range part, left = *range;

	while ((part.last = erase_end(c, &left)) != range->last) {
		part.first = left.first;
		policy_erase(c, &part);
		left.first = part.last + 1;
		if (may_stop && fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return left.first != range->first;
}

/**
 * iopf_policy_store() - note the policy of a range
 * @c: the container, locked
 * @range: whole pages
 * @policy: the policy
 *
 * What follows from it is the caller's to do.
 *
 * Return: 0, or -ENOMEM, -ENOSPC, and nothing has changed; -EINTR: the caller is killed, and a
 * part of the range may have no policy of its own any more.
 */
int iopf_policy_store(struct iopf_container *c, const struct iopf_range *range,
		      enum iopf_policy policy)
{
	void *entry = policy == IOPF_POLICY_DEFAULT ? NULL : xa_mk_value(policy);
	int more = policy_more(c, range, entry, 3), thinned;

	lockdep_assert_held(&c->lock);

	if (more > 0 && c->nr_policies + more > c->policy_entry_limit)
		return -ENOSPC;
	/* After the first batch there is no way back, but for who learns nothing of it. */
	thinned = policy_thin(c, range, true);
	return thinned < 0 ? thinned : policy_put(c, range, entry, thinned);
}

/**
 * iopf_policy_forget() - a range is unmapped: it has no policy any more
 * @c: the container, locked
 * @range: the range
 */
void iopf_policy_forget(struct iopf_container *c, const struct iopf_range *range)
{
	unsigned long index = range->first;

	lockdep_assert_held(&c->lock);

	if (!mt_find(&c->policies, &index, range->last))
		return;
	policy_thin(c, range, false);
	/* Unmapping can't fail. */
	policy_erase(c, range);
}

/**
 * iopf_policy_check() - whether a range can have a policy, or be locked
 * @c: the container, locked
 * @range: the range
 *
 * Return: 0; -ENOENT: not all of it is mapped; -EBUSY: an address of it is invalid; -EINTR.
 */
int iopf_policy_check(struct iopf_container *c, const struct iopf_range *range)
{
	u64 at = range->first;

	for (;;) {
		struct iopf_area *area = mtree_load(&c->areas, at);

		if (!area)
			return -ENOENT;
		if (area->vaddr_invalid)
			return -EBUSY;
		if (area->range.last >= range->last)
			return 0;
		at = area->range.last + 1;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

/* Unpin what nobody wants pinned of a range. */
static void range_drain(struct iopf_container *c, const struct iopf_range *range)
{
	unsigned long index = range->first;
	struct iopf_area *area;
	struct iopf_range part;

	area = NULL;
	while ((area = iopf_container_next_area(c, area, &index, range->last)))
		if (iopf_range_intersect(&part, &area->range, range))
			iopf_hold_drain(area, &part);
}

/* Whether all of a range is pinned, or -EAGAIN. */
static int range_pin(struct iopf_container *c, const struct iopf_range *range)
{
	unsigned long index = range->first;
	struct iopf_area *area;
	struct iopf_range part;
	int ret = 0;

	/* There is no domain to know the pages. They are pinned when there is one. */
	if (list_empty(&c->attaches))
		return 0;
	area = NULL;
	while ((area = iopf_container_next_area(c, area, &index, range->last))) {
		if (!iopf_range_intersect(&part, &area->range, range))
			continue;
		ret = iopf_pin_require(area, &part);
		if (ret) {
			c->missing.last = range->last;
			break;
		}
	}
	return ret;
}

static int policy_change(struct iopf_container *c, const struct iopf_range *range,
			 enum iopf_policy policy)
{
	int ret = 0;

	if ((policy ?: c->default_policy) == IOPF_POLICY_PIN)
		ret = range_pin(c, range);
	if (!ret)
		ret = iopf_policy_store(c, range, policy);
	/* What has been pinned in vain, or is no longer to be pinned. */
	range_drain(c, range);
	return ret;
}

/* A policy for a range. */
struct policy_set {
	struct vfio_iopf_policy *arg;
	struct iopf_range range;
};

static int policy_set(struct iopf_container *c, void *data)
{
	struct policy_set *set = data;
	struct iopf_prefault *p = NULL;
	int ret;

	ret = iopf_policy_check(c, &set->range);
	if (ret)
		return ret;
	if (set->arg->policy == VFIO_IOPF_POLICY_PREFAULT) {
		p = iopf_prefault_of_policy(c, &set->range);
		if (IS_ERR(p))
			return PTR_ERR(p);
	}
	ret = policy_change(c, &set->range, set->arg->policy);
	if (p) {
		if (!ret)
			set->arg->id = iopf_prefaults_start_policy(p);
		iopf_prefault_put(p);
	}
	return ret;
}

/**
 * iopf_policy_set() - VFIO_IOPF_POLICY
 * @c: the container
 * @arg: argsz and flags have been checked; id: out
 *
 * Return: 0, or what the header for user space says, and nothing has changed.
 */
int iopf_policy_set(struct iopf_container *c, struct vfio_iopf_policy *arg)
{
	struct policy_set set = { .arg = arg };
	int ret;

	if (arg->policy > VFIO_IOPF_POLICY_PIN ||
	    iopf_range_init_pages(&set.range, arg->iova, arg->size))
		return -EINVAL;
	arg->effective = 0;
	arg->id = 0;

	if (mutex_lock_killable(&c->lock))
		return -EINTR;
	ret = iopf_pin_run(c, policy_set, &set);
	mutex_unlock(&c->lock);
	return ret;
}

/**
 * iopf_policy_get() - VFIO_IOPF_POLICY with VFIO_IOPF_POLICY_GET
 * @c: the container
 * @arg: argsz and flags have been checked; size, policy, effective: out
 *
 * Return: 0; -ENOENT where nothing is mapped; -EINTR.
 */
int iopf_policy_get(struct iopf_container *c, struct vfio_iopf_policy *arg)
{
	u64 iova = arg->iova & PAGE_MASK, last;
	struct iopf_area *area;

	if (mutex_lock_killable(&c->lock))
		return -EINTR;
	area = mtree_load(&c->areas, iova);
	if (area) {
		last = area->range.last;
		arg->iova = iova;
		arg->policy = policy_own(c, iova, &last);
		arg->effective = arg->policy ?: c->default_policy;
		arg->size = last - iova + 1;
		arg->id = 0;
	}
	mutex_unlock(&c->lock);
	return area ? 0 : -ENOENT;
}

/**
 * iopf_policy_next_default() - the next part of what is mapped that has no policy of its own
 * @c: the container, locked
 * @at: where to look from
 * @range: out
 *
 * Return: whether there is one; no, too, when the caller is killed.
 */
bool iopf_policy_next_default(struct iopf_container *c, u64 at, struct iopf_range *range)
{
	struct iopf_area *area = NULL;
	unsigned long index = at;

	while ((area = iopf_container_next_area(c, area, &index, ULONG_MAX))) {
		u64 first = max(at, area->range.first), last;

		for (;; first = last + 1) {
			last = area->range.last;
			if (policy_own(c, first, &last) == IOPF_POLICY_DEFAULT) {
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

/* Have ready what has no policy of its own. As VFIO_IOPF_PREFAULT a hint: it may fail. */
static void policy_prefault_all(struct iopf_container *c)
{
	struct iopf_prefault *p;

	if (!c->nr_areas)
		return;
	p = iopf_prefault_of_policy(c, NULL);
	if (IS_ERR(p))
		return;
	iopf_prefaults_start_policy(p);
	iopf_prefault_put(p);
}

/* What the container's default is by now. */
static enum iopf_policy policy_effective(struct iopf_container *c)
{
	enum iopf_policy policy = c->policy;
	struct iopf_attach *at;

	if (policy != IOPF_POLICY_DEFAULT)
		return policy;
	policy = IOPF_POLICY_FAULT;
	list_for_each_entry(at, &c->attaches, node)
		for (unsigned int i = 0; i < at->nr_devices; i++)
			policy = max(policy, READ_ONCE(at->device[i]->policy));
	return policy;
}

/**
 * iopf_policy_refresh() - the container's default may have changed
 * @c: the container, locked
 *
 * Return: 0, or the error of iopf_pin_require(): then nothing has changed, and the caller takes
 * back what it has changed.
 */
int iopf_policy_refresh(struct iopf_container *c)
{
	enum iopf_policy old = c->default_policy, new = policy_effective(c);
	int ret;

	lockdep_assert_held(&c->lock);

	if (new == old)
		return 0;
	c->default_policy = new;
	if (new == IOPF_POLICY_PIN) {
		ret = iopf_hold_fill_all(c);
		if (ret) {
			c->default_policy = old;
			iopf_hold_drain_all(c);
		}
		return ret;
	}
	if (old == IOPF_POLICY_PIN)
		iopf_hold_drain_all(c);
	if (new == IOPF_POLICY_PREFAULT)
		policy_prefault_all(c);
	return 0;
}

/**
 * iopf_policy_put_default() - give a container a default policy
 * @c: the container, locked
 * @policy: the policy; IOPF_POLICY_DEFAULT: what its devices ask for
 *
 * Return: as iopf_policy_refresh(), and nothing has changed.
 */
int iopf_policy_put_default(struct iopf_container *c, enum iopf_policy policy)
{
	enum iopf_policy old = c->policy;
	int ret;

	lockdep_assert_held(&c->lock);

	WRITE_ONCE(c->policy, policy);
	ret = iopf_policy_refresh(c);
	if (ret)
		WRITE_ONCE(c->policy, old);
	return ret;
}
