// SPDX-License-Identifier: GPL-2.0-only
/*
 * Budgets: how much of a space may be mapped and pinned, and what goes to make room.
 *
 * The lists and the policy are core/budget.h; its blocks are chunks. This file says when they are
 * asked, and evicts; vfio/limits.c sets them. A space without limits is not
 * budgeted: nothing is counted, and all that its faults pay is a look at iopf_space.budgeted.
 *
 * To evict is to unmap. The memory itself stays the process's; the host finds it unused when it
 * looks (host/mm.c: not mapped is not young), and decides.
 *
 * Charging: whoever changes what a chunk has mapped has the chunk counted anew before it drops the
 * chunk's lock (iopf_evictor_settle()). What is going to be mapped is reserved before, under the
 * same lock, so what is mapped is never more than the maximum. A fault maps as much as can be
 * reserved: a leaf of 2 MiB, the window, the page in question, or nothing (-EDQUOT). Prefetching
 * reserves below the soft mark only. There are no leaves of 1 GiB: they could go but as a whole.
 *
 * Making room: above the soft mark, and a little before the hard one, in the background. A fault
 * for which there is not a single page has room made by its worker, and tries again, as one that
 * meets an invalidation; if nothing may go just now, it waits like that one.
 *
 * fault vs eviction: a victim is chosen without its chunk's lock. Under it the budget is asked once
 *   more; a fault that came in between has put the chunk where it may not go.
 * answer vs eviction: a fault says when it begins to be handled, and when it has been answered
 *   (iopf_evictor_enter(), iopf_evictor_leave()); what it has mapped does not go in between. A
 *   group of faults that has been served in part is answered when there is no room for the
 *   rest: waiting with what it has, it could keep others, or itself, waiting for good.
 * unmap vs eviction: a chunk that is killed is forgotten under its lock. The evictor holds RCU,
 *   rechecks under the chunk's lock, and skips a chunk that has been killed.
 * freeze vs eviction: what is mapped of a frozen area stays, for its faults would wait.
 *
 * Locking: iopf_chunk.lock -> iopf_evictor.lock, which is a leaf. A victim is chosen with the leaf
 * alone, which is dropped before the chunk's is taken.
 */
#include <linux/cleanup.h>
#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/timekeeping.h>

#include "../lib/controls.h"
#include "../lib/params.h"
#include "budget.h"

/* How long a page stays mapped at least: time for the device to try again. */
#define STAY_DEFAULT	(2 * NSEC_PER_MSEC)

/* What an epoch takes at most; see core/budget.h. */
#define EPOCH		NSEC_PER_SEC

/* Blocks evicted in a row before others have their turn. */
#define BATCH		1024

/* Blocks met in a row that may not go after all, until it is left at that. */
#define SPARED_MAX	16

/* How often it is tried to make room, at half a millisecond and more each time. */
#define ROOM_TRIES	2000

/* Whether @work has something to do; kicked at most once until it has looked. */
static bool evictor_kick(struct iopf_evictor *k)
{
	lockdep_assert_held(&k->lock);

	if (k->kicked || (!iopf_budget_excess(&k->lru) && k->lru.thrashing == k->told))
		return false;
	k->kicked = true;
	return true;
}

/**
 * iopf_evictor_reserve() - room for what a fault is about to map
 * @k: the evictor; the space is budgeted
 * @map: what is mapped of the chunk, which is locked
 * @around: pages of the window; out: 1 when there is no room for more
 * @reserved: out: how many are reserved, to be given back by iopf_evictor_settle()
 * @huge: out: whether a leaf of 2 MiB may take the place of what is mapped
 *
 * Return: 0 or -EDQUOT.
 */
int iopf_evictor_reserve(struct iopf_evictor *k, const struct iopf_chunkmap *map,
			 unsigned int *around, unsigned int *reserved, bool *huge)
{
	unsigned int all = IOPF_CHUNK_PAGES - iopf_chunkmap_mapped(map);
	unsigned int window = clamp(*around, 1U, IOPF_CHUNK_PAGES);
	int ret = 0;

	if (iopf_broken(budget))
		return 0;
	spin_lock(&k->lock);
	*huge = iopf_budget_reserve(&k->lru, all, false);
	if (*huge) {
		*reserved = all;
	} else if (iopf_budget_reserve(&k->lru, window, false)) {
		*reserved = window;
	} else {
		*around = 1;
		if (iopf_budget_reserve(&k->lru, 1, true))
			*reserved = 1;
		else
			ret = -EDQUOT;
	}
	spin_unlock(&k->lock);
	return ret;
}

