// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits: setting the limits of a container, and putting them into force.
 *
 * The files are in the container's directory in sysfs. docs/guide/limits.md describes each of them.
 * budget/budget.c enforces the limits, pin/hot.c the limit of hot blocks. When a write that sets a
 * limit returns success, the container is within the limit (for a soft mark: as far as blocks can
 * be evicted). When it returns an error, nothing has changed. The first limit makes a container
 * budgeted: all mapped pages are counted. When the last limit is removed, all counts are dropped.
 *
 * setting a limit vs faults: the first limit sets the flag iopf_space.budgeted, then counts each
 *   chunk under its lock. Between the two it takes and drops the lock of iopf_area.chunks, so a
 *   thread that makes a chunk later sees the flag. A fault in progress has either mapped its page
 *   before, and the page is counted, or it sees the flag. Removing the last limit clears the flag,
 *   then uncounts each chunk.
 * setting a limit vs pinning: both hold the container's lock, so pinned pages never exceed their
 *   limit.
 * setting a limit vs setting another: each writer reads all limits, changes one, and stores them
 *   under iopf_evictor.setting. The writer holds that lock also while it evicts. Faults continue
 *   meanwhile. They see the new maximum and don't exceed it.
 * setting a limit vs a group that joins or leaves: a group brings limits along (defaults.c). They
 *   apply before the group is attached, under iopf_evictor.setting. That lock is dropped while the
 *   group is attached, because attaching may pin memory, and user space can delay that for ever.
 *   If attaching succeeds, the limits that were set live meanwhile are kept with the group, too.
 *   If it fails, the group's limits are taken back, except those that were set live meanwhile. Both
 *   steps hold iopf_evictor.setting. When a group leaves, its limits stay. A limit that is set live
 *   is kept with the groups that are attached when it is put into force. Without any group no limit
 *   can be set.
 * setting a policy vs the above: setting a policy may pin, so it does not hold
 *   iopf_evictor.setting. The policy changes and is kept under one hold of the container's lock.
 * setting a limit vs the container's end: the files are removed first, which waits for writers.
 *
 * Locking: iopf_evictor.setting -> iopf_space.lock -> iopf_chunk.lock -> iopf_evictor.lock,
 * which is a leaf. Evicting down to a limit does not hold the container's lock. Limits change under
 * iopf_evictor.setting and iopf_evictor.lock. Single limits and counters are read without a lock.
 */
#include <linux/cleanup.h>
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/maple_tree.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>

#include "../budget/budget.h"
#include "../lib/params.h"
#include "../map/area.h"
#include "../map/chunk.h"
#include "../map/span.h"
#include "../pin/pin.h"
#include "container.h"
#include "defaults.h"
#include "limits.h"
#include "policies.h"

/* The most attempts to evict down to a limit. Between two it sleeps half a millisecond or more. */
#define OBEY_TRIES	2000

/* Begin to count all mapped pages, or drop all counts. */
static void charge_all(struct iopf_container *c, bool budgeted)
{
	unsigned long index = 0, i;
	struct iopf_chunk *chunk;
	struct iopf_area *area;

	lockdep_assert_held(&c->space.lock);

	WRITE_ONCE(c->space.budgeted, budgeted);
	area = NULL;
	while ((area = iopf_space_next_area(&c->space, area, &index, ULONG_MAX))) {
		if (budgeted)
			iopf_spans_flush(area);
		/* Threads that make a chunk after this see the flag. Older chunks are found. */
		xa_lock(&area->chunks);
		xa_unlock(&area->chunks);
		chunk = NULL;
		while ((chunk = iopf_area_next_chunk(area, chunk, &i)))
			iopf_chunk_charge(chunk, budgeted);
	}
}

static bool limits_any(const struct iopf_limits *l)
{
	return l->high != IOPF_BUDGET_NONE || l->max != IOPF_BUDGET_NONE ||
	       l->pinned_high != IOPF_BUDGET_NONE || l->pinned_max != IOPF_BUDGET_NONE ||
	       l->aging_interval != IOPF_BUDGET_NONE;
}

