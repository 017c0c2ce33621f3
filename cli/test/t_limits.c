// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopfctl limits: it shows the rules in force and the limits that are kept; it checks a file; it
 * gives the file to the module unchanged; it makes the module forget limits by their key.
 */
#include <string.h>

#include "../print/exit.h"
#include "tree.h"

#define CONF	"etc/limits.conf"
#define LIMITS	"kernel/vfio_iopf/limits"
#define KEPT	"kernel/vfio_iopf/limits_sticky"

static const char active[] =
	"sticky - address 0000:01:00.0 resident_max=1048576 fault_workers_max=4\n"
	"sticky - process 143 policy=pin\n"
	"admin 3 cgroup /a=b* user 1000-1999 resident_max=8G # the students'\n";

static const char *file_of(struct tree *t)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/" CONF, t->dir);
	return path;
}

static void module(struct tree *t)
{
	tree_module(t);
	tree_file(t, LIMITS, "%s", active);
	tree_file(t, KEPT, "%s", "");
}

static void list(void **state)
{
	struct tree *t = *state;

	RUN(t, CTL_NO_MODULE, "limits");
	module(t);
	RUN(t, CTL_OK, "limits", "--json");
	JSON_LENGTH(t, "/limits", 3);
	JSON_STRING(t, "/limits/0/origin", "sticky");
	JSON_STRING(t, "/limits/0/match", "address 0000:01:00.0");
	JSON_STRING(t, "/limits/0/settings/1", "fault_workers_max=4");
	JSON_STRING(t, "/limits/1/match", "process 143");
	JSON_STRING(t, "/limits/2/match", "cgroup /a=b* user 1000-1999");
	JSON_STRING(t, "/limits/2/settings/0", "resident_max=8G");
	JSON_STRING(t, "/limits/2/source", "the students'");
	JSON_INT(t, "/limits/2/line", 3);
	RUN(t, CTL_OK, "limits", "list");
	SAYS(t->out, "address 0000:01:00.0");
	RUN(t, CTL_USAGE, "limits", "show");
}

static void check_and_apply(void **state)
{
	struct tree *t = *state;

	module(t);
	RUN(t, CTL_NOT_FOUND, "limits", "check", file_of(t));
	tree_file(t, CONF, "%s", "# mine\nuser 1000 resident_max=1M\n");
	RUN(t, CTL_OK, "limits", "check", file_of(t));
	SAYS(t->out, "valid: 1 rule of ");
	RUN(t, CTL_OK, "limits", "apply", file_of(t));
	assert_string_equal(tree_read(t, LIMITS), "# mine\nuser 1000 resident_max=1M\n");
	tree_file(t, CONF, "%s", "user 1000 resident_max=1\n");
	RUN(t, CTL_FAILED, "limits", "apply", file_of(t));
	SAYS(t->err, "line 1, column 11: 'resident_max=1': expected bytes, 256K at least, or max");
	assert_string_equal(tree_read(t, LIMITS), "# mine\nuser 1000 resident_max=1M\n");
	tree_remove(t, LIMITS);
	RUN(t, CTL_FAILED, "limits", "apply", file_of(t));
	SAYS(t->err, "has no table of limits");
}

static void forget(void **state)
{
	struct tree *t = *state;

	module(t);
	RUN(t, CTL_USAGE, "limits", "forget");
	RUN(t, CTL_OK, "limits", "forget", "address", "0000:01:00.0");
	assert_string_equal(tree_read(t, KEPT), "address 0000:01:00.0\n");
	RUN(t, CTL_OK, "limits", "forget", "all");
	assert_string_equal(tree_read(t, KEPT), "*\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(list),
		TEST(check_and_apply),
		TEST(forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
