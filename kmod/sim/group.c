// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOMMU groups of the simulated devices.
 *
 * Purpose: a device has a group to itself, but for those that a bit mask names: they share one, as
 * devices do that an IOMMU can't tell apart or keep from each other. All the same each faults
 * by itself: a page request says who asks.
 *
 * Invariants:
 *  - Devices of one group are behind one kind of IOMMU, so that they can have one domain.
 *  - The group lives for as long as one of its devices is on the bus.
 *
 * Locking: called with the core's iommu_probe_device_lock, under which devices get their groups;
 * whether one still has its group is said under endpoint.reports.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bits.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/pci.h>

#include "group.h"
#include "iommu.h"
#include "kind.h"

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
 * iopf_sim_group_init() - look at the parameter; the kinds are there
 *
 * Return: 0; -EINVAL, and the log says why.
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
		pr_err("group=0x%llx: devices %u and %u are not behind IOMMUs of one kind\n",
		       group, first, i);
		return -EINVAL;
	}
	return 0;
}

/* Of a device that is there already. */
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
 * iopf_sim_group_of() - the group of a device that is being probed
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
