// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that fault on some of their accesses only. All memory is pinned for them until user
 * space declares that it has locked the ranges in which they can't fault, and again when user
 * space takes that back. The device does DMA meanwhile, beside another device. Failures have no
 * effect.
 *
 * Or the administrator has declared windows in which the devices can't fault. Memory in a window
 * is populated, pinned and charged before VFIO_IOMMU_MAP_DMA returns, or before the device is
 * attached, and as long as both last. The rest faults.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dma.h"
#include "policy.h"
#include "rig.h"

#define LEN	(8 * MiB)

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

	policy_charged_is(LEN, "no mediator and no lock");
	tap_ok(strstr(iopf_text(bdf, "reason"), "undeclared:"), "sysfs has the reason (%s)",
	       iopf_text(bdf, "reason"));
	requests = sim_count(bdf, "requests");
	rig_both_ways(&r->sim[0], b, 1, "no mediator and no lock");
	tap_is(sim_count(bdf, "requests"), requests, "it does not fault");

	must(policy_lock(&r->c, b->iova, MiB, VFIO_IOPF_LOCK_COMPLETE, &id));
	policy_charged_is(MiB, "all that matters is locked");
	tap_ok(!*iopf_text(bdf, "reason"), "nothing to be said any more (%s)",
	       iopf_text(bdf, "reason"));
	mem_drop((char *)b->va + MiB, LEN - MiB);
	rig_both_ways(&r->sim[0], b, 3, "it faults on the rest");
	tap_ok(sim_count(bdf, "requests") > requests, "as can be seen");

	tap_errno_is(incomplete(r), 0, "taken back");
	policy_charged_is(LEN, "taken back");
	must(policy_unlock(&r->c, id, 0));
	policy_charged_is(LEN, "unlocked: for the device it is pinned still");
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
	policy_charged_is(LEN, "at the end all is as at the beginning");
}

/* Another device in the container may fault anywhere. Memory is pinned for the first device. */
static void check_two(struct rig *r, const struct simbuf *b)
{
	must(complete(r));
	policy_charged_is(0, "two devices, answered");
	rig_both_ways(&r->sim[0], b, 11, "the selective one");
	rig_both_ways(&r->sim[1], b, 13, "the arbitrary one");
	must(incomplete(r));
	policy_charged_is(LEN, "two devices, taken back");
	rig_both_ways(&r->sim[1], b, 15, "the arbitrary one, pinned");
	must(policy_mode(r->vfio[0].bdf, "arbitrary"));
	policy_charged_is(0, "both arbitrary");
	must(policy_mode(r->vfio[0].bdf, "selective"));
	policy_charged_is(LEN, "one selective");
}

/* Taking the answer back needs memory that is not there: it stays. */
static void check_failing(struct rig *r, const struct simbuf *b)
{
	must(complete(r));
	must_sys(munmap((char *)b->va + 4 * MiB, MEM_PAGE));
	tap_errno_is(incomplete(r), -EFAULT, "it can't be taken back");
	policy_charged_is(0, "and is not");
	rig_status_is(sim_write(&r->sim[0], b, 0, MiB, 17, NULL), IOPF_SIM_ST_OK,
		      "the device faults on");
	tap_errno_is(policy_mode(r->vfio[0].bdf, "none"), -EFAULT, "it can't be disabled");
	tap_ok(!strcmp(iopf_text(r->vfio[0].bdf, "mode"), "selective") &&
	       !strcmp(iopf_text(r->vfio[0].bdf, "enabled"), "1"), "nothing has changed");
	tap_errno_is(policy_mode(r->vfio[0].bdf, "partial"), -EINVAL, "no mode at all");
	/* The answer is the container's: it goes with it. */
}

/*
 * Declared windows. Of device 0: [1 MiB, 2 MiB) of the buffer, not quite, for it is for whole
 * pages that they are held; and from the buffer's last page on. Of device 2: [1.5 MiB, 3 MiB).
 * Device 1 has none, and may fault anywhere.
 */
