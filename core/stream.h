/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Streams: a device that goes through memory in order, found by the pages it misses.
 *
 * A device misses some pages, then those next to them: a stream. Or it misses three times at equal
 * distances, up or down, and then once more: a stride. What comes next is worth having before
 * it is asked for, more of it each time, up to a bound. What was had ahead counts as used
 * when the stream comes to the end of it, and as wasted when it does not until its slot is needed
 * for something else: nobody else can tell, the device says nothing when it finds what it
 * wants. Who wastes a good part of what it may have gets half as much from then on; who uses what
 * it gets may have twice as much again. Less than that is no matter: pages that are found side by
 * side by chance would else keep a device from ever having a long stream.
 *
 * A stream that has used a good deal is steady: it gets at once all that the bound allows.
 *
 * Several streams at a time, each in one direction of the data: a device may copy.
 *
 * Locking: the caller's.
 *
 * Vocabulary: pages are numbers of pages of I/O address space. To miss is to fault, to have is to
 * populate or to map, whatever the caller does.
 */
#ifndef IOPF_CORE_STREAM_H
#define IOPF_CORE_STREAM_H

#include "shim.h"

/* Streams at a time. More would be of use only to a device with more queues than that. */
#define IOPF_STREAMS		8
/*
 * Pages that a stream may skip once it runs: they may have been there, and been mapped around
 * others. Before that they make it a stride.
 */
#define IOPF_STREAM_SKIP	16U
/* Pages between two of a stride, at most: 32 MiB. */
#define IOPF_STREAM_STRIDE	8192
/* Places of a stride had ahead at most. */
#define IOPF_STREAM_PLACES	32U
/* Pages had ahead at a time from which on a stream is steady: 8 MiB. */
#define IOPF_STREAM_STEADY	2048U
/* Misses after which what has been used before is as good as forgotten. */
#define IOPF_STREAM_OLD		64
/* What part of the bound it takes to halve it when that is wasted: an eighth. */
#define IOPF_STREAM_MUCH	8U
/* How often the bound is halved at most. */
#define IOPF_STREAM_SHRINK	5

/**
 * struct iopf_stream - a stream, or what may become one
 * @page: the page it missed last
 * @next: the page it will miss next
 * @stride: pages from one miss to the next, 0 as long as they lie side by side
 * @ahead: pages (of a stride: places) had ahead of it the last time
 * @used: when that was, by the clock of struct iopf_streams; 0: never
 * @write: it writes
 * @much: that was a good part of what it might have had
 */
struct iopf_stream {
	u64 page;
	u64 next;
	s64 stride;
	unsigned int ahead;
	u64 used;
	bool write;
	bool much;
};

/**
 * struct iopf_streams - the streams of a device
 * @stream: each
 * @clock: counts misses
 * @shrink: the bound is halved that often
 */
struct iopf_streams {
	struct iopf_stream stream[IOPF_STREAMS];
	u64 clock;
	unsigned int shrink;
};

/**
 * struct iopf_miss - pages that have been missed
 * @page: the first of them
 * @n: how many; not 0
 * @first: first page that there is around them
 * @last: last page that there is around them
 * @bound: pages to have ahead at most; not 0
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
 * struct iopf_ahead - what to have ahead, and what became of the last
 * @page: the first to have
 * @stride: pages from one to the next; 1: side by side
 * @pages: how many
 * @next: what the stream is to miss after that
 * @used: pages had ahead before that have been used
 * @wasted: pages had ahead before that have not
 */
struct iopf_ahead {
	u64 page;
	s64 stride;
	unsigned int pages;
	u64 next;
	unsigned int used;
	unsigned int wasted;
};

/* The stream that a miss belongs to. */
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

/* Does it run, as far as can be told? */
static inline bool iopf_stream_runs(const struct iopf_streams *s, const struct iopf_stream *one)
{
	return (one->ahead || one->stride) && s->clock - one->used < IOPF_STREAM_OLD;
}

