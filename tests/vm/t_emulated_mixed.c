// SPDX-License-Identifier: GPL-2.0-only
/*
 * An emulated device (mdev-style) in one container with devices that do DMA. They reach the same
 * memory, in whatever order they joined. Each leaves without disturbing the others. A pinned page
 * is charged once, as long as a device pins it. The test runs with stock type1, then with the
 * backend. There a device that may not fault also joins and leaves.
 *
 * All memory is charged while a device that can't fault is in the container (with stock type1:
 * each device). Otherwise the pages that the emulated device has pinned are charged.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "dma.h"
#include "mdev.h"
#include "rig.h"

#define LEN	(1 * MiB)
#define PAGES	(LEN / MEM_PAGE)

/**
 * struct bench - a container with an emulated device and up to two simulated ones
 * @r: the container and the simulated devices; each is there when @joined
 * @joined: which of them
 * @faulting: which of them may fault
 * @m: the emulated device
 * @a: memory, mapped
 * @b: more memory; mapped when its length is not 0
 * @stock: served by stock type1
 */
struct bench {
	struct rig r;
	bool joined[2];
	bool faulting[2];
	struct mdev m;
	struct simbuf a;
	struct simbuf b;
	bool stock;
};

static size_t locked_pages(void)
{
	return (mem_status_kb(0, "VmLck") + mem_status_kb(0, "VmPin")) * 1024 / MEM_PAGE;
}

/* Checks the pins of the emulated device, and the charge for all devices. */
static void charged(struct bench *t, unsigned int pins, const char *what)
{
	size_t want = pins;
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (t->joined[i] && (t->stock || !t->faulting[i]))
			want = (t->a.len + t->b.len) / MEM_PAGE;
	if (t->m.fd >= 0)
		tap_is(mdev_status(&t->m).pages, pins, "%s: %u pages pinned by the device", what,
		       pins);
	tap_is(locked_pages(), want, "%s: pages charged", what);
}

static void join(struct bench *t, unsigned int i)
{
	struct rig *r = &t->r;

	must(vfio_dev_open(&r->vfio[i], &r->c, rig_bdf(i), VFIO_TYPE1v2_IOMMU));
	must(sim_up(&r->sim[i], &r->vfio[i], NULL));
	t->joined[i] = true;
}

static void leave(struct bench *t, unsigned int i)
{
	vfio_dev_close(&t->r.vfio[i]);
	t->joined[i] = false;
}

/*
 * Data that one of them writes is visible to all: the device, the emulated device in each way, and
 * the CPU.
 */
static void agree(struct bench *t, unsigned int i, size_t off, size_t len, uint64_t seed,
		  const char *what)
{
	struct simdev *s = &t->r.sim[i];
	struct simbuf *a = &t->a;
	enum mdev_way way;
	int64_t wrong = 0;

	must_be(!sim_write(s, a, off, len, seed, NULL));
	for (way = 0; way < MDEV_WAYS; way++)
		wrong += !!mdev_differs(&t->m, way, a, off, len, seed);
	tap_is((uint64_t)wrong, 0, "%s: the data of the device is read in every way", what);
	tap_is(simbuf_differs(a, off, len, seed), 0, "%s: and by the CPU", what);
	for (way = 0; way < MDEV_WAYS; way++) {
		seed++;
		must(mdev_fill(&t->m, way, a, off, len, seed));
		wrong = sim_verify(s, a, off, len, seed, NULL);
		wrong += !!simbuf_differs(a, off, len, seed);
		tap_is((uint64_t)wrong, 0, "%s: the device reads the data written by %s", what,
		       mdev_way_name(way));
	}
	seed++;
	simbuf_fill(a, off, len, seed);
	wrong = sim_verify(s, a, off, len, seed, NULL);
	for (way = 0; way < MDEV_WAYS; way++)
		wrong += !!mdev_differs(&t->m, way, a, off, len, seed);
	tap_is((uint64_t)wrong, 0, "%s: all read the data of the CPU", what);
}

