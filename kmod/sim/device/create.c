// SPDX-License-Identifier: GPL-2.0-only
/*
 * Creating and destroying a simulated device.
 *
 * Invariants: a device exists from the loading to the unloading of the module. Removing it from the
 * bus and scanning the bus again does not affect it.
 *
 * Locking: iopf_sim_device.lock while engines run.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "device.h"

static const struct iopf_sim_endpoint_ops endpoint_ops = {
	.response = iopf_sim_response,
};

/**
 * iopf_sim_device_create() - create a device
 * @index: number of the device
 * @engines: number of engines
 * @stall: the device faults by stalling
 * @segment: PCI domain
 * @window: physical address of the memory of all BARs
 * @window_size: bytes of @window
 * @window_va: the CPU's mapping of @window
 *
 * Return: the device, or an ERR_PTR.
 */
struct iopf_sim_device *iopf_sim_device_create(u32 index, u32 engines, bool stall, u16 segment,
					       u64 window, u64 window_size, void *window_va)
{
	struct iopf_sim_device *dev = kvzalloc(sizeof(*dev), GFP_KERNEL);
	struct iopf_sim_engine *e;
	int ret;

	if (!dev)
		return ERR_PTR(-ENOMEM);
	raw_spin_lock_init(&dev->lock);
	mutex_init(&dev->sq_lock);
	mutex_init(&dev->cq_lock);
	dev->index = index;
	dev->ep.ops = &endpoint_ops;
	dev->ep.segment = segment;
	dev->ep.devfn = PCI_DEVFN(index % 32, index / 32);
	dev->ep.stall = stall;
	dev->ep.nr_banks = engines;
	dev->ep.window = window;
	dev->ep.window_size = window_size;
	dev->ep.window_va = window_va;
	snprintf(dev->name, sizeof(dev->name), "%04x:00:%02x.%u", segment, index % 32, index / 32);

	iopf_sim_endpoint_register(&dev->ep);
	ret = iopf_sim_endpoint_set_atc(&dev->ep, IOPF_SIM_ATC_DEFAULT);
	if (ret)
		goto err_unregister;

	raw_spin_lock_irq(&dev->lock);
	iopf_sim_endpoint_reset(&dev->ep, 0);
	iopf_sim_config_init(dev);
	raw_spin_unlock_irq(&dev->lock);

	for (; dev->nr_engines < engines; dev->nr_engines++) {
		e = iopf_sim_engine_create(dev, dev->nr_engines);
		if (IS_ERR(e)) {
			ret = PTR_ERR(e);
			goto err_destroy;
		}
		dev->engine[dev->nr_engines] = e;
	}
	iopf_sim_knobs_create(dev);
	return dev;

err_destroy:
	iopf_sim_device_destroy(dev);
	return ERR_PTR(ret);
err_unregister:
	iopf_sim_endpoint_unregister(&dev->ep);
	kvfree(dev);
	return ERR_PTR(ret);
}

/**
 * iopf_sim_device_destroy() - free a device
 * @dev: a device that is no longer on the bus
 */
void iopf_sim_device_destroy(struct iopf_sim_device *dev)
{
	u32 i;

	iopf_sim_knobs_destroy(dev);
	/* The engines abort what they do, and wait to be stopped. */
	raw_spin_lock_irq(&dev->lock);
	dev->dead = true;
	iopf_sim_device_reset(dev);
	raw_spin_unlock_irq(&dev->lock);
	for (i = 0; i < dev->nr_engines; i++)
		iopf_sim_engine_destroy(dev->engine[i]);
	iopf_sim_endpoint_unregister(&dev->ep);
	iopf_sim_response_drain(dev);
	kvfree(dev);
}
