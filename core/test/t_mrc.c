// SPDX-License-Identifier: GPL-2.0-only
/*
 * Miss-ratio curves. On synthetic loads, the prediction from a log of samples is compared with the
 * policy itself, which runs over each use of each block. Small logs are written by hand.
 *
 * A load runs once before it is sampled, so it has no new blocks.
 */
#include "unit.h"

#include "load.h"

#include "../chunkmap.h"
#include "../mrc.h"

#define PAGES	IOPF_CHUNK_PAGES
/* Time between two uses, in microseconds. */
#define STEP	1000ULL
#define EPOCH	1000000ULL
#define STAY	2000ULL

/* Not the points at which a loop or scan just fits, since one block decides the result there. */
static const unsigned int eighths[] = { 1, 2, 3, 5, 6, 7, 9 };

static struct iopf_limits limits(u64 pages)
{
	return (struct iopf_limits){
		.high = IOPF_BUDGET_NONE,
		.max = pages,
		.pinned_high = IOPF_BUDGET_NONE,
		.pinned_max = IOPF_BUDGET_NONE,
		.aging_interval = IOPF_BUDGET_NONE,
		.min_residency = STAY,
	};
}

static void evict(struct iopf_budget *b, struct iopf_block *victim, u64 now)
{
	iopf_budget_settle(b, victim, 0, 0, IOPF_SETTLE_EVICTED, now);
}

/* Runs each use of each block twice, and returns the misses of the second pass. */
static u64 brute(const u32 *use, u32 n, u32 blocks, u64 pages)
{
	struct iopf_limits l = limits(pages);
	struct iopf_block *block = calloc(blocks, sizeof(*block)), *victim;
	struct iopf_budget b;
	u64 misses = 0, now = 0;

	assert_non_null(block);
	iopf_budget_init(&b, 0, EPOCH);
	iopf_budget_limit(&b, &l, 0);
	for (u32 i = 0; i < 2 * n; i++) {
		struct iopf_block *used = &block[use[i % n]];

		now += STEP;
		if (i == n)
			misses = 0;
		if (!used->pages) {
			misses++;
			while (!iopf_budget_reserve(&b, PAGES, true)) {
				victim = iopf_budget_victim(&b, now);
				if (victim)
					evict(&b, victim, now);
				else
					now += STAY;
			}
			iopf_budget_unreserve(&b, PAGES);
			iopf_budget_settle(&b, used, PAGES, 0, IOPF_SETTLE_MISSED, now);
		}
		while (iopf_budget_excess(&b) && (victim = iopf_budget_victim(&b, now)))
			evict(&b, victim, now);
	}
	free(block);
	return misses;
}

/* A log, and the memory to run through it. */
struct log {
	struct iopf_sample_event *event;
	struct iopf_sample_header head;
	struct iopf_mrc m;
};

static void *room(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	assert_non_null(p);
	return p;
}

static void log_load(struct log *log, u64 pinned)
{
	u32 n = log->head.next;

	iopf_mrc_begin(&log->m, &log->head);
	log->m.use = room(n, sizeof(*log->m.use));
	log->m.block = room(n, sizeof(*log->m.block));
	log->m.slots = iopf_mrc_slots(n);
	log->m.table = room(log->m.slots, sizeof(*log->m.table));
	log->m.pinned = pinned;
	iopf_mrc_load(&log->m, log->event, n);
}

static void log_free(struct log *log)
{
	free(log->event);
	free(log->m.use);
	free(log->m.block);
	free(log->m.table);
}

