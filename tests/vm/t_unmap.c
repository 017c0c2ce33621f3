// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO_IOMMU_UNMAP_DMA while DMA is in progress. From its return on the device reaches nothing at
 * these addresses. Its page requests are answered INVALID. Partial unmaps are refused (type 1 v2).
 *
 * vm: --mem 1024
 */
#include <string.h>
#include <sys/mman.h>

#include "dma.h"
#include "rig.h"

#define LEN	(8 * MiB)

/* The status of an access to an unmapped address: with stock type1 the device can't even ask. */
static int nothing_there(void)
{
	return rig_stock() ? IOPF_SIM_ST_UNTRANSLATED : IOPF_SIM_ST_INVALID;
}

static void check_still(struct rig *r, const struct simbuf *b)
{
	rig_map(r, b);
	rig_both_ways(&r->sim[0], b, 1, "mapped");
	rig_unmap(r, b);
	rig_balanced();
	rig_status_is(sim_write(&r->sim[0], b, 0, LEN, 3, NULL), nothing_there(),
		      "unmapped: write");
	rig_status_is(sim_read(&r->sim[0], b, 0, LEN, NULL), nothing_there(), "unmapped: read");
	rig_same(b, 2, "unmapped: the memory was left alone");
}

static void check_under_dma(struct rig *r, const struct simbuf *b)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, LEN, 4);
	struct dma dma;
	unsigned int i, wrong = 0;
	char *copy = mem_anon(LEN);

	dma_start(&dma, &r->sim[0], &cmd, 1);
	for (i = 0; i < 20; i++) {
		rig_map(r, b);
		if (i % 4)
			dma_wait_rounds(&dma, 1);
		rig_unmap(r, b);
		/* No further byte is written. */
		memset(b->va, 0, LEN / 8);
		memcpy(copy, b->va, LEN);
		dma_wait_rounds(&dma, 2);
		wrong += memcmp(copy, b->va, LEN) != 0;
	}
	dma_stop(&dma);
	dma_describe(&dma);
	tap_is(wrong, 0, "no write after an unmap returned");
	tap_is(dma.status[IOPF_SIM_ST_OK] + dma.status[nothing_there()], dma.rounds,
	       "each command completes or finds nothing");
	rig_balanced();
	mem_unmap(copy, LEN);
}

/* Other mappings of the container don't notice. */
static void check_neighbour(struct rig *r, const struct simbuf *b)
{
	struct simbuf other = { mem_anon(LEN), b->iova + LEN, LEN };
	struct dma dma;
	unsigned int i;

	rig_map(r, &other);
	dma_start_both(&dma, &r->sim[0], &other, 5);
	for (i = 0; i < 30; i++) {
		rig_map(r, b);
		if (!(i % 3))
			rig_status_is(sim_write(&r->sim[1], b, 0, LEN / 8, 6, NULL),
				      IOPF_SIM_ST_OK, "second device uses the new mapping");
		rig_unmap(r, b);
	}
	dma_wait_rounds(&dma, 1);
	tap_is(dma_stop(&dma), 0, "mapping and unmapping next to running DMA");
	rig_unmap(r, &other);
	mem_unmap(other.va, LEN);
}

static void check_partial(struct rig *r, const struct simbuf *b)
{
	uint64_t got = 77;

	rig_map(r, b);
	rig_both_ways(&r->sim[0], b, 7, "mapped");
	tap_errno_is(vfio_unmap_flags(&r->c, b->iova, LEN / 2, 0, &got), -EINVAL,
		     "unmapping the first half is refused");
	tap_errno_is(vfio_unmap_flags(&r->c, b->iova + LEN / 2, LEN / 2, 0, &got), -EINVAL,
		     "unmapping the second half is refused");
	tap_errno_is(vfio_unmap_flags(&r->c, b->iova + 4096, 4096, 0, &got), -EINVAL,
		     "unmapping the middle is refused");
	rig_both_ways(&r->sim[0], b, 9, "after refused unmaps");
	tap_errno_is(vfio_unmap_flags(&r->c, b->iova - LEN, 3 * LEN, 0, &got), 0,
		     "unmapping more than there is");
	tap_is(got, LEN, "unmaps all mapped ranges");
	tap_errno_is(vfio_unmap_flags(&r->c, b->iova, LEN, 0, &got), 0, "unmapping nothing");
	tap_is(got, 0, "unmaps nothing");
	rig_balanced();
}

static void check_all(struct rig *r, const struct simbuf *b)
{
	char *va = b->va;
	uint64_t got = 0;
	unsigned int i;

	for (i = 0; i < 16; i++)
		must(vfio_map(&r->c, va + i * 65536, b->iova + i * 131072, 65536));
	for (i = 0; i < 16; i++) {
		struct simbuf part = { va + i * 65536, b->iova + i * 131072, 65536 };

		if (sim_write(&r->sim[0], &part, 0, part.len, i, NULL) ||
		    simbuf_differs(&part, 0, part.len, i))
			break;
	}
	tap_is(i, 16, "16 mappings");
	tap_errno_is(vfio_unmap_flags(&r->c, b->iova, 131072 * 4, 0, &got), 0,
		     "unmap four of them");
	tap_is(got, 4 * 65536, "by one call over the gaps");
	tap_errno_is(vfio_unmap_flags(&r->c, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL, &got), 0, "unmap all");
	tap_is(got, 12 * 65536, "the other twelve");
	rig_balanced();
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct rig r;

	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	b.va = mem_anon(LEN);
	check_still(&r, &b);
	check_under_dma(&r, &b);
	check_neighbour(&r, &b);
	check_partial(&r, &b);
	check_all(&r, &b);
	rig_clean(&r);
	rig_close(&r);
	tap_errno_is(rig_unload(), 0, "the modules can be unloaded");
	return tap_done();
}
