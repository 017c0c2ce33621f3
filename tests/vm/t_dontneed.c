// SPDX-License-Identifier: GPL-2.0-only
/*
 * MADV_DONTNEED and MADV_FREE under DMA. With any timing, a page contains the data of the device or
 * zeros, and no device accesses a freed page.
 *
 * vm: --mem 1024
 * also: no5lvl pti numa
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dma.h"
#include "rig.h"

#define LEN	(8 * MiB)
#define SEED	1

/* The number of pages that contain neither only pattern nor only zeros; *@zero: pages of zeros. */
static size_t torn(const struct simbuf *b, size_t *zero)
{
	size_t off, bad = 0;

	*zero = 0;
	for (off = 0; off < b->len; off += MEM_PAGE) {
		if (!simbuf_nonzero(b, off, MEM_PAGE))
			++*zero;
		else
			bad += simbuf_differs(b, off, MEM_PAGE, SEED) != 0;
	}
	return bad;
}

static void check_still(struct rig *r, const struct simbuf *b)
{
	uint64_t sum;

	simbuf_fill(b, 0, LEN, 3);
	rig_status_is(sim_verify(&r->sim[0], b, 0, LEN, 3, NULL), IOPF_SIM_ST_OK, "mapped");
	mem_drop(b->va, LEN);
	tap_is(mem_resident(b->va, LEN), 0, "dropped: nothing is resident");
	if (!rig_stock())
		tap_is(sim_iommu_count("leaves_4k") + sim_iommu_count("leaves_2m"), 0,
		       "nor mapped for the device");
	rig_status_is(sim_checksum(&r->sim[0], b, 0, LEN, &sum, NULL), IOPF_SIM_ST_OK,
		      "the device reads it");
	tap_is(sum, 0, "all zero");
	rig_both_ways(&r->sim[0], b, 4, "after the drop");
}

static void check_under_dma(struct rig *r, const struct simbuf *b, int advice, const char *name)
{
	struct iopf_sim_cmd cmds[2] = {
		sim_cmd(IOPF_SIM_OP_WRITE, b, 0, LEN, SEED),
		sim_cmd(IOPF_SIM_OP_WRITE, b, 0, LEN, SEED),
	};
	struct dma dma;
	unsigned int i;
	size_t zero;

	sim_cmd_order(&cmds[1], IOPF_SIM_ORDER_RANDOM, 4096, 4096, 5);
	simbuf_fill(b, 0, LEN, SEED);
	dma_start(&dma, &r->sim[0], cmds, 2);
	for (i = 0; i < 300; i++) {
		size_t off = (size_t)(rand() % (int)(LEN / MEM_PAGE)) * MEM_PAGE;
		size_t len = (size_t)(1 + rand() % 64) * MEM_PAGE;

		if (off + len > LEN)
			len = LEN - off;
		must_sys(madvise((char *)b->va + off, len, advice));
		sched_yield();
		if (i % 100 == 99) {
			dma_wait_rounds(&dma, 1);
			if (advice == MADV_FREE)
				must(mem_pressure(LEN));
		}
	}
	tap_is(dma_stop(&dma), 0, "%s under DMA: every command completes", name);
	dma_describe(&dma);
	tap_is(torn(b, &zero), 0, "%s under DMA: each page is whole or zero", name);
	tap_diag("%zu of %zu pages are zero", zero, (size_t)(LEN / MEM_PAGE));
	rig_status_is(sim_write(&r->sim[0], b, 0, LEN, SEED, NULL), IOPF_SIM_ST_OK, "once more");
	rig_same(b, SEED, "after the drops");
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct rig r;
	int fd;

	rig_backend_only();
	srand(1);
	rig_open_mapped(&r, &b);
	check_still(&r, &b);
	check_under_dma(&r, &b, MADV_DONTNEED, "MADV_DONTNEED");
	check_under_dma(&r, &b, MADV_FREE, "MADV_FREE");
	rig_unmap(&r, &b);
	mem_unmap(b.va, LEN);

	tap_diag("with huge pages");
	b.va = mem_thp(LEN);
	rig_map(&r, &b);
	check_still(&r, &b);
	check_under_dma(&r, &b, MADV_DONTNEED, "MADV_DONTNEED of huge pages");
	rig_unmap(&r, &b);
	mem_unmap(b.va, LEN);

	tap_diag("with shmem");
	b.va = mem_memfd(LEN, &fd);
	rig_map(&r, &b);
	check_under_dma(&r, &b, MADV_REMOVE, "MADV_REMOVE of shmem");
	check_under_dma(&r, &b, MADV_DONTNEED, "MADV_DONTNEED of shmem");
	rig_unmap(&r, &b);

	rig_end_unmapped(&r);
	return tap_done();
}
