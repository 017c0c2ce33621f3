// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits of resident memory: the maximum is never exceeded, for any accesses and any changes of the
 * limits; a scan does not evict the working set; idle memory is unmapped after some time; pinned
 * memory stays; invalid limits change nothing.
 *
 * vm: --mem 1024
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "budget.h"
#include "dma.h"
#include "policy.h"

#define LEN		(16 * MiB)
#define MAX		(4 * MiB)
/* A page in each of @n blocks of 2 MiB. */
#define STEP		(2 * MiB)
#define BLOCKS		512
#define HOT		24
#define ROUNDS		20

static const char *bdf;

static uint64_t faults(void)
{
	return iopf_count(bdf, "faults");
}

static void wait_until(bool (*state)(uint64_t), uint64_t arg, const char *what)
{
	unsigned int spins = 0;

	while (!state(arg))
		sim_nap(&spins);
	tap_ok(true, "%s", what);
}

static bool resident_over(uint64_t bytes)
{
	return budget_mapped() > bytes;
}

static bool resident_within(uint64_t bytes)
{
	return budget_mapped() <= bytes;
}

/* The limits change under DMA. */
static void check_live(struct rig *r)
{
	struct simbuf b = rig_buffer(r, LEN);
	struct budget_watch w;
	struct dma d;
	int i;

	dma_start_both(&d, &r->sim[0], &b, 20);
	dma_wait_rounds(&d, 1);
	tap_is(budget_get(bdf, "resident"), LEN, "without limits all of it is mapped");
	for (i = 0; i < 3; i++) {
		must(budget_set(bdf, "resident_max", MAX >> i));
		tap_ok(resident_within(MAX >> i), "%lu KiB: so much at most when the write returns",
		       MAX / 1024 >> i);
		budget_watch(&w);
		dma_wait_rounds(&d, 1);
		tap_ok(budget_watch_end(&w) <= MAX >> i, "it stays so");
	}
	must(budget_set(bdf, "resident_max", 2 * MAX));
	wait_until(resident_over, MAX, "raised: more is mapped");
	must(budget_set(bdf, "resident_high", MAX));
	must(budget_write(bdf, "resident_max", "max"));
	dma_wait_rounds(&d, 1);
	wait_until(resident_within, MAX, "above the soft mark it goes in the background");
	must(budget_write(bdf, "resident_high", "max"));
	tap_is(budget_gen(bdf, "inactive") + budget_gen(bdf, "active") +
		       budget_gen(bdf, "unevictable"),
	       0, "without limits nothing is charged");
	dma_wait_rounds(&d, 2);
	wait_until(resident_over, LEN - 1, "all of it is mapped again");
	tap_is(dma_stop(&d), 0, "every byte was right all the time");
	rig_buffer_free(r, &b);
}

/* A huge page does not fit, and is mapped in small pages. */
static void check_huge(struct rig *r)
{
	struct simbuf b = { mem_thp(2 * MEM_HUGE), RIG_IOVA, 2 * MEM_HUGE };

	memset(b.va, 1, b.len);
	must(budget_set(bdf, "resident_max", MEM_HUGE / 4));
	rig_map(r, &b);
	rig_both_ways(&r->sim[0], &b, 40, "huge pages beyond the budget");
	tap_ok(resident_within(MEM_HUGE / 4), "of which there is less than one mapped");
	budget_none(bdf);
	rig_buffer_free(r, &b);
}

/* Access each of @n blocks from @first on. Returns the number of faults. */
static uint64_t pass(struct rig *r, const struct simbuf *b, unsigned int first, unsigned int n)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_READ, b, first * STEP, n * STEP, 0);
	uint64_t before = faults();

	sim_cmd_order(&cmd, IOPF_SIM_ORDER_STRIDED, 8, STEP, 0);
	must_be(sim_run(&r->sim[0], &cmd, NULL) == IOPF_SIM_ST_OK);
	return faults() - before;
}

static struct simbuf sparse(struct rig *r)
{
	struct simbuf b = { NULL, RIG_IOVA, BLOCKS * STEP };

