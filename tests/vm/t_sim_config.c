// SPDX-License-Identifier: GPL-2.0-only
/*
 * Simulator: configuration space, through vfio-pci and through sysfs.
 *
 * vm: --mem 1024
 */
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <unistd.h>

#include "rig.h"

/* The host's view (sysfs): vfio-pci shows its user a filtered space. */
static uint32_t host_read(const char *bdf, unsigned int off, unsigned int len)
{
	uint32_t value = 0;
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", bdf);
	fd = must_sys(open(path, O_RDONLY));
	must_sys(pread(fd, &value, len, off));
	close(fd);
	return value;
}

static unsigned int host_ext_cap(const char *bdf, unsigned int id)
{
	unsigned int pos = PCI_CFG_SPACE_SIZE, i;

	for (i = 0; pos >= PCI_CFG_SPACE_SIZE && i < 480; i++) {
		uint32_t header = host_read(bdf, pos, 4);

		if (header && PCI_EXT_CAP_ID(header) == id)
			return pos;
		pos = PCI_EXT_CAP_NEXT(header);
	}
	return 0;
}

static void check_device(struct vfio_dev *d)
{
	uint32_t v;
	int cap;

	must(vfio_config_read(d, PCI_VENDOR_ID, 2, &v));
	tap_is(v, IOPF_SIM_PCI_VENDOR, "%s: vendor", d->bdf);
	must(vfio_config_read(d, PCI_DEVICE_ID, 2, &v));
	tap_is(v, IOPF_SIM_PCI_DEVICE, "%s: device", d->bdf);
	tap_is(d->bar_size, IOPF_SIM_BAR_SIZE, "%s: size of BAR 0", d->bdf);

	cap = vfio_find_cap(d, PCI_CAP_ID_EXP);
	tap_ok(cap > 0, "%s: PCI Express capability", d->bdf);
	must(vfio_config_read(d, (unsigned int)cap + PCI_EXP_DEVCAP, 4, &v));
	tap_ok(v & PCI_EXP_DEVCAP_FLR, "%s: can do FLR", d->bdf);
	cap = vfio_find_cap(d, PCI_CAP_ID_VNDR);
	tap_ok(cap > 0, "%s: vendor capability (kick)", d->bdf);
	if (cap > 0) {
		must(vfio_config_read(d, (unsigned int)cap + 2, 1, &v));
		tap_is(v, IOPF_SIM_VNDR_LEN, "%s: its length", d->bdf);
	}
}

static void check_host(const char *bdf, bool stall)
{
	unsigned int ats = host_ext_cap(bdf, PCI_EXT_CAP_ID_ATS);
	unsigned int pri = host_ext_cap(bdf, PCI_EXT_CAP_ID_PRI);
	unsigned int pasid = host_ext_cap(bdf, PCI_EXT_CAP_ID_PASID);

	if (stall) {
		tap_ok(!pri, "%s stalls: no PRI capability", bdf);
		return;
	}
	tap_ok(ats, "%s: ATS capability", bdf);
	tap_ok(pri, "%s: PRI capability", bdf);
	tap_ok(pasid, "%s: PASID capability", bdf);
	if (pri)
		tap_diag("%s: PRI control 0x%x status 0x%x max 0x%x alloc 0x%x", bdf,
			 host_read(bdf, pri + PCI_PRI_CTRL, 2),
			 host_read(bdf, pri + PCI_PRI_STATUS, 2),
			 host_read(bdf, pri + PCI_PRI_MAX_REQ, 4),
			 host_read(bdf, pri + PCI_PRI_ALLOC_REQ, 4));
}

int main(void)
{
	struct rig r;

	rig_load("devices=2 stall=2", "");
	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	check_device(&r.vfio[0]);
	check_device(&r.vfio[1]);
	check_host(r.vfio[0].bdf, false);
	check_host(r.vfio[1].bdf, true);
	tap_is(sim_reg(&r.sim[0], IOPF_SIM_REG_CAPS) & (IOPF_SIM_CAP_PRI | IOPF_SIM_CAP_STALL),
	       IOPF_SIM_CAP_PRI, "device 0 says PRI");
	tap_is(sim_reg(&r.sim[1], IOPF_SIM_REG_CAPS) & (IOPF_SIM_CAP_PRI | IOPF_SIM_CAP_STALL),
	       IOPF_SIM_CAP_STALL, "device 1 says stall");
	rig_close(&r);
	return tap_done();
}
