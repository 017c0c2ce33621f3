/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Negative controls: each switch disables one safety check, so that the tests can show that they
 * notice. Built only with IOPF_CONTROLS. The installed module has no controls.
 */
#ifndef IOPF_CONTROLS_H
#define IOPF_CONTROLS_H

#ifdef IOPF_CONTROLS
#include <linux/compiler.h>
#include <linux/delay.h>

/* Faults map pages without a check for an invalidation in progress. */
extern bool iopf_break_retry;
/* Faults map clean pages of the CPU writable, so a write of the device leaves no mark. */
extern bool iopf_break_dirty;
/* The notifier unmaps nothing. */
extern bool iopf_break_notifier;
/* While writes are tracked, faults map pages writable without marking them dirty. */
extern bool iopf_break_track;
/* One device may use all workers of its container. */
extern bool iopf_break_fair;
/* The walk accepts addresses beyond the address space of the process. */
extern bool iopf_break_address;
/* Faults map pages that no device may use. */
extern bool iopf_break_refused;
/* Faults map pages without asking the budget. */
extern bool iopf_break_budget;
/* The container's lock is held during copies to user space, and while memory is pinned. */
extern bool iopf_break_unlock;
/* The thread of the IOMMU driver that reports faults waits for pages that are being migrated. */
extern bool iopf_break_wait;
/* Unbinding a device does not end the waits of callers that hold what the unbinding waits for. */
extern bool iopf_break_unbind;
/* Delay of the notifier after it has unmapped and before it returns, in µs. */
extern unsigned int iopf_invalidate_delay_us;

#define iopf_broken(check) unlikely(READ_ONCE(iopf_break_##check))

static inline void iopf_control_delay(void)
{
	unsigned int us = READ_ONCE(iopf_invalidate_delay_us);

	if (us)
		udelay(min(us, 20000U));
}
#else
/* The argument is no C name here. */
#define iopf_broken(check) (!#check)

static inline void iopf_control_delay(void)
{
}
#endif

#endif /* IOPF_CONTROLS_H */
