// SPDX-License-Identifier: GPL-2.0-only
/*
 * The workers of a container, and the work that waits until an area thaws.
 *
 * A fault in a frozen area (see map/area.c) waits here without a worker. It reads the count of
 * resumes, then looks at the area, and then joins the list unless the count has changed. A thread
 * that thaws or removes an area, or cancels faults, makes that change first. Then it increments the
 * count, and queues all work of the list. So a fault either sees the change, or gets a worker and
 * looks at the area again.
 *
 * The queue outlives its container: each parked fault and each prefetching worker holds a
 * reference. Its last user may run in one of its workers, which cannot destroy the workqueue they
 * belong to, so the module's own workqueue does that.
 */
#include <linux/memcontrol.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "backlog.h"
#include "params.h"

static void queue_free_work(struct work_struct *work)
{
	struct iopf_backlog *q = container_of(work, struct iopf_backlog, free_work);

	destroy_workqueue(q->wq);
	mem_cgroup_put(q->memcg);
	kfree(q);
}

/**
 * iopf_backlog_create() - make the workqueue of a container
 * @id: the container's number, for the workers' names
 *
 * Return: the queue, with a reference; or NULL.
 */
struct iopf_backlog *iopf_backlog_create(u32 id)
{
	struct iopf_backlog *q = kzalloc(sizeof(*q), GFP_KERNEL_ACCOUNT);

	if (!q)
		return NULL;
	q->wq = alloc_workqueue("vfio_iopf/%u", WQ_UNBOUND, WQ_UNBOUND_MAX_ACTIVE, id);
	if (!q->wq) {
		kfree(q);
		return NULL;
	}
	q->memcg = get_mem_cgroup_from_mm(current->mm);
	refcount_set(&q->refs, 1);
	spin_lock_init(&q->lock);
	INIT_LIST_HEAD(&q->frozen);
	INIT_WORK(&q->free_work, queue_free_work);
	return q;
}

/**
 * iopf_backlog_put() - drop a reference
 * @q: the queue, or NULL
 */
void iopf_backlog_put(struct iopf_backlog *q)
{
	if (q && refcount_dec_and_test(&q->refs))
		queue_work(iopf_wq, &q->free_work);
}

/**
 * iopf_backlog_resume() - queue all work that waits until an area thaws
 * @q: the queue
 *
 * Called after an area has thawed, or faults have been cancelled. The work looks at its area again.
 */
void iopf_backlog_resume(struct iopf_backlog *q)
{
	struct iopf_frozen_work *frozen, *next;

	spin_lock(&q->lock);
	/* Orders the caller's change before the count. Pairs with iopf_backlog_resumes(). */
	smp_mb__before_atomic();
	atomic_inc(&q->resumes);
	list_for_each_entry_safe(frozen, next, &q->frozen, node) {
		list_del_init(&frozen->node);
		queue_work(q->wq, &frozen->work);
	}
	spin_unlock(&q->lock);
}

/**
 * iopf_backlog_freeze() - make work wait until an area thaws
 * @q: the queue
 * @frozen: the work; not queued
 * @resumes: result of iopf_backlog_resumes(), read before the caller looked at the area
 *
 * Return: whether the work waits. False: there has been a resume since; the caller looks at the
 * area again.
 */
bool iopf_backlog_freeze(struct iopf_backlog *q, struct iopf_frozen_work *frozen, int resumes)
{
	bool freeze;

	spin_lock(&q->lock);
	freeze = atomic_read(&q->resumes) == resumes;
	if (freeze)
		list_add_tail(&frozen->node, &q->frozen);
	spin_unlock(&q->lock);
	return freeze;
}
