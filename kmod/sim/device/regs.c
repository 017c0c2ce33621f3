// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers of a simulated device, and the state that they control.
 *
 * Invariants: the BAR is plain memory that user space writes at any time. The device reads each
 * value once. A value from the BAR can only affect the commands of the user who wrote it.
 *
 * Locking: iopf_sim_device.lock.
 */
#include <linux/log2.h>
#include <linux/mm.h>

#include "device.h"

#define CMD_SIZE	sizeof(struct iopf_sim_cmd)
#define BAR_RING_MAX	(PAGE_SIZE / CMD_SIZE)
#define RING_MAX	32768

static_assert(sizeof(struct iopf_sim_cmd) == 128);
static_assert(sizeof(struct iopf_sim_cpl) == 128);

u32 iopf_sim_reg_read(struct iopf_sim_device *dev, u32 reg)
{
	lockdep_assert_held(&dev->lock);
	return dev->bar ? READ_ONCE(*(u32 *)(dev->bar + reg)) : 0;
}

static u64 get_reg64(struct iopf_sim_device *dev, u32 reg)
{
	lockdep_assert_held(&dev->lock);
	return READ_ONCE(*(u64 *)(dev->bar + reg));
}

void iopf_sim_reg_write(struct iopf_sim_device *dev, u32 reg, u32 val)
{
	lockdep_assert_held(&dev->lock);
	if (dev->bar)
		WRITE_ONCE(*(u32 *)(dev->bar + reg), val);
}

/* Writes all registers that belong to the device. */
static void publish(struct iopf_sim_device *dev)
{
	static const u32 status[] = {
		[IOPF_SIM_OFF] = 0,
		[IOPF_SIM_READY] = IOPF_SIM_STATUS_READY,
		[IOPF_SIM_HALTED] = IOPF_SIM_STATUS_HALTED,
	};
	u32 caps = IOPF_SIM_CAP_KICK;

	lockdep_assert_held(&dev->lock);
	if (!dev->bar)
		return;
	caps |= dev->ep.stall ? IOPF_SIM_CAP_STALL : IOPF_SIM_CAP_PRI;
	iopf_sim_reg_write(dev, IOPF_SIM_REG_MAGIC, IOPF_SIM_MAGIC);
	iopf_sim_reg_write(dev, IOPF_SIM_REG_VERSION, IOPF_SIM_VERSION);
	iopf_sim_reg_write(dev, IOPF_SIM_REG_CAPS, caps);
	iopf_sim_reg_write(dev, IOPF_SIM_REG_ENGINES, dev->nr_engines);
	iopf_sim_reg_write(dev, IOPF_SIM_REG_SQ_HEAD, dev->sq_head);
	iopf_sim_reg_write(dev, IOPF_SIM_REG_CQ_TAIL, dev->cq_tail);
	iopf_sim_reg_write(dev, IOPF_SIM_REG_ERROR, dev->error);
	WRITE_ONCE(*(u64 *)(dev->bar + IOPF_SIM_REG_ERROR_IOVA), dev->error_iova);
	/* A driver that sees the status sees the rest; pairs with the driver's read barrier. */
	smp_wmb();
	iopf_sim_reg_write(dev, IOPF_SIM_REG_STATUS, status[dev->state]);
}

static void set_state(struct iopf_sim_device *dev, enum iopf_sim_state state, u32 error, u64 iova)
{
	lockdep_assert_held(&dev->lock);
	dev->state = state;
	dev->error = error;
	dev->error_iova = iova;
	publish(dev);
}

static void wake_engines(struct iopf_sim_device *dev)
{
	u32 i;

	for (i = 0; i < dev->nr_engines; i++)
		if (dev->engine[i])
			wake_up_process(dev->engine[i]->task);
}

/**
 * iopf_sim_regs_decode() - apply a change of memory decoding or of the BAR's address
 * @dev: the device, locked
 */
void iopf_sim_regs_decode(struct iopf_sim_device *dev)
{
	u16 cmd = dev->cfg[PCI_COMMAND];
	u64 phys = (*(u32 *)(dev->cfg + PCI_BASE_ADDRESS_0)) & PCI_BASE_ADDRESS_MEM_MASK;
	void *bar = NULL;

	lockdep_assert_held(&dev->lock);
	if (cmd & PCI_COMMAND_MEMORY && phys >= dev->ep.window &&
	    phys + IOPF_SIM_BAR_SIZE <= dev->ep.window + dev->ep.window_size) {
		bar = dev->ep.window_va + (phys - dev->ep.window);
		/* The BAR has moved to memory with other contents. */
		if (phys != dev->bar_phys)
			memset(bar, 0, IOPF_SIM_BAR_SIZE);
		dev->bar_phys = phys;
	}
	if (bar == dev->bar && !(cmd & PCI_COMMAND_MASTER))
		return;
	dev->bar = bar;
	publish(dev);
	wake_engines(dev);
}