/* Samples a load whose blocks are mapped, without a limit, as the module does. */
static void log_sample(struct log *log, const u32 *use, u32 n, u32 blocks, u32 points,
		       u32 interval)
{
	struct iopf_sample s = {
		.point = room(points, sizeof(*s.point)),
		.bucket = room(points, sizeof(*s.bucket)),
		.points = points,
		.event = room(n, sizeof(*s.event)),
		.events = n,
	};
	struct iopf_sample_point *p;
	u64 now = 0;

	iopf_sample_init(&s, interval);
	for (u32 i = 0; i < blocks; i++)
		iopf_sample_watch(&s, (u64)i * PAGES, 0, false);
	s.all = blocks;
	for (u32 i = 0; i < n; i++) {
		now += STEP;
		while ((p = iopf_sample_due(&s, now)))
			iopf_sample_look(&s, p, PAGES, now);
		p = iopf_sample_find(&s, (u64)use[i] * PAGES);
		if (p && p->away)
			iopf_sample_miss(&s, p, false, now);
	}
	iopf_sample_head(&s, now, &log->head);
	log->event = s.event;
	free(s.point);
	free(s.bucket);
}

static u64 faults(struct log *log, u64 pages)
{
	struct iopf_limits l = limits(pages);
	struct iopf_mrc_point point;

	iopf_mrc_run(&log->m, &l, EPOCH, &point);
	assert_int_equal(point.always, 0);
	assert_int_equal(point.stuck, 0);
	return point.faults;
}

static u64 distinct(const u32 *use, u32 n, u32 blocks)
{
	bool *used = room(blocks, sizeof(*used));
	u64 sum = 0;

	for (u32 i = 0; i < n; i++) {
		sum += !used[use[i]];
		used[use[i]] = true;
	}
	free(used);
	return sum;
}

/* Checks that @got differs from @want by at most a tenth, or a hundredth of the uses. */
static void close_to(u64 got, u64 want, u32 uses)
{
	u64 most = max(want / 10, (u64)uses / 100);

	assert_in_range(got, want - min(want, most), want + most);
}

static void compare(u32 blocks, u32 uses, u32 points, u32 interval, unsigned int from)
{
	for (enum load_kind kind = 0; kind < LOAD_KINDS; kind++) {
		u32 *use = load_make(kind, blocks, uses, 42);
		struct log log;
		u64 touched;

		log_sample(&log, use, uses, blocks, points, interval);
		log_load(&log, 0);
		for (unsigned int i = from; i < ARRAY_SIZE(eighths); i++) {
			u64 pages = (u64)blocks * PAGES * eighths[i] / 8;
			u64 want = brute(use, uses, blocks, pages), got = faults(&log, pages);

			/*
			 * In a loop over twice to three times the room, the policy may or may not
			 * keep the same blocks mapped.
			 */
			if (kind == LOAD_LOOP && points < blocks && eighths[i] == 3)
				continue;
			print_message("# %s, %u/8 of %u blocks: %llu misses, predicted %llu\n",
				      load_names[kind], eighths[i], blocks, want, got);
			close_to(got, want, uses);
		}
		touched = distinct(use, uses, blocks) * PAGES;
		if (points >= blocks)
			assert_int_equal(iopf_mrc_footprint(&log.m), touched);
		assert_in_range(iopf_mrc_footprint(&log.m), touched * 97 / 100,
				touched * 103 / 100);
		log_free(&log);
		free(use);
	}
}

/* All blocks are watched, with an interval of 20 uses. */
static void all_watched(void **state)
{
	(void)state;
	compare(256, 16384, 1024, 20 * STEP, 0);
}

/* About every eighth block is watched, with an interval of 500 uses. */
static void some_watched(void **state)
{
	(void)state;
	compare(8192, 200000, 1024, 500 * STEP, 1);
}

static struct iopf_sample_event missed(u64 time, u64 block, u16 pages, u8 n, u8 flags)
{
	return (struct iopf_sample_event){
		.time = time,
		.block = block,
		.pages = pages,
		.faults = n,
		.flags = flags,
	};
}

