// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits: what user space sets of a container's budget, and what it reads of it.
 *
 * The files are in the container's directory in sysfs; docs/policy.md says what each is. What they
 * are about happens in budget.c and, for what is hot, in hot.c. A limit is obeyed when the write
 * that sets it returns, or nothing has changed. The first limit makes a container budgeted: all
 * that is mapped is counted. With the last one all that is forgotten.
 *
 * setting a limit vs faults: the first limit sets the flag, then counts each chunk under its lock;
 *   chunks made later are made by who sees the flag (iopf_area.chunks' lock is passed through). A
 *   fault that was under way has mapped uncounted by then, and is counted, or sees the flag. The
 *   last limit to go takes the flag away, then forgets each chunk.
 * setting a limit vs pinning: both under the container's lock, so pinned pages are never more than
 *   their limit.
 * setting a limit vs setting another: each is the whole of them with one changed, read and put
 *   under iopf_keeper.setting, which is also held while it is obeyed. Faults are not kept out then:
 *   they find the new maximum, and don't go beyond it.
 * setting a limit vs the container's end: the files go first, which waits for who writes them.
 *
 * Locking: iopf_keeper.setting -> iopf_container.lock -> iopf_chunk.lock -> iopf_keeper.lock, which
 * is a leaf. What has to go to obey goes without the container's lock. Limits change under
 * iopf_keeper.setting and iopf_keeper.lock; single ones, and counters, are read without.
 */
#include <linux/cleanup.h>
#include <linux/ctype.h>
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/kstrtox.h>
#include <linux/maple_tree.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/sysfs.h>
#include <linux/timekeeping.h>

#include "area.h"
#include "budget.h"
#include "chunk.h"
#include "container.h"
#include "limits.h"
#include "main.h"
#include "span.h"

/* What a page may be made to stay mapped at most. */
#define STAY_MAX	NSEC_PER_SEC

/* How often it is tried to get below a limit, at half a millisecond and more each time. */
#define OBEY_TRIES	2000

/* Count all that is mapped, from now on, or forget all of it. */
static void charge_all(struct iopf_container *c, bool budgeted)
{
	unsigned long index = 0, i;
	struct iopf_chunk *chunk;
	struct iopf_area *area;

	lockdep_assert_held(&c->lock);

	WRITE_ONCE(c->budgeted, budgeted);
	mt_for_each(&c->areas, area, index, ULONG_MAX) {
		if (budgeted)
			iopf_spans_flush(area);
		/* Who makes a chunk after this sees the flag; the others are in the array. */
		xa_lock(&area->chunks);
		xa_unlock(&area->chunks);
		xa_for_each(&area->chunks, i, chunk) {
			iopf_chunk_charge(chunk, budgeted);
			cond_resched();
		}
	}
}

static bool limits_any(const struct iopf_limits *l)
{
	return l->high != IOPF_BUDGET_NONE || l->max != IOPF_BUDGET_NONE ||
	       l->pinned_high != IOPF_BUDGET_NONE || l->pinned_max != IOPF_BUDGET_NONE ||
	       l->expire != IOPF_BUDGET_NONE;
}

/* Put limits into force, as far as that is possible at once. */
static int limits_put(struct iopf_keeper *k, const struct iopf_limits *limits)
{
	struct iopf_container *c = k->container;
	int ret;

	lockdep_assert_held(&k->setting);

	if (mutex_lock_interruptible(&c->lock))
		return -EINTR;
	/* What is pinned has to be known. */
	if (limits_any(limits) && !c->budgeted)
		charge_all(c, true);
	spin_lock(&k->lock);
	ret = iopf_budget_check(&k->books, limits);
	if (!ret)
		iopf_budget_limit(&k->books, limits, ktime_get_ns());
	spin_unlock(&k->lock);
	if (c->budgeted && !limits_any(&k->books.limits))
		charge_all(c, false);
	mutex_unlock(&c->lock);
	return ret;
}

/*
 * Evict down to the limits. To the soft one as far as there is something that may go: faults may
 * go beyond it meanwhile.
 */
static int limits_obey(struct iopf_keeper *k)
{
	unsigned int tries = 0;

	while (tries < OBEY_TRIES) {
		bool above, beyond;
		u64 mapped;

		spin_lock(&k->lock);
		mapped = iopf_budget_mapped(&k->books);
		above = mapped > iopf_budget_soft(&k->books);
		beyond = mapped > k->books.limits.max;
		spin_unlock(&k->lock);
		if (!above)
			return 0;
		if (signal_pending(current))
			return -EINTR;
		if (iopf_keeper_make_room(k->container, 1)) {
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

static int limits_set(struct iopf_container *c, const char *name, const struct iopf_limits *limits)
{
	struct iopf_keeper *k = c->keeper;
	struct iopf_limits old = k->books.limits;
	int ret, back;

	lockdep_assert_held(&k->setting);

	ret = limits_put(k, limits);
	if (!ret) {
		ret = limits_obey(k);
		back = ret ? limits_put(k, &old) : 0;
		/* It was good before, and pages may have been pinned since; then it stays. */
		if (back)
			ret = 0;
		mod_delayed_work(iopf_wq, &k->work, 0);
	}
	if (ret == -EINVAL)
		pr_notice(IOPF_DRIVER_NAME ": container %u: %s below %lu bytes, with which no device gets on: not set\n",
			  c->id, name, IOPF_BUDGET_LEAST * PAGE_SIZE);
	else if (ret == -EBUSY)
		pr_notice(IOPF_DRIVER_NAME ": container %u: %s below what is pinned and can't go: not set\n",
			  c->id, name);
	return ret;
}

/* sysfs */

static ssize_t pages_emit(char *buf, u64 pages)
{
	if (pages == IOPF_BUDGET_NONE)
		return sysfs_emit(buf, "max\n");
	return sysfs_emit(buf, "%llu\n", pages << PAGE_SHIFT);
}

/* As a memory cgroup reads it: "max", or bytes with or without a suffix, rounded down to pages. */
static int pages_parse(const char *buf, u64 *pages)
{
	u64 bytes;
	char *end;

	if (sysfs_streq(buf, "max")) {
		*pages = IOPF_BUDGET_NONE;
		return 0;
	}
	if (!isdigit(*buf))
		return -EINVAL;
	bytes = memparse(buf, &end);
	if (*end == '\n')
		end++;
	if (*end)
		return -EINVAL;
	*pages = bytes >> PAGE_SHIFT;
	return 0;
}

#define LIMIT_ATTR(_name, _field) \
	static u64 *_name##_of(struct iopf_limits *limits) \
	{ \
		return (void *)limits + offsetof(struct iopf_limits, _field); \
	} \
\
	static ssize_t _name##_show(struct iopf_container *c, char *buf) \
	{ \
		return pages_emit(buf, READ_ONCE(*_name##_of(&c->keeper->books.limits))); \
	} \
\
	static ssize_t _name##_store(struct iopf_container *c, const char *buf, size_t count) \
	{ \
		struct iopf_limits limits; \
		int ret; \
\
		guard(mutex)(&c->keeper->setting); \
		limits = c->keeper->books.limits; \
		ret = pages_parse(buf, _name##_of(&limits)); \
		if (!ret) \
			ret = limits_set(c, #_name, &limits); \
		return ret ?: count; \
	} \
	static const struct iopf_container_attr limits_##_name = { \
		.attr = { .name = #_name, .mode = 0644 }, \
		.show = _name##_show, \
		.store = _name##_store, \
	}

LIMIT_ATTR(resident_high, high);
LIMIT_ATTR(resident_max, max);
LIMIT_ATTR(pinned_high, pinned_high);
LIMIT_ATTR(pinned_max, pinned_max);

static ssize_t expire_show(struct iopf_container *c, char *buf)
{
	u64 expire = READ_ONCE(c->keeper->books.limits.expire);

	if (expire == IOPF_BUDGET_NONE)
		return sysfs_emit(buf, "max\n");
	return sysfs_emit(buf, "%llu\n", expire / NSEC_PER_SEC);
}

static ssize_t expire_store(struct iopf_container *c, const char *buf, size_t count)
{
	struct iopf_limits limits;
	u32 seconds;
	int ret = 0;

	guard(mutex)(&c->keeper->setting);
	limits = c->keeper->books.limits;
	limits.expire = IOPF_BUDGET_NONE;
	if (!sysfs_streq(buf, "max")) {
		ret = kstrtou32(buf, 0, &seconds);
		if (!ret && !seconds)
			ret = -EINVAL;
		limits.expire = (u64)seconds * NSEC_PER_SEC;
	}
	if (!ret)
		ret = limits_set(c, "expire", &limits);
	return ret ?: count;
}

static ssize_t min_residency_show(struct iopf_container *c, char *buf)
{
	return sysfs_emit(buf, "%llu\n", READ_ONCE(c->keeper->books.limits.stay) / NSEC_PER_USEC);
}

static ssize_t min_residency_store(struct iopf_container *c, const char *buf, size_t count)
{
	struct iopf_limits limits;
	u32 us;
	int ret;

	ret = kstrtou32(buf, 0, &us);
	if (!ret && us > STAY_MAX / NSEC_PER_USEC)
		ret = -EINVAL;
	if (ret)
		return ret;
	guard(mutex)(&c->keeper->setting);
	limits = c->keeper->books.limits;
	limits.stay = us * NSEC_PER_USEC;
	return limits_set(c, "min_residency", &limits) ?: count;
}

static ssize_t hot_max_show(struct iopf_container *c, char *buf)
{
	return sysfs_emit(buf, "%lu\n", READ_ONCE(c->keeper->hots.max) << PAGE_SHIFT);
}

static ssize_t hot_max_store(struct iopf_container *c, const char *buf, size_t count)
{
	u64 pages;
	int ret = pages_parse(buf, &pages);

	if (ret)
		return ret;
	WRITE_ONCE(c->keeper->hots.max, min_t(u64, pages, LONG_MAX >> PAGE_SHIFT));
	mod_delayed_work(iopf_wq, &c->keeper->work, 0);
	return count;
}

static ssize_t hot_show(struct iopf_container *c, char *buf)
{
	return sysfs_emit(buf, "%lu\n", READ_ONCE(c->keeper->hots.pages) << PAGE_SHIFT);
}

static ssize_t generations_show(struct iopf_container *c, char *buf)
{
	struct iopf_budget b;

	spin_lock(&c->keeper->lock);
	b = c->keeper->books;
	spin_unlock(&c->keeper->lock);
	return sysfs_emit(buf, "new %llu\nused %llu\nkept %llu\n",
			  b.pages[IOPF_GEN_NEW] << PAGE_SHIFT, b.pages[IOPF_GEN_USED] << PAGE_SHIFT,
			  (b.pages[IOPF_GEN_KEPT] + b.pinned) << PAGE_SHIFT);
}

#define COUNT_ATTR(_name, _expr) \
	static ssize_t _name##_show(struct iopf_container *c, char *buf) \
	{ \
		const struct iopf_budget *b = &c->keeper->books; \
\
		return sysfs_emit(buf, "%llu\n", (u64)(_expr)); \
	} \
	static const struct iopf_container_attr limits_##_name = { \
		.attr = { .name = #_name, .mode = 0444 }, \
		.show = _name##_show, \
	}

COUNT_ATTR(evicted, READ_ONCE(b->evicted));
COUNT_ATTR(expired, READ_ONCE(b->looked));
COUNT_ATTR(refaults, READ_ONCE(b->refaults));
COUNT_ATTR(thrashing, READ_ONCE(b->thrashing));
COUNT_ATTR(thrash_events, READ_ONCE(b->thrash_events));

static const struct iopf_container_attr limits_expire = {
	.attr = { .name = "expire", .mode = 0644 },
	.show = expire_show,
	.store = expire_store,
};

static const struct iopf_container_attr limits_min_residency = {
	.attr = { .name = "min_residency", .mode = 0644 },
	.show = min_residency_show,
	.store = min_residency_store,
};

static const struct iopf_container_attr limits_hot_max = {
	.attr = { .name = "hot_max", .mode = 0644 },
	.show = hot_max_show,
	.store = hot_max_store,
};

static const struct iopf_container_attr limits_hot = {
	.attr = { .name = "hot", .mode = 0444 },
	.show = hot_show,
};

static const struct iopf_container_attr limits_generations = {
	.attr = { .name = "generations", .mode = 0444 },
	.show = generations_show,
};

static const struct attribute *const limits_attrs[] = {
	&limits_resident_high.attr,
	&limits_resident_max.attr,
	&limits_pinned_high.attr,
	&limits_pinned_max.attr,
	&limits_expire.attr,
	&limits_min_residency.attr,
	&limits_generations.attr,
	&limits_hot_max.attr,
	&limits_hot.attr,
	&limits_evicted.attr,
	&limits_expired.attr,
	&limits_refaults.attr,
	&limits_thrashing.attr,
	&limits_thrash_events.attr,
	NULL,
};

/**
 * iopf_limits_add_files() - have what is set of a budget, and what became of it, in sysfs
 * @c: the container, whose directory is there; with it the files go
 *
 * Return: 0 or a negative error number.
 */
int iopf_limits_add_files(struct iopf_container *c)
{
	int ret = sysfs_create_files(&c->kobj, (const struct attribute *const *)limits_attrs);

	if (ret)
		return ret;
	c->keeper->thrashing = sysfs_get_dirent(c->kobj.sd, "thrashing");
	return c->keeper->thrashing ? 0 : -ENOENT;
}
