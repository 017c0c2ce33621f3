// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fault-around windows against their definition: a page is in the window if it is in bounds and in
 * the same naturally aligned block as the faulting page. The window is an interval, so a check of
 * its ends and of the pages next to them is enough. The test checks every page, size and bound.
 */
#include "unit.h"

#include "../window.h"

#define LAST_PAGE (IOPF_CHUNK_PAGES - 1)

/* The actual size as a shift, by the definition in window.h. */
static unsigned int block_shift(unsigned int size)
{
	unsigned int shift = 0;

	while (shift < 9 && 2U << shift <= size)
		shift++;
	return shift;
}

/* Counts errors. An assertion for each page would be slow: there are millions. */
static unsigned long wrong(unsigned int page, unsigned int size, unsigned int shift,
			   unsigned int bound_first, unsigned int bound_last)
{
	struct iopf_window w;
	unsigned int block = page >> shift;

	iopf_window_around(&w, page, size, bound_first, bound_last);
	if (w.first > page || w.last < page)
		return 1;
	/* The ends are in the block and in bounds. */
	if (w.first >> shift != block || w.last >> shift != block)
		return 1;
	if (w.first < bound_first || w.last > bound_last)
		return 1;
	/* The pages next to the ends are not. */
	if (w.first > bound_first && (w.first - 1) >> shift == block)
		return 1;
	if (w.last < bound_last && (w.last + 1) >> shift == block)
		return 1;
	return 0;
}

static void every_size(void **state)
{
	static const unsigned int large[] = { 1 << 16, INT_MAX, 1U << 31, UINT_MAX - 1, UINT_MAX };
	unsigned long bad = 0;

	(void)state;
	for (unsigned int page = 0; page <= LAST_PAGE; page++) {
		for (unsigned int size = 0; size <= 2 * IOPF_CHUNK_PAGES + 1; size++)
			bad += wrong(page, size, block_shift(size), 0, LAST_PAGE);
		for (unsigned int i = 0; i < ARRAY_SIZE(large); i++)
			bad += wrong(page, large[i], 9, 0, LAST_PAGE);
	}
	assert_int_equal(bad, 0);
}

/* Every page and pair of bounds, 22 million; the size classes alternate. */
static void every_bound(void **state)
{
	unsigned long bad = 0;
	unsigned int shift = 0;

	(void)state;
	for (unsigned int page = 0; page <= LAST_PAGE; page++) {
		for (unsigned int first = 0; first <= page; first++) {
			for (unsigned int last = page; last <= LAST_PAGE; last++) {
				shift = (shift + 1) % 11;
				bad += wrong(page, 1U << shift, min(shift, 9U), first, last);
			}
		}
	}
	assert_int_equal(bad, 0);
}

/* All size classes for one bound at a time. */
static void every_size_and_bound(void **state)
{
	unsigned long bad = 0;

	(void)state;
	for (unsigned int page = 0; page <= LAST_PAGE; page++) {
		for (unsigned int shift = 0; shift <= 9; shift++) {
			for (unsigned int first = 0; first <= page; first++)
				bad += wrong(page, 1U << shift, shift, first, LAST_PAGE);
			for (unsigned int last = page; last <= LAST_PAGE; last++)
				bad += wrong(page, 1U << shift, shift, 0, last);
		}
	}
	assert_int_equal(bad, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size),
		cmocka_unit_test(every_bound),
		cmocka_unit_test(every_size_and_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
