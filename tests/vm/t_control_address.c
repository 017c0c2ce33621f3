// SPDX-License-Identifier: GPL-2.0-only
/*
 * Negative control: a switch makes the backend look up addresses that no process can have. Then a
 * device reaches memory that was never mapped for it, and the check of t_address notices.
 *
 * The memory that the device reaches belongs to the test, and stays allocated.
 *
 * vm: --mem 1024 --variant controls
 */
#include "control.h"

#define LEN	(16 * MEM_PAGE)

static void breaks(struct rig *r, bool broken)
{
	(void)r;
	must(iopf_param("break_address", broken));
}

static void check(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	uintptr_t bad = (uintptr_t)b.va | 1ull << 62;
	uint64_t size = 0;

	rig_map(r, &b);
	must(vfio_unmap_flags(&r->c, 0, 0, VFIO_DMA_UNMAP_FLAG_VADDR | VFIO_DMA_UNMAP_FLAG_ALL,
			      &size));
	must(vfio_map_flags(&r->c, (void *)bad, b.iova, LEN, VFIO_DMA_MAP_FLAG_VADDR));
	simbuf_fill(&b, 0, LEN, 1);
	rig_status_is(sim_write(&r->sim[0], &b, 0, LEN, 2, NULL), IOPF_SIM_ST_INVALID,
		      "an address that is not canonical");
	rig_same(&b, 1, "memory that the device was not given");
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	control_check(&r, check, breaks, "the look whether an address can be the process's");
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
