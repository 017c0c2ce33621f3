// SPDX-License-Identifier: GPL-2.0-only
/*
 * Negative control: a switch makes the backend map memory that devices must not reach. Then a
 * device reaches memory that a driver has mapped with VM_IO, and the check of t_gup notices.
 *
 * vm: --mem 1024 --variant controls
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "control.h"

#define LEN	(16 * MEM_PAGE)

static void breaks(struct rig *r, bool broken)
{
	(void)r;
	must(iopf_param("break_refused", broken));
}

static void check(struct rig *r)
{
	int pinner = must_sys(open("/sys/kernel/debug/iopf_pinner/command", O_RDWR));
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };

	rig_map(r, &b);
	must_be(mmap(b.va, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, pinner, 0) == b.va);
	simbuf_fill(&b, 0, LEN, 1);
	rig_status_is(sim_read(&r->sim[0], &b, 0, LEN, NULL), IOPF_SIM_ST_INVALID,
		      "memory that a driver keeps to itself: read");
	rig_status_is(sim_write(&r->sim[0], &b, 0, LEN, 2, NULL), IOPF_SIM_ST_INVALID,
		      "memory that a driver keeps to itself: written");
	rig_same(&b, 1, "memory that a driver keeps to itself");
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
	close(pinner);
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_load("devices=1", "");
	must_be(!system("insmod /iopf/modules/iopf_pinner.ko"));
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	control_check(&r, check, breaks, "the refusal of memory that devices must not reach");
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
