// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl list: each column comes from its file, the rate from two readings; files may be missing.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "../print/exit.h"
#include "tree.h"

static void two(struct tree *t)
{
	tree_module(t);
	tree_container(t, 2, "qemu-system-x86");
	tree_container(t, 10, "dpdk app");
	tree_device(t, "0000:01:00.0", "2", 100);
	tree_device(t, "0000:01:00.1", "2", 11);
	tree_device(t, "0000:02:00.0", "10", 7);
	tree_device(t, "0000:03:00.0", "none", 1000);
}

static void json(void **state)
{
	struct tree *t = *state;

	two(t);
	tree_file(t, "kernel/vfio_iopf/containers/2/resident_max", "536870912\n");
	tree_file(t, "kernel/vfio_iopf/containers/2/thrashing", "1\n");
	RUN(t, CTL_OK, "list", "--json", "-i", "0");
	JSON_LENGTH(t, "/containers", 2);
	JSON_INT(t, "/containers/0/id", 2);
	JSON_INT(t, "/containers/1/id", 10);
	JSON_INT(t, "/containers/0/pid", 1002);
	JSON_STRING(t, "/containers/0/command", "qemu-system-x86");
	JSON_STRING(t, "/containers/1/command", "dpdk app");
	JSON_LENGTH(t, "/containers/0/devices", 2);
	JSON_STRING(t, "/containers/0/devices/0", "0000:01:00.0");
	JSON_STRING(t, "/containers/0/devices/1", "0000:01:00.1");
	JSON_LENGTH(t, "/containers/1/devices", 1);
	JSON_INT(t, "/containers/0/areas", 2);
	JSON_INT(t, "/containers/0/mapped", 4ll << 30);
	JSON_INT(t, "/containers/0/resident", 3 << 20);
	JSON_INT(t, "/containers/0/pinned", 8192);
	JSON_INT(t, "/containers/0/resident_max", 536870912);
	JSON_STRING(t, "/containers/1/resident_max", "max");
	JSON_STRING(t, "/containers/0/policy", "device");
	JSON_INT(t, "/containers/0/faults", 111);
	JSON_INT(t, "/containers/1/faults", 7);
	JSON_BOOL(t, "/containers/0/thrashing", true);
	JSON_BOOL(t, "/containers/1/thrashing", false);
	/* One reading has no rate. */
	JSON_NULL(t, "/containers/0/faults_per_s");
}

static void table(void **state)
{
	struct tree *t = *state;

	two(t);
	RUN(t, CTL_OK, "list", "-i", "0");
	SAYS(t->out, "MAPPED");
	SAYS(t->out, "qemu-system-x86");
	SAYS(t->out, "0000:01:00.0, 0000:01:00.1");
	SAYS(t->out, "4G");
	SAYS(t->out, "3M");
	SAYS(t->out, "8K");
	SAYS(t->out, "max");
	assert_string_equal(t->err, "");
}

static void one(void **state)
{
	struct tree *t = *state;

	two(t);
	RUN(t, CTL_OK, "list", "10", "-i", "0");
	SAYS(t->out, "dpdk app");
	SAYS(t->out, "PREFAULT-PAGES");
	SAYS_NOT(t->out, "qemu");
	RUN(t, CTL_OK, "list", "10", "2", "-i", "0", "--json");
	JSON_LENGTH(t, "/containers", 2);
	JSON_INT(t, "/containers/0/id", 10);
	RUN(t, CTL_NOT_FOUND, "list", "3", "-i", "0");
	SAYS(t->err, "there is no container 3");
	assert_string_equal(t->out, "");
}

/* A module that lacks files: remove one after the other. */
static void missing(void **state)
{
	static const char *const files[] = {
		"resident_high", "resident_max",   "pinned_high",
		"pinned_max",	 "policy",	   "thrashing",
		"evicted",	 "refaults",	   "fault_workers_max",
		"prefetch_max",	 "hot_pinned_max",
	};
	struct tree *t = *state;
	char path[128];

	two(t);
	for (unsigned int i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "kernel/vfio_iopf/containers/2/%s", files[i]);
		tree_remove(t, path);
		RUN(t, CTL_OK, "list", "--json", "-i", "0");
		snprintf(path, sizeof(path), "/containers/0/%s", files[i]);
		JSON_NULL(t, path);
	}
	tree_file(t, "kernel/vfio_iopf/containers/2/mapped", "rubbish\n");
	RUN(t, CTL_OK, "list", "--json", "-i", "0");
	JSON_NULL(t, "/containers/0/mapped");
	RUN(t, CTL_OK, "list", "-i", "0");
	/* A container that ends. */
	tree_remove(t, "kernel/vfio_iopf/containers/2/pid");
	RUN(t, CTL_OK, "list", "--json", "-i", "0");
	JSON_LENGTH(t, "/containers", 1);
	RUN(t, CTL_NOT_FOUND, "list", "2", "-i", "0");
}

