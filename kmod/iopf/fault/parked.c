// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parked faults: faults that have to wait.
 *
 * Such a fault is taken off the IOMMU core's list, so that nobody else answers it, put on its
 * group's queue, and given to a worker, which has the page populated and tries again (retry.c).
 * While it waits, for a disk or a userfaultfd that may never come, it holds nothing of the
 * container's. Its worker is
 *
 *   a thread of the process   while pages of its memory are wanted, see host/pool.c
 *   one of the workqueue's    while anything else is waited for: memory for the IOMMU's tables, the
 *                             end of an invalidation
 *   none                      while its area is frozen: on queue->frozen
 *
 * Its states:
 *
 *   WAITING    on fq->waiting: the group has all the workers it may have
 *   PARKED     on fq->parked; the worker may be asleep in the mm
 *   ACTIVE     off the lists, counted in fq->active; a worker handles it and waits for nothing but
 *              memory
 *   CANCELLED  off the lists, answered by iopf_fault_drain(); the worker only frees it
 *
 * A response comes from the worker in ACTIVE, or from the drain, which takes WAITING and PARKED
 * faults only. The transitions happen under fq->lock.
 *
 * Bounds: see queue.c. A group of requests beyond the limit, and one for which there is no memory,
 * is answered SUCCESS: the device asks again. The owner's memory cgroup is charged for each fault.
 * When it has no room, faults use a reserve, one for each worker; the reserve was charged when the
 * group was attached. A group with more requests than the limit is INVALID.
 *
 * Fairness: a group of devices has a limited number of workers (quota.c). So when hundreds of one
 * device's faults wait for what may never come, the other devices of its container still have their
 * workers. A worker that is through with its fault makes the first one that is WAITING PARKED, and
 * queues its work behind that of other devices. A fault is WAITING only while all workers are
 * taken, so it never waits for a worker that does not come.
 *
 * fault vs detach: the drain marks the queue dead (nothing is parked any more), cancels what is
 *   parked and waits for what is active. A job that is queued for a thread of a process is taken
 *   back, and a thread that is asleep in the mm is interrupted. Until that thread looks up, which a
 *   few file systems make take long, it keeps the queue's memory, and touches no more of it than
 *   the list state. A WAITING fault has no worker and is freed by the drain; a worker that comes to
 *   its end meanwhile may make it PARKED first. The drain looks at both lists until they are empty,
 *   and finds it there.
 * fault vs freeze: a fault in a frozen area (map/area.c) is parked without a worker. Thawing,
 *   removing the area, and the drain make their change, then count a resume and give all faults on
 *   queue->frozen a worker. A fault joins that list only if there was no resume since before its
 *   attempt. So it has either seen the change or is given a worker; once that worker looks it finds
 *   the area thawed, gone, or the fault cancelled. A worker that has an address of the area in hand
 *   is told (iopf_vaddr_changed()) before it populates the next page there. The same goes for
 *   unmapping.
 * fault vs exit: a thread of the process is killed with it, and ends its fault first, or leaves it
 *   to a workqueue, where populating says that the process is gone.
 * fault vs unload: a fault that is WAITING or PARKED holds the module.
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

/* How often a parked fault tries before the device is told to try itself. */
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

/* Now it begins to wait for what is wanted, or for something else. */
static void parked_waits(struct iopf_parked *parked)
{
	lockdep_assert_held(&parked->fq->lock);

	parked->waits = parked->want.pool ? IOPF_PHASE_POPULATE : IOPF_PHASE_QUEUEING;
}

/* The worker is there; until then it was queueing. */
void iopf_parked_start(struct iopf_parked *parked)
{
	spin_lock(&parked->fq->lock);
	if (parked->state == FAULT_PARKED) {
		iopf_timing_lap(&parked->timing, parked->waits);
		parked_waits(parked);
	}
	spin_unlock(&parked->fq->lock);
}

/* PARKED -> ACTIVE, unless it has been cancelled meanwhile. */
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

