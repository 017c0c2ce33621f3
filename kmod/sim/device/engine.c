// SPDX-License-Identifier: GPL-2.0-only
/*
 * Engines: the kthreads that do a device's work.
 *
 * Purpose: watch the doorbell, fetch commands, execute them. An engine has one command at a time.
 *
 * Invariants:
 *  - One engine of a device is the poller. It holds sq_lock, watches the doorbell, and releases the
 *    lock when it has fetched a command. The others execute commands or wait for the lock.
 *  - The doorbell is plain memory, so nothing reports a write to it. The poller reads it without
 *    pause while there is work, then at growing intervals, and not at all while memory decoding is
 *    off. The kick register wakes the poller at once.
 *  - An engine can always be stopped: all its waits end when the device is dead.
 *
 * Locking: sq_lock as above; iopf_sim_device.lock for the poller's sleep.
 */
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "device.h"

#define HOT_POLLS	256
#define HOT_POLLS_UP	4	/* on one CPU, the thread that rings the doorbell must run */
#define NAP_NS		(20 * NSEC_PER_USEC)
#define NAPS		8	/* naps of each length */
#define NAP_MAX_NS	(1 * NSEC_PER_MSEC)
#define TIRED		2000	/* naps without work after which naps get longest */
#define NAP_TIRED_NS	(4 * NSEC_PER_MSEC)
#define NAP_KICKED_NS	(1 * NSEC_PER_SEC)
#define NAP_OFF_NS	(10 * NSEC_PER_MSEC)
#define NAP_UNUSED_NS	(100 * NSEC_PER_MSEC)

/* Returns how long the poller sleeps after @naps without work. KTIME_MAX: until it is woken. */
static u64 nap_ns(struct iopf_sim_device *dev, u32 naps)
{
	u64 ns = min_t(u64, NAP_NS << min(naps / NAPS, 10U), NAP_MAX_NS);

	lockdep_assert_held(&dev->lock);
	if (!dev->bar)
		return KTIME_MAX;
	/* A measurement runs: an idle device must not use the CPU. */
	if (dev->state == IOPF_SIM_READY && READ_ONCE(dev->knobs.slow_poll))
		return NAP_KICKED_NS;
	if (dev->state == IOPF_SIM_READY)
		return naps > TIRED ? NAP_TIRED_NS : ns;
	if (ns < NAP_MAX_NS)
		return ns;
	return dev->cfg[PCI_COMMAND] & PCI_COMMAND_MASTER ? NAP_OFF_NS : NAP_UNUSED_NS;
}

/* Sleeps for one nap. Returns whether the device was kicked. */
static bool nap(struct iopf_sim_device *dev, u32 naps)
{
	ktime_t timeout;
	bool kicked;
	u64 ns;

	/* Set the state before the check of the wakeup conditions. */
	set_current_state(TASK_IDLE);
	raw_spin_lock_irq(&dev->lock);
	kicked = dev->kicked || dev->dead;
	dev->kicked = false;
	dev->poller = current;
	ns = nap_ns(dev, naps);
	raw_spin_unlock_irq(&dev->lock);

	if (!kicked) {
		timeout = ns_to_ktime(ns);
		schedule_hrtimeout_range(ns == KTIME_MAX ? NULL : &timeout, ns / 8,
					 HRTIMER_MODE_REL);
	}
	__set_current_state(TASK_RUNNING);

	raw_spin_lock_irq(&dev->lock);
	dev->poller = NULL;
	kicked |= dev->kicked;
	dev->kicked = false;
	raw_spin_unlock_irq(&dev->lock);
	return kicked;
}

/* Waits until @e->cmd has a command. Returns false if the device is dead. */
static bool next_command(struct iopf_sim_engine *e)
{
	struct iopf_sim_device *dev = e->dev;
	u32 hot = num_online_cpus() > 1 ? HOT_POLLS : HOT_POLLS_UP;
	u32 polls = 0;

	while (!READ_ONCE(dev->dead)) {
		if (iopf_sim_regs_poll(dev)) {
			if (!iopf_sim_ring_fetch(e))
				return true;
			continue;
		}
		if (polls < hot) {
			cond_resched();
			cpu_relax();
			polls++;
		} else if (nap(dev, polls - hot)) {
			polls = 0;
		} else if (polls < hot + TIRED + 1) {
			polls++;
		}
	}
	return false;
}

static int engine_thread(void *data)
{
	struct iopf_sim_engine *e = data;
	struct iopf_sim_device *dev = e->dev;
	bool work;

	while (!kthread_should_stop()) {
		if (READ_ONCE(dev->dead)) {
			schedule_timeout_idle(1);
			continue;
		}
		/* Interruptible only so that the hung task check ignores the wait. */
		if (mutex_lock_interruptible(&dev->sq_lock))
			continue;
		work = next_command(e);
		mutex_unlock(&dev->sq_lock);
		if (work) {
			iopf_sim_command_run(e);
			iopf_sim_ring_complete(e);
		}
	}
	return 0;
}

/**
 * iopf_sim_engine_create() - create an engine and start it
 * @dev: the device
 * @index: number of the engine
 *
 * Return: the engine, or an ERR_PTR.
 */
struct iopf_sim_engine *iopf_sim_engine_create(struct iopf_sim_device *dev, u32 index)
{
	struct iopf_sim_engine *e = kvzalloc(sizeof(*e), GFP_KERNEL);
	struct task_struct *task;

	if (!e)
		return ERR_PTR(-ENOMEM);
	e->dev = dev;
	e->bank = &dev->ep.bank[index];
	e->index = index;
	task = kthread_create(engine_thread, e, "iopf_sim/%u:%u", dev->index, index);
	if (IS_ERR(task)) {
		kvfree(e);
		return ERR_CAST(task);
	}
	e->task = task;
	wake_up_process(task);
	return e;
}

/**
 * iopf_sim_engine_destroy() - stop an engine and free it
 * @e: engine of a dead device
 */
void iopf_sim_engine_destroy(struct iopf_sim_engine *e)
{
	kthread_stop(e->task);
	kvfree(e);
}