static void no_rate(void **state)
{
	struct tree *t = *state;

	two(t);
	tree_container(t, 11, "no device");
	RUN(t, CTL_OK, "list", "--json", "-i", "0.01");
	JSON_INT(t, "/containers/0/faults", 111);
	assert_true(json_object_get_double(tree_json(t, "/containers/0/faults_per_s")) == 0);
	JSON_NULL(t, "/containers/2/faults_per_s");
}

/* More columns than fit into a line: iopfctl prints several tables, and breaks no word. */
static void widths(void **state)
{
	static const unsigned int columns[] = { 40, 60, 80, 100, 120, 200 };
	static const char titles[] =
		"ID PID COMMAND DEVICES MAPPED RESIDENT RES-MAX PINNED PIN-MAX POLICY FAULTS/S";
	struct tree *t = *state;
	char name[32], all[2048] = "";

	two(t);
	for (unsigned int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "0000:02:%02x.%u", 1 + i / 8, i % 8);
		tree_device(t, name, "10", 1);
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", name,
			 i < 49 ? ", " : "");
	}
	tree_container(t, 11, "\033\033\033\033\033\033\033\033");
	for (unsigned int i = 0; i < ARRAY_SIZE(columns); i++) {
		t->terminal = columns[i];
		RUN(t, CTL_OK, "list", "-i", "0");
		tree_fits(t->out, columns[i]);
		tree_has_words(t->out, titles);
		tree_has_words(t->out, "2 1002 qemu-system-x86");
		tree_has_words(t->out, "10 1010 dpdk app");
		tree_has_words(t->out, all);
		RUN(t, CTL_OK, "list", "10", "-i", "0");
		tree_fits(t->out, columns[i]);
		tree_has_words(t->out, all);
	}
	/* Without a terminal, a container takes one line. */
	t->terminal = 0;
	RUN(t, CTL_OK, "list", "-i", "0");
	SAYS(t->out, all);
	RUN(t, CTL_OK, "list", "10", "-i", "0");
	SAYS(t->out, all);
	/* Nonsensical numbers count as unset. */
	t->columns = "-1";
	RUN(t, CTL_OK, "list", "-i", "0");
	SAYS(t->out, all);
	t->columns = "1";
	RUN(t, CTL_OK, "list", "-i", "0");
	tree_has_words(t->out, all);
}

/* Each table identifies the container of its rows. */
static void parts(void **state)
{
	struct tree *t = *state;

	two(t);
	t->columns = "60";
	RUN(t, CTL_OK, "list", "-i", "0");
	assert_string_equal(t->out,
			    "ID  PID COMMAND         DEVICES                    MAPPED\n"
			    " 2 1002 qemu-system-x86 0000:01:00.0, 0000:01:00.1     4G\n"
			    "10 1010 dpdk app        0000:02:00.0                   4G\n"
			    "\n"
			    "ID RESIDENT RES-MAX PINNED PIN-MAX POLICY FAULTS/S THRASHING\n"
			    " 2       3M     max     8K     max device        - no\n"
			    "10       3M     max     8K     max device        - no\n");
	/* Without a width there is one table. */
	t->columns = NULL;
	RUN(t, CTL_OK, "list", "-i", "0");
	SAYS_NOT(t->out, "\n\n");
}

/* Characters that take two columns. */
static void wide(void **state)
{
	struct tree *t = *state;

	tree_module(t);
	tree_container(t, 2, "\xe6\x97\xa5\xe6\x9c\xac");
	tree_container(t, 3, "u\314\210bcdefgh");
	t->locale = "C.UTF-8";
	RUN(t, CTL_OK, "list", "-i", "0");
	SAYS(t->out, " 2 1002 \xe6\x97\xa5\xe6\x9c\xac     -");
	SAYS(t->out, " 3 1003 u\314\210bcdefgh -");
}

