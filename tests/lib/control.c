// SPDX-License-Identifier: GPL-2.0-only
/*
 * Negative controls: see control.h.
 */
#include "control.h"
#include "tap.h"

/* Return the number of failed points. */
static unsigned int failures(struct rig *r, void (*check)(struct rig *r),
			     void (*breaks)(struct rig *r, bool broken), bool broken)
{
	breaks(r, broken);
	tap_quiet(true);
	check(r);
	tap_quiet(false);
	breaks(r, false);
	return tap_quiet_failures();
}

void control_check(struct rig *r, void (*check)(struct rig *r),
		   void (*breaks)(struct rig *r, bool broken), const char *what)
{
	tap_is(failures(r, check, breaks, false), 0, "%s: passes", what);
	tap_ok(failures(r, check, breaks, true) > 0, "%s, broken: fails, as it should", what);
	tap_is(failures(r, check, breaks, false), 0, "%s, mended: passes", what);
}
