// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leaves of 2 MiB that lose a part, and small pages that become a huge page. The rest of a split
 * leaf comes back by one or two faults, not by one fault per page. A collapsed chunk comes back by
 * one fault. Meanwhile a device works in the rest of the leaf, and no data is lost.
 *
 * vm: --mem 5120 --cpus 2 --append hugepagesz=1G --append hugepages=1
 * also: no5lvl pti numa
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dma.h"
#include "rig.h"
#include "uffd.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define PAGES	(MEM_HUGE / MEM_PAGE)
#define THP	"/sys/kernel/mm/transparent_hugepage/"

static uint64_t faults(void)
{
	return iopf_count(rig_bdf(0), "faults");
}

/* Pages around a fault may be mapped after its response. */
static void leaves_are(uint64_t huge, uint64_t small, const char *what)
{
	unsigned int spins = 0;
	uint64_t h, s;

	do {
		h = sim_iommu_count("leaves_2m");
		s = sim_iommu_count("leaves_4k");
		sim_nap(&spins);
	} while ((h != huge || s != small) && spins < 1000);
	tap_ok(h == huge && s == small, "%s: %llu leaves of 2 MiB, %llu of 4 KiB", what,
	       (unsigned long long)huge, (unsigned long long)small);
	if (h != huge || s != small)
		tap_diag("there are %llu and %llu", (unsigned long long)h, (unsigned long long)s);
}

/* Few: the first brings back all, and the device may be ahead of that. */
#define FEW	3

static void few_faults(uint64_t before, const char *what)
{
	uint64_t n = faults() - before;

	tap_ok(n && n <= FEW, "%s: %llu faults for all of the rest", what, (unsigned long long)n);
}

static void write_part(struct rig *r, const struct simbuf *b, size_t off, size_t len, uint64_t seed)
{
	if (len)
		must_be(sim_write(&r->sim[0], b, off, len, seed, NULL) == IOPF_SIM_ST_OK);
}

/* Map new memory: a page table of the CPU that has been split stays split. */
static void renew(const struct simbuf *b, int advice)
{
	must_sys(mmap(b->va, b->len, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	must_sys(madvise(b->va, b->len, advice));
}

/* A block that the CPU has as one huge page and the device as one leaf, with the pattern of 1. */
static void make_huge(struct rig *r, const struct simbuf *b)
{
	renew(b, MADV_HUGEPAGE);
	simbuf_fill(b, 0, b->len, 1);
	must_be(mem_huge_kb(b->va, b->len) == b->len / 1024);
	write_part(r, b, 0, b->len, 1);
	must_be(sim_iommu_count("leaves_2m") == b->len / MEM_HUGE);
	must_be(!sim_iommu_count("leaves_4k"));
}

/* A page goes; how many faults until the device has been through all that is left? */
static void check_hole(struct rig *r, const struct simbuf *b, size_t page)
{
	size_t off = page * MEM_PAGE, end = off + MEM_PAGE;
	uint64_t before, sum;

	make_huge(r, b);
	mem_drop((char *)b->va + off, MEM_PAGE);
	leaves_are(0, 0, "a page is dropped");
	before = faults();
	write_part(r, b, 0, off, 1);
	write_part(r, b, end, b->len - end, 1);
	few_faults(before, "a page is dropped");
	leaves_are(0, PAGES - 1, "the rest");
	before = faults();
	must_be(sim_checksum(&r->sim[0], b, off, MEM_PAGE, &sum, NULL) == IOPF_SIM_ST_OK);
	tap_is(sum, 0, "page %zu is zero", page);
	write_part(r, b, off, MEM_PAGE, 1);
	tap_ok(faults() - before <= 2, "page %zu: a fault for a read, a fault for a write", page);
	rig_same(b, 1, "after the hole");
}

/* The device goes straight for the hole. */
static void check_into_hole(struct rig *r, const struct simbuf *b)
{
	uint64_t before;

	make_huge(r, b);
	mem_drop((char *)b->va + 100 * MEM_PAGE, 20 * MEM_PAGE);
	before = faults();
	write_part(r, b, 105 * MEM_PAGE, MEM_PAGE, 1);
	tap_is(faults() - before, 1, "a page of the hole: a fault");
	leaves_are(0, PAGES - 20 + 1, "the fault also maps the rest");
	write_part(r, b, 0, b->len, 1);
	rig_same(b, 1, "after the hole");
}

static void check_many_holes(struct rig *r, const struct simbuf *b)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, b->len, 1);
	uint64_t before;
	size_t i;

	make_huge(r, b);
	for (i = 0; i < PAGES; i += 32)
		mem_drop((char *)b->va + i * MEM_PAGE, MEM_PAGE);
	before = faults();
	sim_cmd_order(&cmd, IOPF_SIM_ORDER_RANDOM, MEM_PAGE, MEM_PAGE, 5);
	cmd.count = 4 * PAGES;
	must_be(sim_run(&r->sim[0], &cmd, NULL) == IOPF_SIM_ST_OK);
	tap_ok(faults() - before <= FEW + PAGES / 32, "%zu holes, at random: a fault each, and few",
	       PAGES / 32);
	tap_diag("%llu faults", (unsigned long long)(faults() - before));
	write_part(r, b, 0, b->len, 1);
	rig_same(b, 1, "after the holes");
}

