// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopf_sim_iommu - a simulated IOMMU whose devices can fault.
 *
 * Purpose: serve the IOMMU core as the driver of a hardware IOMMU does.
 *
 * Invariants:
 *  - The driver claims only the devices that iopf_sim.ko has registered (struct
 *    iopf_sim_endpoint). It has a firmware node of its own and gives each device a reference to
 *    that node before the core probes the device. So the driver can coexist with any other IOMMU of
 *    the machine.
 *  - The module cannot be unloaded before its devices are gone: the core holds a reference on it
 *    for each device, and iopf_sim.ko uses its symbols.
 *
 * Locking: see link.h.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/pci-ats.h>
#include <linux/pci.h>
#include <linux/property.h>
#include <linux/slab.h>

#include "iommu.h"

#define MSI_WINDOW_BASE		0xfee00000

static struct device *hwdev;
static struct iommu_device sim_iommu;
static struct dentry *debugfs_root;
static const struct iommu_ops sim_iommu_ops;

static const struct software_node sim_node = { .name = "iopf_sim_iommu" };

/**
 * iopf_sim_debugfs() - the debugfs directory of the simulator
 *
 * Return: the directory.
 */
struct dentry *iopf_sim_debugfs(void)
{
	return debugfs_root;
}
EXPORT_SYMBOL_GPL(iopf_sim_debugfs);

static struct iommu_device *probe_device(struct device *dev)
{
	struct iopf_sim_endpoint *ep = iopf_sim_endpoint_find(dev);
	struct pci_dev *pdev;

	if (!ep)
		return ERR_PTR(-ENODEV);
	pdev = to_pci_dev(dev);
	dev_iommu_priv_set(dev, ep);
	down_write(&ep->reports);
	ep->dev = dev;
	up_write(&ep->reports);
	if (pci_ats_supported(pdev) && pci_enable_ats(pdev, PAGE_SHIFT))
		dev_warn(dev, "cannot enable ATS\n");
	return &sim_iommu;
}

/* The core calls this when it has attached the release domain. */
static void release_device(struct device *dev)
{
	struct iopf_sim_endpoint *ep = dev_iommu_priv_get(dev);
	struct pci_dev *pdev = to_pci_dev(dev);

	iopf_sim_feature_release(ep);
	if (pdev->ats_enabled)
		pci_disable_ats(pdev);
	down_write(&ep->reports);
	ep->dev = NULL;
	up_write(&ep->reports);
}

static bool iommu_capable(struct device *dev, enum iommu_cap cap)
{
	return cap == IOMMU_CAP_CACHE_COHERENCY;
}

static int def_domain_type(struct device *dev)
{
	return IOMMU_DOMAIN_IDENTITY;
}

static void add_resv(struct list_head *head, u64 first, u64 last, enum iommu_resv_type type)
{
	struct iommu_resv_region *region;

	region = iommu_alloc_resv_region(first, last - first + 1, 0, type, GFP_KERNEL);
	if (region)
		list_add_tail(&region->list, head);
}

static void get_resv_regions(struct device *dev, struct list_head *head)
{
	struct iopf_sim_endpoint *ep = dev_iommu_priv_get(dev);
	const struct iopf_sim_kind *kind = ep->kind;
	u64 msi = kind->sw_msi ?: MSI_WINDOW_BASE;
	unsigned int i;

	add_resv(head, msi, msi + (IOPF_SIM_MSI_SIZE - 1),
		 kind->sw_msi ? IOMMU_RESV_SW_MSI : IOMMU_RESV_MSI);
	for (i = 0; i < kind->nr_resv; i++)
		add_resv(head, kind->resv[i].first, kind->resv[i].last, IOMMU_RESV_RESERVED);
}

