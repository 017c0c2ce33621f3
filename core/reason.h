/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The reasons for which a device's memory is pinned, or this module does not serve the device. The
 * reason is the first word of the device's file "reason" in sysfs, for programs. A colon, a blank
 * and a sentence for people follow; the sentence may change. The file is empty if the device may
 * fault or is in no container.
 */
#ifndef IOPF_CORE_REASON_H
#define IOPF_CORE_REASON_H

/* When it was attached, the device or another device of its group could not fault. */
#define IOPF_REASON_DISABLED	"disabled"
/* Faults of the device were switched off while it was attached. */
#define IOPF_REASON_PINNED	"pinned"
/* The device is selective, and user space has not declared yet which ranges cannot fault. */
#define IOPF_REASON_UNDECLARED	"undeclared"
/* The driver of its IOMMU refused to enable page faults. */
#define IOPF_REASON_IOMMU_REFUSED	"iommu_refused"
/* Its interrupts are not remapped, and allow_unsafe_interrupts is not set. */
#define IOPF_REASON_UNSAFE_INTERRUPTS	"unsafe_interrupts"
/* Its IOMMU does not have pages as small as the CPU's. */
#define IOPF_REASON_PAGE_SIZE	"page_size"
/* vfio_iommu_type1 was loaded after this module, so VFIO does not ask this module. */
#define IOPF_REASON_SHADOWED	"shadowed"
/* This module now comes first again, but the container was opened before that. */
#define IOPF_REASON_OPENED_BEFORE	"opened_before"
/* The attach failed for another reason. */
#define IOPF_REASON_FAILED	"failed"

#endif /* IOPF_CORE_REASON_H */
