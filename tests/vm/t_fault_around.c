// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fault-around and prefetching. Both save faults. Fault-around maps only pages that the CPU has.
 * Random accesses start no prefetching. Idle memory does not become young.
 *
 * vm: --mem 1024
 * also: no5lvl numa
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"

#define LEN		(16 * MiB)
#define PAGES		(LEN / MEM_PAGE)
#define BLOCKS		(LEN / MEM_HUGE)
#define STEADY_LEN	(256 * MiB)
/* See kmod/iopf/fault/prefetch.c. */
#define AHEAD_MAX	32

static uint64_t faults(void)
{
	return iopf_count(rig_bdf(0), "faults");
}

static uint64_t leaves(void)
{
	return sim_iommu_count("leaves_4k");
}

static struct simbuf buffer(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };

	rig_map(r, &b);
	return b;
}

/* Access eight bytes in each page, in this order. */
static void touch(struct rig *r, const struct simbuf *b, unsigned int order, unsigned int prg_pages)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, b->len, 1);

	sim_cmd_order(&cmd, order, 8, MEM_PAGE, 7);
	cmd.prg_pages = (uint16_t)prg_pages;
	rig_status_is(sim_run(&r->sim[0], &cmd, NULL), IOPF_SIM_ST_OK, "the device is through it");
}

static void touch_one(struct rig *r, const struct simbuf *b, size_t page)
{
	must_be(sim_write(&r->sim[0], b, page * MEM_PAGE, 8, 1, NULL) == IOPF_SIM_ST_OK);
}

static void check_present(struct rig *r, unsigned int order, unsigned int most, const char *what)
{
	struct simbuf b = buffer(r);
	uint64_t before;

	memset(b.va, 1, b.len);
	before = faults();
	touch(r, &b, order, 1);
	tap_ok(faults() - before <= most, "%s, all present: %u faults at most", what, most);
	tap_is(leaves(), PAGES, "%s: everything is mapped", what);
	rig_buffer_free(r, &b);
}

/* The first page, the last, and one between; areas that begin or end inside a block. */
static void check_places(struct rig *r)
{
	static const size_t pages[] = { 0, 511, 300, 16, 15 };
	struct simbuf b = { mem_anon(3 * MEM_HUGE), RIG_IOVA + 100 * MEM_PAGE, 2 * MEM_HUGE };
	unsigned int i;

	memset(b.va, 1, 3 * MEM_HUGE);
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		struct simbuf part = { b.va, b.iova, b.len };

		rig_map(r, &part);
		touch_one(r, &part, pages[i]);
		/* The area has 412 pages of its first block, and all of the second. */
		tap_is(leaves(), pages[i] < 412 ? 412 : 512, "page %zu: the rest of its block",
		       pages[i]);
		rig_both_ways(&r->sim[0], &part, 10 + i, "after that");
		rig_unmap(r, &part);
	}
	mem_unmap(b.va, 3 * MEM_HUGE);
}

/*
 * A block in two page tables of the CPU. Its frames form runs, so that batches end at several
 * places, including the end of the first table.
 */
static void check_tables(struct rig *r)
{
	struct simbuf b = { NULL, RIG_IOVA, MEM_HUGE };
	char *va = mem_anon(6 * MEM_HUGE), *table, *apart;
	unsigned int page, shift, mapped = 0, runs = 1;

	table = va + 2 * MEM_HUGE - (unsigned long)va % MEM_HUGE;
	apart = table + 2 * MEM_HUGE;
	for (shift = 8; shift < 512; shift += 40) {
		b.va = table - shift * MEM_PAGE;
		for (page = 0; page < 512; page++) {
			((char *)b.va)[page * MEM_PAGE] = (char)(page + shift);
			apart[page * MEM_PAGE] = 1;
		}
		must(vfio_map(&r->c, b.va, b.iova, b.len));
		touch_one(r, &b, 0);
		mapped += leaves() == 512;
		must_be(sim_touch(&r->sim[0], &b, 0, b.len, NULL) == IOPF_SIM_ST_OK);
		for (page = 1; shift == 48 && page < 512; page++)
			runs += mem_pfn((char *)b.va + page * MEM_PAGE) !=
				mem_pfn((char *)b.va + (page - 1) * MEM_PAGE) + 1;
		must(vfio_unmap(&r->c, b.iova, b.len));
		mem_drop(va, 6 * MEM_HUGE);
	}
	tap_is(mapped, 13, "blocks in two tables of the CPU: one fault each");
	tap_ok(runs > 256, "scattered they were: %u runs of frames", runs);
	memset(table - 48 * MEM_PAGE, 1, MEM_HUGE);
	b.va = table - 48 * MEM_PAGE;
	rig_map(r, &b);
	rig_both_ways(&r->sim[0], &b, 30, "after that");
	rig_unmap(r, &b);
	mem_unmap(va, 6 * MEM_HUGE);
}

