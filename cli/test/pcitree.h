/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PCI devices in a tree: their configuration space, and their files and links in sysfs.
 */
#ifndef CLI_TEST_PCITREE_H
#define CLI_TEST_PCITREE_H

#include <stddef.h>
#include <stdint.h>

#include "tree.h"

#define PCI_DIR		"bus/pci/devices/"

/* Positions of the extended capabilities. */
#define CAP_ATS		0x100
#define CAP_PRI		0x140
#define CAP_PASID	0x180

/**
 * struct pci_config - a configuration space
 * @bytes: its bytes
 * @last: position of the last extended capability, or 0
 */
struct pci_config {
	uint8_t bytes[4096];
	unsigned int last;
};

void pci_config_begin(struct pci_config *c, unsigned int vendor, unsigned int device);
void pci_config_set16(struct pci_config *c, unsigned int at, unsigned int value);
void pci_config_cap(struct pci_config *c, unsigned int at, unsigned int id, unsigned int ctrl);

void pci_device(struct tree *t, const char *dev, const struct pci_config *c, size_t len);
void pci_file(struct tree *t, const char *dev, const char *name, const char *text);
void pci_link(struct tree *t, const char *dev, const char *name, const char *target);
void pci_behind(struct tree *t, const char *dev);
void pci_vfio(struct tree *t, const char *dev);

#endif /* CLI_TEST_PCITREE_H */
