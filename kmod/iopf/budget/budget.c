// SPDX-License-Identifier: GPL-2.0-only
/*
 * Budgets limit the mapped and the pinned pages of a space. The evictor unmaps chunks to make room.
 *
 * core/budget.h has the lists and the policy; its blocks are chunks here. This file calls it and
 * evicts; vfio/limits.c sets the limits. A space without limits has no budget: nothing is counted,
 * and its faults only check iopf_space.budgeted.
 *
 * To evict is to unmap. The process keeps the memory. When reclaim looks at it, it finds it not
 * young (host/mm.c), and decides.
 *
 * Charging: a function that maps or unmaps pages of a chunk calls iopf_evictor_settle(), which
 * counts the chunk anew, before it drops the chunk's lock. Before it maps, it reserves the pages
 * under the same lock. So the mapped pages never exceed the maximum. A fault maps what can be
 * reserved: a leaf of 2 MiB, the window, the requested page, or nothing (-EDQUOT). Prefetching
 * reserves below the soft mark only. A space with a budget has no leaves of 1 GiB, because a leaf
 * can be evicted only as a whole.
 *
 * Making room: @work evicts in the background above the soft mark, and a little below the hard one.
 * If a fault finds no room for a single page, its worker makes room and retries, as after an
 * invalidation. If no block may be evicted now, the worker waits, as for an invalidation.
 *
 * fault vs eviction: the evictor chooses a victim without the chunk's lock. Under that lock it asks
 *   the budget again: if a fault has used the chunk meanwhile, it may not be evicted.
 * answer vs eviction: the fault handler reports the begin of a fault and its answer
 *   (iopf_evictor_enter(), iopf_evictor_leave()). Pages that the fault maps are not evicted before
 *   the answer. If there is room for only a part of a page-request group, the group is answered: if
 *   it waited and kept the pages mapped, it could block other groups, or itself, for ever.
 * unmap vs eviction: a chunk that is killed is forgotten under its lock. The evictor holds RCU,
 *   rechecks under the chunk's lock, and skips a chunk that has been killed.
 * freeze vs eviction: mapped pages of a frozen area stay, because a fault on them would wait.
 *
 * Locking: iopf_chunk.lock -> iopf_evictor.lock, which is a leaf. The evictor chooses a victim
 * under the leaf alone, and drops it before it takes the chunk's lock.
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

/* Default of min_residency. The device retries its access in this time. */
#define STAY_DEFAULT	(2 * NSEC_PER_MSEC)

/* Maximum duration of an epoch; see core/budget.h. */
#define EPOCH		NSEC_PER_SEC

/* Maximum number of blocks that one run of @work evicts to make room, and also because of age. */
#define BATCH		1024

/* The evictor gives up after this many victims in a row that may not be evicted. */
#define SPARED_MAX	16

/* Attempts to make room for pinned pages, at least half a millisecond apart. */
#define ROOM_TRIES	2000

/* Whether the caller has to queue @work. Sets @kicked, which stays set until @work has run. */
static bool evictor_kick(struct iopf_evictor *k)
{
	lockdep_assert_held(&k->lock);

	if (k->kicked || (!iopf_budget_excess(&k->lru) && k->lru.thrashing == k->told))
		return false;
	k->kicked = true;
	return true;
}

/**
 * iopf_evictor_reserve() - reserve room for the pages that a fault is about to map
 * @k: the evictor; the space has a budget
 * @map: mapped pages of the chunk, which is locked
 * @around: pages of the window; out: 1 if there is no room for the window
 * @reserved: out: number of reserved pages; iopf_evictor_settle() releases them
 * @huge: out: whether a leaf of 2 MiB may replace the mapped pages
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
 * iopf_evictor_reserve_prefetch() - reserve room for prefetching
 * @k: the evictor; the space has a budget
 * @map: mapped pages of the chunk, which is locked
 * @pages: maximum number of pages to map, unless they become a leaf
 * @reserved: out: number of reserved pages; iopf_evictor_settle() releases them
 *
 * Return: whether there is room.
 */
