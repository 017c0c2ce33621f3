// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl advise: it turns a log into a table and a limit; it rejects bad logs; it always stops
 * sampling. tests/vm/t_advise.c checks that its predictions come true.
 */
#include <string.h>

#include "../../core/sample.h"
#include "../print/exit.h"
#include "tree.h"

#define C	"kernel/vfio_iopf/containers/2/"
#define BLOCKS	64
#define ROUNDS	10
#define EVENTS	(BLOCKS * ROUNDS)
#define PAGES	16
#define STEP	10000

/* The log file. */
struct log {
	struct iopf_sample_header head;
	struct iopf_sample_event event[EVENTS];
};

/* A loop over BLOCKS blocks, with a use every STEP microseconds. */
static void loop(struct log *log)
{
	*log = (struct log){
		.head = {
			.version = IOPF_SAMPLE_VERSION,
			.record = sizeof(struct iopf_sample_event),
			.threshold = IOPF_SAMPLE_ALL,
			.interval = 100000,
			.next = EVENTS,
			.time = (u64)EVENTS * STEP,
			.all = BLOCKS,
			.blocks = BLOCKS,
			.alone = 100000,
		},
	};
	memcpy(log->head.magic, IOPF_SAMPLE_MAGIC, sizeof(log->head.magic));
	for (unsigned int i = 0; i < EVENTS; i++)
		log->event[i] = (struct iopf_sample_event){
			.time = (u64)i * STEP,
			.block = 512 * (i % BLOCKS),
			.pages = PAGES,
			.faults = 1,
		};
}

/* Make a container as it is after sampling. A fault takes @fault_us. */
static void sampled(struct tree *t, const struct log *log, unsigned int fault_us)
{
	tree_module(t);
	tree_container(t, 2, "qemu");
	tree_file(t, C "latency/total", "count 100 sum %u00000 p50 1\n", fault_us);
	tree_file(t, C "pinned", "0\n");
	tree_file(t, C "sampling/interval_ms", "0\n");
	tree_file(t, C "sampling/max_chunks", "1024\n");
	tree_file(t, C "sampling/cost_ppm", "1234\n");
	tree_bytes(t, C "sampling/log", log, sizeof(*log));
}

static void advice(void **state)
{
	struct tree *t = *state;
	struct log log;
	int64_t limit;

	loop(&log);
	sampled(t, &log, 1000);
	RUN(t, CTL_OK, "advise", "2", "--json", "--seconds", "0.01", "--sizes", "2M,8M");
	JSON_INT(t, "/container", 2);
	JSON_INT(t, "/samples", EVENTS);
	JSON_INT(t, "/chunks", BLOCKS);
	JSON_INT(t, "/cost_ppm", 1234);
	JSON_INT(t, "/working_set", BLOCKS * PAGES * 4096);
	JSON_LENGTH(t, "/curve", 2);
	/* The loop is twice as large as the first limit: each use faults. It fits the second. */
	JSON_INT(t, "/curve/0/resident_max", 2 << 20);
	JSON_INT(t, "/curve/0/faults", EVENTS);
	JSON_BOOL(t, "/curve/0/acceptable", false);
	JSON_INT(t, "/curve/1/faults", 0);
	JSON_BOOL(t, "/curve/1/acceptable", true);
	/* A fault of 1 ms every 10 ms. */
	assert_true(json_object_get_double(tree_json(t, "/curve/0/slowdown_percent")) > 9.9);
	assert_true(json_object_get_double(tree_json(t, "/curve/0/slowdown_percent")) < 10.1);
	limit = json_object_get_int64(tree_json(t, "/recommended/resident_max"));
	assert_in_range(limit, BLOCKS * PAGES * 4096, BLOCKS * PAGES * 4096 * 5 / 4);
	JSON_BOOL(t, "/applied", false);
	assert_string_equal(tree_read(t, C "sampling/interval_ms"), "0\n");
	assert_string_equal(tree_read(t, C "resident_max"), "max\n");
}

/* A large acceptable slowdown: the smallest limit for which there is a prediction. */
static void slow(void **state)
{
	struct tree *t = *state;
	struct log log;
	int64_t limit;

	loop(&log);
	sampled(t, &log, 1000);
	RUN(t, CTL_OK, "advise", "2", "--json", "--seconds", "0.01", "--slowdown", "50", "--apply");
	JSON_BOOL(t, "/applied", true);
	JSON_LENGTH(t, "/curve", 12);
	limit = json_object_get_int64(tree_json(t, "/recommended/resident_max"));
	assert_in_range(limit, 64 * 4096, 2 << 20);
	assert_int_equal(strtoll(tree_read(t, C "resident_max"), NULL, 10), limit);
}

