// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parked faults: faults that have to wait.
 *
 * The fault handler takes such a fault off the IOMMU core's list, so that nobody else answers it,
 * puts it on its group's queue, and gives it to a worker. The worker populates the page and tries
 * again (retry.c). It may wait for a disk, or for a userfaultfd that never answers. Meanwhile it
 * holds nothing of the container. The worker is one of these:
 *
 *   a thread of the process   while pages of its memory are wanted, see host/pool.c
 *   one of the workqueue      while the fault waits for something else: memory for the IOMMU's page
 *                           tables, the end of an invalidation
 *   none                      while its area is frozen: the fault is on queue->frozen
 *
 * The states of a parked fault:
 *
 *   WAITING    on fq->waiting: all workers that the group may have are taken
 *   PARKED     on fq->parked; the worker may be asleep in the mm
 *   ACTIVE     off the lists, counted in fq->active; a worker handles it and waits for nothing but
 *              memory
 *   CANCELLED  off the lists, answered by iopf_fault_drain(); the worker only frees it
 *
 * The worker answers a fault that is ACTIVE. The drain answers faults that are WAITING or PARKED,
 * and no others. All transitions happen under fq->lock.
 *
 * Bounds: see queue.c. A page-request group beyond the limit, or without memory to park it, is
 * answered SUCCESS: the device asks again. The owner's memory cgroup is charged for each parked
 * fault. When the cgroup has no room, faults use a reserve, one for each worker; it was charged
 * when the group was attached. A group with more requests than the limit is answered INVALID.
 *
 * Fairness: a group of devices has a limited number of workers (quota.c). So when hundreds of
 * faults of one device wait for memory that may never come, the other devices of the container
 * still have their workers. A worker that has finished its fault turns the first WAITING fault into
 * a PARKED one, and queues its work behind that of other devices. A fault is WAITING only while all
 * workers are taken. So one of them takes the fault when it has finished its own.
 *
 * fault vs detach: the drain marks the queue dead, so that no fault is parked any more. It cancels
 *   WAITING and PARKED faults, and waits for ACTIVE ones. It takes back a job that is queued for a
 *   thread of a process, and interrupts a thread that sleeps in the mm. A few file systems delay
 *   such a thread for long. Until it wakes up it keeps the memory of the queue. Then it touches
 *   nothing of the queue but the lists and counters. A WAITING fault has no worker, so the drain
 *   frees it. A worker that ends meanwhile may turn it into a PARKED fault. The drain goes through
 *   both lists until they are empty, so it finds the fault there.
 * fault vs freeze: a fault in a frozen area (map/area.c) is parked without a worker. Thaw, unmap
 *   and drain first make their change, then count a resume, and give a worker to every fault on
 *   queue->frozen. A fault joins that list only if no resume was counted since before its attempt.
 *   So either the attempt has seen the change, or the fault gets a worker. That worker finds the
 *   area thawed or gone, or the fault cancelled. A worker that populates at a CPU address of the
 *   area checks iopf_vaddr_changed() before each page. Unmapping relies on the same check.
 * fault vs exit: a thread of the process is killed with the process. It ends its fault first, or
 *   leaves it to a workqueue, where populating fails because the process is gone.
 * fault vs unload: a waiting or parked fault holds a reference to the module.
 */
#include <linux/iommu.h>
#include <linux/memcontrol.h>
#include <linux/mempool.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "../device/device.h"
#include "../host/pool.h"
#include "../lib/backlog.h"
#include "../lib/controls.h"
#include "../map/space.h"
#include "answer.h"
#include "parked.h"
#include "queue.h"

/* Limit of attempts of a parked fault. Then the answer is SUCCESS, and the device asks again. */
#define MAX_ATTEMPTS 64

struct kmem_cache *iopf_parked_cache;

int iopf_fault_cache_init(void)
{
	iopf_parked_cache = KMEM_CACHE(iopf_parked, SLAB_ACCOUNT);
	return iopf_parked_cache ? 0 : -ENOMEM;
}

void iopf_fault_cache_exit(void)
{
	kmem_cache_destroy(iopf_parked_cache);
}

/* Choose the phase that counts the time from now on. */
static void parked_waits(struct iopf_parked *parked)
{
	lockdep_assert_held(&parked->fq->lock);

	parked->waits = parked->want.pool ? IOPF_PHASE_POPULATE : IOPF_PHASE_QUEUEING;
}

/* Note that the worker has begun: the time until now was queueing. */
void iopf_parked_start(struct iopf_parked *parked)
{
	spin_lock(&parked->fq->lock);
	if (parked->state == FAULT_PARKED) {
		iopf_timing_lap(&parked->timing, parked->waits);
		parked_waits(parked);
	}
	spin_unlock(&parked->fq->lock);
}

/* PARKED -> ACTIVE. Returns false if the drain has cancelled the fault. */
bool iopf_parked_activate(struct iopf_parked *parked)
{
	bool mine;

	spin_lock(&parked->fq->lock);
	mine = parked->state == FAULT_PARKED;
	if (mine) {
		iopf_timing_lap(&parked->timing, parked->waits);
		list_del(&parked->node);
		parked->state = FAULT_ACTIVE;
		parked->fq->active++;
	}
	spin_unlock(&parked->fq->lock);
	return mine;
}

