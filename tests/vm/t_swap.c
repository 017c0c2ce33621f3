// SPDX-License-Identifier: GPL-2.0-only
/*
 * Swap to a disk: what the device wrote comes back from there, over several cycles, for anonymous
 * memory and for shmem. A lost dirty bit shows here and nowhere else: the page is dropped as
 * clean, and old data comes back.
 *
 * vm: --mem 768 --swap 512 --disk 256
 */
#include <sys/mman.h>

#include "dma.h"
#include "rig.h"

#define LEN	(4 * MiB)
#define CYCLES	3

static bool out(const struct simbuf *b)
{
	size_t gone = mem_swap_out(b->va, b->len), pages = b->len / MEM_PAGE;

	tap_diag("%zu of %zu pages are swapped out", gone, pages);
	return gone >= pages - pages / 8;
}

static void check_cycles(struct rig *r, const struct simbuf *b, const char *kind)
{
	uint64_t pswpin = mem_vmstat("pswpin"), pswpout = mem_vmstat("pswpout");
	uint64_t seed;

	for (seed = 1; seed <= CYCLES; seed++) {
		/* The device is the only one to write: the CPU's dirty bits must come from it. */
		rig_status_is(sim_write(&r->sim[0], b, 0, LEN, seed, NULL), IOPF_SIM_ST_OK,
			      "%s, cycle %llu: the device writes", kind,
			      (unsigned long long)seed);
		tap_ok(out(b), "%s, cycle %llu: swapped out", kind, (unsigned long long)seed);
		rig_status_is(sim_verify(&r->sim[0], b, 0, LEN, seed, NULL), IOPF_SIM_ST_OK,
			      "%s, cycle %llu: the device reads it back", kind,
			      (unsigned long long)seed);
		/*
		 * Now the pages are clean copies of what is on the disk. Write half of them,
		 * a little in each, and have them swapped again: this is where a write that
		 * did not make its page dirty is lost.
		 */
		rig_status_is(sim_write(&r->sim[0], b, 0, LEN / 2, seed + 100, NULL),
			      IOPF_SIM_ST_OK, "%s, cycle %llu: half is written again", kind,
			      (unsigned long long)seed);
		tap_ok(out(b), "%s, cycle %llu: swapped out again", kind,
		       (unsigned long long)seed);
		tap_is(simbuf_differs(b, 0, LEN / 2, seed + 100) +
		       simbuf_differs(b, LEN / 2, LEN / 2, seed), 0,
		       "%s, cycle %llu: the CPU reads it back", kind, (unsigned long long)seed);
	}
	tap_diag("%s: %llu pages to the disk, %llu from it", kind,
		 (unsigned long long)(mem_vmstat("pswpout") - pswpout),
		 (unsigned long long)(mem_vmstat("pswpin") - pswpin));
	/* Twice a cycle it went out whole, and came back once whole and once at least half. */
	tap_ok(mem_vmstat("pswpin") - pswpin >= CYCLES * LEN / MEM_PAGE,
	       "%s: really came from the disk", kind);
}

/* Read-only faults on swapped pages must not make later writes invisible. */
static void check_read_then_write(struct rig *r, const struct simbuf *b)
{
	simbuf_fill(b, 0, LEN, 50);
	tap_ok(out(b), "swapped out");
	rig_status_is(sim_verify(&r->sim[0], b, 0, LEN, 50, NULL), IOPF_SIM_ST_OK,
		      "the device reads it back, read-only");
	rig_status_is(sim_write(&r->sim[0], b, 0, LEN, 51, NULL), IOPF_SIM_ST_OK,
		      "then writes the same pages");
	tap_ok(out(b), "swapped out");
	rig_same(b, 51, "read, then written, then swapped");
}

static void check_under_dma(struct rig *r, const struct simbuf *b)
{
	struct dma dma;
	unsigned int i;

	dma_start_both(&dma, &r->sim[0], b, 60);
	for (i = 0; i < 6; i++) {
		must_sys(madvise(b->va, LEN, MADV_PAGEOUT));
		must(mem_pressure(LEN / 2));
	}
	dma_wait_rounds(&dma, 1);
	tap_is(dma_stop(&dma), 0, "swapped under DMA: data right");
	dma_describe(&dma);
	rig_same(b, 60, "swapped under DMA");
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct rig r;
	int fd;

	rig_backend_only();
	if (!mem_have_swap())
		tap_bail("no swap space: run with --swap");
	tap_ok(mem_swap_is_disk(), "the swap space is a disk");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);

	b.va = mem_anon(LEN);
	rig_map(&r, &b);
	check_cycles(&r, &b, "anonymous");
	check_read_then_write(&r, &b);
	check_under_dma(&r, &b);
	rig_unpinned("swap");
	rig_unmap(&r, &b);
	mem_unmap(b.va, LEN);

	b.va = mem_memfd(LEN, &fd);
	rig_map(&r, &b);
	check_cycles(&r, &b, "shmem");
	check_under_dma(&r, &b);
	rig_unmap(&r, &b);

	rig_clean(&r);
	rig_balanced();
	rig_close(&r);
	return tap_done();
}
