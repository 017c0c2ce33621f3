// SPDX-License-Identifier: GPL-2.0-only
/*
 * Histograms: buckets against their definition, percentiles against sorted values, sums against
 * histograms of all values at once.
 */
#include "unit.h"

#include "rng.h"

#include "../hist.h"

/* Adds a value, as the module does on the histogram of a CPU. */
static void add(struct iopf_hist *hist, u64 value)
{
	hist->sum += value;
	hist->count[iopf_hist_bucket(value)]++;
}

static void buckets_in_order(void **state)
{
	u64 next = 0;

	(void)state;
	for (unsigned int i = 0; i < IOPF_HIST_BUCKETS; i++) {
		u64 first = iopf_hist_first(i), last = iopf_hist_last(i);

		/* No gaps, and each value is in its own bucket. */
		assert_true(first == next);
		assert_true(last >= first);
		assert_int_equal(iopf_hist_bucket(first), i);
		assert_int_equal(iopf_hist_bucket(last), i);
		assert_int_equal(iopf_hist_bucket(first + (last - first) / 2), i);
		/* The error bound of the opening comment of hist.h. */
		if (i < IOPF_HIST_SUBS)
			assert_true(first == last);
		else
			assert_true((last - first) * IOPF_HIST_SUBS <= first);
		next = last + 1;
	}
	assert_true(next == IOPF_HIST_MAX + 1);
}

static void every_small_value(void **state)
{
	unsigned int last = 0;

	(void)state;
	for (u64 value = 0; value < 1 << 20; value++) {
		unsigned int bucket = iopf_hist_bucket(value);

		assert_true(bucket == last || bucket == last + 1);
		assert_true(iopf_hist_first(bucket) <= value && value <= iopf_hist_last(bucket));
		last = bucket;
	}
}

static void large_values(void **state)
{
	(void)state;
	assert_int_equal(iopf_hist_bucket(IOPF_HIST_MAX), IOPF_HIST_BUCKETS - 1);
	assert_int_equal(iopf_hist_bucket(IOPF_HIST_MAX + 1), IOPF_HIST_BUCKETS - 1);
	for (unsigned int shift = 35; shift < 64; shift++)
		assert_int_equal(iopf_hist_bucket(1ULL << shift), IOPF_HIST_BUCKETS - 1);
	assert_int_equal(iopf_hist_bucket(U64_MAX), IOPF_HIST_BUCKETS - 1);
}

static void empty(void **state)
{
	struct iopf_hist_sum sum = { };

	(void)state;
	assert_int_equal(iopf_hist_total(&sum), 0);
	assert_int_equal(iopf_hist_percentile(&sum, 1), 0);
	assert_int_equal(iopf_hist_percentile(&sum, 1000), 0);
}

static int ascending(const void *a, const void *b)
{
	u64 one = *(const u64 *)a, other = *(const u64 *)b;

	return (one > other) - (one < other);
}

#define VALUES 5000

/* The definition: the smallest value that @permille of all values do not exceed. */
static u64 percentile(const u64 *sorted, unsigned int n, unsigned int permille)
{
	for (unsigned int i = 0; i < n; i++)
		if ((u64)(i + 1) * 1000 >= (u64)n * permille)
			return sorted[i];
	return sorted[n - 1];
}

static void percentiles(void **state)
{
	static const unsigned int permilles[] = { 1, 10, 333, 500, 501, 900, 990, 998, 999, 1000 };
	u64 rng = 1;
	u64 value[VALUES];

	(void)state;
	for (unsigned int round = 0; round < 60; round++) {
		unsigned int n = round < 20 ? round + 1 : 1 + (unsigned int)rng_below(&rng, VALUES);
		struct iopf_hist_sum sum = { };
		struct iopf_hist hist = { };
		u64 total = 0;

		for (unsigned int i = 0; i < n; i++) {
			value[i] = rng_below(&rng, 1ULL << (1 + rng_below(&rng, 30)));
			total += value[i];
			add(&hist, value[i]);
		}
		iopf_hist_peek(&sum, &hist);
		qsort(value, n, sizeof(value[0]), ascending);
		assert_true(sum.sum == total);
		assert_true(iopf_hist_total(&sum) == n);
		for (unsigned int i = 0; i < ARRAY_SIZE(permilles); i++) {
			u64 want = percentile(value, n, permilles[i]);
			u64 got = iopf_hist_percentile(&sum, permilles[i]);

			/* The result is the last value of the right bucket. */
			assert_true(got == iopf_hist_last(iopf_hist_bucket(want)));
		}
	}
}

/* Counts that would overflow a multiplication. */
static void many(void **state)
{
	struct iopf_hist_sum sum = { };

	(void)state;
	sum.count[10] = 1ULL << 60;
	sum.count[20] = 1ULL << 60;
	assert_true(iopf_hist_percentile(&sum, 500) == iopf_hist_last(10));
	assert_true(iopf_hist_percentile(&sum, 501) == iopf_hist_last(20));
	assert_true(iopf_hist_percentile(&sum, 1000) == iopf_hist_last(20));
}

static void sums(void **state)
{
	struct iopf_hist_sum parts = { }, all = { }, twice = { }, taken = { };
	struct iopf_hist one = { }, other = { }, both = { };
	u64 rng = 2;

	(void)state;
	for (unsigned int i = 0; i < 10000; i++) {
		u64 value = rng_below(&rng, 1ULL << (1 + rng_below(&rng, 40)));

		add(i % 3 ? &one : &other, value);
		add(&both, value);
	}
	iopf_hist_peek(&all, &both);
	iopf_hist_peek(&parts, &one);
	iopf_hist_peek(&parts, &other);
	assert_memory_equal(&parts, &all, sizeof(all));

	iopf_hist_merge(&twice, &all);
	iopf_hist_merge(&twice, &parts);
	assert_true(twice.sum == 2 * all.sum);
	for (unsigned int i = 0; i < IOPF_HIST_BUCKETS; i++)
		assert_true(twice.count[i] == 2 * all.count[i]);

	/* After taking, nothing is left to take. Taking adds to the sum. */
	iopf_hist_take(&taken, &one);
	iopf_hist_take(&taken, &one);
	iopf_hist_take(&taken, &other);
	assert_memory_equal(&taken, &all, sizeof(all));
	assert_int_equal(one.sum, 0);
	for (unsigned int i = 0; i < IOPF_HIST_BUCKETS; i++)
		assert_int_equal(one.count[i], 0);
	iopf_hist_take(&taken, &both);
	assert_memory_equal(&taken, &twice, sizeof(taken));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buckets_in_order),
		cmocka_unit_test(every_small_value),
		cmocka_unit_test(large_values),
		cmocka_unit_test(empty),
		cmocka_unit_test(percentiles),
		cmocka_unit_test(many),
		cmocka_unit_test(sums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
