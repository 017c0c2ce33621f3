/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sampling of used blocks, and its log.
 *
 * A few blocks are watched. A watched block that was seen used stays mapped for an interval. Then
 * it is sampled: it is unmapped, and stays away until it faults. This fault is an event. The event
 * says that the block was used at that time, for the first time since its sampling. Nothing is
 * known about uses between the previous event and the sampling.
 *
 * All blocks are watched if they are few enough. Otherwise, the blocks whose hash is below a
 * threshold are watched. The threshold falls as more blocks appear (SHARDS: Waldspurger, Park,
 * Garthwaite, Ahmad: Efficient MRC Construction with SHARDS, FAST 2015). So the watched share of
 * all blocks does not depend on their use, and a reader of the log knows how many blocks a watched
 * block stands for. The reader leaves out events of blocks above the final threshold:
 * iopf_sample_stands().
 *
 * Invariants:
 *  - the hash of a watched block is below the threshold;
 *  - watched blocks that were seen used are in the order of that time, the earliest first;
 *  - the log has the last events, at their numbers modulo its size, in the order of time.
 *
 * Locking: the caller's.
 *
 * Vocabulary: a block's name is the number of its first page. Time is in microseconds since
 * sampling began. Seen: known to be used. Away: sampled, and without a fault since then.
 */
#ifndef IOPF_CORE_SAMPLE_H
#define IOPF_CORE_SAMPLE_H

#include "shim.h"

#define IOPF_SAMPLE_MAGIC	"iopfsamp"
#define IOPF_SAMPLE_VERSION	1U
/* A threshold is at most this. At this threshold every block is watched. */
#define IOPF_SAMPLE_ALL		0x1000000U
/* A threshold falls by one eighth at a time. */
#define IOPF_SAMPLE_FALL	8U

/**
 * enum iopf_sample_flags - flags of an event
 * @IOPF_SAMPLE_FIRST: the block was never mapped before
 */
enum iopf_sample_flags {
	IOPF_SAMPLE_FIRST = 1,
};

/**
 * struct iopf_sample_event - a fault on a block; in the log as in memory
 * @time: time of the fault
 * @block: the block
 * @away: time for which the block was away; U32_MAX: longer, or unknown
 * @pages: pages of the block that were mapped at the sampling; 0: none, or it was not mapped yet
 * @faults: number of faults that mapped these pages, up to U8_MAX; 0: unknown
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
 * struct iopf_sample_header - start of the log; in the byte order of the machine
 * @magic: IOPF_SAMPLE_MAGIC, without the final zero
 * @version: IOPF_SAMPLE_VERSION
 * @record: bytes of an event. The first event follows the header.
 * @threshold: out of IOPF_SAMPLE_ALL
 * @interval: time between seeing a block and sampling it
 * @first: number of the oldest event in the log
 * @next: number of the next event
 * @time: time since sampling began; duration of sampling after its end
 * @blocks: watched blocks
 * @all: all blocks, as far as known
 * @alone: actual interval, which is longer if sampling takes too much time and is throttled
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
 * struct iopf_sample_point - a watched block
 * @node: in the list of seen blocks if not @away; in the list of free points if unused
 * @block: the block
 * @at: time at which it was seen or sampled
 * @hash: hash of the block
 * @chain: next point of the bucket, as its number plus one; 0: none
 * @pages: pages of the block that were mapped at the sampling
 * @faults: faults since the block was seen, including the first; 0: unknown
 * @away: the block is away
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
 * struct iopf_sample - watched blocks, and the log
 * @point: memory for points
 * @bucket: hash table of points, as numbers plus one; as many as points
 * @points: number of points
 * @event: the log; event n is at n modulo @events
 * @events: size of the log
 * @next: number of the next event
 * @threshold: see above
 * @blocks: watched blocks
 * @all: all blocks; the caller counts them
 * @interval: time between seeing a block and sampling it
 * @alone: mean of the last actual intervals
 * @seen: points of seen blocks, the latest first
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
 * iopf_sample_hash() - the hash that chooses blocks
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
 * iopf_sample_stands() - whether a threshold includes a block
 * @block: the block
 * @threshold: at most IOPF_SAMPLE_ALL, which includes all blocks
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