/* The slot to be given up: the oldest that does not run, or the oldest. */
static inline struct iopf_stream *iopf_streams_victim(struct iopf_streams *s)
{
	/* Less than any. */
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
 * The slot of a miss as far from this one as from a third, which is given up; with the stride.
 * NULL: there is none.
 */
static inline struct iopf_stream *iopf_streams_stride(struct iopf_streams *s,
						      const struct iopf_miss *m, s64 *stride)
{
	for (unsigned int i = 0; i < IOPF_STREAMS; i++) {
		struct iopf_stream *second = &s->stream[i];
		s64 d = (s64)(m->page - second->page);

		if (!second->used || second->write != m->write || second->ahead || second->stride ||
		    d > IOPF_STREAM_STRIDE || d < -IOPF_STREAM_STRIDE)
			continue;
		for (unsigned int j = 0; j < IOPF_STREAMS; j++) {
			struct iopf_stream *first = &s->stream[j];

			if (j == i || !first->used || first->write != m->write || first->ahead ||
			    first->stride || second->page - first->page != (u64)d)
				continue;
			first->used = 0;
			*stride = d;
			return second;
		}
	}
	return NULL;
}

/* Pages, or places of a stride, that a stream may have ahead now. */
static inline unsigned int iopf_stream_bound(const struct iopf_streams *s,
					     const struct iopf_miss *m, bool places)
{
	unsigned int bound = places ? min(m->bound, IOPF_STREAM_PLACES) : m->bound;

	return max(bound >> s->shrink, 1U);
}

/* Pages side by side that a stream gets ahead of a miss. */
static inline unsigned int iopf_stream_pages(const struct iopf_stream *one,
					     const struct iopf_miss *m, unsigned int bound)
{
	unsigned int pages = clamp(2 * one->ahead, min(m->n, bound), bound);

	if (pages >= IOPF_STREAM_STEADY)
		pages = bound;
	return min_t(u64, pages, m->last - m->page - min_t(u64, m->n - 1, m->last - m->page));
}

/* Places of a stride that it gets ahead of a miss. */
static inline unsigned int iopf_stream_places(const struct iopf_stream *one,
					      const struct iopf_miss *m, unsigned int bound)
{
	u64 room = one->stride > 0 ? (m->last - m->page) / (u64)one->stride
				   : (m->page - m->first) / (u64)-one->stride;

	return min_t(u64, clamp(2 * one->ahead, 1U, bound), room);
}

/**
 * iopf_streams_miss() - pages have been missed
 * @s: the device's streams
 * @m: the pages
 *
 * The first miss of a stream asks for nothing more, the second for as many pages as were missed,
 * each further one for twice as many as the last. A stride asks from the fourth on, a
 * short one from the third.
 */
static inline struct iopf_ahead iopf_streams_miss(struct iopf_streams *s, const struct iopf_miss *m)
{
	struct iopf_stream *one = iopf_streams_find(s, m);
	struct iopf_ahead result = { .stride = 1 };
	unsigned int bound = 0;
	s64 stride = 0;

	s->clock++;
	if (one && !one->stride && !one->ahead && m->page != one->next) {
		stride = (s64)(m->page - one->page);
	} else if (one) {
		stride = one->stride;
		result.used = one->ahead;
		s->shrink -= result.used && s->shrink;
		bound = iopf_stream_bound(s, m, stride);
		result.pages = stride ? iopf_stream_places(one, m, bound)
				      : iopf_stream_pages(one, m, bound);
	} else {
		one = iopf_streams_stride(s, m, &stride);
		if (!one)
			one = iopf_streams_victim(s);
		result.wasted = one->ahead;
		s->shrink += result.wasted && one->much && s->shrink < IOPF_STREAM_SHRINK;
	}
	result.stride = stride ?: 1;
	result.page = m->page + (stride ? (u64)stride : m->n);
	result.next = result.page + (u64)result.stride * result.pages;
	*one = (struct iopf_stream){
		.page = m->page,
		.next = result.next,
		.stride = stride,
		.ahead = result.pages,
		.used = s->clock,
		.write = m->write,
		.much = result.pages >= bound / IOPF_STREAM_MUCH,
	};
	return result;
}

/**
 * iopf_streams_short() - what a stream was to get could not be had to the end
 * @s: the device's streams
 * @next: what the stream was to miss after that
 * @missing: how many of the last pages are missing
 * @write: it writes
 *
 * The stream will miss the first of those, unless it is forgotten by now.
 */
static inline void iopf_streams_short(struct iopf_streams *s, u64 next, unsigned int missing,
				      bool write)
{
	for (unsigned int i = 0; i < IOPF_STREAMS; i++) {
		struct iopf_stream *one = &s->stream[i];

		if (!one->used || one->write != write || one->next != next || one->ahead < missing)
			continue;
		one->next -= (u64)(one->stride ?: 1) * missing;
		one->ahead -= missing;
		return;
	}
}

/**
 * iopf_streams_cut() - have less ahead, so that all streams together have no more than a bound
 * @s: the device's streams
 * @ahead: what one of them has just been told to have ahead; less, maybe, afterwards
 * @max: pages (of strides: places) that may be had ahead and have not been used
 * @write: that stream writes
 *
 * What was had for a stream that is as good as forgotten does not count.
 */
static inline void iopf_streams_cut(struct iopf_streams *s, struct iopf_ahead *ahead, u64 max,
				    bool write)
{
	unsigned int cut;
	u64 all = 0;

	if (!ahead->pages)
		return;
	for (unsigned int i = 0; i < IOPF_STREAMS; i++)
		all += iopf_stream_runs(s, &s->stream[i]) ? s->stream[i].ahead : 0;
	if (all <= max)
		return;
	cut = min_t(u64, ahead->pages, all - max);
	iopf_streams_short(s, ahead->next, cut, write);
	ahead->pages -= cut;
	ahead->next -= (u64)ahead->stride * cut;
}

#endif /* IOPF_CORE_STREAM_H */
