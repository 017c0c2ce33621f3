// SPDX-License-Identifier: GPL-2.0-only
/*
 * Function level reset of a simulated device.
 *
 * Invariants: the reset is complete when iopf_sim_device_reset() returns. No access of the old
 * epoch touches memory or the BAR after that, although an engine may still be leaving a command.
 *
 * Locking: iopf_sim_device.lock.
 */
#include "device.h"

/**
 * iopf_sim_device_reset() - function level reset
 * @dev: the device, locked
 */
void iopf_sim_device_reset(struct iopf_sim_device *dev)
{
	lockdep_assert_held(&dev->lock);
	atomic64_inc(&dev->counters.flr);
	dev->epoch++;
	iopf_sim_endpoint_reset(&dev->ep, dev->epoch);
	iopf_sim_prg_forget(dev);
	iopf_sim_config_reset(dev);
	iopf_sim_regs_reset(dev);
}