/* Partly populated: only the window is mapped, up to a hole. */
static void check_holes(struct rig *r)
{
	struct simbuf b = buffer(r);
	char *va = b.va;
	uint64_t before;

	/* A page without neighbours. */
	va[100 * MEM_PAGE] = 1;
	touch_one(r, &b, 100);
	tap_is(leaves(), 1, "a page alone: nothing else");
	/* A part of the window, pages 208 to 223. */
	va[209 * MEM_PAGE] = 1;
	va[212 * MEM_PAGE] = 1;
	va[224 * MEM_PAGE] = 1;
	touch_one(r, &b, 212);
	tap_is(leaves(), 3, "some of the window: those");
	/* The whole window, pages 304 to 319, and more on both sides up to a hole. */
	memset(va + 260 * MEM_PAGE, 1, 100 * MEM_PAGE);
	mem_drop(va + 330 * MEM_PAGE, MEM_PAGE);
	touch_one(r, &b, 310);
	tap_is(leaves(), 3 + 330 - 260, "all of the window: to the first hole on either side");
	before = faults();
	touch_one(r, &b, 340);
	tap_is(faults() - before, 1, "beyond the hole: a fault");
	tap_is(leaves(), 3 + 100 - 1, "the next fault maps the rest");
	tap_is(mem_resident(b.va, b.len), 4 + 100 - 1, "nothing was populated by that");
	rig_buffer_free(r, &b);
}

static void check_ahead(struct rig *r, unsigned int prg_pages)
{
	struct simbuf b = buffer(r);
	uint64_t before = faults(), ahead = iopf_count(rig_bdf(0), "prefetched");
	uint64_t used = iopf_count(rig_bdf(0), "prefetch_used");
	uint64_t wasted = iopf_count(rig_bdf(0), "prefetch_wasted");

	touch(r, &b, IOPF_SIM_ORDER_STRIDED, prg_pages);
	ahead = iopf_count(rig_bdf(0), "prefetched") - ahead;
	used = iopf_count(rig_bdf(0), "prefetch_used") - used;
	wasted = iopf_count(rig_bdf(0), "prefetch_wasted") - wasted;
	tap_ok(faults() - before <= PAGES / (AHEAD_MAX + prg_pages) + BLOCKS + 8,
	       "absent, in order, %u at a time: few faults", prg_pages);
	tap_diag("%llu faults, %llu pages ahead, %llu used, %llu wasted",
		 (unsigned long long)(faults() - before), (unsigned long long)ahead,
		 (unsigned long long)used, (unsigned long long)wasted);
	tap_ok(ahead >= PAGES / 2 && used >= ahead - 2 * AHEAD_MAX && wasted <= AHEAD_MAX,
	       "most of it was populated ahead, and used");
	tap_is(mem_resident(b.va, b.len), PAGES, "nothing but the buffer");
	rig_both_ways(&r->sim[0], &b, 20, "after that");
	rig_buffer_free(r, &b);
}

/* The stream ends at the end of the area, although there is more memory. */
static void check_end(struct rig *r)
{
	struct simbuf b = { mem_anon(2 * LEN), RIG_IOVA, LEN };

	rig_map(r, &b);
	touch(r, &b, IOPF_SIM_ORDER_STRIDED, 1);
	tap_is(mem_resident(b.va, 2 * LEN), PAGES, "a stream ends with the area");
	rig_unmap(r, &b);
	mem_unmap(b.va, 2 * LEN);
}

