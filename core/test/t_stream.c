// SPDX-License-Identifier: GPL-2.0-only
/*
 * Streams: the rules one by one, then random misses against properties that always hold.
 */
#include "unit.h"

#include "rng.h"

#include "../stream.h"

/* The bound for memory that is absent. */
#define BOUND 32U

static struct iopf_prefetch miss(struct iopf_streams *s, u64 page, unsigned int n, bool write)
{
	struct iopf_miss m = { page, n, 0, U64_MAX, BOUND, write };

	return iopf_streams_miss(s, &m);
}

static struct iopf_prefetch miss_within(struct iopf_streams *s, u64 page, unsigned int n, u64 first,
					u64 last, unsigned int bound)
{
	struct iopf_miss m = { page, n, first, last, bound, true };

	return iopf_streams_miss(s, &m);
}

static void is(struct iopf_prefetch got, unsigned int pages, unsigned int used, unsigned int wasted)
{
	assert_int_equal(got.pages, pages);
	assert_int_equal(got.used, used);
	assert_int_equal(got.wasted, wasted);
}

static void is_at(struct iopf_prefetch got, u64 page, s64 stride, unsigned int pages, u64 next)
{
	assert_int_equal(got.page, page);
	assert_int_equal(got.stride, stride);
	assert_int_equal(got.pages, pages);
	assert_int_equal(got.next, next);
}

static void grows(void **state)
{
	struct iopf_streams s = { };
	u64 page = 1000;
	unsigned int ahead, last = 0;

	(void)state;
	is_at(miss(&s, page, 1, true), 1001, 1, 0, 1001);
	page++;
	for (ahead = 1; ahead <= BOUND; ahead *= 2) {
		struct iopf_prefetch got = miss(&s, page, 1, true);

		is(got, ahead, last, 0);
		is_at(got, page + 1, 1, ahead, page + 1 + ahead);
		page += 1 + ahead;
		last = ahead;
	}
	/* The prefetch does not exceed the bound. */
	is(miss(&s, page, 1, true), BOUND, BOUND, 0);
}

static void misses_of_many(void **state)
{
	struct iopf_streams s = { };

	(void)state;
	is(miss(&s, 0, 32, false), 0, 0, 0);
	is(miss(&s, 32, 32, false), 32, 0, 0);
	is(miss(&s, 96, 32, false), 32, 32, 0);
	is(miss(&s, 160, 4, false), 32, 32, 0);
	is(miss(&s, 50000, 4, false), 0, 0, 0);
	is(miss(&s, 50004, 4, false), 4, 0, 0);
	is(miss(&s, 50012, 16, false), 16, 4, 0);
	/* More pages than the bound are missed, so the prefetch has the size of the bound. */
	is(miss(&s, 1 << 20, 1000, false), 0, 0, 0);
	is(miss(&s, (1 << 20) + 1000, 1000, false), BOUND, 0, 0);
}

/* Misses of 2 MiB, as in present memory. From 8 MiB on, the prefetch is the whole bound. */
static void steady(void **state)
{
	static const unsigned int want[] = { 0, 512, 1024, 100000, 100000 };
	struct iopf_streams s = { };
	u64 page = 0;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(want); i++) {
		struct iopf_prefetch got = miss_within(&s, page, 512, 0, U64_MAX, 100000);

		is(got, want[i], i ? want[i - 1] : 0, 0);
		page += 512 + got.pages;
	}
	/* The area ends before the bound. */
	is(miss_within(&s, page, 512, 0, page + 600, 100000), 89, 100000, 0);
	/* A page less than steady, and steady. */
	s = (struct iopf_streams){ };
	miss_within(&s, 0, 1, 0, U64_MAX, 100000);
	is(miss_within(&s, 1, IOPF_STREAM_STEADY - 1, 0, U64_MAX, 100000), 2047, 0, 0);
	s = (struct iopf_streams){ };
	miss_within(&s, 0, 1, 0, U64_MAX, 100000);
	is(miss_within(&s, 1, IOPF_STREAM_STEADY, 0, U64_MAX, 100000), 100000, 0, 0);
}