/* End the ACTIVE state of a fault that has been answered. */
void iopf_parked_over(struct iopf_parked *parked)
{
	struct iopf_fault_queue *fq = parked->fq;

	spin_lock(&fq->lock);
	fq->requests -= parked->requests;
	active_done(fq);
	spin_unlock(&fq->lock);
}

/*
 * Queue a fault for a thread of the process that it waits for, or else for the workqueue. The fault
 * may be freed when the lock is dropped.
 */
static void parked_queue(struct iopf_parked *parked)
{
	struct iopf_pool *old = parked->pool;

	lockdep_assert_held(&parked->fq->lock);

	parked->pool = parked->want.pool ? iopf_pool_get(parked->want.pool) : NULL;
	iopf_pool_put(old);
	if (parked->pool)
		iopf_pool_queue(parked->pool, &parked->job);
	else
		queue_work(parked->queue->wq, &parked->frozen.work);
}

/* Put a fault on the frozen list. Returns false if a resume followed the attempt: try again. */
static bool parked_freeze(struct iopf_parked *parked)
{
	lockdep_assert_held(&parked->fq->lock);

	iopf_pool_put(parked->pool);
	parked->pool = NULL;
	parked->thawed = true;
	return iopf_backlog_freeze(parked->queue, &parked->frozen, parked->resumes);
}

/* Return whether the calling thread can populate for the fault, or no populating is needed. */
static bool parked_stays(const struct iopf_parked *parked)
{
	return !parked->want.pool || parked->want.pool->mm == current->mm;
}

/* ACTIVE -> PARKED, unless the queue is dead. */
enum parked_next iopf_parked_again(struct iopf_parked *parked, bool frozen)
{
	enum parked_next next = PARKED_NOWHERE;
	struct iopf_fault_queue *fq = parked->fq;

	spin_lock(&fq->lock);
	if (!fq->dead) {
		next = PARKED_HERE;
		iopf_timing_lap(&parked->timing, IOPF_PHASE_WALK);
		parked_waits(parked);
		list_add_tail(&parked->node, &fq->parked);
		parked->state = FAULT_PARKED;
		active_done(fq);
		if (frozen) {
			if (parked_freeze(parked))
				next = PARKED_ELSEWHERE;
		} else if (!parked_stays(parked)) {
			parked_queue(parked);
			next = PARKED_ELSEWHERE;
		}
	}
	spin_unlock(&fq->lock);
	return next;
}

/* WAITING -> PARKED: the fault has a worker. */
static void parked_begin(struct iopf_parked *parked)
{
	lockdep_assert_held(&parked->fq->lock);

	list_move_tail(&parked->node, &parked->fq->parked);
	parked->state = FAULT_PARKED;
	/* Under the lock: once parked and unlocked, the drain may answer it. */
	parked_queue(parked);
}

/* Give workers to WAITING faults, up to the limit of workers. */
void iopf_parked_fill(struct iopf_fault_queue *fq)
{
	lockdep_assert_held(&fq->lock);

	while (fq->workers < READ_ONCE(fq->max_workers) && !list_empty(&fq->waiting)) {
		fq->workers++;
		parked_begin(list_first_entry(&fq->waiting, struct iopf_parked, node));
	}
}

/* Give the worker that has finished its fault to the next one. */
void iopf_parked_worker_done(struct iopf_fault_queue *fq)
{
	spin_lock(&fq->lock);
	fq->workers--;
	iopf_parked_fill(fq);
	spin_unlock(&fq->lock);
}

/**
 * iopf_fault_more_workers() - apply a new limit of workers
 * @fq: the queue; @max_workers is set already
 */
void iopf_fault_more_workers(struct iopf_fault_queue *fq)
{
	spin_lock(&fq->lock);
	iopf_parked_fill(fq);
	spin_unlock(&fq->lock);
}

/*
 * Free a fault that nobody uses any more. Its page-request group has been answered, or belongs to
 * the caller.
 */
void iopf_parked_free(struct iopf_parked *parked)
{
	struct iopf_backlog *queue = parked->queue;
	struct iopf_fault_queue *fq = parked->fq;

	iopf_want_drop(&parked->want);
	iopf_pool_put(parked->pool);
	mempool_free(parked, fq->reserve);
	iopf_fq_put(fq);
	iopf_backlog_put(queue);
	module_put(THIS_MODULE);
}

static void parked_work(struct work_struct *work)
{
	/* The fault wants no memory of a process, so no signal interrupts it. */
	WARN_ON_ONCE(iopf_parked_run(container_of(work, struct iopf_parked, frozen.work)));
}

static bool parked_job(struct iopf_job *job)
{
	return iopf_parked_run(container_of(job, struct iopf_parked, job));
}

