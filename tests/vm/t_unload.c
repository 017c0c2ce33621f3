// SPDX-License-Identifier: GPL-2.0-only
/*
 * The backend can't be unloaded while a container uses it, from the first group to the last
 * descriptor. It can be unloaded right afterwards. The test repeats this many times, with and
 * without use in between.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dma.h"
#include "rig.h"

#define LEN	(4 * MiB)

static int unload(void)
{
	return syscall(SYS_delete_module, "vfio_iommu_iopf", O_NONBLOCK) ? -errno : 0;
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct vfio_container empty;
	struct dma dma;
	unsigned int i;
	struct rig r;

	rig_backend_only();
	b.va = mem_anon(LEN);
	for (i = 0; i < 5; i++) {
		rig_load("devices=1", "");
		must(vfio_container_open(&empty));
		if (i & 1) {
			rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
			tap_errno_is(unload(), -EAGAIN, "busy with a group in a container");
			rig_map(&r, &b);
			dma_start_both(&dma, &r.sim[0], &b, 1);
			dma_wait_rounds(&dma, 1);
			tap_errno_is(unload(), -EAGAIN, "busy with DMA running");
			tap_is(dma_stop(&dma), 0, "the container is not disturbed");
			vfio_dev_put(&r.vfio[0]);
			tap_errno_is(unload(), -EAGAIN, "busy with the device closed");
			rig_close(&r);
			rig_balanced();
		}
		/* An empty container that nobody serves yet holds nobody. */
		tap_errno_is(unload(), 0, "unloads when unused, round %u", i);
		tap_ok(access(KNOB_IOPF_DIR, F_OK), "its sysfs is gone");
		vfio_container_close(&empty);
	}

	/* Stock type1 is loaded behind the backend, and takes over. */
	rig_load("devices=1", "");
	tap_errno_is(unload(), 0, "unloaded");
	memset(&r, 0, sizeof(r));
	must(vfio_container_open(&r.c));
	tap_errno_is(vfio_dev_open(&r.vfio[0], &r.c, rig_bdf(0), VFIO_TYPE1v2_IOMMU), 0,
		     "stock type1 takes over");
	must(sim_up(&r.sim[0], &r.vfio[0], NULL));
	r.devices = 1;
	rig_map(&r, &b);
	tap_is(mem_status_kb(0, "VmLck"), LEN / 1024, "and pins");
	rig_both_ways(&r.sim[0], &b, 2, "stock type1 after unloading");
	rig_close(&r);
	return tap_done();
}
