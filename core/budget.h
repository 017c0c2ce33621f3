/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The budget of a container: how many pages may be mapped at a time, and which go when more are
 * wanted.
 *
 * What is charged are blocks: in the module chunks, in a simulation whatever it likes. A block is
 * mapped as a whole or in part, and goes as a whole, but for its pinned pages. Nothing tells how
 * often a mapped block is used; what has been taken and is missed again is in use. So there are
 * two generations:
 *
 *   new     comes from outside, or has not proved to be used for long
 *   used    was taken and missed again so soon that it need not have been taken, had there been
 *           twice the room
 *
 * What goes is the block of "new" that was missed longest ago, as long as "new" has more than its
 * share (a quarter). When it has less, the oldest of "used" have to prove themselves: they are
 * put among the new ones, to be taken in their turn, and come back to "used" if they are missed.
 * So a scan, however long, takes what it has brought in itself, and who has been used once gets
 * out of the way of what is used now.
 *
 * How soon is told by a clock that counts pages taken for want of room. A block remembers what the
 * clock said when it went; if no more pages than are mapped have gone since, it is used
 * (the refault distance of the kernel's mm/workingset.c). What was taken to see whether
 * it is used, by age or by the host, does not turn the clock: taking it was in nobody's favour.
 *
 * Progress: a block does not go before the faults that were under way when it was last missed have
 * been answered, and not before it was mapped for a while. So each fault lets the access happen
 * that it was about, if the device tries again in that time; and limits below IOPF_BUDGET_LEAST,
 * which is room for some accesses at once, are refused. "Have been answered" is told by turns: a
 * fault enters in the present turn; the turn ends, when it is asked for, if nobody is left who
 * entered in the one before. Two turns after a block was missed everybody of that time has left.
 *
 * Thrashing: when of the pages that came in during an epoch, which is as many as the budget has, at
 * least half were used ones that came back. It ends when less than a quarter are, or hardly
 * anything comes in any more.
 *
 * Invariants:
 *  - mapped + reserved <= max, but for what was mapped before max came down that far;
 *  - a block is on one list, the one of its generation, or on none when nothing of it is mapped;
 *  - the lists of new and used have what was placed last first;
 *  - kept blocks, which are pinned as a whole or locked, are on a list of their own and do not go.
 *
 * Locking: the caller's.
 *
 * Vocabulary: pages are mapped, of which pinned ones can't go. To charge is to reserve, before, and
 * to settle, afterwards. Ticks are the caller's unit of time.
 */
#ifndef IOPF_CORE_BUDGET_H
#define IOPF_CORE_BUDGET_H

#include "shim.h"

/* The least there must be beside what is pinned: room for some windows of faults. */
#define IOPF_BUDGET_LEAST	64U
#define IOPF_BUDGET_NONE	U64_MAX

/* What new blocks may have of what can go. */
#define IOPF_BUDGET_NEW_SHARE	4
/* Blocks of "used" that are looked at per victim at most. */
#define IOPF_BUDGET_DEMOTIONS	32

/**
 * enum iopf_generation - where a block is
 * @IOPF_GEN_NONE: nothing of it is mapped
 * @IOPF_GEN_NEW: see above
 * @IOPF_GEN_USED: see above
 * @IOPF_GEN_KEPT: it can't go
 * @IOPF_GEN_NR: how many there are
 */
enum iopf_generation {
	IOPF_GEN_NONE,
	IOPF_GEN_NEW,
	IOPF_GEN_USED,
	IOPF_GEN_KEPT,
	IOPF_GEN_NR,
};

/**
 * enum iopf_settle - why pages of a block were mapped or unmapped
 * @IOPF_SETTLE_MISSED: mapped, for an access or ahead of one
 * @IOPF_SETTLE_LOST: gone, or pinned or unpinned, for any reason but these
 * @IOPF_SETTLE_LOOKED: taken to see whether it is used
 * @IOPF_SETTLE_EVICTED: taken for want of room
 */
enum iopf_settle {
	IOPF_SETTLE_MISSED,
	IOPF_SETTLE_LOST,
	IOPF_SETTLE_LOOKED,
	IOPF_SETTLE_EVICTED,
};

/**
 * struct iopf_block - what is charged of a block; all zero at first
 * @node: in the list of its generation
 * @since: tick in which it was placed
 * @left: the clock when it went, if @remembered
 * @pages: mapped
 * @pinned: of those
 * @turn: in which it was last missed
 * @gen: enum iopf_generation
 * @refaults: how often it came back soon, less with time
 * @remembered: it was taken, and nothing is known that would make that meaningless
 * @back: it has come back soon, and stayed
 * @locked: it may not go
 */
struct iopf_block {
	struct list_head node;
	u64 since;
	u64 left;
	u32 pages;
	u32 pinned;
	u32 turn;
	u8 gen;
	u8 refaults;
	bool remembered : 1;
	bool back : 1;
	bool locked : 1;
};

/**
 * struct iopf_limits - what somebody has set; IOPF_BUDGET_NONE: no limit
 * @high: mapped pages from which on they go in the background, and no more are mapped than asked
 * @max: mapped pages there may be
 * @pinned_high: pinned pages from which on no block is locked in its own interest
 * @pinned_max: pinned pages there may be
 * @expire: ticks after which a block has to prove that it is used
 * @stay: ticks a block stays mapped at least
 */
struct iopf_limits {
	u64 high;
	u64 max;
	u64 pinned_high;
	u64 pinned_max;
	u64 expire;
	u64 stay;
};

/**
 * struct iopf_budget - the budget of a container
 * @limits: what is set
 * @list: blocks by generation
 * @blocks: how many
 * @pages: of those, the pages that can go; of kept ones all that are not pinned
 * @pinned: pinned pages of all
 * @reserved: pages that may be mapped at any moment
 * @clock: pages taken for want of room
 * @evicted: the same, since ever
 * @looked: pages taken to see whether they are used
 * @refaults: blocks that came back soon
 * @turn: counts turns
 * @entered: faults under way, by the turn in which they entered, odd or even
 * @epoch: tick in which the epoch began
 * @epoch_ticks: what it takes at most
 * @came: pages that came in during it
 * @returned: of those, in blocks that came back soon
 * @thrashing: see above
 * @thrash_events: how often that began
 */
struct iopf_budget {
	struct iopf_limits limits;
	struct list_head list[IOPF_GEN_NR];
	u64 blocks[IOPF_GEN_NR];
	u64 pages[IOPF_GEN_NR];
	u64 pinned;
	u64 reserved;
	u64 clock;
	u64 evicted;
	u64 looked;
	u64 refaults;
	u32 turn;
	u32 entered[2];
	u64 epoch;
	u64 epoch_ticks;
	u64 came;
	u64 returned;
	bool thrashing;
	u64 thrash_events;
};

/**
 * iopf_budget_mapped() - pages that are mapped
 * @b: the budget
 */
static inline u64 iopf_budget_mapped(const struct iopf_budget *b)
{
	return b->pages[IOPF_GEN_NEW] + b->pages[IOPF_GEN_USED] + b->pages[IOPF_GEN_KEPT] +
	       b->pinned;
}

/**
 * iopf_budget_soft() - mapped pages from which on nothing is mapped but what is asked for
 * @b: the budget
 */
static inline u64 iopf_budget_soft(const struct iopf_budget *b)
{
	return min(b->limits.high, b->limits.max);
}

void iopf_budget_init(struct iopf_budget *b, u64 now, u64 epoch_ticks);
int iopf_budget_check(const struct iopf_budget *b, const struct iopf_limits *limits);
void iopf_budget_limit(struct iopf_budget *b, const struct iopf_limits *limits, u64 now);

bool iopf_budget_reserve(struct iopf_budget *b, u64 pages, bool must);
int iopf_budget_reserve_pinned(struct iopf_budget *b, u64 pinned, u64 pages);
void iopf_budget_unreserve(struct iopf_budget *b, u64 pages);
void iopf_budget_settle(struct iopf_budget *b, struct iopf_block *block, u32 pages, u32 pinned,
			enum iopf_settle why, u64 now);
void iopf_budget_forget(struct iopf_budget *b, struct iopf_block *block);

unsigned int iopf_budget_enter(struct iopf_budget *b);
void iopf_budget_leave(struct iopf_budget *b, unsigned int turn);

u64 iopf_budget_excess(const struct iopf_budget *b);
struct iopf_block *iopf_budget_victim(struct iopf_budget *b, u64 now);
struct iopf_block *iopf_budget_expired(struct iopf_budget *b, u64 now);
bool iopf_budget_may_evict(struct iopf_budget *b, const struct iopf_block *block, u64 now);

struct iopf_block *iopf_budget_hottest(const struct iopf_budget *b, unsigned int looks,
				       unsigned int refaults);

void iopf_budget_spare(struct iopf_budget *b, struct iopf_block *block, u64 now);
void iopf_budget_lock(struct iopf_budget *b, struct iopf_block *block);
void iopf_budget_unlock(struct iopf_budget *b, struct iopf_block *block, u64 now);

void iopf_budget_tick(struct iopf_budget *b, u64 now);

#endif /* IOPF_CORE_BUDGET_H */
