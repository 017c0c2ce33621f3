/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_EMULATED_H
#define IOPF_EMULATED_H

#include <linux/types.h>

struct device;
struct iommu_group;
struct iopf_area;
struct iopf_space;
struct iopf_range;
struct page;
struct vfio_device;

int iopf_emulated_attach(struct iopf_space *space, struct iommu_group *group);
int iopf_emulated_each(struct iopf_space *space, int (*fn)(struct device *dev, void *data),
		       void *data);
bool iopf_emulated_detach(struct iopf_space *space, struct iommu_group *group);
void iopf_emulated_register(struct iopf_space *space, struct vfio_device *vdev);
void iopf_emulated_unregister(struct iopf_space *space, struct vfio_device *vdev);
int iopf_emulated_pin(struct iopf_space *space, u64 iova, int npage, int prot,
		      struct page **pages);
void iopf_emulated_unpin(struct iopf_space *space, u64 iova, int npage);
int iopf_emulated_rw(struct iopf_space *space, u64 iova, void *data, size_t count, bool write);
int iopf_emulated_wait(struct iopf_space *space, const struct iopf_range *range);
void iopf_emulated_notify_unmap(struct iopf_space *space, struct iopf_area *area);
void iopf_emulated_abandon(struct iopf_area *area);

#endif /* IOPF_EMULATED_H */
