// SPDX-License-Identifier: GPL-2.0-only
/*
 * Negative control: a switch lets one device have all the workers of its container. Then devices
 * with a flood of faults starve another device, and the check of t_fair notices.
 *
 * vm: --mem 1024 --cpus 2 --variant controls
 */
#include "control.h"
#include "fair.h"

static void breaks(struct rig *r, bool broken)
{
	(void)r;
	must(iopf_param("break_fair", broken));
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	/* Together they have more faults than a workqueue has workers: 3 * 256. */
	rig_load("devices=4 engines=8", "");
	rig_open(&r, FLOOD_MAX + 1, VFIO_TYPE1v2_IOMMU);
	control_check(&r, fair_check, breaks, "the bound on one device's workers");
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