/* A running stream may skip pages that were mapped. */
static void skips(void **state)
{
	(void)state;
	for (u64 skip = 0; skip <= IOPF_STREAM_SKIP + 1; skip++) {
		struct iopf_streams s = { };
		bool is_one = skip <= IOPF_STREAM_SKIP;

		miss(&s, 100, 1, true);
		miss(&s, 101, 1, true);
		is(miss(&s, 103 + skip, 1, true), is_one ? 2 : 0, is_one, 0);
	}
}

static void never_backwards(void **state)
{
	struct iopf_streams s = { };

	(void)state;
	miss(&s, 100, 1, true);
	miss(&s, 101, 1, true);
	is(miss(&s, 102, 1, true), 0, 0, 0);
	is(miss(&s, 101, 1, true), 0, 0, 0);
	/* A slot that was never used is not a stream at page 0. */
	s = (struct iopf_streams){ };
	is(miss(&s, 0, 1, false), 0, 0, 0);
	is(miss(&s, 0, 1, false), 0, 0, 0);
}

static void directions(void **state)
{
	struct iopf_streams s = { };

	(void)state;
	miss(&s, 100, 1, true);
	is(miss(&s, 101, 1, false), 0, 0, 0);
	is(miss(&s, 101, 1, true), 1, 0, 0);
	is(miss(&s, 102, 1, false), 1, 0, 0);
}

static void several(void **state)
{
	struct iopf_streams s = { };
	u64 next[IOPF_STREAMS];

	(void)state;
	for (unsigned int i = 0; i < IOPF_STREAMS; i++) {
		/* Unequal distances. */
		next[i] = i * i * 100000;
		is(miss(&s, next[i]++, 1, i % 2), 0, 0, 0);
	}
	for (unsigned int ahead = 1, last = 0; ahead <= BOUND; last = ahead, ahead *= 2) {
		for (unsigned int i = 0; i < IOPF_STREAMS; i++) {
			is(miss(&s, next[i], 1, i % 2), ahead, last, 0);
			next[i] += 1 + ahead;
		}
	}
}

/* A running stream keeps its slot while another slot can be reused. */
static void who_goes(void **state)
{
	struct iopf_streams s = { };

	(void)state;
	for (unsigned int i = 0; i < IOPF_STREAMS - 1; i++) {
		miss(&s, i * i * 100000, 1, true);
		miss(&s, i * i * 100000 + 1, 1, true);
	}
	/* All other misses share the last slot. */
	for (unsigned int i = 0; i < 10; i++)
		is(miss(&s, (1 << 30) + i * i * 100000, 1, true), 0, 0, 0);
	for (unsigned int i = 0; i < IOPF_STREAMS - 1; i++)
		is(miss(&s, i * i * 100000 + 3, 1, true), 2, 1, 0);
	/* If all streams run, the oldest loses its slot; its prefetch is wasted. */
	miss(&s, 1 << 29, 1, true);
	is(miss(&s, (1 << 29) + 1, 1, true), 1, 0, 0);
	is(miss(&s, 1 << 28, 1, true), 0, 0, 2);
	is(miss(&s, 3 + 3, 1, true), 0, 0, 0);
}

/* A slot that was not used for long is reused, the oldest first. */
static void forgets(void **state)
{
	struct iopf_streams s = { };
	unsigned int wasted = 0;
	u64 page = 1000000;

	(void)state;
	for (unsigned int i = 0; i < IOPF_STREAMS - 1; i++) {
		miss(&s, i * i * 100000, 1, true);
		miss(&s, i * i * 100000 + 1, 1, true);
	}
	/* The second stream continues. */
	is(miss(&s, 100003, 1, true), 2, 1, 0);
	for (unsigned int i = 0; i < IOPF_STREAM_OLD - 4; i++, page += i * 10000)
		wasted += miss(&s, page, 1, false).wasted;
	/* One slot was free. Each other slot is reused when its stream counts as ended. */
	assert_int_equal(wasted, 4);
	is(miss(&s, 3, 1, true), 0, 0, 1);
	is(miss(&s, 100006, 1, true), 4, 2, 0);
}

