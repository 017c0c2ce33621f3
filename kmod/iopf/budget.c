// SPDX-License-Identifier: GPL-2.0-only
/*
 * Budgets: how much of a container may be mapped and pinned, and what goes to make room.
 *
 * The books and the policy are core/budget.h; its blocks are chunks. This file says when they are
 * asked, evicts, and has the files in sysfs. A container without limits is not budgeted: nothing
 * is counted, and all that its faults pay is a look at iopf_container.budgeted.
 *
 * To evict is to unmap. The memory itself stays the process's; the host finds it unused when it
 * looks (mm.c: not mapped is not young), and decides.
 *
 * Charging: whoever changes what a chunk has mapped has the chunk counted anew before it drops the
 * chunk's lock (iopf_keeper_settle()). What is going to be mapped is reserved before, under the
 * same lock, so what is mapped is never more than the maximum; how much can be had says
 * how much is mapped: a leaf of 2 MiB, the window, the page in question, or nothing
 * (-EDQUOT). What nobody waits for is had below the soft mark only. There are no
 * leaves of 1 GiB: they could go but as a whole.
 *
 * Making room: above the soft mark, and a little before the hard one, in the background. A fault
 * for which there is not a single page has room made by its worker, and tries again, as one that
 * meets an invalidation; if nothing may go just now, it waits like that one.
 *
 * fault vs eviction: a victim is chosen without its chunk's lock. Under it the budget is asked once
 *   more; a fault that came in between has put the chunk where it may not go.
 * answer vs eviction: a fault says when it begins to be handled, and when it has been answered
 *   (iopf_keeper_enter(), iopf_keeper_leave()); what it has mapped does not go in between. A
 *   group of faults that has been served in part is answered when there is no room for the
 *   rest: waiting with what it has, it could keep others, or itself, waiting for good.
 * unmap vs eviction: a chunk that is killed is forgotten under its lock; who has chosen it is in an
 *   RCU read-side section and finds that it may not go.
 * freeze vs eviction: what is mapped of a frozen area stays, for its faults would wait.
 * setting a limit vs faults: the first limit sets the flag, then counts each chunk under its lock;
 *   chunks made later are made by who sees the flag (iopf_area.chunks' lock is passed through). A
 *   fault that was under way has mapped uncounted by then, and is counted, or sees the flag. The
 *   last limit to go takes the flag away, then forgets each chunk.
 * setting a limit vs pinning: both under the container's lock, so pinned pages are never more than
 *   their limit.
 *
 * Locking: iopf_keeper.setting -> iopf_container.lock -> iopf_chunk.lock -> iopf_keeper.lock, which
 * is a leaf.
 */
#include <linux/cleanup.h>
#include <linux/ctype.h>
#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/maple_tree.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/timekeeping.h>

#include "area.h"
#include "budget.h"
#include "chunk.h"
#include "container.h"
#include "controls.h"
#include "main.h"
#include "span.h"

/* How long a page stays mapped at least: time for the device to try again. */
#define STAY_DEFAULT	(2 * NSEC_PER_MSEC)
#define STAY_MAX	NSEC_PER_SEC

/* What an epoch takes at most; see core/budget.h. */
#define EPOCH		NSEC_PER_SEC

/* Blocks evicted in a row before others have their turn. */
#define BATCH		1024

/* Blocks met in a row that may not go after all, until it is left at that. */
#define SPARED_MAX	16

/* How often it is tried to make room, at half a millisecond and more each time. */
#define ROOM_TRIES	2000

static struct iopf_keeper *chunk_keeper(const struct iopf_chunk *chunk)
{
	return chunk->area->container->keeper;
}

/* Whether @work has something to do; kicked at most once until it has looked. */
static bool keeper_kick(struct iopf_keeper *k)
{
	lockdep_assert_held(&k->lock);

	if (k->kicked || (!iopf_budget_excess(&k->books) && k->books.thrashing == k->told))
		return false;
	k->kicked = true;
	return true;
}

