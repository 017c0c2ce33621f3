// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings: commands in, completions out.
 *
 * Purpose: fetch a command, write a completion, in the BAR or in host memory. The device reaches a
 * ring in host memory by DMA, so the access can fault.
 *
 * Invariants: a command is copied before it is read. The phase of a completion is written last.
 * Nothing is written for an epoch that is over.
 *
 * Locking: sq_lock during a fetch, cq_lock during a completion; iopf_sim_device.lock for counts and
 * for the BAR.
 */
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/mm.h>

#include "device.h"

#define PHASE		offsetof(struct iopf_sim_cpl, phase)
#define SLOT_SIZE	128

/* Copies one slot from or to a ring in host memory. A slot never crosses a page. */
static int dma(struct iopf_sim_engine *e, u64 iova, bool write, void *buf)
{
	struct iopf_sim_access access;
	u32 tries = 0;
	u64 page = iova & PAGE_MASK;
	int st;

	for (;;) {
		st = iopf_sim_access_begin(e->bank, e->epoch, iova, write, &access);
		if (st != IOPF_SIM_ST_UNTRANSLATED)
			break;
		if (tries++ > READ_ONCE(e->dev->knobs.retry_limit))
			return IOPF_SIM_ST_RETRIES;
		st = iopf_sim_prg_send(e, &page, 1, write ? IOMMU_FAULT_PERM_WRITE :
				       IOMMU_FAULT_PERM_READ);
		if (st == -EAGAIN)
			st = iopf_sim_prg_back_off(e);
		else if (!st)
			st = iopf_sim_prg_wait(e, &e->sent[e->nr_sent - 1]);
		if (st)
			return st;
		cond_resched();
	}
	if (st)
		return st;
	if (write) {
		memcpy(access.va, buf, PHASE);
		/* Orders the record before its phase; pairs with the driver's read barrier. */
		smp_wmb();
		WRITE_ONCE(*(u32 *)(access.va + PHASE), *(u32 *)(buf + PHASE));
	} else {
		memcpy(buf, access.va, SLOT_SIZE);
	}
	iopf_sim_access_end(e->bank, &access);
	return 0;
}

/**
 * iopf_sim_ring_fetch() - fetch the next command
 * @e: the poller. On success @e->cmd is the command.
 *
 * Return: 0, or a completion status: the reason why there is no command.
 */
int iopf_sim_ring_fetch(struct iopf_sim_engine *e)
{
	struct iopf_sim_device *dev = e->dev;
	u64 base, iova;
	int st = 0;
	u32 slot;

	lockdep_assert_held(&dev->sq_lock);
	memset(&e->cpl, 0, sizeof(e->cpl));

	raw_spin_lock_irq(&dev->lock);
	e->epoch = dev->epoch;
	base = dev->sq_base;
	slot = dev->sq_head & (dev->sq_entries - 1);
	iova = base + (u64)slot * SLOT_SIZE;
	if (dev->state != IOPF_SIM_READY || !dev->bar)
		st = IOPF_SIM_ST_ABORTED;
	else if (base == IOPF_SIM_IN_BAR)
		memcpy(&e->cmd, dev->bar + IOPF_SIM_BAR_SQ + slot * SLOT_SIZE, SLOT_SIZE);
	raw_spin_unlock_irq(&dev->lock);
	if (st)
		return st;

	e->started = ktime_get_ns();
	if (base != IOPF_SIM_IN_BAR) {
		st = dma(e, iova, false, &e->cmd);
		if (st) {
			if (st != IOPF_SIM_ST_ABORTED)
				iopf_sim_regs_halt(e, st, iova);
			return st;
		}
		/* Faults of the ring do not count for the command. */
		memset(&e->cpl, 0, sizeof(e->cpl));
	}

	raw_spin_lock_irq(&dev->lock);
	if (dev->epoch == e->epoch && dev->state == IOPF_SIM_READY) {
		dev->running++;
		iopf_sim_reg_write(dev, IOPF_SIM_REG_SQ_HEAD, ++dev->sq_head);
	} else {
		st = IOPF_SIM_ST_ABORTED;
	}
	raw_spin_unlock_irq(&dev->lock);
	return st;
}