/* Each waste halves the bound; each use doubles it. */
static void shrinks(void **state)
{
	struct iopf_streams s = { };
	unsigned int want = 32, last;
	u64 page = 1 << 20;

	(void)state;
	for (unsigned int i = 0; i <= IOPF_STREAM_SHRINK + 2; i++) {
		unsigned int wasted = 0;

		assert_int_equal(s.shrink, min_t(unsigned int, i, IOPF_STREAM_SHRINK));
		want = max(BOUND >> s.shrink, 1U);
		miss(&s, page, 64, true);
		is(miss(&s, page + 64, 64, true), want, 0, 0);
		/* All other slots are reused before it. */
		for (u64 k = 2; k < 1000 && !wasted; k++)
			wasted = miss(&s, page + k * k * 100000, 1, false).wasted;
		assert_int_equal(wasted, want);
		page += 1ULL << 40;
	}
	miss(&s, page, 64, true);
	page += 64;
	last = 0;
	for (unsigned int i = 0; i < IOPF_STREAM_SHRINK + 3; i++) {
		struct iopf_prefetch got = miss(&s, page, 64, true);

		want = BOUND >> (IOPF_STREAM_SHRINK - min_t(unsigned int, i, IOPF_STREAM_SHRINK));
		is(got, want, last, 0);
		page = got.next;
		last = got.pages;
	}
}

/* Wastes the prefetch of a stream of @ahead pages, and returns the pages wasted. */
static unsigned int waste(struct iopf_streams *s, unsigned int ahead, unsigned int bound)
{
	u64 page = 1ULL << 40;
	struct iopf_prefetch got;

	memset(s->stream, 0, sizeof(s->stream));
	got = miss_within(s, page, 1, 0, U64_MAX, bound);
	for (unsigned int k = 0; k < 20 && got.pages < ahead; k++) {
		page = got.next;
		got = miss_within(s, page, 1, 0, U64_MAX, bound);
	}
	for (u64 k = 2; k < 1000 && !got.wasted; k++)
		got = miss(s, k * k * 100000, 1, false);
	return got.wasted;
}

/* A waste of an eighth of the bound halves it. A smaller waste does not: it may be chance. */
static void shrinks_for_much(void **state)
{
	struct iopf_streams s = { };

	(void)state;
	assert_int_equal(waste(&s, 2, 32), 2);
	assert_int_equal(s.shrink, 0);
	assert_int_equal(waste(&s, 4, 32), 4);
	assert_int_equal(s.shrink, 1);
	s.shrink = 0;
	assert_int_equal(waste(&s, 64, 1024), 64);
	assert_int_equal(s.shrink, 0);
	assert_int_equal(waste(&s, 128, 1024), 128);
	assert_int_equal(s.shrink, 1);
	/* The bound at the time of the prefetch counts. */
	assert_int_equal(waste(&s, 1, 8), 1);
	assert_int_equal(s.shrink, 2);
}

/* Three misses at equal distances, up or down; then the fourth. */
static void strides(void **state)
{
	static const s64 stride[] = {
		18, 100, -1, -2, -100, IOPF_STREAM_STRIDE, -IOPF_STREAM_STRIDE,
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(stride); i++) {
		struct iopf_streams s = { };
		u64 d = (u64)stride[i], page = 1 << 30;

		for (unsigned int k = 0; k < 2; k++, page += d)
			is(miss(&s, page, 1, true), 0, 0, 0);
		is_at(miss(&s, page, 1, true), page + d, stride[i], 0, page + d);
		page += d;
		for (unsigned int ahead = 1, last = 0; ahead <= IOPF_STREAM_PLACES;
		     last = ahead, ahead *= 2) {
			struct iopf_prefetch got = miss(&s, page, 1, true);

			is(got, ahead, last, 0);
			is_at(got, page + d, stride[i], ahead, page + d * (ahead + 1));
			page += d * (ahead + 1);
		}
		is(miss(&s, page, 1, true), IOPF_STREAM_PLACES, IOPF_STREAM_PLACES, 0);
		/* A stride skips nothing. */
		page += d * (IOPF_STREAM_PLACES + 1);
		is(miss(&s, page + 1, 1, true), 0, 0, 0);
		is(miss(&s, page, 1, false), 0, 0, 0);
		is(miss(&s, page, 1, true), IOPF_STREAM_PLACES, IOPF_STREAM_PLACES, 0);
	}
}

