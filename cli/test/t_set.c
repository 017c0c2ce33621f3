// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl set: it converts values to the kernel's form; it writes nothing if any argument is wrong;
 * it restores all values if the kernel rejects one.
 *
 * The real kernel rejects the values: /proc/self/oom_score_adj accepts -1000 to 1000 only.
 */
#include <errno.h>
#include <string.h>

#include "../print/exit.h"
#include "tree.h"

#define C	"kernel/vfio_iopf/containers/2/"
#define D	"kernel/vfio_iopf/devices/0000:01:00.0/"
#define PICKY	"/proc/self/oom_score_adj"

static void one(struct tree *t)
{
	tree_module(t);
	tree_container(t, 2, "qemu");
	tree_device(t, "0000:01:00.0", "2", 0);
}

static void values(void **state)
{
	struct tree *t = *state;

	one(t);
	RUN(t, CTL_OK, "set", "2", "resident_high=512M", "resident_max=1G", "pinned_max=4096",
	    "pinned_high=0", "policy=pin", "fault_workers_max=32", "prefetch_max=max",
	    "aging_interval=60", "min_residency=5", "hot_pinned_max=1T");
	assert_string_equal(tree_read(t, C "resident_high"), "536870912\n");
	assert_string_equal(tree_read(t, C "resident_max"), "1073741824\n");
	assert_string_equal(tree_read(t, C "pinned_max"), "4096\n");
	assert_string_equal(tree_read(t, C "pinned_high"), "0\n");
	assert_string_equal(tree_read(t, C "policy"), "pin\n");
	assert_string_equal(tree_read(t, C "fault_workers_max"), "32\n");
	assert_string_equal(tree_read(t, C "prefetch_max"), "max\n");
	assert_string_equal(tree_read(t, C "aging_interval"), "60\n");
	assert_string_equal(tree_read(t, C "min_residency"), "5\n");
	assert_string_equal(tree_read(t, C "hot_pinned_max"), "1099511627776\n");
	SAYS(t->out, "container 2: resident_high = 536870912 (was max)");
	RUN(t, CTL_OK, "set", "2", "resident_max=max");
	assert_string_equal(tree_read(t, C "resident_max"), "max\n");
}

static void json(void **state)
{
	struct tree *t = *state;

	one(t);
	RUN(t, CTL_OK, "set", "2", "--json", "resident_max=1K", "policy=fault");
	JSON_INT(t, "/container", 2);
	JSON_INT(t, "/set/resident_max", 1024);
	JSON_STRING(t, "/set/policy", "fault");
	JSON_NULL(t, "/failed");
	JSON_NULL(t, "/error");
	JSON_LENGTH(t, "/restored", 0);
	RUN(t, CTL_OK, "set", "2", "--json", "resident_max=max", "aging_interval=5");
	JSON_STRING(t, "/set/resident_max", "max");
	JSON_INT(t, "/set/aging_interval", 5);
	RUN(t, CTL_OK, "set", "-d", "0000:01:00.0", "--json", "enabled=yes");
	JSON_BOOL(t, "/set/enabled", true);
	JSON_STRING(t, "/device", "0000:01:00.0");
}

static void device(void **state)
{
	struct tree *t = *state;

	one(t);
	RUN(t, CTL_OK, "set", "--device", "0000:01:00.0", "mode=selective", "policy=prefault",
	    "enabled=no");
	assert_string_equal(tree_read(t, D "mode"), "selective\n");
	assert_string_equal(tree_read(t, D "policy"), "prefault\n");
	assert_string_equal(tree_read(t, D "enabled"), "0\n");
	RUN(t, CTL_OK, "set", "0000:01:00.0", "-d", "enabled=on");
	assert_string_equal(tree_read(t, D "enabled"), "1\n");
	RUN(t, CTL_OK, "device", "mode", "0000:01:00.0", "none");
	assert_string_equal(tree_read(t, D "mode"), "none\n");
	RUN(t, CTL_OK, "device", "mode", "0000:01:00.0", "arbitrary", "--json");
	JSON_STRING(t, "/device", "0000:01:00.0");
	RUN(t, CTL_NOT_FOUND, "device", "mode", "0000:01:00.7", "none");
	RUN(t, CTL_USAGE, "device", "mode", "0000:01:00.0", "some");
	RUN(t, CTL_USAGE, "device", "mode", "0000:01:00.0");
}

