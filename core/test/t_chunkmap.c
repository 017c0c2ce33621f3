// SPDX-License-Identifier: GPL-2.0-only
/*
 * The chunk map: the contract case by case, then long random programs against the model.
 */
#include "unit.h"

#include "model_chunkmap.h"
#include "rng.h"

#define LAST_PAGE (IOPF_CHUNK_PAGES - 1)

static void page_of_iova(void **state)
{
	(void)state;
	assert_int_equal(IOPF_CHUNK_PAGES, 512);
	assert_int_equal(iopf_chunkmap_page(0), 0);
	assert_int_equal(iopf_chunkmap_page(0xfff), 0);
	assert_int_equal(iopf_chunkmap_page(0x1000), 1);
	assert_int_equal(iopf_chunkmap_page(IOPF_CHUNK_SIZE - 1), LAST_PAGE);
	assert_int_equal(iopf_chunkmap_page(IOPF_CHUNK_SIZE), 0);
	assert_int_equal(iopf_chunkmap_page(U64_MAX), LAST_PAGE);
	assert_int_equal(iopf_chunkmap_page(1ULL << 63 | 5 << PAGE_SHIFT), 5);
}

static void lookup(void **state)
{
	struct iopf_chunkmap m = { };

	(void)state;
	iopf_chunkmap_set(&m, 3, 1, false);
	iopf_chunkmap_set(&m, 4, 1, true);
	assert_int_equal(iopf_chunkmap_lookup(&m, 2, false), IOPF_MISS);
	assert_int_equal(iopf_chunkmap_lookup(&m, 2, true), IOPF_MISS);
	assert_int_equal(iopf_chunkmap_lookup(&m, 3, false), IOPF_HIT);
	assert_int_equal(iopf_chunkmap_lookup(&m, 3, true), IOPF_UPGRADE);
	assert_int_equal(iopf_chunkmap_lookup(&m, 4, false), IOPF_HIT);
	assert_int_equal(iopf_chunkmap_lookup(&m, 4, true), IOPF_HIT);
	assert_int_equal(iopf_chunkmap_lookup(&m, 5, false), IOPF_MISS);
}

static bool near_word_edge(unsigned int page)
{
	return (page + 2) % BITS_PER_LONG < 4;
}

/* Runs that end near every word edge, set in each of the four ways, and taken in parts. */
static void set_and_take_runs(void **state)
{
	(void)state;
	for (unsigned int first = 0; first <= LAST_PAGE; first += near_word_edge(first) ? 1 : 15) {
		for (unsigned int last = first; last <= LAST_PAGE;
		     last += near_word_edge(last) ? 1 : 15) {
			for (unsigned int kind = 0; kind < 4; kind++) {
				enum take right = kind & 2 ? TAKE_PINNED : TAKE_UNPINNED;
				enum take wrong = kind & 2 ? TAKE_UNPINNED : TAKE_PINNED;
				struct chunkmap_pair p = { };

				chunkmap_do_set(&p, first, last - first + 1, kind & 2, kind & 1);
				chunkmap_compare(&p);
				/* Taking the wrong kind finds nothing. */
				chunkmap_do_take(&p, 0, LAST_PAGE, wrong, 2);
				/* First a part, then the rest. */
				chunkmap_do_take(&p, (first + last) / 2, last, right, 2);
				chunkmap_do_take(&p, 0, LAST_PAGE, right, 2);
				assert_true(iopf_chunkmap_empty(&p.map));
			}
		}
	}
}

static void take_stops_at_pinned(void **state)
{
	struct iopf_chunkmarks marks = { };
	struct iopf_chunkmap m = { .marks = &marks };
	unsigned int page = 0, n;

	(void)state;
	iopf_chunkmap_set(&m, 10, 5, true);
	iopf_chunkmap_set_pinned(&m, 15, 2, true);
	iopf_chunkmap_set(&m, 17, 3, false);

	assert_true(iopf_chunkmap_take(&m, &page, LAST_PAGE, &n));
	assert_int_equal(page, 10);
	assert_int_equal(n, 5);
	page += n;
	assert_true(iopf_chunkmap_take(&m, &page, LAST_PAGE, &n));
	assert_int_equal(page, 17);
	assert_int_equal(n, 3);
	page += n;
	assert_false(iopf_chunkmap_take(&m, &page, LAST_PAGE, &n));

	assert_int_equal(iopf_chunkmap_mapped(&m), 2);
	assert_int_equal(iopf_chunkmap_pinned(&m), 2);
	assert_int_equal(iopf_chunkmap_lookup(&m, 15, true), IOPF_HIT);
}

