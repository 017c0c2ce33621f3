// SPDX-License-Identifier: GPL-2.0-only
/*
 * Negative control: with the container's lock held while user space is copied to, and while its
 * memory is pinned, others wait, and t_stall's check notices.
 *
 * vm: --mem 1024 --variant controls --module fuse
 */
#include <string.h>

#include "control.h"
#include "stall.h"

static void breaks(struct rig *r, bool broken)
{
	(void)r;
	must(iopf_param("break_unlock", broken));
}

/* While it is broken nobody gets on before it is let go. */
static void check(struct rig *r)
{
	for (unsigned int i = 0; i < stall_count(); i++) {
		if (strcmp(stall_name(i), "VFIO_IOMMU_DIRTY_PAGES: the report"))
			continue;
		stall_prepare(r, i);
		tap_ok(stall_begin(i), "%s: held", stall_name(i));
		tap_ok(stall_others(r, 5), "%s: nobody waits", stall_name(i));
		stall_end(i);
	}
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_load("devices=4", "");
	stall_open(&r);
	control_check(&r, check, breaks, "nobody waits");
	stall_close(&r);
	rig_balanced();
	return tap_done();
}
