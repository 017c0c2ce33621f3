/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many faults there would be at what limit, worked out from a log of samples.
 *
 * The policy itself (budget.h) is run over the log, once for each limit: a simulation in miniature
 * (Waldspurger, Saemundsson, Ahmad, Park: Cache Modeling and Optimization using Miniature
 * Simulations, ATC 2017). Where only a share of the blocks was watched, each stands for as
 * many, and counts as that many pages: so limits, and whatever the policy derives from them, are
 * as they are, and a block is a large one.
 *
 * What a miss costs, in pages and in faults, is what it cost when the block came back after it had
 * been looked at.
 *
 * The log is gone through twice, and counted the second time: with what is mapped at the end of
 * it the load goes on as at its beginning. So a load that does the same again and again is
 * predicted as it is when it has been running for some time, and one that never comes back to
 * what it has used has no faults but those that no limit would spare it: of blocks that were new.
 *
 * What it can't know: uses of a block between two events, which are hits wherever a block stays
 * mapped for longer than it was left alone; what is mapped ahead of a device; the host's taking
 * memory away.
 *
 * Invariants: as budget.h; what is not mapped has no pages.
 *
 * Locking: none. For user space; not part of the module.
 */
#ifndef IOPF_CORE_MRC_H
#define IOPF_CORE_MRC_H

#include "budget.h"
#include "sample.h"

/**
 * struct iopf_mrc_use - a use of a block
 * @time: in microseconds, as in the log
 * @block: its number here
 * @pages: mapped then, if it was missed
 * @faults: that takes
 * @first: it never was mapped before
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
 * @block: to the policy
 * @name: in the log
 * @since: when it was mapped
 */
struct iopf_mrc_block {
	struct iopf_block block;
	u64 name;
	u64 since;
};

/**
 * struct iopf_mrc - a log made ready
 * @use: uses, in the order of time; room for all events
 * @uses: how many
 * @block: the blocks; room for as many as there are events
 * @blocks: how many
 * @table: to find them by; room for iopf_mrc_slots() of the number of events
 * @slots: that number
 * @threshold: of IOPF_SAMPLE_ALL: blocks above it are left out
 * @time: for how long there was sampling, in microseconds
 * @all: blocks for which ...
 * @watched: ... so many stand; see iopf_mrc_begin()
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
 * struct iopf_mrc_point - a point of the curve; numbers are of all blocks, not only the watched
 * @faults: in the time of the log, of those that the limit makes
 * @always: those that come at any limit
 * @missed: times that a block was missed, @always included
 * @stuck: of @faults, those for which there was no room for their pages even when all else had
 *         gone: the limit is below what can be told from so few blocks
 * @evicted: times that a block went for want of room, in the watched blocks
 * @stayed: for how long those had been mapped, in all; where that is not a good deal longer than
 *          blocks are left alone, there are uses between the events that matter
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
 * iopf_mrc_slots() - slots of a table
 * @events: in the log
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
