// SPDX-License-Identifier: GPL-2.0-only
/*
 * Negative control: a switch of the simulator leaves the device's ATC without invalidations. Then
 * the device uses a stale translation, and the checks of the suite notice.
 *
 * vm: --mem 768 --swap 512 --variant controls
 */
#include "control.h"

#define LEN	(64ul * 4096)

static void breaks(struct rig *r, bool broken)
{
	sim_knob(r->vfio[0].bdf, "atc_ignore_inv", broken);
	if (broken)
		return;
	/* Remove all cached translations. */
	must(vfio_reset(&r->vfio[0]));
	must(vfio_bus_master(&r->vfio[0], true));
	must(sim_up(&r->sim[0], &r->vfio[0], NULL));
}

static void check(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	const char *bdf = r->vfio[0].bdf;
	uint64_t stale = sim_count(bdf, "stale_uses"), sum = 1;

	rig_map(r, &b);
	rig_both_ways(&r->sim[0], &b, 1, "before");
	mem_drop(b.va, LEN);
	rig_status_is(sim_checksum(&r->sim[0], &b, 0, LEN, &sum, NULL), IOPF_SIM_ST_OK,
		      "dropped memory is read");
	tap_is(sum, 0, "it is zero");
	rig_unmap(r, &b);
	tap_is(sim_count(bdf, "stale_uses") - stale, 0, "no stale translation was used");
	mem_unmap(b.va, LEN);
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	control_check(&r, check, breaks, "the ATC's invalidation");
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
