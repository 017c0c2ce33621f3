// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that may not or can't fault: stock type1 serves the container, and the log and sysfs
 * name the backend and the reason. The test also has devices whose interrupts are not remapped.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rig.h"

#define LEN	(4 * MiB)

static void backend_stock(const char *bdf, const char *what)
{
	char by[128];

	snprintf(by, sizeof(by), "%s", iopf_text(bdf, "backend"));
	tap_ok(strstr(by, "type1"), "%s: sysfs has the backend (%s)", what, by);
	tap_ok(*iopf_text(bdf, "reason"), "%s: and why (%s)", what, iopf_text(bdf, "reason"));
}

static void check_one(const char *bdf, const char *what)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct vfio_container c;
	struct vfio_dev d;
	uint64_t requests = sim_count(bdf, "requests");
	struct simdev s;

	must(vfio_container_open(&c));
	tap_errno_is(vfio_dev_open(&d, &c, bdf, VFIO_TYPE1v2_IOMMU), 0, "%s: opens", what);
	must(sim_up(&s, &d, NULL));
	backend_stock(bdf, what);
	must(vfio_map(&c, b.va, b.iova, b.len));
	tap_is(mem_status_kb(0, "VmLck"), LEN / 1024, "%s: pinned", what);
	rig_both_ways(&s, &b, 1, what);
	tap_is(sim_count(bdf, "requests"), requests, "%s: no page request", what);
	vfio_dev_close(&d);
	vfio_container_close(&c);
	tap_is(mem_status_kb(0, "VmLck"), 0, "%s: released", what);
	mem_unmap(b.va, b.len);
}

static void unsafe(bool type1, bool iopf)
{
	must(mem_write_file("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts",
			    "%d", type1));
	must(iopf_param("allow_unsafe_interrupts", iopf));
}

/* Attaches device 0 to a container, and checks which backend serves it. */
static void check_unsafe_one(int want, const char *by, const char *what)
{
	struct vfio_container c;
	struct vfio_dev d;

	must(vfio_container_open(&c));
	if (tap_errno_is(vfio_dev_attach(&d, &c, rig_bdf(0), VFIO_TYPE1v2_IOMMU), want, "%s",
			 what) && !want) {
		tap_ok(strstr(iopf_text(rig_bdf(0), "backend"), by), "%s: by %s", what, by);
		vfio_dev_detach(&d);
		vfio_dev_close(&d);
	}
	vfio_container_close(&c);
}

/* There is no interrupt remapping in this machine: without the administrator's word, no device. */
static void check_unsafe(void)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct vfio_dev second;
	struct rig r;

	rig_load("devices=2", "");
	unsafe(false, false);
	check_unsafe_one(-EPERM, "", "unsafe interrupts, not allowed");
	unsafe(true, false);
	check_unsafe_one(0, "type1", "unsafe interrupts, allowed by stock type1 only");
	tap_ok(strstr(iopf_text(rig_bdf(0), "reason"), "unsafe_interrupts:"),
	       "sysfs has the reason (%s)", iopf_text(rig_bdf(0), "reason"));
	unsafe(false, true);
	check_unsafe_one(0, "iopf", "unsafe interrupts, allowed here only");

	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	unsafe(false, false);
	tap_errno_is(vfio_dev_attach(&second, &r.c, rig_bdf(1), VFIO_TYPE1v2_IOMMU), -EPERM,
		     "unsafe interrupts, not allowed any more: no device joins");
	rig_both_ways(&r.sim[0], &b, 1, "the attached device goes on");
	unsafe(true, true);
	rig_close(&r);
	mem_unmap(b.va, b.len);
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct rig r;

	rig_backend_only();
	/* By the administrator's list: device 0 may, device 1 may not. */
	kmsg_mark();
	rig_load("devices=2", "ids=10f5:00:00.0");
	check_one(rig_bdf(1), "not enabled");
	tap_ok(kmsg_count("iopf: 10f5:00:01.0") + kmsg_count("10f5:00:01.0: iopf") +
	       kmsg_count("type1"), "the log says it");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	b.va = mem_anon(LEN);
	rig_map(&r, &b);
	rig_both_ways(&r.sim[0], &b, 1, "the enabled one");
	rig_unpinned("the enabled one");
	rig_close(&r);

	/* Enabled at run time, then disabled, while no container has the device. */
	tap_errno_is(iopf_enable(rig_bdf(1), true), 0, "enabled at run time");
	rig_open_at(&r, 1, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	rig_both_ways(&r.sim[0], &b, 2, "enabled at run time");
	rig_unpinned("enabled at run time");
	rig_close(&r);
	tap_errno_is(iopf_enable(rig_bdf(1), false), 0, "disabled at run time");
	check_one(rig_bdf(1), "disabled at run time");

	/* By nobody: the default of the module. */
	rig_load("devices=1", "ids=");
	check_one(rig_bdf(0), "empty list");

	check_unsafe();

	/* By vendor and device, and by rubbish. */
	rig_load("devices=1", "ids=1234:10f5");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
