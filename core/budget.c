// SPDX-License-Identifier: GPL-2.0-only
/*
 * Budgets: see budget.h, which says what they do and why.
 */
#include "budget.h"

/* How often a block came back is told up to here. */
#define REFAULTS_MAX	15

/* What came in during an epoch, in parts of the budget, that is too little to be thrashing. */
#define IDLE_PART	8

/**
 * iopf_budget_init() - a budget without limits
 * @b: the budget
 * @now: the present tick
 * @epoch_ticks: what an epoch takes at most
 */
void iopf_budget_init(struct iopf_budget *b, u64 now, u64 epoch_ticks)
{
	*b = (struct iopf_budget){
		.limits = {
			.high = IOPF_BUDGET_NONE,
			.max = IOPF_BUDGET_NONE,
			.pinned_high = IOPF_BUDGET_NONE,
			.pinned_max = IOPF_BUDGET_NONE,
			.expire = IOPF_BUDGET_NONE,
		},
		.turn = 2,
		.epoch = now,
		.epoch_ticks = epoch_ticks,
	};
	for (unsigned int gen = 0; gen < IOPF_GEN_NR; gen++)
		INIT_LIST_HEAD(&b->list[gen]);
}

/**
 * iopf_budget_check() - whether limits may be set
 * @b: the budget
 * @limits: the limits
 *
 * Return: 0; -EINVAL: with that no device could get on; -EBUSY: more is pinned already.
 */
int iopf_budget_check(const struct iopf_budget *b, const struct iopf_limits *limits)
{
	if (limits->high < IOPF_BUDGET_LEAST || limits->max < IOPF_BUDGET_LEAST)
		return -EINVAL;
	if (b->pinned > limits->max - IOPF_BUDGET_LEAST || b->pinned > limits->pinned_max)
		return -EBUSY;
	return 0;
}

/**
 * iopf_budget_limit() - set limits
 * @b: the budget
 * @limits: the limits, checked
 * @now: the present tick
 *
 * What is mapped beyond them has to be evicted by the caller.
 */
void iopf_budget_limit(struct iopf_budget *b, const struct iopf_limits *limits, u64 now)
{
	b->limits = *limits;
	/* What came in before says nothing of them. */
	b->epoch = now;
	b->came = 0;
	b->returned = 0;
	if (iopf_budget_soft(b) == IOPF_BUDGET_NONE)
		b->thrashing = false;
}

/**
 * iopf_budget_reserve() - charge pages that are about to be mapped
 * @b: the budget
 * @pages: how many at most
 * @must: an access waits for them; otherwise they would be nice to have
 *
 * Return: whether there is room for them. They are given back by iopf_budget_unreserve(), before
 * what was mapped is settled.
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
 * iopf_budget_reserve_pinned() - the same for pages that are about to be pinned
 * @b: the budget
 * @pinned: how many there will be that are not pinned by now
 * @pages: those of them that are not mapped by now
 *
 * Who pins does one thing after the other, so what is reserved for that is not counted as pinned.
 *
 * Return: 0: @pages are reserved; -ENOMEM: never; -EAGAIN: not before something has gone.
 */
int iopf_budget_reserve_pinned(struct iopf_budget *b, u64 pinned, u64 pages)
{
	u64 all = b->pinned + pinned;

	if (all > b->limits.pinned_max)
		return -ENOMEM;
	/* Something must be left for those that fault. */
	if (all > b->limits.max - IOPF_BUDGET_LEAST)
		return -ENOMEM;
	return iopf_budget_reserve(b, pages, true) ? 0 : -EAGAIN;
}

/**
 * iopf_budget_unreserve() - give back what was reserved
 * @b: the budget
 * @pages: all of it
 */
void iopf_budget_unreserve(struct iopf_budget *b, u64 pages)
{
	if (WARN_ON_ONCE(pages > b->reserved))
		pages = b->reserved;
	b->reserved -= pages;
}

/* Take a block off its list and its pages out of the sums, and put them back. */
static void block_out(struct iopf_budget *b, struct iopf_block *block)
{
	b->pinned -= block->pinned;
	b->pages[block->gen] -= block->pages - block->pinned;
	if (block->gen != IOPF_GEN_NONE) {
		b->blocks[block->gen]--;
		list_del_init(&block->node);
	}
}

/* Where it was in the list is not changed by that. */
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

