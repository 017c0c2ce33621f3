// SPDX-License-Identifier: GPL-2.0-only
/*
 * iopf_sim_iommu - a simulated IOMMU whose devices can fault.
 *
 * Purpose: be to the IOMMU core what a hardware driver is: domains, attach, map, unmap,
 * invalidate, the page fault feature.
 *
 * Invariants:
 *  - Claims only the devices that iopf_sim.ko has announced (struct iopf_sim_endpoint).
 *    It has a firmware node of its own and gives its devices a reference to it before
 *    they are probed, so that it can live beside any other IOMMU of the machine.
 *  - The core holds a reference on this module for each device, and iopf_sim.ko uses its
 *    symbols: it cannot be unloaded before the devices are gone.
 *
 * Locking: see endpoint.h.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/pci-ats.h>
#include <linux/pci.h>
#include <linux/property.h>
#include <linux/slab.h>

#include "group.h"
#include "iommu.h"
#include "kind.h"

#define MSI_WINDOW_BASE		0xfee00000

DEFINE_PER_CPU(struct iopf_sim_stats, iopf_sim_stats);

static struct device *hwdev;
static struct iommu_device sim_iommu;
static struct dentry *debugfs_root;
static const struct iommu_ops sim_iommu_ops;

static const struct software_node sim_node = { .name = "iopf_sim_iommu" };

/**
 * iopf_sim_debugfs() - the directory all files of the simulator are in
 *
 * Return: the directory.
 */
struct dentry *iopf_sim_debugfs(void)
{
	return debugfs_root;
}
EXPORT_SYMBOL_GPL(iopf_sim_debugfs);

/* Domains */

static int attach_dev(struct iommu_domain *domain, struct device *dev)
{
	return iopf_sim_endpoint_attach(dev_iommu_priv_get(dev), domain);
}

static const struct iommu_domain_ops static_domain_ops = {
	.attach_dev = attach_dev,
};

struct iommu_domain iopf_sim_identity_domain = {
	.type = IOMMU_DOMAIN_IDENTITY,
	.ops = &static_domain_ops,
};

struct iommu_domain iopf_sim_blocked_domain = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &static_domain_ops,
};

static struct iommu_domain *domain_alloc_paging(struct device *dev)
{
	struct iopf_sim_domain *domain = kzalloc(sizeof(*domain), GFP_KERNEL_ACCOUNT);
	struct iopf_sim_endpoint *ep = dev_iommu_priv_get(dev);

	if (!domain)
		return NULL;
	if (iopf_sim_pt_init(&domain->pt, ep->kind, GFP_KERNEL_ACCOUNT)) {
		kfree(domain);
		return NULL;
	}
	raw_spin_lock_init(&domain->lock);
	INIT_LIST_HEAD(&domain->attachments);
	domain->domain.pgsize_bitmap = ep->kind->pgsizes;
	domain->domain.geometry.aperture_start = ep->kind->first;
	domain->domain.geometry.aperture_end = ep->kind->last;
	domain->domain.geometry.force_aperture = true;
	return &domain->domain;
}

static void domain_free(struct iommu_domain *iommu_domain)
{
	struct iopf_sim_domain *domain = to_sim_domain(iommu_domain);

	WARN_ON(!list_empty(&domain->attachments));
	iopf_sim_pt_destroy(&domain->pt);
	kfree(domain);
}

static size_t unmap_pages(struct iommu_domain *iommu_domain, unsigned long iova, size_t pgsize,
			  size_t count, struct iommu_iotlb_gather *gather)
{
	struct iopf_sim_domain *domain = to_sim_domain(iommu_domain);
	size_t size;

	iopf_sim_count(IOPF_SIM_STAT_UNMAPS, 1);
	/*
	 * From here to the sync, the device may use what is being unmapped. The first
	 * unmap of a gather opens that window, the sync closes it.
	 */
	if (!gather->end) {
		atomic_inc(&domain->unsynced);
		/* Before the entries go; pairs with the barrier in translate_paging(). */
		smp_mb__after_atomic();
	}
	size = iopf_sim_pt_unmap(&domain->pt, iova, pgsize * count);
	if (size)
		iommu_iotlb_gather_add_range(gather, iova, size);
	else if (!gather->end)
		atomic_dec(&domain->unsynced);
	return size;
}

static void iotlb_sync(struct iommu_domain *iommu_domain, struct iommu_iotlb_gather *gather)
{
	struct iopf_sim_domain *domain = to_sim_domain(iommu_domain);

	if (!gather->end)
		return;
	iopf_sim_count(IOPF_SIM_STAT_SYNCS, 1);
	iopf_sim_domain_invalidate(domain, gather->start, gather->end);
	atomic_dec(&domain->unsynced);
}

static void flush_iotlb_all(struct iommu_domain *domain)
{
	iopf_sim_domain_invalidate(to_sim_domain(domain), 0, BIT_ULL(IOPF_SIM_IOVA_BITS) - 1);
}

static phys_addr_t iova_to_phys(struct iommu_domain *domain, dma_addr_t iova)
{
	struct iopf_sim_leaf leaf;
	phys_addr_t phys = 0;

	rcu_read_lock();
	if (iopf_sim_pt_lookup(&to_sim_domain(domain)->pt, iova, &leaf))
		phys = leaf.phys + (iova & (BIT_ULL(leaf.shift) - 1));
	rcu_read_unlock();
	return phys;
}

/* Who is attached later is of the same kind, so the answer stays right. */
static bool enforce_cache_coherency(struct iommu_domain *domain)
{
	return to_sim_domain(domain)->pt.kind->coherent;
}