/* Taking any page of a huge chunk takes the whole leaf. The next mapping is not huge. */
static void huge_goes_whole(void **state)
{
	(void)state;
	for (unsigned int i = 0; i <= LAST_PAGE; i++) {
		struct iopf_chunkmap m = { };
		unsigned int page = i, n = 0;

		iopf_chunkmap_set_huge(&m, true);
		assert_int_equal(iopf_chunkmap_mapped(&m), IOPF_CHUNK_PAGES);
		assert_int_equal(iopf_chunkmap_lookup(&m, i, true), IOPF_HIT);
		assert_true(iopf_chunkmap_take(&m, &page, i, &n));
		assert_int_equal(page, 0);
		assert_int_equal(n, IOPF_CHUNK_PAGES);
		assert_false(m.huge);
		assert_true(iopf_chunkmap_empty(&m));

		page += n;
		assert_false(iopf_chunkmap_take(&m, &page, i, &n));

		/* Old permissions must not remain. */
		iopf_chunkmap_set(&m, 0, IOPF_CHUNK_PAGES, false);
		assert_int_equal(iopf_chunkmap_lookup(&m, i, true), IOPF_UPGRADE);
		page = i;
		assert_true(iopf_chunkmap_take(&m, &page, i, &n));
		assert_int_equal(page, i);
		assert_int_equal(n, 1);
	}
}

static void huge_has_no_pinned_runs(void **state)
{
	struct iopf_chunkmap m = { };
	unsigned int page = 0, n;
	bool mmio;

	(void)state;
	iopf_chunkmap_set_huge(&m, false);
	assert_false(iopf_chunkmap_take_pinned(&m, &page, LAST_PAGE, &n, &mmio));
	assert_true(m.huge);
	assert_int_equal(iopf_chunkmap_mapped(&m), IOPF_CHUNK_PAGES);
	assert_int_equal(iopf_chunkmap_lookup(&m, 7, true), IOPF_UPGRADE);
}

/* An empty interval has no run. A walk asks about it after its last run. */
static void take_beyond_last(void **state)
{
	struct iopf_chunkmarks marks = { };
	struct iopf_chunkmap m = { .marks = &marks }, before;
	unsigned int page, n;
	bool mmio;

	(void)state;
	iopf_chunkmap_set(&m, 0, 100, true);
	iopf_chunkmap_set_pinned(&m, 100, 412, true);
	before = m;
	for (unsigned int last = 0; last <= LAST_PAGE; last++) {
		page = last + 1;
		assert_false(iopf_chunkmap_take(&m, &page, last, &n));
		assert_false(iopf_chunkmap_take_pinned(&m, &page, last, &n, &mmio));
		assert_int_equal(page, last + 1);
	}
	assert_memory_equal(&m, &before, sizeof(m));

	/* A huge chunk is taken for any page, but not for an empty interval. */
	m = (struct iopf_chunkmap){ };
	iopf_chunkmap_set_huge(&m, true);
	for (unsigned int last = 0; last <= LAST_PAGE; last++) {
		page = last + 1;
		assert_false(iopf_chunkmap_take(&m, &page, last, &n));
		assert_int_equal(page, last + 1);
	}
	assert_true(m.huge);
	assert_int_equal(iopf_chunkmap_mapped(&m), IOPF_CHUNK_PAGES);
}

