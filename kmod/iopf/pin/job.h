/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_JOB_H
#define IOPF_JOB_H

#include <linux/bitmap.h>
#include <linux/list.h>

#include "../../../core/chunkmap.h"
#include "../host/run.h"

struct iopf_area;
struct iopf_mm;
struct iopf_space;
struct page;
struct task_struct;

/* How memory that is pinned may be waited for. */
enum pin_wait {
	PIN_ALONE,	/* nobody else waits */
	PIN_HELD,	/* others do: until iopf_pin_end() */
	PIN_NOW,	/* not at all */
};

/**
 * struct iopf_pin_job - pages that are being pinned, without the space's lock
 * @run: for having it done by a thread of the process; has the reference of whoever pins
 * @node: in iopf_pins.waits, under its waits_lock
 * @m: whose, referenced
 * @task: whose RLIMIT_MEMLOCK counts, referenced
 * @lock_cap: it is not limited
 * @write: for writing
 * @now: wait for nothing: what is not there is not pinned
 * @mmio: out: there is devices' memory, in the CPU's page tables
 * @vaddr: the first
 * @n: in: how many; out: how many have been pinned
 * @charged: those that are charged for an emulated device; in: already
 * @count: out: how many have been charged now
 * @pinned: out: @pages are pinned, @count charged, and both are the job's to give back
 * @pages: out: the pages
 */
struct iopf_pin_job {
	struct iopf_run run;
	struct list_head node;
	struct iopf_mm *m;
	struct task_struct *task;
	bool lock_cap;
	bool write;
	bool now;
	bool mmio;
	unsigned long vaddr;
	unsigned int n;
	DECLARE_BITMAP(charged, IOPF_CHUNK_PAGES);
	long count;
	bool pinned;
	struct page *pages[];
};

struct iopf_pin_job *iopf_pin_job_create(struct iopf_area *area, u64 iova, unsigned int n);
int iopf_pin_job_wait(struct iopf_pin_job *job, struct iopf_space *space, enum pin_wait wait);
void iopf_pin_job_undo(struct iopf_pin_job *job, struct iopf_space *space);
bool iopf_pin_interruptible(const struct iopf_mm *m);

/* The space is as it was: the pages are the caller's now. */
static inline void iopf_pin_job_take(struct iopf_pin_job *job)
{
	job->pinned = false;
}

/* The end of whoever pins. */
static inline void iopf_pin_job_put(struct iopf_pin_job *job)
{
	iopf_run_put(&job->run);
}

#endif /* IOPF_JOB_H */
