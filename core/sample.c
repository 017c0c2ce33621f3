// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sampling of used blocks. See sample.h for the method.
 *
 * Blocks are found by a hash table, which has as many buckets as there are points. To make room is
 * one pass over all points, and frees about an eighth of them. So each newly watched block costs a
 * look at about eight points.
 */
#include "sample.h"

/* Weight of one observation in the mean interval: 1 / 2^ALONE_SHIFT. */
#define ALONE_SHIFT	4

static u32 *bucket_of(struct iopf_sample *s, u32 hash)
{
	return &s->bucket[(u64)hash * s->points / IOPF_SAMPLE_ALL];
}

/**
 * iopf_sample_init() - start with an empty log and no watched block
 * @s: @point, @bucket, @points, @event and @events are set; the numbers are not zero
 * @interval: time between seeing a block and sampling it
 */
void iopf_sample_init(struct iopf_sample *s, u32 interval)
{
	s->next = 0;
	s->threshold = IOPF_SAMPLE_ALL;
	s->blocks = 0;
	s->all = 0;
	s->interval = interval;
	s->alone = interval;
	INIT_LIST_HEAD(&s->seen);
	INIT_LIST_HEAD(&s->unused);
	for (u32 i = 0; i < s->points; i++) {
		s->bucket[i] = 0;
		list_add(&s->point[i].node, &s->unused);
	}
}

/**
 * iopf_sample_find() - find a watched block
 * @s: the sampling
 * @block: the block
 *
 * Return: its point, or NULL.
 */
struct iopf_sample_point *iopf_sample_find(struct iopf_sample *s, u64 block)
{
	for (u32 i = *bucket_of(s, iopf_sample_hash(block)); i; i = s->point[i - 1].chain)
		if (s->point[i - 1].block == block)
			return &s->point[i - 1];
	return NULL;
}

/**
 * iopf_sample_forget() - stop watching a block
 * @s: the sampling
 * @p: its point
 */
void iopf_sample_forget(struct iopf_sample *s, struct iopf_sample_point *p)
{
	u32 nr = p - s->point + 1, *link = bucket_of(s, p->hash);

	while (*link != nr)
		link = &s->point[*link - 1].chain;
	*link = p->chain;
	if (!p->away)
		list_del_init(&p->node);
	list_add(&p->node, &s->unused);
	s->blocks--;
}

/* Forgets the blocks with the largest hashes, at least some. */
static void make_room(struct iopf_sample *s)
{
	while (s->blocks == s->points) {
		u32 fall = s->threshold / IOPF_SAMPLE_FALL;

		s->threshold -= fall ? fall : 1;
		for (u32 b = 0; b < s->points; b++) {
			for (u32 i = s->bucket[b], next; i; i = next) {
				struct iopf_sample_point *p = &s->point[i - 1];

				next = p->chain;
				if (p->hash >= s->threshold)
					iopf_sample_forget(s, p);
			}
		}
	}
}

/**
 * iopf_sample_watch() - watch a block if it is chosen
 * @s: the sampling
 * @block: the block, not watched
 * @now: the time
 * @away: the block is not mapped. Otherwise it counts as seen at @now.
 *
 * If there is no free point, the threshold falls first, which may exclude this block too.
 *
 * Return: whether the block is watched now.
 */
bool iopf_sample_watch(struct iopf_sample *s, u64 block, u64 now, bool away)
{
	struct iopf_sample_point *p;
	u32 hash = iopf_sample_hash(block), *bucket = bucket_of(s, hash);

	if (hash < s->threshold)
		make_room(s);
	if (hash >= s->threshold)
		return false;
	p = list_last_entry(&s->unused, struct iopf_sample_point, node);
	list_del_init(&p->node);
	p->block = block;
	p->at = now;
	p->hash = hash;
	p->chain = *bucket;
	p->pages = 0;
	p->faults = 0;
	p->away = away;
	*bucket = p - s->point + 1;
	s->blocks++;
	if (!away)
		list_add(&p->node, &s->seen);
	return true;
}