/* No run contains both pinned pages of memory and pages of device memory. */
static void pinned_runs_of_devices(void **state)
{
	struct iopf_chunkmarks marks = { };
	struct iopf_chunkmap m = { .marks = &marks };
	unsigned int page = 0, n = 0;
	bool mmio = true;

	(void)state;
	iopf_chunkmap_set_pinned(&m, 20, 10, true);
	iopf_chunkmap_set(&m, 30, 10, true);
	for (unsigned int i = 30; i < 40; i++)
		iopf_chunkmap_hold_mmio(&m, i);
	iopf_chunkmap_set_pinned(&m, 40, 10, true);
	/* Revoked pages are no longer pinned: the third run lacks two parts. */
	iopf_chunkmap_revoke_mmio(&m, 35, 100);
	assert_int_equal(iopf_chunkmap_pinned(&m), 25);

	assert_true(iopf_chunkmap_take_pinned(&m, &page, LAST_PAGE, &n, &mmio));
	assert_int_equal(page, 20);
	assert_int_equal(n, 10);
	assert_false(mmio);
	page += n;
	assert_true(iopf_chunkmap_take_pinned(&m, &page, LAST_PAGE, &n, &mmio));
	assert_int_equal(page, 30);
	assert_int_equal(n, 5);
	assert_true(mmio);
	page += n;
	assert_true(iopf_chunkmap_take_pinned(&m, &page, LAST_PAGE, &n, &mmio));
	assert_int_equal(page, 40);
	assert_int_equal(n, 10);
	assert_false(mmio);
	page = 0;
	assert_true(iopf_chunkmap_take(&m, &page, LAST_PAGE, &n));
	assert_int_equal(page, 35);
	assert_int_equal(n, 5);
	assert_true(iopf_chunkmap_empty(&m));
}

/*
 * A successful report drops its pages, and a failed report keeps them. Pages that became dirty
 * meanwhile are kept.
 */
static void reports(void **state)
{
	(void)state;
	for (unsigned int made = 0; made < 2; made++) {
		DECLARE_BITMAP(bits, IOPF_CHUNK_PAGES);
		struct iopf_chunkmarks marks = { };
		struct iopf_chunkmap m = { .marks = &marks };

		iopf_chunkmap_set_pinned(&m, 100, 1, true);
		iopf_chunkmap_set_pinned(&m, 101, 1, false);
		iopf_chunkmap_dirty(&m, 0, 2);
		iopf_chunkmap_report(&m, true, bits);
		assert_true(test_bit(0, bits) && test_bit(1, bits) && test_bit(100, bits));
		assert_int_equal(bitmap_weight(bits, IOPF_CHUNK_PAGES), 3);
		iopf_chunkmap_dirty(&m, 1, 1);
		iopf_chunkmap_report_end(&m, made);

		iopf_chunkmap_report(&m, false, bits);
		assert_true(test_bit(1, bits));
		assert_true(test_bit(0, bits) == !made);
		assert_false(test_bit(100, bits));
		iopf_chunkmap_forget_dirty(&m);
		iopf_chunkmap_report(&m, false, bits);
		assert_true(bitmap_empty(bits, IOPF_CHUNK_PAGES));
	}
}

/* Pages pinned for writing count as written, beside the dirty ones; no other page does. */
static void pinned_counts_as_written(void **state)
{
	struct iopf_chunkmarks marks = { }, before;
	struct iopf_chunkmap m = { .marks = &marks };
	DECLARE_BITMAP(bits, IOPF_CHUNK_PAGES);

	(void)state;
	iopf_chunkmap_set_pinned(&m, 100, 3, true);
	iopf_chunkmap_set_pinned(&m, 200, 3, false);
	iopf_chunkmap_set(&m, 300, 3, true);
	iopf_chunkmap_dirty(&m, 301, 1);
	iopf_chunkmap_dirty(&m, 400, 1);
	before = marks;
	iopf_chunkmap_dirty_pinned(&m);
	bitmap_set(before.dirty, 100, 3);
	assert_memory_equal(&marks, &before, sizeof(marks));

	/* They stay dirty after the unpin, which a report alone would miss. */
	while (iopf_chunkmap_pinned(&m)) {
		unsigned int page = 0, n;
		bool mmio;

		assert_true(iopf_chunkmap_take_pinned(&m, &page, LAST_PAGE, &n, &mmio));
	}
	iopf_chunkmap_report(&m, true, bits);
	assert_int_equal(bitmap_weight(bits, IOPF_CHUNK_PAGES), 5);
	assert_int_equal(find_next_zero_bit(bits, IOPF_CHUNK_PAGES, 100), 103);
	assert_true(test_bit(301, bits) && test_bit(400, bits));

	/* Without pinned pages nothing is added. */
	before = (struct iopf_chunkmarks){ };
	marks = before;
	m = (struct iopf_chunkmap){ .marks = &marks };
	iopf_chunkmap_set(&m, 0, IOPF_CHUNK_PAGES, true);
	iopf_chunkmap_dirty_pinned(&m);
	assert_memory_equal(&marks, &before, sizeof(marks));
}

