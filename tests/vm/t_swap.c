// SPDX-License-Identifier: GPL-2.0-only
/*
 * Swap to a disk: data that the device has written survives several cycles, in anonymous memory
 * and in shmem. Only this test shows a lost dirty bit: the host drops the page as clean, and old
 * data comes back.
 *
 * vm: --mem 768 --swap 512 --disk 256
 * also: no5lvl pti zswap numa
 */
#include <sys/mman.h>

#include "dma.h"
#include "rig.h"

#define LEN	(4 * MiB)
#define CYCLES	3
#define NAPS	2000u
#define WINDOW	16u	/* pages: the parameter fault_around */

#define PAGE_CLUSTER "/proc/sys/vm/page-cluster"

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
		/* Only the device writes: the dirty bits of the CPU must come from it. */
		rig_status_is(sim_write(&r->sim[0], b, 0, LEN, seed, NULL), IOPF_SIM_ST_OK,
			      "%s, cycle %llu: the device writes", kind,
			      (unsigned long long)seed);
		tap_ok(out(b), "%s, cycle %llu: swapped out", kind, (unsigned long long)seed);
		rig_status_is(sim_verify(&r->sim[0], b, 0, LEN, seed, NULL), IOPF_SIM_ST_OK,
			      "%s, cycle %llu: the device reads it back", kind,
			      (unsigned long long)seed);
		/*
		 * Now the pages are clean copies of those on the disk. The device writes a little
		 * to half of them, and they are swapped out again. A write that does not set the
		 * dirty bit is lost here.
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
	/*
	 * In each cycle all of it is swapped out twice, all of it comes back once, and at least
	 * half once.
	 */
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

/* The device reads a word in a page. */
static void touch(struct rig *r, const struct simbuf *b, unsigned int page)
{
	must_be(sim_touch(&r->sim[0], b, page * MEM_PAGE, MEM_PAGE, NULL) == IOPF_SIM_ST_OK);
}

/* The number of pages of a window that are in memory. */
static size_t incore(const struct simbuf *b, unsigned int window)
{
	return mem_incore((char *)b->va + window * WINDOW * MEM_PAGE, WINDOW * MEM_PAGE);
}

/* Make the host age and swap out everything. Returns false if the host cannot age on request. */
static bool looked_and_out(struct rig *r, const struct simbuf *b)
{
	simbuf_fill(b, 0, LEN, 70);
	must_be(sim_touch(&r->sim[0], b, 0, LEN, NULL) == IOPF_SIM_ST_OK);
	if (mem_age())
		return false;
	must_be(out(b));
	return true;
}

/*
 * Pages that come back by a read are clean, and mapped read-only. After writes to two adjacent
 * pages, the rest of the window is unmapped, and a single fault maps it for writing. Returns false
 * if that did not happen because the host last aged too long ago.
 */
static bool written_together(struct rig *r, const struct simbuf *b, unsigned int window)
{
	size_t first = window * WINDOW * MEM_PAGE;
	struct iopf_sim_cpl cpl;
	uint64_t leaves;

	must(mem_age());
	must_be(sim_touch(&r->sim[0], b, first, WINDOW * MEM_PAGE, NULL) == IOPF_SIM_ST_OK);
	leaves = sim_iommu_count("leaves_4k");
	must_be(sim_write(&r->sim[0], b, first, MEM_PAGE, 72, NULL) == IOPF_SIM_ST_OK);
	must_be(sim_write(&r->sim[0], b, first + MEM_PAGE, MEM_PAGE, 72, NULL) == IOPF_SIM_ST_OK);
	for (unsigned int spins = 0; sim_iommu_count("leaves_4k") != leaves - (WINDOW - 2);) {
		sim_nap(&spins);
		if (spins > NAPS)
			return false;
	}
	must_be(sim_write(&r->sim[0], b, first + 2 * MEM_PAGE, (WINDOW - 2) * MEM_PAGE, 72, &cpl) ==
		IOPF_SIM_ST_OK);
	tap_ok(cpl.faults <= 2, "the rest of a window that is written: %llu faults",
	       (unsigned long long)cpl.faults);
	tap_is(simbuf_differs(b, first, WINDOW * MEM_PAGE, 72), 0, "each byte of it is right");
	return true;
}

