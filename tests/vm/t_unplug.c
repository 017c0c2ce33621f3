// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device is unplugged while it waits for page faults, from the bus, and by the removal of the
 * whole simulator. The container and other devices are not affected.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dma.h"
#include "rig.h"

#define LEN	(8 * MiB)

static void *remove_device(void *bdf)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove", (const char *)bdf);
	return (void *)(long)mem_write_file(path, "1");
}

static void *remove_simulator(void *unused)
{
	(void)unused;
	return (void *)(syscall(SYS_delete_module, "iopf_sim", O_NONBLOCK) ? -(long)errno : 0L);
}

static void flood(struct simdev *s, const struct simbuf *b)
{
	unsigned int i;

	for (i = 0; i < 16; i++) {
		struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, b->len, 1);

		cmd.prg_depth = 8;
		must(sim_submit(s, &cmd));
	}
	sim_ring(s);
}

static void unplug(struct rig *r, const struct simbuf *b, const struct simbuf *other,
		   void *(*remover)(void *), const char *what)
{
	struct pollfd want = { .events = POLLIN };
	struct dma dma;
	pthread_t thread;
	void *result;

	want.fd = must(vfio_req_eventfd(&r->vfio[0]));
	if (other)
		dma_start_both(&dma, &r->sim[1], other, 2);
	if (!rig_stock())
		mem_drop(b->va, b->len);
	flood(&r->sim[0], b);
	must_be(!pthread_create(&thread, NULL, remover, r->vfio[0].bdf));
	tap_is((unsigned int)poll(&want, 1, SIM_HANG_SECONDS * 1000), 1,
	       "%s: the kernel asks for the device", what);
	if (!other)
		vfio_dev_close(&r->vfio[1]);
	vfio_dev_close(&r->vfio[0]);
	pthread_join(thread, &result);
	tap_errno_is((int)(long)result, 0, "%s: gone", what);
	close(want.fd);
	if (other) {
		dma_wait_rounds(&dma, 1);
		tap_is(dma_stop(&dma), 0, "%s: the other device is not disturbed", what);
	}
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct simbuf other = { .iova = RIG_IOVA + LEN, .len = LEN };
	struct rig r;
	int i;

	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	b.va = mem_anon(LEN);
	other.va = mem_anon(LEN);
	rig_map(&r, &b);
	rig_map(&r, &other);
	for (i = 0; i < 3; i++) {
		unplug(&r, &b, &other, remove_device, "unplugged");
		must(mem_write_file("/sys/bus/pci/rescan", "1"));
		must(rig_bind(rig_bdf(0)));
		must(vfio_dev_open(&r.vfio[0], &r.c, rig_bdf(0), VFIO_TYPE1v2_IOMMU));
		must(sim_up(&r.sim[0], &r.vfio[0], NULL));
		rig_both_ways(&r.sim[0], &b, 3, "plugged in again");
	}
	rig_clean(&r);
	rig_served_right(rig_bdf(0));

	/* Both devices at once, with the container staying behind. */
	unplug(&r, &b, NULL, remove_simulator, "the whole bus unplugged");
	vfio_container_close(&r.c);
	r.devices = 0;
	tap_errno_is(rig_unload(), 0, "the modules can be unloaded");

	rig_load("", "");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	rig_both_ways(&r.sim[0], &b, 5, "loaded again");
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
