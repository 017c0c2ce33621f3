/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_TIMING_H
#define IOPF_TIMING_H

#include <linux/jump_label.h>
#include <linux/sched/clock.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/msr.h>

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
 * @sampled: there would have been no fault but for who samples the container; see watch.c
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

DECLARE_STATIC_KEY_TRUE(iopf_clock_tsc);

/*
 * Time, in ticks: of the TSC, unordered, because waiting for what is under way costs more than
 * the few cycles by which it may be wrong.
 */
static inline u64 iopf_clock(void)
{
	return static_branch_likely(&iopf_clock_tsc) ? rdtsc() : local_clock();
}

/* The clock of what nobody waits for: it stands still. */
static inline void iopf_timing_none(struct iopf_timing *t)
{
	t->on = false;
	t->phases = false;
	t->sampled = false;
}

/**
 * iopf_timing_lap() - a phase is over, the next one begins
 * @t: the fault's clock
 * @phase: which one is over
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

void iopf_clock_init(void);
u64 iopf_clock_ns(u64 ticks);
u64 iopf_timing_ns(const struct iopf_timing *t);

#endif /* IOPF_TIMING_H */
