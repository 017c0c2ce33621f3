// SPDX-License-Identifier: GPL-2.0-only
/*
 * The words of modes and policies: each parses back, and no other word parses.
 */
#include "unit.h"

#include "../mode.h"

static void modes(void **state)
{
	(void)state;
	for (int i = IOPF_MODE_NONE; i <= IOPF_MODE_ARBITRARY; i++) {
		const char *name = iopf_mode_name(i);

		assert_int_equal(iopf_mode_parse(name, strlen(name)), i);
		assert_int_equal(iopf_mode_parse(name, strlen(name) - 1), -EINVAL);
	}
	assert_string_equal(iopf_mode_name(IOPF_MODE_NONE), "none");
	assert_string_equal(iopf_mode_name(IOPF_MODE_SELECTIVE), "selective");
	assert_string_equal(iopf_mode_name(IOPF_MODE_ARBITRARY), "arbitrary");
	assert_int_equal(iopf_mode_parse("any", 3), -EINVAL);
	assert_int_equal(iopf_mode_parse("", 0), -EINVAL);
}

static void policies(void **state)
{
	(void)state;
	for (int i = IOPF_POLICY_DEFAULT; i <= IOPF_POLICY_PIN; i++) {
		const char *name = iopf_policy_name(i);

		assert_int_equal(iopf_policy_parse(name, strlen(name)), i);
		assert_int_equal(iopf_policy_parse(name, strlen(name) - 1), -EINVAL);
	}
	assert_string_equal(iopf_policy_name(IOPF_POLICY_DEFAULT), "default");
	assert_string_equal(iopf_policy_name(IOPF_POLICY_FAULT), "fault");
	assert_string_equal(iopf_policy_name(IOPF_POLICY_PREFAULT), "prefault");
	assert_string_equal(iopf_policy_name(IOPF_POLICY_PIN), "pin");
	assert_int_equal(iopf_policy_parse("none", 4), -EINVAL);
	/* The stronger of several wins. */
	assert_true(IOPF_POLICY_DEFAULT < IOPF_POLICY_FAULT);
	assert_true(IOPF_POLICY_FAULT < IOPF_POLICY_PREFAULT);
	assert_true(IOPF_POLICY_PREFAULT < IOPF_POLICY_PIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modes),
		cmocka_unit_test(policies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
