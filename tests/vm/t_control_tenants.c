// SPDX-License-Identifier: GPL-2.0-only
/*
 * Negative control: a switch lets the thread of the IOMMU driver that reports faults wait for a
 * page that is being migrated. Then no other device of this IOMMU gets an answer, and the check of
 * t_tenants notices.
 *
 * vm: --mem 1024 --append numa=fake=2 --variant controls
 */
#include <string.h>

#include "control.h"
#include "holder.h"

#define LEN	(4 * MEM_PAGE)
/* The other device waits if it makes no progress for this time, in seconds. */
#define PATIENCE	5

static struct simbuf held = { .iova = RIG_IOVA, .len = LEN };

static void breaks(struct rig *r, bool broken)
{
	(void)r;
	must(iopf_param("break_wait", broken));
}

/* Pages of the first device's memory are being migrated, and don't arrive. */
static void check(struct rig *r)
{
	struct simbuf other = { mem_anon(LEN), 2 * RIG_IOVA, LEN };
	uint64_t requests = sim_count(rig_bdf(0), "requests");
	struct holder holder;
	unsigned int spins = 0;
	struct iopf_sim_cmd cmd;
	struct iopf_sim_cpl cpl;

	rig_map(r, &held);
	rig_map(r, &other);
	holder_hold(&holder, held.va, held.len);
	cmd = sim_cmd(IOPF_SIM_OP_READ, &held, 0, held.len, 1);
	sim_start(&r->sim[0], &cmd);
	while (sim_count(rig_bdf(0), "requests") == requests)
		sim_nap(&spins);
	cmd = sim_cmd(IOPF_SIM_OP_WRITE, &other, 0, other.len, 1);
	sim_start(&r->sim[1], &cmd);
	tap_is(sim_wait_for(&r->sim[1], &cpl, PATIENCE), 0, "the other device does not wait");
	holder_release(&holder);
	sim_wait(&r->sim[0], &cpl);
	rig_unmap(r, &other);
	rig_unmap(r, &held);
	mem_unmap(other.va, other.len);
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_load("devices=2", "");
	/* As an interrupt thread does; by default each device reports its own faults. */
	sim_iommu_knob("prq_thread", 1);
	holder_load();
	mem_keep_still();
	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	held.va = mem_anon(held.len);
	memset(held.va, 1, held.len);
	control_check(&r, check, breaks, "nobody waits for another's memory");
	mem_unmap(held.va, held.len);
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	holder_unload();
	return tap_done();
}
