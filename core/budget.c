// SPDX-License-Identifier: GPL-2.0-only
/*
 * Budgets. See budget.h for the policy and the reasons.
 */
#include "budget.h"

/* Refaults of a block are counted up to this number. */
#define REFAULTS_MAX	15

/* If less than this part of the soft limit was mapped in an epoch, there is no thrashing. */
#define IDLE_PART	8

/**
 * iopf_budget_init() - set up a budget without limits
 * @b: the budget
 * @now: the present tick
 * @epoch_ticks: longest duration of an epoch
 */
void iopf_budget_init(struct iopf_budget *b, u64 now, u64 epoch_ticks)
{
	*b = (struct iopf_budget){
		.limits = {
			.high = IOPF_BUDGET_NONE,
			.max = IOPF_BUDGET_NONE,
			.pinned_high = IOPF_BUDGET_NONE,
			.pinned_max = IOPF_BUDGET_NONE,
			.aging_interval = IOPF_BUDGET_NONE,
		},
		.turn = 2,
		.epoch = now,
		.epoch_ticks = epoch_ticks,
	};
	for (unsigned int gen = 0; gen < IOPF_GEN_NR; gen++)
		INIT_LIST_HEAD(&b->list[gen]);
}

/**
 * iopf_budget_check() - whether limits can be set
 * @b: the budget
 * @limits: the limits
 *
 * Return: 0; -EINVAL: no device could make progress; -EBUSY: more pages are pinned already.
 */
int iopf_budget_check(const struct iopf_budget *b, const struct iopf_limits *limits)
{
	if (limits->high < IOPF_BUDGET_MIN || limits->max < IOPF_BUDGET_MIN)
		return -EINVAL;
	if (b->pinned > limits->max - IOPF_BUDGET_MIN || b->pinned > limits->pinned_max)
		return -EBUSY;
	return 0;
}

/**
 * iopf_budget_limit() - set limits
 * @b: the budget
 * @limits: the limits, checked
 * @now: the present tick
 *
 * The caller must evict the pages that are mapped beyond the limits.
 */
void iopf_budget_limit(struct iopf_budget *b, const struct iopf_limits *limits, u64 now)
{
	b->limits = *limits;
	/* The pages mapped before the change say nothing about the new limits. */
	b->epoch = now;
	b->came = 0;
	b->returned = 0;
	if (iopf_budget_soft(b) == IOPF_BUDGET_NONE)
		b->thrashing = false;
}

/**
 * iopf_budget_reserve() - charge pages before they are mapped
 * @b: the budget
 * @pages: the most pages that will be mapped
 * @must: an access waits for the pages. Otherwise they are prefetched.
 *
 * The caller returns the reservation by iopf_budget_unreserve(), before it settles the pages that
 * it mapped.
 *
 * Return: whether there is room for the pages.
 */
bool iopf_budget_reserve(struct iopf_budget *b, u64 pages, bool must)
{
	u64 limit = must ? b->limits.max : iopf_budget_soft(b);
	u64 taken = iopf_budget_mapped(b) + b->reserved;

	if (taken > limit || pages > limit - taken)
		return false;
	b->reserved += pages;
	return true;
}

/**
 * iopf_budget_reserve_pinned() - charge pages before they are pinned
 * @b: the budget
 * @pinned: number of pages that are not pinned yet
 * @pages: number of these that are not mapped yet
 *
 * The caller pins in steps, so the budget does not count a reservation as pinned.
 *
 * Return: 0: @pages are reserved; -ENOMEM: no eviction can make room; -EAGAIN: an eviction can make
 * room.
 */
int iopf_budget_reserve_pinned(struct iopf_budget *b, u64 pinned, u64 pages)
{
	u64 all = b->pinned + pinned;

	if (all > b->limits.pinned_max)
		return -ENOMEM;
	/* Devices that fault need some room. */
	if (all > b->limits.max - IOPF_BUDGET_MIN)
		return -ENOMEM;
	return iopf_budget_reserve(b, pages, true) ? 0 : -EAGAIN;
}

/**
 * iopf_budget_unreserve() - give back a reservation
 * @b: the budget
 * @pages: all pages of it
 */