/* Allocate a parked fault, charged to the owner's memory cgroup. NULL if there is no memory now. */
static struct iopf_parked *parked_alloc(struct iopf_fault_queue *fq)
{
	struct mem_cgroup *old = set_active_memcg(fq->space->memcg);
	struct iopf_parked *parked = mempool_alloc(fq->reserve, GFP_NOWAIT | __GFP_NOWARN);

	set_active_memcg(old);
	return parked;
}

/* Return whether there is room for one more page-request group. An empty queue always has room. */
static bool park_room(const struct iopf_fault_queue *fq, const struct iopf_group *group)
{
	lockdep_assert_held(&fq->lock);

	return !fq->requests ||
	       fq->requests + group->fault_count <= READ_ONCE(fq->max_requests);
}

/*
 * Park a group. Returns 0; -ESHUTDOWN if the queue is dead; -ENOMEM; or -ENOSPC if the limit of
 * waiting requests is reached.
 */
int iopf_fault_park(struct iopf_fault_queue *fq, struct iopf_group *group, struct iopf_want *want,
		    struct iopf_timing *timing)
{
	struct iopf_parked *parked = parked_alloc(fq);
	int ret = 0;

	if (!parked)
		return -ENOMEM;
	iopf_frozen_work_init(&parked->frozen, parked_work);
	iopf_job_init(&parked->job, parked_job, false);
	parked->pool = NULL;
	parked->queue = fq->space->faults;
	parked->fq = fq;
	parked->group = group;
	parked->requests = group->fault_count;
	parked->state = FAULT_WAITING;
	parked->attempt = 0;
	parked->thawed = false;
	parked->want = *want;
	parked->served = (struct iopf_served){ };
	iopf_timing_wait(timing);
	parked->timing = *timing;
	parked->waits = IOPF_PHASE_QUEUEING;
	/* In the worst case each attempt populates one page. */
	parked->limit = MAX_ATTEMPTS + group->fault_count;

	spin_lock(&fq->lock);
	if (fq->dead) {
		ret = -ESHUTDOWN;
	} else if (!park_room(fq, group)) {
		ret = -ENOSPC;
	} else {
		fq->requests += parked->requests;
		list_add_tail(&parked->node, &fq->waiting);
		refcount_inc(&fq->refs);
		refcount_inc(&parked->queue->refs);
		/* The container's reference keeps the module loaded until here. */
		__module_get(THIS_MODULE);
		if (fq->workers < READ_ONCE(fq->max_workers) || iopf_broken(fair)) {
			fq->workers++;
			parked_begin(parked);
		}
	}
	spin_unlock(&fq->lock);
	if (ret)
		mempool_free(parked, fq->reserve);
	return ret;
}

/*
 * WAITING or PARKED -> CANCELLED, for one fault. Returns its group and clock: the caller answers.
 * Returns NULL if no fault is left.
 */
static struct iopf_group *drain_one(struct iopf_fault_queue *fq, struct iopf_timing *timing)
{
	struct iopf_group *group;
	struct iopf_parked *parked;
	bool mine;

	spin_lock(&fq->lock);
	parked = list_first_entry_or_null(list_empty(&fq->waiting) ? &fq->parked : &fq->waiting,
					  struct iopf_parked, node);
	if (!parked) {
		spin_unlock(&fq->lock);
		return NULL;
	}
	mine = parked->state == FAULT_WAITING;
	list_del(&parked->node);
	WRITE_ONCE(parked->state, FAULT_CANCELLED);
	group = parked->group;
	parked->group = NULL;
	fq->requests -= parked->requests;
	iopf_timing_lap(&parked->timing, parked->waits);
	*timing = parked->timing;
	/* Cancel after the state has changed, so that an interrupted thread sees the new state. */
	if (parked->pool && iopf_pool_cancel(parked->pool, &parked->job)) {
		mine = true;
		fq->workers--;
	}
	spin_unlock(&fq->lock);
	/* The worker frees a fault that has one. */
	if (mine)
		iopf_parked_free(parked);
	return group;
}

/**
 * iopf_fault_drain() - answer all waiting and parked faults, and take no more
 * @fq: the queue of a group that is about to be detached
 *
 * When this returns, no worker touches a group, the container or a device of
 * the queue, though some may still sleep in an mm.
 *
 * Context: process context; the caller has a reference, and holds the container.
 */
void iopf_fault_drain(struct iopf_fault_queue *fq)
{
	struct iopf_timing timing;
	struct iopf_group *group;

	spin_lock(&fq->lock);
	WRITE_ONCE(fq->dead, true);
	spin_unlock(&fq->lock);

	while ((group = drain_one(fq, &timing)))
		iopf_fault_respond(iopf_group_device(fq, group), group,
				   IOMMU_PAGE_RESP_INVALID, &timing);
	/* Wake faults that wait for an area to thaw: they have been cancelled. */
	iopf_backlog_resume(fq->space->faults);
	wait_event(fq->idle, !READ_ONCE(fq->active));
	/* The last active worker must leave the lock before anything is freed. */
	spin_lock(&fq->lock);
	spin_unlock(&fq->lock);
}