	b.va = mmap(NULL, b.len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	must_be(b.va != MAP_FAILED);
	must_sys(madvise(b.va, b.len, MADV_NOHUGEPAGE));
	for (size_t off = 0; off < b.len; off += STEP)
		((volatile char *)b.va)[off] = 1;
	rig_map(r, &b);
	return b;
}

/*
 * A working set, and a scan that never returns. With eviction by age alone, each use would fault.
 */
static void check_scan(struct rig *r)
{
	uint64_t hot = 0, scanned = 0, used;
	struct simbuf b = sparse(r);
	unsigned int i, at = HOT;

	must(budget_set(bdf, "min_residency", 0));
	must(budget_set(bdf, "resident_max", BUDGET_LEAST));
	/* A short scan does not evict the working set. */
	for (i = 0; i < 12; i++) {
		pass(r, &b, 0, HOT);
		pass(r, &b, at, 24);
		at = at + 48 <= BLOCKS ? at + 24 : HOT;
	}
	used = budget_gen(bdf, "active");
	tap_ok(used >= HOT * MEM_PAGE / 2, "the used pages are known as used: %llu",
	       (unsigned long long)(used / MEM_PAGE));
	for (i = 0; i < ROUNDS; i++) {
		hot += pass(r, &b, 0, HOT);
		scanned += pass(r, &b, at, 100);
		at = at + 200 <= BLOCKS ? at + 100 : HOT;
	}
	tap_ok(scanned >= ROUNDS * 100 / 2, "the scan faults: %llu times",
	       (unsigned long long)scanned);
	tap_ok(hot <= ROUNDS * HOT / 8, "used pages hardly miss: %llu times of %u",
	       (unsigned long long)hot, ROUNDS * HOT);
	tap_is(budget_get(bdf, "thrashing"), 0, "it is not thrashing");
	must(budget_set(bdf, "min_residency", 2000));
	budget_none(bdf);
	rig_buffer_free(r, &b);
}

static void check_expiry(struct rig *r)
{
	struct simbuf b = rig_buffer(r, LEN);
	uint64_t before = budget_get(bdf, "aged"), refaults;

	must(budget_set(bdf, "aging_interval", 1));
	tap_is(budget_get(bdf, "aging_interval"), 1, "things expire after a second");
	rig_both_ways(&r->sim[0], &b, 60, "meanwhile");
	wait_until(resident_within, 0, "unused memory is evicted");
	tap_ok(budget_get(bdf, "aged") - before >= LEN / MEM_PAGE, "it is counted");
	refaults = budget_get(bdf, "refaults");
	must_be(sim_touch(&r->sim[0], &b, 0, b.len, NULL) == IOPF_SIM_ST_OK);
	tap_ok(budget_get(bdf, "refaults") > refaults && budget_gen(bdf, "active"),
	       "a page that comes back is used");
	budget_none(bdf);
	rig_buffer_free(r, &b);
}

/* Pinned memory is not evicted, and does not exceed its limit. */
static void check_pinned(struct rig *r)
{
	struct simbuf b = rig_buffer(r, LEN), pin = { b.va, b.iova, MiB };
	uint64_t before;

	must(budget_set(bdf, "resident_max", 2 * MiB));
	must(policy_set(&r->c, pin.iova, pin.len, VFIO_IOPF_POLICY_PIN));
	tap_is(budget_get(bdf, "pinned"), MiB, "a part is pinned");
	tap_is(budget_gen(bdf, "unevictable"), MiB, "and is kept");
	rig_both_ways(&r->sim[0], &b, 70, "beside it");
	tap_is(budget_get(bdf, "pinned"), MiB, "it is still pinned");
	before = faults();
	must_be(sim_touch(&r->sim[0], &pin, 0, pin.len, NULL) == IOPF_SIM_ST_OK);
	tap_is(faults() - before, 0, "the device does not fault on it");

	tap_errno_is(budget_set(bdf, "resident_max", MiB), -EBUSY, "a maximum that it exceeds");
	tap_errno_is(budget_set(bdf, "resident_max", MiB + BUDGET_LEAST - MEM_PAGE), -EBUSY,
		     "a maximum that leaves too little beside it");
	tap_is(budget_get(bdf, "resident_max"), 2 * MiB, "nothing has changed");
	must(budget_set(bdf, "resident_max", MiB + BUDGET_LEAST));
	tap_ok(true, "a maximum that leaves just enough");
	rig_both_ways(&r->sim[0], &b, 80, "with that");
	tap_errno_is(budget_set(bdf, "pinned_max", MiB - MEM_PAGE), -EBUSY,
		     "the same for pinned memory");
	tap_is(budget_get(bdf, "pinned_max"), UINT64_MAX, "nothing has changed");
	tap_errno_is(policy_set(&r->c, b.iova + 4 * MiB, 2 * MEM_PAGE, VFIO_IOPF_POLICY_PIN),
		     -ENOMEM, "pinning that would leave too little");
	must(budget_set(bdf, "resident_max", 8 * MiB));
	must(budget_set(bdf, "pinned_max", 2 * MiB));
	tap_errno_is(policy_set(&r->c, b.iova + 4 * MiB, MiB + MEM_PAGE, VFIO_IOPF_POLICY_PIN),
		     -ENOMEM, "pinning more than may be");
	tap_is(budget_get(bdf, "pinned"), MiB, "nothing of it was pinned");
	must(policy_set(&r->c, b.iova + 4 * MiB, MiB, VFIO_IOPF_POLICY_PIN));
	tap_is(budget_get(bdf, "pinned"), 2 * MiB, "as much as may be");
	tap_errno_is(iopf_enable(bdf, false), -ENOMEM, "the device is to be pinned: too much");
	rig_both_ways(&r->sim[0], &b, 90, "after that");
	must(policy_set(&r->c, b.iova, b.len, VFIO_IOPF_POLICY_FAULT));
	tap_is(budget_get(bdf, "pinned"), 0, "unpinned");
	tap_is(budget_gen(bdf, "unevictable"), 0, "no value is kept");
	budget_none(bdf);
	rig_buffer_free(r, &b);
}

static void check_bad(struct rig *r)
{
	static const char *const bad[] = {
		"", "\n", "x", "-1", "0", "4095", "258048", "1z", "1 MiB", "maximum", " 8388608",
	};
	static const char *const files[] = { "resident_max", "resident_high" };
	struct simbuf b = rig_buffer(r, LEN);
	unsigned int i, j;

	must_be(sim_touch(&r->sim[0], &b, 0, b.len, NULL) == IOPF_SIM_ST_OK);
	kmsg_mark();
	for (j = 0; j < ARRAY_SIZE(files); j++) {
		for (i = 1; i < ARRAY_SIZE(bad); i++)
			tap_errno_is(budget_write(bdf, files[j], bad[i]), -EINVAL, "%s: '%s'",
				     files[j], bad[i]);
		tap_is(budget_get(bdf, files[j]), UINT64_MAX, "%s: nothing has changed", files[j]);
	}
	tap_ok(kmsg_count("bytes no device makes progress"), "the log says why");
	tap_errno_is(budget_write(bdf, "pinned_max", "-4096"), -EINVAL, "pinned_max: '-4096'");
	tap_errno_is(budget_write(bdf, "aging_interval", "0"), -EINVAL, "aging_interval: '0'");
	tap_errno_is(budget_write(bdf, "aging_interval", "soon"), -EINVAL,
		     "aging_interval: 'soon'");
	tap_errno_is(budget_write(bdf, "min_residency", "1000001"), -EINVAL, "min_residency");
	tap_is(budget_get(bdf, "resident"), LEN, "nothing has gone");
	must(budget_write(bdf, "resident_max", "8M"));
	tap_is(budget_get(bdf, "resident_max"), 8 * MiB, "a number with a suffix");
	must(budget_write(bdf, "resident_max", "8388607\n"));
	tap_is(budget_get(bdf, "resident_max"), 8 * MiB - MEM_PAGE, "rounded down to pages");
	budget_none(bdf);
	rig_buffer_free(r, &b);
}

/* Ranges are unmapped, and the container is closed, during eviction. */
static void check_ends(struct rig *r)
{
	struct simbuf b = rig_buffer(r, LEN);
	struct iopf_sim_cpl cpl;

	must(budget_set(bdf, "resident_max", MiB));
	for (unsigned int i = 0; i < 8; i++) {
		struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, &b, 0, b.len, i);
		uint64_t before = budget_get(bdf, "evicted");
		unsigned int spins = 0;

		sim_start(&r->sim[0], &cmd);
		while (budget_get(bdf, "evicted") == before)
			sim_nap(&spins);
		rig_unmap(r, &b);
		tap_is(budget_get(bdf, "resident"), 0, "unmapped meanwhile: nothing is mapped");
		sim_wait(&r->sim[0], &cpl);
		rig_map(r, &b);
	}
	rig_both_ways(&r->sim[0], &b, 100, "after that");
	mem_unmap(b.va, b.len);
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_load("devices=2 engines=4", "");
	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	bdf = r.vfio[0].bdf;
	check_bad(&r);
	budget_check(&r);
	check_live(&r);
	check_huge(&r);
	check_scan(&r);
	check_expiry(&r);
	check_pinned(&r);
	check_ends(&r);
	rig_end(&r);
	return tap_done();
}
