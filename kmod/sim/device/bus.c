// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopf_sim - simulated PCI devices that fault, behind the simulated IOMMU.
 *
 * Purpose: a PCI host bridge without hardware, with its own PCI domain. Stock vfio-pci binds the
 * devices, and user space drives them. Device n is function n / 32 of slot n % 32.
 *
 * Invariants:
 *  - Devices exist from load to unload. The PCI core decides which of them are on the bus.
 *  - The memory of the BARs is RAM that the kernel does not use (memmap=). Loading fails unless
 *    this RAM is reserved.
 *
 * Locking: configuration accesses come under pci_lock or no lock; config.c and config_write.c lock.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/pci.h>

#include "device.h"

static unsigned int devices = 2;
module_param(devices, uint, 0444);
MODULE_PARM_DESC(devices, "number of devices, 1 to 64 (default 2)");

static unsigned int engines = 1;
module_param(engines, uint, 0444);
MODULE_PARM_DESC(engines, "DMA engines of each device, 1 to 8 (default 1)");

static unsigned long bar_base = 0x10000000;
module_param(bar_base, ulong, 0444);
MODULE_PARM_DESC(bar_base, "reserved RAM for the BARs, 16 KiB for each device (default 0x10000000)");

static unsigned long long stall;
module_param(stall, ullong, 0444);
MODULE_PARM_DESC(stall, "bit mask of the devices that fault by stalling, not by page requests");

static unsigned int domain = 0x10f5;
module_param(domain, uint, 0444);
MODULE_PARM_DESC(domain, "PCI domain of the bus (default 0x10f5)");

static struct iopf_sim_device *device[IOPF_SIM_MAX_DEVICES];
static struct device *bus_parent;
static struct pci_bus *root;
static void *window_va;

static struct resource bus_numbers = {
	.name = "iopf_sim bus",
	.start = 0,
	.end = 0,
	.flags = IORESOURCE_BUS,
};

static struct resource window = {
	.name = "iopf_sim BARs",
	.flags = IORESOURCE_MEM,
};

static struct pci_sysdata sysdata = {
	.node = NUMA_NO_NODE,
};

static struct iopf_sim_device *find(struct pci_bus *bus, unsigned int devfn)
{
	unsigned int index = PCI_SLOT(devfn) + 32 * PCI_FUNC(devfn);

	return bus->number || index >= devices ? NULL : device[index];
}

static int read_config(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 *val)
{
	struct iopf_sim_device *dev = find(bus, devfn);

	if (!dev || where < 0 || where + size > IOPF_SIM_CFG_SIZE)
		return PCIBIOS_DEVICE_NOT_FOUND;
	*val = iopf_sim_config_read(dev, where, size);
	return PCIBIOS_SUCCESSFUL;
}

static int write_config(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 val)
{
	struct iopf_sim_device *dev = find(bus, devfn);

	if (!dev || where < 0 || where + size > IOPF_SIM_CFG_SIZE)
		return PCIBIOS_DEVICE_NOT_FOUND;
	iopf_sim_config_write(dev, where, size, val);
	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops bus_ops = {
	.read = read_config,
	.write = write_config,
};

/*
 * The BARs have fixed addresses: the PCI core would not assign reserved RAM to them. So each BAR is
 * claimed when a device is found, also after a rescan.
 */
static int bus_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	struct pci_dev *pdev = to_pci_dev(data);

	if (action != BUS_NOTIFY_ADD_DEVICE || pdev->bus->ops != &bus_ops)
		return NOTIFY_DONE;
	if (pci_claim_resource(pdev, IOPF_SIM_BAR))
		pci_err(pdev, "cannot claim the BAR: its address has changed\n");
	return NOTIFY_OK;
}

static struct notifier_block bus_nb = {
	.notifier_call = bus_notify,
};

static int scan_bus(void)
{
	LIST_HEAD(resources);

	int ret;

	bus_parent = root_device_register("iopf_sim");
	if (IS_ERR(bus_parent))
		return PTR_ERR(bus_parent);
	ret = bus_register_notifier(&pci_bus_type, &bus_nb);
	if (ret)
		goto err_parent;

	pci_add_resource(&resources, &bus_numbers);
	pci_add_resource(&resources, &window);
	sysdata.domain = domain;

	pci_lock_rescan_remove();
	root = pci_create_root_bus(bus_parent, 0, &bus_ops, &sysdata, &resources);
	if (!root) {
		pci_unlock_rescan_remove();
		pci_free_resource_list(&resources);
		ret = -ENOMEM;
		goto err_notifier;
	}
	pci_scan_child_bus(root);
	pci_bus_add_devices(root);
	pci_unlock_rescan_remove();
	return 0;

err_notifier:
	bus_unregister_notifier(&pci_bus_type, &bus_nb);
err_parent:
	root_device_unregister(bus_parent);
	return ret;
}

