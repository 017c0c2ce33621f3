// SPDX-License-Identifier: GPL-2.0-only
/*
 * Answering a fault: the one place that responds to the IOMMU core, and the log messages about
 * faults.
 *
 * Every group gets one response. INVALID answers an access that the container does not have or does
 * not permit. FAILURE is never sent: it turns the device's page request interface off for good. A
 * fault that many attempts could not serve, for lack of memory or because of invalidations, is
 * answered SUCCESS. Then the device asks again.
 */
#include <linux/iommu.h>
#include <linux/ratelimit.h>

#include "../device/device.h"
#include "../lib/params.h"
#include "answer.h"
#include "latency.h"

/* Answer a group, and free it. No other function answers. */
void iopf_fault_respond(struct iopf_device *d, struct iopf_group *group,
			enum iommu_page_response_code code, struct iopf_timing *timing)
{
	iopf_timing_lap(timing, IOPF_PHASE_WALK);
	iopf_device_count(d, IOPF_STAT_FAULTS, 1);
	iopf_device_count(d, IOPF_STAT_PAGE_REQUESTS, group->fault_count);
	if (code == IOMMU_PAGE_RESP_INVALID)
		iopf_device_count(d, IOPF_STAT_RESPONSES_INVALID, 1);
	iopf_group_response(group, code);
	iopf_free_group(group);
	iopf_timing_end(timing, d);
}

void iopf_fault_complain(struct iopf_device *d, const struct iommu_fault_page_request *prm,
			 const char *what)
{
	if (__ratelimit(&d->complaints))
		dev_warn(d->dev, IOPF_DRIVER_NAME ": %s at 0x%llx %s, answered INVALID\n",
			 prm->perm & IOMMU_FAULT_PERM_WRITE ? "write" : "read", prm->addr, what);
}

/* Count a fault of a device that must not fault here. Log the first one of each cause. */
void iopf_fault_unexpected(struct iopf_device *d, const struct iommu_fault_page_request *prm,
			   enum iopf_stat cause)
{
	iopf_device_count(d, cause, 1);
	if (!test_and_set_bit(cause, &d->unexpected_logged))
		dev_warn(d->dev, IOPF_DRIVER_NAME
			 ": %s at 0x%llx faults %s; they are answered, but map nothing (logged once)\n",
			 prm->perm & IOMMU_FAULT_PERM_WRITE ? "write" : "read", prm->addr,
			 cause == IOPF_STAT_UNEXPECTED_LOCKED ? "where memory is locked for it"
							      : "though the device may not fault");
}