/* The end of ACTIVE: the group has been answered, and its requests count no more. */
void iopf_parked_over(struct iopf_parked *parked)
{
	struct iopf_fault_queue *fq = parked->fq;

	spin_lock(&fq->lock);
	fq->requests -= parked->requests;
	active_done(fq);
	spin_unlock(&fq->lock);
}

/* Give a fault to whoever can do what it waits for. From then on it may be gone. */
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

/* False: there has been a resume since the attempt, so it is to be made again. */
static bool parked_freeze(struct iopf_parked *parked)
{
	lockdep_assert_held(&parked->fq->lock);

	iopf_pool_put(parked->pool);
	parked->pool = NULL;
	parked->thawed = true;
	return iopf_backlog_freeze(parked->queue, &parked->frozen, parked->resumes);
}

/* Whether the caller can do what a fault waits for. */
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

/* Give faults without a worker one, as far as there may be more. */
void iopf_parked_fill(struct iopf_fault_queue *fq)
{
	lockdep_assert_held(&fq->lock);

	while (fq->workers < READ_ONCE(fq->max_workers) && !list_empty(&fq->waiting)) {
		fq->workers++;
		parked_begin(list_first_entry(&fq->waiting, struct iopf_parked, node));
	}
}

/* A worker of the queue is through with its fault: the next one. */
void iopf_parked_worker_done(struct iopf_fault_queue *fq)
{
	spin_lock(&fq->lock);
	fq->workers--;
	iopf_parked_fill(fq);
	spin_unlock(&fq->lock);
}

/**
 * iopf_fault_more_workers() - a queue may have more of them, or fewer, from now on
 * @fq: the queue; says already how many
 */
void iopf_fault_more_workers(struct iopf_fault_queue *fq)
{
	spin_lock(&fq->lock);
	iopf_parked_fill(fq);
	spin_unlock(&fq->lock);
}

/* Nobody uses it any more, and its group is somebody else's or gone. */
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
	/* It wants no memory of a process, so nothing interrupts it. */
	WARN_ON_ONCE(iopf_parked_run(container_of(work, struct iopf_parked, frozen.work)));
}

static bool parked_job(struct iopf_job *job)
{
	return iopf_parked_run(container_of(job, struct iopf_parked, job));
}

/* Memory for a fault that has to wait, at the owner's expense; NULL: there is none now. */
static struct iopf_parked *parked_alloc(struct iopf_fault_queue *fq)
{
	struct mem_cgroup *old = set_active_memcg(fq->space->memcg);
	struct iopf_parked *parked = mempool_alloc(fq->reserve, GFP_NOWAIT | __GFP_NOWARN);

	set_active_memcg(old);
	return parked;
}

/* Whether a group may wait beside those that do. One always may. */
static bool park_room(const struct iopf_fault_queue *fq, const struct iopf_group *group)
{
	lockdep_assert_held(&fq->lock);

	return !fq->requests ||
	       fq->requests + group->fault_count <= READ_ONCE(fq->max_requests);
}

/*
 * Park a group that has to wait. -ESHUTDOWN: the queue is dead; -ENOMEM; -ENOSPC: its devices
 * have as many requests waiting as they may.
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
	/* At worst one page is populated at a time. */
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
		/* The container's use of the module keeps it from going before this. */
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
 * WAITING or PARKED -> CANCELLED: the group and the clock of one of them, for the caller to answer.
 * NULL: there is none left.
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
	/* After the change of the state, so that who looks up sees it. */
	if (parked->pool && iopf_pool_cancel(parked->pool, &parked->job)) {
		mine = true;
		fq->workers--;
	}
	spin_unlock(&fq->lock);
	/* What has a worker is freed by it. */
	if (mine)
		iopf_parked_free(parked);
	return group;
}

/**
 * iopf_fault_drain() - answer everything that is outstanding and take no more
 * @fq: about to be detached
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
	/* Those that waited for an area to thaw have nothing to wait for any more. */
	iopf_backlog_resume(fq->space->faults);
	wait_event(fq->idle, !READ_ONCE(fq->active));
	/* The last active worker is out of the lock before anything is freed. */
	spin_lock(&fq->lock);
	spin_unlock(&fq->lock);
}