/**
 * iopf_keeper_reserve() - room for what a fault is about to map
 * @chunk: the chunk, locked; its container is budgeted
 * @around: pages of the window; out: 1 when there is no room for more
 * @reserved: out: how many are reserved, to be given back by iopf_keeper_settle()
 * @huge: out: whether a leaf of 2 MiB may take the place of what is mapped
 *
 * Return: 0 or -EDQUOT.
 */
int iopf_keeper_reserve(struct iopf_chunk *chunk, unsigned int *around, unsigned int *reserved,
			bool *huge)
{
	unsigned int present = iopf_chunkmap_mapped(&chunk->map), all = IOPF_CHUNK_PAGES - present;
	unsigned int window = clamp(*around, 1U, IOPF_CHUNK_PAGES);
	struct iopf_keeper *k = chunk_keeper(chunk);

	lockdep_assert_held(&chunk->lock);

	if (iopf_broken(budget))
		return 0;
	guard(spinlock)(&k->lock);
	*huge = iopf_budget_reserve(&k->books, all, false);
	if (*huge) {
		*reserved = all;
		return 0;
	}
	if (iopf_budget_reserve(&k->books, window, false)) {
		*reserved = window;
		return 0;
	}
	*around = 1;
	if (!iopf_budget_reserve(&k->books, 1, true))
		return -EDQUOT;
	*reserved = 1;
	return 0;
}

/**
 * iopf_keeper_reserve_ahead() - room for what nobody waits for
 * @chunk: the chunk, locked; its container is budgeted
 * @pages: how many there are to map at most, as far as they are not one leaf
 * @reserved: out: how many are reserved, to be given back by iopf_keeper_settle()
 *
 * Return: whether there is.
 */
bool iopf_keeper_reserve_ahead(struct iopf_chunk *chunk, unsigned int pages,
			       unsigned int *reserved)
{
	struct iopf_keeper *k = chunk_keeper(chunk);
	/* An empty chunk may get a leaf, whatever part of it is asked for. */
	unsigned int all = iopf_chunkmap_empty(&chunk->map) ? IOPF_CHUNK_PAGES : pages;

	lockdep_assert_held(&chunk->lock);

	guard(spinlock)(&k->lock);
	if (!iopf_budget_reserve(&k->books, all, false))
		return false;
	*reserved = all;
	return true;
}

/**
 * iopf_keeper_settle() - count what a chunk has mapped
 * @chunk: the chunk, locked; its container is budgeted
 * @reserved: what was reserved for it
 * @why: why it may have changed
 */
void iopf_keeper_settle(struct iopf_chunk *chunk, unsigned int reserved, enum iopf_settle why)
{
	unsigned int pages = iopf_chunkmap_mapped(&chunk->map);
	unsigned int pinned = iopf_chunkmap_pinned(&chunk->map);
	struct iopf_keeper *k = chunk_keeper(chunk);
	bool kick;

	lockdep_assert_held(&chunk->lock);

	scoped_guard(spinlock, &k->lock) {
		if (reserved)
			iopf_budget_unreserve(&k->books, reserved);
		iopf_budget_settle(&k->books, &chunk->block, pages, pinned, why, ktime_get_ns());
		kick = keeper_kick(k);
	}
	if (kick)
		mod_delayed_work(iopf_wq, &k->work, 0);
}

/**
 * iopf_keeper_forget() - a chunk is charged for no more
 * @chunk: the chunk, locked; it may never have been
 */
void iopf_keeper_forget(struct iopf_chunk *chunk)
{
	struct iopf_keeper *k = chunk_keeper(chunk);

	lockdep_assert_held(&chunk->lock);

	guard(spinlock)(&k->lock);
	iopf_budget_forget(&k->books, &chunk->block);
}

/**
 * iopf_keeper_may_evict() - whether a chunk may go
 * @chunk: the chunk, locked
 */