static void remove_bus(void)
{
	struct pci_host_bridge *bridge = to_pci_host_bridge(root->bridge);

	pci_lock_rescan_remove();
	pci_stop_root_bus(root);
	pci_remove_root_bus(root);
	pci_unlock_rescan_remove();
	/* Drop the initial reference of pci_create_root_bus(). Nothing else drops it. */
	pci_free_host_bridge(bridge);
	bus_unregister_notifier(&pci_bus_type, &bus_nb);
	root_device_unregister(bus_parent);
}

static int map_window(void)
{
	int ret;

	window.start = bar_base;
	window.end = bar_base + (u64)devices * IOPF_SIM_BAR_SIZE - 1;
	if (!IS_ALIGNED(bar_base, IOPF_SIM_BAR_SIZE) || window.end >> 32 ||
	    region_intersects(window.start, resource_size(&window), IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) != REGION_DISJOINT) {
		pr_err("%pR is not reserved: boot with memmap=2M$0x%lx\n", &window, bar_base);
		return -EINVAL;
	}
	ret = insert_resource(&iomem_resource, &window);
	if (ret) {
		pr_err("%pR is in use\n", &window);
		return ret;
	}
	/*
	 * Uncached, since vfio-pci maps it uncached, and two cache types for one page are not
	 * allowed. It is still RAM.
	 */
	window_va = (__force void *)ioremap(window.start, resource_size(&window));
	if (!window_va) {
		remove_resource(&window);
		return -ENOMEM;
	}
	return 0;
}

/* Returns whether there is memory behind the window. */
static bool window_works(void)
{
	u64 *word;

	for (word = window_va; (void *)word < window_va + resource_size(&window);
	     word += PAGE_SIZE / sizeof(*word)) {
		WRITE_ONCE(*word, 0x10f5);
		if (READ_ONCE(*word) != 0x10f5)
			return false;
		WRITE_ONCE(*word, 0);
	}
	return true;
}

static void unmap_window(void)
{
	iounmap((__force void __iomem *)window_va);
	remove_resource(&window);
}

static void destroy_devices(void)
{
	unsigned int i;

	for (i = 0; i < devices && device[i]; i++)
		iopf_sim_device_destroy(device[i]);
}

static int create_devices(void)
{
	struct iopf_sim_device *dev;
	unsigned int i;

	for (i = 0; i < devices; i++) {
		dev = iopf_sim_device_create(i, engines, stall & BIT_ULL(i), domain, window.start,
					     resource_size(&window), window_va);
		if (IS_ERR(dev)) {
			destroy_devices();
			return PTR_ERR(dev);
		}
		device[i] = dev;
	}
	return 0;
}

static int __init iopf_sim_init(void)
{
	int ret;

	if (!devices || devices > IOPF_SIM_MAX_DEVICES || !engines ||
	    engines > IOPF_SIM_MAX_ENGINES || domain > 0xffff ||
	    pci_find_bus(domain, 0)) {
		pr_err("bad parameter: need devices 1..%u, engines 1..%u, an unused PCI domain\n",
		       IOPF_SIM_MAX_DEVICES, IOPF_SIM_MAX_ENGINES);
		return -EINVAL;
	}
	ret = map_window();
	if (ret)
		return ret;
	if (!window_works()) {
		pr_err("%pR is not memory: boot with memmap=2M$0x%lx\n", &window, bar_base);
		ret = -ENXIO;
		goto err_window;
	}
	ret = create_devices();
	if (ret)
		goto err_window;
	ret = scan_bus();
	if (ret)
		goto err_devices;
	return 0;

err_devices:
	destroy_devices();
err_window:
	unmap_window();
	return ret;
}

static void __exit iopf_sim_exit(void)
{
	remove_bus();
	destroy_devices();
	unmap_window();
	/* Wait for the timer function of the last held response to return. */
	synchronize_rcu();
}

module_init(iopf_sim_init);
module_exit(iopf_sim_exit);

MODULE_DESCRIPTION("Simulated PCI DMA devices with I/O page faults");
MODULE_LICENSE("GPL");
