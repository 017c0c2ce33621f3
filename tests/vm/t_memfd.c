// SPDX-License-Identifier: GPL-2.0-only
/*
 * memfd (shmem), shared: data goes through the file. The test punches holes under the device, and
 * truncates and extends the file.
 *
 * vm: --mem 1024
 * also: no5lvl pti numa
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dma.h"
#include "rig.h"

#define LEN	(8 * MiB)

static void check_through_file(struct rig *r, const struct simbuf *b, int fd)
{
	struct simbuf view = { NULL, b->iova, LEN };
	char *copy = malloc(LEN);

	rig_status_is(sim_write(&r->sim[0], b, 0, LEN, 1, NULL), IOPF_SIM_ST_OK, "device writes");
	must_be(pread(fd, copy, LEN, 0) == (ssize_t)LEN);
	view.va = copy;
	rig_same(&view, 1, "read(2) of the file");
	view.va = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must_be(view.va != MAP_FAILED);
	rig_same(&view, 1, "another mapping of the file");

	simbuf_fill(&view, 0, LEN, 2);
	rig_status_is(sim_verify(&r->sim[0], b, 0, LEN, 2, NULL), IOPF_SIM_ST_OK,
		      "the device reads data written through another mapping");
	memset(copy, 0x5a, LEN);
	must_be(pwrite(fd, copy, LEN / 2, 0) == (ssize_t)LEN / 2);
	tap_ok(!memcmp(b->va, copy, LEN / 2), "write(2) arrives");
	simbuf_fill(b, 0, LEN, 3);
	mem_unmap(view.va, LEN);
	free(copy);
}

static void check_punch(struct rig *r, const struct simbuf *b, int fd)
{
	size_t from = LEN / 4, len = LEN / 2;
	uint64_t sum;

	simbuf_fill(b, 0, LEN, 4);
	rig_status_is(sim_verify(&r->sim[0], b, 0, LEN, 4, NULL), IOPF_SIM_ST_OK, "before holes");
	mem_punch(fd, (off_t)from, len);
	tap_is(mem_incore((char *)b->va + from, len), 0, "the hole has no pages");
	rig_status_is(sim_checksum(&r->sim[0], b, from, len, &sum, NULL), IOPF_SIM_ST_OK,
		      "the device reads the hole");
	tap_is(sum, 0, "the page is zero");
	rig_status_is(sim_verify(&r->sim[0], b, 0, from, 4, NULL), IOPF_SIM_ST_OK,
		      "data before the hole has not changed");
	rig_status_is(sim_verify(&r->sim[0], b, from + len, LEN - from - len, 4, NULL),
		      IOPF_SIM_ST_OK, "data behind the hole has not changed");
	rig_status_is(sim_write(&r->sim[0], b, from, len, 4, NULL), IOPF_SIM_ST_OK,
		      "the device fills the hole");
	rig_same(b, 4, "after the hole is filled");
}

static void check_punch_under_dma(struct rig *r, const struct simbuf *b, int fd)
{
	struct dma dma;
	unsigned int i;

	dma_start_both(&dma, &r->sim[0], b, 5);
	dma_wait_rounds(&dma, 1);
	for (i = 0; i < 60; i++) {
		mem_punch(fd, (off_t)(i * 37 % 128 * 65536), 65536);
		if (!(i % 8))
			dma_wait_rounds(&dma, 1);
	}
	dma_wait_rounds(&dma, 1);
	dma_stop(&dma);
	dma_describe(&dma);
	tap_is(dma.status[IOPF_SIM_ST_OK] + dma.status[IOPF_SIM_ST_MISMATCH], dma.rounds * 2,
	       "holes punched under DMA");
	rig_both_ways(&r->sim[0], b, 6, "after that");
}

static void check_truncate(struct rig *r, const struct simbuf *b, int fd)
{
	struct simbuf head = { b->va, b->iova, LEN / 2 };
	struct iopf_sim_cpl cpl;
	uint64_t sum;

	simbuf_fill(b, 0, LEN, 7);
	rig_status_is(sim_verify(&r->sim[0], b, 0, LEN, 7, NULL), IOPF_SIM_ST_OK, "before");
	must_sys(ftruncate(fd, LEN / 2));
	rig_status_is(sim_verify(&r->sim[0], b, 0, LEN, 7, &cpl), IOPF_SIM_ST_INVALID,
		      "truncated: access behind the end of the file");
	tap_is(cpl.result, b->iova + LEN / 2, "the completion has the address");
	rig_status_is(sim_write(&r->sim[0], b, LEN - 4096, 4096, 7, NULL), IOPF_SIM_ST_INVALID,
		      "write behind the end of the file");
	rig_both_ways(&r->sim[0], &head, 8, "data before the end");
	must_sys(ftruncate(fd, LEN));
	rig_status_is(sim_checksum(&r->sim[0], b, LEN / 2, LEN / 2, &sum, NULL), IOPF_SIM_ST_OK,
		      "grown again: readable");
	tap_is(sum, 0, "and zero");
	rig_both_ways(&r->sim[0], b, 9, "grown again");
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct rig r;
	int fd;

	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	b.va = mem_memfd(LEN, &fd);
	rig_map(&r, &b);
	if (!rig_stock())
		tap_is(mem_incore(b.va, LEN), 0, "mapping makes nothing resident");
	rig_both_ways(&r.sim[0], &b, 20, "memfd");
	rig_unpinned("after DMA");
	check_through_file(&r, &b, fd);
	if (!rig_stock()) {
		check_punch(&r, &b, fd);
		check_punch_under_dma(&r, &b, fd);
		check_truncate(&r, &b, fd);
	}
	rig_clean(&r);
	rig_unmap(&r, &b);
	rig_balanced();
	rig_close(&r);
	return tap_done();
}
