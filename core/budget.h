/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The budget of a container: how many pages may be mapped at a time, and which block is evicted
 * when more are needed.
 *
 * The budget charges blocks. In the module a block is a chunk; a simulation chooses its own. A
 * block is mapped as a whole or in part, and is evicted as a whole, except for its pinned pages.
 * The hardware does not report how often a mapped block is used. But a block that is evicted and
 * faults again is in use. So there are two generations:
 *
 *   inactive  the block was mapped for the first time, or has not refaulted for a long time
 *   active    the block was evicted and refaulted so soon that twice the room would have kept it
 *
 * The victim is the block of "inactive" whose last fault is the oldest, while "inactive" has more
 * than its share (a quarter). If it has less, the oldest blocks of "active" move to "inactive".
 * They are evicted later, and return to "active" if they refault. So a scan of any length evicts
 * only its own pages. A block that was in use earlier makes room for blocks that are in use now.
 *
 * A clock measures how soon a block refaults. It counts the pages that are evicted to make room. A
 * block stores the clock at its eviction. When the block refaults, the number of pages evicted
 * since then is its refault distance (mm/workingset.c). If the distance does not exceed the number
 * of mapped pages, the block is active. Evictions that only test whether a block is used, by age or
 * by the host, do not advance the clock: they make no room for another block.
 *
 * Progress: a block is not evicted before all faults that were in progress at its last fault are
 * answered, and not before it was mapped for @min_residency. So each fault makes its access
 * possible, if the device retries in that time. Limits below IOPF_BUDGET_MIN, which is room for a
 * few simultaneous accesses, are refused. The budget counts unanswered faults by turns. A fault
 * enters in the present turn. When the budget checks, it ends the turn if no fault of the previous
 * turn is left. Two turns after the fault of a block, every fault of that time has left.
 *
 * Thrashing: an epoch ends when as many pages were mapped as the soft limit permits, or after
 * @epoch_ticks. The container starts to thrash when at least half of these pages belong to blocks
 * that refaulted early. It stops when less than a quarter do, or when few pages were mapped.
 *
 * Invariants:
 *  - mapped + reserved <= max, except for pages that were mapped before max was lowered;
 *  - a block is on the list of its generation, or on no list if nothing of it is mapped;
 *  - the lists of inactive and active blocks start with the block placed last;
 *  - unevictable blocks, which are wholly pinned or locked, are on a third list.
 *
 * Locking: the caller's.
 *
 * Vocabulary: pinned pages are mapped pages that cannot be evicted. To charge is to reserve before
 * the mapping and to settle after it. Ticks are the caller's unit of time.
 */
#ifndef IOPF_CORE_BUDGET_H
#define IOPF_CORE_BUDGET_H

#include "shim.h"

/* Least number of pages besides the pinned ones: room for some windows of faults. */
#define IOPF_BUDGET_MIN	64U
#define IOPF_BUDGET_NONE	U64_MAX

/* The share of inactive blocks, as a divisor of the pages that can be evicted. */
#define IOPF_BUDGET_INACTIVE_SHARE	4
/* Most blocks of "active" to look at for one victim. */
#define IOPF_BUDGET_DEMOTIONS	32

/**
 * enum iopf_generation - the list of a block
 * @IOPF_GEN_NONE: nothing of the block is mapped
 * @IOPF_GEN_INACTIVE: see above
 * @IOPF_GEN_ACTIVE: see above
 * @IOPF_GEN_UNEVICTABLE: the block cannot be evicted
 * @IOPF_GEN_NR: number of generations
 */
enum iopf_generation {
	IOPF_GEN_NONE,
	IOPF_GEN_INACTIVE,
	IOPF_GEN_ACTIVE,
	IOPF_GEN_UNEVICTABLE,
	IOPF_GEN_NR,
};

/**
 * enum iopf_settle - why pages of a block were mapped or unmapped
 * @IOPF_SETTLE_MISSED: mapped for an access, or prefetched
 * @IOPF_SETTLE_LOST: unmapped, pinned or unpinned for any other reason
 * @IOPF_SETTLE_AGED: evicted to see whether the block is used
 * @IOPF_SETTLE_EVICTED: evicted to make room
 */
enum iopf_settle {
	IOPF_SETTLE_MISSED,
	IOPF_SETTLE_LOST,
	IOPF_SETTLE_AGED,
	IOPF_SETTLE_EVICTED,
};

/**
 * struct iopf_block - the charge of a block; all zero at first
 * @node: in the list of its generation
 * @since: tick in which the block was placed there
 * @left: the clock at the last eviction, if @remembered
 * @pages: mapped pages
 * @pinned: number of these that are pinned
 * @turn: turn of the last fault
 * @gen: enum iopf_generation
 * @refaults: number of early refaults; decreases with time
 * @remembered: the block is evicted, and @left is valid
 * @back: the block refaulted early, and is still mapped
 * @locked: the block may not be evicted
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
 * struct iopf_limits - limits set by user space; IOPF_BUDGET_NONE: no limit
 * @high: number of mapped pages above which eviction runs in the background and prefetching stops
 * @max: most mapped pages
 * @pinned_high: number of pinned pages above which no block is locked because it is hot
 * @pinned_max: most pinned pages
 * @aging_interval: ticks after which a block must prove that it is used
 * @min_residency: least number of ticks for which a block stays mapped
 */
struct iopf_limits {
	u64 high;
	u64 max;
	u64 pinned_high;
	u64 pinned_max;
	u64 aging_interval;
	u64 min_residency;
};

/**
 * struct iopf_budget - the budget of a container
 * @limits: the limits
 * @list: blocks by generation
 * @blocks: number of blocks in each list
 * @pages: pages of each list that are not pinned. Those of unevictable blocks cannot be evicted.
 * @pinned: pinned pages of all blocks
 * @reserved: pages that callers reserved and have not returned yet
 * @clock: pages evicted to make room
 * @evicted: like @clock, since the creation
 * @aged: pages evicted to see whether they are used
 * @refaults: blocks that refaulted early
 * @turn: number of the present turn
 * @entered: faults in progress that entered in an even turn, and in an odd turn
 * @epoch: tick in which the epoch began
 * @epoch_ticks: longest duration of an epoch
 * @came: pages mapped for faults during the epoch
 * @returned: number of these in blocks that refaulted early
 * @thrashing: see above
 * @thrash_events: how often thrashing began
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
	u64 aged;
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
 * iopf_budget_mapped() - number of mapped pages
 * @b: the budget
 */
static inline u64 iopf_budget_mapped(const struct iopf_budget *b)
{
	return b->pages[IOPF_GEN_INACTIVE] + b->pages[IOPF_GEN_ACTIVE] +
	       b->pages[IOPF_GEN_UNEVICTABLE] + b->pinned;
}

/**
 * iopf_budget_soft() - number of mapped pages above which prefetching stops
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