/* The output has no room. */
static void no_room(void **state)
{
	char path[] = "/dev/full";
	struct tree *t = *state;

	two(t);
	t->out_file = path;
	RUN(t, CTL_FAILED, "list", "-i", "0");
	SAYS(t->err, "writing the result: No space left on device");
	RUN(t, CTL_FAILED, "list", "-i", "0", "--json");
	SAYS(t->err, "writing the result: No space left on device");
	/* --watch ends. */
	RUN(t, CTL_FAILED, "list", "-i", "0.01", "--watch");
	RUN(t, CTL_FAILED, "--version");
	RUN(t, CTL_FAILED, "--help");
}

static struct json_object *next_line(struct tree *t, FILE *out)
{
	char line[65536];

	if (!fgets(line, sizeof(line), out))
		fail_msg("it has ended");
	json_object_put(t->json);
	t->json = json_tokener_parse(line);
	assert_non_null(t->json);
	return t->json;
}

/* The counter increases, then decreases, then the device leaves the container. */
static void watch(void **state)
{
	struct tree *t = *state;
	double rate;
	int status;
	pid_t pid;
	FILE *out;

	two(t);
	out = tree_start(t, &pid, "list", "--watch", "--json", "-i", "0.05", NULL);
	assert_non_null(out);
	next_line(t, out);
	assert_true(json_object_get_double(tree_json(t, "/containers/0/faults_per_s")) == 0);
	tree_file(t, "kernel/vfio_iopf/devices/0000:01:00.1/faults", "261\n");
	do {
		next_line(t, out);
		rate = json_object_get_double(tree_json(t, "/containers/0/faults_per_s"));
	} while (json_object_get_int(tree_json(t, "/containers/0/faults")) == 111);
	/* 250 more faults, in 0.05 s or more. */
	assert_true(rate > 0 && rate <= 250 / 0.05);
	assert_true(json_object_get_double(tree_json(t, "/containers/1/faults_per_s")) == 0);

	/* A device is bound again. The other device of the container continues to count. */
	tree_file(t, "kernel/vfio_iopf/devices/0000:01:00.1/faults", "3\n");
	do {
		next_line(t, out);
		rate = json_object_get_double(tree_json(t, "/containers/0/faults_per_s"));
	} while (json_object_get_int(tree_json(t, "/containers/0/faults")) != 103);
	assert_true(rate == 0);

	tree_file(t, "kernel/vfio_iopf/devices/0000:02:00.0/container", "none\n");
	do {
		next_line(t, out);
	} while (json_object_array_length(tree_json(t, "/containers/1/devices")));
	JSON_NULL(t, "/containers/1/faults_per_s");

	kill(pid, SIGINT);
	/* Empty the pipe, so that iopfctl can exit. */
	while (fgetc(out) != EOF)
		;
	fclose(out);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == CTL_OK);
}

static void watch_count(void **state)
{
	struct tree *t = *state;
	unsigned int lines = 0;

	two(t);
	RUN(t, CTL_OK, "list", "--watch", "--json", "-i", "0.01", "-n", "3");
	for (const char *p = t->out; *p; p++)
		lines += *p == '\n';
	assert_int_equal(lines, 3);
	RUN(t, CTL_OK, "list", "--watch", "-i", "0.01", "-n", "2");
	/* No escape sequences without a terminal. */
	SAYS_NOT(t->out, "\033");
}

static void bad(void **state)
{
	static char *const intervals[] = { "", "x", "-1", "1x", "nan", "inf", "86401" };
	static char *const counts[] = { "", "0", "-1", "x", "1x", "99999999999999999999" };
	static char *const ids[] = { "", "x", "-1", "1x", "../2", "0x2", " 2" };
	struct tree *t = *state;

	two(t);
	for (unsigned int i = 0; i < ARRAY_SIZE(intervals); i++)
		RUN(t, CTL_USAGE, "list", "-i", intervals[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(counts); i++)
		RUN(t, CTL_USAGE, "list", "-w", "-n", counts[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(ids); i++)
		RUN(t, CTL_USAGE, "list", ids[i]);
	RUN(t, CTL_USAGE, "list", "-w", "-i", "0");
	RUN(t, CTL_USAGE, "list", "-n", "3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(json),
		TEST(table),
		TEST(one),
		TEST(missing),
		TEST(no_rate),
		TEST(widths),
		TEST(parts),
		TEST(wide),
		TEST(no_room),
		TEST(watch),
		TEST(watch_count),
		TEST(bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