static void table(void **state)
{
	struct tree *t = *state;
	struct log log;

	loop(&log);
	sampled(t, &log, 1000);
	RUN(t, CTL_OK, "advise", "2", "--seconds", "0.01", "--interval", "20", "--max", "99",
	    "--steps", "4");
	SAYS(t->out, "640 uses, 64 of 64 chunks sampled");
	SAYS(t->out, "sampling took 0.12 % of the time");
	SAYS(t->out, "a fault takes 1000.0 us");
	SAYS(t->out, "recommended: resident_max=");
	SAYS(t->out, "SLOWDOWN");
	SAYS(t->out, "##########");
	assert_string_equal(tree_read(t, C "sampling/max_chunks"), "99\n");
}

/* Each use is a first use: no limit helps. */
static void fresh(void **state)
{
	struct tree *t = *state;
	struct log log;

	loop(&log);
	for (unsigned int i = 0; i < EVENTS; i++) {
		log.event[i].block = 512 * i;
		log.event[i].flags = IOPF_SAMPLE_FIRST;
	}
	sampled(t, &log, 1000);
	RUN(t, CTL_OK, "advise", "2", "--json", "--seconds", "0.01");
	JSON_NULL(t, "/recommended");
	RUN(t, CTL_FAILED, "advise", "2", "--seconds", "0.01", "--apply");
	SAYS(t->err, "no limit is set");
	SAYS(t->out, "no limit keeps the slowdown below 5 %");
}

static void bad(void **state)
{
	struct tree *t = *state;
	struct log log;

	loop(&log);
	sampled(t, &log, 1000);
	RUN(t, CTL_USAGE, "advise");
	RUN(t, CTL_USAGE, "advise", "2", "3");
	RUN(t, CTL_USAGE, "advise", "2", "--seconds", "soon");
	RUN(t, CTL_USAGE, "advise", "2", "--seconds", "-1");
	RUN(t, CTL_USAGE, "advise", "2", "--interval", "0");
	RUN(t, CTL_USAGE, "advise", "2", "--interval", "1.5");
	RUN(t, CTL_USAGE, "advise", "2", "--max", "8");
	RUN(t, CTL_USAGE, "advise", "2", "--steps", "65");
	RUN(t, CTL_USAGE, "advise", "2", "--sizes", "64M,much");
	RUN(t, CTL_USAGE, "advise", "2", "--slowdown", "0");
	RUN(t, CTL_USAGE, "advise", "../2");
	RUN(t, CTL_NOT_FOUND, "advise", "3", "--seconds", "0.01");
	SAYS(t->err, "there is no container 3");
	/* The command has sampled no container. */
	assert_string_equal(tree_read(t, C "sampling/interval_ms"), "0\n");
}

static void not_now(void **state)
{
	struct tree *t = *state;
	struct log log;

	loop(&log);
	sampled(t, &log, 1000);
	tree_file(t, C "sampling/interval_ms", "100\n");
	RUN(t, CTL_FAILED, "advise", "2", "--seconds", "0.01");
	SAYS(t->err, "another program samples container 2");
	assert_string_equal(tree_read(t, C "sampling/interval_ms"), "100\n");

	log.head.next = 3;
	sampled(t, &log, 1000);
	RUN(t, CTL_FAILED, "advise", "2", "--seconds", "0.01");
	SAYS(t->err, "sample longer");
	assert_string_equal(tree_read(t, C "sampling/interval_ms"), "0\n");
}

/* A log of another version, a malformed log, a log that ends early. */
static void damaged(void **state)
{
	struct tree *t = *state;
	struct log log;

	loop(&log);
	sampled(t, &log, 1000);
	log.head.version++;
	tree_bytes(t, C "sampling/log", &log, sizeof(log));
	RUN(t, CTL_FAILED, "advise", "2", "--seconds", "0.01");
	SAYS(t->err, "different versions");
	loop(&log);
	log.head.threshold = 0;
	tree_bytes(t, C "sampling/log", &log, sizeof(log));
	RUN(t, CTL_FAILED, "advise", "2", "--seconds", "0.01");
	loop(&log);
	tree_bytes(t, C "sampling/log", &log, sizeof(log) / 2);
	RUN(t, CTL_FAILED, "advise", "2", "--seconds", "0.01");
	tree_bytes(t, C "sampling/log", &log, sizeof(log.head) - 1);
	RUN(t, CTL_FAILED, "advise", "2", "--seconds", "0.01");
	assert_string_equal(tree_read(t, C "sampling/interval_ms"), "0\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(advice),
		TEST(slow),
		TEST(table),
		TEST(fresh),
		TEST(bad),
		TEST(not_now),
		TEST(damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