#define WINDOW_OFF	MiB
#define WINDOW_LEN	MiB
#define TAIL_OFF	(LEN - MEM_PAGE)
#define HELD		(WINDOW_LEN + MEM_PAGE)
#define BOTH		(2 * MiB + MEM_PAGE)

#define MIDDLE		" window=0x1001007f8-0x1001ff801"
#define TAIL		" window=0x1007ff000-0x10fffffff"

static const char windows[] =
	"address 10f5:00:00.0 selective" MIDDLE TAIL "\n"
	"address 10f5:00:01.0 arbitrary\n"
	"address 10f5:00:02.0 selective window=0x100180000-0x1002fffff\n";

static const struct part {
	size_t off;
	size_t len;
	bool held;
} parts[] = {
	{ 0, WINDOW_OFF, false }, { WINDOW_OFF, WINDOW_LEN, true },
	{ WINDOW_OFF + WINDOW_LEN, TAIL_OFF - WINDOW_OFF - WINDOW_LEN, false },
	{ TAIL_OFF, MEM_PAGE, true },
};

/*
 * The windows of device 0 are pinned, and nothing else is populated. The memory has never been
 * used.
 */
static void held_is_there(const char *bdf, const struct simbuf *b, const char *what)
{
	size_t i;

	policy_pinned_is(bdf, HELD, what);
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		tap_is(mem_resident((char *)b->va + parts[i].off, parts[i].len),
		       parts[i].held ? parts[i].len / MEM_PAGE : 0,
		       "%s: pages that are there, from %zu KiB on", what, parts[i].off / 1024);
}

/* The device has the held parts without a fault, and faults in the others. */
static void faults_beside(struct rig *r, unsigned int n, const struct simbuf *b, const char *what)
{
	const char *bdf = r->vfio[n].bdf;
	uint64_t requests;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		mem_drop((char *)b->va + parts[i].off, parts[i].held ? 0 : parts[i].len);
		requests = sim_count(bdf, "requests");
		rig_status_is(sim_touch(&r->sim[n], b, parts[i].off, parts[i].len, NULL),
			      IOPF_SIM_ST_OK, "%s: used at %zu KiB", what, parts[i].off / 1024);
		tap_ok((sim_count(bdf, "requests") != requests) == !parts[i].held,
		       "%s: %s there", what, parts[i].held ? "no fault" : "it faults");
	}
	rig_both_ways(&r->sim[n], b, 21, what);
}