/* Waits for a free slot of the completion ring. The caller holds the lock. */
static bool wait_for_slot(struct iopf_sim_engine *e)
{
	struct iopf_sim_device *dev = e->dev;
	u32 used;

	lockdep_assert_held(&dev->lock);
	for (;;) {
		if (dev->epoch != e->epoch || dev->state != IOPF_SIM_READY || dev->dead)
			return false;
		used = dev->cq_tail - iopf_sim_reg_read(dev, IOPF_SIM_REG_CQ_HEAD);
		if (dev->bar && used < dev->cq_entries)
			return true;
		/* The driver disables the device while the ring is full: drop the completion. */
		if (dev->bar &&
		    !(iopf_sim_reg_read(dev, IOPF_SIM_REG_CTRL) & IOPF_SIM_CTRL_ENABLE))
			return false;
		raw_spin_unlock_irq(&dev->lock);
		usleep_range_state(100, 1000, TASK_IDLE);
		raw_spin_lock_irq(&dev->lock);
	}
}

/*
 * Writes @e->cpl into the next slot. cq_lock serialises writers. The function copies @e->cpl first,
 * since a fault of the ring changes the counts in it.
 */
static void write_completion(struct iopf_sim_engine *e)
{
	struct iopf_sim_device *dev = e->dev;
	struct iopf_sim_cpl cpl = e->cpl;
	void *slot_va;
	bool in_bar;
	int st = 0;
	u64 iova;
	u32 slot;

	lockdep_assert_held(&dev->cq_lock);
	raw_spin_lock_irq(&dev->lock);
	if (!wait_for_slot(e)) {
		raw_spin_unlock_irq(&dev->lock);
		return;
	}
	slot = dev->cq_tail & (dev->cq_entries - 1);
	cpl.phase = !((dev->cq_tail / dev->cq_entries) & 1);
	iova = dev->cq_base + (u64)slot * SLOT_SIZE;
	in_bar = dev->cq_base == IOPF_SIM_IN_BAR;
	if (in_bar) {
		slot_va = dev->bar + IOPF_SIM_BAR_CQ + slot * SLOT_SIZE;
		memcpy(slot_va, &cpl, PHASE);
		/* Orders the record before its phase; pairs with the driver's read barrier. */
		smp_wmb();
		WRITE_ONCE(*(u32 *)(slot_va + PHASE), cpl.phase);
	}
	raw_spin_unlock_irq(&dev->lock);

	if (!in_bar)
		st = dma(e, iova, true, &cpl);
	if (st) {
		if (st != IOPF_SIM_ST_ABORTED)
			iopf_sim_regs_halt(e, st, iova);
		return;
	}

	raw_spin_lock_irq(&dev->lock);
	if (dev->epoch == e->epoch)
		iopf_sim_reg_write(dev, IOPF_SIM_REG_CQ_TAIL, ++dev->cq_tail);
	raw_spin_unlock_irq(&dev->lock);
}

/**
 * iopf_sim_ring_complete() - write the completion of the current command
 * @e: the engine
 *
 * Waits while the completion ring is full.
 */
void iopf_sim_ring_complete(struct iopf_sim_engine *e)
{
	struct iopf_sim_device *dev = e->dev;

	e->cpl.ns = ktime_get_ns() - e->started;
	/*
	 * Interruptible only so that the hung task check ignores the wait. A kthread gets no
	 * signal.
	 */
	while (mutex_lock_interruptible(&dev->cq_lock))
		;
	write_completion(e);
	mutex_unlock(&dev->cq_lock);

	raw_spin_lock_irq(&dev->lock);
	if (dev->epoch == e->epoch)
		dev->running--;
	raw_spin_unlock_irq(&dev->lock);
}
