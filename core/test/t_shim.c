// SPDX-License-Identifier: GPL-2.0-only
/*
 * The shim itself. The other tests prove something about the kernel only if these names mean the
 * same there.
 */
#include "unit.h"

#include "rng.h"

#define BITS 130	/* two words and a bit */

static void comparisons(void **state)
{
	u64 big = U64_MAX, zero = 0;
	unsigned int evaluated = 0;

	(void)state;
	assert_int_equal(min(3U, 5U), 3);
	assert_int_equal(max(-3, 5), 5);
	assert_true(max(zero, big) == U64_MAX);
	assert_int_equal(min_t(u8, 0x1ff, 0x80), 0x80);
	assert_int_equal(clamp_t(unsigned int, 0, 1, 9), 1);
	assert_int_equal(clamp_t(unsigned int, 5, 1, 9), 5);
	assert_int_equal(clamp_t(unsigned int, -1, 1, 9), 9);
	assert_int_equal(max(evaluated++, 0U), 0);
	assert_int_equal(evaluated, 1);
}

static void powers_of_two(void **state)
{
	(void)state;
	for (unsigned long n = 1; n < 5000; n++) {
		unsigned long p = rounddown_pow_of_two(n);

		assert_true(p <= n && n < 2 * p && !(p & (p - 1)));
	}
	assert_true(rounddown_pow_of_two(ULONG_MAX) == ~(ULONG_MAX >> 1));
	assert_int_equal(round_down(7U, 4U), 4);
	assert_int_equal(round_down(8U, 4U), 8);
	assert_int_equal(round_up(5U, 4U), 8);
	assert_int_equal(round_up(8U, 4U), 8);
	assert_true(round_down(U64_MAX, 4096U) == U64_MAX - 4095);
}

static void highest_bit(void **state)
{
	(void)state;
	assert_int_equal(fls64(0), 0);
	for (int bit = 0; bit < 64; bit++) {
		assert_int_equal(fls64(1ULL << bit), bit + 1);
		assert_int_equal(fls64(U64_MAX >> bit), 64 - bit);
	}
}

/* Bits are in long words, lowest first. */
static void bitmap_layout(void **state)
{
	DECLARE_BITMAP(map, BITS);

	(void)state;
	assert_int_equal(sizeof(map), BITS_TO_LONGS(BITS) * sizeof(long));
	bitmap_zero(map, BITS);
	bitmap_set(map, BITS_PER_LONG - 1, 2);
	assert_true(map[0] == 1UL << (BITS_PER_LONG - 1));
	assert_true(map[1] == 1);
	assert_false(test_bit(BITS_PER_LONG - 2, map));
	assert_true(test_bit(BITS_PER_LONG - 1, map));
	assert_true(test_bit(BITS_PER_LONG, map));
	assert_false(test_bit(BITS_PER_LONG + 1, map));
}

static void bitmap_runs(void **state)
{
	(void)state;
	for (unsigned int start = 0; start <= BITS; start++) {
		for (unsigned int n = 0; start + n <= BITS; n++) {
			DECLARE_BITMAP(map, BITS);

			bitmap_zero(map, BITS);
			assert_true(bitmap_empty(map, BITS));
			bitmap_set(map, start, n);
			assert_int_equal(bitmap_weight(map, BITS), n);
			assert_true(bitmap_full(map, BITS) == (n == BITS));
			assert_int_equal(find_next_bit(map, BITS, 0), n ? start : BITS);
			if (n) {
				assert_int_equal(find_next_zero_bit(map, BITS, start), start + n);
				/* Bits from the size on do not count. */
				assert_int_equal(bitmap_weight(map, start + n - 1), n - 1);
			}
			assert_true(bitmap_empty(map, start));
			bitmap_clear(map, start, n);
			assert_true(bitmap_empty(map, BITS));
		}
	}
}

/* A search from the size on, or beyond it, returns the size. */
static void find_at_the_end(void **state)
{
	DECLARE_BITMAP(ones, BITS);
	DECLARE_BITMAP(zeros, BITS);

	(void)state;
	bitmap_zero(ones, BITS);
	bitmap_set(ones, 0, BITS);
	bitmap_zero(zeros, BITS);
	for (unsigned int size = 0; size <= BITS; size++) {
		for (unsigned int start = size; start <= BITS + 2; start++) {
			assert_int_equal(find_next_bit(ones, size, start), size);
			assert_int_equal(find_next_zero_bit(zeros, size, start), size);
			assert_int_equal(find_next_andnot_bit(ones, zeros, size, start), size);
		}
		assert_int_equal(find_next_bit(zeros, size, 0), size);
		assert_int_equal(find_next_zero_bit(ones, size, 0), size);
		assert_int_equal(find_next_andnot_bit(ones, ones, size, 0), size);
	}
}