/*
 * While the host ages memory, nothing is prefetched for a device. But the swapped pages of a window
 * come back together after faults on two adjacent pages. Readahead of the kernel is off.
 */
static void check_together(struct rig *r, const struct simbuf *b)
{
	const unsigned int up = 3, down = 9, one = 17, apart = 23;
	unsigned int spins = 0, window;
	size_t resident;

	must(mem_write_file(PAGE_CLUSTER, "0"));
	if (!looked_and_out(r, b)) {
		tap_skip("no multi-gen LRU", "the kernel ages all pages");
		return;
	}
	touch(r, b, one * WINDOW + 7);
	touch(r, b, apart * WINDOW + 4);
	touch(r, b, apart * WINDOW + 8);
	touch(r, b, up * WINDOW);
	touch(r, b, up * WINDOW + 1);
	touch(r, b, down * WINDOW + 15);
	touch(r, b, down * WINDOW + 14);
	while (incore(b, up) < WINDOW || incore(b, down) < WINDOW)
		sim_nap(&spins);
	tap_ok(true, "two pages side by side: all of the window is read, up and down");
	tap_ok(incore(b, one) <= 2 && incore(b, apart) <= 4, "others alone: no more than they");
	tap_ok(incore(b, up + 1) <= 1 && incore(b, down - 1) <= 1, "nothing beyond the window");

	for (window = one + 1; window < LEN / MEM_PAGE / WINDOW; window++) {
		if (window != apart && written_together(r, b, window))
			break;
	}
	tap_ok(window < LEN / MEM_PAGE / WINDOW, "a window is written together");

	/* Pages that were never populated are not swapped out. */
	must_sys(madvise(b->va, LEN, MADV_DONTNEED));
	touch(r, b, up * WINDOW);
	touch(r, b, up * WINDOW + 1);
	resident = mem_resident((char *)b->va + up * WINDOW * MEM_PAGE, WINDOW * MEM_PAGE);
	tap_ok(resident <= 3, "of untouched memory hardly more than the used pages: %zu",
	       resident);
	simbuf_fill(b, 0, LEN, 71);
	tap_ok(out(b), "swapped out");
	rig_same(b, 71, "swapped out, and back");
	must(mem_write_file(PAGE_CLUSTER, "3"));
}

/*
 * A window with more pages than a word has bits, of shared memory, which the host ages: every byte
 * is right.
 */
static void check_wide_window(struct rig *r, const struct simbuf *b)
{
	if (!looked_and_out(r, b)) {
		tap_skip("no multi-gen LRU", "the kernel ages all pages");
		return;
	}
	must(iopf_param("fault_around", 512));
	for (unsigned int page = 0; page < LEN / MEM_PAGE; page += 97) {
		touch(r, b, page);
		touch(r, b, page + 1);
	}
	must(iopf_param("fault_around", WINDOW));
	rig_same(b, 70, "a wide window");
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
	mem_keep_still();
	rig_open_mapped(&r, &b);
	check_cycles(&r, &b, "anonymous");
	check_read_then_write(&r, &b);
	check_together(&r, &b);
	check_under_dma(&r, &b);
	rig_unpinned("swap");
	rig_unmap(&r, &b);
	mem_unmap(b.va, LEN);

	b.va = mem_memfd(LEN, &fd);
	rig_map(&r, &b);
	check_cycles(&r, &b, "shmem");
	check_wide_window(&r, &b);
	check_under_dma(&r, &b);
	rig_unmap(&r, &b);

	rig_end_unmapped(&r);
	return tap_done();
}