static void check_protect(struct rig *r, const struct simbuf *b)
{
	char *va = b->va;
	uint64_t before;

	make_huge(r, b);
	must_sys(mprotect(va + 64 * MEM_PAGE, 64 * MEM_PAGE, PROT_READ));
	leaves_are(0, 0, "a part is protected");
	before = faults();
	must_be(sim_verify(&r->sim[0], b, 0, b->len, 1, NULL) == IOPF_SIM_ST_OK);
	few_faults(before, "a part is protected");
	leaves_are(0, PAGES, "read");
	before = faults();
	write_part(r, b, 0, 64 * MEM_PAGE, 2);
	write_part(r, b, 128 * MEM_PAGE, b->len - 128 * MEM_PAGE, 2);
	tap_is(faults() - before, 0, "unprotected memory is writable");
	rig_status_is(sim_write(&r->sim[0], b, 80 * MEM_PAGE, 8, 2, NULL), IOPF_SIM_ST_INVALID,
		      "a write to protected memory");
	tap_is(simbuf_differs(b, 64 * MEM_PAGE, 64 * MEM_PAGE, 1), 0, "it has not changed");
	must_sys(mprotect(va, b->len, PROT_READ | PROT_WRITE));
	write_part(r, b, 0, b->len, 3);
	rig_same(b, 3, "permitted again");
}

/* Write protection by user space, of one page; the device writes all but that. */
static void check_uffd_wp(struct rig *r, const struct simbuf *b)
{
	size_t off = 77 * MEM_PAGE, end = off + MEM_PAGE;
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)b->va + off, MEM_PAGE },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	uint64_t before;
	int fd;

	make_huge(r, b);
	fd = uffd_open(b->va, b->len, UFFD_FEATURE_PAGEFAULT_FLAG_WP, UFFDIO_REGISTER_MODE_WP);
	must_sys(ioctl(fd, UFFDIO_WRITEPROTECT, &wp));
	leaves_are(0, 0, "a page is write-protected");
	before = faults();
	write_part(r, b, 0, off, 5);
	write_part(r, b, end, b->len - end, 5);
	few_faults(before, "a page is write-protected");
	tap_is(simbuf_differs(b, off, MEM_PAGE, 1), 0, "that page has not changed");
	wp.mode = 0;
	must_sys(ioctl(fd, UFFDIO_WRITEPROTECT, &wp));
	write_part(r, b, off, MEM_PAGE, 5);
	rig_same(b, 5, "write-protected no more");
	close(fd);
}

