// SPDX-License-Identifier: GPL-2.0-only
/*
 * Quotas: a container at its quota becomes slower, and completes all its work. Another container
 * is not affected.
 *
 * vm: --mem 1024
 */
#include <string.h>

#include "budget.h"
#include "fair.h"

#define LEN		(8 * MiB)
#define PAGES		(LEN / MEM_PAGE)
#define WORKERS		3
#define AHEAD		8

static uint64_t faults(const char *bdf)
{
	return iopf_count(bdf, "faults");
}

static uint64_t parked(const char *bdf)
{
	return budget_get(bdf, "fault_workers");
}

/* The other container uses present memory. Returns the number of its faults. None of them waits. */
static uint64_t others_pass(struct rig *other, const char *what)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	const char *bdf = other->vfio[0].bdf;
	uint64_t before, slow;

	memset(b.va, 1, b.len);
	rig_map(other, &b);
	before = faults(bdf);
	slow = iopf_count(bdf, "parked");
	must_be(sim_touch(&other->sim[0], &b, 0, b.len, NULL) == IOPF_SIM_ST_OK);
	before = faults(bdf) - before;
	tap_is(iopf_count(bdf, "parked") - slow, 0, "%s: no fault of another container waits",
	       what);
	rig_both_ways(&other->sim[0], &b, 1, what);
	rig_unmap(other, &b);
	mem_unmap(b.va, b.len);
	return before;
}

static void check_faults(struct rig *r, struct rig *other)
{
	const char *bdf = r->vfio[0].bdf;
	uint64_t alone, beside;
	unsigned int spins = 0;
	struct flood f;

	alone = others_pass(other, "alone");
	must(budget_set(bdf, "fault_workers_max", WORKERS));
	flood_start(&f, r, 1);
	tap_is(parked(bdf), WORKERS, "a flood has as many workers as the quota says");
	beside = others_pass(other, "beside the flood");
	tap_is(beside, alone, "another container faults as often as alone");
	flood_waits(&f);
	must(budget_set(bdf, "fault_workers_max", 2 * WORKERS));
	while (parked(bdf) < 2 * WORKERS)
		sim_nap(&spins);
	tap_is(parked(bdf), 2 * WORKERS, "a larger quota: more workers for those that wait");
	must(budget_set(bdf, "fault_workers_max", 1));
	tap_is(parked(bdf), 2 * WORKERS, "a smaller one: faults in progress go on");
	flood_end(&f);
	spins = 0;
	while (parked(bdf))
		sim_nap(&spins);
	tap_is(parked(bdf), 0, "at the end no worker is left");
	must(budget_write(bdf, "fault_workers_max", "max"));
}

/* A stream over absent memory. Counts the pages that are prefetched and not used yet. */
static uint64_t stream(struct rig *r, uint64_t *had)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	const char *bdf = r->vfio[0].bdf;
	uint64_t most = 0, begun = iopf_count(bdf, "prefetched");
	size_t page;

	rig_map(r, &b);
	for (page = 0; page < PAGES; page++) {
		uint64_t ahead;

		must_be(sim_write(&r->sim[0], &b, page * MEM_PAGE, 8, 1, NULL) == IOPF_SIM_ST_OK);
		/* The pages before were used, or prefetched for streams that have ended. */
		ahead = mem_resident((char *)b.va + page * MEM_PAGE, LEN - page * MEM_PAGE);
		if (ahead > most)
			most = ahead;
	}
	rig_both_ways(&r->sim[0], &b, 20, "a stream");
	*had = iopf_count(bdf, "prefetched") - begun;
	rig_unmap(r, &b);
	mem_unmap(b.va, b.len);
	return most;
}

static void check_prefetch(struct rig *r)
{
	const char *bdf = r->vfio[0].bdf;
	uint64_t most, had;

	most = stream(r, &had);
	tap_ok(most > AHEAD + 1 && had, "without a quota %llu pages are prefetched at a time",
	       (unsigned long long)most - 1);
	must(budget_set(bdf, "prefetch_max", AHEAD));
	most = stream(r, &had);
	tap_ok(most > 1 && most <= AHEAD + 1, "with one of %d: %llu", AHEAD,
	       (unsigned long long)most - 1);
	tap_ok(had >= PAGES / 2, "%llu pages were prefetched",
	       (unsigned long long)had);
	must(budget_set(bdf, "prefetch_max", 0));
	most = stream(r, &had);
	tap_ok(most == 1 && !had, "with none: none");
	must(budget_write(bdf, "prefetch_max", "max"));
}

static void check_bad(const char *bdf)
{
	static const char *const bad[] = { "x", "-1", "1 2", "4294967296" };

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		tap_ok(budget_write(bdf, "fault_workers_max", bad[i]), "fault_workers_max: '%s'",
		       bad[i]);
		tap_ok(budget_write(bdf, "prefetch_max", bad[i]), "prefetch_max: '%s'", bad[i]);
	}
	tap_errno_is(budget_write(bdf, "fault_workers_max", "0"), -EINVAL,
		     "fault_workers_max: '0'");
	tap_is(budget_get(bdf, "fault_workers_max"), UINT64_MAX, "nothing has changed");
	tap_is(budget_get(bdf, "prefetch_max"), UINT64_MAX, "nothing has changed");
}

int main(void)
{
	struct rig r, other;

	rig_backend_only();
	rig_load("devices=2 engines=8", "");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	rig_open_at(&other, 1, 1, VFIO_TYPE1v2_IOMMU);
	check_bad(r.vfio[0].bdf);
	check_faults(&r, &other);
	check_prefetch(&r);
	rig_clean(&r);
	rig_close(&other);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
