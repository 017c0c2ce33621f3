/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Why a device's memory is pinned: the first word of its file "reason", by which programs may
 * decide. After it come a colon, a blank and a sentence for people, which may change. An empty
 * file: it faults, or is in no container.
 */
#ifndef IOPF_CORE_REASON_H
#define IOPF_CORE_REASON_H

/* It, or another one of its group, was not to fault when it was attached. */
#define IOPF_REASON_DISABLED	"disabled"
/* It was switched off while it was attached here. */
#define IOPF_REASON_PINNED	"pinned"
/* It may fault in part, and nobody has said yet where it may not. */
#define IOPF_REASON_UNANSWERED	"unanswered"
/* The driver of its IOMMU was asked to turn page faults on, and refused. */
#define IOPF_REASON_REFUSED	"refused"
/* Its interrupts are not remapped, and allow_unsafe_interrupts is not set. */
#define IOPF_REASON_UNSAFE	"unsafe"
/* Its IOMMU has no pages as small as the CPU's. */
#define IOPF_REASON_PAGES	"pages"
/* vfio_iommu_type1 was loaded after this module, so this module is not asked. */
#define IOPF_REASON_BEHIND	"behind"
/* That is over, but its container was opened meanwhile. */
#define IOPF_REASON_BYPASSED	"bypassed"
/* Attaching it failed in another way. */
#define IOPF_REASON_FAILED	"failed"

#endif /* IOPF_CORE_REASON_H */
