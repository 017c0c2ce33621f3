// SPDX-License-Identifier: GPL-2.0-only
/*
 * Huge pages of 1 GiB. One fault and one leaf map all of it. No smaller leaf exists beside that
 * leaf. Dirty tracking, pinning, an IOMMU without such leaves, and a range that covers only a part
 * get smaller mappings. Afterwards the leaf comes back.
 *
 * vm: --mem 5120 --cpus 2 --append hugepagesz=1G --append hugepages=1
 * also: no5lvl
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dirty.h"
#include "dma.h"
#include "rig.h"

#ifndef MAP_HUGE_1GB
#define MAP_HUGE_1GB	(30 << 26)
#endif

#define GIANT		(1024 * MiB)
#define SIDE		(4 * MiB)
#define GIANT_IOVA	0x140000000ull
/* The bytes to compare: in two chunks in the middle of the page. */
#define PART_OFF	(700 * MiB + MEM_HUGE / 2)
#define PART		MEM_HUGE

static uint64_t faults(void)
{
	return iopf_count(rig_bdf(0), "faults");
}

/* Smaller ones may be more, since a device that goes in order has some ahead; or none. */
static bool enough(uint64_t got, uint64_t want)
{
	return want ? got >= want : !got;
}

static void leaves_are(uint64_t giant, uint64_t huge, uint64_t small, const char *what)
{
	uint64_t g = sim_iommu_count("leaves_1g"), h = sim_iommu_count("leaves_2m");
	uint64_t s = sim_iommu_count("leaves_4k");

	if (!tap_ok(g == giant && enough(h, huge) && enough(s, small),
		    "%s: %llu leaves of 1 GiB, %llu, %llu", what, (unsigned long long)giant,
		    (unsigned long long)huge, (unsigned long long)small))
		tap_diag("there are %llu, %llu of 2 MiB, %llu of 4 KiB", (unsigned long long)g,
			 (unsigned long long)h, (unsigned long long)s);
}

