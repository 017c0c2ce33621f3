// SPDX-License-Identifier: GPL-2.0-only
/*
 * hugetlb memory, private and shared: populated by the CPU, by the device, dropped, and copied on
 * write after a fork.
 *
 * vm: --mem 1024
 * also: no5lvl pti numa
 */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"

#define LEN	(8 * MiB)

static void check_kind(struct rig *r, bool shared)
{
	const char *kind = shared ? "shared" : "private";
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	char what[64];
	uint64_t sum;

	b.va = mem_hugetlb(LEN, shared);
	if (!b.va) {
		tap_ok(false, "%s hugetlb memory is available", kind);
		return;
	}
	rig_map(r, &b);
	snprintf(what, sizeof(what), "%s hugetlb, populated by the device", kind);
	rig_both_ways(&r->sim[0], &b, 1, what);
	rig_unpinned(what);
	if (!rig_stock()) {
		tap_is(sim_iommu_count("leaves_2m"), LEN / MEM_HUGE,
		       "each huge page is one leaf in the IOMMU");
		mem_drop((char *)b.va + MEM_HUGE, MEM_HUGE);
		rig_status_is(sim_checksum(&r->sim[0], &b, MEM_HUGE, MEM_HUGE, &sum, NULL),
			      IOPF_SIM_ST_OK, "%s: read of a dropped huge page", kind);
		/* Shared: the page stays in the file. */
		tap_is(sum, shared ? simbuf_sum(&b, MEM_HUGE, MEM_HUGE) : 0,
		       "%s: right content after the drop", kind);
		rig_status_is(sim_write(&r->sim[0], &b, MEM_HUGE, MEM_HUGE, 2, NULL),
			      IOPF_SIM_ST_OK, "%s: write of a dropped huge page", kind);
		rig_same(&b, 2, "after the drop");
	}
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
}

static void check_fork(struct rig *r)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	int go[2], status;
	char c = 0;
	pid_t pid;

	b.va = mem_hugetlb(LEN, false);
	must_be(b.va);
	/* Enough free pages for a copy of everything. */
	must(mem_write_file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "%zu",
			    mem_info_kb("HugePages_Total") + LEN / MEM_HUGE));
	rig_map(r, &b);
	simbuf_fill(&b, 0, LEN, 30);
	rig_status_is(sim_verify(&r->sim[0], &b, 0, LEN, 30, NULL), IOPF_SIM_ST_OK, "before fork");
	must_sys(pipe(go));
	pid = must_sys(fork());
	if (!pid) {
		must_sys(read(go[0], &c, 1));
		_exit(simbuf_differs(&b, 0, LEN, 30) != 0);
	}
	rig_status_is(sim_write(&r->sim[0], &b, 0, LEN, 31, NULL), IOPF_SIM_ST_OK,
		      "the device writes after a fork");
	rig_same(&b, 31, "the parent sees it");
	must_sys(write(go[1], &c, 1));
	must_sys(waitpid(pid, &status, 0));
	tap_is((unsigned int)status, 0, "the child does not");
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
}

int main(void)
{
	struct rig r;

	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	check_kind(&r, false);
	check_kind(&r, true);
	if (!rig_stock())
		check_fork(&r);
	rig_clean(&r);
	rig_balanced();
	rig_close(&r);
	return tap_done();
}
