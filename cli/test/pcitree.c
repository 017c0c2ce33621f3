// SPDX-License-Identifier: GPL-2.0-only
/*
 * PCI devices in a tree: see pcitree.h.
 */
#include <string.h>

#include <linux/pci_regs.h>

#include "pcitree.h"

#define CAP_EXP		0x40

void pci_config_set16(struct pci_config *c, unsigned int at, unsigned int value)
{
	c->bytes[at] = value;
	c->bytes[at + 1] = value >> 8;
}

/* A PCI Express endpoint without extended capabilities. */
void pci_config_begin(struct pci_config *c, unsigned int vendor, unsigned int device)
{
	memset(c, 0, sizeof(*c));
	pci_config_set16(c, PCI_VENDOR_ID, vendor);
	pci_config_set16(c, PCI_DEVICE_ID, device);
	pci_config_set16(c, PCI_STATUS, PCI_STATUS_CAP_LIST);
	pci_config_set16(c, PCI_CLASS_DEVICE, 0x0b40);
	c->bytes[PCI_CAPABILITY_LIST] = CAP_EXP;
	c->bytes[CAP_EXP] = PCI_CAP_ID_EXP;
	pci_config_set16(c, CAP_EXP + PCI_EXP_FLAGS, 2);
}

/* Add an extended capability. */
void pci_config_cap(struct pci_config *c, unsigned int at, unsigned int id, unsigned int ctrl)
{
	/* The first capability is at 0x100. */
	if (c->last)
		pci_config_set16(c, c->last + 2, at << 4 | 1);
	else if (at != CAP_ATS)
		at = CAP_ATS;
	pci_config_set16(c, at, id);
	pci_config_set16(c, at + 2, 1);
	pci_config_set16(c, at + (id == PCI_EXT_CAP_ID_PRI ? PCI_PRI_CTRL : PCI_ATS_CTRL), ctrl);
	c->last = at;
}

void pci_file(struct tree *t, const char *dev, const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), PCI_DIR "%s/%s", dev, name);
	tree_file(t, path, "%s\n", text);
}

void pci_link(struct tree *t, const char *dev, const char *name, const char *target)
{
	char path[128];

	snprintf(path, sizeof(path), PCI_DIR "%s/%s", dev, name);
	tree_link(t, path, target);
}

/* Make a device. @len: size of the part of its configuration space that is readable. */
void pci_device(struct tree *t, const char *dev, const struct pci_config *c, size_t len)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), PCI_DIR "%s/config", dev);
	tree_bytes(t, path, c->bytes, len);
	snprintf(text, sizeof(text), "0x%02x%02x", c->bytes[1], c->bytes[0]);
	pci_file(t, dev, "vendor", text);
	snprintf(text, sizeof(text), "0x%02x%02x", c->bytes[3], c->bytes[2]);
	pci_file(t, dev, "device", text);
	snprintf(text, sizeof(text), "0x%02x%02x00", c->bytes[11], c->bytes[10]);
	pci_file(t, dev, "class", text);
	pci_file(t, dev, "subsystem_vendor", "0x1af4");
	pci_file(t, dev, "subsystem_device", "0x0007");
}

/* Put a device behind the Intel IOMMU dmar0, which accepts page requests, in group 5. */
void pci_behind(struct tree *t, const char *dev)
{
	char path[128];

	tree_file(t, "class/iommu/dmar0/intel-iommu/ecap", "%llx\n", 0xf000ull | 1 << 29);
	tree_file(t, "class/iommu/dmar0/intel-iommu/version", "5:0\n");
	pci_link(t, dev, "iommu", "../../../../class/iommu/dmar0");
	snprintf(path, sizeof(path), "kernel/iommu_groups/5/devices/%s", dev);
	tree_file(t, path, "%s", "");
	pci_link(t, dev, "iommu_group", "../../../../kernel/iommu_groups/5");
}

/* Bind a device to vfio-pci. */
void pci_vfio(struct tree *t, const char *dev)
{
	char path[128];

	pci_link(t, dev, "driver", "../../drivers/vfio-pci");
	snprintf(path, sizeof(path), PCI_DIR "%s/vfio-dev/vfio0", dev);
	tree_dir(t, path);
}