/* The one page of 1 GiB there is, with ordinary memory on either side. */
static void *giant_memory(bool shared)
{
	int flags = (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | MAP_FIXED;
	char *va = (char *)mem_aligned(3 * GIANT, GIANT) + GIANT;

	must_sys(mmap(va - SIDE, SIDE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	must_sys(mmap(va + GIANT, SIDE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	must_sys(madvise(va - SIDE, SIDE, MADV_NOHUGEPAGE));
	must_sys(madvise(va + GIANT, SIDE, MADV_NOHUGEPAGE));
	must_sys(mmap(va, GIANT, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB | MAP_HUGE_1GB, -1,
		      0));
	return va;
}

static void giant_free(void *va)
{
	mem_unmap((char *)va - GIANT, 3 * GIANT);
}

static struct simbuf part_of(const struct simbuf *b, size_t off)
{
	return (struct simbuf){ (char *)b->va + off, b->iova + off, PART };
}

/* Eight bytes in each MiB of the page. */
static void touch(struct rig *r, const struct simbuf *b, unsigned int op, unsigned int order)
{
	struct iopf_sim_cmd cmd = sim_cmd(op, b, 0, GIANT, 1);

	sim_cmd_order(&cmd, order, 8, MiB, 7);
	rig_status_is(sim_run(&r->sim[0], &cmd, NULL), IOPF_SIM_ST_OK, "the device is through it");
}

static void check_one_fault(struct rig *r, const struct simbuf *b)
{
	struct simbuf part = part_of(b, PART_OFF);
	uint64_t before = faults();

	touch(r, b, IOPF_SIM_OP_WRITE, IOPF_SIM_ORDER_RANDOM);
	tap_is(faults() - before, 1, "one fault for 1 GiB");
	leaves_are(1, 0, 0, "written all over");
	rig_unpinned("by faults");
	before = faults();
	rig_both_ways(&r->sim[0], &part, 10, "amid the page");
	tap_is(faults() - before, 0, "no fault after that");
	/* The entry goes and comes, the page stays in its file. */
	mem_drop(b->va, GIANT);
	leaves_are(0, 0, 0, "dropped");
	rig_status_is(sim_verify(&r->sim[0], &part, 0, PART, 11, NULL), IOPF_SIM_ST_OK,
		      "the device finds all of it");
	leaves_are(1, 0, 0, "read");
}

/* Reads by a leaf that is for reading, then the first write. */
static void check_upgrade(struct rig *r, const struct simbuf *b)
{
	struct simbuf part = part_of(b, PART_OFF);
	uint64_t before;

	must_sys(mprotect(b->va, GIANT, PROT_READ));
	leaves_are(0, 0, 0, "protected");
	touch(r, b, IOPF_SIM_OP_READ, IOPF_SIM_ORDER_STRIDED);
	leaves_are(1, 0, 0, "read");
	rig_status_is(sim_write(&r->sim[0], &part, 0, 8, 1, NULL), IOPF_SIM_ST_INVALID,
		      "a write to read-only memory");
	leaves_are(1, 0, 0, "the leaf is still there");
	must_sys(mprotect(b->va, GIANT, PROT_READ | PROT_WRITE));
	before = faults();
	touch(r, b, IOPF_SIM_OP_READ, IOPF_SIM_ORDER_STRIDED);
	touch(r, b, IOPF_SIM_OP_WRITE, IOPF_SIM_ORDER_STRIDED);
	tap_ok(faults() - before <= 2, "%llu faults for reads, then writes",
	       (unsigned long long)(faults() - before));
	leaves_are(1, 0, 0, "written");
	rig_both_ways(&r->sim[0], &part, 20, "after that");
}

/* Events under DMA. */
static void drop(struct rig *r, const struct simbuf *b, char *beside)
{
	(void)r;
	(void)beside;
	mem_drop(b->va, GIANT);
}

/* While anything in the process is being invalidated, chunks serve the faults. */
static void drop_beside(struct rig *r, const struct simbuf *b, char *beside)
{
	unsigned int i;

	mem_drop(b->va, GIANT);
	for (i = 0; i < 50; i++) {
		memset(beside, 1, 16 * MEM_PAGE);
		mem_drop(beside, 16 * MEM_PAGE);
	}
	(void)r;
}

static void track(struct rig *r, const struct simbuf *b, char *beside)
{
	must(dirty_track(&r->c, true));
	must(dirty_track(&r->c, false));
	drop_beside(r, b, beside);
}

static void pin(struct rig *r, const struct simbuf *b, char *beside)
{
	(void)b;
	(void)beside;
	must(iopf_enable(r->vfio[0].bdf, false));
	must(iopf_enable(r->vfio[0].bdf, true));
}

static int invalidate_vaddr(struct rig *r)
{
	uint64_t size = 0;

	return vfio_unmap_flags(&r->c, 0, 0,
				VFIO_DMA_UNMAP_FLAG_VADDR | VFIO_DMA_UNMAP_FLAG_ALL, &size);
}

static int set_vaddr(struct rig *r, const struct simbuf *b)
{
	return vfio_map_flags(&r->c, b->va, b->iova, b->len, VFIO_DMA_MAP_FLAG_VADDR);
}

static void freeze(struct rig *r, const struct simbuf *b, char *beside)
{
	must(invalidate_vaddr(r));
	drop(r, b, beside);
	must(set_vaddr(r, b));
}

/* Again and again, while the device works on either end. */
static void check_under_dma(struct rig *r, const struct simbuf *b, unsigned int times,
			    void (*act)(struct rig *, const struct simbuf *, char *),
			    const char *what)
{
	struct simbuf head = part_of(b, 0), tail = part_of(b, GIANT - PART);
	char *beside = mem_anon(MiB);
	struct iopf_sim_cmd cmds[4];
	struct dma dma;
	unsigned int i;

	cmds[0] = sim_cmd(IOPF_SIM_OP_WRITE, &head, 0, PART, times);
	cmds[1] = sim_cmd(IOPF_SIM_OP_WRITE, &tail, 0, PART, times + 1);
	cmds[2] = sim_cmd(IOPF_SIM_OP_VERIFY, &head, 0, PART, times);
	cmds[3] = sim_cmd(IOPF_SIM_OP_VERIFY, &tail, 0, PART, times + 1);
	dma_start(&dma, &r->sim[0], cmds, 4);
	for (i = 0; i < times; i++) {
		act(r, b, beside);
		if (!(i % 8))
			dma_wait_rounds(&dma, 1);
	}
	dma_wait_rounds(&dma, 1);
	tap_is(dma_stop(&dma), 0, "%s under DMA, %u times: no byte lost", what, times);
	dma_describe(&dma);
	rig_same(&head, times, "the first bytes");
	rig_same(&tail, times + 1, "the last bytes");
	mem_unmap(beside, MiB);
	drop(r, b, NULL);
	touch(r, b, IOPF_SIM_OP_WRITE, IOPF_SIM_ORDER_STRIDED);
	leaves_are(1, 0, 0, "after that");
}

/* The range has no CPU address for a while: mapped pages stay, faults on others wait. */
static void check_frozen(struct rig *r, const struct simbuf *b)
{
	struct simbuf part = part_of(b, PART_OFF);
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, &part, 0, PART, 46);
	struct iopf_sim_cpl cpl;
	unsigned int spins = 0;

	must(invalidate_vaddr(r));
	rig_status_is(sim_write(&r->sim[0], &part, 0, PART, 45, NULL), IOPF_SIM_ST_OK,
		      "the address is invalid: mapped pages can be used");
	leaves_are(1, 0, 0, "the address is invalid");
	mem_drop(b->va, GIANT);
	sim_start(&r->sim[0], &cmd);
	while (spins < 1000 && !sim_poll(&r->sim[0], &cpl))
		sim_nap(&spins);
	tap_ok(spins == 1000, "a fault on an unmapped page waits");
	leaves_are(0, 0, 0, "nothing is mapped meanwhile");
	must(set_vaddr(r, b));
	sim_wait(&r->sim[0], &cpl);
	rig_status_is(cpl.status, IOPF_SIM_ST_OK, "it goes on");
	leaves_are(1, 0, 0, "by one leaf");
	rig_same(&part, 46, "after that");
}

static void check_tracking(struct rig *r, const struct simbuf *b)
{
	static const size_t pages[] = { 0, 1, 511, 512, 100000, GIANT / MEM_PAGE - 1 };
	static bool want[GIANT / MEM_PAGE];
	struct dirty_map m;
	size_t i;

	touch(r, b, IOPF_SIM_OP_WRITE, IOPF_SIM_ORDER_STRIDED);
	must(dirty_track(&r->c, true));
	leaves_are(0, 0, 0, "writes are tracked");
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		must_be(sim_write(&r->sim[0], b, pages[i] * MEM_PAGE, 8, 3, NULL) ==
			IOPF_SIM_ST_OK);
		want[pages[i]] = true;
	}
	tap_is(sim_iommu_count("leaves_1g"), 0, "no leaf of 1 GiB meanwhile");
	dirty_map_init(&m, b->iova, GIANT);
	must(dirty_get(&r->c, &m));
	tap_is(dirty_differs(&m, want), 0, "exactly the pages written are dirty");
	touch(r, b, IOPF_SIM_OP_READ, IOPF_SIM_ORDER_STRIDED);
	must(dirty_get(&r->c, &m));
	tap_is(dirty_count(&m), 0, "reads make nothing dirty");
	dirty_map_free(&m);
	must(dirty_track(&r->c, false));
	/* The leaf replaces what chunks have mapped meanwhile. */
	touch(r, b, IOPF_SIM_OP_WRITE, IOPF_SIM_ORDER_STRIDED);
	leaves_are(1, 0, 0, "no longer tracked");
}

static void check_pinned(struct rig *r, const struct simbuf *b)
{
	struct simbuf part = part_of(b, PART_OFF);
	const char *bdf = r->vfio[0].bdf;

	tap_errno_is(iopf_enable(bdf, false), 0, "pinned");
	leaves_are(0, GIANT / MEM_HUGE, 0, "pinned");
	rig_both_ways(&r->sim[0], &part, 40, "pinned");
	tap_errno_is(iopf_enable(bdf, true), 0, "by faults again");
	leaves_are(0, 0, 0, "unpinned");
	rig_both_ways(&r->sim[0], &part, 42, "by faults again");
	leaves_are(1, 0, 0, "by faults again");
}

/* A device joins whose IOMMU has no leaves of 1 GiB, and leaves. */
static void check_second(struct rig *r, const struct simbuf *b)
{
	struct simbuf part = part_of(b, PART_OFF);

	must(vfio_dev_open(&r->vfio[1], &r->c, rig_bdf(1), VFIO_TYPE1v2_IOMMU));
	must(sim_up(&r->sim[1], &r->vfio[1], NULL));
	leaves_are(0, 0, 0, "another IOMMU");
	rig_both_ways(&r->sim[0], &part, 50, "the one that has them");
	rig_status_is(sim_verify(&r->sim[1], &part, 0, PART, 51, NULL), IOPF_SIM_ST_OK,
		      "the one that has not");
	leaves_are(0, 2 * 2, 0, "two chunks in each");
	must(sim_down(&r->sim[1]));
	vfio_dev_put(&r->vfio[1]);
	must(vfio_dev_detach(&r->vfio[1]));
	vfio_dev_close(&r->vfio[1]);
	rig_both_ways(&r->sim[0], &part, 52, "the other IOMMU is gone");
	leaves_are(1, 0, 0, "the other IOMMU is gone");
}

/* Ranges that the page is not the whole of, and that are not the whole of the page. */
static void check_ranges(struct rig *r, char *va)
{
	struct simbuf all = { va - SIDE, GIANT_IOVA - SIDE, GIANT + 2 * SIDE };
	struct simbuf half = { va, GIANT_IOVA, GIANT / 2 };
	struct simbuf rest = { va + GIANT / 2, GIANT_IOVA + GIANT / 2, GIANT / 2 };
	struct simbuf odd = { va, GIANT_IOVA + MEM_HUGE, GIANT };
	struct simbuf part = { va + PART_OFF, GIANT_IOVA + PART_OFF, PART };
	struct simbuf left = { va - PART, GIANT_IOVA - PART, PART };
	struct simbuf right = { va + GIANT, GIANT_IOVA + GIANT, PART };

	rig_map(r, &all);
	rig_both_ways(&r->sim[0], &part, 60, "amid a larger range");
	rig_both_ways(&r->sim[0], &left, 62, "left of it");
	rig_both_ways(&r->sim[0], &right, 64, "right of it");
	leaves_are(1, 0, 2 * PART / MEM_PAGE, "a larger range");
	mem_drop(right.va, PART);
	leaves_are(1, 0, PART / MEM_PAGE, "the memory beside it is dropped");
	mem_drop(va, GIANT);
	leaves_are(0, 0, PART / MEM_PAGE, "it is dropped");
	rig_unmap(r, &all);

	rig_map(r, &half);
	rig_map(r, &rest);
	rig_both_ways(&r->sim[0], &part, 66, "two ranges");
	leaves_are(0, 2, 0, "two ranges");
	rig_unmap(r, &half);
	rig_unmap(r, &rest);

	part.iova += MEM_HUGE;
	rig_map(r, &odd);
	rig_both_ways(&r->sim[0], &part, 68, "an address that is odd");
	leaves_are(0, 2, 0, "an address that is odd");
	rig_unmap(r, &odd);
	leaves_are(0, 0, 0, "unmapped");
}

/* A private page is mapped for reading at first; a hole is a page of zeros after that. */
static void check_private(struct rig *r)
{
	struct simbuf b = { giant_memory(false), GIANT_IOVA, GIANT };
	struct simbuf part = part_of(&b, PART_OFF);
	uint64_t before = faults(), sum;

	rig_map(r, &b);
	rig_status_is(sim_checksum(&r->sim[0], &part, 0, PART, &sum, NULL), IOPF_SIM_ST_OK,
		      "private, read first");
	tap_is(sum, 0, "zeros");
	leaves_are(1, 0, 0, "private, read");
	touch(r, &b, IOPF_SIM_OP_WRITE, IOPF_SIM_ORDER_STRIDED);
	tap_ok(faults() - before <= 2, "a fault for reads, another for writes");
	leaves_are(1, 0, 0, "private, written");
	rig_both_ways(&r->sim[0], &part, 70, "private");
	mem_drop(b.va, GIANT);
	rig_status_is(sim_checksum(&r->sim[0], &part, 0, PART, &sum, NULL), IOPF_SIM_ST_OK,
		      "private, dropped and read");
	tap_is(sum, 0, "zeros again");
	leaves_are(1, 0, 0, "private, dropped and read");
	giant_free(b.va);
	leaves_are(0, 0, 0, "without memory behind it");
	rig_status_is(sim_write(&r->sim[0], &part, 0, 8, 1, NULL), IOPF_SIM_ST_INVALID,
		      "an access to that");
	rig_unmap(r, &b);
}

/* The process is killed while the leaf is mapped and in use. */
static void check_killed(void)
{
	struct simbuf b = { .iova = GIANT_IOVA, .len = GIANT };
	int said[2], status;
	struct dma dma;
	struct rig r;
	char byte = 0;
	pid_t pid;

	must_sys(pipe(said));
	pid = must_sys(fork());
	if (!pid) {
		tap_forget();
		tap_quiet(true);
		rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
		b.va = giant_memory(true);
		rig_map(&r, &b);
		dma_start_both(&dma, &r.sim[0], &(struct simbuf){ b.va, b.iova, PART }, 1);
		dma_wait_rounds(&dma, 1);
		must_sys(write(said[1], &byte, 1));
		for (;;)
			pause();
	}
	close(said[1]);
	must_be(read(said[0], &byte, 1) == 1);
	leaves_are(1, 0, 0, "a process");
	must_sys(kill(pid, SIGKILL));
	must_sys(waitpid(pid, &status, 0));
	tap_ok(WIFSIGNALED(status), "it is killed");
	close(said[0]);
	rig_balanced_soon();
}

int main(void)
{
	struct simbuf b = { .iova = GIANT_IOVA, .len = GIANT };
	struct rig r;

	rig_backend_only();
	rig_load("devices=2 iommu.second=0x2 iommu.second_pgsizes=0x201000", "");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	b.va = giant_memory(true);
	rig_map(&r, &b);
	check_one_fault(&r, &b);
	check_upgrade(&r, &b);
	check_tracking(&r, &b);
	check_pinned(&r, &b);
	check_frozen(&r, &b);
	check_under_dma(&r, &b, 100, drop, "dropped");
	check_under_dma(&r, &b, 60, drop_beside, "dropped, and other memory, too");
	check_under_dma(&r, &b, 31, track, "tracked and dropped");
	check_under_dma(&r, &b, 3, pin, "pinned and unpinned");
	check_under_dma(&r, &b, 40, freeze, "frozen and dropped");
	check_second(&r, &b);
	rig_unmap(&r, &b);
	check_ranges(&r, b.va);
	giant_free(b.va);
	check_private(&r);
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	check_killed();
	return tap_done();
}
