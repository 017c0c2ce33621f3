/* SPDX-License-Identifier: GPL-2.0-only */
/* PCI devices, and the capabilities for page faults in their configuration space. Uses libpci. */
#ifndef CLI_PCI_H
#define CLI_PCI_H

#include "facts.h"

int pci_each(int (*each)(struct facts *f, void *data), void *data);

#endif /* CLI_PCI_H */
