/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Streams: detects that a device goes through memory in order, from the pages of its faults.
 *
 * A device that faults on some pages and then on their neighbours has a stream. A device that
 * faults three times at equal distances, up or down, and then once more has a stride. The next
 * pages are prefetched, more each time, up to a bound. Prefetched pages count as used when the
 * stream faults after their end. They count as wasted when that does not happen before the slot of
 * the stream is needed. There is no other sign of use, since a device reports only faults. If a
 * device wastes an eighth of its bound or more, the bound is halved. If the device uses prefetched
 * pages, the bound is doubled again. A smaller waste has no effect: otherwise pages that are
 * neighbours by chance would prevent long streams.
 *
 * A stream that has used many pages is steady: it gets the whole bound at once.
 *
 * A device has several streams at a time. Reads and writes have separate streams, since a device
 * may copy.
 *
 * Locking: the caller's.
 *
 * Vocabulary: a page is a page number of the I/O address space. A miss is a fault. "Ahead" means
 * prefetched. The caller does the work: it populates or maps the pages.
 */
#ifndef IOPF_CORE_STREAM_H
#define IOPF_CORE_STREAM_H

#include "shim.h"

/* Number of streams. Only a device with more queues than this could use more. */
#define IOPF_STREAMS		8
/*
 * Pages that a running stream may skip, since they may be mapped already or be mapped by
 * fault-around. Before a stream runs, a gap makes a stride.
 */
#define IOPF_STREAM_SKIP	16U
/* Largest stride in pages: 32 MiB. */
#define IOPF_STREAM_STRIDE	8192
/* Most places of a stride to prefetch. */
#define IOPF_STREAM_PLACES	32U
/* Number of pages in one prefetch that makes a stream steady: 8 MiB. */
#define IOPF_STREAM_STEADY	2048U
/* Number of misses after which a stream without a miss counts as ended. */
#define IOPF_STREAM_OLD		64
/* A waste of this part of the bound, one eighth, halves the bound. */
#define IOPF_STREAM_MUCH	8U
/* How often the bound can be halved. */
#define IOPF_STREAM_SHRINK	5

/**
 * struct iopf_stream - a stream, or a possible one
 * @page: page of its last miss
 * @next: page of its next miss
 * @stride: pages from one miss to the next; 0: neighbours
 * @depth: pages (of a stride: places) in its last prefetch
 * @used: value of @clock of struct iopf_streams at its last miss; 0: the slot is free
 * @write: the stream writes
 * @much: the last prefetch was a good part of the bound
 */
struct iopf_stream {
	u64 page;
	u64 next;
	s64 stride;
	unsigned int depth;
	u64 used;
	bool write;
	bool much;
};

/**
 * struct iopf_streams - the streams of a device
 * @stream: the streams
 * @clock: number of misses
 * @shrink: how often the bound is halved
 */
struct iopf_streams {
	struct iopf_stream stream[IOPF_STREAMS];
	u64 clock;
	unsigned int shrink;
};

/**
 * struct iopf_miss - pages on which a device faults
 * @page: first page
 * @n: number of pages; not 0
 * @first: first page of the surrounding area
 * @last: last page of the surrounding area
 * @bound: most pages to prefetch; not 0
 * @write: for writing
 */
struct iopf_miss {
	u64 page;
	unsigned int n;
	u64 first;
	u64 last;
	unsigned int bound;
	bool write;
};

/**
 * struct iopf_prefetch - what to prefetch, and the fate of the last prefetch
 * @page: first page to prefetch
 * @stride: pages from one to the next; 1: neighbours
 * @pages: number of pages
 * @next: page of the next miss of the stream
 * @used: pages prefetched before that were used
 * @wasted: pages prefetched before that were not used
 */
struct iopf_prefetch {
	u64 page;
	s64 stride;
	unsigned int pages;
	u64 next;
	unsigned int used;
	unsigned int wasted;
};

/* Returns the stream of a miss. */
static inline struct iopf_stream *iopf_streams_find(struct iopf_streams *s,
						    const struct iopf_miss *m)
{
	for (unsigned int i = 0; i < IOPF_STREAMS; i++) {
		struct iopf_stream *one = &s->stream[i];

		if (!one->used || one->write != m->write)
			continue;
		if (m->page - one->next <= (one->stride ? 0 : IOPF_STREAM_SKIP))
			return one;
	}
	return NULL;
}

/* Returns whether a stream seems to be running. */
static inline bool iopf_stream_runs(const struct iopf_streams *s, const struct iopf_stream *one)
{
	return (one->depth || one->stride) && s->clock - one->used < IOPF_STREAM_OLD;
}

/* Returns the slot to reuse: the oldest that does not run, or the oldest. */
static inline struct iopf_stream *iopf_streams_victim(struct iopf_streams *s)
{
	/* Less than any age. */
	s64 most = -(s64)IOPF_STREAM_OLD - 1;
	struct iopf_stream *victim = NULL;

	for (unsigned int i = 0; i < IOPF_STREAMS; i++) {
		struct iopf_stream *one = &s->stream[i];
		s64 age = s->clock - one->used;

		if (iopf_stream_runs(s, one))
			age -= IOPF_STREAM_OLD;
		if (age > most) {
			most = age;
			victim = one;
		}
	}
	return victim;
}

/*
 * Looks for two slots whose misses have equal distances to each other and to this miss. Returns the
 * later one, with the stride, and frees the other one. Returns NULL if there are no such slots.
 */