/* Each bad assignment follows a good one, which the command must not execute. */
static void bad(void **state)
{
	static char *const args[] = {
		"resident_max",
		"=1",
		"resident_max=",
		"resident_max=x",
		"resident_max=-1",
		"resident_max=1.5G",
		"resident_max=16777216T",
		"resident_max=MAX",
		"resident_max=max ",
		"fault_workers_max=1K",
		"fault_workers_max=",
		"fault_workers_max=18446744073709551616",
		"aging_interval=-1",
		"aging_interval=1s",
		"min_residency=max",
		"policy=",
		"policy=nothing",
		"policy=default",
		"policy=fault pin",
		"policy=ault",
		"mode=none",
		"pid=1",
		"resident=1",
		"nonsense=1",
		"Policy=pin",
		"pinned_max=1M",
		"../../x=1",
	};
	struct tree *t = *state;

	one(t);
	for (unsigned int i = 0; i < ARRAY_SIZE(args); i++) {
		RUN(t, CTL_USAGE, "set", "2", "pinned_max=1M", args[i]);
		assert_string_equal(tree_read(t, C "pinned_max"), "max\n");
	}
	RUN(t, CTL_USAGE, "set", "--device", "0000:01:00.0", "enabled=2");
	RUN(t, CTL_USAGE, "set", "--device", "0000:01:00.0", "policy=device");
	RUN(t, CTL_USAGE, "set", "--device", "0000:01:00.0", "resident_max=1M");
	RUN(t, CTL_USAGE, "set");
	RUN(t, CTL_USAGE, "set", "2");
	RUN(t, CTL_USAGE, "set", "--device", "0000:01:00.0");
	RUN(t, CTL_USAGE, "set", "..", "resident_max=1M");
	RUN(t, CTL_USAGE, "set", "2/../2", "resident_max=1M");
	RUN(t, CTL_USAGE, "set", "", "resident_max=1M");
	RUN(t, CTL_USAGE, "set", "x", "resident_max=1M");
	RUN(t, CTL_NOT_FOUND, "set", "3", "resident_max=1M");
	SAYS(t->err, "iopfctl list");
	RUN(t, CTL_NOT_FOUND, "set", "--device", "0000:01:00.1", "mode=none");
	SAYS(t->err, "iopfctl probe");
}

static void not_there(void **state)
{
	struct tree *t = *state;

	one(t);
	tree_remove(t, C "resident_max");
	RUN(t, CTL_FAILED, "set", "2", "pinned_max=1M", "resident_max=1M");
	SAYS(t->err, "has no 'resident_max'");
	assert_string_equal(tree_read(t, C "pinned_max"), "max\n");
}

static void denied(void **state)
{
	struct tree *t = *state;

	one(t);
	t->as_nobody = true;
	RUN(t, CTL_DENIED, "set", "2", "pinned_max=1M");
	SAYS(t->err, "root");
	assert_string_equal(tree_read(t, C "pinned_max"), "max\n");
}

static void refused(void **state)
{
	struct tree *t = *state;

	one(t);
	tree_link(t, C "fault_workers_max", PICKY);
	RUN(t, CTL_FAILED, "set", "2", "pinned_max=1M", "policy=pin", "fault_workers_max=5000",
	    "resident_max=1M", "--json");
	assert_string_equal(tree_read(t, C "pinned_max"), "max\n");
	assert_string_equal(tree_read(t, C "policy"), "device\n");
	assert_string_equal(tree_read(t, C "resident_max"), "max\n");
	JSON_STRING(t, "/failed", "fault_workers_max");
	JSON_STRING(t, "/error", strerror(EINVAL));
	JSON_LENGTH(t, "/restored", 2);
	JSON_STRING(t, "/restored/0", "policy");
	JSON_STRING(t, "/restored/1", "pinned_max");
	JSON_LENGTH(t, "/not_restored", 0);
	SAYS(t->err, "the kernel rejects fault_workers_max=5000");
	SAYS(t->err, "policy is restored to device");
	/* The control: a value that the kernel accepts. */
	RUN(t, CTL_OK, "set", "2", "pinned_max=1M", "fault_workers_max=500");
	assert_string_equal(tree_read(t, C "pinned_max"), "1048576\n");
}

/* "enabled" may change the mode, too: the command restores both. */
static void refused_device(void **state)
{
	struct tree *t = *state;

	one(t);
	tree_file(t, D "mode", "none\n");
	tree_file(t, D "enabled", "0\n");
	tree_link(t, D "policy", PICKY);
	RUN(t, CTL_FAILED, "set", "--device", "0000:01:00.0", "enabled=1", "policy=pin");
	assert_string_equal(tree_read(t, D "enabled"), "0\n");
	assert_string_equal(tree_read(t, D "mode"), "none\n");
	SAYS(t->err, "enabled is restored to 0");
}

/* A file of at most 8 bytes accepts the new value, but not the old one again. */
static void stuck(void **state)
{
	struct tree *t = *state;

	one(t);
	tree_file(t, C "pinned_max", "18446744073709551615\n");
	tree_link(t, C "fault_workers_max", PICKY);
	t->file_limit = 8;
	RUN(t, CTL_FAILED, "set", "2", "pinned_max=1M", "policy=pin", "fault_workers_max=5000",
	    "--json");
	JSON_LENGTH(t, "/restored", 1);
	JSON_STRING(t, "/restored/0", "policy");
	JSON_LENGTH(t, "/not_restored", 1);
	JSON_STRING(t, "/not_restored/0", "pinned_max");
	SAYS(t->err, "pinned_max could not be restored to 18446744073709551615");
	assert_string_equal(tree_read(t, C "policy"), "device\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(values),
		TEST(json),
		TEST(device),
		TEST(bad),
		TEST(not_there),
		TEST(denied),
		TEST(refused),
		TEST(refused_device),
		TEST(stuck),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