/**
 * iopf_sim_regs_reset() - clear the registers and the state, for a reset
 * @dev: the device, locked
 */
void iopf_sim_regs_reset(struct iopf_sim_device *dev)
{
	lockdep_assert_held(&dev->lock);
	dev->state = IOPF_SIM_OFF;
	dev->error = 0;
	dev->error_iova = 0;
	dev->sq_head = 0;
	dev->cq_tail = 0;
	dev->running = 0;
	if (dev->bar_phys)
		memset(dev->ep.window_va + (dev->bar_phys - dev->ep.window), 0, IOPF_SIM_BAR_SIZE);
	dev->bar = NULL;
	wake_engines(dev);
}

static bool ring_ok(u64 base, u32 entries)
{
	if (!is_power_of_2(entries) || entries < 2)
		return false;
	if (base == IOPF_SIM_IN_BAR)
		return entries <= BAR_RING_MAX;
	return entries <= RING_MAX && IS_ALIGNED(base, CMD_SIZE) &&
	       base <= base + entries * CMD_SIZE - 1;
}

static void enable(struct iopf_sim_device *dev)
{
	lockdep_assert_held(&dev->lock);
	dev->sq_base = get_reg64(dev, IOPF_SIM_REG_SQ_BASE);
	dev->cq_base = get_reg64(dev, IOPF_SIM_REG_CQ_BASE);
	dev->sq_entries = iopf_sim_reg_read(dev, IOPF_SIM_REG_SQ_ENTRIES);
	dev->cq_entries = iopf_sim_reg_read(dev, IOPF_SIM_REG_CQ_ENTRIES);
	dev->sq_head = 0;
	dev->cq_tail = 0;
	if (ring_ok(dev->sq_base, dev->sq_entries) && ring_ok(dev->cq_base, dev->cq_entries) &&
	    !iopf_sim_reg_read(dev, IOPF_SIM_REG_SQ_TAIL) &&
	    !iopf_sim_reg_read(dev, IOPF_SIM_REG_CQ_HEAD))
		set_state(dev, IOPF_SIM_READY, 0, 0);
	else
		set_state(dev, IOPF_SIM_HALTED, IOPF_SIM_ST_BAD_COMMAND, 0);
}

/**
 * iopf_sim_regs_poll() - read the control register and the doorbell
 * @dev: the device
 *
 * Return: whether there is a command to fetch.
 */
bool iopf_sim_regs_poll(struct iopf_sim_device *dev)
{
	bool enabled, fetch = false;
	unsigned long irq;
	u32 pending;

	raw_spin_lock_irqsave(&dev->lock, irq);
	if (!dev->bar)
		goto out;
	enabled = iopf_sim_reg_read(dev, IOPF_SIM_REG_CTRL) & IOPF_SIM_CTRL_ENABLE;
	switch (dev->state) {
	case IOPF_SIM_OFF:
		if (enabled)
			enable(dev);
		break;
	case IOPF_SIM_READY:
		if (!enabled) {
			if (!dev->running)
				set_state(dev, IOPF_SIM_OFF, 0, 0);
			break;
		}
		pending = iopf_sim_reg_read(dev, IOPF_SIM_REG_SQ_TAIL) - dev->sq_head;
		if (pending > dev->sq_entries)
			set_state(dev, IOPF_SIM_HALTED, IOPF_SIM_ST_BAD_COMMAND, 0);
		else
			fetch = pending;
		break;
	case IOPF_SIM_HALTED:
		break;
	}
out:
	raw_spin_unlock_irqrestore(&dev->lock, irq);
	return fetch;
}

/**
 * iopf_sim_regs_halt() - halt the device, since it cannot reach a ring
 * @e: the engine that noticed
 * @error: completion status: the reason of the halt
 * @iova: address in the ring
 */
void iopf_sim_regs_halt(struct iopf_sim_engine *e, u32 error, u64 iova)
{
	struct iopf_sim_device *dev = e->dev;
	unsigned long irq;

	raw_spin_lock_irqsave(&dev->lock, irq);
	if (dev->epoch == e->epoch && dev->state == IOPF_SIM_READY)
		set_state(dev, IOPF_SIM_HALTED, error, iova);
	raw_spin_unlock_irqrestore(&dev->lock, irq);
}