/* The host splits it for itself, as when it is to be swapped: every page is still there. */
static void check_split(struct rig *r, const struct simbuf *b)
{
	uint64_t before;
	int err;

	make_huge(r, b);
	err = mem_write_file("/sys/kernel/debug/split_huge_pages", "%d,0x%lx,0x%lx", getpid(),
			     (unsigned long)b->va, (unsigned long)b->va + b->len);
	if (err) {
		tap_skip("this kernel can't be told to", "a huge page is split");
		return;
	}
	tap_is(mem_huge_kb(b->va, b->len), 0, "the huge page is split");
	leaves_are(0, 0, "the huge page is split");
	before = faults();
	write_part(r, b, 0, b->len, 1);
	few_faults(before, "the huge page is split");
	leaves_are(0, PAGES, "the huge page is split");
	rig_same(b, 1, "the huge page is split");
}

/* All of it by pages: by the CPU, and then by the device. */
static void make_small(struct rig *r, const struct simbuf *b)
{
	renew(b, MADV_NOHUGEPAGE);
	simbuf_fill(b, 0, b->len, 4);
	must_be(!mem_huge_kb(b->va, b->len));
	write_part(r, b, 0, b->len, 4);
	must_be(sim_iommu_count("leaves_4k") == b->len / MEM_PAGE);
	must_sys(madvise(b->va, b->len, MADV_HUGEPAGE));
}

static void check_collapsed(struct rig *r, const struct simbuf *b, const char *what)
{
	uint64_t before = faults();

	leaves_are(0, 0, what);
	must_be(sim_verify(&r->sim[0], b, 0, b->len, 4, NULL) == IOPF_SIM_ST_OK);
	write_part(r, b, 0, b->len, 4);
	tap_is(faults() - before, 1, "%s: one fault", what);
	leaves_are(1, 0, what);
	rig_same(b, 4, what);
}

static void check_collapse(struct rig *r, const struct simbuf *b)
{
	unsigned int spins = 0;

	make_small(r, b);
	must_sys(madvise(b->va, b->len, MADV_COLLAPSE));
	check_collapsed(r, b, "collapsed on request");

	/* Pages that are not there become part of it as zeros. */
	make_small(r, b);
	mem_drop((char *)b->va + 7 * MEM_PAGE, MEM_PAGE);
	must_sys(madvise(b->va, b->len, MADV_COLLAPSE));
	write_part(r, b, 7 * MEM_PAGE, MEM_PAGE, 4);
	leaves_are(1, 0, "collapsed with a hole");
	rig_same(b, 4, "collapsed with a hole");

	make_small(r, b);
	must(mem_write_file(THP "khugepaged/pages_to_scan", "100000"));
	must(mem_write_file(THP "khugepaged/alloc_sleep_millisecs", "10"));
	must(mem_write_file(THP "khugepaged/scan_sleep_millisecs", "10"));
	while (!mem_huge_kb(b->va, b->len) && spins < 20000)
		sim_nap(&spins);
	must(mem_write_file(THP "khugepaged/scan_sleep_millisecs", "600000"));
	if (mem_huge_kb(b->va, b->len))
		check_collapsed(r, b, "collapsed by khugepaged");
	else
		tap_skip("khugepaged did not come by", "collapsed by khugepaged");
}

/* Half of it is the device's, all the time; the other half comes and goes. */
static void check_half(struct rig *r, const struct simbuf *b, bool first)
{
	struct simbuf half = { b->va, b->iova, b->len / 2 };
	char *other = (char *)b->va + b->len / 2;
	unsigned int i, refused = 0, page;
	struct dma dma;

	if (!first) {
		half.va = other;
		half.iova += b->len / 2;
		other = b->va;
	}
	make_huge(r, b);
	dma_start_both(&dma, &r->sim[0], &half, first ? 10 : 11);
	for (i = 0; i < 200; i++) {
		page = (unsigned int)rand() % (PAGES / 2);
		mem_drop(other + page * MEM_PAGE, MEM_PAGE);
		if (i % 3 == 0) {
			must_sys(mprotect(other, b->len / 2, PROT_READ));
			must_sys(mprotect(other, b->len / 2, PROT_READ | PROT_WRITE));
		}
		if (i % 4 == 0)
			refused += !!madvise(b->va, b->len, MADV_COLLAPSE);
		if (i % 20 == 0)
			dma_wait_rounds(&dma, 1);
	}
	dma_wait_rounds(&dma, 1);
	tap_is(dma_stop(&dma), 0, "the %s half under DMA, the other in pieces: no byte lost",
	       first ? "first" : "second");
	dma_describe(&dma);
	tap_diag("%u of 50 collapses were refused by the kernel", refused);
	rig_same(&half, first ? 10 : 11, "after that");
}

