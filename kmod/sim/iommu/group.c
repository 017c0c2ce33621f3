// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOMMU groups of the simulated devices.
 *
 * Purpose: each device has its own group, except the devices in a bit mask. These share one group,
 * like devices that an IOMMU cannot distinguish or isolate. Each of them still faults on its own:
 * a page request names its device.
 *
 * Invariants:
 *  - Devices of one group are behind one kind of IOMMU, so they can share a domain.
 *  - The group lives while one of its devices is on the bus.
 *
 * Locking: the core holds iommu_probe_device_lock while a device gets its group. endpoint.reports
 * protects @dev of the endpoint, and so the group of the device.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bits.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/pci.h>

#include "iommu.h"

static unsigned long long group;
module_param(group, ullong, 0444);
MODULE_PARM_DESC(group, "bit mask of the devices that share an IOMMU group (default none)");

static u8 devfn_of(unsigned int index)
{
	return PCI_DEVFN(index % 32, index / 32);
}

static bool in_group(const struct iopf_sim_endpoint *ep)
{
	return group & BIT_ULL(PCI_SLOT(ep->devfn) + 32 * PCI_FUNC(ep->devfn));
}

/**
 * iopf_sim_group_init() - check the parameter; call it after iopf_sim_kind_init()
 *
 * Return: 0; -EINVAL, after a message.
 */
int iopf_sim_group_init(void)
{
	unsigned int i, first;

	if (!group)
		return 0;
	first = __ffs64(group);
	for (i = first; i < 64; i++) {
		if (!(group & BIT_ULL(i)) ||
		    iopf_sim_kind_of(devfn_of(i)) == iopf_sim_kind_of(devfn_of(first)))
			continue;
		pr_err("group=0x%llx: devices %u and %u are behind different kinds of IOMMU\n",
		       group, first, i);
		return -EINVAL;
	}
	return 0;
}

/* Returns the group of a device that was probed before, with a reference. */
static void *shared_group(struct iopf_sim_endpoint *ep, void *asking)
{
	struct iommu_group *found = NULL;

	if (ep == asking || !in_group(ep))
		return NULL;
	down_read(&ep->reports);
	if (ep->dev)
		found = iommu_group_get(ep->dev);
	up_read(&ep->reports);
	return found;
}

/**
 * iopf_sim_group_of() - the group of a device that the core probes
 * @dev: the device
 *
 * Return: the group, with a reference; or an error pointer.
 */
struct iommu_group *iopf_sim_group_of(struct device *dev)
{
	struct iopf_sim_endpoint *ep = dev_iommu_priv_get(dev);
	struct iommu_group *found = NULL;

	if (in_group(ep))
		found = iopf_sim_endpoints_any(shared_group, ep);
	return found ?: generic_device_group(dev);
}