/* The limit of the budget that a setting stands for, or NULL if it is not a limit of the budget. */
static u64 *limits_field(struct iopf_limits *limits, enum iopf_setting setting)
{
	switch (setting) {
	case IOPF_SETTING_RESIDENT_HIGH:
		return &limits->high;
	case IOPF_SETTING_RESIDENT_MAX:
		return &limits->max;
	case IOPF_SETTING_PINNED_HIGH:
		return &limits->pinned_high;
	case IOPF_SETTING_PINNED_MAX:
		return &limits->pinned_max;
	case IOPF_SETTING_AGING_INTERVAL:
		return &limits->aging_interval;
	case IOPF_SETTING_MIN_RESIDENCY:
		return &limits->min_residency;
	default:
		return NULL;
	}
}

/* Convert the value of a setting to the unit of the budget: pages, or nanoseconds. */
static u64 limits_value(enum iopf_setting setting, u64 value)
{
	if (setting == IOPF_SETTING_AGING_INTERVAL)
		return value == IOPF_SETTING_MAX ? IOPF_BUDGET_NONE : value * NSEC_PER_SEC;
	if (setting == IOPF_SETTING_MIN_RESIDENCY)
		return value * NSEC_PER_USEC;
	return value == IOPF_SETTING_MAX ? IOPF_BUDGET_NONE : value >> PAGE_SHIFT;
}

/**
 * iopf_limits_get() - the present value of a limit of the budget
 * @c: the container
 * @setting: a limit of the budget
 *
 * Return: pages or nanoseconds; IOPF_BUDGET_NONE: no limit.
 */
u64 iopf_limits_get(struct iopf_container *c, enum iopf_setting setting)
{
	return READ_ONCE(*limits_field(&c->space.evictor->lru.limits, setting));
}

/* Put limits into force without evicting. */
static int limits_enforce(struct iopf_container *c, const struct iopf_limits *limits)
{
	struct iopf_evictor *k = c->space.evictor;
	int ret;

	lockdep_assert_held(&c->space.lock);

	/* The check below needs the number of pinned pages. */
	if (limits_any(limits) && !c->space.budgeted)
		charge_all(c, true);
	spin_lock(&k->lock);
	ret = iopf_budget_check(&k->lru, limits);
	if (!ret)
		iopf_budget_limit(&k->lru, limits, ktime_get_ns());
	spin_unlock(&k->lock);
	if (c->space.budgeted && !limits_any(&k->lru.limits))
		charge_all(c, false);
	return ret;
}

/*
 * Evict down to the limits. For the soft mark, stop when no block can be evicted: faults may exceed
 * it meanwhile.
 */
static int limits_obey(struct iopf_evictor *k)
{
	unsigned int tries = 0;

	while (tries < OBEY_TRIES) {
		bool above, beyond;
		u64 mapped;

		spin_lock(&k->lock);
		mapped = iopf_budget_mapped(&k->lru);
		above = mapped > iopf_budget_soft(&k->lru);
		beyond = mapped > k->lru.limits.max;
		spin_unlock(&k->lock);
		if (!above)
			return 0;
		if (signal_pending(current))
			return -EINTR;
		if (iopf_evictor_make_room(k, 1)) {
			cond_resched();
			continue;
		}
		if (!beyond)
			return 0;
		tries++;
		usleep_range(500, 1000);
	}
	return -EBUSY;
}

/* Store the value of a setting in the container, or with @set false mark the setting as unset. */
static void settings_put(struct iopf_container *c, enum iopf_setting setting, bool set, u64 value)
{
	lockdep_assert_held(&c->space.lock);

	c->settings.value[setting] = value;
	__assign_bit(setting, &c->settings.set, set);
}

/* Set a limit of the budget. The container may still exceed the limit. */
static int limits_put(struct iopf_container *c, enum iopf_setting setting, u64 value,
		      struct iopf_keep **keep)
{
	struct iopf_limits limits;
	int ret;

	lockdep_assert_held(&c->space.evictor->setting);