static void log_by_hand(struct log *log, const struct iopf_sample_event *event, u32 n, u64 pinned)
{
	*log = (struct log){
		.event = room(n, sizeof(*event)),
		.head = {
			.threshold = IOPF_SAMPLE_ALL,
			.next = n,
			.time = 100000,
			.all = 2,
			.blocks = 2,
		},
	};
	memcpy(log->event, event, n * sizeof(*event));
	log_load(log, pinned);
}

/* The pages of a block, and their faults, become known at its next sampling. */
static void costs(void **state)
{
	const struct iopf_sample_event event[] = {
		missed(0, 512, 100, 0, 0),  missed(10000, 1024, 0, 0, 0),
		missed(20000, 512, 64, 2, 0), missed(30000, 1024, 512, 32, 0),
		missed(40000, 512, 0, 0, 0), missed(50000, 2048, 0, 0, 0),
	};
	struct iopf_mrc_point point;
	struct iopf_limits l = limits(10000);
	struct log log;

	(void)state;
	log_by_hand(&log, event, ARRAY_SIZE(event), 0);
	assert_int_equal(log.m.blocks, 3);
	assert_int_equal(log.m.uses, 6);
	/* The first event has the pages that were found at the next sampling. */
	assert_int_equal(log.m.use[0].pages, 64);
	assert_int_equal(log.m.use[0].faults, 2);
	assert_int_equal(log.m.use[1].pages, 512);
	assert_int_equal(log.m.use[1].faults, 32);
	/* No page was mapped at the next sampling, so the event has the previous values. */
	assert_int_equal(log.m.use[2].pages, 64);
	assert_int_equal(log.m.use[2].faults, 2);
	assert_int_equal(log.m.use[3].pages, 512);
	assert_int_equal(log.m.use[3].faults, 32);
	/* Nothing is known about the block, so the event has the average of the others. */
	assert_int_equal(log.m.use[5].pages, 288);
	assert_int_equal(log.m.use[5].faults, 17);
	assert_int_equal(iopf_mrc_footprint(&log.m), 64 + 512 + 288);
	iopf_mrc_run(&log.m, &l, EPOCH, &point);
	assert_int_equal(point.faults, 0);
	assert_int_equal(point.missed, 0);
	log_free(&log);
	log_by_hand(&log, event, 2, 7);
	assert_int_equal(log.m.use[0].pages, 100);
	assert_int_equal(log.m.use[0].faults, 1);
	assert_int_equal(log.m.use[1].pages, 512);
	assert_int_equal(iopf_mrc_footprint(&log.m), 100 + 512 + 7);
	log_free(&log);
}

/* A block whose values are known only much later has the later values, not the average. */
static void known_later(void **state)
{
	const struct iopf_sample_event event[] = {
		missed(0, 512, 0, 0, IOPF_SAMPLE_FIRST),
		missed(1000, 1024, 0, 0, IOPF_SAMPLE_FIRST),
		missed(2000, 512, 0, 0, 0), missed(3000, 512, 200, 3, 0),
		missed(4000, 1024, 100, 1, 0),
	};
	struct log log;

	(void)state;
	log_by_hand(&log, event, ARRAY_SIZE(event), 0);
	assert_int_equal(log.m.use[0].pages, 200);
	assert_int_equal(log.m.use[0].faults, 3);
	assert_int_equal(log.m.use[1].pages, 100);
	assert_int_equal(log.m.use[1].faults, 1);
	assert_int_equal(log.m.use[2].pages, 200);
	assert_int_equal(log.m.use[2].faults, 3);
	log_free(&log);
}

