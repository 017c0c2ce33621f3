// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page table of the simulated IOMMU, which maps without a lock. Threads of a kernel module
 * (kmod/test/pagetable.c) map and unmap runs of pages in the same tables and in neighbouring ones.
 * There are so few pages that tables become empty, and are unlinked, kept and made again all the
 * time. At the end everything is unmapped, and every table is freed.
 *
 * The test would notice these bugs:
 *
 *    an entry is lost, because its table was unlinked while a thread mapped into it: the page leads
 *      nowhere, can't be unmapped, or KASAN complains
 *    a count of entries is too low: the same
 *    a count of entries is too high: the table is never freed, and prevents a leaf of 2 MiB
 *    two threads have the same page: it leads elsewhere
 *
 * The machine has two processors. With one, the few instructions that matter are hardly ever
 * interrupted.
 *
 * vm: --mem 1024 --cpus 2
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "rig.h"

#define DIR	"/sys/kernel/debug/iopf_pagetable/"
#define COMMAND	DIR "command"

/* Such as the debug kernel, on which a step takes many times as long. */
#define STEPS_SLOW	10000u
#define STEPS		100000u

static const struct {
	const char *kind;
	bool collide;
} kinds[] = {
	{ "apart", false }, { "over", true }, { "leaves", true },
};

static uint64_t taken(void)
{
	uint64_t value;

	must(knob_read_try(&value, DIR "taken"));
	return value;
}

/* Tables are freed after a grace period. */
static void tables_are(uint64_t want, const char *what)
{
	unsigned int spins = 0;

	while (sim_iommu_count("tables") != want && spins < 2000)
		sim_nap(&spins);
	tap_is(sim_iommu_count("tables"), want, "%s: page tables there are", what);
}

static void check_race(const char *kind, bool collide, unsigned int threads, unsigned int steps)
{
	uint64_t collisions = sim_iommu_count("map_collisions"), before = taken();
	char what[64];

	snprintf(what, sizeof(what), "%s, %u threads", kind, threads);
	tap_errno_is(mem_write_file(COMMAND, "%s %u %u", kind, threads, steps), 0,
		     "%s: each thread has its own pages at their addresses", what);
	tap_diag("%s: %u steps, %llu refused", what, threads * steps,
		 (unsigned long long)(taken() - before));
	tap_ok((taken() != before) == collide, "%s: %s", what,
	       collide ? "some meet" : "no collisions");
	tap_is(sim_iommu_count("map_collisions") - collisions, taken() - before,
	       "%s: collisions are refused", what);
	tap_is(sim_iommu_count("leaves_4k") + sim_iommu_count("leaves_2m"), 0,
	       "%s: nothing is mapped in the end", what);
	tap_is(sim_iommu_count("unmap_holes") + sim_iommu_count("unmap_splits"), 0,
	       "%s: nothing was missing when it was unmapped", what);
	tables_are(1, what);
}

int main(void)
{
	unsigned int steps = access("/sys/kernel/debug/kmemleak", F_OK) ? STEPS : STEPS_SLOW;
	unsigned int i;

	rig_load("devices=1", rig_stock() ? NULL : "");
	must_be(!system("insmod /iopf/modules/iopf_pagetable.ko"));
	tap_errno_is(mem_write_file(COMMAND, "apart 2 10"), -ENOENT, "nothing without a domain");
	tap_errno_is(mem_write_file(COMMAND, "begin 10f5:00:1f.7"), -ENXIO, "no such device");
	must(mem_write_file(COMMAND, "begin %s", rig_bdf(0)));
	tap_errno_is(mem_write_file(COMMAND, "begin %s", rig_bdf(0)), -EALREADY, "one at a time");
	tap_errno_is(mem_write_file(COMMAND, "apart 0 10"), -EINVAL, "no threads");
	tap_errno_is(mem_write_file(COMMAND, "across 2 10"), -EINVAL, "no such kind");
	tables_are(1, "nothing yet");
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		check_race(kinds[i].kind, kinds[i].collide, 1, steps / 10);
		check_race(kinds[i].kind, kinds[i].collide, 3, steps);
	}
	tap_errno_is(rig_unload(), 0, "the modules can be unloaded with the domain there");
	return tap_done();
}