/* A long stream over populated memory: a worker prefetches for it. */
static void check_steady(struct rig *r)
{
	struct simbuf b = { mem_anon(STEADY_LEN), RIG_IOVA, STEADY_LEN };
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_READ, &b, 0, b.len, 1);
	uint64_t before = faults();
	struct iopf_sim_cpl cpl;
	unsigned int tries = 0;

	memset(b.va, 1, b.len);
	rig_map(r, &b);
	sim_cmd_order(&cmd, IOPF_SIM_ORDER_STRIDED, 8, MEM_PAGE, 7);
	rig_status_is(sim_run(&r->sim[0], &cmd, NULL), IOPF_SIM_ST_OK, "a long stream");
	tap_ok(faults() - before < STEADY_LEN / MEM_HUGE / 2, "most of it without a fault: %llu",
	       (unsigned long long)(faults() - before));
	/* The worker continues to the end, unless the device overtakes it. */
	while (leaves() < STEADY_LEN / MEM_PAGE && tries++ < 1000)
		usleep(10000);
	tap_is(leaves(), STEADY_LEN / MEM_PAGE, "everything is mapped");
	rig_both_ways(&r->sim[0], &b, 40, "after that");
	/* The memory is dropped in the middle of the stream. */
	rig_unmap(r, &b);
	rig_map(r, &b);
	sim_start(&r->sim[0], &cmd);
	while (leaves() < 3 * MEM_HUGE / MEM_PAGE)
		sched_yield();
	rig_unmap(r, &b);
	sim_wait(&r->sim[0], &cpl);
	tap_is(leaves(), 0, "unmapped under a stream: nothing is left");
	mem_unmap(b.va, b.len);
}

/* A stream with a stride, up or down, over absent pages: only pages of the stream are populated. */
static void check_stride(struct rig *r, int stride)
{
	struct simbuf b = buffer(r);
	unsigned int n = PAGES / (unsigned int)abs(stride);
	uint64_t before = faults(), used = iopf_count(rig_bdf(0), "prefetch_used");
	size_t resident;

	for (unsigned int i = 0; i < n; i++)
		touch_one(r, &b, stride > 0 ? i * (size_t)stride
					    : PAGES - 1 - i * (size_t)-stride);
	tap_ok(faults() - before < n / 4 + 16, "stride %d: %llu faults for %u places", stride,
	       (unsigned long long)(faults() - before), n);
	used = iopf_count(rig_bdf(0), "prefetch_used") - used;
	tap_ok(used > n / 2, "stride %d: %llu prefetched pages were used", stride,
	       (unsigned long long)used);
	resident = mem_resident(b.va, b.len);
	tap_ok(resident >= n && resident <= n + 2 * AHEAD_MAX,
	       "stride %d: hardly more than the touched pages is populated: %zu", stride, resident);
	rig_buffer_free(r, &b);
}

static void check_random(struct rig *r)
{
	struct simbuf b = buffer(r);
	uint64_t ahead = iopf_count(rig_bdf(0), "prefetched");
	size_t i, resident = 0;

	for (i = 0; i < 400; i++)
		touch_one(r, &b, i * 1237 % PAGES);
	resident = mem_resident(b.va, b.len);
	tap_ok(resident <= 400 + 40, "absent, all over: hardly more than was touched");
	tap_diag("%zu pages for 400, %llu ahead", resident,
		 (unsigned long long)(iopf_count(rig_bdf(0), "prefetched") - ahead));
	rig_buffer_free(r, &b);
}

/*
 * The host ages pages. Pages that the device still uses are mapped again, but not those around
 * them, which would look used.
 */
static void check_aged(struct rig *r)
{
	struct simbuf b = buffer(r);
	int err;

	memset(b.va, 1, b.len);
	touch_one(r, &b, 100);
	tap_is(leaves(), 512, "a block is mapped");
	err = mem_age();
	if (err == -ENOENT) {
		tap_skip("no multi-gen LRU", "the kernel ages all pages");
		rig_buffer_free(r, &b);
		return;
	}
	tap_errno_is(err, 0, "the kernel ages all pages");
	/* The host does not age pages that are not on its lists yet: a batch or two. */
	tap_ok(leaves() < 64, "%llu of them are left mapped", (unsigned long long)leaves());
	touch_one(r, &b, 100);
	touch_one(r, &b, 300);
	tap_ok(leaves() < 64 + 32, "then faults map little around them: %llu pages",
	       (unsigned long long)leaves());
	/* Other memory behaves as before. */
	touch_one(r, &b, 512 + 100);
	tap_ok(leaves() >= 512 + 32, "but as much as ever elsewhere");
	rig_both_ways(&r->sim[0], &b, 30, "after that");
	rig_buffer_free(r, &b);
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	mem_keep_still();
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	check_ahead(&r, 1);
	check_ahead(&r, 8);
	check_present(&r, IOPF_SIM_ORDER_STRIDED, BLOCKS / 2 + 1, "in order");
	check_present(&r, IOPF_SIM_ORDER_RANDOM, BLOCKS, "at random");
	check_places(&r);
	check_tables(&r);
	check_holes(&r);
	check_end(&r);
	check_steady(&r);
	check_stride(&r, 3);
	check_stride(&r, 40);
	check_stride(&r, -1);
	check_stride(&r, -7);
	check_random(&r);
	check_aged(&r);
	rig_end(&r);
	return tap_done();
}