	if (mutex_lock_interruptible(&c->space.lock))
		return -EINTR;
	*keep = iopf_keep_begin(c);
	ret = PTR_ERR_OR_ZERO(*keep);
	if (!ret) {
		limits = c->space.evictor->lru.limits;
		*limits_field(&limits, setting) = limits_value(setting, value);
		ret = limits_enforce(c, &limits);
		if (ret)
			iopf_keep_end(*keep, setting, value, false);
		else
			settings_put(c, setting, true, value);
	}
	mutex_unlock(&c->space.lock);
	return ret;
}

/*
 * Restore the old value of a limit that can't be met. This fails if pages have been pinned since
 * and exceed the old value. Then the new value stays.
 */
static int limits_back(struct iopf_container *c, enum iopf_setting setting,
		       const struct iopf_settings *old, u64 value)
{
	struct iopf_limits limits;
	int ret;

	lockdep_assert_held(&c->space.evictor->setting);

	mutex_lock(&c->space.lock);
	limits = c->space.evictor->lru.limits;
	*limits_field(&limits, setting) = value;
	ret = limits_enforce(c, &limits);
	if (!ret)
		settings_put(c, setting, old->set & BIT(setting), old->value[setting]);
	mutex_unlock(&c->space.lock);
	return ret;
}

/**
 * iopf_limits_set_budget() - set a limit of the budget, evict down to it, and keep it
 * @c: the container
 * @setting: a limit of the budget
 * @value: its value
 *
 * Return: 0; -EINVAL: the limit is too small for any device to make progress; -EBUSY: more is
 * pinned, or can't be evicted; -ENODEV without a group; -EINTR; -ENOMEM. On error nothing has
 * changed.
 */
int iopf_limits_set_budget(struct iopf_container *c, enum iopf_setting setting, u64 value)
{
	struct iopf_evictor *k = c->space.evictor;
	struct iopf_settings old;
	struct iopf_keep *keep;
	u64 before;
	int ret;

	if (mutex_lock_interruptible(&k->setting))
		return -EINTR;
	/* Settings of the budget change only under iopf_evictor.setting, which this holds. */
	old = c->settings;
	before = *limits_field(&k->lru.limits, setting);
	ret = limits_put(c, setting, value, &keep);
	if (!ret) {
		ret = limits_obey(k);
		if (ret && limits_back(c, setting, &old, before))
			ret = 0;
		iopf_keep_end(keep, setting, value, !ret);
		mod_delayed_work(iopf_wq, &k->work, 0);
	}
	mutex_unlock(&k->setting);
	if (ret == -EINVAL)
		pr_notice(IOPF_DRIVER_NAME ": container %u: %s not set: below %lu bytes no device makes progress\n",
			  c->id, iopf_setting_name(setting), IOPF_BUDGET_MIN * PAGE_SIZE);
	else if (ret == -EBUSY)
		pr_notice(IOPF_DRIVER_NAME ": container %u: %s not set: more memory is pinned and can't be unpinned\n",
			  c->id, iopf_setting_name(setting));
	return ret;
}

/* Settings other than limits of the budget */

/* Apply such a setting. This can't fail. */
static void settings_apply_one(struct iopf_container *c, enum iopf_setting setting, u64 value)
{
	switch (setting) {
	case IOPF_SETTING_HOT_PINNED_MAX:
		value = min_t(u64, value >> PAGE_SHIFT, LONG_MAX >> PAGE_SHIFT);
		WRITE_ONCE(c->pins.hots.max, value);
		break;
	case IOPF_SETTING_FAULT_WORKERS_MAX:
		WRITE_ONCE(c->fault_workers_max, min_t(u64, value, UINT_MAX));
		break;
	case IOPF_SETTING_PREFETCH_MAX:
		WRITE_ONCE(c->prefetch_max, min_t(u64, value, UINT_MAX));
		break;
	case IOPF_SETTING_POLICY:
		WRITE_ONCE(c->policy, value);
		break;
	default:
		break;
	}
}

/**
 * iopf_limits_set() - set a limit for which nothing must be evicted, and keep it
 * @c: the container
 * @setting: neither a limit of the budget nor the policy
 * @value: its value
 *
 * Return: 0; -ENODEV without a group; -EINTR; -ENOMEM.
 */