bool iopf_keeper_may_evict(struct iopf_chunk *chunk)
{
	struct iopf_keeper *k = chunk_keeper(chunk);
	u64 now = ktime_get_ns();

	lockdep_assert_held(&chunk->lock);

	guard(spinlock)(&k->lock);
	if (!iopf_budget_may_evict(&k->books, &chunk->block, now))
		return false;
	if (READ_ONCE(chunk->area->frozen)) {
		iopf_budget_spare(&k->books, &chunk->block, now);
		return false;
	}
	return true;
}

/* Have one chunk go, because there is no room, or to see whether it is used. 0: none may go now. */
static unsigned int keeper_evict(struct iopf_keeper *k, bool look)
{
	struct iopf_block *block;
	unsigned int pages = 0;

	for (unsigned int spared = 0; !pages && spared < SPARED_MAX; spared++) {
		guard(rcu)();
		scoped_guard(spinlock, &k->lock) {
			u64 now = ktime_get_ns();

			block = look ? iopf_budget_expired(&k->books, now)
				     : iopf_budget_victim(&k->books, now);
		}
		if (!block)
			break;
		pages = iopf_chunk_evict(container_of(block, struct iopf_chunk, block), look);
	}
	return pages;
}

/**
 * iopf_keeper_make_room() - have something go
 * @c: the container, which is not going away
 * @pages: how much there should be room for
 *
 * Context: process context, with none of the chunks' locks; does not sleep.
 * Return: pages that have gone; 0: nothing may go now.
 */
unsigned int iopf_keeper_make_room(struct iopf_container *c, unsigned int pages)
{
	unsigned int all = 0, gone;

	while (all < pages && (gone = keeper_evict(c->keeper, false)))
		all += gone;
	return all;
}

/**
 * iopf_keeper_reserve_pin() - room for pages that are about to be pinned
 * @chunk: the chunk, not locked
 * @n: pages, none of which is pinned
 * @reserved: out: how many are reserved, to be given back by iopf_keeper_settle()
 *
 * Context: process context, under the container's lock; sleeps.
 * Return: 0; -ENOMEM: more than may be pinned, or there is no room; -EINTR.
 */
int iopf_keeper_reserve_pin(struct iopf_chunk *chunk, unsigned int n, unsigned int *reserved)
{
	struct iopf_container *c = chunk->area->container;
	int ret;

	lockdep_assert_held(&c->lock);

	if (likely(!READ_ONCE(c->budgeted)))
		return 0;
	for (unsigned int tries = 0; tries < ROOM_TRIES; tries++) {
		/* Some of them may be mapped, but need not be any more when they get pinned. */
		scoped_guard(spinlock, &c->keeper->lock)
			ret = iopf_budget_reserve_pinned(&c->keeper->books, n, n);
		if (ret != -EAGAIN) {
			*reserved = ret ? 0 : n;
			return ret;
		}
		if (fatal_signal_pending(current))
			return -EINTR;
		if (!iopf_keeper_make_room(c, n))
			usleep_range(500, 1000);
	}
	return -ENOMEM;
}

/**
 * iopf_keeper_full() - whether nothing should be mapped that nobody waits for
 * @c: the container, budgeted
 */
bool iopf_keeper_full(struct iopf_container *c)
{
	guard(spinlock)(&c->keeper->lock);
	return iopf_budget_excess(&c->keeper->books);
}

int iopf_keeper_enter_slow(struct iopf_container *c)
{
	guard(spinlock)(&c->keeper->lock);
	return iopf_budget_enter(&c->keeper->books);
}

void iopf_keeper_leave_slow(struct iopf_container *c, int turn)
{
	guard(spinlock)(&c->keeper->lock);
	iopf_budget_leave(&c->keeper->books, turn);
}

