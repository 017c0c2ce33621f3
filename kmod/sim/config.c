// SPDX-License-Identifier: GPL-2.0-only
/*
 * Configuration space of a simulated device.
 *
 * Purpose: 4 KiB of it, with what stock vfio-pci and the PCI core need: PCI Express
 * capability of a root complex integrated endpoint with FLR, ATS, PRI, PASID, a
 * vendor-specific capability with the kick register, one 32-bit memory BAR.
 *
 * Invariants: reset is complete when the write that starts it returns, which the device
 * announces by the Immediate Readiness bit.
 *
 * Locking: iopf_sim_device.lock. Accesses come under pci_lock, a raw spinlock.
 */
#include <linux/moduleparam.h>
#include <linux/pci_regs.h>
#include <linux/unaligned.h>

#include "device.h"

#define CAP_EXP		0x40
#define CAP_VNDR	0x80
#define CAP_ATS		0x100
#define CAP_PRI		0x110
#define CAP_PASID	0x120

/* What the devices say they are. Nothing else depends on it. */
static unsigned int model[IOPF_SIM_MAX_DEVICES];
static unsigned int nr_models;
module_param_array(model, uint, &nr_models, 0444);
MODULE_PARM_DESC(model, "vendor << 16 | device of each device in order (default 0x123410f5)");

#define PASID_BITS	20
#define PRI_MAX		IOPF_SIM_PRG_COUNT

static u16 get16(struct iopf_sim_device *dev, int where)
{
	return get_unaligned_le16(dev->cfg + where);
}

static u32 get32(struct iopf_sim_device *dev, int where)
{
	return get_unaligned_le32(dev->cfg + where);
}

static void set16(struct iopf_sim_device *dev, int where, u16 val, u16 writable)
{
	put_unaligned_le16(val, dev->cfg + where);
	put_unaligned_le16(writable, dev->writable + where);
}

static void set32(struct iopf_sim_device *dev, int where, u32 val, u32 writable)
{
	put_unaligned_le32(val, dev->cfg + where);
	put_unaligned_le32(writable, dev->writable + where);
}

static void ext_cap(struct iopf_sim_device *dev, int where, u16 id, int next)
{
	set32(dev, where, id | 1 << 16 | next << 20, 0);
}

/* Everything as after power-on. */
void iopf_sim_config_reset(struct iopf_sim_device *dev)
{
	u32 multi = dev->ep.window_size > 32 * IOPF_SIM_BAR_SIZE;
	u32 id = IOPF_SIM_PCI_VENDOR << 16 | IOPF_SIM_PCI_DEVICE;

	lockdep_assert_held(&dev->lock);
	memset(dev->cfg, 0, sizeof(dev->cfg));
	memset(dev->writable, 0, sizeof(dev->writable));

	if (dev->index < nr_models && model[dev->index])
		id = model[dev->index];
	set16(dev, PCI_VENDOR_ID, id >> 16, 0);
	set16(dev, PCI_DEVICE_ID, id, 0);
	set16(dev, PCI_COMMAND, 0, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
	      PCI_COMMAND_INTX_DISABLE);
	set16(dev, PCI_STATUS, PCI_STATUS_CAP_LIST | PCI_STATUS_IMM_READY, 0);
	set32(dev, PCI_CLASS_REVISION, PCI_CLASS_SYSTEM_OTHER << 16 | IOPF_SIM_VERSION, 0);
	dev->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	/* More than 32 devices are functions of the same slots. */
	dev->cfg[PCI_HEADER_TYPE] = multi << 7;
	set32(dev, PCI_BASE_ADDRESS_0, PCI_BASE_ADDRESS_SPACE_MEMORY, ~(IOPF_SIM_BAR_SIZE - 1));
	set16(dev, PCI_SUBSYSTEM_VENDOR_ID, IOPF_SIM_PCI_VENDOR, 0);
	set16(dev, PCI_SUBSYSTEM_ID, IOPF_SIM_PCI_DEVICE, 0);
	dev->cfg[PCI_CAPABILITY_LIST] = CAP_EXP;
	dev->writable[PCI_INTERRUPT_LINE] = 0xff;

	dev->cfg[CAP_EXP] = PCI_CAP_ID_EXP;
	dev->cfg[CAP_EXP + PCI_CAP_LIST_NEXT] = CAP_VNDR;
	set16(dev, CAP_EXP + PCI_EXP_FLAGS, 2 | PCI_EXP_TYPE_RC_END << 4, 0);
	set32(dev, CAP_EXP + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR, 0);
	set16(dev, CAP_EXP + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_RELAX_EN, 0x7fff);
	set32(dev, CAP_EXP + PCI_EXP_DEVCAP2, PCI_EXP_DEVCAP2_EE_PREFIX, 0);

	dev->cfg[CAP_VNDR] = PCI_CAP_ID_VNDR;
	dev->cfg[CAP_VNDR + 2] = IOPF_SIM_VNDR_LEN;

	if (dev->ep.stall) {
		ext_cap(dev, CAP_ATS, PCI_EXT_CAP_ID_PASID, 0);
		set16(dev, CAP_ATS + PCI_PASID_CAP, PASID_BITS << 8, 0);
		set16(dev, CAP_ATS + PCI_PASID_CTRL, 0, PCI_PASID_CTRL_ENABLE);
		return;
	}
	ext_cap(dev, CAP_ATS, PCI_EXT_CAP_ID_ATS, CAP_PRI);
	set16(dev, CAP_ATS + PCI_ATS_CAP, PCI_ATS_CAP_PAGE_ALIGNED, 0);
	set16(dev, CAP_ATS + PCI_ATS_CTRL, 0, PCI_ATS_CTRL_ENABLE | PCI_ATS_CTRL_STU(0x1f));

	ext_cap(dev, CAP_PRI, PCI_EXT_CAP_ID_PRI, CAP_PASID);
	set16(dev, CAP_PRI + PCI_PRI_CTRL, 0, PCI_PRI_CTRL_ENABLE);
	set16(dev, CAP_PRI + PCI_PRI_STATUS, PCI_PRI_STATUS_STOPPED, 0);
	set32(dev, CAP_PRI + PCI_PRI_MAX_REQ, PRI_MAX, 0);
	set32(dev, CAP_PRI + PCI_PRI_ALLOC_REQ, 0, ~0U);

	ext_cap(dev, CAP_PASID, PCI_EXT_CAP_ID_PASID, 0);
	set16(dev, CAP_PASID + PCI_PASID_CAP, PASID_BITS << 8, 0);
	set16(dev, CAP_PASID + PCI_PASID_CTRL, 0, PCI_PASID_CTRL_ENABLE);
}

