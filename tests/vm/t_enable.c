// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file "enabled" of a device in use. 0: the write populates and pins all ranges before it
 * returns, and the device faults no more. 1: no memory is pinned. The test does this under DMA,
 * with two devices, and for a user whose RLIMIT_MEMLOCK is too small.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dma.h"
#include "rig.h"

#define LEN	(8 * MiB)

static size_t pinned_kb(void)
{
	return mem_status_kb(0, "VmLck");
}

static void check_still(struct rig *r, const struct simbuf *b)
{
	const char *bdf = r->vfio[0].bdf;
	uint64_t requests;

	tap_is(pinned_kb(), 0, "on: nothing is pinned");
	tap_errno_is(iopf_enable(bdf, false), 0, "switched off");
	tap_is(pinned_kb(), LEN / 1024, "off: all of it is pinned");
	tap_is(mem_resident(b->va, LEN), LEN / MEM_PAGE, "off: and there");
	requests = sim_count(bdf, "requests");
	rig_both_ways(&r->sim[0], b, 1, "off");
	tap_is(sim_count(bdf, "requests"), requests, "off: the device asks for nothing");

	tap_errno_is(iopf_enable(bdf, true), 0, "switched on");
	tap_is(pinned_kb(), 0, "on: nothing is pinned");
	rig_same(b, 2, "on: the data stayed");
	mem_drop(b->va, LEN);
	tap_is(mem_resident(b->va, LEN), 0, "on: memory can be dropped");
	requests = sim_count(bdf, "requests");
	rig_both_ways(&r->sim[0], b, 3, "on");
	tap_ok(sim_count(bdf, "requests") > requests, "on: the device asks again");
	tap_errno_is(iopf_enable(bdf, true), 0, "writing 1 again changes nothing");
	tap_errno_is(iopf_enable(bdf, false), 0, "off");
	tap_errno_is(iopf_enable(bdf, false), 0, "writing 0 again changes nothing");
	tap_is(pinned_kb(), LEN / 1024, "memory is pinned once");
	tap_errno_is(iopf_enable(bdf, true), 0, "on");
}

/* While the device is disabled, each mapped range is pinned, and each unmapped range released. */
static void check_mapping_while_off(struct rig *r, const struct simbuf *b)
{
	struct simbuf more = { mem_anon(LEN), b->iova + LEN, LEN };
	const char *bdf = r->vfio[0].bdf;

	must(iopf_enable(bdf, false));
	rig_map(r, &more);
	tap_is(pinned_kb(), 2 * LEN / 1024, "off: a new range is pinned");
	rig_both_ways(&r->sim[0], &more, 5, "off: a new range");
	rig_unmap(r, &more);
	tap_is(pinned_kb(), LEN / 1024, "off: unmapping releases it");
	rig_map(r, &more);
	must(iopf_enable(bdf, true));
	tap_is(pinned_kb(), 0, "on: both are released");
	rig_both_ways(&r->sim[0], &more, 6, "on: the new range");
	rig_unmap(r, &more);
	mem_unmap(more.va, LEN);
}

static void check_under_dma(struct rig *r, const struct simbuf *b)
{
	const char *bdf = r->vfio[0].bdf;
	struct dma dma;
	int i, err = 0;

	simbuf_fill(b, 0, LEN, 7);
	dma_start_both(&dma, &r->sim[0], b, 7);
	for (i = 0; i < 12; i++) {
		err = err ? err : iopf_enable(bdf, i & 1);
		if (!(i % 4))
			dma_wait_rounds(&dma, 1);
	}
	tap_errno_is(err, 0, "switched under DMA");
	tap_is(dma_stop(&dma), 0, "under DMA: data right");
	dma_describe(&dma);
	tap_is(pinned_kb(), 0, "nothing stays pinned");
}

/* Memory is pinned as long as a device of the container may not fault. */
static void check_two(struct rig *r, const struct simbuf *b)
{
	const char *first = r->vfio[0].bdf, *second = r->vfio[1].bdf;

	must(iopf_enable(first, false));
	must(iopf_enable(second, false));
	tap_is(pinned_kb(), LEN / 1024, "both off: pinned, and accounted once");
	must(iopf_enable(first, true));
	tap_is(pinned_kb(), LEN / 1024, "one off: pinned");
	rig_both_ways(&r->sim[0], b, 8, "one off: the one that is on");
	rig_both_ways(&r->sim[1], b, 10, "one off: the one that is off");
	must(iopf_enable(second, true));
	tap_is(pinned_kb(), 0, "both on: not pinned");
}

/* Disabling the device populates memory that is swapped out or was never there. */
static void check_populates(struct rig *r, const struct simbuf *b)
{
	const char *bdf = r->vfio[0].bdf;

	mem_drop(b->va, LEN);
	must(iopf_enable(bdf, false));
	tap_is(mem_resident(b->va, LEN), LEN / MEM_PAGE, "off: populated from nothing");
	rig_both_ways(&r->sim[0], b, 12, "off");
	must(iopf_enable(bdf, true));
}

/*
 * A user without CAP_IPC_LOCK whose RLIMIT_MEMLOCK is less than the range: the write fails, and the
 * device continues to fault.
 */
static void check_limit(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	int go[2], said[2], status;
	char byte = 0;
	pid_t pid;

	must_sys(pipe(go));
	must_sys(pipe(said));
	pid = rig_fork_user(must(vfio_group_id(rig_bdf(0))), MiB);
	if (!pid) {
		struct vfio_container c;
		struct vfio_dev d;
		struct simdev s;

		must(vfio_container_open(&c));
		must(vfio_dev_open(&d, &c, rig_bdf(0), VFIO_TYPE1v2_IOMMU));
		must(sim_up(&s, &d, NULL));
		b.va = mem_anon(LEN);
		must(vfio_map(&c, b.va, b.iova, LEN));
		if (sim_write(&s, &b, 0, LEN, 20, NULL))
			_exit(1);
		must_sys(write(said[1], &byte, 1));
		must_sys(read(go[0], &byte, 1));
		mem_drop(b.va, LEN);
		_exit(sim_write(&s, &b, 0, LEN, 21, NULL) || simbuf_differs(&b, 0, LEN, 21));
	}
	close(said[1]);
	must_be(read(said[0], &byte, 1) == 1);
	tap_errno_is(iopf_enable(rig_bdf(0), false), -ENOMEM,
		     "switching off fails when the user may not lock that much");
	tap_is(mem_status_kb(pid, "VmLck"), 0, "nothing stays pinned");
	must_sys(write(go[1], &byte, 1));
	must_sys(waitpid(pid, &status, 0));
	tap_is((unsigned int)status, 0, "the user's device works on");
	must(iopf_enable(rig_bdf(0), true));
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct rig r;

	rig_backend_only();
	rig_open_mapped(&r, &b);
	check_still(&r, &b);
	check_mapping_while_off(&r, &b);
	check_under_dma(&r, &b);
	check_populates(&r, &b);
	rig_close(&r);
	rig_balanced();

	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	check_two(&r, &b);
	rig_clean(&r);
	must(iopf_enable(r.vfio[0].bdf, false));
	rig_close(&r);
	tap_is(pinned_kb(), 0, "closing a pinned container releases everything");
	rig_balanced();
	must(iopf_enable(rig_bdf(0), true));
	check_limit();
	rig_balanced();
	tap_errno_is(rig_unload(), 0, "the modules can be unloaded");
	return tap_done();
}
