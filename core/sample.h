/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sampling which blocks are used, and the log of it.
 *
 * A few blocks are watched. One that has been seen used is left alone for an interval; then it is
 * looked at, which takes it away, and stays away until it is missed. That it is missed is an event,
 * the only thing that is ever known of its use: the block was used at that time, for the first
 * time since it was looked at. How often it was used in between, nobody knows.
 *
 * Which blocks: all, as long as there are no more than may be watched. Otherwise those whose hash
 * is below a threshold, which falls as more of them turn up (SHARDS: Waldspurger, Park,
 * Garthwaite, Ahmad: Efficient MRC Construction with SHARDS, FAST 2015). So what is watched of
 * all blocks is always a share of them that does not depend on how they are used, and whoever
 * reads the log knows how many blocks each one stands for. What was logged before the threshold
 * fell, of blocks that are above it now, the reader leaves out: iopf_sample_stands().
 *
 * Invariants:
 *  - a watched block's hash is below the threshold;
 *  - watched blocks that have been seen used are in the order of that, the first one first;
 *  - the log has the last events, each under its number, in the order of time.
 *
 * Locking: the caller's.
 *
 * Vocabulary: a block is named by the page it begins with, as a number; time is in microseconds
 * since sampling began. Seen, looked at: as above. Away: looked at, and not missed since.
 */
#ifndef IOPF_CORE_SAMPLE_H
#define IOPF_CORE_SAMPLE_H

#include "shim.h"

#define IOPF_SAMPLE_MAGIC	"iopfsamp"
#define IOPF_SAMPLE_VERSION	1U
/* Thresholds are below this, or this: every block is watched. */
#define IOPF_SAMPLE_ALL		0x1000000U
/* How far a threshold falls at a time: by an eighth. */
#define IOPF_SAMPLE_FALL	8U

/**
 * enum iopf_sample_flags - what more there is to know of an event
 * @IOPF_SAMPLE_FIRST: the block was never mapped before
 */
enum iopf_sample_flags {
	IOPF_SAMPLE_FIRST = 1,
};

/**
 * struct iopf_sample_event - a block was missed; in the log as it is in memory
 * @time: when
 * @block: which
 * @away: for how long it had been away; U32_MAX: longer, or nobody knows
 * @pages: of it that were mapped when it was looked at; 0: it was not mapped yet, or nothing was
 * @faults: that it took to have those, up to U8_MAX; 0: nobody knows
 * @flags: enum iopf_sample_flags
 */
struct iopf_sample_event {
	u64 time;
	u64 block;
	u32 away;
	u16 pages;
	u8 faults;
	u8 flags;
};

/**
 * struct iopf_sample_header - the beginning of the log; in the byte order of the machine
 * @magic: IOPF_SAMPLE_MAGIC, without the final zero
 * @version: IOPF_SAMPLE_VERSION
 * @record: bytes of an event, the first of which follows the header
 * @threshold: of IOPF_SAMPLE_ALL
 * @interval: for how long a block that has been seen is to be left alone
 * @first: number of the first event that is still there
 * @next: number of the next event there will be
 * @time: since sampling began; when it is over, for how long it went on
 * @blocks: that are watched
 * @all: blocks there are, watched or not, as far as that is known
 * @alone: for how long blocks are left alone in fact, when looking is held back because it takes
 *         too great a share of time
 */
struct iopf_sample_header {
	u8 magic[8];
	u32 version;
	u32 record;
	u32 threshold;
	u32 interval;
	u64 first;
	u64 next;
	u64 time;
	u64 all;
	u32 blocks;
	u32 alone;
};

/**
 * struct iopf_sample_point - a block that is watched
 * @node: in the list of those that have been seen, when not @away; in that of free ones
 * @block: which
 * @at: when it was seen or looked at
 * @hash: of the block
 * @chain: the next point of the same bucket, as its number and one; 0: none
 * @pages: of the block that were mapped when it was looked at
 * @faults: since it was seen, that time included
 * @away: it is away
 */
struct iopf_sample_point {
	struct list_head node;
	u64 block;
	u64 at;
	u32 hash;
	u32 chain;
	u16 pages;
	u8 faults;
	bool away;
};

/**
 * struct iopf_sample - what is watched, and the log
 * @point: room for points
 * @bucket: points by the hash of their blocks, as numbers and one; as many as points
 * @points: how many there is room for
 * @event: the log, event n at n modulo @events
 * @events: how many it has room for
 * @next: number of the next event
 * @threshold: see above
 * @blocks: that are watched
 * @all: that there are; the caller counts them
 * @interval: for how long a block is to be left alone
 * @alone: for how long it is, as a mean of the last ones
 * @seen: points that have been seen, the last one first
 * @unused: free points
 */
struct iopf_sample {
	struct iopf_sample_point *point;
	u32 *bucket;
	u32 points;
	struct iopf_sample_event *event;
	u32 events;
	u64 next;
	u32 threshold;
	u32 blocks;
	u64 all;
	u32 interval;
	u32 alone;
	struct list_head seen;
	struct list_head unused;
};

/**
 * iopf_sample_hash() - by which blocks are chosen
 * @block: the block
 *
 * The finalizer of SplitMix64, like iopf_sim_mix(): Steele, Lea, Flood, OOPSLA 2014.
 *
 * Return: a number below IOPF_SAMPLE_ALL.
 */
static inline u32 iopf_sample_hash(u64 block)
{
	block += 0x9e3779b97f4a7c15ULL;
	block ^= block >> 30;
	block *= 0xbf58476d1ce4e5b9ULL;
	block ^= block >> 27;
	block *= 0x94d049bb133111ebULL;
	block ^= block >> 31;
	return block & (IOPF_SAMPLE_ALL - 1);
}

/**
 * iopf_sample_stands() - whether a block is watched at a threshold
 * @block: the block
 * @threshold: up to IOPF_SAMPLE_ALL, where all of them are
 */
static inline bool iopf_sample_stands(u64 block, u32 threshold)
{
	return iopf_sample_hash(block) < threshold;
}

void iopf_sample_init(struct iopf_sample *s, u32 interval);
bool iopf_sample_watch(struct iopf_sample *s, u64 block, u64 now, bool away);
struct iopf_sample_point *iopf_sample_find(struct iopf_sample *s, u64 block);
struct iopf_sample_point *iopf_sample_due(struct iopf_sample *s, u64 now);
void iopf_sample_defer(struct iopf_sample *s, struct iopf_sample_point *p, u64 now);
void iopf_sample_look(struct iopf_sample *s, struct iopf_sample_point *p, u32 pages, u64 now);
void iopf_sample_miss(struct iopf_sample *s, struct iopf_sample_point *p, bool first, u64 now);
void iopf_sample_again(struct iopf_sample_point *p);
void iopf_sample_forget(struct iopf_sample *s, struct iopf_sample_point *p);
void iopf_sample_head(const struct iopf_sample *s, u64 now, struct iopf_sample_header *head);
u32 iopf_sample_read(const struct iopf_sample *s, u64 nr, struct iopf_sample_event *to, u32 n);

#endif /* IOPF_CORE_SAMPLE_H */