bool iopf_evictor_reserve_prefetch(struct iopf_evictor *k, const struct iopf_chunkmap *map,
				   unsigned int pages, unsigned int *reserved)
{
	/* In an empty chunk, the caller may map a leaf of 2 MiB, even for a part of it. */
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
 * iopf_evictor_settle() - charge the mapped pages of a chunk
 * @k: the evictor; the space has a budget
 * @block: block of the chunk, which is locked
 * @map: mapped pages of the chunk
 * @reserved: number of pages that were reserved for the chunk
 * @why: why the mapped pages may have changed
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
 * iopf_evictor_forget() - uncharge a chunk for good
 * @k: the evictor
 * @block: block of the chunk, which is locked; it need not have been charged
 */
void iopf_evictor_forget(struct iopf_evictor *k, struct iopf_block *block)
{
	spin_lock(&k->lock);
	iopf_budget_forget(&k->lru, block);
	spin_unlock(&k->lock);
}

/**
 * iopf_evictor_may_evict() - whether a chunk may be evicted
 * @k: the evictor
 * @block: block of the chunk, which is locked
 * @frozen: the area is frozen. The chunk may not be evicted, because a fault could not map it again
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

/*
 * Evict one chunk to make room, or with @look to see whether it is used. Returns the number of
 * unmapped pages; 0: no chunk may be evicted now.
 */
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
 * iopf_evictor_make_room() - evict chunks until there is room for some pages
 * @k: the evictor; its space does not end meanwhile
 * @pages: number of pages
 *
 * Context: process context, without a chunk's lock; does not sleep.
 * Return: number of unmapped pages; 0: no chunk may be evicted now.
 */
unsigned int iopf_evictor_make_room(struct iopf_evictor *k, unsigned int pages)
{
	unsigned int all = 0, gone;

	while (all < pages && (gone = evictor_evict(k, false)))
		all += gone;
	return all;
}

/**
 * iopf_evictor_reserve_pin() - reserve room for pages that are about to be pinned
 * @k: the evictor; the space has a budget
 * @n: number of pages, none of which is pinned; iopf_evictor_settle() releases the reservation
 *
 * Context: process context, under the space's lock; sleeps.
 * Return: 0; -ENOMEM: over the limit of pinned pages, or no room could be made; -EINTR.
 */
int iopf_evictor_reserve_pin(struct iopf_evictor *k, unsigned int n)
{
	int ret;

	for (unsigned int tries = 0; tries < ROOM_TRIES; tries++) {
		/* Mapped pages count too: they may be unmapped before they are pinned. */
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
 * iopf_evictor_full() - whether prefetching has to stop
 * @k: the evictor; the space has a budget
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
 * @k: the evictor; the space has a budget
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
 * @turn: result of iopf_evictor_enter()
 */
void iopf_evictor_leave(struct iopf_evictor *k, int turn)
{
	spin_lock(&k->lock);
	iopf_budget_leave(&k->lru, turn);
	spin_unlock(&k->lock);
}

/* If thrashing has begun or ended, wake the tasks that poll the file. */
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

/* Return the delay until the next run of @work, in jiffies; 0: evictor_kick() decides. */
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
	/* Some block could not be evicted yet. */
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
 * iopf_evictor_create() - make an evictor without limits
 * @space: the space
 * @ops: the functions that the evictor calls
 *
 * Return: the evictor, or NULL.
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
 * iopf_evictor_end() - stop the evictor's work
 * @k: the evictor; nothing is mapped any more, and nobody can set a limit
 *
 * Context: process context, not under the space's lock.
 */
void iopf_evictor_end(struct iopf_evictor *k)
{
	cancel_delayed_work_sync(&k->work);
	WARN_ON(iopf_budget_mapped(&k->lru) || k->lru.reserved);
}

/**
 * iopf_evictor_free() - free the evictor of a space that is being freed
 * @k: the evictor, or NULL
 */
void iopf_evictor_free(struct iopf_evictor *k)
{
	if (!k)
		return;
	sysfs_put(k->thrashing);
	mutex_destroy(&k->setting);
	kfree(k);
}
