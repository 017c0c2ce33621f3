// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changes of policies. User space changes the policy of a range (VFIO_IOPF_POLICY). The
 * administrator or the attached devices change the default, which applies to ranges without a
 * policy of their own.
 *
 * A change is all or nothing. If the new policy pins, the memory is pinned first and the policy is
 * changed afterwards. If the old policy pinned, the policy is changed first and the memory is
 * unpinned afterwards. So memory whose policy is to pin is pinned at any time.
 *
 * While pages are being pinned without the lock, the old policy applies. Then the policy is changed
 * under one hold of the lock, even if a store first erases policies of the range in batches
 * (pin/policy.c). Policies are read under the lock only, and nothing fails after the first erasure.
 * So an area has the old policy or the new one.
 *
 * Devices continue meanwhile: see pin/hold.c.
 *
 * Locking: the container's lock. An administrator's change of the default (limits.c) also holds
 * iopf_container.setting, outside of it. A device's own policy is in device/device.h.
 */
#include <linux/cleanup.h>
#include <linux/maple_tree.h>
#include <linux/mm.h>
#include <linux/vfio_iopf.h>

#include "../map/area.h"
#include "../map/space.h"
#include "../pin/hold.h"
#include "../pin/pin.h"
#include "../pin/policy.h"
#include "../prefault/request.h"
#include "../prefault/requests.h"
#include "attach.h"
#include "container.h"
#include "policies.h"

static_assert(VFIO_IOPF_POLICY_DEFAULT == (int)IOPF_POLICY_DEFAULT);
static_assert(VFIO_IOPF_POLICY_FAULT == (int)IOPF_POLICY_FAULT);
static_assert(VFIO_IOPF_POLICY_PREFAULT == (int)IOPF_POLICY_PREFAULT);
static_assert(VFIO_IOPF_POLICY_PIN == (int)IOPF_POLICY_PIN);

/* Unpin the pages of a range for which no reason to pin is left. */
static void range_drain(struct iopf_space *space, const struct iopf_range *range)
{
	unsigned long index = range->first;
	struct iopf_area *area;
	struct iopf_range part;

	area = NULL;
	while ((area = iopf_space_next_area(space, area, &index, range->last)))
		if (iopf_range_intersect(&part, &area->range, range))
			iopf_hold_drain(area, &part);
}

/* Require that all of a range is pinned. -EAGAIN: some pages are not yet. */
static int range_pin(struct iopf_space *space, const struct iopf_range *range)
{
	unsigned long index = range->first;
	struct iopf_area *area;
	struct iopf_range part;
	int ret = 0;

	/* Without a group there is no domain. The first group has the pages pinned. */
	if (!space->groups)
		return 0;
	area = NULL;
	while ((area = iopf_space_next_area(space, area, &index, range->last))) {
		if (!iopf_range_intersect(&part, &area->range, range))
			continue;
		ret = iopf_pin_require(area, &part);
		if (ret) {
			space->pins->missing.last = range->last;
			break;
		}
	}
	return ret;
}

static int policy_change(struct iopf_space *space, const struct iopf_range *range,
			 enum iopf_policy policy)
{
	int ret = 0;

	if ((policy ?: space->pins->policies.base) == IOPF_POLICY_PIN)
		ret = range_pin(space, range);
	if (!ret)
		ret = iopf_policy_store(space, range, policy);
	/* Unpin pages that were pinned in vain, or whose policy no longer pins. */
	range_drain(space, range);
	return ret;
}

/* The arguments of policy_set(). */
struct policy_set {
	struct vfio_iopf_policy *arg;
	struct iopf_range range;
};

static int policy_set(struct iopf_space *space, void *data)
{
	struct policy_set *set = data;
	struct iopf_prefault *p = NULL;
	int ret;

	ret = iopf_space_check(space, &set->range, 0, true);
	if (ret)
		return ret;
	if (set->arg->policy == VFIO_IOPF_POLICY_PREFAULT) {
		p = iopf_prefault_of_policy(space, &set->range);
		if (IS_ERR(p))
			return PTR_ERR(p);
	}
	ret = policy_change(space, &set->range, set->arg->policy);
	if (p) {
		if (!ret)
			set->arg->id = iopf_prefaults_start_policy(p);
		iopf_prefault_put(p);
	}
	return ret;
}

