// SPDX-License-Identifier: GPL-2.0-only
/*
 * Negative control: a switch disables the check for invalidations in progress. Then a fault during
 * an invalidation maps the page that is going away, and the check of the data notices.
 *
 * The backend delays the end of the invalidation, so that the device's fault falls into it. As in
 * t_control_notifier, the page that goes away belongs to a file, so that wrong writes damage no
 * other memory.
 *
 * vm: --mem 1024 --cpus 2 --variant controls
 */
#include <sys/mman.h>
#include <unistd.h>

#include "control.h"
#include "dma.h"

#define LEN	(16ul * 4096)
#define ROUNDS	40

static void breaks(struct rig *r, bool broken)
{
	(void)r;
	must(iopf_param("break_retry", broken));
}

/* The device always finds the new memory. Rounds, up to one in which it does not. */
static void check(struct rig *r)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	unsigned int i, wrong = 0;
	struct iopf_sim_cmd cmd;
	struct dma dma;
	int fd[2];

	b.va = mem_memfd(LEN, &fd[0]);
	fd[1] = must_sys(memfd_create("second", 0));
	must_sys(ftruncate(fd[1], LEN));
	rig_map(r, &b);
	cmd = sim_cmd(IOPF_SIM_OP_WRITE, &b, 0, LEN, 1);
	must(iopf_param("invalidate_delay_us", 10000));
	for (i = 0; i < ROUNDS && !wrong; i++) {
		dma_start(&dma, &r->sim[0], &cmd, 1);
		dma_wait_rounds(&dma, 1);
		must_be(mmap(b.va, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			     fd[(i + 1) & 1], 0) == b.va);
		dma_stop(&dma);
		if (sim_write(&r->sim[0], &b, 0, LEN, 100 + i, NULL) ||
		    simbuf_differs(&b, 0, LEN, 100 + i))
			wrong++;
	}
	must(iopf_param("invalidate_delay_us", 0));
	tap_is(wrong, 0, "the new memory, %u rounds", i);
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	control_check(&r, check, breaks, "the check for invalidations under way");
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
