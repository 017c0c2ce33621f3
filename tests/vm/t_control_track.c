// SPDX-License-Identifier: GPL-2.0-only
/*
 * Negative control: a switch lets pages become writable during dirty tracking without a note. Then
 * a copy that follows the reports misses writes of the device, and the check of the migration
 * notices.
 *
 * vm: --mem 1024 --variant controls
 */
#include "control.h"
#include "migrate.h"

#define LEN	(2 * MiB)

static void breaks(struct rig *r, bool broken)
{
	(void)r;
	must(iopf_param("break_track", broken));
}

static void check(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };

	rig_map(r, &b);
	migrate_check(r, &b, "migration");
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_load("devices=1 engines=2", "");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	control_check(&r, check, breaks, "writes are tracked");
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
