/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every unit test includes this first: cmocka with the headers it needs, and CHECK() for the
 * models, which unit tests and fuzz targets share.
 */
#ifndef IOPF_CORE_TEST_UNIT_H
#define IOPF_CORE_TEST_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CHECK(cond)	assert_true(cond)

#endif /* IOPF_CORE_TEST_UNIT_H */
