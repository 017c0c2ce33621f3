/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Negative controls: a check of the suite must fail when a safety check is off, and only then.
 */
#ifndef TESTS_LIB_CONTROL_H
#define TESTS_LIB_CONTROL_H

#include "rig.h"

/**
 * control_check() - decide three points: a check passes, fails when broken, passes again
 * @r: the rig
 * @check: the check; decides points
 * @breaks: switches the safety check off, or on again
 * @what: name of the safety check, for the points
 */
void control_check(struct rig *r, void (*check)(struct rig *r),
		   void (*breaks)(struct rig *r, bool broken), const char *what);

#endif /* TESTS_LIB_CONTROL_H */