static inline struct iopf_stream *iopf_streams_stride(struct iopf_streams *s,
						      const struct iopf_miss *m, s64 *stride)
{
	for (unsigned int i = 0; i < IOPF_STREAMS; i++) {
		struct iopf_stream *second = &s->stream[i];
		s64 d = (s64)(m->page - second->page);

		if (!second->used || second->write != m->write || second->depth || second->stride ||
		    d > IOPF_STREAM_STRIDE || d < -IOPF_STREAM_STRIDE)
			continue;
		for (unsigned int j = 0; j < IOPF_STREAMS; j++) {
			struct iopf_stream *first = &s->stream[j];

			if (j == i || !first->used || first->write != m->write || first->depth ||
			    first->stride || second->page - first->page != (u64)d)
				continue;
			first->used = 0;
			*stride = d;
			return second;
		}
	}
	return NULL;
}

/* Returns the number of pages, or places of a stride, that a stream may prefetch now. */
static inline unsigned int iopf_stream_bound(const struct iopf_streams *s,
					     const struct iopf_miss *m, bool places)
{
	unsigned int bound = places ? min(m->bound, IOPF_STREAM_PLACES) : m->bound;

	return max(bound >> s->shrink, 1U);
}

/* Returns the number of neighbouring pages to prefetch after a miss. */
static inline unsigned int iopf_stream_pages(const struct iopf_stream *one,
					     const struct iopf_miss *m, unsigned int bound)
{
	unsigned int pages = clamp(2 * one->depth, min(m->n, bound), bound);

	if (pages >= IOPF_STREAM_STEADY)
		pages = bound;
	return min_t(u64, pages, m->last - m->page - min_t(u64, m->n - 1, m->last - m->page));
}

/* Returns the number of places of a stride to prefetch after a miss. */
static inline unsigned int iopf_stream_places(const struct iopf_stream *one,
					      const struct iopf_miss *m, unsigned int bound)
{
	u64 room = one->stride > 0 ? (m->last - m->page) / (u64)one->stride
				   : (m->page - m->first) / (u64)-one->stride;

	return min_t(u64, clamp(2 * one->depth, 1U, bound), room);
}

/**
 * iopf_streams_miss() - a device faults on pages
 * @s: the device's streams
 * @m: the pages
 *
 * The first miss of a stream prefetches nothing. The second miss prefetches as many pages as it
 * missed. Each later miss prefetches twice as many pages as the miss before. A stride prefetches
 * from the fourth miss on, a short stride from the third.
 *
 * Return: what to prefetch, and the fate of the last prefetch.
 */
static inline struct iopf_prefetch iopf_streams_miss(struct iopf_streams *s,
						     const struct iopf_miss *m)
{
	struct iopf_stream *one = iopf_streams_find(s, m);
	struct iopf_prefetch result = { .stride = 1 };
	unsigned int bound = 0;
	s64 stride = 0;

	s->clock++;
	if (one && !one->stride && !one->depth && m->page != one->next) {
		stride = (s64)(m->page - one->page);
	} else if (one) {
		stride = one->stride;
		result.used = one->depth;
		s->shrink -= result.used && s->shrink;
		bound = iopf_stream_bound(s, m, stride);
		result.pages = stride ? iopf_stream_places(one, m, bound)
				      : iopf_stream_pages(one, m, bound);
	} else {
		one = iopf_streams_stride(s, m, &stride);
		if (!one)
			one = iopf_streams_victim(s);
		result.wasted = one->depth;
		s->shrink += result.wasted && one->much && s->shrink < IOPF_STREAM_SHRINK;
	}
	result.stride = stride ?: 1;
	result.page = m->page + (stride ? (u64)stride : m->n);
	result.next = result.page + (u64)result.stride * result.pages;
	*one = (struct iopf_stream){
		.page = m->page,
		.next = result.next,
		.stride = stride,
		.depth = result.pages,
		.used = s->clock,
		.write = m->write,
		.much = result.pages >= bound / IOPF_STREAM_MUCH,
	};
	return result;
}

/**
 * iopf_streams_short() - a prefetch ended early
 * @s: the device's streams
 * @next: the expected page of the stream's next miss
 * @missing: number of pages missing at the end of the prefetch
 * @write: the stream writes
 *
 * The next miss of the stream is the first missing page, unless the stream is forgotten already.
 */
static inline void iopf_streams_short(struct iopf_streams *s, u64 next, unsigned int missing,
				      bool write)
{
	for (unsigned int i = 0; i < IOPF_STREAMS; i++) {
		struct iopf_stream *one = &s->stream[i];

		if (!one->used || one->write != write || one->next != next || one->depth < missing)
			continue;
		one->next -= (u64)(one->stride ?: 1) * missing;
		one->depth -= missing;
		return;
	}
}

/**
 * iopf_streams_cut() - reduce a prefetch so that all streams together stay below a bound
 * @s: the device's streams
 * @p: the prefetch of one stream; reduced if needed
 * @max: most pages (of strides: places) that are prefetched and not used yet
 * @write: that stream writes
 *
 * Pages prefetched for a forgotten stream do not count.
 */
static inline void iopf_streams_cut(struct iopf_streams *s, struct iopf_prefetch *p, u64 max,
				    bool write)
{
	unsigned int cut;
	u64 all = 0;

	if (!p->pages)
		return;
	for (unsigned int i = 0; i < IOPF_STREAMS; i++)
		all += iopf_stream_runs(s, &s->stream[i]) ? s->stream[i].depth : 0;
	if (all <= max)
		return;
	cut = min_t(u64, p->pages, all - max);
	iopf_streams_short(s, p->next, cut, write);
	p->pages -= cut;
	p->next -= (u64)p->stride * cut;
}

#endif /* IOPF_CORE_STREAM_H */
