// SPDX-License-Identifier: GPL-2.0-only
/*
 * mremap() and munmap() of mapped memory. A mapping is a range of addresses: the device reaches
 * the memory that the process has there now. If the process has none, the response is INVALID.
 *
 * vm: --mem 1024
 * also: no5lvl pti numa
 */
#include <sys/mman.h>

#include "dma.h"
#include "rig.h"

#define LEN	(4 * MiB)

static void check_move_away(struct rig *r, const struct simbuf *b)
{
	struct simbuf moved = *b;
	void *to = mem_aligned(LEN, MEM_HUGE);

	simbuf_fill(b, 0, LEN, 1);
	rig_status_is(sim_write(&r->sim[0], b, 0, LEN, 1, NULL), IOPF_SIM_ST_OK, "mapped");
	moved.va = mremap(b->va, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	must_be(moved.va == to);
	rig_status_is(sim_read(&r->sim[0], b, 0, LEN, NULL), IOPF_SIM_ST_INVALID,
		      "moved away: read");
	rig_status_is(sim_write(&r->sim[0], b, 0, LEN, 2, NULL), IOPF_SIM_ST_INVALID,
		      "moved away: write");
	rig_same(&moved, 1, "the moved memory was left alone");

	/* New memory at the same address. */
	must_be(mmap(b->va, LEN, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == b->va);
	rig_both_ways(&r->sim[0], b, 3, "new memory at the address");
	rig_same(&moved, 1, "the moved memory was left alone");

	/* Move the old memory back. */
	must_be(mremap(moved.va, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, b->va) == b->va);
	rig_status_is(sim_verify(&r->sim[0], b, 0, LEN, 1, NULL), IOPF_SIM_ST_OK,
		      "moved back: the old content");
	rig_both_ways(&r->sim[0], b, 5, "moved back");
}

static void check_shrink(struct rig *r, const struct simbuf *b)
{
	struct simbuf head = { b->va, b->iova, LEN / 2 };

	simbuf_fill(b, 0, LEN, 6);
	rig_status_is(sim_verify(&r->sim[0], b, 0, LEN, 6, NULL), IOPF_SIM_ST_OK, "whole");
	must_be(mremap(b->va, LEN, LEN / 2, 0) == b->va);
	rig_status_is(sim_read(&r->sim[0], b, LEN / 2, LEN / 2, NULL), IOPF_SIM_ST_INVALID,
		      "shrunk: the end is gone");
	rig_both_ways(&r->sim[0], &head, 7, "shrunk: the rest");
	must_be(mremap(b->va, LEN / 2, LEN, 0) == b->va);
	rig_both_ways(&r->sim[0], b, 8, "grown again");
}

static void check_munmap(struct rig *r, const struct simbuf *b)
{
	size_t from = 4096 * 511, len = 4096 * 2;

	mem_unmap((char *)b->va + from, len);
	rig_status_is(sim_read(&r->sim[0], b, from, len, NULL), IOPF_SIM_ST_INVALID,
		      "munmap: read of the hole");
	rig_status_is(sim_write(&r->sim[0], b, from + 4096, 4096, 9, NULL), IOPF_SIM_ST_INVALID,
		      "munmap: write into the hole");
	rig_status_is(sim_write(&r->sim[0], b, 0, from, 9, NULL), IOPF_SIM_ST_OK, "before it");
	rig_status_is(sim_write(&r->sim[0], b, from + len, LEN - from - len, 9, NULL),
		      IOPF_SIM_ST_OK, "behind it");
	must_be(mmap((char *)b->va + from, len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	rig_both_ways(&r->sim[0], b, 10, "hole filled");
}

/* Two pieces of memory are exchanged repeatedly: the device always sees one of them. */
static void check_under_dma(struct rig *r, const struct simbuf *b)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, LEN, 11);
	char *away = mem_aligned(LEN, MEM_HUGE);
	struct dma dma;
	unsigned int i;

	/* One VMA: mremap() cannot move several at once. */
	must_be(mmap(b->va, LEN, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == b->va);
	dma_start(&dma, &r->sim[0], &cmd, 1);
	for (i = 0; i < 20; i++) {
		must_be(mremap(b->va, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, away) == away);
		must_be(mremap(away, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, b->va) == b->va);
		must_be(mmap(away, LEN, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == away);
		if (!(i % 5))
			dma_wait_rounds(&dma, 1);
	}
	dma_stop(&dma);
	dma_describe(&dma);
	tap_is(dma.status[IOPF_SIM_ST_OK] + dma.status[IOPF_SIM_ST_INVALID], dma.rounds,
	       "moved to and fro under DMA");
	rig_both_ways(&r->sim[0], b, 12, "after that");
	mem_unmap(away, LEN);
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct rig r;

	rig_backend_only();
	rig_open_mapped(&r, &b);
	check_move_away(&r, &b);
	check_shrink(&r, &b);
	check_munmap(&r, &b);
	check_under_dma(&r, &b);
	rig_unmap(&r, &b);

	tap_diag("with huge pages");
	b.va = mem_thp(LEN);
	rig_map(&r, &b);
	check_move_away(&r, &b);
	check_under_dma(&r, &b);
	rig_unmap(&r, &b);

	rig_end_unmapped(&r);
	return tap_done();
}