static const struct iommu_domain_ops paging_domain_ops = {
	.attach_dev = attach_dev,
	.map_pages = iopf_sim_map_pages,
	.unmap_pages = unmap_pages,
	.flush_iotlb_all = flush_iotlb_all,
	.iotlb_sync = iotlb_sync,
	.iova_to_phys = iova_to_phys,
	.enforce_cache_coherency = enforce_cache_coherency,
	.free = domain_free,
};

/* Page faults */

/* What pci_enable_pri() does; it is not exported to modules. */
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
	/* No more reports; then answer what is pending; then let the device forget. */
	set_iopf(ep, false);
	iopf_sim_prq_flush(ep);
	iopf_queue_remove_device(iopf_sim_prq_queue(), ep->dev);
	if (!ep->stall)
		pci_disable_pri(to_pci_dev(ep->dev));
}

static int dev_enable_feat(struct device *dev, enum iommu_dev_features feat)
{
	if (feat != IOMMU_DEV_FEAT_IOPF)
		return -ENODEV;
	return enable_iopf(dev_iommu_priv_get(dev));
}

static int dev_disable_feat(struct device *dev, enum iommu_dev_features feat)
{
	struct iopf_sim_endpoint *ep = dev_iommu_priv_get(dev);

	if (feat != IOMMU_DEV_FEAT_IOPF)
		return -ENODEV;
	if (!ep->iopf)
		return -EINVAL;
	disable_iopf(ep);
	return 0;
}

static void page_response(struct device *dev, struct iopf_fault *evt,
			  struct iommu_page_response *msg)
{
	struct iopf_sim_endpoint *ep = dev_iommu_priv_get(dev);
	struct iommu_fault_page_request *prm = &evt->fault.prm;

	/* Without a handler, the core answers every request, not only the last of a group. */
	if (!(prm->flags & IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE))
		return;
	ep->ops->response(ep, prm->grpid, prm->private_data[0], msg->code);
}

/* Devices */

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
		dev_warn(dev, "ATS could not be enabled\n");
	return &sim_iommu;
}

/* The core has attached the release domain. */
static void release_device(struct device *dev)
{
	struct iopf_sim_endpoint *ep = dev_iommu_priv_get(dev);
	struct pci_dev *pdev = to_pci_dev(dev);

	if (ep->iopf)
		disable_iopf(ep);
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
	.domain_alloc_paging = domain_alloc_paging,
	.probe_device = probe_device,
	.release_device = release_device,
	.device_group = iopf_sim_group_of,
	.get_resv_regions = get_resv_regions,
	.dev_enable_feat = dev_enable_feat,
	.dev_disable_feat = dev_disable_feat,
	.page_response = page_response,
	.def_domain_type = def_domain_type,
	.pgsize_bitmap = IOPF_SIM_PGSIZES,
	.default_domain_ops = &paging_domain_ops,
};

/*
 * Tells the core which IOMMU a new device of ours is behind. By hand, because
 * iommu_fwspec_init() wants iommu_probe_device_lock, which modules cannot take; nobody
 * else knows the device yet.
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

/* Before the core's own notifier, which probes the device. */
static struct notifier_block bus_nb = {
	.notifier_call = bus_notify,
	.priority = 1,
};

/* Counters */

/* What a counter stood at when it was reset. */
static s64 stats_base[IOPF_SIM_STAT_NR];

static s64 stats_sum(enum iopf_sim_stat stat)
{
	s64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(iopf_sim_stats, cpu).count[stat]);
	return sum;
}

static int stat_get(void *data, u64 *val)
{
	enum iopf_sim_stat stat = (uintptr_t)data;

	*val = stats_sum(stat) - READ_ONCE(stats_base[stat]);
	return 0;
}

static int stat_set(void *data, u64 val)
{
	enum iopf_sim_stat stat = (uintptr_t)data;

	if (val)
		return -EINVAL;
	WRITE_ONCE(stats_base[stat], stats_sum(stat));
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(stat_fops, stat_get, stat_set, "%llu\n");
DEFINE_DEBUGFS_ATTRIBUTE(gauge_fops, stat_get, NULL, "%llu\n");

static const char *const stat_names[IOPF_SIM_STAT_NR] = {
	[IOPF_SIM_STAT_MAPS] = "maps",
	[IOPF_SIM_STAT_UNMAPS] = "unmaps",
	[IOPF_SIM_STAT_UNMAP_HOLES] = "unmap_holes",
	[IOPF_SIM_STAT_UNMAP_SPLITS] = "unmap_splits",
	[IOPF_SIM_STAT_MAP_COLLISIONS] = "map_collisions",
	[IOPF_SIM_STAT_SYNCS] = "syncs",
	[IOPF_SIM_STAT_STOP_MARKERS] = "stop_markers",
	[IOPF_SIM_STAT_REFUSED] = "refused",
	[IOPF_SIM_STAT_TABLES] = "tables",
	[IOPF_SIM_STAT_LEAVES_4K] = "leaves_4k",
	[IOPF_SIM_STAT_LEAVES_2M] = "leaves_2m",
	[IOPF_SIM_STAT_LEAVES_1G] = "leaves_1g",
};

static void add_debugfs(struct dentry *dir)
{
	for (uintptr_t stat = 0; stat < IOPF_SIM_STAT_NR; stat++) {
		/* From there on: of what there is now. */
		bool gauge = stat >= IOPF_SIM_STAT_TABLES;

		debugfs_create_file_unsafe(stat_names[stat], gauge ? 0400 : 0600, dir,
					   (void *)stat, gauge ? &gauge_fops : &stat_fops);
	}
}

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
	add_debugfs(dir);

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
	/* page tables on their way to being freed */
	rcu_barrier();
}

module_init(sim_iommu_init);
module_exit(sim_iommu_exit);

MODULE_DESCRIPTION("Simulated IOMMU with I/O page faults");
MODULE_LICENSE("GPL");