/* Makes a page that is mapped but can't be populated: of a file that ends before it. */
static void lose_page(const struct simbuf *b, size_t off)
{
	int fd;

	mem_unmap(mem_memfd(MEM_PAGE, &fd), MEM_PAGE);
	must_sys(ftruncate(fd, 0));
	must_be(mmap((char *)b->va + off, MEM_PAGE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED);
	close(fd);
}

/* Mapped memory is pinned where it is in a window, and faults elsewhere. */
static void check_window_faults(struct rig *r, const struct simbuf *b)
{
	const char *bdf = rig_bdf(0);
	uint64_t unexpected;

	tap_ok(!*iopf_text(bdf, "reason"), "windows: no mediator and no lock is needed (%s)",
	       iopf_text(bdf, "reason"));
	rig_map(r, b);
	held_is_there(bdf, b, "mapped");
	faults_beside(r, 0, b, "mapped");
	unexpected = iopf_count(bdf, "unexpected_locked");
	rig_status_is(sim_ask(&r->sim[0], b, WINDOW_OFF - 4 * MEM_PAGE, 12 * MEM_PAGE),
		      IOPF_SIM_ST_OK, "page requests around the beginning of a window");
	tap_is(iopf_count(bdf, "unexpected_locked"), unexpected + 8,
	       "each page in the window is unexpected");
}

/* Only memory in a window is pinned. */
static void check_window_place(struct rig *r, const struct simbuf *beyond,
			       const struct simbuf *outside)
{
	const char *bdf = rig_bdf(0);

	rig_map(r, outside);
	policy_pinned_is(bdf, HELD, "mapped outside all windows");
	rig_map(r, beyond);
	policy_pinned_is(bdf, HELD + MiB, "mapped in the rest of a window");
	tap_is(mem_resident(beyond->va, MiB), MiB / MEM_PAGE, "the rest of a window: it is there");
	rig_both_ways(&r->sim[0], beyond, 23, "mapped in the rest of a window");
	rig_unmap(r, beyond);
	rig_unmap(r, outside);
	policy_pinned_is(bdf, HELD, "unmapped again");
}

/* Each unmapping unpins, also while the device does DMA to other memory. */
static void check_window_unmap(struct rig *r, const struct simbuf *b, const struct simbuf *outside)
{
	struct dma dma;

	rig_map(r, outside);
	simbuf_fill(outside, 0, MiB, 25);
	dma_start_both(&dma, &r->sim[0], outside, 25);
	for (unsigned int i = 0; i < 8; i++) {
		rig_unmap(r, b);
		must_be(!policy_locked_kb());
		mem_drop(b->va, LEN);
		must_be(!mem_resident(b->va, LEN));
		rig_map(r, b);
		must_be(policy_locked_kb() == HELD / 1024);
		dma_wait_rounds(&dma, i % 4 == 0);
	}
	tap_is(dma_stop(&dma), 0, "mapped and unmapped under DMA: data right");
	held_is_there(rig_bdf(0), b, "mapped and unmapped under DMA");
	rig_unmap(r, b);
	policy_pinned_is(rig_bdf(0), 0, "unmapped");
}

/* A missing page fails MAP_DMA if it is in a window, and a later access otherwise. */
static void check_window_missing(struct rig *r, struct simbuf *b)
{
	const char *bdf = rig_bdf(0);

	lose_page(b, WINDOW_OFF + WINDOW_LEN - MEM_PAGE);
	tap_errno_is(vfio_map(&r->c, b->va, b->iova, LEN), -EFAULT,
		     "a page of a window is missing");
	policy_pinned_is(bdf, 0, "a page of a window is missing");
	tap_errno_is(vfio_unmap(&r->c, b->iova, LEN), -ENOENT, "nothing is mapped");
	mem_unmap(b->va, LEN);
	b->va = mem_anon(LEN);
	lose_page(b, 4 * MiB);
	rig_map(r, b);
	policy_pinned_is(bdf, HELD, "a page elsewhere is missing");
	rig_status_is(sim_write(&r->sim[0], b, 4 * MiB, 8, 27, NULL), IOPF_SIM_ST_INVALID,
		      "a page elsewhere is missing: used");
}

/* The device is attached first. Then memory is mapped. */
static void check_window_map(struct simbuf *b)
{
	struct simbuf beyond = { mem_anon(MiB), b->iova + LEN, MiB };
	struct simbuf outside = { mem_anon(MiB), b->iova + 512 * MiB, MiB };
	struct rig r;

	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	check_window_faults(&r, b);
	check_window_place(&r, &beyond, &outside);
	check_window_unmap(&r, b, &outside);
	check_window_missing(&r, b);
	rig_clean(&r);
	rig_close(&r);
	policy_charged_is(0, "closed with a window held");
	rig_balanced();
	mem_unmap(b->va, LEN);
	b->va = mem_anon(LEN);
	mem_unmap(beyond.va, MiB);
	mem_unmap(outside.va, MiB);
}

/* Mapped, used by another device, then attached; two with windows, which overlap. */
static void check_window_join(struct simbuf *b)
{
	struct vfio_dev first, third;
	struct simdev sim, sim3;
	struct dma dma;
	uint64_t requests;
	struct rig r;

	rig_open_at(&r, 1, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, b);
	policy_pinned_is(rig_bdf(1), 0, "a device without windows");
	simbuf_fill(b, 0, LEN, 31);
	rig_status_is(sim_verify(&r.sim[0], b, 0, LEN, 31, NULL), IOPF_SIM_ST_OK, "it reads");
	must_be(mem_resident(b->va, LEN) == LEN / MEM_PAGE);
	dma_start_both(&dma, &r.sim[0], b, 31);
	must(vfio_dev_open(&first, &r.c, rig_bdf(0), VFIO_TYPE1v2_IOMMU));
	policy_pinned_is(rig_bdf(0), HELD, "one with windows has joined");
	must(sim_up(&sim, &first, NULL));
	requests = sim_count(rig_bdf(0), "requests");
	rig_status_is(sim_verify(&sim, b, WINDOW_OFF, WINDOW_LEN, 31, NULL), IOPF_SIM_ST_OK,
		      "it reads memory in its window");
	rig_status_is(sim_verify(&sim, b, TAIL_OFF, MEM_PAGE, 31, NULL), IOPF_SIM_ST_OK,
		      "it reads memory in the other window");
	tap_is(sim_count(rig_bdf(0), "requests"), requests, "without a fault");
	must(vfio_dev_open(&third, &r.c, rig_bdf(2), VFIO_TYPE1v2_IOMMU));
	policy_pinned_is(rig_bdf(0), BOTH, "another one whose window overlaps");
	must(sim_up(&sim3, &third, NULL));
	dma_wait_rounds(&dma, 1);
	vfio_dev_close(&first);
	policy_pinned_is(rig_bdf(2), 3 * MiB / 2, "the first has left: the other's window");
	dma_wait_rounds(&dma, 1);
	tap_is(dma_stop(&dma), 0, "joined and left under DMA: data right");
	rig_same(b, 31, "joined and left under DMA");
	rig_both_ways(&sim3, b, 33, "the other");
	vfio_dev_close(&third);
	policy_pinned_is(rig_bdf(1), 0, "both have left");
	mem_drop(b->va, LEN);
	tap_is(mem_resident(b->va, LEN), 0, "both have left: it can go");
	rig_both_ways(&r.sim[0], b, 35, "both have left");

	/* If a window can't be pinned, the device can't join, and nothing changes. */
	lose_page(b, WINDOW_OFF + MEM_PAGE);
	tap_errno_is(vfio_dev_open(&first, &r.c, rig_bdf(0), VFIO_TYPE1v2_IOMMU), -EFAULT,
		     "a page of its window is missing: it can't join");
	policy_pinned_is(rig_bdf(1), 0, "it has not joined");
	rig_status_is(sim_verify(&r.sim[0], b, 0, WINDOW_OFF, 36, NULL), IOPF_SIM_ST_OK,
		      "it has not joined: the attached device goes on");
	rig_clean(&r);
	rig_close(&r);
	policy_charged_is(0, "closed");
	rig_balanced();
	mem_unmap(b->va, LEN);
	b->va = mem_anon(LEN);
}

/* As a user who may lock one window, but not two. */
static void limited(void)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct simbuf most = { b.va, RIG_IOVA, TAIL_OFF };
	struct vfio_container c;
	struct vfio_dev d;
	bool good;

	must(vfio_container_open(&c));
	must(vfio_dev_open(&d, &c, rig_bdf(0), VFIO_TYPE1v2_IOMMU));
	good = vfio_map(&c, b.va, b.iova, LEN) == -ENOMEM && !policy_locked_kb();
	good &= !vfio_map(&c, most.va, most.iova, most.len);
	good &= policy_locked_kb() == WINDOW_LEN / 1024;
	good &= !vfio_unmap(&c, most.iova, most.len) && !policy_locked_kb();
	_exit(!good);
}

static void check_windows(struct simbuf *b)
{
	int status;
	pid_t pid;

	rig_load("devices=3", "ids=");
	must(policy_table(windows));
	check_window_map(b);
	check_window_join(b);
	pid = rig_fork_user(must(vfio_group_id(rig_bdf(0))), WINDOW_LEN);
	if (!pid)
		limited();
	must_sys(waitpid(pid, &status, 0));
	tap_is((unsigned int)status, 0, "a user can map up to the limit, and no more");
	rig_balanced_soon();
	tap_errno_is(rig_unload(), 0, "the modules can be unloaded");
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
	policy_charged_is(0, "closed");
	rig_balanced();

	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	check_two(&r, &b);
	check_failing(&r, &b);
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	tap_errno_is(rig_unload_soon(), 0, "the modules can be unloaded");
	must_sys(munmap(b.va, LEN));
	b.va = mem_anon(LEN);
	check_windows(&b);
	return tap_done();
}