/* Tell who polls, if thrashing has begun or ended. */
static void keeper_tell(struct iopf_keeper *k)
{
	bool thrashing;

	scoped_guard(spinlock, &k->lock) {
		iopf_budget_tick(&k->books, ktime_get_ns());
		thrashing = k->books.thrashing;
		if (thrashing == k->told)
			return;
		k->told = thrashing;
	}
	sysfs_notify_dirent(k->thrashing);
}

/* When to look again; 0: when somebody kicks. */
static unsigned long keeper_rest(struct iopf_keeper *k)
{
	u64 expire;

	guard(spinlock)(&k->lock);
	/* There is something that could not go yet. */
	if (iopf_budget_excess(&k->books))
		return 1;
	k->kicked = false;
	expire = k->books.limits.expire;
	if (k->told || k->books.thrashing)
		return HZ;
	if (expire == IOPF_BUDGET_NONE)
		return 0;
	return clamp(nsecs_to_jiffies(expire / 4), 1UL, 10UL * HZ);
}

static void keeper_work(struct work_struct *work)
{
	struct iopf_keeper *k = container_of(to_delayed_work(work), struct iopf_keeper, work);
	unsigned long delay;
	unsigned int n = 0;

	while (iopf_keeper_full(k->container) && n++ < BATCH && keeper_evict(k, false))
		cond_resched();
	for (n = 0; n < BATCH && keeper_evict(k, true); n++)
		cond_resched();
	keeper_tell(k);
	iopf_hot_work(k, k->told);
	delay = keeper_rest(k);
	if (delay)
		queue_delayed_work(iopf_wq, &k->work, delay);
}

/* Count all that is mapped, from now on, or forget all of it. */
static void keeper_charge_all(struct iopf_container *c, bool budgeted)
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
static int keeper_limit(struct iopf_keeper *k, const struct iopf_limits *limits)
{
	struct iopf_container *c = k->container;
	int ret;

	lockdep_assert_held(&k->setting);

	if (mutex_lock_interruptible(&c->lock))
		return -EINTR;
	/* What is pinned has to be known. */
	if (limits_any(limits) && !c->budgeted)
		keeper_charge_all(c, true);
	scoped_guard(spinlock, &k->lock) {
		ret = iopf_budget_check(&k->books, limits);
		if (!ret)
			iopf_budget_limit(&k->books, limits, ktime_get_ns());
	}
	if (c->budgeted && !limits_any(&k->books.limits))
		keeper_charge_all(c, false);
	mutex_unlock(&c->lock);
	return ret;
}

/*
 * Evict down to the limits. To the soft one as far as there is something that may go: faults may
 * go beyond it meanwhile.
 */