/* A gap that a running stream may skip makes a stride before the stream runs. */
static void short_strides(void **state)
{
	(void)state;
	for (u64 d = 2; d <= IOPF_STREAM_SKIP + 1; d++) {
		struct iopf_streams s = { };

		is(miss(&s, 100, 1, true), 0, 0, 0);
		is_at(miss(&s, 100 + d, 1, true), 100 + 2 * d, (s64)d, 0, 100 + 2 * d);
		is_at(miss(&s, 100 + 2 * d, 1, true), 100 + 3 * d, (s64)d, 1, 100 + 4 * d);
		is_at(miss(&s, 100 + 4 * d, 1, true), 100 + 5 * d, (s64)d, 2, 100 + 7 * d);
	}
}

/* The caller and the waste bound places in the same way as pages. */
static void bounded_strides(void **state)
{
	static const unsigned int want[] = { 0, 0, 0, 1, 2, 4, 8, 8, 8 };
	struct iopf_streams s = { };
	struct iopf_prefetch got;
	u64 page = 100000;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(want); i++) {
		got = miss_within(&s, page, 1, 0, U64_MAX, 8);
		assert_int_equal(got.pages, want[i]);
		page += 100 * (u64)(got.pages + 1);
	}
	/* The limit on places holds even if the caller allows more. */
	for (unsigned int i = 0; i < 3; i++) {
		got = miss_within(&s, page, 1, 0, U64_MAX, 1000);
		page += 100 * (u64)(got.pages + 1);
	}
	assert_int_equal(got.pages, IOPF_STREAM_PLACES);
	got = miss_within(&s, page, 1, 0, U64_MAX, 8);
	page += 100 * (u64)(got.pages + 1);
	/* The bound was halved four times. A use doubles it once. */
	s.shrink = 4;
	is(miss(&s, page, 1, true), BOUND >> 3, 8, 0);
	page += 100 * ((BOUND >> 3) + 1);
	s.shrink = IOPF_STREAM_SHRINK;
	got = miss_within(&s, page, 1, 0, U64_MAX, 8);
	is(got, 1, BOUND >> 3, 0);
}

static void no_strides(void **state)
{
	struct iopf_streams s = { };
	u64 far = IOPF_STREAM_STRIDE + 1;

	(void)state;
	/* The distance exceeds the largest stride. */
	miss(&s, 1 << 20, 1, true);
	miss(&s, (1 << 20) + far, 1, true);
	miss(&s, (1 << 20) + 2 * far, 1, true);
	is(miss(&s, (1 << 20) + 3 * far, 1, true), 0, 0, 0);
	miss(&s, 1 << 25, 1, true);
	miss(&s, (1 << 25) - far, 1, true);
	miss(&s, (1 << 25) - 2 * far, 1, true);
	is(miss(&s, (1 << 25) - 3 * far, 1, true), 0, 0, 0);
	/* Reads and writes do not form a stride together. */
	s = (struct iopf_streams){ };
	is(miss(&s, 1000, 1, true), 0, 0, 0);
	is(miss(&s, 1100, 1, false), 0, 0, 0);
	is(miss(&s, 1200, 1, true), 0, 0, 0);
	is(miss(&s, 1300, 1, true), 0, 0, 0);
	is(miss(&s, 1400, 1, false), 0, 0, 0);
	s = (struct iopf_streams){ };
	is(miss(&s, 1000, 1, false), 0, 0, 0);
	is(miss(&s, 1100, 1, true), 0, 0, 0);
	is(miss(&s, 1200, 1, true), 0, 0, 0);
	is(miss(&s, 1300, 1, true), 0, 0, 0);
	/* A running stream is not part of a stride. */
	s = (struct iopf_streams){ };
	miss(&s, 1000, 1, true);
	miss(&s, 1100, 1, true);
	miss(&s, 1101, 1, true);
	is(miss(&s, 1202, 1, true), 0, 0, 0);
	is(miss(&s, 1103, 1, true), 2, 1, 0);
	/* The same place twice is not a stride. */
	s = (struct iopf_streams){ };
	for (unsigned int i = 0; i < 5; i++)
		is(miss(&s, 1000, 1, true), 0, 0, 0);
}

