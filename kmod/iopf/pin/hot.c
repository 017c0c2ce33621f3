// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hot blocks: blocks that a thrashing space holds pinned, within its allowance (hot_pinned_max).
 *
 * While devices use more memory than the budget has room for, each used block is evicted and comes
 * back all the time, and the order of eviction can't help. So some of the blocks that came back
 * most often are held (IOPF_HOLD_HOT). They don't fault any more, and only the other blocks thrash.
 * Held memory is pinned, and charged to RLIMIT_MEMLOCK. So nothing is held unless an allowance is
 * given.
 *
 * All blocks are released when thrashing ends, when more is pinned than the soft limit of pinned
 * memory allows, or when the host is short of memory (a shrinker). After the latter two, and when
 * pinning fails, nothing is held for ten seconds. A pin that would have to wait is no such failure:
 * the next run of the work tries again.
 *
 * Only mapped pages are held, so pinning does not wait, as a rule.
 *
 * hot vs unmap: a hold ends with its area. Its entry in iopf_hots.ranges then has no effect, and
 *   stays until all are released.
 * shrinker vs work: reclaim must not wait for the space's lock. The shrinker sets @cool, and the
 *   work releases the blocks.
 *
 * Locking: the evictor's work takes the space's lock. hots_lock is a leaf.
 */
#include <linux/atomic.h>
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/shrinker.h>
#include <linux/slab.h>

#include "../budget/budget.h"
#include "../lib/params.h"
#include "../map/area.h"
#include "../map/chunk.h"
#include "hold.h"
#include "hot.h"
#include "pin.h"
#include "pins.h"

/*
 * HOT_LOOKS: blocks to look at to find the next one. HOT_REFAULTS: times that it must have come
 * back. HOT_BATCH: blocks that are held in one run of the work.
 */
#define HOT_LOOKS	256
#define HOT_REFAULTS	2
#define HOT_BATCH	16
#define HOT_COOLING	(10 * HZ)

struct hot_range {
	struct list_head node;
	struct iopf_range range;
};

static DEFINE_SPINLOCK(hots_lock);
static LIST_HEAD(hots);
static atomic_long_t hot_pages;
static struct shrinker *hot_shrinker;

static unsigned long hot_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	return atomic_long_read(&hot_pages);
}

static unsigned long hot_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct iopf_hots *h;

	spin_lock(&hots_lock);
	list_for_each_entry(h, &hots, node) {
		if (!READ_ONCE(h->pages))
			continue;
		WRITE_ONCE(h->cool, true);
		mod_delayed_work(iopf_wq, &h->space->evictor->work, 0);
	}
	spin_unlock(&hots_lock);
	/* Nothing is free yet. */
	return SHRINK_STOP;
}

int iopf_hot_init(void)
{
	hot_shrinker = shrinker_alloc(0, "vfio_iopf-hot");
	if (!hot_shrinker)
		return -ENOMEM;
	hot_shrinker->count_objects = hot_count;
	hot_shrinker->scan_objects = hot_scan;
	shrinker_register(hot_shrinker);
	return 0;
}

void iopf_hot_exit(void)
{
	shrinker_free(hot_shrinker);
}

/* Find the longest run of pages of the chunk that are mapped and not pinned. Returns its length. */
static unsigned int chunk_run(const struct iopf_chunk *chunk, unsigned int *first)
{
	const unsigned long *present = chunk->map.present;
	const unsigned long *pinned = iopf_chunkmap_pins(&chunk->map);
	unsigned int best = 0, page = 0;

	lockdep_assert_held(&chunk->lock);

	for (;;) {
		unsigned int end;

		page = find_next_andnot_bit(present, pinned, IOPF_CHUNK_PAGES, page);
		if (page >= IOPF_CHUNK_PAGES)
			return best;
		end = min(find_next_zero_bit(present, IOPF_CHUNK_PAGES, page),
			  find_next_bit(pinned, IOPF_CHUNK_PAGES, page));
		if (end - page > best) {
			best = end - page;
			*first = page;
		}
		page = end;
	}
}

/* Choose the next pages to hold, @room at most. Returns their number; 0: nothing. */
static unsigned int hot_choose(struct iopf_hots *h, unsigned long room, struct iopf_range *range)
{
	struct iopf_evictor *k = h->space->evictor;
	unsigned int n, first = 0;
	struct iopf_chunk *chunk;
	struct iopf_block *block;

	guard(rcu)();
	spin_lock(&k->lock);
	block = iopf_budget_hottest(&k->lru, HOT_LOOKS, HOT_REFAULTS);
	/* It becomes a candidate again when it has come back as often. */
	if (block)
		block->refaults = 0;
	spin_unlock(&k->lock);
	if (!block)
		return 0;
	chunk = container_of(block, struct iopf_chunk, block);
	spin_lock(&chunk->lock);
	n = min_t(unsigned long, chunk_run(chunk, &first), room);
	if (n) {
		range->first = chunk->iova + ((u64)first << PAGE_SHIFT);
		range->last = range->first + ((u64)n << PAGE_SHIFT) - 1;
	}
	spin_unlock(&chunk->lock);
	return n;
}

