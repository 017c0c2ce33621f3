// SPDX-License-Identifier: GPL-2.0-only
/*
 * Budgets: the contract case by case, the purpose of the generations, then long random programs
 * against the model.
 */
#include "unit.h"

#include "model_budget.h"
#include "rng.h"

/* A simulation: blocks of one page, which stay mapped until they are evicted. */
#define PAGES 4096

struct sim {
	struct iopf_budget b;
	struct iopf_block block[PAGES];
	u64 now;
	u64 misses;
};

static void limit(struct iopf_budget *b, u64 high, u64 max, u64 now)
{
	struct iopf_limits limits = {
		.high = high,
		.max = max,
		.pinned_high = IOPF_BUDGET_NONE,
		.pinned_max = IOPF_BUDGET_NONE,
		.aging_interval = IOPF_BUDGET_NONE,
	};

	assert_int_equal(iopf_budget_check(b, &limits), 0);
	iopf_budget_limit(b, &limits, now);
}

static struct sim *sim_new(u64 max)
{
	struct sim *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	iopf_budget_init(&s->b, 0, 1000000);
	limit(&s->b, IOPF_BUDGET_NONE, max, 0);
	return s;
}

/* The device uses a page. Returns whether it faulted. */
static bool use(struct sim *s, unsigned int page)
{
	struct iopf_block *block = &s->block[page];

	s->now++;
	if (block->pages)
		return false;
	while (!iopf_budget_reserve(&s->b, 1, true)) {
		struct iopf_block *victim = iopf_budget_victim(&s->b, s->now);

		assert_non_null(victim);
		iopf_budget_settle(&s->b, victim, 0, 0, IOPF_SETTLE_EVICTED, s->now);
	}
	iopf_budget_unreserve(&s->b, 1);
	iopf_budget_settle(&s->b, block, 1, 0, IOPF_SETTLE_MISSED, s->now);
	s->misses++;
	return true;
}

static void charges(void **state)
{
	struct iopf_block one = { }, two = { };
	struct iopf_budget b;

	(void)state;
	iopf_budget_init(&b, 0, 100);
	/* No limit. */
	assert_true(iopf_budget_reserve(&b, 1ULL << 40, true));
	iopf_budget_unreserve(&b, 1ULL << 40);
	limit(&b, 80, 100, 0);
	/* The soft limit applies to prefetched pages. */
	assert_false(iopf_budget_reserve(&b, 81, false));
	assert_true(iopf_budget_reserve(&b, 80, false));
	assert_false(iopf_budget_reserve(&b, 1, false));
	assert_false(iopf_budget_reserve(&b, 21, true));
	assert_true(iopf_budget_reserve(&b, 20, true));
	assert_false(iopf_budget_reserve(&b, 1, true));
	assert_true(iopf_budget_reserve(&b, 0, true));
	iopf_budget_unreserve(&b, 80);
	assert_int_equal(b.reserved, 20);
	iopf_budget_unreserve(&b, 20);
	iopf_budget_settle(&b, &one, 60, 0, IOPF_SETTLE_MISSED, 1);
	iopf_budget_settle(&b, &two, 30, 10, IOPF_SETTLE_LOST, 1);
	assert_int_equal(iopf_budget_mapped(&b), 90);
	assert_int_equal(b.pinned, 10);
	assert_int_equal(b.pages[IOPF_GEN_INACTIVE], 80);
	assert_false(iopf_budget_reserve(&b, 11, true));
	iopf_budget_settle(&b, &one, 50, 0, IOPF_SETTLE_LOST, 2);
	assert_true(iopf_budget_reserve(&b, 20, true));
	iopf_budget_unreserve(&b, 20);
	/* Pages stay mapped beyond a limit that was set later. */
	limit(&b, IOPF_BUDGET_NONE, 75, 2);
	assert_false(iopf_budget_reserve(&b, 0, true));
	iopf_budget_forget(&b, &one);
	assert_int_equal(iopf_budget_mapped(&b), 30);
	iopf_budget_forget(&b, &two);
	assert_int_equal(iopf_budget_mapped(&b), 0);
	assert_int_equal(b.pinned, 0);
}