/* Two strides and a stream at the same time. */
static void several_strides(void **state)
{
	struct iopf_streams s = { };

	(void)state;
	for (u64 i = 0; i < 3; i++) {
		is(miss(&s, 100000 + 100 * i, 1, true), 0, 0, 0);
		is(miss(&s, 500000 - 70 * i, 1, true), 0, 0, 0);
		miss(&s, 900000 + (i ? 2 * i - 1 : 0), 1, true);
	}
	is_at(miss(&s, 100300, 1, true), 100400, 100, 1, 100500);
	is_at(miss(&s, 500000 - 210, 1, true), 500000 - 280, -70, 1, 500000 - 350);
	is_at(miss(&s, 900006, 1, true), 900007, 1, 4, 900011);
}

static void ends(void **state)
{
	struct iopf_streams s = { };

	(void)state;
	is(miss_within(&s, 0, 1, 0, 3, BOUND), 0, 0, 0);
	is(miss_within(&s, 1, 1, 0, 3, BOUND), 1, 0, 0);
	is(miss_within(&s, 3, 1, 0, 4, BOUND), 1, 1, 0);
	is(miss_within(&s, 5, 1, 0, 5, BOUND), 0, 1, 0);
	/* The miss extends beyond the area. */
	is(miss_within(&s, 6, 10, 0, 7, BOUND), 0, 0, 0);

	for (unsigned int down = 0; down < 2; down++) {
		u64 d = down ? (u64)-100 : 100;

		s = (struct iopf_streams){ };
		for (unsigned int i = 0; i < 3; i++)
			miss_within(&s, 5000 + i * d, 1, 4000, 6000, BOUND);
		is(miss_within(&s, 5000 + 3 * d, 1, 4000, 6000, BOUND), 1, 0, 0);
		is(miss_within(&s, 5000 + 5 * d, 1, 4000, 6000, BOUND), 2, 1, 0);
		/* The miss is at 800. There are places at 900 and 1000. */
		is(miss_within(&s, 5000 + 8 * d, 1, 4000, 6000, BOUND), 2, 2, 0);
	}
}

/* A prefetch ends early, and the missing pages fault. */
static void falls_short(void **state)
{
	struct iopf_streams s = { };
	struct iopf_prefetch got;

	(void)state;
	miss(&s, 100, 32, true);
	got = miss(&s, 132, 32, true);
	is_at(got, 164, 1, 32, 196);
	iopf_streams_short(&s, 195, 1, true);
	iopf_streams_short(&s, 196, 1, false);
	iopf_streams_short(&s, 196, 33, true);
	iopf_streams_short(&s, 196, 12, true);
	/* 20 of them were prefetched. */
	is(miss(&s, 184, 1, true), 32, 20, 0);
	iopf_streams_short(&s, 217, 32, true);
	is(miss(&s, 185, 1, true), 1, 0, 0);

	s = (struct iopf_streams){ };
	for (u64 i = 0; i < 4; i++)
		got = miss(&s, 1000 + 100 * i, 1, true);
	is_at(got, 1400, 100, 1, 1500);
	iopf_streams_short(&s, 1500, 1, true);
	is(miss(&s, 1400, 1, true), 1, 0, 0);
}

