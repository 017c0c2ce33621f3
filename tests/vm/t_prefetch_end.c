// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prefetching goes on in the background while all workers of other devices sleep for memory that
 * nobody provides. Meanwhile the device leaves and comes back, or the whole container ends. The end
 * interrupts the sleepers, although nobody ever provides the memory. Nothing of the container is
 * used after it is freed (only the debug kernel is sure to notice that).
 *
 * The use count of the module tells how many still work: each thread and each parked fault has a
 * reference.
 *
 * vm: --mem 1024
 */
#include <unistd.h>

#include "rig.h"
#include "uffd.h"

/* Each device has its limit of workers (quota.c). Together it is nearly the limit of a process. */
#define SLEEPERS	7
#define WORKERS		IOPF_SIM_MAX_PRG
/* The last device makes the stream. */
#define RUNNER		SLEEPERS
#define HELD_PAGES	(SLEEPERS * WORKERS)
#define HELD_LEN	(HELD_PAGES * MEM_PAGE)
/* From 8 MiB on the background worker prefetches for a stream, to the end of the memory. */
#define LEN		(64 * MiB)
#define GONE_THROUGH	(24 * MiB)

/**
 * struct stage - the sleepers and the stream
 * @r: the devices
 * @held: memory that nobody provides
 * @b: memory that is present
 * @uffd: of @held
 */
struct stage {
	struct rig r;
	struct simbuf held;
	struct simbuf b;
	int uffd;
};

static uint64_t uses(void)
{
	uint64_t n;

	must(knob_read_try(&n, "/sys/module/vfio_iommu_iopf/refcnt"));
	return n;
}

/* Waits until the module has @want users. */
static void uses_become(uint64_t want, const char *what)
{
	unsigned int spins = 0;

	while (uses() != want && spins < 20000)
		sim_nap(&spins);
	tap_is(uses(), want, "%s", what);
}

/* Puts all workers to sleep, each for a page of its own. */
static void stage_sleep(struct stage *s)
{
	unsigned int i;

	for (i = 0; i < SLEEPERS; i++) {
		struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_READ, &s->held,
						  i * WORKERS * MEM_PAGE, WORKERS * MEM_PAGE, 0);

		cmd.prg_depth = WORKERS;
		sim_start(&s->r.sim[i], &cmd);
	}
	for (i = 0; i < HELD_PAGES; i++)
		uffd_asked(s->uffd);
}

static void stage_open(struct stage *s)
{
	rig_open(&s->r, SLEEPERS + 1, VFIO_TYPE1v2_IOMMU);
	s->held = (struct simbuf){ mem_anon(HELD_LEN), RIG_IOVA, HELD_LEN };
	s->b = (struct simbuf){ mem_anon(LEN), RIG_IOVA + 1024 * MiB, LEN };
	s->uffd = uffd_missing(s->held.va, HELD_LEN);
	rig_map(&s->r, &s->held);
	rig_map(&s->r, &s->b);
}

static void stage_close(struct stage *s)
{
	mem_unmap(s->held.va, HELD_LEN);
	mem_unmap(s->b.va, LEN);
}

/* The device makes a stream. Returns the number of its faults. */
static uint64_t stage_run(struct stage *s)
{
	uint64_t before = iopf_count(rig_bdf(RUNNER), "faults");
	size_t off;

	/* Unmap the pages from the IOMMU, and populate them for the CPU. */
	mem_drop(s->b.va, LEN);
	for (off = 0; off < LEN; off += MEM_PAGE)
		((volatile char *)s->b.va)[off] = 0;
	must_be(sim_touch(&s->r.sim[RUNNER], &s->b, 0, GONE_THROUGH, NULL) == IOPF_SIM_ST_OK);
	return iopf_count(rig_bdf(RUNNER), "faults") - before;
}

/* Prefetching goes beyond the last page that the device has used. */
static void check_prefetch(struct stage *s, const char *what)
{
	uint64_t ahead = iopf_count(rig_bdf(RUNNER), "prefetched"), got = 0;
	unsigned int spins = 0;

	tap_diag("%llu faults", (unsigned long long)stage_run(s));
	while (got <= GONE_THROUGH / MEM_PAGE && spins < 20000) {
		sim_nap(&spins);
		got = iopf_count(rig_bdf(RUNNER), "prefetched") - ahead;
	}
	tap_ok(got > GONE_THROUGH / MEM_PAGE, "%s: %llu pages ahead", what,
	       (unsigned long long)got);
}

/* The device makes a stream while the workers sleep. */
static void stage_beside(struct stage *s)
{
	uint64_t before = uses();

	stage_sleep(s);
	tap_ok(uses() - before >= HELD_PAGES, "each of %u faults waits", HELD_PAGES);
	check_prefetch(s, "workers sleep: prefetching goes on");
}

/* The device leaves and comes back, and the others stay. */
static void check_device(struct stage *s)
{
	struct simbuf some = { s->b.va, s->b.iova, 1 * MiB };
	unsigned int i, bad = 0;
	struct iopf_sim_cpl cpl;
	uint64_t before;

	before = uses();
	stage_beside(s);
	vfio_dev_close(&s->r.vfio[RUNNER]);
	tap_ok(uses() - before >= HELD_PAGES, "the device leaves, and the other faults still wait");
	must(vfio_dev_open(&s->r.vfio[RUNNER], &s->r.c, rig_bdf(RUNNER), VFIO_TYPE1v2_IOMMU));
	must(sim_up(&s->r.sim[RUNNER], &s->r.vfio[RUNNER], NULL));
	rig_both_ways(&s->r.sim[RUNNER], &some, 1, "the device is back");
	close(s->uffd);
	for (i = 0; i < SLEEPERS; i++) {
		sim_wait(&s->r.sim[i], &cpl);
		bad += cpl.status != IOPF_SIM_ST_OK;
	}
	tap_is(bad, 0, "the memory is provided: all devices get theirs");
	rig_both_ways(&s->r.sim[RUNNER], &some, 3, "the device goes on");
}

/* The container ends while the workers sleep. */
static void check_container(struct stage *s)
{
	s->uffd = uffd_missing(s->held.va, HELD_LEN);
	mem_drop(s->held.va, HELD_LEN);
	stage_beside(s);
	rig_clean(&s->r);
	rig_close(&s->r);
	rig_balanced();
	uses_become(0, "the container has ended, and no worker waits any more");
	close(s->uffd);
}

int main(void)
{
	struct stage s;

	rig_backend_only();
	rig_load("devices=8", "");
	stage_open(&s);
	check_prefetch(&s, "no worker sleeps: prefetching goes on");
	check_device(&s);
	check_container(&s);
	stage_close(&s);
	tap_errno_is(rig_unload_soon(), 0, "the module can be unloaded");
	return tap_done();
}