/*
 * Eviction begins a sixteenth below the soft limit (1024 pages below it, if that is less), and ends
 * at twice that distance.
 */
static void excess(void **state)
{
	struct iopf_block block = { };
	struct iopf_budget b;

	(void)state;
	iopf_budget_init(&b, 0, 100);
	iopf_budget_settle(&b, &block, 120, 0, IOPF_SETTLE_MISSED, 1);
	assert_int_equal(iopf_budget_excess(&b), 0);
	limit(&b, IOPF_BUDGET_NONE, 128, 1);
	assert_int_equal(iopf_budget_excess(&b), 0);
	/* Reserved pages count. */
	assert_true(iopf_budget_reserve(&b, 1, true));
	assert_int_equal(iopf_budget_excess(&b), 121 - (128 - 2 * 8));
	iopf_budget_unreserve(&b, 1);
	assert_int_equal(iopf_budget_excess(&b), 0);
	limit(&b, 1 << 20, IOPF_BUDGET_NONE, 2);
	iopf_budget_settle(&b, &block, (1 << 20) - 1024, 0, IOPF_SETTLE_MISSED, 2);
	assert_int_equal(iopf_budget_excess(&b), 0);
	iopf_budget_settle(&b, &block, (1 << 20) - 1023, 0, IOPF_SETTLE_MISSED, 2);
	assert_int_equal(iopf_budget_excess(&b), 1025);
	iopf_budget_forget(&b, &block);
}

static void bad_limits(void **state)
{
	struct iopf_limits none = {
		.high = IOPF_BUDGET_NONE,
		.max = IOPF_BUDGET_NONE,
		.pinned_high = 0,
		.pinned_max = IOPF_BUDGET_NONE,
		.aging_interval = 0,
	};
	struct iopf_limits limits = none;
	struct iopf_block block = { };
	struct iopf_budget b;

	(void)state;
	iopf_budget_init(&b, 0, 100);
	assert_int_equal(iopf_budget_check(&b, &limits), 0);
	limits.max = IOPF_BUDGET_MIN - 1;
	assert_int_equal(iopf_budget_check(&b, &limits), -EINVAL);
	limits.max = IOPF_BUDGET_MIN;
	assert_int_equal(iopf_budget_check(&b, &limits), 0);
	limits.high = IOPF_BUDGET_MIN - 1;
	assert_int_equal(iopf_budget_check(&b, &limits), -EINVAL);
	limits = none;
	iopf_budget_settle(&b, &block, 20, 10, IOPF_SETTLE_LOST, 0);
	limits.pinned_max = 9;
	assert_int_equal(iopf_budget_check(&b, &limits), -EBUSY);
	limits.pinned_max = 10;
	limits.max = IOPF_BUDGET_MIN + 9;
	assert_int_equal(iopf_budget_check(&b, &limits), -EBUSY);
	limits.max++;
	assert_int_equal(iopf_budget_check(&b, &limits), 0);
	/* A limit below the mapped pages is allowed, since the other pages can be evicted. */
	iopf_budget_settle(&b, &block, 500, 10, IOPF_SETTLE_MISSED, 0);
	assert_int_equal(iopf_budget_check(&b, &limits), 0);
	iopf_budget_limit(&b, &limits, 0);
	assert_int_equal(iopf_budget_reserve_pinned(&b, 1, 0), -ENOMEM);
	assert_int_equal(iopf_budget_reserve_pinned(&b, 0, 1), -EAGAIN);
	iopf_budget_forget(&b, &block);
	assert_int_equal(iopf_budget_reserve_pinned(&b, 10, 10), 0);
	iopf_budget_unreserve(&b, 10);
	assert_int_equal(iopf_budget_reserve_pinned(&b, 11, 0), -ENOMEM);
}