/**
 * iopf_policy_set() - VFIO_IOPF_POLICY
 * @space: the space
 * @arg: argsz and flags have been checked; id: out
 *
 * Return: 0, or an error that the header for user space lists. On error nothing has changed.
 */
int iopf_policy_set(struct iopf_space *space, struct vfio_iopf_policy *arg)
{
	struct policy_set set = { .arg = arg };
	int ret;

	if (arg->policy > VFIO_IOPF_POLICY_PIN ||
	    iopf_range_init_pages(&set.range, arg->iova, arg->size))
		return -EINVAL;
	arg->effective = 0;
	arg->id = 0;

	if (mutex_lock_killable(&space->lock))
		return -EINTR;
	ret = iopf_pin_run(space, policy_set, &set);
	mutex_unlock(&space->lock);
	return ret;
}

/**
 * iopf_policy_get() - VFIO_IOPF_POLICY with VFIO_IOPF_POLICY_GET
 * @space: the space
 * @arg: argsz and flags have been checked; size, policy, effective: out
 *
 * Return: 0; -ENOENT where nothing is mapped; -EINTR.
 */
int iopf_policy_get(struct iopf_space *space, struct vfio_iopf_policy *arg)
{
	u64 iova = arg->iova & PAGE_MASK, last;
	struct iopf_area *area;

	if (mutex_lock_killable(&space->lock))
		return -EINTR;
	area = mtree_load(&space->areas, iova);
	if (area) {
		last = area->range.last;
		arg->iova = iova;
		arg->policy = iopf_policy_own(space, iova, &last);
		arg->effective = arg->policy ?: space->pins->policies.base;
		arg->size = last - iova + 1;
		arg->id = 0;
	}
	mutex_unlock(&space->lock);
	return area ? 0 : -ENOENT;
}

/* Prefault all ranges without a policy of their own. This is a hint, and may fail. */
static void policy_prefault_all(struct iopf_space *space)
{
	struct iopf_prefault *p;

	if (!space->nr_areas)
		return;
	p = iopf_prefault_of_policy(space, NULL);
	if (IS_ERR(p))
		return;
	iopf_prefaults_start_policy(p);
	iopf_prefault_put(p);
}

/* Compute the container's present default policy. */
static enum iopf_policy policy_effective(struct iopf_container *c)
{
	enum iopf_policy policy = c->policy;
	struct iopf_attach *at;

	if (policy != IOPF_POLICY_DEFAULT)
		return policy;
	policy = IOPF_POLICY_FAULT;
	list_for_each_entry(at, &c->attaches, faults.node)
		for (unsigned int i = 0; i < at->faults.nr_devices; i++)
			policy = max(policy, READ_ONCE(at->faults.device[i]->policy));
	return policy;
}

/**
 * iopf_policy_refresh() - apply a change of the container's default policy
 * @c: the container, locked; the caller has changed it, its groups, or the policy of a device
 *
 * Return: 0, or the error of iopf_pin_require(). On error the default has not changed, and the
 * caller undoes its own change.
 */
int iopf_policy_refresh(struct iopf_container *c)
{
	enum iopf_policy old = c->pins.policies.base, new = policy_effective(c);
	struct iopf_space *space = &c->space;
	int ret;

	lockdep_assert_held(&space->lock);

	if (new == old)
		return 0;
	c->pins.policies.base = new;
	if (new == IOPF_POLICY_PIN) {
		ret = iopf_hold_require_all(space);
		if (ret) {
			c->pins.policies.base = old;
			iopf_hold_drain_all(space);
		}
		return ret;
	}
	if (old == IOPF_POLICY_PIN)
		iopf_hold_drain_all(space);
	if (new == IOPF_POLICY_PREFAULT)
		policy_prefault_all(space);
	return 0;
}

/**
 * iopf_policy_put_default() - set the administrator's default policy of a container
 * @c: the container, locked
 * @policy: the policy; IOPF_POLICY_DEFAULT: the strongest policy of its devices
 *
 * Return: as iopf_policy_refresh(). On error nothing has changed.
 */
int iopf_policy_put_default(struct iopf_container *c, enum iopf_policy policy)
{
	enum iopf_policy old = c->policy;
	int ret;

	lockdep_assert_held(&c->space.lock);

	WRITE_ONCE(c->policy, policy);
	ret = iopf_policy_refresh(c);
	if (ret)
		WRITE_ONCE(c->policy, old);
	return ret;
}
