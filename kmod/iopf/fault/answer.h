/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_ANSWER_H
#define IOPF_ANSWER_H

#include <linux/iommu.h>

#include "../device/device.h"
#include "../lib/timing.h"

void iopf_fault_respond(struct iopf_device *d, struct iopf_group *group,
			enum iommu_page_response_code code, struct iopf_timing *timing);
void iopf_fault_complain(struct iopf_device *d, const struct iommu_fault_page_request *prm,
			 const char *what);
void iopf_fault_unexpected(struct iopf_device *d, const struct iommu_fault_page_request *prm,
			   enum iopf_stat cause);

/* Return the response code for the result of handling a fault. */
static inline enum iommu_page_response_code fault_code(int ret)
{
	return ret ? IOMMU_PAGE_RESP_INVALID : IOMMU_PAGE_RESP_SUCCESS;
}

#endif /* IOPF_ANSWER_H */