/* Whether a block that comes back has been away for so short a time that it is in use. */
static bool block_is_soon(const struct iopf_budget *b, const struct iopf_block *block, u64 mapped)
{
	return block->remembered && b->clock - block->left <= mapped;
}

/* Of what is mapped, nothing could go; now something can: which generation it belongs to. */
static enum iopf_generation block_arrives(struct iopf_budget *b, struct iopf_block *block,
					  u64 mapped)
{
	bool soon = block_is_soon(b, block, mapped);

	block->remembered = false;
	block->back = soon;
	if (!block->back) {
		block->refaults /= 2;
		return IOPF_GEN_NEW;
	}
	b->refaults++;
	block->refaults += block->refaults < REFAULTS_MAX;
	return IOPF_GEN_USED;
}

/* Something could go, and nothing is left that can. */
static void block_leaves(struct iopf_budget *b, struct iopf_block *block, enum iopf_settle why)
{
	block->remembered = why == IOPF_SETTLE_EVICTED || why == IOPF_SETTLE_LOOKED;
	block->left = b->clock;
	block->back = false;
}

static bool block_can_go(const struct iopf_block *block)
{
	return block->gen == IOPF_GEN_NEW || block->gen == IOPF_GEN_USED;
}

/**
 * iopf_budget_settle() - pages of a block have been mapped, unmapped, pinned or unpinned
 * @b: the budget
 * @block: the block
 * @pages: mapped now
 * @pinned: of those
 * @why: why
 * @now: the present tick
 */
void iopf_budget_settle(struct iopf_budget *b, struct iopf_block *block, u32 pages, u32 pinned,
			enum iopf_settle why, u64 now)
{
	u64 mapped = iopf_budget_mapped(b);
	u32 before = block->pages, more = pages > before ? pages - before : 0;
	enum iopf_generation gen = block->gen;
	bool could_go = block_can_go(block);
	struct list_head *prev;

	if (WARN_ON_ONCE(pinned > pages))
		pinned = pages;
	/* A fault that finds the page mapped after all is about to use it as well. */
	if (pages == before && pinned == block->pinned && (why != IOPF_SETTLE_MISSED || !pages))
		return;
	prev = block->node.prev;
	block_out(b, block);
	if (why == IOPF_SETTLE_EVICTED) {
		b->clock += before - pages;
		b->evicted += before - pages;
	} else if (why == IOPF_SETTLE_LOOKED) {
		b->looked += before - pages;
	}
	block->pages = pages;
	block->pinned = pinned;

	if (pages == pinned || block->locked)
		gen = pages ? IOPF_GEN_KEPT : IOPF_GEN_NONE;
	else if (!could_go)
		gen = block_arrives(b, block, mapped);
	if (could_go && (gen == IOPF_GEN_KEPT || gen == IOPF_GEN_NONE))
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
 * iopf_budget_forget() - a block is no block any more
 * @b: the budget
 * @block: the block; as if it had never been
 */
void iopf_budget_forget(struct iopf_budget *b, struct iopf_block *block)
{
	block_out(b, block);
	*block = (struct iopf_block){ };
}

/**
 * iopf_budget_enter() - a fault is being handled
 * @b: the budget
 *
 * Return: its turn, for iopf_budget_leave().
 */
unsigned int iopf_budget_enter(struct iopf_budget *b)
{
	unsigned int odd = b->turn & 1;

	b->entered[odd]++;
	return odd;
}

/**
 * iopf_budget_leave() - it has been answered, or parked with nothing to show for it
 * @b: the budget
 * @turn: of iopf_budget_enter()
 */
void iopf_budget_leave(struct iopf_budget *b, unsigned int turn)
{
	if (!WARN_ON_ONCE(!b->entered[turn]))
		b->entered[turn]--;
}

/* Whether all faults that had to do with a block's being mapped have been answered. */
static bool block_answered(struct iopf_budget *b, const struct iopf_block *block)
{
	/* As many turns as there may be waiting for. */
	for (unsigned int i = 0; i < 2 && b->turn - block->turn < 2; i++) {
		if (b->entered[(b->turn + 1) & 1])
			return false;
		b->turn++;
	}
	return true;
}

/**
 * iopf_budget_may_evict() - whether a block may go
 * @b: the budget
 * @block: the block
 * @now: the present tick
 */
bool iopf_budget_may_evict(struct iopf_budget *b, const struct iopf_block *block, u64 now)
{
	return block_can_go(block) && now - block->since >= b->limits.stay &&
	       block_answered(b, block);
}

/**
 * iopf_budget_excess() - pages that should go in the background
 * @b: the budget
 *
 * Some more than there are above the soft mark, so that there is room at the next fault. They begin
 * to go before the hard one is reached.
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
	block_place(b, block, IOPF_GEN_NEW, now);
}

/**
 * iopf_budget_victim() - the block that should go next
 * @b: the budget
 * @now: the present tick
 *
 * Return: a block that may go, or NULL: there is none now.
 */
struct iopf_block *iopf_budget_victim(struct iopf_budget *b, u64 now)
{
	struct iopf_block *block;

