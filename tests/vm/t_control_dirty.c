// SPDX-License-Identifier: GPL-2.0-only
/*
 * Negative control: a switch makes the backend map clean pages writable. Then a write of the
 * device leaves the CPU's page clean. Data that is written after a swap-in is lost at the next
 * swap-out, and the check of swapping notices.
 *
 * vm: --mem 768 --swap 512 --variant controls
 * also: zswap
 */
#include "control.h"

#define LEN	(2 * MiB)

static void breaks(struct rig *r, bool broken)
{
	(void)r;
	must(iopf_param("break_dirty", broken));
}

static void check(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	size_t pages = LEN / MEM_PAGE, gone;

	rig_map(r, &b);
	simbuf_fill(&b, 0, LEN, 1);
	gone = mem_swap_out(b.va, LEN);
	tap_ok(gone >= pages - pages / 8, "swapped out");
	/* Read back: the pages are clean now, their copy on the disk is good. */
	rig_status_is(sim_verify(&r->sim[0], &b, 0, LEN, 1, NULL), IOPF_SIM_ST_OK, "read back");
	rig_status_is(sim_write(&r->sim[0], &b, 0, LEN, 2, NULL), IOPF_SIM_ST_OK, "written");
	gone = mem_swap_out(b.va, LEN);
	tap_ok(gone >= pages - pages / 8, "swapped out again");
	rig_same(&b, 2, "written after swap-in");
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	if (!mem_have_swap())
		tap_bail("no swap space: run with --swap");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	control_check(&r, check, breaks, "only dirty pages are writable");
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
