// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that fault in some of their accesses only: all is pinned for them until user space says
 * that it has locked what they can't fault in; and again when it takes that back. While the device
 * runs, with another beside it, and failing cleanly.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dma.h"
#include "policy.h"
#include "rig.h"

#define LEN	(8 * MiB)
#define KiB	1024ul

static void charged_is(size_t bytes, const char *what)
{
	tap_is(policy_locked_kb(), bytes / KiB, "%s: KiB charged", what);
}

static int complete(struct rig *r)
{
	return policy_lock(&r->c, 0, 0, VFIO_IOPF_LOCK_COMPLETE, NULL);
}

static int incomplete(struct rig *r)
{
	return policy_unlock(&r->c, 0, VFIO_IOPF_UNLOCK_INCOMPLETE);
}

static void check_answer(struct rig *r, const struct simbuf *b)
{
	const char *bdf = r->vfio[0].bdf;
	uint64_t id, requests;

	charged_is(LEN, "nobody has answered for it");
	tap_ok(strstr(iopf_text(bdf, "reason"), "in part"), "and sysfs says so (%s)",
	       iopf_text(bdf, "reason"));
	requests = sim_count(bdf, "requests");
	rig_both_ways(&r->sim[0], b, 1, "nobody has answered");
	tap_is(sim_count(bdf, "requests"), requests, "it faults not at all");

	must(policy_lock(&r->c, b->iova, MiB, VFIO_IOPF_LOCK_COMPLETE, &id));
	charged_is(MiB, "all that matters is locked");
	tap_ok(!*iopf_text(bdf, "reason"), "nothing to be said any more (%s)",
	       iopf_text(bdf, "reason"));
	mem_drop((char *)b->va + MiB, LEN - MiB);
	rig_both_ways(&r->sim[0], b, 3, "it faults in the rest");
	tap_ok(sim_count(bdf, "requests") > requests, "as can be seen");

	tap_errno_is(incomplete(r), 0, "taken back");
	charged_is(LEN, "taken back");
	must(policy_unlock(&r->c, id, 0));
	charged_is(LEN, "unlocked: for the device it is pinned still");
	rig_both_ways(&r->sim[0], b, 5, "taken back");
}

static void check_under_dma(struct rig *r, const struct simbuf *b)
{
	const char *bdf = r->vfio[0].bdf;
	static const char * const modes[] = { "selective", "arbitrary", "none" };
	struct dma dma;
	int i, err = 0;

	simbuf_fill(b, 0, LEN, 7);
	dma_start_both(&dma, &r->sim[0], b, 7);
	for (i = 0; i < 12; i++) {
		err = err ?: i % 2 ? incomplete(r) : complete(r);
		dma_wait_rounds(&dma, i % 3 == 0);
	}
	for (i = 0; i < 12; i++) {
		err = err ?: policy_mode(bdf, modes[i % 3]);
		err = err ?: strcmp(iopf_text(bdf, "mode"), modes[i % 3]);
		dma_wait_rounds(&dma, i % 2);
	}
	err = err ?: policy_mode(bdf, "selective");
	tap_errno_is(err, 0, "answered, taken back, other modes, under DMA");
	tap_is(dma_stop(&dma), 0, "data right");
	dma_describe(&dma);
	charged_is(LEN, "in the end it is as in the beginning");
}

/* Another device in the container may fault anywhere; what is pinned is for the first. */
static void check_two(struct rig *r, const struct simbuf *b)
{
	must(complete(r));
	charged_is(0, "two devices, answered");
	rig_both_ways(&r->sim[0], b, 11, "the selective one");
	rig_both_ways(&r->sim[1], b, 13, "the arbitrary one");
	must(incomplete(r));
	charged_is(LEN, "two devices, taken back");
	rig_both_ways(&r->sim[1], b, 15, "the arbitrary one, pinned");
	must(policy_mode(r->vfio[0].bdf, "arbitrary"));
	charged_is(0, "both arbitrary");
	must(policy_mode(r->vfio[0].bdf, "selective"));
	charged_is(LEN, "one selective");
}

/* Taking the answer back needs memory that is not there: it stays. */
static void check_failing(struct rig *r, const struct simbuf *b)
{
	must(complete(r));
	must_sys(munmap((char *)b->va + 4 * MiB, MEM_PAGE));
	tap_errno_is(incomplete(r), -EFAULT, "it can't be taken back");
	charged_is(0, "and is not");
	rig_status_is(sim_write(&r->sim[0], b, 0, MiB, 17, NULL), IOPF_SIM_ST_OK,
		      "the device faults on");
	tap_errno_is(policy_mode(r->vfio[0].bdf, "none"), -EFAULT, "nor can it be switched off");
	tap_ok(!strcmp(iopf_text(r->vfio[0].bdf, "mode"), "selective") &&
	       !strcmp(iopf_text(r->vfio[0].bdf, "enabled"), "1"), "it is what it was");
	tap_errno_is(policy_mode(r->vfio[0].bdf, "partial"), -EINVAL, "no mode at all");
	/* The answer is the container's: it goes with it. */
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct rig r;

	rig_backend_only();
	rig_load("", "");
	tap_errno_is(policy_mode(rig_bdf(0), "selective"), 0, "a device that faults in part");
	b.va = mem_anon(LEN);
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	check_answer(&r, &b);
	check_under_dma(&r, &b);
	rig_clean(&r);
	rig_close(&r);
	charged_is(0, "closed");
	rig_balanced();

	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	check_two(&r, &b);
	check_failing(&r, &b);
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	tap_errno_is(rig_unload(), 0, "the modules can be unloaded");
	return tap_done();
}