static void find_andnot(void **state)
{
	DECLARE_BITMAP(a, BITS);
	DECLARE_BITMAP(b, BITS);
	u64 rng = 1;

	(void)state;
	for (unsigned int round = 0; round < 200; round++) {
		for (unsigned int i = 0; i < ARRAY_SIZE(a); i++) {
			a[i] = rng_next(&rng) & rng_next(&rng);
			b[i] = rng_next(&rng);
		}
		for (unsigned int start = 0; start <= BITS; start++) {
			unsigned int want = start;

			while (want < BITS && !(test_bit(want, a) && !test_bit(want, b)))
				want++;
			assert_int_equal(find_next_andnot_bit(a, b, BITS, start), want);
		}
	}
}

static void characters(void **state)
{
	static const char alnum[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";

	(void)state;
	for (unsigned int c = 0; c <= 0xff; c++) {
		const char *digit = c ? strchr(digits, c) : NULL;

		assert_int_equal(hex_to_bin(c), digit ? (digit - digits) % 16 : -1);
		assert_true(isascii((char)c) == (c < 0x80));
		if (c < 0x80)
			assert_true(isalnum((char)c) == (c && strchr(alnum, c)));
	}
	/* Latin-1, as in the kernel: accented letters are letters, the signs among them are not. */
	assert_true(isalnum('\xe9'));
	assert_false(isalnum('\xd7'));
	assert_false(isalnum('\xf7'));
	assert_false(isalnum('\xa0'));
}

static void bitmap_combine(void **state)
{
	DECLARE_BITMAP(a, BITS);
	DECLARE_BITMAP(b, BITS);
	DECLARE_BITMAP(c, BITS);

	(void)state;
	bitmap_zero(a, BITS);
	bitmap_zero(b, BITS);
	bitmap_set(a, 10, 100);
	bitmap_set(b, 60, 70);
	bitmap_or(c, a, b, BITS);
	assert_int_equal(bitmap_weight(c, BITS), 120);
	assert_true(test_bit(10, c) && test_bit(129, c) && !test_bit(9, c));
	bitmap_and(c, a, b, BITS);
	assert_int_equal(bitmap_weight(c, BITS), 50);
	assert_true(test_bit(60, c) && test_bit(109, c) && !test_bit(59, c) && !test_bit(110, c));
	bitmap_copy(c, b, BITS);
	assert_int_equal(bitmap_weight(c, BITS), 70);
	assert_true(test_bit(60, c) && test_bit(129, c));
	/* The result may be an operand. */
	bitmap_or(c, c, a, BITS);
	assert_int_equal(bitmap_weight(c, BITS), 120);
}

struct item {
	int value;
	struct list_head node;
};

static void lists(void **state)
{
	struct item a = { .value = 1 }, b = { .value = 2 };
	struct list_head list;

	(void)state;
	INIT_LIST_HEAD(&list);
	assert_true(list_empty(&list));
	list_add(&a.node, &list);
	assert_ptr_equal(list_last_entry(&list, struct item, node), &a);
	/* At the front, then after the other one. */
	list_add(&b.node, &list);
	assert_ptr_equal(list.next, &b.node);
	assert_ptr_equal(list_last_entry(&list, struct item, node), &a);
	list_del_init(&b.node);
	assert_true(list_empty(&b.node));
	list_add(&b.node, &a.node);
	assert_ptr_equal(list_last_entry(&list, struct item, node), &b);
	assert_int_equal(container_of(list.prev, struct item, node)->value, 2);
	list_del_init(&a.node);
	assert_ptr_equal(list.next, &b.node);
	list_del_init(&b.node);
	assert_true(list_empty(&list));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comparisons),
		cmocka_unit_test(powers_of_two),
		cmocka_unit_test(highest_bit),
		cmocka_unit_test(bitmap_layout),
		cmocka_unit_test(bitmap_combine),
		cmocka_unit_test(bitmap_runs),
		cmocka_unit_test(find_at_the_end),
		cmocka_unit_test(find_andnot),
		cmocka_unit_test(characters),
		cmocka_unit_test(lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