/* The oldest block is evicted first. A pinned or locked block is never evicted. */
static void order(void **state)
{
	struct sim *s = sim_new(IOPF_BUDGET_MIN);

	(void)state;
	for (unsigned int i = 0; i < IOPF_BUDGET_MIN; i++)
		assert_true(use(s, i));
	iopf_budget_lock(&s->b, &s->block[0]);
	assert_false(iopf_budget_may_evict(&s->b, &s->block[0], s->now));
	assert_ptr_equal(iopf_budget_victim(&s->b, s->now), &s->block[1]);
	iopf_budget_settle(&s->b, &s->block[1], 1, 1, IOPF_SETTLE_LOST, s->now);
	assert_ptr_equal(iopf_budget_victim(&s->b, s->now), &s->block[2]);
	/* After another fault, the block is no longer the oldest. */
	iopf_budget_settle(&s->b, &s->block[2], 2, 0, IOPF_SETTLE_MISSED, s->now);
	assert_ptr_equal(iopf_budget_victim(&s->b, s->now), &s->block[3]);
	/* The loss of a page does not change the order. */
	iopf_budget_settle(&s->b, &s->block[2], 1, 0, IOPF_SETTLE_LOST, s->now);
	assert_ptr_equal(iopf_budget_victim(&s->b, s->now), &s->block[3]);
	iopf_budget_unlock(&s->b, &s->block[0], s->now);
	assert_int_equal(s->block[0].gen, IOPF_GEN_ACTIVE);
	free(s);
}

/* No block is evicted before its faults are answered, nor before min_residency. */
static void stays(void **state)
{
	struct iopf_block block = { }, later = { };
	struct iopf_limits limits;
	unsigned int one, two;
	struct iopf_budget b;

	(void)state;
	iopf_budget_init(&b, 0, 100);
	limits = b.limits;
	limits.min_residency = 5;
	iopf_budget_limit(&b, &limits, 0);
	one = iopf_budget_enter(&b);
	iopf_budget_settle(&b, &block, 1, 0, IOPF_SETTLE_MISSED, 10);
	assert_null(iopf_budget_victim(&b, 14));
	assert_null(iopf_budget_victim(&b, 15));
	/* A fault that enters now is not the block's, but the budget knows this only next turn. */
	two = iopf_budget_enter(&b);
	assert_null(iopf_budget_victim(&b, 16));
	iopf_budget_settle(&b, &later, 1, 0, IOPF_SETTLE_MISSED, 16);
	iopf_budget_leave(&b, one);
	assert_ptr_equal(iopf_budget_victim(&b, 30), &block);
	iopf_budget_settle(&b, &block, 0, 0, IOPF_SETTLE_EVICTED, 30);
	assert_null(iopf_budget_victim(&b, 30));
	iopf_budget_leave(&b, two);
	assert_ptr_equal(iopf_budget_victim(&b, 30), &later);
	assert_null(iopf_budget_victim(&b, 20));
}

/* Returns the block that was evicted last. */
static unsigned int last_gone(const struct sim *s, unsigned int n)
{
	unsigned int last = n;

	for (unsigned int i = 0; i < n; i++)
		if (!s->block[i].pages && (last == n || s->block[i].left > s->block[last].left))
			last = i;
	assert_true(last < n);
	return last;
}

/* Inactive blocks are evicted first while they exceed their share. Then active blocks become so. */
static void share(void **state)
{
	struct sim *s = sim_new(100);

	(void)state;
	for (unsigned int i = 0; i < 200; i++)
		use(s, i);
	for (unsigned int i = 1; i <= 75; i++) {
		assert_true(use(s, last_gone(s, 200)));
		assert_int_equal(s->b.blocks[IOPF_GEN_ACTIVE], i);
	}
	assert_int_equal(s->b.blocks[IOPF_GEN_INACTIVE], 25);
	assert_int_equal(s->block[99].gen, IOPF_GEN_ACTIVE);
	/* The block refaulted first. It becomes inactive when another block refaults. */
	use(s, last_gone(s, 200));
	assert_int_equal(s->block[99].gen, IOPF_GEN_INACTIVE);
	assert_int_equal(s->b.blocks[IOPF_GEN_INACTIVE], 25);
	assert_int_equal(s->b.blocks[IOPF_GEN_ACTIVE], 75);
	free(s);
}

