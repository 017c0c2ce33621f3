// SPDX-License-Identifier: GPL-2.0-only
/*
 * Simulator: modules load, refuse to be unloaded while in use, are unloaded, and load again with
 * other parameters.
 *
 * vm: --mem 1024
 */
#include <stdio.h>
#include <unistd.h>

#include "rig.h"

static unsigned int devices_there(void)
{
	unsigned int n = 0;
	char path[96];

	while (n < 64) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", rig_bdf(n));
		if (access(path, F_OK))
			break;
		n++;
	}
	return n;
}

static void check_round(const char *args, unsigned int devices, unsigned int engines)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = 1 * MiB };
	struct rig r;

	rig_load(args, "");
	tap_is(devices_there(), devices, "[%s] devices", args);
	rig_open(&r, devices < 2 ? 1 : 2, VFIO_TYPE1v2_IOMMU);
	tap_is(r.sim[0].engines, engines, "[%s] engines", args);
	b.va = mem_anon(b.len);
	rig_map(&r, &b);
	rig_both_ways(&r.sim[r.devices - 1], &b, devices, args);
	/* The simulator itself can go at any time, as hardware can; see t_sim_unplug. */
	if (!rig_stock()) {
		tap_errno_is(rig_unload(), -EAGAIN, "[%s] the backend in use does not go", args);
		rig_both_ways(&r.sim[0], &b, devices, "no module was disturbed");
	}
	rig_close(&r);
	mem_unmap(b.va, b.len);
	tap_errno_is(rig_unload(), 0, "[%s] modules go when unused", args);
	tap_is(devices_there(), 0, "[%s] and the devices with them", args);
}

int main(void)
{
	check_round("", 2, 1);
	check_round("devices=1 engines=8", 1, 8);
	check_round("devices=40 engines=2", 40, 2);
	check_round("devices=2 stall=3", 2, 1);
	return tap_done();
}