/* The emulated device pins memory that the other device already uses, and the reverse. */
static void check_together(struct bench *t)
{
	struct mdev *m = &t->m;

	must(mdev_pin(m, t->a.iova, 16, MDEV_RW));
	charged(t, 16, "pinned before the device comes to it");
	agree(t, 0, 0, 16 * MEM_PAGE, 10, "pinned before the device comes to it");

	rig_both_ways(&t->r.sim[0], &t->a, 20, "all of the range");
	must(mdev_pin(m, t->a.iova + 32 * MEM_PAGE, 16, MDEV_RW));
	agree(t, 0, 32 * MEM_PAGE, 16 * MEM_PAGE, 30, "pinned after the device came to it");

	/* A read of absent memory may get the shared page of zeros. */
	if (!t->stock) {
		mem_drop((char *)t->a.va + 64 * MEM_PAGE, 16 * MEM_PAGE);
		must_be(!sim_read(&t->r.sim[0], &t->a, 64 * MEM_PAGE, 16 * MEM_PAGE, NULL));
	}
	must(mdev_pin(m, t->a.iova + 64 * MEM_PAGE, 16, MDEV_RW));
	agree(t, 0, 64 * MEM_PAGE, 16 * MEM_PAGE, 40, "pinned where the device read zeros");
	charged(t, 48, "three times 16 pages");
	must(mdev_unpin(m, t->a.iova + 32 * MEM_PAGE, 16));
	must(mdev_unpin(m, t->a.iova + 64 * MEM_PAGE, 16));
	charged(t, 16, "16 pages are left");
	rig_both_ways(&t->r.sim[0], &t->a, 50, "all of the range, some of it pinned");

	/* A range is unmapped under both. */
	must(mdev_pin(m, t->b.iova, 4, MDEV_RW));
	must_be(!sim_write(&t->r.sim[0], &t->b, 0, t->b.len, 60, NULL));
	tap_is((uint64_t)mdev_differs(m, MDEV_PINNED, &t->b, 0, 4 * MEM_PAGE, 60), 0,
	       "a second range");
	charged(t, 20, "a second range");
	tap_errno_is(vfio_unmap(&t->r.c, t->b.iova, t->b.len), 0, "it is unmapped");
	rig_status_is(sim_write(&t->r.sim[0], &t->b, 0, MEM_PAGE, 61, NULL),
		      t->stock ? IOPF_SIM_ST_UNTRANSLATED : IOPF_SIM_ST_INVALID,
		      "the device has no access any more");
	tap_errno_is(mdev_pin(m, t->b.iova, 1, MDEV_R), -EINVAL, "nor has the emulated device");
	rig_same(&t->b, 60, "the unmapped range");
	mem_unmap(t->b.va, t->b.len);
	t->b.len = 0;
	charged(t, 16, "without it");
}

static void check_under_dma(struct bench *t)
{
	uint64_t seed = 70, word;
	unsigned int i, bad = 0;
	struct dma dma;

	simbuf_fill(&t->a, 0, LEN, seed);
	dma_start_both(&dma, &t->r.sim[0], &t->a, seed);
	for (i = 0; i < 200; i++) {
		uint64_t iova = t->a.iova + (16 + i) * MEM_PAGE;

		bad += mdev_pin(&t->m, iova, 8, i & 1 ? MDEV_RW : MDEV_R) != 8;
		bad += !!mdev_read(&t->m, MDEV_DMA_RW_KTHREAD, iova, &word, 8);
		bad += !!mdev_unpin(&t->m, iova, 8);
		if (!(i % 50))
			dma_wait_rounds(&dma, 1);
	}
	tap_is(bad, 0, "pinned, read, unpinned under DMA");
	tap_is(dma_stop(&dma), 0, "under DMA: data right");
	dma_describe(&dma);
	rig_same(&t->a, seed, "under DMA");
	charged(t, 16, "under DMA");
}

