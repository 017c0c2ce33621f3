/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_TYPE1_H
#define IOPF_TYPE1_H

struct vfio_iommu_driver_ops;

extern const struct vfio_iommu_driver_ops iopf_type1_ops;

#endif /* IOPF_TYPE1_H */
