// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes to configuration space of a simulated device, and their effects.
 *
 * Invariants: a reset is complete when the write that starts it returns. The Immediate Readiness
 * bit announces this.
 *
 * Locking: iopf_sim_device.lock. Accesses come under pci_lock, a raw spinlock.
 */
#include "config.h"

static bool touches(int where, int size, int reg, int reg_size)
{
	return where < reg + reg_size && where + size > reg;
}

static void pri_ctrl_written(struct iopf_sim_device *dev, u32 bytes)
{
	bool enable = iopf_sim_config_get16(dev, CAP_PRI + PCI_PRI_CTRL) & PCI_PRI_CTRL_ENABLE;
	bool stopped = iopf_sim_config_get16(dev, CAP_PRI + PCI_PRI_STATUS) &
		       PCI_PRI_STATUS_STOPPED;

	lockdep_assert_held(&dev->lock);
	if (enable && stopped) {
		put_unaligned_le16(0, dev->cfg + CAP_PRI + PCI_PRI_STATUS);
	} else if (!enable) {
		iopf_sim_prg_forget(dev);
		dev->cfg[CAP_PRI + PCI_PRI_STATUS + 1] |= PCI_PRI_STATUS_STOPPED >> 8;
		if (bytes & PCI_PRI_CTRL_RESET)
			put_unaligned_le16(PCI_PRI_STATUS_STOPPED,
					   dev->cfg + CAP_PRI + PCI_PRI_STATUS);
	}
}

static void set_dma(struct iopf_sim_device *dev)
{
	bool dma = iopf_sim_config_get16(dev, PCI_COMMAND) & PCI_COMMAND_MASTER;
	bool ats = dev->ep.stall ||
		   iopf_sim_config_get16(dev, CAP_ATS + PCI_ATS_CTRL) & PCI_ATS_CTRL_ENABLE;

	lockdep_assert_held(&dev->lock);
	iopf_sim_endpoint_set_dma(&dev->ep, dma, ats);
}

static void kick(struct iopf_sim_device *dev)
{
	lockdep_assert_held(&dev->lock);
	dev->kicked = true;
	if (dev->poller)
		wake_up_process(dev->poller);
}

void iopf_sim_config_write(struct iopf_sim_device *dev, int where, int size, u32 val)
{
	unsigned long irq;
	u8 written[4];
	int i;

	put_unaligned_le32(val, written);

	raw_spin_lock_irqsave(&dev->lock, irq);
	for (i = 0; i < size; i++) {
		u8 w = dev->writable[where + i];

		dev->cfg[where + i] = (dev->cfg[where + i] & ~w) | (written[i] & w);
	}

	/* The two error bits of the PRI status: writing 1 clears them. */
	if (!dev->ep.stall && touches(where, size, CAP_PRI + PCI_PRI_STATUS, 1))
		dev->cfg[CAP_PRI + PCI_PRI_STATUS] &=
			~(written[CAP_PRI + PCI_PRI_STATUS - where] &
			  (PCI_PRI_STATUS_RF | PCI_PRI_STATUS_UPRGI));

	if (touches(where, size, CAP_EXP + PCI_EXP_DEVCTL + 1, 1) &&
	    written[CAP_EXP + PCI_EXP_DEVCTL + 1 - where] & (PCI_EXP_DEVCTL_BCR_FLR >> 8)) {
		iopf_sim_device_reset(dev);
		goto out;
	}
	if (touches(where, size, PCI_COMMAND, 2) || touches(where, size, PCI_BASE_ADDRESS_0, 4))
		iopf_sim_regs_decode(dev);
	if (touches(where, size, PCI_COMMAND, 2) ||
	    (!dev->ep.stall && touches(where, size, CAP_ATS + PCI_ATS_CTRL, 2)))
		set_dma(dev);
	if (!dev->ep.stall && touches(where, size, CAP_PRI + PCI_PRI_CTRL, 1))
		pri_ctrl_written(dev, written[CAP_PRI + PCI_PRI_CTRL - where]);
	if (touches(where, size, CAP_VNDR + IOPF_SIM_VNDR_KICK, 1) &&
	    written[CAP_VNDR + IOPF_SIM_VNDR_KICK - where] & 1)
		kick(dev);
out:
	raw_spin_unlock_irqrestore(&dev->lock, irq);
}