/* The emulated device works on after the others have left. */
static void check_left_alone(struct bench *t)
{
	struct mdev *m = &t->m;

	simbuf_fill(&t->a, 0, LEN, 80);
	leave(t, 0);
	charged(t, 16, "the device has left");
	tap_is((uint64_t)mdev_differs(m, MDEV_PINNED, &t->a, 0, 16 * MEM_PAGE, 80), 0,
	       "the device has left: pinned pages stay");
	must(mdev_pin(m, t->a.iova + 100 * MEM_PAGE, 4, MDEV_RW));
	charged(t, 20, "the device has left: more is pinned");
	must(mdev_fill(m, MDEV_PINNED, &t->a, 100 * MEM_PAGE, 4 * MEM_PAGE, 80));
	must(mdev_fill(m, MDEV_DMA_RW, &t->a, 104 * MEM_PAGE, MEM_PAGE, 80));
	rig_same(&t->a, 80, "the device has left");

	join(t, 0);
	charged(t, 20, "the device is back");
	agree(t, 0, 0, 16 * MEM_PAGE, 81, "the device is back");
	must(mdev_unpin(m, t->a.iova + 100 * MEM_PAGE, 4));
	charged(t, 16, "the device is back, less is pinned");
}

/* A device that may not fault, and with it pins of everything, comes and goes. */
static void check_pinner(struct bench *t)
{
	struct mdev *m = &t->m;

	if (!t->stock)
		must(iopf_enable(rig_bdf(1), false));
	t->faulting[1] = false;
	join(t, 1);
	charged(t, 16, "one that can't fault has joined");
	agree(t, 1, 8 * MEM_PAGE, 8 * MEM_PAGE, 90, "one that can't fault");
	rig_both_ways(&t->r.sim[1], &t->a, 95, "one that can't fault");
	rig_both_ways(&t->r.sim[0], &t->a, 97, "beside one that can't fault");

	/* More and fewer pins meanwhile. */
	must(mdev_pin(m, t->a.iova + 32 * MEM_PAGE, 16, MDEV_RW));
	must(mdev_unpin(m, t->a.iova, 8));
	charged(t, 24, "with one that can't fault: other pages pinned");
	simbuf_fill(&t->a, 0, LEN, 99);
	leave(t, 1);
	charged(t, 24, "one that can't fault has left");
	tap_is((uint64_t)mdev_differs(m, MDEV_PINNED, &t->a, 32 * MEM_PAGE, 16 * MEM_PAGE, 99), 0,
	       "one that can't fault has left: pinned pages stay");
	rig_both_ways(&t->r.sim[0], &t->a, 100, "one that can't fault has left");
	must(mdev_pin(m, t->a.iova, 8, MDEV_RW));
	must(mdev_unpin(m, t->a.iova + 32 * MEM_PAGE, 16));

	/* The same beside the emulated one only, and then unmapped with both there. */
	leave(t, 0);
	join(t, 1);
	charged(t, 16, "the emulated one and one that can't fault");
	agree(t, 1, 0, 16 * MEM_PAGE, 110, "the emulated one and one that can't fault");
	must(vfio_unmap(&t->r.c, t->a.iova, LEN));
	tap_is(locked_pages() + mdev_status(m).pins, 0, "unmapped: nothing is pinned");
	must(vfio_map(&t->r.c, t->a.va, t->a.iova, LEN));
	charged(t, 0, "mapped again");
	must(mdev_pin(m, t->a.iova, 16, MDEV_RW));
	charged(t, 16, "and pinned");
	leave(t, 1);
	charged(t, 16, "one that can't fault has left again");
	join(t, 0);
	if (!t->stock)
		must(iopf_enable(rig_bdf(1), true));
}

