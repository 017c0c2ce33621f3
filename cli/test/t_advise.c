// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl advise: from a log to a table and a limit; what can't be advised on; sampling is
 * switched off again in any case. Whether what is predicted comes true is tested in a machine:
 * tests/vm/t_advise.c.
 */
#include <string.h>

#include "../../core/sample.h"
#include "../cmd.h"
#include "tree.h"

#define C	"kernel/vfio_iopf/containers/2/"
#define BLOCKS	64
#define ROUNDS	10
#define EVENTS	(BLOCKS * ROUNDS)
#define PAGES	16
#define STEP	10000

/* A log, as it is in the file. */
struct log {
	struct iopf_sample_header head;
	struct iopf_sample_event event[EVENTS];
};

/* A loop over some blocks, one use each so often. */
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

/* A container that has been sampled; a fault takes so long. */
static void sampled(struct tree *t, const struct log *log, unsigned int fault_us)
{
	tree_module(t);
	tree_container(t, 2, "qemu");
	tree_file(t, C "latency/total", "count 100 sum %u00000 p50 1\n", fault_us);
	tree_file(t, C "pinned", "0\n");
	tree_file(t, C "sample/interval", "0\n");
	tree_file(t, C "sample/max", "1024\n");
	tree_file(t, C "sample/share", "1234\n");
	tree_bytes(t, C "sample/log", log, sizeof(*log));
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
	JSON_INT(t, "/uses", EVENTS);
	JSON_INT(t, "/chunks", BLOCKS);
	JSON_INT(t, "/share_ppm", 1234);
	JSON_INT(t, "/footprint", BLOCKS * PAGES * 4096);
	JSON_LENGTH(t, "/curve", 2);
	/* A loop over twice the room: each use faults. And there is room for all. */
	JSON_INT(t, "/curve/0/resident_max", 2 << 20);
	JSON_INT(t, "/curve/0/faults", EVENTS);
	JSON_BOOL(t, "/curve/0/good", false);
	JSON_INT(t, "/curve/1/faults", 0);
	JSON_BOOL(t, "/curve/1/good", true);
	/* One in ten milliseconds, of one. */
	assert_true(json_object_get_double(tree_json(t, "/curve/0/slowdown_percent")) > 9.9);
	assert_true(json_object_get_double(tree_json(t, "/curve/0/slowdown_percent")) < 10.1);
	limit = json_object_get_int64(tree_json(t, "/recommended/resident_max"));
	assert_in_range(limit, BLOCKS * PAGES * 4096, BLOCKS * PAGES * 4096 * 5 / 4);
	JSON_BOOL(t, "/applied", false);
	assert_string_equal(tree_read(t, C "sample/interval"), "0\n");
	assert_string_equal(tree_read(t, C "resident_max"), "max\n");
}

/* A slowdown that is no matter: the least there may be, but not where it can't be told. */
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
	SAYS(t->out, "640 uses seen, 64 of 64 chunks watched");
	SAYS(t->out, "sampling took 0.12 % of the time");
	SAYS(t->out, "a fault takes 1000.0 us");
	SAYS(t->out, "recommended: resident_max=");
	SAYS(t->out, "SLOWDOWN");
	SAYS(t->out, "##########");
	assert_string_equal(tree_read(t, C "sample/max"), "99\n");
}

/* New memory all the time: no limit helps. */
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
	SAYS(t->err, "no limit was set");
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
	/* Nobody was sampled for that. */
	assert_string_equal(tree_read(t, C "sample/interval"), "0\n");
}

static void not_now(void **state)
{
	struct tree *t = *state;
	struct log log;

	loop(&log);
	sampled(t, &log, 1000);
	tree_file(t, C "sample/interval", "100\n");
	RUN(t, CTL_FAILED, "advise", "2", "--seconds", "0.01");
	SAYS(t->err, "sampled by somebody else");
	assert_string_equal(tree_read(t, C "sample/interval"), "100\n");

	log.head.next = 3;
	sampled(t, &log, 1000);
	RUN(t, CTL_FAILED, "advise", "2", "--seconds", "0.01");
	SAYS(t->err, "sample longer");
	assert_string_equal(tree_read(t, C "sample/interval"), "0\n");
}

/* What is no log, or not ours, or ends too early. */
static void damaged(void **state)
{
	struct tree *t = *state;
	struct log log;

	loop(&log);
	sampled(t, &log, 1000);
	log.head.version++;
	tree_bytes(t, C "sample/log", &log, sizeof(log));
	RUN(t, CTL_FAILED, "advise", "2", "--seconds", "0.01");
	SAYS(t->err, "differ in version");
	loop(&log);
	log.head.threshold = 0;
	tree_bytes(t, C "sample/log", &log, sizeof(log));
	RUN(t, CTL_FAILED, "advise", "2", "--seconds", "0.01");
	loop(&log);
	tree_bytes(t, C "sample/log", &log, sizeof(log) / 2);
	RUN(t, CTL_FAILED, "advise", "2", "--seconds", "0.01");
	tree_bytes(t, C "sample/log", &log, sizeof(log.head) - 1);
	RUN(t, CTL_FAILED, "advise", "2", "--seconds", "0.01");
	assert_string_equal(tree_read(t, C "sample/interval"), "0\n");
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
