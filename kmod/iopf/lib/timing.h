/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_TIMING_H
#define IOPF_TIMING_H

#include <linux/jump_label.h>
#include <linux/sched/clock.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/msr.h>

/**
 * enum iopf_phase - the phases of a fault
 * @IOPF_PHASE_QUEUEING: waiting for a worker, the end of an invalidation, page-table memory, or an
 *                       area to thaw
 * @IOPF_PHASE_WALK: finding area and chunk, waiting for the chunk's lock, reading the CPU's page
 *                   tables
 * @IOPF_PHASE_POPULATE: populating pages, with all waits for that
 * @IOPF_PHASE_MAP: iommu_map()
 * @IOPF_PHASE_RESPOND: sending the response
 * @IOPF_PHASE_TOTAL: the whole fault, from the report to the response
 * @IOPF_PHASE_NR: number of phases
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
 * struct iopf_timing - the clock of one fault; only the context that handles the fault uses it
 * @on: the fault is timed
 * @phases: its phases are timed, too
 * @sampled: sampling of the container has caused the fault; see watch.c
 * @start: when the fault was reported
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

DECLARE_STATIC_KEY_TRUE(iopf_clock_tsc);

/*
 * Return the time in ticks. The TSC is read without ordering: an ordered read waits for earlier
 * instructions, which costs more than the few cycles by which an unordered read may be wrong.
 */
static inline u64 iopf_clock(void)
{
	return static_branch_likely(&iopf_clock_tsc) ? rdtsc() : local_clock();
}

/* Turn the clock off, for work that nobody waits for. */
static inline void iopf_timing_none(struct iopf_timing *t)
{
	t->on = false;
	t->phases = false;
	t->sampled = false;
}

/**
 * iopf_timing_lap() - end a phase, and begin the next one
 * @t: clock of the fault
 * @phase: the phase that ends
 */
static inline void iopf_timing_lap(struct iopf_timing *t, enum iopf_phase phase)
{
	if (unlikely(t->phases)) {
		u64 now = iopf_clock();

		t->spent[phase] += now - t->last;
		t->last = now;
	}
}

/**
 * iopf_timing_wait() - time the phases of a fault that has to wait
 * @t: clock of the fault
 *
 * If the phases were not timed before, the time so far counts as walk. Other phases have taken
 * little time by then.
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

void iopf_clock_init(void);
u64 iopf_clock_ns(u64 ticks);
u64 iopf_timing_ns(const struct iopf_timing *t);

#endif /* IOPF_TIMING_H */