/* Demand paging is switched off and on with pins outstanding. */
static void check_switch(struct bench *t)
{
	tap_errno_is(iopf_enable(rig_bdf(0), false), 0, "switched off with pins outstanding");
	t->faulting[0] = false;
	charged(t, 16, "off");
	agree(t, 0, 0, 16 * MEM_PAGE, 120, "off");
	must(mdev_unpin(&t->m, t->a.iova, 8));
	charged(t, 8, "off, less is pinned");
	tap_errno_is(iopf_enable(rig_bdf(0), true), 0, "and on");
	t->faulting[0] = true;
	charged(t, 8, "on");
	must(mdev_pin(&t->m, t->a.iova, 8, MDEV_RW));
	agree(t, 0, 0, 16 * MEM_PAGE, 130, "on");
	charged(t, 16, "on, more is pinned");
}

/* The others go on when the emulated device leaves with pins outstanding. */
static void check_left_others(struct bench *t)
{
	mdev_close(&t->m);
	charged(t, 0, "the emulated one has left");
	rig_both_ways(&t->r.sim[0], &t->a, 140, "the emulated one has left");
	if (!t->stock) {
		mem_drop(t->a.va, LEN);
		tap_is(mem_resident(t->a.va, LEN), 0, "memory can be dropped");
		rig_both_ways(&t->r.sim[0], &t->a, 150, "dropped");
	}
	must(mdev_open(&t->m, &t->r.c, 0, VFIO_TYPE1v2_IOMMU));
	must(mdev_pin(&t->m, t->a.iova, 16, MDEV_RW));
	charged(t, 16, "the emulated one is back");
	agree(t, 0, 0, 16 * MEM_PAGE, 160, "the emulated one is back");
}

static void run(bool stock, bool emulated_first)
{
	struct bench t = {
		.faulting = { true, true },
		.a = { mem_anon(LEN), RIG_IOVA, LEN },
		.b = { mem_anon(LEN), RIG_IOVA + LEN, LEN },
		.stock = stock,
	};

	tap_diag("%s, the %s device joins first", stock ? "stock type1" : "the backend",
		 emulated_first ? "emulated" : "faulting");
	rig_load("devices=2 mdev.devices=1", stock ? NULL : "");
	must(vfio_container_open(&t.r.c));
	t.r.devices = 1;
	if (emulated_first) {
		must(mdev_open(&t.m, &t.r.c, 0, VFIO_TYPE1v2_IOMMU));
		must(vfio_map(&t.r.c, t.a.va, t.a.iova, t.a.len));
		join(&t, 0);
	} else {
		join(&t, 0);
		must(vfio_map(&t.r.c, t.a.va, t.a.iova, t.a.len));
		must(mdev_open(&t.m, &t.r.c, 0, VFIO_TYPE1v2_IOMMU));
	}
	tap_is(iopf_serves_me(), !stock, "the right backend serves");
	must(vfio_map(&t.r.c, t.b.va, t.b.iova, t.b.len));
	charged(&t, 0, "nothing pinned yet");
	check_together(&t);
	check_under_dma(&t);
	check_left_alone(&t);
	check_pinner(&t);
	if (!stock)
		check_switch(&t);
	check_left_others(&t);
	rig_clean(&t.r);
	if (emulated_first) {
		mdev_close(&t.m);
		leave(&t, 0);
	} else {
		leave(&t, 0);
		mdev_close(&t.m);
	}
	vfio_container_close(&t.r.c);
	tap_is(locked_pages(), 0, "closed: nothing is charged");
	rig_balanced();
	tap_errno_is(rig_unload_soon(), 0, "unloaded: nothing is held");
	mem_unmap(t.a.va, LEN);
}

int main(void)
{
	bool stock_only = rig_stock();

	/* See t_emulated about lockdep. */
	if (!rig_debug_kernel()) {
		run(true, true);
		run(true, false);
	} else {
		tap_skip("lockdep would report its deadlock", "stock type1");
	}
	if (!stock_only) {
		run(false, true);
		run(false, false);
	}
	return tap_done();
}
