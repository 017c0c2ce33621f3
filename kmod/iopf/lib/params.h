/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_PARAMS_H
#define IOPF_PARAMS_H

#include <linux/types.h>

struct workqueue_struct;

#define IOPF_DRIVER_NAME "vfio_iommu_iopf"

/* For work that may sleep and belongs to no container. */
extern struct workqueue_struct *iopf_wq;

/* For the workers that finish long invalidations; see host/mm.c. */
extern struct workqueue_struct *iopf_zap_wq;

/* Module parameters; see params.c. */
extern bool iopf_allow_unsafe_interrupts;
extern bool iopf_disable_hugepages;
extern bool iopf_serve_pinned;
extern unsigned int iopf_dma_entry_limit;
extern unsigned int iopf_policy_entry_limit;
extern unsigned int iopf_fault_around;
extern unsigned int iopf_fault_window;

#endif /* IOPF_PARAMS_H */
