/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_WORKSET_H
#define IOPF_WORKSET_H

struct iopf_space;
struct iopf_prefault;
struct vfio_iopf_working_set;
struct vfio_iopf_working_set_restore;

int iopf_workset_export(struct iopf_space *space, struct vfio_iopf_working_set *arg);
struct iopf_prefault *iopf_workset_import(struct iopf_space *space,
					  const struct vfio_iopf_working_set_restore *arg);

#endif /* IOPF_WORKSET_H */
