// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page fault feature of a device: IOMMU_DEV_FEAT_IOPF.
 *
 * Invariants: after the feature is disabled, no fault of the device is reported, and every page
 * request group has its response.
 *
 * Locking: iopf_sim_endpoint.reports protects iopf_sim_endpoint.iopf.
 */
#include <linux/pci-ats.h>
#include <linux/pci.h>

#include "iommu.h"

/* Does the work of pci_enable_pri(), which the kernel does not export to modules. */
static int enable_pri(struct pci_dev *pdev)
{
	u32 max;
	u16 status;

	pci_read_config_word(pdev, pdev->pri_cap + PCI_PRI_STATUS, &status);
	if (!(status & PCI_PRI_STATUS_STOPPED))
		return -EBUSY;
	pci_read_config_dword(pdev, pdev->pri_cap + PCI_PRI_MAX_REQ, &max);
	pdev->pri_reqs_alloc = max;
	pci_write_config_dword(pdev, pdev->pri_cap + PCI_PRI_ALLOC_REQ, max);
	pci_write_config_word(pdev, pdev->pri_cap + PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE);
	pdev->pri_enabled = 1;
	return 0;
}

static void set_iopf(struct iopf_sim_endpoint *ep, bool iopf)
{
	down_write(&ep->reports);
	ep->iopf = iopf;
	up_write(&ep->reports);
}

static int enable_iopf(struct iopf_sim_endpoint *ep)
{
	struct pci_dev *pdev = to_pci_dev(ep->dev);
	int ret;

	if (!ep->kind->iopf)
		return -ENODEV;
	if (!ep->stall && (!pdev->ats_enabled || !pdev->pri_cap))
		return -ENODEV;
	ret = iopf_queue_add_device(iopf_sim_prq_queue(), ep->dev);
	if (ret)
		return ret;
	set_iopf(ep, true);
	if (!ep->stall) {
		ret = enable_pri(pdev);
		if (ret)
			goto err_remove;
	}
	return 0;

err_remove:
	set_iopf(ep, false);
	iopf_queue_remove_device(iopf_sim_prq_queue(), ep->dev);
	return ret;
}

static void disable_iopf(struct iopf_sim_endpoint *ep)
{
	/* First stop reports, then answer the pending groups, then let the device forget them. */
	set_iopf(ep, false);
	iopf_sim_prq_flush(ep);
	iopf_queue_remove_device(iopf_sim_prq_queue(), ep->dev);
	if (!ep->stall)
		pci_disable_pri(to_pci_dev(ep->dev));
}

int iopf_sim_enable_feat(struct device *dev, enum iommu_dev_features feat)
{
	if (feat != IOMMU_DEV_FEAT_IOPF)
		return -ENODEV;
	return enable_iopf(dev_iommu_priv_get(dev));
}

int iopf_sim_disable_feat(struct device *dev, enum iommu_dev_features feat)
{
	struct iopf_sim_endpoint *ep = dev_iommu_priv_get(dev);

	if (feat != IOMMU_DEV_FEAT_IOPF)
		return -ENODEV;
	if (!ep->iopf)
		return -EINVAL;
	disable_iopf(ep);
	return 0;
}

void iopf_sim_page_response(struct device *dev, struct iopf_fault *evt,
			    struct iommu_page_response *msg)
{
	struct iopf_sim_endpoint *ep = dev_iommu_priv_get(dev);
	struct iommu_fault_page_request *prm = &evt->fault.prm;

	/* Without a handler, the core answers every request. The device expects one per group. */
	if (!(prm->flags & IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE))
		return;
	ep->ops->response(ep, prm->grpid, prm->private_data[0], msg->code);
}

/**
 * iopf_sim_feature_release() - disable page faults of a device that leaves the bus
 * @ep: the endpoint
 */
void iopf_sim_feature_release(struct iopf_sim_endpoint *ep)
{
	if (ep->iopf)
		disable_iopf(ep);
}
