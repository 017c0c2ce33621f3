// SPDX-License-Identifier: GPL-2.0-only
/*
 * Configuration space of a simulated device.
 *
 * Purpose: 4 KiB with what stock vfio-pci and the PCI core need: a PCI Express capability of a
 * root complex integrated endpoint with FLR; ATS; PRI; PASID; a vendor-specific capability with
 * the kick register; one 32-bit memory BAR.
 *
 * Locking: iopf_sim_device.lock. Accesses come under pci_lock, a raw spinlock.
 */
#include <linux/moduleparam.h>

#include "config.h"

/* Identity of each device. Nothing else depends on it. */
static unsigned int model[IOPF_SIM_MAX_DEVICES];
static unsigned int nr_models;
module_param_array(model, uint, &nr_models, 0444);
MODULE_PARM_DESC(model, "vendor << 16 | device of each device in order (default 0x123410f5)");

#define PASID_BITS	20
#define PRI_MAX		IOPF_SIM_PRG_COUNT

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

/* Resets configuration space to its state after power-on. */
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
	/* With more than 32 devices, each slot has several functions. */
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

/* Sets the state that firmware leaves: the BAR has its address, and decoding is off. */
void iopf_sim_config_init(struct iopf_sim_device *dev)
{
	u64 bar = dev->ep.window + (u64)dev->index * IOPF_SIM_BAR_SIZE;

	lockdep_assert_held(&dev->lock);
	iopf_sim_config_reset(dev);
	put_unaligned_le32(bar, dev->cfg + PCI_BASE_ADDRESS_0);
}

/* Whether the device can send page requests. These are DMA writes, so it must be bus master. */
bool iopf_sim_config_pri(struct iopf_sim_device *dev)
{
	lockdep_assert_held(&dev->lock);
	if (!(iopf_sim_config_get16(dev, PCI_COMMAND) & PCI_COMMAND_MASTER))
		return false;
	if (dev->ep.stall)
		return READ_ONCE(dev->ep.iopf);
	return iopf_sim_config_get16(dev, CAP_PRI + PCI_PRI_CTRL) & PCI_PRI_CTRL_ENABLE &&
	       !(iopf_sim_config_get16(dev, CAP_PRI + PCI_PRI_STATUS) & PCI_PRI_STATUS_RF) &&
	       iopf_sim_config_get16(dev, CAP_ATS + PCI_ATS_CTRL) & PCI_ATS_CTRL_ENABLE;
}

/* Returns how many page requests may be outstanding. */
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
