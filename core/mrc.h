/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Predicts from a log of samples how many faults there are at each limit.
 *
 * The policy itself (budget.h) runs over the log once for each limit: a miniature simulation
 * (Waldspurger, Saemundsson, Ahmad, Park: Cache Modeling and Optimization using Miniature
 * Simulations, ATC 2017). If only a share of the blocks was watched, each watched block stands for
 * several, and counts with the pages of all of them. So limits, and all values that the policy
 * derives from them, stay the same. Only the blocks are larger.
 *
 * A miss in the simulation costs as many pages and faults as the block's refault after its sampling
 * did.
 *
 * The simulation runs through the log twice and counts in the second pass. So the second pass
 * begins with the blocks that are mapped at the end of the log. For a load that repeats itself, the
 * prediction is the state after some time. A load that never returns to a block has only the faults
 * on new blocks, which no limit avoids.
 *
 * The simulation does not know:
 *  - uses of a block between its refault and its next sampling, which are hits if the block stays
 *    mapped longer than the sampling interval;
 *  - prefetching;
 *  - reclaim by the host.
 *
 * Invariants: as in budget.h; a block that is not mapped has no pages.
 *
 * Locking: none. This is for user space and is not part of the module.
 */
#ifndef IOPF_CORE_MRC_H
#define IOPF_CORE_MRC_H

#include "budget.h"
#include "sample.h"

/**
 * struct iopf_mrc_use - a use of a block
 * @time: in microseconds, as in the log
 * @block: number of the block
 * @pages: pages that a miss maps
 * @faults: faults that map these pages
 * @first: the block was never mapped before
 */
struct iopf_mrc_use {
	u64 time;
	u32 block;
	u16 pages;
	u8 faults;
	bool first;
};

/**
 * struct iopf_mrc_block - a block
 * @block: the policy's part
 * @name: name of the block in the log
 * @since: time at which it was mapped
 */
struct iopf_mrc_block {
	struct iopf_block block;
	u64 name;
	u64 since;
};

/**
 * struct iopf_mrc - a prepared log
 * @use: uses, in the order of time; room for all events
 * @uses: number of uses
 * @block: the blocks; room for as many as there are events
 * @blocks: number of blocks
 * @table: hash table of blocks; room for iopf_mrc_slots() of the number of events
 * @slots: size of @table
 * @threshold: out of IOPF_SAMPLE_ALL; blocks above it are left out
 * @time: duration of sampling, in microseconds
 * @all: number of blocks for which @watched stand
 * @watched: number of watched blocks; see iopf_mrc_begin()
 * @pinned: pages that are always mapped, and were not sampled
 */
struct iopf_mrc {
	struct iopf_mrc_use *use;
	u32 uses;
	struct iopf_mrc_block *block;
	u32 blocks;
	u32 *table;
	u32 slots;
	u32 threshold;
	u64 time;
	u64 all;
	u64 watched;
	u64 pinned;
};

/**
 * struct iopf_mrc_point - a point of the curve. Numbers are for all blocks, not only watched ones.
 * @faults: faults in the time of the log that the limit causes
 * @always: faults that occur at any limit
 * @missed: misses of blocks, including those of @always
 * @stuck: those of @faults that found no room even after all other blocks were evicted. The limit
 *         is too small for a prediction from that number of blocks.
 * @evicted: evictions of watched blocks to make room
 * @stayed: sum of the times for which these blocks were mapped. If the mean is not much longer than
 *          the sampling interval, uses between the events matter.
 */
struct iopf_mrc_point {
	u64 faults;
	u64 always;
	u64 missed;
	u64 stuck;
	u64 evicted;
	u64 stayed;
};

/**
 * iopf_mrc_slots() - size of the hash table
 * @events: number of events in the log
 */
static inline u32 iopf_mrc_slots(u32 events)
{
	u32 slots = 16;

	while (slots < 2 * (u64)events && slots < 1U << 31)
		slots *= 2;
	return slots;
}

void iopf_mrc_begin(struct iopf_mrc *m, const struct iopf_sample_header *head);
void iopf_mrc_load(struct iopf_mrc *m, const struct iopf_sample_event *event, u32 n);
u64 iopf_mrc_footprint(const struct iopf_mrc *m);
void iopf_mrc_run(struct iopf_mrc *m, const struct iopf_limits *limits, u64 epoch,
		  struct iopf_mrc_point *point);

#endif /* IOPF_CORE_MRC_H */
