// SPDX-License-Identifier: GPL-2.0-only
/*
 * Negative control: a switch makes faults ignore the budget. Then more than the maximum is mapped,
 * and the check notices.
 *
 * vm: --mem 1024 --variant controls
 */
#include "budget.h"
#include "control.h"

static void breaks(struct rig *r, bool broken)
{
	(void)r;
	must(iopf_param("break_budget", broken));
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_load("devices=2", "");
	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	control_check(&r, budget_check, breaks, "the limit of mapped memory");
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