int iopf_limits_set(struct iopf_container *c, enum iopf_setting setting, u64 value)
{
	struct iopf_keep *keep;
	int ret;

	if (mutex_lock_interruptible(&c->space.lock))
		return -EINTR;
	keep = iopf_keep_begin(c);
	ret = PTR_ERR_OR_ZERO(keep);
	if (!ret) {
		settings_apply_one(c, setting, value);
		settings_put(c, setting, true, value);
		iopf_container_share(c);
		iopf_keep_end(keep, setting, value, true);
	}
	mutex_unlock(&c->space.lock);
	return ret;
}

/* Set a policy and keep it. On error neither has happened. */
static int limits_policy(struct iopf_space *space, void *data)
{
	struct iopf_container *c = iopf_space_container(space);
	enum iopf_policy policy = *(enum iopf_policy *)data;
	struct iopf_keep *keep = iopf_keep_begin(c);
	int ret;

	if (IS_ERR(keep))
		return PTR_ERR(keep);
	ret = iopf_policy_put_default(c, policy);
	if (!ret)
		settings_put(c, IOPF_SETTING_POLICY, true, policy);
	iopf_keep_end(keep, IOPF_SETTING_POLICY, policy, !ret);
	return ret;
}

/**
 * iopf_limits_set_policy() - set the policy of a container, and keep it
 * @c: the container
 * @policy: the policy; IOPF_POLICY_DEFAULT: the strongest policy of its devices
 *
 * Return: 0, or the error of iopf_pin_run_held(); -ENODEV also without a group; -EINTR; -ENOMEM.
 * On error nothing has changed.
 */
int iopf_limits_set_policy(struct iopf_container *c, enum iopf_policy policy)
{
	int ret;

	if (mutex_lock_interruptible(&c->setting))
		return -EINTR;
	ret = mutex_lock_interruptible(&c->space.lock);
	if (!ret) {
		ret = iopf_pin_run_held(&c->space, limits_policy, &policy);
		mutex_unlock(&c->space.lock);
	}
	mutex_unlock(&c->setting);
	return ret;
}

/* Groups that join */

/* Put all settings that have a value into force. On error nothing has changed. */
static int settings_apply(struct iopf_container *c, const struct iopf_settings *s)
{
	struct iopf_limits limits = c->space.evictor->lru.limits;
	int ret;

	for (unsigned int i = 0; i < IOPF_SETTING_NR; i++)
		if (s->set & BIT(i) && limits_field(&limits, i))
			*limits_field(&limits, i) = limits_value(i, s->value[i]);
	ret = limits_enforce(c, &limits);
	if (ret)
		return ret;
	for (unsigned int i = 0; i < IOPF_SETTING_NR; i++)
		if (s->set & BIT(i))
			settings_apply_one(c, i, s->value[i]);
	c->settings = *s;
	return 0;
}

/**
 * iopf_limits_join() - apply the limits of a group that is about to be attached
 * @c: the container, locked, and so is its iopf_evictor.setting
 * @group: the group
 * @undo: out: for iopf_limits_undo()
 *
 * If the container exceeds a new limit, the excess is evicted in the background. Meanwhile no more
 * is mapped.
 *
 * Return: 0; -EBUSY: more is pinned already; -ENOMEM. On error nothing has changed.
 */
int iopf_limits_join(struct iopf_container *c, struct iommu_group *group,
		     struct iopf_limits_undo *undo)
{
	struct iopf_settings s = c->settings;
	int ret;

	lockdep_assert_held(&c->space.evictor->setting);
	lockdep_assert_held(&c->space.lock);

	*undo = (struct iopf_limits_undo){
		.settings = c->settings,
		.joined = c->settings,
		.limits = c->space.evictor->lru.limits,
		.hot_pinned_max = c->pins.hots.max,
		.fault_workers_max = c->fault_workers_max,
		.prefetch_max = c->prefetch_max,
		.policy = c->policy,
	};
	ret = iopf_defaults_get(c, group, &s);
	if (ret || !s.set)
		return ret;
	ret = settings_apply(c, &s);
	if (!ret) {
		undo->joined = s;
		mod_delayed_work(iopf_wq, &c->space.evictor->work, 0);
	} else if (ret == -EBUSY) {
		pr_notice_ratelimited(IOPF_DRIVER_NAME ": container %u: a group was not attached: more memory is pinned than its limits allow\n",
				      c->id);
	}
	return ret;
}