/* Returns a map with a report of page 3 in progress. Page 4 was written after its start. */
static struct iopf_chunkmap reporting(struct iopf_chunkmarks *marks)
{
	DECLARE_BITMAP(bits, IOPF_CHUNK_PAGES);
	struct iopf_chunkmap m = { .marks = marks };

	iopf_chunkmap_dirty(&m, 3, 1);
	iopf_chunkmap_report(&m, false, bits);
	iopf_chunkmap_dirty(&m, 4, 1);
	return m;
}

/* A map without marks has no pinned and no dirty page, and a query adds no marks. */
static void no_marks(void **state)
{
	DECLARE_BITMAP(bits, IOPF_CHUNK_PAGES);
	struct iopf_chunkmap m = { };
	unsigned int page = 0, n;
	bool mmio;

	(void)state;
	iopf_chunkmap_set(&m, 0, IOPF_CHUNK_PAGES, true);
	assert_int_equal(iopf_chunkmap_pinned(&m), 0);
	assert_false(iopf_chunkmap_has_pins(&m));
	assert_true(bitmap_empty(iopf_chunkmap_mmio(&m), IOPF_CHUNK_PAGES));
	assert_false(iopf_chunkmap_take_pinned(&m, &page, LAST_PAGE, &n, &mmio));
	iopf_chunkmap_revoke_mmio(&m, 0, LAST_PAGE);
	iopf_chunkmap_dirty_pinned(&m);
	iopf_chunkmap_forget_dirty(&m);
	assert_true(iopf_chunkmap_take_writable(&m, &page, &n));
	assert_int_equal(n, IOPF_CHUNK_PAGES);
	bitmap_set(bits, 0, IOPF_CHUNK_PAGES);
	iopf_chunkmap_report(&m, true, bits);
	assert_true(bitmap_empty(bits, IOPF_CHUNK_PAGES));
	iopf_chunkmap_report_end(&m, false);
	assert_null(m.marks);
}

/* Tracking restarts during a report. The report fails, and its pages do not become dirty again. */
static void forgotten_while_reported(void **state)
{
	DECLARE_BITMAP(bits, IOPF_CHUNK_PAGES);
	struct iopf_chunkmarks marks = { };
	struct iopf_chunkmap m = reporting(&marks);

	(void)state;
	iopf_chunkmap_forget_dirty(&m);
	iopf_chunkmap_report_end(&m, false);
	iopf_chunkmap_report(&m, false, bits);
	assert_true(bitmap_empty(bits, IOPF_CHUNK_PAGES));
}

/* A second report begins before the first one fails. The pages of both are kept. */
static void reported_twice(void **state)
{
	struct iopf_chunkmarks marks = { };
	struct iopf_chunkmap m = reporting(&marks);

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		DECLARE_BITMAP(bits, IOPF_CHUNK_PAGES);

		iopf_chunkmap_report(&m, false, bits);
		assert_true(test_bit(3, bits) && test_bit(4, bits));
		assert_int_equal(bitmap_weight(bits, IOPF_CHUNK_PAGES), 2);
		iopf_chunkmap_report_end(&m, false);
	}
}

static void random_programs(void **state)
{
	u8 program[4096];

	(void)state;
	for (u64 seed = 1; seed <= 80; seed++) {
		u64 rng = seed;

		rng_fill(&rng, program, sizeof(program));
		chunkmap_run(program, sizeof(program));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(page_of_iova),
		cmocka_unit_test(lookup),
		cmocka_unit_test(set_and_take_runs),
		cmocka_unit_test(take_stops_at_pinned),
		cmocka_unit_test(huge_goes_whole),
		cmocka_unit_test(huge_has_no_pinned_runs),
		cmocka_unit_test(take_beyond_last),
		cmocka_unit_test(pinned_runs_of_devices),
		cmocka_unit_test(reports),
		cmocka_unit_test(no_marks),
		cmocka_unit_test(pinned_counts_as_written),
		cmocka_unit_test(forgotten_while_reported),
		cmocka_unit_test(reported_twice),
		cmocka_unit_test(random_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