static void distance(void **state)
{
	struct sim *s = sim_new(100);

	(void)state;
	for (unsigned int i = 0; i < 200; i++)
		use(s, i);
	/* Block 99 was evicted last, and 99 pages after block 0. To map block 0 evicts one more. */
	assert_int_equal(s->b.clock - s->block[0].left, 99);
	use(s, 0);
	assert_int_equal(s->block[0].gen, IOPF_GEN_INACTIVE);
	use(s, 1);
	assert_int_equal(s->block[1].gen, IOPF_GEN_INACTIVE);
	assert_int_equal(s->b.refaults, 0);
	use(s, 50);
	assert_int_equal(s->block[50].gen, IOPF_GEN_ACTIVE);
	use(s, 54);
	assert_int_equal(s->block[54].gen, IOPF_GEN_ACTIVE);
	assert_int_equal(s->b.refaults, 2);
	/* A block that refaults late is not active. */
	for (unsigned int i = 200; i < 300; i++)
		use(s, i);
	assert_true(s->b.clock - s->block[5].left > 100);
	use(s, 5);
	assert_int_equal(s->block[5].gen, IOPF_GEN_INACTIVE);
	/* A block that was lost but not evicted is not active, even if it faults at once. */
	iopf_budget_settle(&s->b, &s->block[5], 0, 0, IOPF_SETTLE_LOST, s->now);
	use(s, 5);
	assert_int_equal(s->block[5].gen, IOPF_GEN_INACTIVE);
	assert_int_equal(s->b.refaults, 2);
	/* Each early refault counts. */
	for (unsigned int i = 0; i < 40; i++) {
		iopf_budget_settle(&s->b, &s->block[5], 0, 0, IOPF_SETTLE_EVICTED, s->now);
		use(s, 5);
		assert_int_equal(s->block[5].refaults, min(i + 1, 15U));
	}
	/* The block has the most refaults, and refaulted last. */
	assert_ptr_equal(iopf_budget_hottest(&s->b, 1, 15), &s->block[5]);
	assert_null(iopf_budget_hottest(&s->b, 100, 16));
	assert_null(iopf_budget_hottest(&s->b, 0, 0));
	use(s, last_gone(s, 300));
	assert_null(iopf_budget_hottest(&s->b, 1, 15));
	assert_ptr_equal(iopf_budget_hottest(&s->b, 2, 15), &s->block[5]);
	assert_ptr_equal(iopf_budget_hottest(&s->b, 100, 1), &s->block[5]);
	s->block[5].refaults = 0;
	assert_true(iopf_budget_hottest(&s->b, 100, 1)->refaults == 1);
	assert_null(iopf_budget_hottest(&s->b, 100, 2));
	free(s);
}

/* A block without a fault for the aging interval is evicted. A block that refaults is active. */
static void expiry(void **state)
{
	struct sim *s = sim_new(100);
	struct iopf_limits limits = s->b.limits;
	struct iopf_block *block;
	unsigned int gone = 0;

	(void)state;
	limits.aging_interval = 1000;
	iopf_budget_limit(&s->b, &limits, 0);
	for (unsigned int i = 0; i < 80; i++)
		use(s, i);
	assert_null(iopf_budget_expired(&s->b, s->block[0].since + 999));
	s->now = s->block[0].since + 1000;
	assert_ptr_equal(iopf_budget_expired(&s->b, s->now), &s->block[0]);
	s->now = s->block[39].since + 1000;
	while ((block = iopf_budget_expired(&s->b, s->now))) {
		iopf_budget_settle(&s->b, block, 0, 0, IOPF_SETTLE_AGED, s->now);
		gone++;
	}
	assert_int_equal(gone, 40);
	assert_int_equal(s->b.aged, 40);
	assert_int_equal(s->b.evicted, 0);
	use(s, 7);
	assert_int_equal(s->block[7].gen, IOPF_GEN_ACTIVE);
	s->now += 10000;
	while ((block = iopf_budget_expired(&s->b, s->now)))
		iopf_budget_settle(&s->b, block, 0, 0, IOPF_SETTLE_AGED, s->now);
	assert_int_equal(iopf_budget_mapped(&s->b), 0);
	free(s);
}

