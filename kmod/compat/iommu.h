/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions that the IOMMU core exports but declares in private headers, and their differences
 * between kernel versions. vfio_driver.h explains mirrored declarations.
 */
#ifndef IOPF_COMPAT_IOMMU_H
#define IOPF_COMPAT_IOMMU_H

#include <linux/iommu.h>
#include <linux/module.h>

/* drivers/iommu/iommu-priv.h */
int iommu_attach_group_handle(struct iommu_domain *domain, struct iommu_group *group,
			      struct iommu_attach_handle *handle);
void iommu_detach_group_handle(struct iommu_domain *domain, struct iommu_group *group);

/* Imports the namespace of these exports. From Linux 6.13 on, its name is a string. */
#define IOPF_IMPORT_IOMMU_NS() MODULE_IMPORT_NS(IOMMUFD_INTERNAL)

#endif /* IOPF_COMPAT_IOMMU_H */
