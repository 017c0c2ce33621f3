// SPDX-License-Identifier: GPL-2.0-only
/*
 * mprotect() of mapped memory: from the return of mprotect() on, the device has no more
 * permissions than the process.
 *
 * vm: --mem 1024
 * also: no5lvl pti numa
 */
#include <sys/mman.h>

#include "dma.h"
#include "rig.h"

#define LEN	(4 * MiB)

static void check_kind(struct rig *r, void *va, const char *kind)
{
	struct simbuf b = { va, RIG_IOVA, LEN };
	struct iopf_sim_cpl cpl;

	tap_diag("%s", kind);
	rig_map(r, &b);
	rig_status_is(sim_write(&r->sim[0], &b, 0, LEN, 1, NULL), IOPF_SIM_ST_OK, "writable");

	must_sys(mprotect(b.va, LEN, PROT_READ));
	rig_status_is(sim_write(&r->sim[0], &b, 0, LEN, 2, &cpl), IOPF_SIM_ST_INVALID,
		      "PROT_READ: write");
	tap_is(cpl.result, b.iova, "the completion has the address");
	rig_status_is(sim_verify(&r->sim[0], &b, 0, LEN, 1, NULL), IOPF_SIM_ST_OK,
		      "PROT_READ: read");
	rig_same(&b, 1, "nothing was written");

	must_sys(mprotect(b.va, LEN, PROT_NONE));
	rig_status_is(sim_read(&r->sim[0], &b, 0, LEN, NULL), IOPF_SIM_ST_INVALID,
		      "PROT_NONE: read");
	rig_status_is(sim_write(&r->sim[0], &b, 0, LEN, 3, NULL), IOPF_SIM_ST_INVALID,
		      "PROT_NONE: write");

	must_sys(mprotect(b.va, LEN, PROT_READ | PROT_WRITE));
	rig_same(&b, 1, "nothing was written");
	rig_both_ways(&r->sim[0], &b, 4, "writable again");

	/* One page read-only in the middle: the rest works, the command stops there. */
	must_sys(mprotect((char *)b.va + 4096 * 300, 4096, PROT_READ));
	rig_status_is(sim_write(&r->sim[0], &b, 0, LEN, 5, &cpl), IOPF_SIM_ST_INVALID,
		      "one page PROT_READ: write over all");
	tap_is(cpl.result, b.iova + 4096 * 300, "it stops at that page");
	rig_status_is(sim_write(&r->sim[0], &b, 4096 * 301, LEN - 4096 * 301, 5, NULL),
		      IOPF_SIM_ST_OK, "behind it");
	must_sys(mprotect((char *)b.va + 4096 * 300, 4096, PROT_READ | PROT_WRITE));
	rig_both_ways(&r->sim[0], &b, 6, "whole again");
	rig_unmap(r, &b);
	mem_unmap(va, LEN);
}

/* Protections flip while the device writes: each completion is OK or INVALID. */
static void check_under_dma(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, &b, 0, LEN, 7);
	struct dma dma;
	unsigned int i;

	rig_map(r, &b);
	dma_start(&dma, &r->sim[0], &cmd, 1);
	for (i = 0; i < 30; i++) {
		must_sys(mprotect(b.va, LEN, PROT_READ));
		must_sys(mprotect(b.va, LEN, PROT_READ | PROT_WRITE));
		if (!(i % 10))
			dma_wait_rounds(&dma, 1);
	}
	dma_stop(&dma);
	dma_describe(&dma);
	tap_is(dma.status[IOPF_SIM_ST_OK] + dma.status[IOPF_SIM_ST_INVALID], dma.rounds,
	       "mprotect under DMA");

	/* Read-only for good: after mprotect returned not one more byte may change. */
	dma_start(&dma, &r->sim[0], &cmd, 1);
	dma_wait_rounds(&dma, 1);
	simbuf_fill(&b, 0, LEN, 8);
	must_sys(mprotect(b.va, LEN, PROT_READ));
	i = (unsigned int)simbuf_sum(&b, 0, LEN);
	dma_wait_rounds(&dma, 5);
	tap_is((unsigned int)simbuf_sum(&b, 0, LEN), i, "no write after mprotect returned");
	dma_stop(&dma);
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
}

int main(void)
{
	struct rig r;
	int fd;

	rig_backend_only();
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	check_kind(&r, mem_anon(LEN), "anonymous");
	check_kind(&r, mem_thp(LEN), "huge pages");
	check_kind(&r, mem_memfd(LEN, &fd), "memfd");
	check_under_dma(&r);
	rig_clean(&r);
	rig_balanced();
	rig_close(&r);
	return tap_done();
}
