// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transparent huge pages: the backend maps them as a whole. They are split and collapsed under the
 * device.
 *
 * vm: --mem 1024
 * also: no5lvl pti numa
 */
#include <string.h>
#include <sys/mman.h>

#include "dma.h"
#include "rig.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define LEN	(8 * MiB)

static void check_populated(struct rig *r, const struct simbuf *b)
{
	simbuf_fill(b, 0, LEN, 1);
	tap_is(mem_huge_kb(b->va, LEN), LEN / 1024, "the memory is huge pages");
	rig_map(r, b);
	rig_status_is(sim_verify(&r->sim[0], b, 0, LEN, 1, NULL), IOPF_SIM_ST_OK,
		      "the device reads huge pages");
	rig_both_ways(&r->sim[0], b, 2, "huge pages");
	tap_diag("leaves of 2 MiB in the IOMMU: %llu, of 4 KiB: %llu",
		 (unsigned long long)sim_iommu_count("leaves_2m"),
		 (unsigned long long)sim_iommu_count("leaves_4k"));
	if (!rig_stock())
		tap_is(sim_iommu_count("leaves_2m"), LEN / MEM_HUGE,
		       "each is one leaf in the IOMMU");
}

/* Take single pages out of huge ones, wherever that splits. */
static void check_split(struct rig *r, const struct simbuf *b)
{
	static const size_t hole[] = { 0, 4096 * 100, MEM_HUGE - 4096, MEM_HUGE + 8192,
				       LEN - 4096 };
	char *va = b->va;
	unsigned int i;
	uint64_t sum;

	simbuf_fill(b, 0, LEN, 5);
	rig_status_is(sim_verify(&r->sim[0], b, 0, LEN, 5, NULL), IOPF_SIM_ST_OK, "before holes");
	for (i = 0; i < ARRAY_SIZE(hole); i++) {
		mem_drop(va + hole[i], 4096);
		rig_status_is(sim_checksum(&r->sim[0], b, hole[i], 4096, &sum, NULL),
			      IOPF_SIM_ST_OK, "page dropped at 0x%zx is read", hole[i]);
		tap_is(sum, 0, "and is zero");
		rig_status_is(sim_write(&r->sim[0], b, hole[i], 4096, 5, NULL), IOPF_SIM_ST_OK,
			      "and written");
	}
	rig_same(b, 5, "after the holes");
	rig_status_is(sim_verify(&r->sim[0], b, 0, LEN, 5, NULL), IOPF_SIM_ST_OK,
		      "the device finds all of it");
}

static void check_collapse(struct rig *r, const struct simbuf *b)
{
	struct dma dma;
	int i, failed = 0;

	dma_start_both(&dma, &r->sim[0], b, 6);
	for (i = 0; i < 5; i++) {
		mem_drop((char *)b->va + MEM_HUGE, 16 * 4096);
		dma_wait_rounds(&dma, 1);
		if (madvise(b->va, LEN, MADV_COLLAPSE))
			failed++;
		dma_wait_rounds(&dma, 1);
	}
	dma_stop(&dma);
	dma_describe(&dma);
	/* A page dropped between the write and the verify reads zero: MISMATCH is right then. */
	tap_is(dma.status[IOPF_SIM_ST_OK] + dma.status[IOPF_SIM_ST_MISMATCH],
	       dma.rounds * 2, "split and collapsed under DMA");
	tap_diag("%d of 5 collapses were refused by the kernel", failed);
	rig_both_ways(&r->sim[0], b, 7, "after split and collapse");
}

static void check_untouched(struct rig *r, const struct simbuf *b)
{
	mem_drop(b->va, LEN);
	rig_both_ways(&r->sim[0], b, 8, "populated by the device's faults");
	tap_ok(mem_huge_kb(b->va, LEN) > 0, "by huge pages");
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct simbuf odd = { .iova = RIG_IOVA + 0x10000000 + 0x3000, .len = LEN };
	struct rig r;

	must(mem_write_file("/sys/kernel/mm/transparent_hugepage/enabled", "madvise"));
	must(mem_write_file("/sys/kernel/mm/transparent_hugepage/defrag", "always"));
	mem_keep_still();
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	b.va = mem_thp(LEN);
	check_populated(&r, &b);
	if (!rig_stock()) {
		check_split(&r, &b);
		check_collapse(&r, &b);
		check_untouched(&r, &b);
	}
	rig_unmap(&r, &b);

	/* A huge page whose IOVA is not aligned can't be one leaf, and works. */
	odd.va = b.va;
	simbuf_fill(&odd, 0, LEN, 9);
	rig_map(&r, &odd);
	rig_both_ways(&r.sim[0], &odd, 10, "huge pages at an odd IOVA");
	rig_unmap(&r, &odd);

	rig_clean(&r);
	rig_balanced();
	rig_close(&r);
	return tap_done();
}