/* As the firmware leaves it: the BAR has its address, decoding is off. */
void iopf_sim_config_init(struct iopf_sim_device *dev)
{
	u64 bar = dev->ep.window + (u64)dev->index * IOPF_SIM_BAR_SIZE;

	lockdep_assert_held(&dev->lock);
	iopf_sim_config_reset(dev);
	put_unaligned_le32(bar, dev->cfg + PCI_BASE_ADDRESS_0);
}

/* Whether faults can be reported. A request is a DMA write: no bus master, no requests. */
bool iopf_sim_config_pri(struct iopf_sim_device *dev)
{
	lockdep_assert_held(&dev->lock);
	if (!(get16(dev, PCI_COMMAND) & PCI_COMMAND_MASTER))
		return false;
	if (dev->ep.stall)
		return READ_ONCE(dev->ep.iopf);
	return get16(dev, CAP_PRI + PCI_PRI_CTRL) & PCI_PRI_CTRL_ENABLE &&
	       !(get16(dev, CAP_PRI + PCI_PRI_STATUS) & PCI_PRI_STATUS_RF) &&
	       get16(dev, CAP_ATS + PCI_ATS_CTRL) & PCI_ATS_CTRL_ENABLE;
}

/* How many page requests may be outstanding. */
u32 iopf_sim_config_pri_limit(struct iopf_sim_device *dev)
{
	lockdep_assert_held(&dev->lock);
	if (dev->ep.stall)
		return PRI_MAX;
	return min_t(u32, get32(dev, CAP_PRI + PCI_PRI_ALLOC_REQ), PRI_MAX);
}

void iopf_sim_config_pri_status(struct iopf_sim_device *dev, u16 bits)
{
	lockdep_assert_held(&dev->lock);
	if (!dev->ep.stall)
		dev->cfg[CAP_PRI + PCI_PRI_STATUS] |= bits;
}

static bool touches(int where, int size, int reg, int reg_size)
{
	return where < reg + reg_size && where + size > reg;
}

static void pri_ctrl_written(struct iopf_sim_device *dev, u32 bytes)
{
	bool enable = get16(dev, CAP_PRI + PCI_PRI_CTRL) & PCI_PRI_CTRL_ENABLE;
	bool stopped = get16(dev, CAP_PRI + PCI_PRI_STATUS) & PCI_PRI_STATUS_STOPPED;

	lockdep_assert_held(&dev->lock);
	if (enable && stopped) {
		put_unaligned_le16(0, dev->cfg + CAP_PRI + PCI_PRI_STATUS);
	} else if (!enable) {
		iopf_sim_prg_forget(dev);
		put_unaligned_le16(get16(dev, CAP_PRI + PCI_PRI_STATUS) | PCI_PRI_STATUS_STOPPED,
				   dev->cfg + CAP_PRI + PCI_PRI_STATUS);
		if (bytes & PCI_PRI_CTRL_RESET)
			put_unaligned_le16(PCI_PRI_STATUS_STOPPED,
					   dev->cfg + CAP_PRI + PCI_PRI_STATUS);
	}
}

u32 iopf_sim_config_read(struct iopf_sim_device *dev, int where, int size)
{
	unsigned long irq;
	u32 val = 0;
	int i;

	raw_spin_lock_irqsave(&dev->lock, irq);
	for (i = 0; i < size; i++)
		val |= (u32)dev->cfg[where + i] << (8 * i);
	raw_spin_unlock_irqrestore(&dev->lock, irq);
	return val;
}

static void set_dma(struct iopf_sim_device *dev)
{
	bool dma = get16(dev, PCI_COMMAND) & PCI_COMMAND_MASTER;
	bool ats = dev->ep.stall ||
		   get16(dev, CAP_ATS + PCI_ATS_CTRL) & PCI_ATS_CTRL_ENABLE;

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

	/* Write one to clear: the two error bits of the PRI status. */
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
		iopf_sim_device_decode(dev);
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