void iopf_budget_unreserve(struct iopf_budget *b, u64 pages)
{
	if (WARN_ON_ONCE(pages > b->reserved))
		pages = b->reserved;
	b->reserved -= pages;
}

/* Takes a block off its list and its pages out of the sums. block_in() puts them back. */
static void block_out(struct iopf_budget *b, struct iopf_block *block)
{
	b->pinned -= block->pinned;
	b->pages[block->gen] -= block->pages - block->pinned;
	if (block->gen != IOPF_GEN_NONE) {
		b->blocks[block->gen]--;
		list_del_init(&block->node);
	}
}

/* Puts a block on its list after @prev, and adds its pages to the sums. */
static void block_in(struct iopf_budget *b, struct iopf_block *block, struct list_head *prev)
{
	b->pinned += block->pinned;
	b->pages[block->gen] += block->pages - block->pinned;
	if (block->gen != IOPF_GEN_NONE) {
		b->blocks[block->gen]++;
		list_add(&block->node, prev);
	}
}

static void block_place(struct iopf_budget *b, struct iopf_block *block, enum iopf_generation gen,
			u64 now)
{
	block->gen = gen;
	block->since = now;
	block_in(b, block, &b->list[gen]);
}

/* Returns whether a block refaults so early that it is in use. */
static bool block_is_soon(const struct iopf_budget *b, const struct iopf_block *block, u64 mapped)
{
	return block->remembered && b->clock - block->left <= mapped;
}

/* Returns the generation of a block that gets its first page that can be evicted. */
static enum iopf_generation block_arrives(struct iopf_budget *b, struct iopf_block *block,
					  u64 mapped)
{
	bool soon = block_is_soon(b, block, mapped);

	block->remembered = false;
	block->back = soon;
	if (!block->back) {
		block->refaults /= 2;
		return IOPF_GEN_INACTIVE;
	}
	b->refaults++;
	block->refaults += block->refaults < REFAULTS_MAX;
	return IOPF_GEN_ACTIVE;
}

/* Notes that a block lost its last page that can be evicted. */
static void block_leaves(struct iopf_budget *b, struct iopf_block *block, enum iopf_settle why)
{
	block->remembered = why == IOPF_SETTLE_EVICTED || why == IOPF_SETTLE_AGED;
	block->left = b->clock;
	block->back = false;
}

static bool block_can_go(const struct iopf_block *block)
{
	return block->gen == IOPF_GEN_INACTIVE || block->gen == IOPF_GEN_ACTIVE;
}

/* Counts pages that were unmapped by an eviction. */
static void count_evicted(struct iopf_budget *b, u32 pages, enum iopf_settle why)
{
	if (why == IOPF_SETTLE_EVICTED) {
		b->clock += pages;
		b->evicted += pages;
	} else if (why == IOPF_SETTLE_AGED) {
		b->aged += pages;
	}
}

/* Returns the generation of a block after a change. @could_go: it could be evicted before. */
static enum iopf_generation block_generation(struct iopf_budget *b, struct iopf_block *block,
					     bool could_go, u64 mapped)
{
	if (block->pages == block->pinned || block->locked)
		return block->pages ? IOPF_GEN_UNEVICTABLE : IOPF_GEN_NONE;
	return could_go ? block->gen : block_arrives(b, block, mapped);
}

/**
 * iopf_budget_settle() - pages of a block were mapped, unmapped, pinned or unpinned
 * @b: the budget
 * @block: the block
 * @pages: pages mapped now
 * @pinned: number of these that are pinned
 * @why: the reason
 * @now: the present tick
 */
void iopf_budget_settle(struct iopf_budget *b, struct iopf_block *block, u32 pages, u32 pinned,
			enum iopf_settle why, u64 now)
{
	u64 mapped = iopf_budget_mapped(b);
	u32 before = block->pages, more = pages > before ? pages - before : 0;
	enum iopf_generation gen;
	bool could_go = block_can_go(block);
	struct list_head *prev;

