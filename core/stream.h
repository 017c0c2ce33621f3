/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Streams: a device that goes through memory in order, found by the pages it misses.
 *
 * A device misses a page that the CPU does not have either, then the next one, then the one
 * after that: a stream. Its pages are worth having before they are asked for, more of them each
 * time, up to a bound. What was had ahead counts as used when the stream comes to the end of
 * it, and as wasted when it does not until its slot is needed for something else: nobody else
 * can tell, the device says nothing when it finds what it wants.
 *
 * Several streams at a time, each in one direction of the data: a device may copy.
 *
 * Locking: the caller's.
 *
 * Vocabulary: pages are numbers of pages of I/O address space.
 */
#ifndef IOPF_CORE_STREAM_H
#define IOPF_CORE_STREAM_H

#include "shim.h"

/* Streams at a time. More would be of use only to a device with more queues than that. */
#define IOPF_STREAMS		8
/*
 * Pages had ahead at most. A fault costs about as much as zeroing one page, so with this many the
 * faults are 3 % of it; and other devices wait no longer than that takes.
 */
#define IOPF_STREAM_MAX		32U
/* Pages that a stream may skip: they may have been there, and been mapped around others. */
#define IOPF_STREAM_SKIP	16U

/**
 * struct iopf_stream - a stream, or what may become one
 * @next: the page it will miss next
 * @ahead: pages had ahead of it the last time
 * @used: when that was, by the clock of struct iopf_streams; 0: never
 * @write: it writes
 */
struct iopf_stream {
	u64 next;
	unsigned int ahead;
	u64 used;
	bool write;
};

/**
 * struct iopf_streams - the streams of a device
 * @stream: each
 * @clock: counts misses
 */
struct iopf_streams {
	struct iopf_stream stream[IOPF_STREAMS];
	u64 clock;
};

/**
 * struct iopf_ahead - what to have ahead, and what became of the last
 * @pages: pages to have after those that were missed
 * @used: pages had ahead before that have been used
 * @wasted: pages had ahead before that have not
 */
struct iopf_ahead {
	unsigned int pages;
	unsigned int used;
	unsigned int wasted;
};

/**
 * iopf_streams_miss() - pages have been missed
 * @s: the device's streams
 * @page: the first of them
 * @n: how many; not 0
 * @max: pages that there are after them
 * @write: for writing
 *
 * The first miss of a stream asks for nothing more, the second for as many pages as were missed,
 * each further one for twice as many as the last.
 */
static inline struct iopf_ahead iopf_streams_miss(struct iopf_streams *s, u64 page, unsigned int n,
						  u64 max, bool write)
{
	struct iopf_stream *found = NULL, *oldest = &s->stream[0];
	struct iopf_ahead result = { };

	for (unsigned int i = 0; i < IOPF_STREAMS; i++) {
		struct iopf_stream *one = &s->stream[i];

		if (one->used && one->write == write && page - one->next <= IOPF_STREAM_SKIP)
			found = one;
		/* One that was never used is as old as can be. */
		if (one->used < oldest->used)
			oldest = one;
	}
	if (found) {
		result.used = found->ahead;
		result.pages = clamp(2 * found->ahead, min(n, IOPF_STREAM_MAX), IOPF_STREAM_MAX);
		result.pages = min_t(u64, result.pages, max);
	} else {
		found = oldest;
		result.wasted = found->ahead;
	}
	*found = (struct iopf_stream){
		.next = page + n + result.pages,
		.ahead = result.pages,
		.used = ++s->clock,
		.write = write,
	};
	return result;
}

#endif /* IOPF_CORE_STREAM_H */
