// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ranges against 128-bit arithmetic on half-open intervals at every combination of edge values, and
 * against sets of points in a small space.
 */
#include "unit.h"

#include "../range.h"

static const u64 edge[] = {
	0, 1, 2, 0xffe, 0xfff, 0x1000, 0x1001, 0x7fffffff, 0x80000000, 0xfffff000, 0xffffffff,
	0x100000000ULL, 0x100000001ULL, (1ULL << 48) - 1, 1ULL << 48, (1ULL << 63) - 2,
	(1ULL << 63) - 1, 1ULL << 63, (1ULL << 63) + 1, U64_MAX - 0x1000, U64_MAX - 0xfff,
	U64_MAX - 0xffe, U64_MAX - 2, U64_MAX - 1, U64_MAX,
};

static void init_edges(void **state)
{
	const struct iopf_range untouched = { .first = 77, .last = 88 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(edge); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(edge); k++) {
			u64 start = edge[i], size = edge[k];
			bool good = size && (__uint128_t)start + size <= (__uint128_t)1 << 64;
			struct iopf_range r = untouched;
			int ret = iopf_range_init(&r, start, size);

			if (good) {
				assert_int_equal(ret, 0);
				assert_true(r.first == start);
				assert_true((__uint128_t)r.last + 1 == (__uint128_t)start + size);
			} else {
				assert_int_equal(ret, -EINVAL);
				assert_memory_equal(&r, &untouched, sizeof(r));
			}
		}
	}
}

static void pages(void **state)
{
	const struct iopf_range untouched = { .first = 77, .last = 88 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(edge); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(edge); k++) {
			struct iopf_range r, whole = untouched;

			if (iopf_range_init(&r, edge[i], edge[k])) {
				assert_int_equal(iopf_range_init_pages(&whole, edge[i], edge[k]),
						 -EINVAL);
				assert_memory_equal(&whole, &untouched, sizeof(whole));
				continue;
			}
			assert_int_equal(iopf_range_init_pages(&whole, edge[i], edge[k]), 0);
			assert_int_equal(whole.first % PAGE_SIZE, 0);
			assert_int_equal(whole.last % PAGE_SIZE, PAGE_SIZE - 1);
			assert_true(whole.first / PAGE_SIZE == r.first / PAGE_SIZE);
			assert_true(whole.last / PAGE_SIZE == r.last / PAGE_SIZE);
		}
	}
}

static void check_pair(const struct iopf_range *a, const struct iopf_range *b)
{
	__uint128_t a_end = (__uint128_t)a->last + 1, b_end = (__uint128_t)b->last + 1;
	__uint128_t start = a->first > b->first ? a->first : b->first;
	__uint128_t end = a_end < b_end ? a_end : b_end;
	const struct iopf_range untouched = { .first = 77, .last = 88 };
	struct iopf_range r = untouched, alias_a = *a, alias_b = *b;

	assert_true(iopf_range_contains(a, b) == (a->first <= b->first && b_end <= a_end));
	assert_true(iopf_range_overlaps(a, b) == (start < end));
	assert_true(iopf_range_intersect(&r, a, b) == (start < end));
	if (start < end) {
		assert_true(r.first == start);
		assert_true((__uint128_t)r.last + 1 == end);
	} else {
		assert_memory_equal(&r, &untouched, sizeof(r));
		r = *a;
	}

	/* The result may be one of the operands. */
	iopf_range_intersect(&alias_a, &alias_a, b);
	assert_memory_equal(&alias_a, &r, sizeof(r));
	if (start < end) {
		iopf_range_intersect(&alias_b, a, &alias_b);
		assert_memory_equal(&alias_b, &r, sizeof(r));
	}
}

static void pairs_edges(void **state)
{
	size_t n = ARRAY_SIZE(edge);

	(void)state;
	for (size_t i = 0; i < n * n; i++) {
		struct iopf_range a = { .first = edge[i / n], .last = edge[i % n] };

		for (size_t k = 0; a.first <= a.last && k < n * n; k++) {
			struct iopf_range b = { .first = edge[k / n], .last = edge[k % n] };

			if (b.first <= b.last)
				check_pair(&a, &b);
		}
	}
}

static u32 points(const struct iopf_range *r)
{
	return (2U << r->last) - (1U << r->first);
}

/* Every pair of ranges in a space of 8 points, as sets. */
static void pairs_sets(void **state)
{
	(void)state;
	for (u32 i = 0; i < 8 * 8 * 8 * 8; i++) {
		struct iopf_range a = { .first = i & 7, .last = i >> 3 & 7 };
		struct iopf_range b = { .first = i >> 6 & 7, .last = i >> 9 };
		struct iopf_range r;

		if (a.first > a.last || b.first > b.last)
			continue;
		assert_true(iopf_range_contains(&a, &b) == !(points(&b) & ~points(&a)));
		assert_true(iopf_range_overlaps(&a, &b) == !!(points(&a) & points(&b)));
		if (iopf_range_intersect(&r, &a, &b))
			assert_int_equal(points(&r), points(&a) & points(&b));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(init_edges),
		cmocka_unit_test(pages),
		cmocka_unit_test(pairs_edges),
		cmocka_unit_test(pairs_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
