// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sampling: which blocks are sampled and when, the contents of the log, the choice of blocks when
 * there is too little room; and random programs against the model.
 */
#include "unit.h"

#include "rng.h"

#include "model_sample.h"

#define POINTS	64
#define EVENTS	8

static struct iopf_sample_point point[POINTS];
static struct iopf_sample_event event[EVENTS];
static u32 bucket[POINTS];

static void begin(struct iopf_sample *s, u32 points, u32 interval)
{
	*s = (struct iopf_sample){
		.point = point,
		.bucket = bucket,
		.points = points,
		.event = event,
		.events = EVENTS,
	};
	iopf_sample_init(s, interval);
}

static void one_block(void **state)
{
	struct iopf_sample_event e;
	struct iopf_sample_point *p;
	struct iopf_sample s;

	(void)state;
	begin(&s, POINTS, 100);
	assert_null(iopf_sample_due(&s, 1000));
	assert_true(iopf_sample_watch(&s, 512, 1000, false));
	assert_null(iopf_sample_due(&s, 1099));
	p = iopf_sample_due(&s, 1100);
	assert_non_null(p);
	iopf_sample_look(&s, p, 300, 1200);
	assert_null(iopf_sample_due(&s, 5000));
	/* The number of faults of a block that was mapped before is unknown. */
	iopf_sample_miss(&s, p, false, 1250);
	assert_int_equal(iopf_sample_read(&s, 0, &e, 1), 1);
	assert_int_equal(e.time, 1250);
	assert_int_equal(e.block, 512);
	assert_int_equal(e.away, 50);
	assert_int_equal(e.pages, 300);
	assert_int_equal(e.faults, 0);
	assert_int_equal(e.flags, 0);
	iopf_sample_again(p);
	iopf_sample_again(p);
	assert_null(iopf_sample_due(&s, 1349));
	iopf_sample_look(&s, iopf_sample_due(&s, 1350), 32, 1350);
	iopf_sample_miss(&s, p, false, 1351);
	assert_int_equal(iopf_sample_read(&s, 1, &e, 1), 1);
	assert_int_equal(e.pages, 32);
	assert_int_equal(e.faults, 3);
}

/* The actual interval is measured when sampling is late. */
static void late(void **state)
{
	struct iopf_sample_point *p;
	struct iopf_sample s;
	struct iopf_sample_header head;
	u64 now = 0;

	(void)state;
	begin(&s, POINTS, 100);
	iopf_sample_watch(&s, 0, 0, true);
	p = iopf_sample_find(&s, 0);
	assert_int_equal(s.alone, 100);
	for (unsigned int i = 0; i < 200; i++) {
		iopf_sample_miss(&s, p, false, now);
		now += 1000;
		iopf_sample_look(&s, p, 1, now);
		/* One observation has little weight. */
		assert_in_range(s.alone, 100, i ? 1000 : 200);
	}
	assert_in_range(s.alone, 980, 1000);
	/* The header has the interval, and the number of all blocks. */
	s.all = 7;
	iopf_sample_head(&s, now, &head);
	assert_int_equal(head.alone, s.alone);
	assert_int_equal(head.all, 7);
	assert_int_equal(head.time, now);
	for (unsigned int i = 0; i < 200; i++) {
		iopf_sample_miss(&s, p, false, now);
		now += 100;
		iopf_sample_look(&s, p, 1, now);
	}
	assert_in_range(s.alone, 100, 120);
	/* An interval whose start is unknown does not count. */
	iopf_sample_watch(&s, 1, now, false);
	iopf_sample_look(&s, iopf_sample_find(&s, 1), 1, now + 100000);
	assert_in_range(s.alone, 100, 120);
}

/* The watched share does not depend on the blocks. All watched blocks are below the threshold. */
static void shares(void **state)
{
	struct iopf_sample s;
	unsigned int below = 0;

	(void)state;
	begin(&s, POINTS, 100);
	for (u64 block = 0; block < 100000; block++)
		iopf_sample_watch(&s, block * 512, block, false);
	/* After the last fall, seven eighths of the room were left on average. */
	assert_in_range(s.blocks, POINTS * 5 / 8, POINTS);
	for (u64 block = 0; block < 100000; block++) {
		below += iopf_sample_stands(block * 512, s.threshold);
		assert_true(!iopf_sample_find(&s, block * 512) ==
			    !iopf_sample_stands(block * 512, s.threshold));
	}
	assert_int_equal(below, s.blocks);
	/* The share of all blocks, within four standard deviations. */
	assert_in_range(100000ULL * s.threshold / IOPF_SAMPLE_ALL, s.blocks - 32, s.blocks + 32);
}

static void hashes(void **state)
{
	unsigned int below = 0;

	(void)state;
	for (u64 block = 0; block < 1 << 16; block++) {
		assert_true(iopf_sample_hash(block * 512) < IOPF_SAMPLE_ALL);
		assert_true(iopf_sample_stands(block, IOPF_SAMPLE_ALL));
		assert_false(iopf_sample_stands(block, 0));
		assert_false(iopf_sample_stands(block, iopf_sample_hash(block)));
		assert_true(iopf_sample_stands(block, iopf_sample_hash(block) + 1));
		below += iopf_sample_stands(block * 512, IOPF_SAMPLE_ALL / 16);
	}
	assert_in_range(below, 4096 - 4 * 64, 4096 + 4 * 64);
}

static void random_programs(void **state)
{
	u64 seed = 5;
	u8 data[600];

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		size_t size = rng_below(&seed, sizeof(data) + 1);

		rng_fill(&seed, data, size);
		sample_run(data, size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_block),
		cmocka_unit_test(late),
		cmocka_unit_test(shares),
		cmocka_unit_test(hashes),
		cmocka_unit_test(random_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
