/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_LATENCY_H
#define IOPF_LATENCY_H

#include <linux/jump_label.h>
#include <linux/list.h>
#include <linux/percpu.h>

#include "../../../core/hist.h"
#include "../device/device.h"
#include "../lib/timing.h"

struct iopf_latency_past;

/*
 * Width of the smallest bucket in ticks, as a shift: the resolution. 32 cycles are about ten
 * nanoseconds, and 2^35 times that are five minutes. Longer waits count as five minutes.
 */
#define IOPF_LATENCY_SHIFT	5

/**
 * struct iopf_latency - measurements of one device on one CPU
 * @skip: number of faults until the next one whose phases are measured
 * @hist: durations by phase; the sum in ticks, the buckets in units of IOPF_LATENCY_SHIFT
 */
struct iopf_latency {
	int skip;
	struct iopf_hist hist[IOPF_PHASE_NR];
};

DECLARE_STATIC_KEY_TRUE(iopf_latency_on);

void iopf_timing_begin_phases(struct iopf_timing *t, struct iopf_device *d);
void iopf_timing_add_phases(struct iopf_device *d, const struct iopf_timing *t);

static inline void iopf_latency_add(struct iopf_device *d, enum iopf_phase phase, u64 ticks)
{
	/* The clocks of two processors may differ a little. */
	if ((s64)ticks < 0)
		ticks = 0;
	this_cpu_add(d->latency->hist[phase].sum, ticks);
	this_cpu_inc(d->latency->hist[phase].count[iopf_hist_bucket(ticks >> IOPF_LATENCY_SHIFT)]);
}

/**
 * iopf_timing_begin() - start the clock of a fault that has been reported
 * @t: the clock
 * @d: the device of the fault, attached
 */
static inline void iopf_timing_begin(struct iopf_timing *t, struct iopf_device *d)
{
	iopf_timing_none(t);
	if (!static_branch_likely(&iopf_latency_on))
		return;
	t->on = true;
	t->start = iopf_clock();
	if (unlikely(this_cpu_dec_return(d->latency->skip) < 0))
		iopf_timing_begin_phases(t, d);
}

/**
 * iopf_timing_end() - count the duration of a fault that has been answered
 * @t: the clock
 * @d: the device of the fault, still attached
 */
static inline void iopf_timing_end(struct iopf_timing *t, struct iopf_device *d)
{
	u64 end;

	if (!t->on)
		return;
	end = iopf_clock();
	if (unlikely(t->phases)) {
		t->spent[IOPF_PHASE_RESPOND] = end - t->last;
		iopf_timing_add_phases(d, t);
	}
	/* Count the total last: a reader that sees it also sees the phases. */
	iopf_latency_add(d, IOPF_PHASE_TOTAL, end - t->start);
}

int iopf_latency_attach(struct iopf_device *d, struct iopf_latency_past *shared);
void iopf_latency_detach(struct iopf_device *d);
struct iopf_latency_past *iopf_latency_past_alloc(void);
void iopf_latency_sum(struct iopf_device *d, const struct iopf_latency_past *past,
		      const struct list_head *queues, enum iopf_phase phase,
		      struct iopf_hist_sum *sum);
void iopf_latency_reset(struct iopf_device *d, struct iopf_latency_past *past,
			const struct list_head *queues);

#endif /* IOPF_LATENCY_H */