/* All streams together stay below the bound; earlier prefetches stay. */
static void cut(void **state)
{
	struct iopf_streams s = { };
	struct iopf_prefetch got;

	(void)state;
	miss(&s, 100, 32, true);
	got = miss(&s, 132, 32, true);
	iopf_streams_cut(&s, &got, 32, true);
	is_at(got, 164, 1, 32, 196);
	iopf_streams_cut(&s, &got, 20, true);
	is_at(got, 164, 1, 20, 184);
	/* Another stream gets the rest, and a third stream gets nothing. */
	miss(&s, 10000, 16, false);
	got = miss(&s, 10016, 16, false);
	iopf_streams_cut(&s, &got, 25, false);
	is_at(got, 10032, 1, 5, 10037);
	miss(&s, 20000, 16, false);
	got = miss(&s, 20016, 16, false);
	iopf_streams_cut(&s, &got, 25, false);
	is_at(got, 20032, 1, 0, 20032);
	/* The next miss of the stream is the first page that was cut off. */
	is(miss(&s, 184, 1, true), 40 > BOUND ? BOUND : 40, 20, 0);
	is(miss(&s, 10037, 1, false), 10, 5, 0);
	is(miss(&s, 20032, 1, false), 1, 0, 0);

	s = (struct iopf_streams){ };
	for (u64 i = 0; i < 3; i++)
		got = miss(&s, 1000 - 100 * i, 1, true);
	got = miss(&s, 700, 1, true);
	is_at(got, 600, -100, 1, 500);
	got = miss(&s, 500, 1, true);
	is_at(got, 400, -100, 2, 200);
	iopf_streams_cut(&s, &got, 1, true);
	is_at(got, 400, -100, 1, 300);
	is(miss(&s, 300, 1, true), 2, 1, 0);

	/* The prefetch of an abandoned stream stops counting soon. */
	s = (struct iopf_streams){ };
	miss(&s, 100, 32, true);
	miss(&s, 132, 32, true);
	for (u64 i = 0; i < IOPF_STREAM_OLD; i++) {
		got = miss(&s, 50000 + i, 1, false);
		iopf_streams_cut(&s, &got, 8, false);
		if (i < IOPF_STREAM_OLD - 1)
			is(got, 0, 0, 0);
	}
	assert_true(got.pages);
}

/* Random misses, and misses at the end of the address space. */
static void anything(void **state)
{
	struct iopf_streams s = { };
	u64 rng = 1;
	u64 ahead = 0, used = 0, wasted = 0, held = 0;

	(void)state;
	for (unsigned int i = 0; i < 400000; i++) {
		u64 page = rng_next(&rng) % 4 ? rng_next(&rng) % 64 : U64_MAX - rng_next(&rng) % 64;
		unsigned int n = 1 + rng_next(&rng) % 300, bound = 1 + rng_next(&rng) % 5000;
		struct iopf_miss m = { page, n, 0, U64_MAX, bound, rng_next(&rng) % 2 };
		struct iopf_prefetch a = iopf_streams_miss(&s, &m);

		assert_true(a.pages <= bound);
		assert_true(!a.used || !a.wasted);
		assert_true(s.shrink <= IOPF_STREAM_SHRINK);
		assert_true(a.stride);
		if (a.stride == 1)
			assert_true(!a.pages || a.page + (a.pages - 1) >= a.page);
		ahead += a.pages;
		used += a.used;
		wasted += a.wasted;
		if (a.pages && rng_next(&rng) % 4 == 0) {
			unsigned int missing = 1 + rng_next(&rng) % a.pages;
			unsigned int before = 0, after = 0;

			for (unsigned int k = 0; k < IOPF_STREAMS; k++)
				before += s.stream[k].depth;
			iopf_streams_short(&s, a.next, missing, m.write);
			for (unsigned int k = 0; k < IOPF_STREAMS; k++)
				after += s.stream[k].depth;
			assert_int_equal(before - after, missing);
			ahead -= missing;
		}
	}
	for (unsigned int i = 0; i < IOPF_STREAMS; i++)
		held += s.stream[i].used ? s.stream[i].depth : 0;
	/* Each prefetched page is used, wasted or still open. */
	assert_int_equal(ahead, used + wasted + held);
	assert_true(used && wasted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows),
		cmocka_unit_test(misses_of_many),
		cmocka_unit_test(steady),
		cmocka_unit_test(skips),
		cmocka_unit_test(never_backwards),
		cmocka_unit_test(directions),
		cmocka_unit_test(several),
		cmocka_unit_test(who_goes),
		cmocka_unit_test(forgets),
		cmocka_unit_test(shrinks),
		cmocka_unit_test(shrinks_for_much),
		cmocka_unit_test(strides),
		cmocka_unit_test(short_strides),
		cmocka_unit_test(bounded_strides),
		cmocka_unit_test(no_strides),
		cmocka_unit_test(several_strides),
		cmocka_unit_test(ends),
		cmocka_unit_test(falls_short),
		cmocka_unit_test(cut),
		cmocka_unit_test(anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