static int keeper_obey(struct iopf_keeper *k)
{
	unsigned int tries = 0;

	while (tries < ROOM_TRIES) {
		bool above, beyond;

		scoped_guard(spinlock, &k->lock) {
			u64 mapped = iopf_budget_mapped(&k->books);

			above = mapped > iopf_budget_soft(&k->books);
			beyond = mapped > k->books.limits.max;
		}
		if (!above)
			return 0;
		if (signal_pending(current))
			return -EINTR;
		if (keeper_evict(k, false)) {
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

static int keeper_set(struct iopf_container *c, const char *name, const struct iopf_limits *limits)
{
	struct iopf_keeper *k = c->keeper;
	struct iopf_limits old = k->books.limits;
	int ret, back;

	lockdep_assert_held(&k->setting);

	ret = keeper_limit(k, limits);
	if (!ret) {
		ret = keeper_obey(k);
		back = ret ? keeper_limit(k, &old) : 0;
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
			ret = keeper_set(c, #_name, &limits); \
		return ret ?: count; \
	} \
	static const struct iopf_container_attr budget_##_name = { \
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
		ret = keeper_set(c, "expire", &limits);
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
	return keeper_set(c, "min_residency", &limits) ?: count;
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

	scoped_guard(spinlock, &c->keeper->lock)
		b = c->keeper->books;
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
	static const struct iopf_container_attr budget_##_name = { \
		.attr = { .name = #_name, .mode = 0444 }, \
		.show = _name##_show, \
	}

COUNT_ATTR(evicted, READ_ONCE(b->evicted));
COUNT_ATTR(expired, READ_ONCE(b->looked));
COUNT_ATTR(refaults, READ_ONCE(b->refaults));
COUNT_ATTR(thrashing, READ_ONCE(b->thrashing));
COUNT_ATTR(thrash_events, READ_ONCE(b->thrash_events));

static const struct iopf_container_attr budget_expire = {
	.attr = { .name = "expire", .mode = 0644 },
	.show = expire_show,
	.store = expire_store,
};

static const struct iopf_container_attr budget_min_residency = {
	.attr = { .name = "min_residency", .mode = 0644 },
	.show = min_residency_show,
	.store = min_residency_store,
};

static const struct iopf_container_attr budget_hot_max = {
	.attr = { .name = "hot_max", .mode = 0644 },
	.show = hot_max_show,
	.store = hot_max_store,
};

static const struct iopf_container_attr budget_hot = {
	.attr = { .name = "hot", .mode = 0444 },
	.show = hot_show,
};

static const struct iopf_container_attr budget_generations = {
	.attr = { .name = "generations", .mode = 0444 },
	.show = generations_show,
};

static const struct attribute *const budget_attrs[] = {
	&budget_resident_high.attr,
	&budget_resident_max.attr,
	&budget_pinned_high.attr,
	&budget_pinned_max.attr,
	&budget_expire.attr,
	&budget_min_residency.attr,
	&budget_generations.attr,
	&budget_hot_max.attr,
	&budget_hot.attr,
	&budget_evicted.attr,
	&budget_expired.attr,
	&budget_refaults.attr,
	&budget_thrashing.attr,
	&budget_thrash_events.attr,
	NULL,
};

/**
 * iopf_keeper_create() - a budget without limits
 * @c: whose
 *
 * Return: its keeper, or NULL.
 */
struct iopf_keeper *iopf_keeper_create(struct iopf_container *c)
{
	struct iopf_keeper *k = kzalloc(sizeof(*k), GFP_KERNEL_ACCOUNT);

	if (!k)
		return NULL;
	spin_lock_init(&k->lock);
	mutex_init(&k->setting);
	iopf_budget_init(&k->books, ktime_get_ns(), EPOCH);
	k->books.limits.stay = STAY_DEFAULT;
	k->container = c;
	INIT_DELAYED_WORK(&k->work, keeper_work);
	iopf_hot_begin(k);
	return k;
}

/**
 * iopf_keeper_add_files() - have the budget in sysfs
 * @c: the container, whose directory is there; with it the files go
 *
 * Return: 0 or a negative error number.
 */
int iopf_keeper_add_files(struct iopf_container *c)
{
	int ret = sysfs_create_files(&c->kobj, (const struct attribute *const *)budget_attrs);

	if (ret)
		return ret;
	c->keeper->thrashing = sysfs_get_dirent(c->kobj.sd, "thrashing");
	return c->keeper->thrashing ? 0 : -ENOENT;
}

/**
 * iopf_keeper_end() - nothing is mapped any more, and nobody can set a limit
 * @k: the keeper
 *
 * Context: process context, not under the container's lock.
 */
void iopf_keeper_end(struct iopf_keeper *k)
{
	iopf_hot_end(k);
	cancel_delayed_work_sync(&k->work);
	iopf_hot_forget(k);
	WARN_ON(iopf_budget_mapped(&k->books) || k->books.reserved);
}

/**
 * iopf_keeper_free() - the container is being freed
 * @k: its keeper, or NULL
 */
void iopf_keeper_free(struct iopf_keeper *k)
{
	if (!k)
		return;
	iopf_hot_end(k);
	sysfs_put(k->thrashing);
	mutex_destroy(&k->setting);
	kfree(k);
}