	if (WARN_ON_ONCE(pinned > pages))
		pinned = pages;
	/* If a fault finds its page mapped, the device is about to use the page too. */
	if (pages == before && pinned == block->pinned && (why != IOPF_SETTLE_MISSED || !pages))
		return;
	prev = block->node.prev;
	block_out(b, block);
	count_evicted(b, before - pages, why);
	block->pages = pages;
	block->pinned = pinned;

	gen = block_generation(b, block, could_go, mapped);
	if (could_go && (gen == IOPF_GEN_UNEVICTABLE || gen == IOPF_GEN_NONE))
		block_leaves(b, block, why);

	if (why == IOPF_SETTLE_MISSED) {
		b->came += more;
		b->returned += block->back ? more : 0;
		block->turn = b->turn;
		block_place(b, block, gen, now);
		iopf_budget_tick(b, now);
	} else if (gen != block->gen) {
		block_place(b, block, gen, now);
	} else {
		block_in(b, block, prev);
	}
}

/**
 * iopf_budget_forget() - remove a block from the budget
 * @b: the budget
 * @block: the block; all zero afterwards
 */
void iopf_budget_forget(struct iopf_budget *b, struct iopf_block *block)
{
	block_out(b, block);
	*block = (struct iopf_block){ };
}

/**
 * iopf_budget_enter() - the handling of a fault begins
 * @b: the budget
 *
 * Return: the turn of the fault, for iopf_budget_leave().
 */
unsigned int iopf_budget_enter(struct iopf_budget *b)
{
	unsigned int odd = b->turn & 1;

	b->entered[odd]++;
	return odd;
}

/**
 * iopf_budget_leave() - the fault was answered, or parked without a page
 * @b: the budget
 * @turn: from iopf_budget_enter()
 */
void iopf_budget_leave(struct iopf_budget *b, unsigned int turn)
{
	if (!WARN_ON_ONCE(!b->entered[turn]))
		b->entered[turn]--;
}

/* Returns whether all faults that caused the mapping of a block were answered. */
static bool block_answered(struct iopf_budget *b, const struct iopf_block *block)
{
	/* Only the faults of two turns can delay the eviction. */
	for (unsigned int i = 0; i < 2 && b->turn - block->turn < 2; i++) {
		if (b->entered[(b->turn + 1) & 1])
			return false;
		b->turn++;
	}
	return true;
}

/**
 * iopf_budget_may_evict() - whether a block may be evicted
 * @b: the budget
 * @block: the block
 * @now: the present tick
 */
bool iopf_budget_may_evict(struct iopf_budget *b, const struct iopf_block *block, u64 now)
{
	return block_can_go(block) && now - block->since >= b->limits.min_residency &&
	       block_answered(b, block);
}

/**
 * iopf_budget_excess() - number of pages to evict in the background
 * @b: the budget
 *
 * The number is a bit more than the pages above the soft limit, so that the next fault has room.
 * Eviction begins a bit below the soft limit.
 */
u64 iopf_budget_excess(const struct iopf_budget *b)
{
	u64 soft = iopf_budget_soft(b), mapped = iopf_budget_mapped(b) + b->reserved;
	u64 slack = min(soft / 16, 1024ULL);

	if (soft == IOPF_BUDGET_NONE || mapped <= soft - slack)
		return 0;
	return mapped - (soft - 2 * slack);
}

static struct iopf_block *oldest(const struct iopf_budget *b, enum iopf_generation gen)
{
	return list_empty(&b->list[gen]) ? NULL :
					   list_last_entry(&b->list[gen], struct iopf_block, node);
}

static void demote(struct iopf_budget *b, struct iopf_block *block, u64 now)
{
	block_out(b, block);
	block_place(b, block, IOPF_GEN_INACTIVE, now);
}

/**
 * iopf_budget_victim() - the block to evict next
 * @b: the budget
 * @now: the present tick
 *
 * Return: a block that may be evicted, or NULL if there is none now.
 */
struct iopf_block *iopf_budget_victim(struct iopf_budget *b, u64 now)
{
	struct iopf_block *block;