/**
 * iopf_evictor_reserve_ahead() - room for what nobody waits for
 * @k: the evictor; the space is budgeted
 * @map: what is mapped of the chunk, which is locked
 * @pages: how many there are to map at most, as far as they are not one leaf
 * @reserved: out: how many are reserved, to be given back by iopf_evictor_settle()
 *
 * Return: whether there is.
 */
bool iopf_evictor_reserve_ahead(struct iopf_evictor *k, const struct iopf_chunkmap *map,
				unsigned int pages, unsigned int *reserved)
{
	/* An empty chunk may get a leaf, whatever part of it is asked for. */
	unsigned int all = iopf_chunkmap_empty(map) ? IOPF_CHUNK_PAGES : pages;
	bool room;

	spin_lock(&k->lock);
	room = iopf_budget_reserve(&k->lru, all, false);
	spin_unlock(&k->lock);
	if (room)
		*reserved = all;
	return room;
}

/**
 * iopf_evictor_settle() - count what a chunk has mapped
 * @k: the evictor; the space is budgeted
 * @block: the chunk's, which is locked
 * @map: what is mapped of it
 * @reserved: what was reserved for it
 * @why: why it may have changed
 */
void iopf_evictor_settle(struct iopf_evictor *k, struct iopf_block *block,
			 const struct iopf_chunkmap *map, unsigned int reserved,
			 enum iopf_settle why)
{
	unsigned int pages = iopf_chunkmap_mapped(map), pinned = iopf_chunkmap_pinned(map);
	bool kick;

	spin_lock(&k->lock);
	if (reserved)
		iopf_budget_unreserve(&k->lru, reserved);
	iopf_budget_settle(&k->lru, block, pages, pinned, why, ktime_get_ns());
	kick = evictor_kick(k);
	spin_unlock(&k->lock);
	if (kick)
		mod_delayed_work(iopf_wq, &k->work, 0);
}

/**
 * iopf_evictor_forget() - a chunk is charged for no more
 * @k: the evictor
 * @block: the chunk's, which is locked; it may never have been
 */
void iopf_evictor_forget(struct iopf_evictor *k, struct iopf_block *block)
{
	spin_lock(&k->lock);
	iopf_budget_forget(&k->lru, block);
	spin_unlock(&k->lock);
}

/**
 * iopf_evictor_may_evict() - whether a chunk may go
 * @k: the evictor
 * @block: the chunk's, which is locked
 * @frozen: its area is, so what is mapped would not come back: it may not
 */
bool iopf_evictor_may_evict(struct iopf_evictor *k, struct iopf_block *block, bool frozen)
{
	u64 now = ktime_get_ns();
	bool may;

	spin_lock(&k->lock);
	may = iopf_budget_may_evict(&k->lru, block, now);
	if (may && frozen) {
		iopf_budget_spare(&k->lru, block, now);
		may = false;
	}
	spin_unlock(&k->lock);
	return may;
}

/* Have one chunk go, because there is no room, or to see whether it is used. 0: none may go now. */
static unsigned int evictor_evict(struct iopf_evictor *k, bool look)
{
	struct iopf_block *block;
	unsigned int pages = 0;

	for (unsigned int spared = 0; !pages && spared < SPARED_MAX; spared++) {
		u64 now = ktime_get_ns();

		guard(rcu)();
		spin_lock(&k->lock);
		block = look ? iopf_budget_expired(&k->lru, now)
			     : iopf_budget_victim(&k->lru, now);
		spin_unlock(&k->lock);
		if (!block)
			break;
		pages = k->ops->evict(block, look);
	}
	return pages;
}

/**
 * iopf_evictor_make_room() - have something go
 * @k: the evictor, whose space is not going away
 * @pages: how much there should be room for
 *
 * Context: process context, with none of the chunks' locks; does not sleep.
 * Return: pages that have gone; 0: nothing may go now.
 */
unsigned int iopf_evictor_make_room(struct iopf_evictor *k, unsigned int pages)
{
	unsigned int all = 0, gone;

	while (all < pages && (gone = evictor_evict(k, false)))
		all += gone;
	return all;
}

/**
 * iopf_evictor_reserve_pin() - room for pages that are about to be pinned
 * @k: the evictor; the space is budgeted
 * @n: pages, none of which is pinned; they are given back by iopf_evictor_settle()
 *
 * Context: process context, under the space's lock; sleeps.
 * Return: 0; -ENOMEM: more than may be pinned, or there is no room; -EINTR.
 */
int iopf_evictor_reserve_pin(struct iopf_evictor *k, unsigned int n)
{
	int ret;

	for (unsigned int tries = 0; tries < ROOM_TRIES; tries++) {
		/* Some of them may be mapped, but need not be any more when they get pinned. */
		spin_lock(&k->lock);
		ret = iopf_budget_reserve_pinned(&k->lru, n, n);
		spin_unlock(&k->lock);
		if (ret != -EAGAIN)
			return ret;
		if (fatal_signal_pending(current))
			return -EINTR;
		if (!iopf_evictor_make_room(k, n))
			usleep_range(500, 1000);
	}
	return -ENOMEM;
}