/* Whether a setting is the same in @a and @b: unset, or the same value. */
static bool setting_same(const struct iopf_settings *a, const struct iopf_settings *b,
			 enum iopf_setting setting)
{
	if ((a->set ^ b->set) & BIT(setting))
		return false;
	return !(a->set & BIT(setting)) || a->value[setting] == b->value[setting];
}

/**
 * iopf_limits_joined() - after attaching a group, keep the settings with it that were set meanwhile
 * @c: the container, locked, and so is its iopf_evictor.setting
 * @undo: of iopf_limits_join()
 */
void iopf_limits_joined(struct iopf_container *c, const struct iopf_limits_undo *undo)
{
	struct iopf_keep *keep;

	lockdep_assert_held(&c->space.evictor->setting);
	lockdep_assert_held(&c->space.lock);

	for (unsigned int i = 0; i < IOPF_SETTING_NR; i++) {
		if (!(c->settings.set & BIT(i)) || setting_same(&c->settings, &undo->joined, i))
			continue;
		keep = iopf_keep_begin(c);
		/* On error the setting is still in force. It is only not kept with the group. */
		if (!IS_ERR(keep))
			iopf_keep_end(keep, i, c->settings.value[i], true);
	}
}

/* Whether the group has changed a setting, and no other thread has changed it since. */
static bool undo_wants(const struct iopf_container *c, const struct iopf_limits_undo *undo,
		       enum iopf_setting setting)
{
	return !setting_same(&undo->settings, &undo->joined, setting) &&
	       setting_same(&c->settings, &undo->joined, setting);
}

static void undo_setting(struct iopf_container *c, const struct iopf_limits_undo *undo,
			 enum iopf_setting setting)
{
	settings_put(c, setting, undo->settings.set & BIT(setting), undo->settings.value[setting]);
	switch (setting) {
	case IOPF_SETTING_HOT_PINNED_MAX:
		WRITE_ONCE(c->pins.hots.max, undo->hot_pinned_max);
		break;
	case IOPF_SETTING_FAULT_WORKERS_MAX:
		WRITE_ONCE(c->fault_workers_max, undo->fault_workers_max);
		break;
	case IOPF_SETTING_PREFETCH_MAX:
		WRITE_ONCE(c->prefetch_max, undo->prefetch_max);
		break;
	case IOPF_SETTING_POLICY:
		WRITE_ONCE(c->policy, undo->policy);
		break;
	default:
		break;
	}
}

/**
 * iopf_limits_undo_policy() - the same as iopf_limits_undo() for the policy alone
 * @c: the container, locked
 * @undo: of iopf_limits_join()
 */
void iopf_limits_undo_policy(struct iopf_container *c, const struct iopf_limits_undo *undo)
{
	lockdep_assert_held(&c->space.lock);

	if (undo_wants(c, undo, IOPF_SETTING_POLICY))
		undo_setting(c, undo, IOPF_SETTING_POLICY);
}

/**
 * iopf_limits_undo() - take back the limits of a group that could not be attached
 * @c: the container, locked, as for iopf_limits_join()
 * @undo: of iopf_limits_join()
 */
void iopf_limits_undo(struct iopf_container *c, const struct iopf_limits_undo *undo)
{
	struct iopf_limits limits = c->space.evictor->lru.limits, before = undo->limits;
	unsigned long back = 0;

	lockdep_assert_held(&c->space.evictor->setting);
	lockdep_assert_held(&c->space.lock);

	for (unsigned int i = 0; i < IOPF_SETTING_NR; i++) {
		if (!undo_wants(c, undo, i))
			continue;
		back |= BIT(i);
		if (limits_field(&limits, i))
			*limits_field(&limits, i) = *limits_field(&before, i);
	}
	/* This fails if pinned pages now exceed the old limits. Then the new limits stay. */
	if (!back || limits_enforce(c, &limits))
		return;
	for (unsigned int i = 0; i < IOPF_SETTING_NR; i++)
		if (back & BIT(i))
			undo_setting(c, undo, i);
}
