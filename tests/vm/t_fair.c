// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device has hundreds of faults that wait for memory that nobody provides. Nobody else waits for
 * them: not another device of the container, not another container, and not a process that
 * detaches the device.
 *
 * vm: --mem 1024
 */
#include "fair.h"

#define LEN	(2 * MiB)

/* Device 0 floods; 1 is in the same container, 2 in another. */
static void check_neighbours(struct rig *r, struct rig *apart)
{
	struct simbuf near = { mem_anon(LEN), RIG_IOVA, LEN };
	struct simbuf far = { mem_anon(LEN), RIG_IOVA, LEN };
	struct flood f;

	rig_map(r, &near);
	rig_map(apart, &far);
	flood_start(&f, r, 1);
	rig_both_ways(&r->sim[1], &near, 1, "the same container, absent memory");
	rig_both_ways(&apart->sim[0], &far, 3, "another container, absent memory");
	mem_drop(near.va, LEN);
	mem_drop(far.va, LEN);
	rig_both_ways(&r->sim[1], &near, 5, "the same container, dropped");
	rig_both_ways(&apart->sim[0], &far, 7, "another container, dropped");
	flood_waits(&f);
	flood_end(&f);
	rig_unmap(r, &near);
	rig_unmap(apart, &far);
	mem_unmap(near.va, LEN);
	mem_unmap(far.va, LEN);
}

static uint64_t responses(const char *bdf)
{
	return sim_count(bdf, "responses_success") + sim_count(bdf, "responses_invalid");
}

/* The flood's device is reset: its faults are orphans, and their pages may come or not. */
static void check_reset(struct rig *r)
{
	uint64_t before = responses(r->vfio[0].bdf);
	unsigned int spins = 0;
	struct flood f;

	flood_start(&f, r, 1);
	tap_errno_is(vfio_reset(&r->vfio[0]), 0, "a reset does not wait for the flood");
	tap_errno_is(vfio_unmap(&r->c, f.b.iova, f.b.len), 0, "unmapping its memory does not wait");
	flood_stop(&f);
	/* Threads answer these faults at any time; the next check counts its own responses. */
	while (responses(r->vfio[0].bdf) - before < FLOOD_GROUPS && spins < 20000)
		sim_nap(&spins);
	tap_is(responses(r->vfio[0].bdf) - before, FLOOD_GROUPS, "each orphan is answered");
	must(vfio_bus_master(&r->vfio[0], true));
	must(sim_up(&r->sim[0], &r->vfio[0], NULL));
}

/* The device leaves: faults with a worker and faults without one are cancelled. */
static void check_detach(struct rig *r, struct rig *apart)
{
	struct simbuf far = { mem_anon(LEN), RIG_IOVA, LEN };
	struct simbuf near = { mem_anon(LEN), RIG_IOVA, LEN };
	uint64_t invalid = iopf_count(r->vfio[0].bdf, "responses_invalid");
	struct flood f;

	rig_map(r, &near);
	rig_map(apart, &far);
	flood_start(&f, r, 1);
	vfio_dev_put(&r->vfio[0]);
	tap_errno_is(vfio_dev_detach(&r->vfio[0]), 0, "detach does not wait for the flood");
	tap_is(iopf_count(r->vfio[0].bdf, "responses_invalid") - invalid, FLOOD_GROUPS,
	       "each of its groups was answered");
	rig_both_ways(&r->sim[1], &near, 1, "the rest of the container");
	vfio_dev_close(&r->vfio[0]);
	/* With workers of the first life still asleep, a second one. */
	must(vfio_dev_open(&r->vfio[0], &apart->c, rig_bdf(0), VFIO_TYPE1v2_IOMMU));
	must(sim_up(&r->sim[0], &r->vfio[0], NULL));
	rig_both_ways(&r->sim[0], &far, 3, "the flooding device in another container");
	rig_unmap(r, &f.b);
	flood_stop(&f);
	rig_both_ways(&r->sim[0], &far, 5, "when the flood is over");
	rig_unmap(r, &near);
	rig_unmap(apart, &far);
	mem_unmap(near.va, LEN);
	mem_unmap(far.va, LEN);
}

int main(void)
{
	struct rig r, apart;

	rig_backend_only();
	rig_load("devices=3 engines=8", "");
	rig_open_at(&r, 0, 2, VFIO_TYPE1v2_IOMMU);
	rig_open_at(&apart, 2, 1, VFIO_TYPE1v2_IOMMU);

	tap_diag("faults are handled by whoever reports them");
	fair_check(&r);
	check_neighbours(&r, &apart);
	check_reset(&r);

	tap_diag("one thread takes all faults");
	sim_iommu_knob("prq_thread", 1);
	fair_check(&r);
	check_neighbours(&r, &apart);
	check_reset(&r);
	rig_clean(&r);
	check_detach(&r, &apart);
	sim_iommu_knob("prq_thread", 0);

	rig_close(&r);
	rig_close(&apart);
	rig_balanced();
	tap_errno_is(rig_unload_soon(), 0, "the modules can be unloaded");
	return tap_done();
}
