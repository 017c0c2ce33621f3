// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty pages of an emulated device (mdev-style) that is alone in its container: reports while it
 * pins, unpins and uses dma_rw. Each check runs with stock type1, then with the backend, and
 * expects the same results. A report that user space holds back is for the backend only: stock
 * type1 keeps all others waiting meanwhile.
 *
 * vm: --mem 1024
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dirty.h"
#include "emulated.h"
#include "mdev.h"
#include "rig.h"
#include "uffd.h"

#define PAGES	EMULATED_PAGES
#define LEN	EMULATED_LEN

static int get_bitmap(struct emulated *t)
{
	struct dirty_map m;
	int err;

	dirty_map_init(&m, t->b.iova, LEN);
	err = dirty_get(&t->c, &m);
	dirty_map_free(&m);
	return err;
}

/* Check that the report contains exactly pages [first, first + n) and, if not 0, page @more. */
static void dirty_is(struct emulated *t, unsigned int first, unsigned int n, unsigned int more,
		     const char *what)
{
	bool want[PAGES] = { };
	struct dirty_map m;

	memset(want + first, true, n);
	if (more)
		want[more] = true;
	dirty_map_init(&m, t->b.iova, LEN);
	if (tap_errno_is(dirty_get(&t->c, &m), 0, "dirty: %s: bitmap", what))
		tap_is(dirty_differs(&m, want), 0, "dirty: %s: exactly the right pages", what);
	dirty_map_free(&m);
}

static void check_dirty(struct emulated *t)
{
	struct vfio_iommu_type1_info *info = vfio_get_info(&t->c);
	struct mdev *m = &t->m;
	bool offered;

	must_be(info);
	offered = vfio_info_cap(info, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION);
	free(info);
	if (!offered) {
		tap_skip("it does not offer dirty tracking", "dirty pages");
		return;
	}
	must(mdev_pin(m, emulated_page(t, 10), 4, MDEV_RW));
	tap_errno_is(get_bitmap(t), -EINVAL, "dirty: no bitmap before it starts");
	tap_errno_is(dirty_track(&t->c, true), 0, "dirty: starts");
	dirty_is(t, 10, 4, 0, "pinned before");
	dirty_is(t, 10, 4, 0, "still pinned");
	must(mdev_unpin(m, emulated_page(t, 10), 4));
	/* The last bitmap reported it; it may have been written since. */
	dirty_is(t, 10, 4, 0, "unpinned, once");
	dirty_is(t, 0, 0, 0, "then no more");
	must(mdev_pin(m, emulated_page(t, 20), 3, MDEV_R));
	must(mdev_unpin(m, emulated_page(t, 20), 3));
	dirty_is(t, 20, 3, 0, "pinned and unpinned");
	dirty_is(t, 0, 0, 0, "then no more");
	simbuf_fill(&t->b, 0, LEN, 1);
	dirty_is(t, 0, 0, 0, "written by the CPU");
	must((int)mdev_differs(m, MDEV_DMA_RW, &t->b, 0, MEM_PAGE, 1));
	dirty_is(t, 0, 0, 0, "read by dma_rw");
	must(mdev_fill(m, MDEV_DMA_RW, &t->b, 30 * MEM_PAGE - 8, MEM_PAGE + 16, 1));
	dirty_is(t, 29, 3, 0, "written by dma_rw");
	dirty_is(t, 0, 0, 0, "then no more");
	must(mdev_fill(m, MDEV_DMA_RW_KTHREAD, &t->b, (PAGES - 1) * MEM_PAGE, MEM_PAGE, 1));
	must(mdev_pin(m, emulated_page(t, 40), 1, MDEV_RW));
	dirty_is(t, 40, 1, PAGES - 1, "written by a kernel thread, and pinned");
	dirty_is(t, 40, 1, 0, "pinned");
	must(mdev_reset(m));
	tap_errno_is(dirty_track(&t->c, false), 0, "dirty: stops");
	tap_errno_is(get_bitmap(t), -EINVAL, "dirty: no bitmap after that");
	tap_errno_is(dirty_track(&t->c, true), 0, "dirty: starts again");
	dirty_is(t, 0, 0, 0, "a new start");
	must(dirty_track(&t->c, false));
}

/**
 * struct report - a report of dirty pages, which is held while it is copied to user space
 * @t: of whose container
 * @m: the report
 * @last: it comes with unmapping
 * @ret: what it has returned
 */
struct report {
	struct emulated *t;
	struct dirty_map m;
	bool last;
	int ret;
};

static void *report_run(void *arg)
{
	struct report *rp = arg;

	rp->ret = rp->last ? dirty_unmap(&rp->t->c, &rp->m) : dirty_get(&rp->t->c, &rp->m);
	return NULL;
}

/* The device unpins and writes while a report is held. No page that it has used is missing. */
static void check_report(struct emulated *t, bool last)
{
	static char zero[MEM_PAGE] __attribute__((aligned(MEM_PAGE)));
	const char *what = last ? "the last report" : "a report";
	struct report rp = { .t = t, .last = last };
	void *held = mem_anon(MEM_PAGE);
	int uffd = uffd_missing(held, MEM_PAGE), ret;
	struct dirty_map next;
	unsigned int lost = 0;
	pthread_t thread;

	dirty_map_init(&rp.m, t->b.iova, LEN);
	free(rp.m.bits);
	rp.m.bits = held;
	dirty_map_init(&next, t->b.iova, LEN);
	must(dirty_track(&t->c, true));
	must_be(mdev_pin(&t->m, emulated_page(t, 1), 3, MDEV_RW) == 3);
	must_be(!pthread_create(&thread, NULL, report_run, &rp));
	uffd_asked(uffd);
	/* With unmapping the device has been told to, and has done so. */
	tap_errno_is(mdev_unpin(&t->m, emulated_page(t, 1), 3), last ? -ENOENT : 0,
		     "%s is held: the device unpins", what);
	ret = (int)mdev_fill(&t->m, MDEV_DMA_RW, &t->b, 9 * MEM_PAGE, MEM_PAGE, 1);
	tap_ok(!ret || last, "%s is held: the device writes (%d)", what, ret);
	must(uffd_give(uffd, (uintptr_t)held, zero, MEM_PAGE));
	pthread_join(thread, NULL);
	tap_errno_is(rp.ret, 0, "%s is made", what);
	if (!last)
		must(dirty_get(&t->c, &next));
	for (unsigned int i = 1; i < 4; i++)
		lost += !dirty_page(&rp.m, i) && !dirty_page(&next, i);
	lost += !ret && !dirty_page(&rp.m, 9) && !dirty_page(&next, 9);
	tap_is(lost, 0, "%s, or the next one, has each page", what);
	must(dirty_track(&t->c, false));
	if (last)
		must(vfio_map(&t->c, t->b.va, t->b.iova, LEN));
	emulated_holds(t, 0, 0, "after a report that was held");
	close(uffd);
	mem_unmap(held, MEM_PAGE);
	dirty_map_free(&next);
}

static void run(bool stock)
{
	struct emulated t;

	emulated_begin(&t, stock);
	check_dirty(&t);
	if (!stock) {
		check_report(&t, false);
		check_report(&t, true);
	}
	emulated_end(&t);
	tap_errno_is(rig_unload_soon(), 0, "unloaded: nothing is held");
}

int main(void)
{
	emulated_run(run);
	return tap_done();
}
