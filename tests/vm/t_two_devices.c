// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two devices, one with PRI and one that stalls. In one container they share every mapping. In two
 * containers they share nothing, even with the same memory and the same IOVA.
 *
 * vm: --mem 1024
 */
#include "dma.h"
#include "rig.h"

#define LEN	(4 * MiB)

static void check_one_container(void)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct simbuf upper = { (char *)b.va + LEN / 2, b.iova + LEN / 2, LEN / 2 };
	struct simbuf lower = { b.va, b.iova, LEN / 2 };
	struct dma dma[2];
	struct rig r;

	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	rig_status_is(sim_write(&r.sim[0], &b, 0, LEN, 1, NULL), IOPF_SIM_ST_OK, "device 0 writes");
	rig_status_is(sim_verify(&r.sim[1], &b, 0, LEN, 1, NULL), IOPF_SIM_ST_OK, "device 1 reads");
	rig_status_is(sim_copy(&r.sim[1], &b, LEN / 2, &b, 0, LEN / 2, NULL), IOPF_SIM_ST_OK,
		      "device 1 copies");
	rig_both_ways(&r.sim[0], &b, 2, "device 0");
	rig_both_ways(&r.sim[1], &b, 4, "device 1");

	dma_start_both(&dma[0], &r.sim[0], &lower, 6);
	dma_start_both(&dma[1], &r.sim[1], &upper, 7);
	dma_wait_rounds(&dma[0], 1);
	dma_wait_rounds(&dma[1], 1);
	tap_is(dma_stop(&dma[0]) + dma_stop(&dma[1]), 0, "both at once");
	rig_same(&lower, 6, "device 0's half");
	rig_same(&upper, 7, "device 1's half");
	rig_unmap(&r, &b);
	rig_clean(&r);
	rig_close(&r);
	mem_unmap(b.va, LEN);
	rig_balanced();
}

static void check_two_containers(void)
{
	struct simbuf a = { mem_anon(LEN), RIG_IOVA, LEN }, b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct simbuf shared = { mem_anon(LEN), RIG_IOVA + LEN, LEN };
	struct rig first, second;
	struct dma dma[2];
	int i;

	rig_open_at(&first, 0, 1, VFIO_TYPE1v2_IOMMU);
	rig_open_at(&second, 1, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&first, &a);
	rig_map(&second, &b);
	rig_map(&first, &shared);
	rig_map(&second, &shared);
	rig_both_ways(&first.sim[0], &a, 1, "first container");
	rig_both_ways(&second.sim[0], &b, 3, "second container");
	rig_same(&a, 2, "the same IOVA is other memory");
	rig_status_is(sim_write(&first.sim[0], &shared, 0, LEN, 5, NULL), IOPF_SIM_ST_OK,
		      "memory in both: the first writes");
	rig_status_is(sim_verify(&second.sim[0], &shared, 0, LEN, 5, NULL), IOPF_SIM_ST_OK,
		      "memory in both: the second reads");
	if (!rig_stock()) {
		mem_drop(shared.va, LEN);
		rig_status_is(sim_write(&second.sim[0], &shared, 0, LEN, 6, NULL), IOPF_SIM_ST_OK,
			      "dropped: the second writes");
		rig_status_is(sim_verify(&first.sim[0], &shared, 0, LEN, 6, NULL), IOPF_SIM_ST_OK,
			      "dropped: the first reads");
	}
	dma_start_both(&dma[0], &first.sim[0], &a, 7);
	dma_start_both(&dma[1], &second.sim[0], &b, 8);
	for (i = 0; i < 10; i++) {
		rig_unmap(&first, &shared);
		rig_map(&first, &shared);
	}
	dma_wait_rounds(&dma[0], 1);
	dma_wait_rounds(&dma[1], 1);
	tap_is(dma_stop(&dma[0]) + dma_stop(&dma[1]), 0, "both at once, mapping and unmapping");
	rig_same(&a, 7, "first container");
	rig_same(&b, 8, "second container");
	rig_close(&first);
	rig_both_ways(&second.sim[0], &shared, 9, "the first is closed, the second works on");
	rig_clean(&second);
	rig_close(&second);
	rig_balanced();
}

int main(void)
{
	rig_load("devices=2 stall=2", "");
	check_one_container();
	check_two_containers();
	return tap_done();
}
