// SPDX-License-Identifier: GPL-2.0-only
/*
 * A budget has unmapped a page, and no device has missed it since. Then the page is not young for
 * the host. Reclaim takes such pages first, and leaves those that devices use.
 *
 * vm: --mem 768 --swap 512 --disk 256
 * also: zswap numa
 */
#include <string.h>

#include "budget.h"
#include "dma.h"

#define USED	(4 * MiB)
#define LEN	(20 * MiB)
#define WANT	(8 * MiB)

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN }, used;
	unsigned int spins = 0, tries;
	size_t gone, wrong;
	const char *bdf;
	struct rig r;
	struct dma d;

	rig_backend_only();
	if (!mem_have_swap())
		tap_skip_all("no swap");
	rig_load("devices=1", "");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	bdf = r.vfio[0].bdf;
	b.va = mem_anon(LEN);
	used = (struct simbuf){ b.va, b.iova, USED };
	simbuf_fill(&b, 0, LEN, 1);
	rig_map(&r, &b);
	must_be(sim_touch(&r.sim[0], &b, 0, LEN, NULL) == IOPF_SIM_ST_OK);
	tap_is(budget_mapped(), LEN, "all of it is mapped");
	dma_start_both(&d, &r.sim[0], &used, 2);
	must(budget_set(bdf, "aging_interval", 1));
	while (budget_mapped() > USED)
		sim_nap(&spins);
	tap_ok(true, "unused memory has been unmapped");
	for (tries = 0; tries < 20 && mem_swapped(b.va, LEN) < WANT / MEM_PAGE; tries++)
		mem_pressure(WANT);
	gone = mem_swapped((char *)b.va + USED, LEN - USED);
	wrong = mem_swapped(b.va, USED);
	tap_ok(gone >= WANT / MEM_PAGE / 2, "the host swaps out unused memory: %zu pages", gone);
	tap_ok(wrong <= gone / 16, "hardly any used memory: %zu pages", wrong);
	dma_wait_rounds(&d, 2);
	tap_is(dma_stop(&d), 0, "of which every byte is right");
	b.va = (char *)b.va + USED;
	b.len -= USED;
	wrong = 0;
	for (size_t off = 0; off < b.len; off += 8)
		wrong += *(uint64_t *)((char *)b.va + off) != iopf_sim_word(1, USED + off);
	tap_is(wrong, 0, "and of the others, when they are back");
	b = (struct simbuf){ used.va, used.iova, LEN };
	rig_unmap(&r, &b);
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
