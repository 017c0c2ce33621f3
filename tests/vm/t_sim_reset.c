// SPDX-License-Identifier: GPL-2.0-only
/*
 * Simulator: function level reset, idle and with commands in flight, and bus mastering off.
 *
 * vm: --mem 1024
 */
#include <linux/pci_regs.h>

#include "rig.h"

#define LEN	(4 * MiB)

static void check_zero(struct simdev *s, const char *what)
{
	unsigned int off;
	uint32_t sum = 0;

	for (off = IOPF_SIM_REG_CTRL; off < IOPF_SIM_REG_ERROR_IOVA + 8; off += 4)
		sum |= sim_reg(s, off);
	sum |= sim_reg(s, IOPF_SIM_REG_SQ_TAIL) | sim_reg(s, IOPF_SIM_REG_CQ_HEAD);
	tap_is(sum, 0, "%s: registers are zero", what);
	tap_is(sim_reg(s, IOPF_SIM_REG_MAGIC), IOPF_SIM_MAGIC, "%s: the magic stays", what);
	tap_is(sim_reg(s, IOPF_SIM_REG_VERSION), IOPF_SIM_VERSION, "%s: the version stays", what);
}

static void check_again(struct rig *r, const struct simbuf *b, uint64_t seed, const char *what)
{
	must(vfio_bus_master(&r->vfio[0], true));
	tap_errno_is(sim_up(&r->sim[0], &r->vfio[0], NULL), 0, "%s: comes up again", what);
	rig_both_ways(&r->sim[0], b, seed, what);
}

static void check_in_flight(struct rig *r, const struct simbuf *b)
{
	struct simdev *s = &r->sim[0];
	unsigned int round, i, spins;

	for (round = 0; round < 5; round++) {
		for (i = 0; i < 16; i++) {
			struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, b->len, 3);

			must(sim_submit(s, &cmd));
		}
		sim_ring(s);
		spins = 0;
		while (!sim_reg(s, IOPF_SIM_REG_SQ_HEAD))
			sim_nap(&spins);
		must(vfio_reset(&r->vfio[0]));
		check_zero(s, "reset in flight");
		/* No write may happen any more. */
		simbuf_fill(b, 0, b->len, 4);
		for (i = 0; i < 50; i++)
			sim_nap(&spins);
		tap_is(simbuf_differs(b, 0, b->len, 4), 0, "reset in flight: no DMA after it");
		check_again(r, b, 10 + round, "after a reset in flight");
	}
}

static void check_no_master(struct rig *r, const struct simbuf *b)
{
	struct simdev *s = &r->sim[0];
	struct iopf_sim_cpl cpl;
	int status;

	must(vfio_bus_master(&r->vfio[0], false));
	simbuf_fill(b, 0, b->len, 20);
	status = sim_write(s, b, 0, b->len, 21, &cpl);
	tap_diag("a write without bus mastering completes with %s",
		 sim_status_name((unsigned int)status));
	tap_ok(status != IOPF_SIM_ST_OK, "no bus master: a command fails");
	tap_is(simbuf_differs(b, 0, b->len, 20), 0, "no bus master: nothing is written");
	must(vfio_bus_master(&r->vfio[0], true));
	rig_both_ways(s, b, 22, "bus master again");
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	uint64_t resets;
	struct rig r;

	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	b.va = mem_anon(b.len);
	rig_map(&r, &b);
	rig_both_ways(&r.sim[0], &b, 1, "before");

	resets = sim_count(r.vfio[0].bdf, "flr");
	tap_errno_is(vfio_reset(&r.vfio[0]), 0, "reset when idle");
	tap_is(sim_count(r.vfio[0].bdf, "flr"), resets + 1, "the device saw one FLR");
	check_zero(&r.sim[0], "reset when idle");
	check_again(&r, &b, 2, "after a reset when idle");
	check_in_flight(&r, &b);
	check_no_master(&r, &b);

	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