/*
 * A working set in constant use, beside a scan that is many times as long as the room. The working
 * set has hardly any misses. With eviction by age alone, every use would miss.
 */
static void scans(void **state)
{
	struct sim *s = sim_new(200);
	unsigned int i, scan = 200;
	u64 before, hot = 0;

	(void)state;
	/* Warm up: the budget needs some rounds under pressure to learn what is used. */
	for (unsigned int round = 0; round < 8; round++) {
		for (i = 0; i < 100; i++)
			use(s, i);
		for (i = 0; i < 120; i++)
			use(s, 200 + (scan++ - 200) % (PAGES - 200));
	}
	before = s->b.refaults;
	for (unsigned int round = 0; round < 50; round++) {
		for (i = 0; i < 100; i++)
			hot += use(s, i);
		for (i = 0; i < 300; i++)
			use(s, 200 + (scan++ - 200) % (PAGES - 200));
	}
	assert_true(hot <= 50);
	assert_true(s->b.refaults - before <= 50);
	assert_false(s->b.thrashing);
	free(s);
}

/* When the working set changes, the new one gets the room in a few rounds. */
static void phases(void **state)
{
	struct sim *s = sim_new(200);
	u64 missed = 0;

	(void)state;
	for (unsigned int phase = 0; phase < 6; phase++) {
		for (unsigned int round = 0; round < 24; round++) {
			for (unsigned int i = 0; i < 180; i++) {
				bool miss = use(s, phase * 300 + i);

				missed += round >= 16 && miss;
			}
		}
	}
	assert_true(missed < 100);
	free(s);
}

/* A random load that exceeds the room thrashes. The budget reports the beginning and the end. */
static void thrashes(void **state)
{
	struct sim *s = sim_new(200);
	u64 rng = 1;

	(void)state;
	for (unsigned int i = 0; i < 20000; i++)
		use(s, rng_below(&rng, 190));
	assert_false(s->b.thrashing);
	assert_int_equal(s->misses, 190);
	for (unsigned int i = 0; i < 20000; i++)
		use(s, rng_below(&rng, 400));
	assert_true(s->b.thrashing);
	assert_int_equal(s->b.thrash_events, 1);
	/* When no page is mapped any more, the time ends the epoch. */
	limit(&s->b, IOPF_BUDGET_NONE, 420, s->now);
	for (unsigned int i = 0; i < 20000; i++)
		use(s, rng_below(&rng, 400));
	assert_true(s->b.thrashing);
	/* In this epoch, blocks were still mapped after the limit was raised. */
	s->now += 1000000;
	iopf_budget_tick(&s->b, s->now);
	assert_true(s->b.thrashing);
	s->now += 999999;
	iopf_budget_tick(&s->b, s->now);
	assert_true(s->b.thrashing);
	s->now++;
	iopf_budget_tick(&s->b, s->now);
	assert_false(s->b.thrashing);
	/* A loop that is much longer than the room: every refault is late. */
	for (unsigned int i = 0; i < 20000; i++)
		use(s, i % 2000);
	assert_false(s->b.thrashing);
	assert_int_equal(s->b.thrash_events, 1);
	free(s);
}

static void random_programs(void **state)
{
	u64 refaults = 0, thrashed = 0, rng = 20261123;
	u8 program[4000];

	(void)state;
	for (unsigned int i = 0; i < 400; i++) {
		rng_fill(&rng, program, sizeof(program));
		budget_run(program, sizeof(program), &refaults, &thrashed);
	}
	assert_true(refaults > 1000);
	assert_true(thrashed > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(charges),
		cmocka_unit_test(excess),
		cmocka_unit_test(bad_limits),
		cmocka_unit_test(order),
		cmocka_unit_test(stays),
		cmocka_unit_test(share),
		cmocka_unit_test(distance),
		cmocka_unit_test(expiry),
		cmocka_unit_test(scans),
		cmocka_unit_test(phases),
		cmocka_unit_test(thrashes),
		cmocka_unit_test(random_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
