/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Negative controls: switches that take one safety check away, so that the tests can
 * show that they notice. Built only with IOPF_CONTROLS; the module that is
 * installed has none of this.
 */
#ifndef IOPF_CONTROLS_H
#define IOPF_CONTROLS_H

#ifdef IOPF_CONTROLS
#include <linux/compiler.h>
#include <linux/delay.h>

/* No check for an invalidation in progress when CPU pages are mapped. */
extern bool iopf_break_retry;
/* Clean CPU pages are mapped writable, as if the device's writes were noted elsewhere. */
extern bool iopf_break_dirty;
/* The notifier leaves everything mapped. */
extern bool iopf_break_notifier;
/* While writes are tracked, pages become writable as ever and nobody notes it. */
extern bool iopf_break_track;
/* One device may have all the workers of its container. */
extern bool iopf_break_fair;
/* Addresses that no process can have are looked up all the same. */
extern bool iopf_break_address;
/* Memory that is not for devices is mapped like any other. */
extern bool iopf_break_refused;
/* Faults map whatever the budget says. */
extern bool iopf_break_budget;
/* The container's lock is held while user space is copied to, and its memory pinned. */
extern bool iopf_break_unlock;
/* How long the notifier lingers between unmapping and letting the mm go on, µs. */
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
