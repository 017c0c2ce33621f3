// SPDX-License-Identifier: GPL-2.0-only
/*
 * KSM: the device reads pages that KSM has merged. A write of the device breaks the sharing for
 * that page only.
 *
 * vm: --mem 1024
 * also: no5lvl pti numa
 */
#include <string.h>
#include <sys/mman.h>

#include "dma.h"
#include "rig.h"

#define PAGES	256ul
#define LEN	(PAGES * MEM_PAGE)
#define KSM	"/sys/kernel/mm/ksm/"

static uint64_t ksm(const char *name)
{
	uint64_t value;

	must(knob_read_try(&value, KSM "%s", name));
	return value;
}

/* Runs KSM until it has merged as many pages of the range as it can. */
static uint64_t merge(void)
{
	uint64_t scans = ksm("full_scans");
	unsigned int spins = 0;

	/* A page is merged in the third pass at the latest: two to see that it is stable. */
	while (ksm("full_scans") < scans + 4)
		sim_nap(&spins);
	return ksm("pages_sharing");
}

static void all_same(const struct simbuf *b, uint64_t seed)
{
	unsigned long i;

	for (i = 0; i < PAGES; i++) {
		struct simbuf page = { (char *)b->va + i * MEM_PAGE, 0, MEM_PAGE };

		simbuf_fill(&page, 0, MEM_PAGE, seed);
	}
}

static unsigned long pages_differ(const struct simbuf *b, uint64_t seed, unsigned long except)
{
	unsigned long i, wrong = 0;

	for (i = 0; i < PAGES; i++) {
		struct simbuf page = { (char *)b->va + i * MEM_PAGE, 0, MEM_PAGE };

		wrong += i != except && simbuf_differs(&page, 0, MEM_PAGE, seed);
	}
	return wrong;
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct iopf_sim_cpl cpl;
	struct dma dma;
	uint64_t sum, shared, one;
	struct rig r;

	rig_backend_only();
	must(mem_write_file(KSM "smart_scan", "0"));
	must(mem_write_file(KSM "sleep_millisecs", "0"));
	must(mem_write_file(KSM "pages_to_scan", "10000"));
	must(mem_write_file(KSM "run", "1"));
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	b.va = mem_anon(LEN);
	rig_map(&r, &b);

	all_same(&b, 1);
	one = simbuf_sum(&b, 0, LEN);
	rig_status_is(sim_checksum(&r.sim[0], &b, 0, LEN, &sum, NULL), IOPF_SIM_ST_OK, "mapped");
	/* Make the device's mappings writable: merging has to take that away. */
	rig_status_is(sim_copy(&r.sim[0], &b, MEM_PAGE, &b, 0, MEM_PAGE, NULL), IOPF_SIM_ST_OK,
		      "the device copies a page");
	must_sys(madvise(b.va, LEN, MADV_MERGEABLE));
	shared = merge();
	tap_ok(shared > PAGES / 2, "KSM merged %llu of %lu pages", (unsigned long long)shared,
	       PAGES);
	rig_status_is(sim_checksum(&r.sim[0], &b, 0, LEN, &sum, NULL), IOPF_SIM_ST_OK,
		      "the device reads merged pages");
	tap_is(sum, one, "the device reads the right data");

	rig_status_is(sim_write(&r.sim[0], &b, 77 * MEM_PAGE, MEM_PAGE, 9, &cpl), IOPF_SIM_ST_OK,
		      "the device writes one merged page");
	tap_is(simbuf_differs(&b, 77 * MEM_PAGE, MEM_PAGE, 9), 0, "that page changed");
	tap_is(pages_differ(&b, 1, 77), 0, "no other did");

	/* The CPU breaks a merge that the device has mapped for reading. */
	rig_status_is(sim_checksum(&r.sim[0], &b, 0, LEN, &sum, NULL), IOPF_SIM_ST_OK, "mapped");
	simbuf_fill(&b, 78 * MEM_PAGE, MEM_PAGE, 10);
	rig_status_is(sim_verify(&r.sim[0], &b, 78 * MEM_PAGE, MEM_PAGE, 10, NULL), IOPF_SIM_ST_OK,
		      "the device sees the page the CPU wrote");

	dma_start_both(&dma, &r.sim[0], &b, 11);
	merge();
	all_same(&b, 12);
	merge();
	dma_stop(&dma);
	dma_describe(&dma);
	tap_is(dma.status[IOPF_SIM_ST_OK] + dma.status[IOPF_SIM_ST_MISMATCH], dma.rounds * 2,
	       "merging under DMA");
	rig_both_ways(&r.sim[0], &b, 13, "after that");

	must(mem_write_file(KSM "run", "2"));
	must(mem_write_file(KSM "run", "0"));
	rig_same(&b, 14, "after unmerging");
	rig_unmap(&r, &b);
	rig_clean(&r);
	rig_balanced();
	rig_close(&r);
	return tap_done();
}
