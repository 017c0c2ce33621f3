// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks: user space locks memory where devices cannot fault. The memory stays pinned as long as any
 * lock covers it. A page request there gets a response, is counted, is logged once, and maps
 * nothing. The same holds for a device that may not fault at all.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "dma.h"
#include "policy.h"
#include "rig.h"

#define LEN	(8 * MiB)

/* The memory stays pinned when the host reclaims, and when one of two locks is removed. */
static void check_held(struct rig *r, const struct simbuf *b)
{
	uint64_t one, two, requests;

	must(policy_lock(&r->c, b->iova + MiB + 9, MiB - 20, 0, &one));
	policy_charged_is(MiB, "a lock, by whole pages");
	must(policy_lock(&r->c, b->iova + MiB / 2, MiB, 0, &two));
	policy_charged_is(3 * MiB / 2, "a second one, half of it on the first");
	tap_ok(one && two && one != two, "each has its number");
	rig_both_ways(&r->sim[0], b, 1, "two locks");
	requests = sim_count(r->vfio[0].bdf, "requests");
	rig_status_is(sim_write(&r->sim[0], b, MiB / 2, 3 * MiB / 2, 3, NULL), IOPF_SIM_ST_OK,
		      "the device uses locked memory");
	tap_is(sim_count(r->vfio[0].bdf, "requests"), requests, "the device does not fault on it");
	must(policy_unlock(&r->c, one, 0));
	policy_charged_is(MiB, "the first is gone");
	tap_errno_is(policy_unlock(&r->c, one, 0), -ENOENT, "it can't go twice");
	must(policy_set(&r->c, b->iova, LEN, VFIO_IOPF_POLICY_PIN));
	must(policy_unlock(&r->c, two, 0));
	policy_charged_is(LEN, "pinned by policy beside it");
	must(policy_set(&r->c, b->iova, LEN, VFIO_IOPF_POLICY_DEFAULT));
	policy_charged_is(0, "nothing is left");
	rig_both_ways(&r->sim[0], b, 5, "unlocked");
}

/* A lock over two mappings; one is unmapped, then the other. */
static void check_unmap(struct rig *r)
{
	struct simbuf a = { mem_anon(MiB), RIG_IOVA + 0x10000000, MiB };
	struct simbuf b = { mem_anon(MiB), a.iova + MiB, MiB };
	uint64_t id;

	rig_map(r, &a);
	rig_map(r, &b);
	must(policy_lock(&r->c, a.iova, 2 * MiB, 0, &id));
	policy_charged_is(2 * MiB, "over two mappings");
	rig_unmap(r, &a);
	policy_charged_is(MiB, "one is unmapped");
	rig_map(r, &a);
	policy_charged_is(MiB, "mapped anew it is not locked");
	rig_unmap(r, &b);
	policy_charged_is(0, "the other is unmapped");
	tap_errno_is(policy_unlock(&r->c, id, 0), -ENOENT, "the lock is gone with them");
	rig_unmap(r, &a);
	mem_unmap(a.va, MiB);
	mem_unmap(b.va, MiB);
}

/* Lock and unlock under DMA, including a part of a huge page. */
static void check_under_dma(struct rig *r, const struct simbuf *b, const char *what)
{
	struct dma dma;
	uint64_t id;
	int i, err = 0;

	simbuf_fill(b, 0, b->len, 7);
	dma_start_both(&dma, &r->sim[0], b, 7);
	for (i = 0; i < 24; i++) {
		err = err ?: policy_lock(&r->c, b->iova + (unsigned int)i * 17 * MEM_PAGE,
					 40 * MEM_PAGE, 0, &id);
		dma_wait_rounds(&dma, i % 2);
		err = err ?: policy_unlock(&r->c, id, 0);
		if (policy_locked_kb())
			err = err ?: -ERANGE;
	}
	tap_errno_is(err, 0, "%s: locked and unlocked under DMA", what);
	tap_is(dma_stop(&dma), 0, "%s: data right", what);
	dma_describe(&dma);
}

/* Page requests for locked memory. */
static void check_unexpected(struct rig *r, const struct simbuf *b)
{
	const char *bdf = r->vfio[0].bdf;
	uint64_t id, mapped;

	must(policy_lock(&r->c, b->iova + MiB, MiB, 0, &id));
	kmsg_mark();
	rig_status_is(sim_ask(&r->sim[0], b, 0, 4 * MEM_PAGE), IOPF_SIM_ST_OK,
		      "asked for elsewhere");
	tap_is(iopf_count(bdf, "unexpected_locked"), 0, "it is not unexpected");
	rig_status_is(sim_ask(&r->sim[0], b, 0, 4 * MEM_PAGE), IOPF_SIM_ST_OK, "asked for again");
	tap_is(iopf_count(bdf, "unexpected_locked"), 0, "nor is a request for a mapped page");
	mapped = iopf_count(bdf, "pages_mapped");
	rig_status_is(sim_ask(&r->sim[0], b, MiB, 8 * MEM_PAGE), IOPF_SIM_ST_OK,
		      "asked for where it is locked: the device goes on");
	tap_is(iopf_count(bdf, "unexpected_locked"), 8, "each is unexpected");
	tap_is(iopf_count(bdf, "pages_mapped"), mapped, "no page is mapped");
	rig_status_is(sim_ask(&r->sim[0], b, MiB, 8 * MEM_PAGE), IOPF_SIM_ST_OK, "asked for again");
	tap_is(kmsg_count("where memory is locked"), 1, "said once");
	must(policy_unlock(&r->c, id, 0));
	rig_status_is(sim_ask(&r->sim[0], b, MiB, 8 * MEM_PAGE), IOPF_SIM_ST_OK, "unlocked");
	tap_is(iopf_count(bdf, "unexpected_locked"), 16, "unlocked: none is unexpected");
}

