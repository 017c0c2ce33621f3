// SPDX-License-Identifier: GPL-2.0-only
/*
 * Negative control: with pages that become writable unnoticed while writes are tracked, a copy that
 * follows the reports misses what the device wrote, and the migration check notices.
 *
 * vm: --mem 1024 --variant controls
 */
#include "migrate.h"

#define LEN	(2 * MiB)

static unsigned int run(struct rig *r, bool broken)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };

	must(iopf_param("break_track", broken));
	tap_quiet(true);
	rig_map(r, &b);
	migrate_check(r, &b, "migration");
	rig_unmap(r, &b);
	tap_quiet(false);
	must(iopf_param("break_track", 0));
	mem_unmap(b.va, LEN);
	return tap_quiet_failures();
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_load("devices=1 engines=2", "");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	tap_is(run(&r, false), 0, "writes tracked: passes");
	tap_ok(run(&r, true) > 0, "writes not tracked: the copy differs, and it is noticed");
	tap_is(run(&r, false), 0, "writes tracked again: passes");
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