	for (unsigned int i = 0; i < IOPF_BUDGET_DEMOTIONS; i++) {
		u64 both = b->pages[IOPF_GEN_INACTIVE] + b->pages[IOPF_GEN_ACTIVE];

		block = oldest(b, IOPF_GEN_ACTIVE);
		if (!block || b->pages[IOPF_GEN_INACTIVE] > both / IOPF_BUDGET_INACTIVE_SHARE ||
		    !iopf_budget_may_evict(b, block, now))
			break;
		demote(b, block, now);
	}
	block = oldest(b, IOPF_GEN_INACTIVE);
	if (block && iopf_budget_may_evict(b, block, now))
		return block;
	/* No inactive block may be evicted yet. */
	block = oldest(b, IOPF_GEN_ACTIVE);
	if (block && iopf_budget_may_evict(b, block, now))
		return block;
	return NULL;
}

/**
 * iopf_budget_expired() - a block that must prove that it is used
 * @b: the budget
 * @now: the present tick
 *
 * Return: a block that may be evicted, or NULL. The caller settles it with IOPF_SETTLE_AGED.
 */
struct iopf_block *iopf_budget_expired(struct iopf_budget *b, u64 now)
{
	for (enum iopf_generation gen = IOPF_GEN_INACTIVE; gen <= IOPF_GEN_ACTIVE; gen++) {
		struct iopf_block *block = oldest(b, gen);

		if (block && now - block->since >= b->limits.aging_interval &&
		    iopf_budget_may_evict(b, block, now))
			return block;
	}
	return NULL;
}

/**
 * iopf_budget_hottest() - the active block with the most refaults
 * @b: the budget
 * @looks: number of blocks to look at, starting with the block that was placed last
 * @refaults: least number of refaults
 *
 * Return: the block, or NULL.
 */
struct iopf_block *iopf_budget_hottest(const struct iopf_budget *b, unsigned int looks,
				       unsigned int refaults)
{
	const struct list_head *head = &b->list[IOPF_GEN_ACTIVE], *at = head->next;
	struct iopf_block *best = NULL;

	for (; at != head && looks--; at = at->next) {
		struct iopf_block *block = container_of(at, struct iopf_block, node);

		if (block->refaults >= refaults && (!best || block->refaults > best->refaults))
			best = block;
	}
	return best;
}

/**
 * iopf_budget_spare() - the caller cannot evict a victim now
 * @b: the budget
 * @block: the victim, inactive or active
 * @now: the present tick
 *
 * The block moves to the front of its list, so the others of the list become victims first.
 */
void iopf_budget_spare(struct iopf_budget *b, struct iopf_block *block, u64 now)
{
	block_out(b, block);
	block_place(b, block, block->gen, now);
}

/**
 * iopf_budget_lock() - exclude a block from eviction
 * @b: the budget
 * @block: the block, not locked
 */
void iopf_budget_lock(struct iopf_budget *b, struct iopf_block *block)
{
	block_out(b, block);
	block->locked = true;
	if (block->gen != IOPF_GEN_NONE)
		block->gen = IOPF_GEN_UNEVICTABLE;
	block_in(b, block, &b->list[block->gen]);
}

/**
 * iopf_budget_unlock() - allow the eviction of a block again
 * @b: the budget
 * @block: the block, locked
 * @now: the present tick
 *
 * If the block has pages that can be evicted, it becomes active.
 */
void iopf_budget_unlock(struct iopf_budget *b, struct iopf_block *block, u64 now)
{
	block_out(b, block);
	block->locked = false;
	if (block->pages > block->pinned)
		block_place(b, block, IOPF_GEN_ACTIVE, now);
	else
		block_in(b, block, &b->list[block->gen]);
}

/**
 * iopf_budget_tick() - check whether an epoch is over
 * @b: the budget
 * @now: the present tick
 */
void iopf_budget_tick(struct iopf_budget *b, u64 now)
{
	u64 soft = iopf_budget_soft(b);
	bool was = b->thrashing;

	if (b->came < soft && now - b->epoch < b->epoch_ticks)
		return;
	if (soft == IOPF_BUDGET_NONE || b->came < soft / IDLE_PART)
		b->thrashing = false;
	else if (was)
		b->thrashing = b->returned >= b->came / 4;
	else
		b->thrashing = b->returned >= b->came / 2;
	b->thrash_events += b->thrashing && !was;
	b->epoch = now;
	b->came = 0;
	b->returned = 0;
}