	for (unsigned int i = 0; i < IOPF_BUDGET_DEMOTIONS; i++) {
		u64 both = b->pages[IOPF_GEN_NEW] + b->pages[IOPF_GEN_USED];

		block = oldest(b, IOPF_GEN_USED);
		if (!block || b->pages[IOPF_GEN_NEW] > both / IOPF_BUDGET_NEW_SHARE ||
		    !iopf_budget_may_evict(b, block, now))
			break;
		demote(b, block, now);
	}
	block = oldest(b, IOPF_GEN_NEW);
	if (block && iopf_budget_may_evict(b, block, now))
		return block;
	/* All that is new is too new. */
	block = oldest(b, IOPF_GEN_USED);
	if (block && iopf_budget_may_evict(b, block, now))
		return block;
	return NULL;
}

/**
 * iopf_budget_expired() - a block that has to prove that it is used
 * @b: the budget
 * @now: the present tick
 *
 * Return: a block that may go, to be settled with IOPF_SETTLE_LOOKED, or NULL.
 */
struct iopf_block *iopf_budget_expired(struct iopf_budget *b, u64 now)
{
	for (enum iopf_generation gen = IOPF_GEN_NEW; gen <= IOPF_GEN_USED; gen++) {
		struct iopf_block *block = oldest(b, gen);

		if (block && now - block->since >= b->limits.expire &&
		    iopf_budget_may_evict(b, block, now))
			return block;
	}
	return NULL;
}

/**
 * iopf_budget_hottest() - the used block that came back most often
 * @b: the budget
 * @looks: blocks to look at, from the one that came back last
 * @refaults: how often it must have come back
 *
 * Return: the block, or NULL.
 */
struct iopf_block *iopf_budget_hottest(const struct iopf_budget *b, unsigned int looks,
				       unsigned int refaults)
{
	const struct list_head *head = &b->list[IOPF_GEN_USED], *at = head->next;
	struct iopf_block *best = NULL;

	for (; at != head && looks--; at = at->next) {
		struct iopf_block *block = container_of(at, struct iopf_block, node);

		if (block->refaults >= refaults && (!best || block->refaults > best->refaults))
			best = block;
	}
	return best;
}

/**
 * iopf_budget_spare() - a block may not go after all, for reasons of its owner's
 * @b: the budget
 * @block: the block, of new or used ones
 * @now: the present tick
 *
 * The others have their turn first.
 */
void iopf_budget_spare(struct iopf_budget *b, struct iopf_block *block, u64 now)
{
	block_out(b, block);
	block_place(b, block, block->gen, now);
}

/**
 * iopf_budget_lock() - have a block stay
 * @b: the budget
 * @block: the block, not locked
 */
void iopf_budget_lock(struct iopf_budget *b, struct iopf_block *block)
{
	block_out(b, block);
	block->locked = true;
	if (block->gen != IOPF_GEN_NONE)
		block->gen = IOPF_GEN_KEPT;
	block_in(b, block, &b->list[block->gen]);
}

/**
 * iopf_budget_unlock() - undo that
 * @b: the budget
 * @block: the block, locked
 * @now: the present tick
 *
 * What can go then counts as used.
 */
void iopf_budget_unlock(struct iopf_budget *b, struct iopf_block *block, u64 now)
{
	block_out(b, block);
	block->locked = false;
	if (block->pages > block->pinned)
		block_place(b, block, IOPF_GEN_USED, now);
	else
		block_in(b, block, &b->list[block->gen]);
}

/**
 * iopf_budget_tick() - see whether an epoch is over
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
