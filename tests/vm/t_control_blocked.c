// SPDX-License-Identifier: GPL-2.0-only
/*
 * Negative control: a switch makes the backend hold the container's lock while it copies to user
 * space and while it pins memory. Then others wait, and the check of t_blocked_access notices.
 *
 * vm: --mem 1024 --variant controls --module fuse
 */
#include <string.h>

#include "control.h"
#include "blocked.h"

static void breaks(struct rig *r, bool broken)
{
	(void)r;
	must(iopf_param("break_unlock", broken));
}

/* While it is broken nobody gets on before it is let go. */
static void check(struct rig *r)
{
	for (unsigned int i = 0; i < blocked_count(); i++) {
		if (strcmp(blocked_name(i), "VFIO_IOMMU_DIRTY_PAGES: the report"))
			continue;
		blocked_prepare(r, i);
		tap_ok(blocked_begin(i), "%s: held", blocked_name(i));
		tap_ok(blocked_others(r, 5), "%s: nobody waits", blocked_name(i));
		blocked_end(i);
	}
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_load("devices=4", "");
	blocked_open(&r);
	control_check(&r, check, breaks, "nobody waits");
	blocked_close(&r);
	rig_balanced();
	return tap_done();
}