/**
 * iopf_sample_due() - the next block to sample
 * @s: the sampling
 * @now: the time
 *
 * Return: the point of the block that was seen first, if it was seen an interval ago or earlier; or
 * NULL.
 */
struct iopf_sample_point *iopf_sample_due(struct iopf_sample *s, u64 now)
{
	struct iopf_sample_point *p;

	if (list_empty(&s->seen))
		return NULL;
	p = list_last_entry(&s->seen, struct iopf_sample_point, node);
	return now - p->at >= s->interval ? p : NULL;
}

/**
 * iopf_sample_defer() - a block could not be sampled: retry after another interval
 * @s: the sampling
 * @p: its point, not away
 * @now: the time
 */
void iopf_sample_defer(struct iopf_sample *s, struct iopf_sample_point *p, u64 now)
{
	list_del_init(&p->node);
	list_add(&p->node, &s->seen);
	p->at = now;
	/* The longer interval, and the pages mapped in it, would falsify the event. */
	p->faults = 0;
}

/**
 * iopf_sample_look() - a block was sampled, and is away now
 * @s: the sampling
 * @p: its point, not away
 * @pages: its pages that were mapped
 * @now: the time
 */
void iopf_sample_look(struct iopf_sample *s, struct iopf_sample_point *p, u32 pages, u64 now)
{
	u64 alone = min(now - p->at, (u64)U32_MAX);

	/* The interval of a block that was mapped before sampling began is unknown. */
	if (p->faults)
		s->alone += ((s64)alone - s->alone) / (1 << ALONE_SHIFT);
	list_del_init(&p->node);
	p->away = true;
	p->at = now;
	p->pages = min_t(u32, pages, U16_MAX);
}

/**
 * iopf_sample_miss() - a block that was away faults and is mapped again: an event
 * @s: the sampling
 * @p: its point, away
 * @first: the block was never mapped before
 * @now: the time
 */
void iopf_sample_miss(struct iopf_sample *s, struct iopf_sample_point *p, bool first, u64 now)
{
	s->event[s->next++ % s->events] = (struct iopf_sample_event){
		.time = now,
		.block = p->block,
		.away = first ? U32_MAX : min(now - p->at, (u64)U32_MAX),
		.pages = p->pages,
		.faults = p->faults,
		.flags = first ? IOPF_SAMPLE_FIRST : 0,
	};
	p->away = false;
	p->at = now;
	p->faults = 1;
	list_add(&p->node, &s->seen);
}

/**
 * iopf_sample_again() - another fault in a block that is not away
 * @p: its point
 */
void iopf_sample_again(struct iopf_sample_point *p)
{
	/* 0 means unknown. An unknown number stays unknown. */
	p->faults += p->faults && p->faults < U8_MAX;
}

/**
 * iopf_sample_head() - the present header of the log
 * @s: the sampling
 * @now: the time
 * @head: out
 */
void iopf_sample_head(const struct iopf_sample *s, u64 now, struct iopf_sample_header *head)
{
	*head = (struct iopf_sample_header){
		.version = IOPF_SAMPLE_VERSION,
		.record = sizeof(struct iopf_sample_event),
		.threshold = s->threshold,
		.interval = s->interval,
		.first = s->next > s->events ? s->next - s->events : 0,
		.next = s->next,
		.time = now,
		.all = s->all,
		.blocks = s->blocks,
		.alone = s->alone,
	};
	memcpy(head->magic, IOPF_SAMPLE_MAGIC, sizeof(head->magic));
}

/**
 * iopf_sample_read() - copy events from the log
 * @s: the sampling
 * @nr: number of the first event, which is not overwritten yet
 * @to: out
 * @n: room for this number of events
 *
 * Return: the number of events copied.
 */
u32 iopf_sample_read(const struct iopf_sample *s, u64 nr, struct iopf_sample_event *to, u32 n)
{
	u32 i;

	for (i = 0; i < n && nr + i < s->next; i++)
		to[i] = s->event[(nr + i) % s->events];
	return i;
}
