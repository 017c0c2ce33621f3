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

/* How a caller may wait for memory to be pinned. */
enum pin_wait {
	PIN_ALONE,	/* no other thread waits for the caller */
	PIN_HELD,	/* others wait for the caller; iopf_pin_end() ends its wait */
	PIN_NOW,	/* the caller does not wait */
};

/**
 * struct iopf_pin_job - pages that are being pinned, without the space's lock
 * @run: runs the job in a thread of the process; holds the reference of the thread that pins
 * @node: in iopf_pins.waits, under its waits_lock
 * @m: the address space of the pages, referenced
 * @task: the task whose RLIMIT_MEMLOCK applies, referenced
 * @lock_cap: RLIMIT_MEMLOCK does not limit @task
 * @write: pin the pages for writing
 * @now: do not wait; pages that are not present are not pinned
 * @mmio: out: the CPU's page tables map device memory here
 * @vaddr: the address of the first page
 * @n: in: the number of pages to pin; out: the number of pinned pages
 * @charged: pages charged for an emulated device; in: pages that are already charged
 * @count: out: the number of pages that this job charged
 * @pinned: out: @pages are pinned and @count is charged; the job must give back both
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

/* The space did not change: the caller takes over the pages. */
static inline void iopf_pin_job_take(struct iopf_pin_job *job)
{
	job->pinned = false;
}

/* Drop the reference of the thread that pins. */
static inline void iopf_pin_job_put(struct iopf_pin_job *job)
{
	iopf_run_put(&job->run);
}

#endif /* IOPF_JOB_H */
