// SPDX-License-Identifier: GPL-2.0-only
/*
 * Function level reset while the device waits for faults, again and again. Each page request is
 * answered or forgotten. No response goes to a request that it does not belong to. No DMA happens
 * after the reset.
 *
 * vm: --mem 1024
 */
#include "rig.h"

#define LEN	(8 * MiB)

static void flood(struct simdev *s, const struct simbuf *b, unsigned int depth)
{
	unsigned int i;

	for (i = 0; i < 8; i++) {
		struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, i * LEN / 8, LEN / 8, 1);

		cmd.prg_depth = (uint16_t)depth;
		cmd.prg_pages = (uint16_t)depth;
		must(sim_submit(s, &cmd));
	}
	sim_ring(s);
}

static void again(struct rig *r)
{
	must(vfio_bus_master(&r->vfio[0], true));
	must(sim_up(&r->sim[0], &r->vfio[0], NULL));
}

static void check_rounds(struct rig *r, const struct simbuf *b, unsigned int depth)
{
	unsigned int round, spins, wrong = 0;
	uint64_t sum;

	for (round = 0; round < 12; round++) {
		uint64_t requests = sim_count(r->vfio[0].bdf, "requests");

		if (!rig_stock())
			mem_drop(b->va, LEN);
		flood(&r->sim[0], b, depth);
		spins = 0;
		/* At different depths into the faults. */
		while (sim_count(r->vfio[0].bdf, "requests") - requests < round * 20 &&
		       sim_reg(&r->sim[0], IOPF_SIM_REG_CQ_TAIL) < 8)
			sim_nap(&spins);
		must(vfio_reset(&r->vfio[0]));
		sum = simbuf_sum(b, 0, LEN);
		for (spins = 0; spins < 250;)
			sim_nap(&spins);
		wrong += simbuf_sum(b, 0, LEN) != sum;
		again(r);
	}
	tap_is(wrong, 0, "no DMA after a reset, %u groups deep", depth);
	rig_both_ways(&r->sim[0], b, 2, "after resets");
}

/* With responses slow, the reset meets groups that are outstanding for certain. */
static void check_outstanding(struct rig *r, const struct simbuf *b)
{
	unsigned int round;

	sim_knob(r->vfio[0].bdf, "resp_delay_us", 20000);
	for (round = 0; round < 4; round++) {
		uint64_t groups = sim_count(r->vfio[0].bdf, "groups");
		unsigned int spins = 0;

		mem_drop(b->va, LEN);
		flood(&r->sim[0], b, 4);
		while (sim_count(r->vfio[0].bdf, "groups") == groups)
			sim_nap(&spins);
		must(vfio_reset(&r->vfio[0]));
		again(r);
	}
	sim_knob(r->vfio[0].bdf, "resp_delay_us", 0);
	rig_both_ways(&r->sim[0], b, 4, "after resets with groups outstanding");
	/* And with the device deaf: nothing may wait for it. */
	sim_knob(r->vfio[0].bdf, "resp_ignore", 1);
	mem_drop(b->va, LEN);
	flood(&r->sim[0], b, 4);
	for (round = 0; round < 400;)
		sim_nap(&round);
	tap_errno_is(vfio_reset(&r->vfio[0]), 0, "a deaf device can be reset");
	sim_knob(r->vfio[0].bdf, "resp_ignore", 0);
	again(r);
	rig_both_ways(&r->sim[0], b, 6, "it works again");
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct rig r;

	rig_load("engines=2", "");
	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	b.va = mem_anon(LEN);
	rig_map(&r, &b);
	check_rounds(&r, &b, 1);
	check_rounds(&r, &b, 16);
	if (!rig_stock())
		check_outstanding(&r, &b);
	rig_both_ways(&r.sim[1], &b, 8, "the other device");
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