/*
 * Shared memory: after a hole, the rest of the pages stay in the file, but the CPU does not map
 * them.
 */
static void check_shmem(struct rig *r)
{
	struct simbuf b = { mem_aligned(2 * MEM_HUGE, MEM_HUGE), RIG_IOVA, 2 * MEM_HUGE };
	uint64_t before, sum;
	int fd;

	must(mem_write_file(THP "shmem_enabled", "advise"));
	mem_unmap(mem_memfd(b.len, &fd), b.len);
	must_sys(mmap(b.va, b.len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0));
	must_sys(madvise(b.va, b.len, MADV_HUGEPAGE));
	rig_map(r, &b);
	write_part(r, &b, 0, b.len, 1);
	rig_same(&b, 1, "shared, populated by the device");
	leaves_are(2, 0, "shared");

	mem_punch(fd, 300 * (off_t)MEM_PAGE, MEM_PAGE);
	leaves_are(1, 0, "shared, a hole in the first");
	before = faults();
	must_be(sim_checksum(&r->sim[0], &b, 300 * MEM_PAGE, MEM_PAGE, &sum, NULL) ==
		IOPF_SIM_ST_OK);
	tap_is(sum, 0, "it is zero");
	write_part(r, &b, 0, b.len, 1);
	tap_ok(faults() - before <= PAGES / 8, "shared: the rest has come back by %llu faults",
	       (unsigned long long)(faults() - before));
	rig_same(&b, 1, "shared, after the hole");

	/* Collapse takes them all out; a read brings one leaf each. */
	if (madvise(b.va, b.len, MADV_COLLAPSE)) {
		tap_skip("the kernel refuses it", "shared, collapsed");
	} else {
		leaves_are(1, 0, "shared, collapsed");
		before = faults();
		must_be(sim_verify(&r->sim[0], &b, 0, b.len, 1, NULL) == IOPF_SIM_ST_OK);
		tap_is(faults() - before, 1, "shared, collapsed: one fault");
		leaves_are(2, 0, "shared, read");
	}
	rig_both_ways(&r->sim[0], &b, 2, "shared, after that");
	rig_unmap(r, &b);
	mem_unmap(b.va, b.len);
	close(fd);
}

int main(void)
{
	static const size_t holes[] = { 0, 1, 255, 304, 510, 511 };
	struct simbuf b = { .iova = RIG_IOVA, .len = MEM_HUGE };
	struct rig r;
	size_t i;

	rig_backend_only();
	srand(7);
	must(mem_write_file(THP "enabled", "madvise"));
	must(mem_write_file(THP "defrag", "always"));
	/* khugepaged runs only when the test asks, so that it collapses nothing else. */
	must(mem_write_file(THP "khugepaged/scan_sleep_millisecs", "600000"));
	mem_keep_still();
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	b.va = mem_thp(MEM_HUGE);
	rig_map(&r, &b);
	for (i = 0; i < ARRAY_SIZE(holes); i++)
		check_hole(&r, &b, holes[i]);
	check_into_hole(&r, &b);
	check_many_holes(&r, &b);
	check_protect(&r, &b);
	check_uffd_wp(&r, &b);
	check_split(&r, &b);
	check_collapse(&r, &b);
	check_half(&r, &b, true);
	check_half(&r, &b, false);
	rig_unmap(&r, &b);
	mem_unmap(b.va, b.len);
	check_shmem(&r);
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
