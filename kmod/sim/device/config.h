/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Configuration space of a simulated device: where the capabilities are.
 */
#ifndef IOPF_SIM_CONFIG_H
#define IOPF_SIM_CONFIG_H

#include <linux/pci_regs.h>
#include <linux/unaligned.h>

#include "device.h"

#define CAP_EXP		0x40
#define CAP_VNDR	0x80
#define CAP_ATS		0x100
#define CAP_PRI		0x110
#define CAP_PASID	0x120

static inline u16 iopf_sim_config_get16(struct iopf_sim_device *dev, int where)
{
	return get_unaligned_le16(dev->cfg + where);
}

#endif /* IOPF_SIM_CONFIG_H */