static int hot_try(struct iopf_space *space, void *range)
{
	return iopf_hold_add(space, range, IOPF_HOLD_HOT, 0);
}

static int hot_hold(struct iopf_hots *h, const struct iopf_range *range, unsigned int n)
{
	struct hot_range *hot = kmalloc(sizeof(*hot), GFP_KERNEL);
	int ret;

	if (!hot)
		return -ENOMEM;
	hot->range = *range;
	scoped_guard(mutex, &h->space->lock)
		ret = iopf_pin_run_now(h->space, hot_try, &hot->range);
	if (ret) {
		kfree(hot);
		return ret;
	}
	list_add(&hot->node, &h->ranges);
	WRITE_ONCE(h->pages, h->pages + n);
	atomic_long_add(n, &hot_pages);
	return 0;
}

static void hot_let_go(struct iopf_hots *h)
{
	struct hot_range *hot, *next;

	list_for_each_entry_safe(hot, next, &h->ranges, node) {
		scoped_guard(mutex, &h->space->lock)
			iopf_hold_remove(h->space, &hot->range, IOPF_HOLD_HOT, 0);
		list_del(&hot->node);
		kfree(hot);
		cond_resched();
	}
	atomic_long_sub(h->pages, &hot_pages);
	WRITE_ONCE(h->pages, 0);
}

static void hot_cool(struct iopf_hots *h)
{
	hot_let_go(h);
	h->cooling = true;
	h->until = jiffies + HOT_COOLING;
}

/* Returns how many more pages may be held; negative: too much is pinned. */
static long hot_room(struct iopf_hots *h)
{
	struct iopf_evictor *k = h->space->evictor;
	unsigned long max = READ_ONCE(h->max), have = h->pages;
	u64 pinned, high;

	spin_lock(&k->lock);
	pinned = k->lru.pinned;
	high = min3(k->lru.limits.pinned_high, k->lru.limits.pinned_max, (u64)LONG_MAX);
	spin_unlock(&k->lock);
	if (pinned > high || have > max)
		return -1;
	return min_t(u64, max - have, high - pinned);
}

/**
 * iopf_hot_work() - hold more blocks, or release all
 * @space: the space, whose budget has been checked
 * @thrashing: whether the space thrashes
 *
 * Context: process context; takes the space's lock.
 */
void iopf_hot_work(struct iopf_space *space, bool thrashing)
{
	struct iopf_hots *h = &space->pins->hots;
	struct iopf_range range;
	unsigned int n;
	long room;
	int ret;

	if (xchg(&h->cool, false) || hot_room(h) < 0)
		hot_cool(h);
	if (h->cooling && time_before(jiffies, h->until))
		return;
	h->cooling = false;
	if (!thrashing) {
		hot_let_go(h);
		return;
	}
	for (unsigned int i = 0; i < HOT_BATCH; i++) {
		room = hot_room(h);
		if (room <= 0)
			return;
		n = hot_choose(h, room, &range);
		if (!n)
			return;
		ret = hot_hold(h, &range, n);
		if (ret) {
			/* -EINTR: the address space is in use; -EBUSY: the block is gone again. */
			if (ret != -EINTR && ret != -EBUSY)
				hot_cool(h);
			return;
		}
	}
}

/**
 * iopf_hot_begin() - initialize the hot ranges of a space, and list it for the shrinker
 * @h: the space's hot ranges
 * @space: the space
 */
void iopf_hot_begin(struct iopf_hots *h, struct iopf_space *space)
{
	h->space = space;
	INIT_LIST_HEAD(&h->ranges);
	spin_lock(&hots_lock);
	list_add(&h->node, &hots);
	spin_unlock(&hots_lock);
}

/**
 * iopf_hot_end() - hide the space from the shrinker, since the space is being released
 * @h: the space's hot ranges; the evictor's work ends after this
 */
void iopf_hot_end(struct iopf_hots *h)
{
	/* iopf_hot_begin() was not called. */
	if (!h->space)
		return;
	spin_lock(&hots_lock);
	list_del_init(&h->node);
	spin_unlock(&hots_lock);
}

/**
 * iopf_hot_forget() - free the list of hot ranges; nothing is held, and the evictor's work has
 *                     ended
 * @h: the space's hot ranges
 */
void iopf_hot_forget(struct iopf_hots *h)
{
	hot_let_go(h);
}