/* A device that may not fault: SUCCESS where the page is mapped, elsewhere INVALID. */
static void check_disabled(struct rig *r, const struct simbuf *b)
{
	struct simbuf nowhere = { NULL, b->iova + 100 * LEN, LEN };
	const char *bdf = r->vfio[0].bdf;
	uint64_t mapped;

	must(iopf_enable(bdf, false));
	kmsg_mark();
	mapped = iopf_count(bdf, "pages_mapped");
	rig_status_is(sim_ask(&r->sim[0], b, 0, 8 * MEM_PAGE), IOPF_SIM_ST_OK,
		      "it may not fault: a mapped page");
	tap_is(iopf_count(bdf, "unexpected_disabled"), 8, "each is unexpected");
	rig_status_is(sim_read(&r->sim[0], &nowhere, 0, 8, NULL), IOPF_SIM_ST_INVALID,
		      "it may not fault: an unmapped page");
	tap_is(iopf_count(bdf, "unexpected_disabled"), 9, "it is unexpected, too");
	tap_is(iopf_count(bdf, "pages_mapped"), mapped, "nothing was brought in");
	tap_is(kmsg_count("though the device may not fault"), 1, "said once");
	rig_both_ways(&r->sim[0], b, 9, "it may not fault: data");
	must(iopf_enable(bdf, true));
	mem_drop(b->va, LEN);
	rig_both_ways(&r->sim[0], b, 11, "it may again");
	tap_is(iopf_count(bdf, "unexpected_disabled"), 9, "it may fault again: none is unexpected");
}

static void check_bad_input(struct rig *r, const struct simbuf *b)
{
	const struct vfio_iopf_lock good = {
		.argsz = sizeof(good), .iova = b->iova, .size = LEN,
	};
	struct vfio_iopf_unlock u = { .argsz = sizeof(u), .id = 1 };
	struct vfio_iopf_lock l = good;
	void *hole;

	vfio_head_refused(&r->c, VFIO_IOPF_LOCK, &good, 2, "");
	l.size = 0;
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_LOCK, &l), -EINVAL, "nothing");
	l = good;
	l.size = -l.iova + 1;
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_LOCK, &l), -EINVAL, "beyond the end");
	l = good;
	l.size++;
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_LOCK, &l), -ENOENT, "a page too many");
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_LOCK, NULL), -EFAULT, "no argument");
	/* An argument that is read-only. */
	hole = mem_anon(MEM_PAGE);
	memcpy(hole, &good, sizeof(good));
	must_sys(mprotect(hole, MEM_PAGE, PROT_READ));
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_LOCK, hole), -EFAULT,
		     "no room for the answer");
	mem_unmap(hole, MEM_PAGE);
	vfio_head_refused(&r->c, VFIO_IOPF_UNLOCK, &u, 2, "unlock: ");
	u.flags = VFIO_IOPF_UNLOCK_INCOMPLETE;
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_UNLOCK, &u), -EINVAL, "unlock: both at a time");
	u.flags = 0;
	u.id = 0;
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_UNLOCK, &u), -EINVAL, "unlock: no lock");
	u.id = 1ull << 40;
	tap_errno_is(vfio_ioctl(&r->c, VFIO_IOPF_UNLOCK, &u), -ENOENT, "unlock: none of ours");
	policy_charged_is(0, "after all that");
}

/* The maximum number of locks, and one more. */
static void check_many(struct rig *r, const struct simbuf *b)
{
	uint64_t first = 0, id = 0;
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < VFIO_IOPF_LOCKS_MAX; i++) {
		err = policy_lock(&r->c, b->iova + i % 64 * MEM_PAGE, MEM_PAGE, 0, &id);
		first = first ?: id;
	}
	tap_errno_is(err, 0, "%u locks", VFIO_IOPF_LOCKS_MAX);
	tap_errno_is(policy_lock(&r->c, b->iova, MEM_PAGE, 0, &id), -ENOSPC, "one more");
	policy_charged_is(64 * MEM_PAGE, "charged once a page");
	for (i = 0; !err && i < VFIO_IOPF_LOCKS_MAX / 2; i++)
		err = policy_unlock(&r->c, first + i, 0);
	tap_errno_is(err, 0, "half of them are gone");
	policy_charged_is(64 * MEM_PAGE, "each page still has some");
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct simbuf huge = { .iova = RIG_IOVA + 0x20000000, .len = MEM_HUGE };
	struct rig r;

	rig_backend_only();
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	b.va = mem_anon(LEN);
	huge.va = mem_thp(MEM_HUGE);
	rig_map(&r, &b);
	rig_map(&r, &huge);
	check_held(&r, &b);
	check_unmap(&r);
	check_under_dma(&r, &b, "small pages");
	check_under_dma(&r, &huge, "a huge page");
	check_unexpected(&r, &b);
	check_disabled(&r, &b);
	check_bad_input(&r, &b);
	check_many(&r, &b);
	rig_clean(&r);
	rig_close(&r);
	policy_charged_is(0, "closing releases everything");
	rig_balanced();
	tap_errno_is(rig_unload(), 0, "the modules can be unloaded");
	return tap_done();
}