/* New blocks fault at any limit; pinned pages reduce the room; too little room is reported. */
static void limits_of_limits(void **state)
{
	const struct iopf_sample_event event[] = {
		missed(0, 512, 0, 0, IOPF_SAMPLE_FIRST), missed(10000, 1024, 0, 0, 0),
		missed(20000, 512, 200, 3, 0), missed(30000, 1024, 200, 2, 0),
	};
	struct iopf_mrc_point point;
	struct iopf_limits l;
	struct log log;

	(void)state;
	log_by_hand(&log, event, ARRAY_SIZE(event), 0);
	l = limits(600);
	iopf_mrc_run(&log.m, &l, EPOCH, &point);
	assert_int_equal(point.always, 3);
	assert_int_equal(point.faults, 0);
	assert_int_equal(point.missed, 1);
	assert_int_equal(point.stuck, 0);
	/* Room for one block. */
	l = limits(300);
	iopf_mrc_run(&log.m, &l, EPOCH, &point);
	assert_int_equal(point.always, 3);
	assert_int_equal(point.faults, 3 + 2 + 2);
	assert_int_equal(point.missed, 4);
	assert_int_equal(point.stuck, 0);
	/* Each block evicts the other. More time passes before the first use of the second pass. */
	assert_int_equal(point.evicted, 4);
	assert_int_equal(point.stayed, 70000 + 3 * 10000);
	/* Both fit, but background eviction begins: one block stays, the other does not. */
	l = limits(410);
	iopf_mrc_run(&log.m, &l, EPOCH, &point);
	assert_int_equal(point.faults, 3);
	assert_int_equal(point.missed, 2);
	assert_int_equal(point.stuck, 0);
	/* Room for no block. */
	l = limits(190);
	iopf_mrc_run(&log.m, &l, EPOCH, &point);
	assert_int_equal(point.faults, 3 + 2 + 2);
	assert_int_equal(point.stuck, 3 + 3 + 2 + 2);
	log_free(&log);
	log_by_hand(&log, event, ARRAY_SIZE(event), 300);
	l = limits(600);
	iopf_mrc_run(&log.m, &l, EPOCH, &point);
	assert_int_equal(point.faults, 3 + 2 + 2);
	assert_int_equal(point.stuck, 0);
	log_free(&log);
}

/* Each watched block stands for several blocks: counts are scaled and rounded to the nearest. */
static void stands_for_more(void **state)
{
	const struct iopf_sample_event event[] = {
		missed(0, 512, 0, 0, IOPF_SAMPLE_FIRST), missed(10000, 1024, 0, 0, 0),
		missed(20000, 512, 200, 3, 0), missed(30000, 1024, 200, 2, 0),
	};
	struct iopf_limits l = limits(3000);
	struct iopf_mrc_point point;
	struct log log;

	(void)state;
	log_by_hand(&log, event, ARRAY_SIZE(event), 0);
	log.m.all = 7;
	log.m.watched = 2;
	iopf_mrc_run(&log.m, &l, EPOCH, &point);
	assert_int_equal(point.always, 11);
	assert_int_equal(point.missed, 4);
	assert_int_equal(point.faults, 0);
	assert_int_equal(point.stuck, 0);
	/* There is room for one block, but it stands for 700 pages. */
	l = limits(600);
	iopf_mrc_run(&log.m, &l, EPOCH, &point);
	assert_int_equal(point.always, 11);
	assert_int_equal(point.missed, 14);
	assert_int_equal(point.faults, 25);
	assert_int_equal(point.stuck, 35);
	log_free(&log);
}

/* While a device waits for room, all later uses are delayed. */
static void waits(void **state)
{
	const struct iopf_sample_event event[] = {
		missed(0, 512, 200, 1, 0), missed(10, 1024, 200, 1, 0),
		missed(20, 1536, 200, 1, 0), missed(30, 2048, 200, 1, 0),
	};
	struct iopf_limits l = limits(300);
	struct iopf_mrc_point point;
	struct log log;

	(void)state;
	log_by_hand(&log, event, ARRAY_SIZE(event), 0);
	iopf_mrc_run(&log.m, &l, EPOCH, &point);
	assert_int_equal(point.stuck, 0);
	assert_int_equal(point.faults, 4);
	assert_int_equal(point.evicted, 4);
	/* The last block stays until the next pass, each other block until it may be evicted. */
	assert_int_equal(point.stayed, 100000 - 30 + 3 * (10 + STAY));
	log_free(&log);
}

