// SPDX-License-Identifier: GPL-2.0-only
/*
 * Streams: the rules one by one, then random misses against what must hold for any.
 */
#include "unit.h"

#include "rng.h"

#include "../stream.h"

static struct iopf_ahead miss(struct iopf_streams *s, u64 page, unsigned int n, bool write)
{
	return iopf_streams_miss(s, page, n, U64_MAX, write);
}

static void is(struct iopf_ahead got, unsigned int pages, unsigned int used, unsigned int wasted)
{
	assert_int_equal(got.pages, pages);
	assert_int_equal(got.used, used);
	assert_int_equal(got.wasted, wasted);
}

static void grows(void **state)
{
	struct iopf_streams s = { };
	u64 page = 1000;
	unsigned int ahead, last = 0;

	(void)state;
	is(miss(&s, page, 1, true), 0, 0, 0);
	page++;
	for (ahead = 1; ahead <= IOPF_STREAM_MAX; ahead *= 2) {
		is(miss(&s, page, 1, true), ahead, last, 0);
		page += 1 + ahead;
		last = ahead;
	}
	/* No further. */
	is(miss(&s, page, 1, true), IOPF_STREAM_MAX, IOPF_STREAM_MAX, 0);
}

static void misses_of_many(void **state)
{
	struct iopf_streams s = { };

	(void)state;
	is(miss(&s, 0, 32, false), 0, 0, 0);
	is(miss(&s, 32, 32, false), 32, 0, 0);
	is(miss(&s, 96, 32, false), 32, 32, 0);
	is(miss(&s, 160, 4, false), 32, 32, 0);
	is(miss(&s, 5000, 4, false), 0, 0, 0);
	is(miss(&s, 5004, 4, false), 4, 0, 0);
	is(miss(&s, 5012, 16, false), 16, 4, 0);
	/* More than the bound are missed; ahead the bound is. */
	is(miss(&s, 1 << 20, 1000, false), 0, 0, 0);
	is(miss(&s, (1 << 20) + 1000, 1000, false), IOPF_STREAM_MAX, 0, 0);
}

static void skips(void **state)
{
	(void)state;
	for (u64 skip = 0; skip <= IOPF_STREAM_SKIP + 1; skip++) {
		struct iopf_streams s = { };

		miss(&s, 100, 1, true);
		is(miss(&s, 101 + skip, 1, true), skip <= IOPF_STREAM_SKIP, 0, 0);
	}
}

static void never_backwards(void **state)
{
	struct iopf_streams s = { };

	(void)state;
	miss(&s, 100, 1, true);
	is(miss(&s, 100, 1, true), 0, 0, 0);
	is(miss(&s, 99, 1, true), 0, 0, 0);
	/* What has never been used is no stream at page 0. */
	s = (struct iopf_streams){ };
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
		next[i] = i * 10000;
		is(miss(&s, next[i]++, 1, i % 2), 0, 0, 0);
	}
	for (unsigned int ahead = 1, last = 0; ahead <= IOPF_STREAM_MAX; last = ahead, ahead *= 2) {
		for (unsigned int i = 0; i < IOPF_STREAMS; i++) {
			is(miss(&s, next[i], 1, i % 2), ahead, last, 0);
			next[i] += 1 + ahead;
		}
	}
}

static void oldest_goes(void **state)
{
	struct iopf_streams s = { };

	(void)state;
	for (unsigned int i = 0; i < IOPF_STREAMS; i++) {
		miss(&s, i * 10000, 1, true);
		miss(&s, i * 10000 + 1, 1, true);
	}
	/* The first is used again, so the second is the oldest. */
	is(miss(&s, 3, 1, true), 2, 1, 0);
	is(miss(&s, 900000, 1, true), 0, 0, 1);
	is(miss(&s, 10003, 1, true), 0, 0, 1);
	is(miss(&s, 6, 1, true), 4, 2, 0);
}

static void ends(void **state)
{
	struct iopf_streams s = { };

	(void)state;
	is(iopf_streams_miss(&s, 0, 1, 3, true), 0, 0, 0);
	is(iopf_streams_miss(&s, 1, 1, 2, true), 1, 0, 0);
	is(iopf_streams_miss(&s, 3, 1, 1, true), 1, 1, 0);
	is(iopf_streams_miss(&s, 5, 1, 0, true), 0, 1, 0);
}

/* At the end of the address space, and whatever is missed. */
static void anything(void **state)
{
	struct iopf_streams s = { };
	u64 rng = 1;
	u64 ahead = 0, used = 0, wasted = 0, held = 0;

	(void)state;
	for (unsigned int i = 0; i < 200000; i++) {
		u64 page = rng_next(&rng) % 4 ? rng_next(&rng) % 64 : U64_MAX - rng_next(&rng) % 64;
		unsigned int n = 1 + rng_next(&rng) % 300;
		struct iopf_ahead a = miss(&s, page, n, rng_next(&rng) % 2);

		assert_true(a.pages <= IOPF_STREAM_MAX);
		assert_true(!a.used || a.pages >= min(a.used, IOPF_STREAM_MAX));
		assert_true(!a.used || !a.wasted);
		ahead += a.pages;
		used += a.used;
		wasted += a.wasted;
	}
	for (unsigned int i = 0; i < IOPF_STREAMS; i++)
		held += s.stream[i].ahead;
	/* Each page had ahead is one or the other, or still open. */
	assert_int_equal(ahead, used + wasted + held);
	assert_true(used && wasted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows),
		cmocka_unit_test(misses_of_many),
		cmocka_unit_test(skips),
		cmocka_unit_test(never_backwards),
		cmocka_unit_test(directions),
		cmocka_unit_test(several),
		cmocka_unit_test(oldest_goes),
		cmocka_unit_test(ends),
		cmocka_unit_test(anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