/**
 * iopf_evictor_full() - whether nothing should be mapped that nobody waits for
 * @k: the evictor; the space is budgeted
 */
bool iopf_evictor_full(struct iopf_evictor *k)
{
	bool full;

	spin_lock(&k->lock);
	full = iopf_budget_excess(&k->lru);
	spin_unlock(&k->lock);
	return full;
}

/**
 * iopf_evictor_enter() - see iopf_space_enter()
 * @k: the evictor; the space is budgeted
 */
int iopf_evictor_enter(struct iopf_evictor *k)
{
	int turn;

	spin_lock(&k->lock);
	turn = iopf_budget_enter(&k->lru);
	spin_unlock(&k->lock);
	return turn;
}

/**
 * iopf_evictor_leave() - see iopf_space_leave()
 * @k: the evictor
 * @turn: of iopf_evictor_enter()
 */
void iopf_evictor_leave(struct iopf_evictor *k, int turn)
{
	spin_lock(&k->lock);
	iopf_budget_leave(&k->lru, turn);
	spin_unlock(&k->lock);
}

/* Tell who polls, if thrashing has begun or ended. */
static void evictor_tell(struct iopf_evictor *k)
{
	bool changed;

	spin_lock(&k->lock);
	iopf_budget_tick(&k->lru, ktime_get_ns());
	changed = k->lru.thrashing != k->told;
	k->told = k->lru.thrashing;
	spin_unlock(&k->lock);
	if (changed)
		sysfs_notify_dirent(k->thrashing);
}

/* When to look again; 0: when somebody kicks. */
static unsigned long evictor_rest(struct iopf_evictor *k)
{
	bool excess, thrashing;
	u64 aging_interval;

	spin_lock(&k->lock);
	excess = iopf_budget_excess(&k->lru);
	if (!excess)
		k->kicked = false;
	thrashing = k->told || k->lru.thrashing;
	aging_interval = k->lru.limits.aging_interval;
	spin_unlock(&k->lock);
	/* There is something that could not go yet. */
	if (excess)
		return 1;
	if (thrashing)
		return HZ;
	if (aging_interval == IOPF_BUDGET_NONE)
		return 0;
	return clamp(nsecs_to_jiffies(aging_interval / 4), 1UL, 10UL * HZ);
}

static void evictor_work(struct work_struct *work)
{
	struct iopf_evictor *k = container_of(to_delayed_work(work), struct iopf_evictor, work);
	unsigned long delay;
	unsigned int n = 0;

	while (iopf_evictor_full(k) && n++ < BATCH && evictor_evict(k, false))
		cond_resched();
	for (n = 0; n < BATCH && evictor_evict(k, true); n++)
		cond_resched();
	evictor_tell(k);
	k->ops->looked(k->space, k->told);
	delay = evictor_rest(k);
	if (delay)
		queue_delayed_work(iopf_wq, &k->work, delay);
}

/**
 * iopf_evictor_create() - a budget without limits
 * @space: whose
 * @ops: what others do for it
 *
 * Return: its evictor, or NULL.
 */
struct iopf_evictor *iopf_evictor_create(struct iopf_space *space,
					 const struct iopf_evictor_ops *ops)
{
	struct iopf_evictor *k = kzalloc(sizeof(*k), GFP_KERNEL_ACCOUNT);

	if (!k)
		return NULL;
	spin_lock_init(&k->lock);
	mutex_init(&k->setting);
	iopf_budget_init(&k->lru, ktime_get_ns(), EPOCH);
	k->lru.limits.min_residency = STAY_DEFAULT;
	k->ops = ops;
	k->space = space;
	INIT_DELAYED_WORK(&k->work, evictor_work);
	return k;
}

/**
 * iopf_evictor_end() - nothing is mapped any more, and nobody can set a limit
 * @k: the evictor
 *
 * Context: process context, not under the space's lock.
 */
void iopf_evictor_end(struct iopf_evictor *k)
{
	cancel_delayed_work_sync(&k->work);
	WARN_ON(iopf_budget_mapped(&k->lru) || k->lru.reserved);
}

/**
 * iopf_evictor_free() - the space is being freed
 * @k: its evictor, or NULL
 */
void iopf_evictor_free(struct iopf_evictor *k)
{
	if (!k)
		return;
	sysfs_put(k->thrashing);
	mutex_destroy(&k->setting);
	kfree(k);
}
