// SPDX-License-Identifier: GPL-2.0-only
/*
 * Groups join and leave a container that has mappings, while other devices do DMA in it.
 *
 * vm: --mem 1024
 */
#include "dma.h"
#include "rig.h"

#define LEN	(4 * MiB)

static void give_up(struct rig *r, unsigned int i)
{
	vfio_dev_put(&r->vfio[i]);
	must(vfio_dev_detach(&r->vfio[i]));
	vfio_dev_close(&r->vfio[i]);
}

static void take(struct rig *r, unsigned int i)
{
	must(vfio_dev_open(&r->vfio[i], &r->c, rig_bdf(i), VFIO_TYPE1v2_IOMMU));
	must(sim_up(&r->sim[i], &r->vfio[i], NULL));
}

/* Device 1 comes and goes; device 0 must not notice, and device 1 must find the mappings. */
static void check_second(struct rig *r, const struct simbuf *b)
{
	struct simbuf half = { (char *)b->va + LEN / 2, b->iova + LEN / 2, LEN / 2 };
	struct simbuf first = { b->va, b->iova, LEN / 2 };
	unsigned int i, bad = 0;
	struct dma dma;

	dma_start_both(&dma, &r->sim[0], &first, 1);
	for (i = 0; i < 6; i++) {
		give_up(r, 1);
		take(r, 1);
		bad += sim_write(&r->sim[1], &half, 0, half.len, i, NULL) != IOPF_SIM_ST_OK;
		bad += simbuf_differs(&half, 0, half.len, i) != 0;
	}
	dma_wait_rounds(&dma, 1);
	tap_is(dma_stop(&dma), 0, "a device that stays is not disturbed");
	dma_describe(&dma);
	tap_is(bad, 0, "a device that comes back finds the mappings");
}

/* With the last group gone the container forgets everything, as with stock type1. */
static void check_last(struct rig *r, const struct simbuf *b)
{
	give_up(r, 1);
	give_up(r, 0);
	rig_balanced();
	r->c.type = 0;
	take(r, 0);
	take(r, 1);
	tap_errno_is(vfio_map(&r->c, b->va, b->iova, b->len), 0,
		     "the container is empty after its last group left");
	rig_both_ways(&r->sim[0], b, 10, "used again, device 0");
	rig_both_ways(&r->sim[1], b, 12, "used again, device 1");
}

/* Detached with commands in flight: closing the device resets it. */
static void check_in_flight(struct rig *r, const struct simbuf *b)
{
	unsigned int round, i;

	for (round = 0; round < 8; round++) {
		if (!rig_stock())
			mem_drop(b->va, b->len);
		for (i = 0; i < 8; i++) {
			struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, LEN, 20);

			cmd.prg_depth = 8;
			must(sim_submit(&r->sim[1], &cmd));
		}
		sim_ring(&r->sim[1]);
		if (round & 1) {
			unsigned int spins = 0;

			while (!sim_reg(&r->sim[1], IOPF_SIM_REG_SQ_HEAD))
				sim_nap(&spins);
		}
		give_up(r, 1);
		take(r, 1);
	}
	rig_both_ways(&r->sim[1], b, 21, "detached in flight eight times");
	rig_both_ways(&r->sim[0], b, 23, "the other device");
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct rig r;

	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	b.va = mem_anon(LEN);
	rig_map(&r, &b);
	check_second(&r, &b);
	check_in_flight(&r, &b);
	check_last(&r, &b);
	check_in_flight(&r, &b);
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	tap_errno_is(rig_unload(), 0, "the modules can be unloaded");
	return tap_done();
}
