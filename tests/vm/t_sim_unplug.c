// SPDX-License-Identifier: GPL-2.0-only
/*
 * Simulator: hot-unplug of a device in use, then a rescan of the bus.
 *
 * vfio-pci requests the device from its user (REQ eventfd). The removal waits until the user gives
 * the device back. So a thread of its own does the removal.
 *
 * vm: --mem 1024
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "rig.h"

static void *remover(void *bdf)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove", (const char *)bdf);
	return (void *)(long)mem_write_file(path, "1");
}

static bool there(const char *bdf)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", bdf);
	return !access(path, F_OK);
}

static void unplug(struct rig *r, const struct simbuf *b, bool in_flight)
{
	struct simdev *s = &r->sim[0];
	const char *what = in_flight ? "in flight" : "idle";
	struct pollfd want = { .events = POLLIN };
	pthread_t thread;
	void *result;
	int i;

	want.fd = must(vfio_req_eventfd(&r->vfio[0]));
	for (i = 0; in_flight && i < 8; i++) {
		struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, b->len, 3);

		must(sim_submit(s, &cmd));
	}
	if (in_flight)
		sim_ring(s);
	must_be(!pthread_create(&thread, NULL, remover, r->vfio[0].bdf));
	tap_is((unsigned int)poll(&want, 1, SIM_HANG_SECONDS * 1000), 1,
	       "unplug %s: the kernel asks for the device", what);
	vfio_dev_close(&r->vfio[0]);
	pthread_join(thread, &result);
	tap_errno_is((int)(long)result, 0, "unplug %s: removed", what);
	close(want.fd);
	tap_ok(!there(rig_bdf(0)), "unplug %s: gone from the bus", what);
	rig_both_ways(&r->sim[1], b, 30, "the other device works on");
}

static void replug(struct rig *r, const struct simbuf *b)
{
	must(mem_write_file("/sys/bus/pci/rescan", "1"));
	tap_ok(there(rig_bdf(0)), "rescan finds it again");
	must(rig_bind(rig_bdf(0)));
	must(vfio_dev_open(&r->vfio[0], &r->c, rig_bdf(0), VFIO_TYPE1v2_IOMMU));
	tap_errno_is(sim_up(&r->sim[0], &r->vfio[0], NULL), 0, "it comes up");
	rig_both_ways(&r->sim[0], b, 40, "and works");
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = 2 * MiB };
	struct rig r;

	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	b.va = mem_anon(b.len);
	rig_map(&r, &b);
	rig_both_ways(&r.sim[0], &b, 1, "before");

	unplug(&r, &b, false);
	replug(&r, &b);
	unplug(&r, &b, true);
	replug(&r, &b);

	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