static const struct iommu_ops sim_iommu_ops = {
	.owner = THIS_MODULE,
	.capable = iommu_capable,
	.identity_domain = &iopf_sim_identity_domain,
	.blocked_domain = &iopf_sim_blocked_domain,
	.release_domain = &iopf_sim_blocked_domain,
	.domain_alloc_paging = iopf_sim_domain_alloc_paging,
	.probe_device = probe_device,
	.release_device = release_device,
	.device_group = iopf_sim_group_of,
	.get_resv_regions = get_resv_regions,
	.dev_enable_feat = iopf_sim_enable_feat,
	.dev_disable_feat = iopf_sim_disable_feat,
	.page_response = iopf_sim_page_response,
	.def_domain_type = def_domain_type,
	.pgsize_bitmap = IOPF_SIM_PGSIZES,
	.default_domain_ops = &iopf_sim_paging_ops,
};

/*
 * Tells the core which IOMMU is in front of a new device. iommu_fwspec_init() needs
 * iommu_probe_device_lock, which modules cannot take. So this function does the work of
 * iommu_fwspec_init(). No other code knows the device yet.
 */
static int set_fwspec(struct device *dev)
{
	struct iommu_fwspec *fwspec;
	struct dev_iommu *param;

	if (dev->iommu)
		return -EBUSY;
	param = kzalloc(sizeof(*param), GFP_KERNEL);
	fwspec = kzalloc(struct_size(fwspec, ids, 1), GFP_KERNEL);
	if (!param || !fwspec) {
		kfree(param);
		kfree(fwspec);
		return -ENOMEM;
	}
	mutex_init(&param->lock);
	fwspec->iommu_fwnode = fwnode_handle_get(dev_fwnode(hwdev));
	param->fwspec = fwspec;
	dev->iommu = param;
	return 0;
}

static int bus_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	struct device *dev = data;

	if (action != BUS_NOTIFY_ADD_DEVICE || !iopf_sim_endpoint_find(dev))
		return NOTIFY_DONE;
	if (set_fwspec(dev))
		dev_err(dev, "no IOMMU: out of memory\n");
	return NOTIFY_OK;
}

/* Runs before the core's own notifier, which probes the device. */
static struct notifier_block bus_nb = {
	.notifier_call = bus_notify,
	.priority = 1,
};

static int __init sim_iommu_init(void)
{
	struct dentry *dir;
	int ret;

	ret = iopf_sim_kind_init() ?: iopf_sim_group_init();
	if (ret)
		return ret;
	debugfs_root = debugfs_create_dir("iopf_sim", NULL);
	dir = debugfs_create_dir("iommu", debugfs_root);
	ret = iopf_sim_prq_init(dir);
	if (ret)
		goto err_debugfs;
	iopf_sim_stat_create(dir);

	hwdev = root_device_register("iopf_sim_iommu");
	if (IS_ERR(hwdev)) {
		ret = PTR_ERR(hwdev);
		goto err_prq;
	}
	ret = device_add_software_node(hwdev, &sim_node);
	if (ret)
		goto err_hwdev;
	ret = iommu_device_sysfs_add(&sim_iommu, hwdev, NULL, "iopf_sim_iommu0");
	if (ret)
		goto err_node;
	ret = iommu_device_register(&sim_iommu, &sim_iommu_ops, hwdev);
	if (ret)
		goto err_sysfs;
	ret = bus_register_notifier(&pci_bus_type, &bus_nb);
	if (ret)
		goto err_register;
	return 0;

err_register:
	iommu_device_unregister(&sim_iommu);
err_sysfs:
	iommu_device_sysfs_remove(&sim_iommu);
err_node:
	device_remove_software_node(hwdev);
err_hwdev:
	root_device_unregister(hwdev);
err_prq:
	iopf_sim_prq_exit();
err_debugfs:
	debugfs_remove_recursive(debugfs_root);
	return ret;
}

static void __exit sim_iommu_exit(void)
{
	bus_unregister_notifier(&pci_bus_type, &bus_nb);
	iommu_device_unregister(&sim_iommu);
	iommu_device_sysfs_remove(&sim_iommu);
	device_remove_software_node(hwdev);
	root_device_unregister(hwdev);
	debugfs_remove_recursive(debugfs_root);
	iopf_sim_prq_exit();
	/* Wait for page tables that RCU is about to free. */
	rcu_barrier();
}

module_init(sim_iommu_init);
module_exit(sim_iommu_exit);

MODULE_DESCRIPTION("Simulated IOMMU with I/O page faults");
MODULE_LICENSE("GPL");
