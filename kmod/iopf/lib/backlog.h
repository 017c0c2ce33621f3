/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_BACKLOG_H
#define IOPF_BACKLOG_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

struct mem_cgroup;

/**
 * struct iopf_backlog - the workers of a container, and the work that waits until an area thaws
 * @wq: workers for work that does not wait for user space
 * @refs: one for the container, one for each parked fault and for each prefetching worker, which
 *        may outlive the container
 * @memcg: memory cgroup that is charged for chunks and IOMMU page tables, in any context
 * @lock: protects @frozen, and changes of @resumes; a leaf inside iopf_fault_queue.lock
 * @frozen: work that waits for an area to thaw, without a worker
 * @resumes: counts the reasons to look at an area again
 * @vaddr_seq: see struct iopf_vaddr_seen
 * @free_work: destroys the queue, in the module's workqueue; the queue's own workers cannot do that
 */
struct iopf_backlog {
	struct workqueue_struct *wq;
	refcount_t refs;
	struct mem_cgroup *memcg;
	spinlock_t lock; /* a leaf */
	struct list_head frozen;
	atomic_t resumes;
	atomic_t vaddr_seq;
	struct work_struct free_work;
};

/**
 * struct iopf_frozen_work - work that may have to wait until an area thaws
 * @work: the work
 * @node: in the queue's list of such work, under the queue's lock
 */
struct iopf_frozen_work {
	struct work_struct work;
	struct list_head node;
};

static inline void iopf_frozen_work_init(struct iopf_frozen_work *frozen, work_func_t fn)
{
	INIT_WORK(&frozen->work, fn);
	INIT_LIST_HEAD(&frozen->node);
}

/**
 * iopf_backlog_resumes() - begin to look at an area that may be frozen
 * @q: the queue
 *
 * Return: the count of resumes, for iopf_backlog_freeze().
 */
static inline int iopf_backlog_resumes(const struct iopf_backlog *q)
{
	/* Pairs with iopf_backlog_resume(). */
	return atomic_read_acquire(&q->resumes);
}

struct iopf_backlog *iopf_backlog_create(u32 id);
void iopf_backlog_put(struct iopf_backlog *q);
void iopf_backlog_resume(struct iopf_backlog *q);
bool iopf_backlog_freeze(struct iopf_backlog *q, struct iopf_frozen_work *frozen, int resumes);

#endif /* IOPF_BACKLOG_H */
