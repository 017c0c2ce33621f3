// SPDX-License-Identifier: GPL-2.0-only
/*
 * Negative controls of the checks of t_blocked_access. A switch makes the backend hold the
 * container's lock while it copies to user space and while it pins memory. Then others wait.
 * Another switch lets a group that joins wait for memory while its device is being unbound.
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

static void breaks_unbind(struct rig *r, bool broken)
{
	(void)r;
	must(iopf_param("break_unbind", broken));
}

/* A group that joins waits for memory to be pinned, until its device is unbound. */
static void check_unbind(struct rig *r)
{
	for (unsigned int i = 0; i < blocked_count(); i++) {
		if (!blocked_joins(i))
			continue;
		blocked_unbind_prepare(rig_bdf(3));
		blocked_prepare(r, i);
		tap_ok(blocked_begin(i), "%s: held", blocked_name(i));
		blocked_unbind();
		tap_ok(blocked_over(i, 5), "%s: ends when its device is unbound", blocked_name(i));
		blocked_end(i);
		must_be(blocked_unbound(120));
		must(rig_bind(rig_bdf(3)));
	}
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_load("devices=4", "");
	blocked_open(&r);
	control_check(&r, check, breaks, "nobody waits");
	control_check(&r, check_unbind, breaks_unbind, "unbinding does not wait");
	blocked_close(&r);
	rig_balanced();
	return tap_done();
}
