/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_LATENCY_H
#define IOPF_LATENCY_H

#include <linux/jump_label.h>
#include <linux/kobject.h>
#include <linux/percpu.h>
#include <linux/sched/clock.h>
#include <asm/msr.h>

#include "../../core/hist.h"
#include "device.h"

struct iopf_container;
struct iopf_latency_past;

/**
 * enum iopf_phase - what a fault spends its time on
 * @IOPF_PHASE_QUEUEING: waiting for its turn: a worker, the end of an invalidation, page-table
 *                       memory, an area to thaw
 * @IOPF_PHASE_WALK: finding area and chunk, the chunk's lock, reading the CPU's page tables
 * @IOPF_PHASE_POPULATE: having pages faulted in, with whatever that waits for
 * @IOPF_PHASE_MAP: iommu_map()
 * @IOPF_PHASE_RESPOND: the response
 * @IOPF_PHASE_TOTAL: all of it, from the report to the response
 * @IOPF_PHASE_NR: how many there are
 */
enum iopf_phase {
	IOPF_PHASE_QUEUEING,
	IOPF_PHASE_WALK,
	IOPF_PHASE_POPULATE,
	IOPF_PHASE_MAP,
	IOPF_PHASE_RESPOND,
	IOPF_PHASE_TOTAL,
	IOPF_PHASE_NR,
};

/**
 * struct iopf_timing - the clock of one fault; belongs to who handles it
 * @on: it is timed
 * @phases: and so are its phases
 * @sampled: there would have been no fault but for who samples the container; see sample.c
 * @start: when it was reported
 * @last: when the last phase ended
 * @spent: time spent in each phase
 */
struct iopf_timing {
	bool on;
	bool phases;
	bool sampled;
	u64 start;
	u64 last;
	u64 spent[IOPF_PHASE_TOTAL];
};

/*
 * Ticks of a bucket's width, as a shift: what is told apart at all. 32 cycles are some ten
 * nanoseconds, and 2^35 times that are five minutes; longer waits count as that long.
 */
#define IOPF_LATENCY_SHIFT	5

/**
 * struct iopf_latency - what was measured, on one CPU
 * @skip: faults until the next one with phases
 * @hist: durations by phase; the sum in ticks, the buckets in units of IOPF_LATENCY_SHIFT
 */
struct iopf_latency {
	int skip;
	struct iopf_hist hist[IOPF_PHASE_NR];
};

DECLARE_STATIC_KEY_TRUE(iopf_latency_on);
DECLARE_STATIC_KEY_TRUE(iopf_latency_tsc);

/*
 * Time, in ticks: of the TSC, unordered, because waiting for what is under way costs more than
 * the few cycles by which it may be wrong.
 */
static inline u64 iopf_latency_clock(void)
{
	return static_branch_likely(&iopf_latency_tsc) ? rdtsc() : local_clock();
}

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

/* The clock of what nobody waits for: it stands still. */
static inline void iopf_timing_none(struct iopf_timing *t)
{
	t->on = false;
	t->phases = false;
	t->sampled = false;
}

/**
 * iopf_timing_begin() - a fault has been reported
 * @t: its clock
 * @d: its device, attached
 */
static inline void iopf_timing_begin(struct iopf_timing *t, struct iopf_device *d)
{
	iopf_timing_none(t);
	if (!static_branch_likely(&iopf_latency_on))
		return;
	t->on = true;
	t->start = iopf_latency_clock();
	if (unlikely(this_cpu_dec_return(d->latency->skip) < 0))
		iopf_timing_begin_phases(t, d);
}

/**
 * iopf_timing_lap() - a phase is over, the next one begins
 * @t: the fault's clock
 * @phase: which one is over
 */
static inline void iopf_timing_lap(struct iopf_timing *t, enum iopf_phase phase)
{
	if (unlikely(t->phases)) {
		u64 now = iopf_latency_clock();

		t->spent[phase] += now - t->last;
		t->last = now;
	}
}

/**
 * iopf_timing_wait() - the fault has to wait: it gets its phases timed
 * @t: its clock
 *
 * If they were not, what has been is walk, to which little was added by then.
 */
static inline void iopf_timing_wait(struct iopf_timing *t)
{
	if (t->on && !t->phases) {
		t->phases = true;
		t->last = t->start;
		memset(t->spent, 0, sizeof(t->spent));
	}
	iopf_timing_lap(t, IOPF_PHASE_WALK);
}

/**
 * iopf_timing_end() - the fault has been answered
 * @t: its clock
 * @d: its device, still attached
 */
static inline void iopf_timing_end(struct iopf_timing *t, struct iopf_device *d)
{
	u64 end;

	if (!t->on)
		return;
	end = iopf_latency_clock();
	if (unlikely(t->phases)) {
		t->spent[IOPF_PHASE_RESPOND] = end - t->last;
		iopf_timing_add_phases(d, t);
	}
	/* The last: who sees this finds the phases there. */
	iopf_latency_add(d, IOPF_PHASE_TOTAL, end - t->start);
}

u64 iopf_timing_ns(const struct iopf_timing *t);
void iopf_latency_init(void);
int iopf_latency_attach(struct iopf_device *d);
void iopf_latency_detach(struct iopf_device *d, struct iopf_container *c);
struct iopf_latency_past *iopf_latency_past_alloc(void);
struct kobject *iopf_latency_dir_create(struct kobject *parent, struct iopf_device *d,
					struct iopf_container *c);
void iopf_latency_dir_destroy(struct kobject *dir);

#endif /* IOPF_LATENCY_H */