/* A block without a use for some time expires, and refaults. */
static void expiry(void **state)
{
	const struct iopf_sample_event event[] = {
		missed(0, 512, 10, 1, 0),     missed(20000, 512, 10, 1, 0),
		missed(40000, 512, 10, 1, 0), missed(60000, 512, 10, 1, 0),
		missed(61000, 1024, 10, 1, 0), missed(80000, 1024, 10, 1, 0),
	};
	struct iopf_mrc_point point;
	struct iopf_limits l = limits(10000);
	struct log log;

	(void)state;
	log_by_hand(&log, event, ARRAY_SIZE(event), 0);
	l.aging_interval = 300000;
	iopf_mrc_run(&log.m, &l, EPOCH, &point);
	assert_int_equal(point.faults, 0);
	/* Each block expires at a use of the other: one at 80, the other at 140 and at 180. */
	l.aging_interval = 70000;
	iopf_mrc_run(&log.m, &l, EPOCH, &point);
	assert_int_equal(point.faults, 2);
	log_free(&log);
}

/* Events of blocks above the final threshold are left out. */
static void above(void **state)
{
	struct iopf_sample_event event[64];
	struct log log = {
		.event = room(ARRAY_SIZE(event), sizeof(*event)),
		.head = {
			.threshold = IOPF_SAMPLE_ALL / 4,
			.next = ARRAY_SIZE(event),
			.time = 100000,
		},
	};
	u32 stand = 0;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(event); i++) {
		event[i] = missed(i * 1000, i * PAGES, 1, 1, 0);
		stand += iopf_sample_stands(i * PAGES, log.head.threshold);
	}
	memcpy(log.event, event, sizeof(event));
	log_load(&log, 0);
	assert_in_range(stand, 1, ARRAY_SIZE(event) - 1);
	assert_int_equal(log.m.uses, stand);
	assert_int_equal(log.m.blocks, stand);
	/* With the full threshold all events count, even if they are neighbours in the table. */
	log.m.threshold = IOPF_SAMPLE_ALL;
	memset(log.m.table, 0, log.m.slots * sizeof(*log.m.table));
	iopf_mrc_load(&log.m, log.event, ARRAY_SIZE(event));
	assert_int_equal(log.m.blocks, ARRAY_SIZE(event));
	log_free(&log);
}

/* Watched blocks stand for all blocks, unless that number is implausible. */
static void begins(void **state)
{
	struct iopf_sample_header head = {
		.threshold = IOPF_SAMPLE_ALL / 8,
		.blocks = 900,
		.all = 8000,
	};
	struct iopf_mrc m;

	(void)state;
	iopf_mrc_begin(&m, &head);
	assert_int_equal(m.watched, 900);
	assert_int_equal(m.all, 8000);
	head.all = 80000;
	iopf_mrc_begin(&m, &head);
	assert_int_equal(m.all / m.watched, 8);
	head.all = 6000;
	iopf_mrc_begin(&m, &head);
	assert_int_equal(m.all / m.watched, 8);
	assert_int_equal(m.all % m.watched, 0);
	/* All blocks are watched, so nothing is scaled. */
	head.threshold = IOPF_SAMPLE_ALL;
	head.all = 910;
	iopf_mrc_begin(&m, &head);
	assert_int_equal(m.all, m.watched);
	/* No block at all. */
	head = (struct iopf_sample_header){ .threshold = 1000 };
	iopf_mrc_begin(&m, &head);
	assert_int_equal(m.watched, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_watched),
		cmocka_unit_test(some_watched),
		cmocka_unit_test(costs),
		cmocka_unit_test(known_later),
		cmocka_unit_test(limits_of_limits),
		cmocka_unit_test(stands_for_more),
		cmocka_unit_test(waits),
		cmocka_unit_test(expiry),
		cmocka_unit_test(above),
		cmocka_unit_test(begins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
