// SPDX-License-Identifier: GPL-2.0-only
/*
 * The prefault requests of a space: memory is mapped before a device uses it. This file has the
 * states of requests. request.c does the work of one request.
 *
 * A space works on one request at a time, in the order in which they came. A worker of the
 * container's workqueue begins. Faults have their own workers, and share only the locks of chunks
 * with it. Where pages are absent from the CPU's page tables, a thread of their process continues
 * (pool.c), and later a thread of another process if needed. The states of a request:
 *
 *   WAITING    waits for the requests before it, or for its worker
 *   ACTIVE     the worker runs, and may use the space; it waits for nothing but memory
 *   ASLEEP     the worker may wait for a disk or for user space, without a limit, or the request
 *              goes from one thread to another; it holds only the request and a pool
 *   DONE, FAILED, CANCELLED   the request has ended; user space can still query it
 *
 * Cancel and release end a request that is WAITING or ASLEEP themselves, and interrupt its thread.
 * For an ACTIVE request they set @stop and wait. A worker that wakes up and finds that its request
 * has ended does not touch the space any more, and ends. The next request does not wait for that.
 * Such workers count as requests (@held), so their number is limited. The pool has a limit of its
 * threads, too.
 *
 * cancel vs worker: all transitions happen under iopf_prefaults.lock.
 * release vs worker: iopf_prefaults_end() ends all requests, and waits for the ACTIVE one, if any.
 *   References keep what a sleeping worker needs: the request, the set of requests, the backlog,
 *   the module; see docs/internals/locking.md.
 * release vs ioctl: an ioctl after the release finds the set dead and empty.
 * unload: a worker holds a reference to the module. Its workqueue is destroyed before the module.
 *
 * Locking: only iopf_pool.lock nests inside iopf_prefaults.lock, a spinlock. An eventfd is
 * signalled without the lock.
 */
#include <linux/cleanup.h>
#include <linux/eventfd.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vfio_iopf.h>

#include "../host/pool.h"
#include "../lib/backlog.h"
#include "../map/chunk.h"
#include "../map/space.h"
#include "request.h"
#include "requests.h"

/* Limit of ended requests that user space can query; include/uapi/linux/vfio_iopf.h names it. */
#define ENDED_MAX 48

/*
 * Limit of requests under way that follow from a policy; they do not count for the limit of ioctls.
 */
#define POLICY_MAX 1024

/**
 * struct iopf_prefaults - the prefault requests of a space
 * @refs: one for the space, one for each request
 * @space: the space; only an ACTIVE request may use it
 * @queue: backlog whose workers the requests use, referenced
 * @lock: protects all that follows, and the requests' states and counts
 * @idle: woken when a request ends
 * @dead: the space is being released
 * @requests: all known requests, in the order in which they came
 * @running: the request that has the worker, or NULL
 * @held: number of requests under way, and of ended requests whose worker still sleeps
 * @policies: number of requests of @held that follow from a policy
 * @ended: number of ended requests in @requests
 * @last_id: number of the last request
 * @pages: number of pages that all requests have mapped
 */
struct iopf_prefaults {
	refcount_t refs;
	struct iopf_space *space;
	struct iopf_backlog *queue;
	spinlock_t lock; /* see above */
	wait_queue_head_t idle;
	bool dead;
	struct list_head requests;
	struct iopf_prefault *running;
	unsigned int held;
	unsigned int policies;
	unsigned int ended;
	u64 last_id;
	u64 pages;
};

/**
 * iopf_prefaults_create() - make an empty set of requests for a space
 * @space: the space; its backlog exists
 *
 * Return: the set, with a reference for the space; or NULL.
 */
struct iopf_prefaults *iopf_prefaults_create(struct iopf_space *space)
{
	struct iopf_prefaults *ps = kzalloc(sizeof(*ps), GFP_KERNEL_ACCOUNT);

	if (!ps)
		return NULL;
	refcount_set(&ps->refs, 1);
	ps->space = space;
	ps->queue = space->faults;
	refcount_inc(&ps->queue->refs);
	spin_lock_init(&ps->lock);
	init_waitqueue_head(&ps->idle);
	INIT_LIST_HEAD(&ps->requests);
	return ps;
}

/**
 * iopf_prefaults_put() - drop a reference
 * @ps: the set, or NULL
 */
void iopf_prefaults_put(struct iopf_prefaults *ps)
{
	if (!ps || !refcount_dec_and_test(&ps->refs))
		return;
	iopf_backlog_put(ps->queue);
	kfree(ps);
}

static void prefault_signal(struct eventfd_ctx *eventfd)
{
	if (!eventfd)
		return;
	eventfd_signal(eventfd);
	eventfd_ctx_put(eventfd);
}

/* Give a worker to the first WAITING request, unless one is running. */
static void prefaults_next(struct iopf_prefaults *ps)
{
	struct iopf_prefault *p;

	lockdep_assert_held(&ps->lock);

	if (ps->running || ps->dead)
		return;
	list_for_each_entry(p, &ps->requests, node) {
		if (p->state != PREFAULT_WAITING)
			continue;
		WRITE_ONCE(ps->running, p);
		refcount_inc(&p->refs);
		/* The caller is an ioctl or a worker, which holds a reference to the module. */
		__module_get(THIS_MODULE);
		queue_work(ps->queue->wq, &p->work);
		return;
	}
}

/*
 * Forget the oldest ended request if there are too many. The caller drops the reference of the
 * list.
 */
static struct iopf_prefault *prefaults_trim(struct iopf_prefaults *ps)
{
	struct iopf_prefault *p;

	lockdep_assert_held(&ps->lock);

	if (ps->ended <= ENDED_MAX)
		return NULL;
	list_for_each_entry(p, &ps->requests, node) {
		if (p->state < PREFAULT_DONE)
			continue;
		list_del_init(&p->node);
		ps->ended--;
		return p;
	}
	return NULL;
}

/* Count a request off that has ended and has no worker any more. */
static void prefaults_less(struct iopf_prefaults *ps, const struct iopf_prefault *p)
{
	lockdep_assert_held(&ps->lock);

	ps->held--;
	ps->policies -= p->policy;
}

/*
 * Work that the end of a request leaves for prefault_ended(), which the caller calls without the
 * lock. A request ends once.
 */
struct prefault_end {
	struct iopf_prefault *forgotten;
	struct iopf_prefault *unused;
	bool module;
	struct eventfd_ctx *eventfd;
};

static void prefault_end(struct iopf_prefault *p, enum prefault_state state, int error,
			 struct prefault_end *end)
{
	bool waiting = p->state == PREFAULT_WAITING;
	struct iopf_prefaults *ps = p->ps;

	lockdep_assert_held(&ps->lock);
	WARN_ON_ONCE(p->state >= PREFAULT_DONE);

	*end = (struct prefault_end){ .eventfd = p->eventfd };
	p->eventfd = NULL;
	WRITE_ONCE(p->state, state);
	p->error = error;
	ps->ended++;
	if (ps->running != p) {
		/* No worker was ever given to the request, so it is counted off here. */
		prefaults_less(ps, p);
		end->unused = p;
		refcount_inc(&p->refs);
	} else if ((waiting && cancel_work(&p->work)) ||
		   (p->pool && iopf_pool_cancel(p->pool, &p->job))) {
		/* The worker will not run, so its references are dropped here. */
		prefaults_less(ps, p);
		end->unused = p;
		end->module = true;
	}
	if (ps->running == p)
		WRITE_ONCE(ps->running, NULL);
	prefaults_next(ps);
	end->forgotten = prefaults_trim(ps);
	wake_up_all(&ps->idle);
}

static void prefault_ended(struct prefault_end *end)
{
	prefault_signal(end->eventfd);
	if (end->unused) {
		iopf_prefault_forget(end->unused);
		iopf_prefault_put(end->unused);
	}
	if (end->forgotten)
		iopf_prefault_put(end->forgotten);
	/* The caller holds another reference to the module. */
	if (end->module)
		module_put(THIS_MODULE);
}

/**
 * iopf_prefaults_activate() - WAITING or ASLEEP -> ACTIVE
 * @p: the request
 *
 * Return: true if it is ACTIVE; false if it has ended meanwhile: the space may be freed, too.
 */
bool iopf_prefaults_activate(struct iopf_prefault *p)
{
	bool mine;

	spin_lock(&p->ps->lock);
	mine = p->state < PREFAULT_DONE;
	if (mine)
		WRITE_ONCE(p->state, PREFAULT_ACTIVE);
	spin_unlock(&p->ps->lock);
	return mine;
}

/**
 * iopf_prefaults_doze() - ACTIVE -> ASLEEP
 * @p: the request
 *
 * Return: true if it is ASLEEP; false if the request has to stop.
 */
bool iopf_prefaults_doze(struct iopf_prefault *p)
{
	bool may;

	spin_lock(&p->ps->lock);
	may = !p->stop;
	if (may)
		WRITE_ONCE(p->state, PREFAULT_ASLEEP);
	spin_unlock(&p->ps->lock);
	return may;
}

/**
 * iopf_prefaults_account() - count pages of a request
 * @p: the request
 * @already_mapped: number of pages that were mapped before
 * @mapped: number of pages that have been mapped
 * @failed: number of pages that could not be mapped
 */
void iopf_prefaults_account(struct iopf_prefault *p, u64 already_mapped, u64 mapped, u64 failed)
{
	spin_lock(&p->ps->lock);
	p->already_mapped += already_mapped;
	p->mapped += mapped;
	p->failed += failed;
	p->ps->pages += mapped;
	spin_unlock(&p->ps->lock);
}

/*
 * Choose the thread that continues a request, which is ASLEEP or has ended. Returns true if it is
 * the calling thread. Otherwise the request may be freed.
 */
static bool prefault_again(struct iopf_prefault *p)
{
	struct iopf_pool *pool = p->slice.pool, *old;

	if (!pool || pool->mm == current->mm)
		return true;
	iopf_pool_get(pool);
	spin_lock(&p->ps->lock);
	old = p->pool;
	p->pool = pool;
	iopf_pool_queue(pool, &p->job);
	spin_unlock(&p->ps->lock);
	iopf_pool_put(old);
	return false;
}

/*
 * Run the worker of a request. Returns true if the thread has to call again, see struct iopf_job.
 */
static bool prefaults_run(struct iopf_prefault *p)
{
	struct iopf_prefaults *ps = p->ps;
	struct prefault_end end = { };
	int ret = -EIDRM;

	if (iopf_prefaults_activate(p))
		ret = iopf_prefault_run(p, ps->space, ps->queue->memcg);
	if (ret == -ERESTART)
		return prefault_again(p);
	spin_lock(&ps->lock);
	if (ret == -ECANCELED)
		prefault_end(p, PREFAULT_CANCELLED, 0, &end);
	else if (ret != -EIDRM)
		prefault_end(p, ret ? PREFAULT_FAILED : PREFAULT_DONE, ret, &end);
	prefaults_less(ps, p);
	spin_unlock(&ps->lock);
	iopf_prefault_forget(p);
	prefault_ended(&end);
	iopf_prefault_put(p);
	/*
	 * The workqueue is destroyed before the module is unloaded; a thread of a process holds its
	 * own reference to the module.
	 */
	module_put(THIS_MODULE);
	return false;
}

static void prefaults_work(struct work_struct *work)
{
	/* A worker of the workqueue populates nothing, so no signal interrupts it. */
	WARN_ON_ONCE(prefaults_run(container_of(work, struct iopf_prefault, work)));
}

static bool prefaults_job(struct iopf_job *job)
{
	return prefaults_run(container_of(job, struct iopf_prefault, job));
}

/**
 * iopf_prefaults_join() - add a new request to a set, without starting it
 * @ps: the set
 * @p: the request
 */
void iopf_prefaults_join(struct iopf_prefaults *ps, struct iopf_prefault *p)
{
	INIT_WORK(&p->work, prefaults_work);
	iopf_job_init(&p->job, prefaults_job, true);
	INIT_LIST_HEAD(&p->node);
	refcount_inc(&ps->refs);
	p->ps = ps;
	scoped_guard(spinlock, &ps->lock)
		p->id = ++ps->last_id;
}

/**
 * iopf_prefaults_end() - cancel all requests of a space that is being released
 * @ps: the set; stays until its last reference is dropped
 *
 * When this function returns, no request uses the space any more. A worker may still sleep in an
 * mm.
 *
 * Context: process context; sleeps, but only for memory.
 */
void iopf_prefaults_end(struct iopf_prefaults *ps)
{
	struct iopf_prefault *p, *next;
	struct prefault_end end;
	LIST_HEAD(all);
	bool more;

	do {
		more = false;
		spin_lock(&ps->lock);
		ps->dead = true;
		list_for_each_entry(p, &ps->requests, node) {
			if (p->state == PREFAULT_ACTIVE) {
				WRITE_ONCE(p->stop, true);
			} else if (p->state < PREFAULT_DONE) {
				prefault_end(p, PREFAULT_CANCELLED, 0, &end);
				more = true;
				break;
			}
		}
		spin_unlock(&ps->lock);
		if (more)
			prefault_ended(&end);
	} while (more);

	/* An ACTIVE request can't fall ASLEEP any more, because @stop is set. */
	wait_event(ps->idle, !READ_ONCE(ps->running));
	spin_lock(&ps->lock);
	list_splice_init(&ps->requests, &all);
	ps->ended = 0;
	spin_unlock(&ps->lock);
	list_for_each_entry_safe(p, next, &all, node) {
		list_del_init(&p->node);
		iopf_prefault_put(p);
	}
}

/**
 * iopf_prefaults_count() - return the counters for sysfs
 * @ps: the set
 * @held: out: number of requests under way
 * @pages: out: number of pages that requests have mapped so far
 */
void iopf_prefaults_count(struct iopf_prefaults *ps, unsigned int *held, u64 *pages)
{
	spin_lock(&ps->lock);
	*held = ps->held;
	*pages = ps->pages;
	spin_unlock(&ps->lock);
}

/**
 * iopf_prefaults_start() - begin a request
 * @p: the request; the caller keeps its reference
 *
 * Return: 0; -EBUSY: too many requests are under way; -EINVAL: the space has been released
 * meanwhile.
 */
int iopf_prefaults_start(struct iopf_prefault *p)
{
	struct iopf_prefaults *ps = p->ps;
	int ret = 0;

	spin_lock(&ps->lock);
	if (ps->dead) {
		ret = -EINVAL;
	} else if (!p->policy && ps->held - ps->policies == VFIO_IOPF_REQUESTS_MAX) {
		ret = -EBUSY;
	} else {
		ps->held++;
		ps->policies += p->policy;
		refcount_inc(&p->refs);
		list_add_tail(&p->node, &ps->requests);
		prefaults_next(ps);
	}
	spin_unlock(&ps->lock);
	return ret;
}

/**
 * iopf_prefaults_policy_room() - whether one more request may follow from a policy
 * @ps: the set; the space's lock is held: without it no such request is added
 */
bool iopf_prefaults_policy_room(struct iopf_prefaults *ps)
{
	lockdep_assert_held(&ps->space->lock);

	return READ_ONCE(ps->policies) < POLICY_MAX;
}

/**
 * iopf_prefaults_start_policy() - begin a request that follows from a policy
 * @p: the request; the caller keeps its reference
 *
 * Context: the space's lock has been held since the request was made. So this fails only if the
 * space is being released or has no domain: no device can use the memory then.
 * Return: the number of the request, or 0.
 */
u64 iopf_prefaults_start_policy(struct iopf_prefault *p)
{
	struct iopf_space *space = p->ps->space;

	lockdep_assert_held(&space->lock);

	if (!space->domains->nr)
		return 0;
	return iopf_prefaults_start(p) ? 0 : p->id;
}

static struct iopf_prefault *prefaults_find(struct iopf_prefaults *ps, u64 id)
{
	struct iopf_prefault *p;

	lockdep_assert_held(&ps->lock);

	list_for_each_entry(p, &ps->requests, node)
		if (p->id == id)
			return p;
	return NULL;
}

static u32 state_for_user(enum prefault_state state)
{
	switch (state) {
	case PREFAULT_WAITING:
		return VFIO_IOPF_PREFAULT_STATE_WAITING;
	case PREFAULT_ACTIVE:
	case PREFAULT_ASLEEP:
		return VFIO_IOPF_PREFAULT_STATE_RUNNING;
	case PREFAULT_DONE:
		return VFIO_IOPF_PREFAULT_STATE_DONE;
	case PREFAULT_FAILED:
		return VFIO_IOPF_PREFAULT_STATE_FAILED;
	case PREFAULT_CANCELLED:
		break;
	}
	return VFIO_IOPF_PREFAULT_STATE_CANCELLED;
}

static void prefault_tell(const struct iopf_prefault *p, struct vfio_iopf_prefault_status *status)
{
	lockdep_assert_held(&p->ps->lock);

	status->state = state_for_user(p->state);
	status->error = -p->error;
	status->pages = p->pages;
	status->already_mapped = p->already_mapped;
	status->mapped = p->mapped;
	status->failed = p->failed;
}

/**
 * iopf_prefaults_query() - return the progress of a request, and cancel it if asked to
 * @space: the space
 * @status: id is set, argsz and flags have been checked; out: the rest
 * @cancel: cancel the request
 *
 * Context: process context; with @cancel it sleeps, but only for memory and for the worker.
 * Return: 0; -ENOENT: there is no such request; -EINTR: the caller is killed.
 */
int iopf_prefaults_query(struct iopf_space *space, struct vfio_iopf_prefault_status *status,
			 bool cancel)
{
	struct iopf_prefaults *ps = space->prefaults;
	struct prefault_end end = { };
	struct iopf_prefault *p;
	int ret = 0;

	spin_lock(&ps->lock);
	p = prefaults_find(ps, status->id);
	if (!p) {
		spin_unlock(&ps->lock);
		return -ENOENT;
	}
	refcount_inc(&p->refs);
	if (cancel && p->state == PREFAULT_ACTIVE)
		WRITE_ONCE(p->stop, true);
	else if (cancel && p->state < PREFAULT_DONE)
		prefault_end(p, PREFAULT_CANCELLED, 0, &end);
	spin_unlock(&ps->lock);

	prefault_ended(&end);
	/* The worker may be a thread of the owner, which decides how often that thread runs. */
	if (cancel)
		ret = wait_event_killable(ps->idle, READ_ONCE(p->state) >= PREFAULT_DONE);
	scoped_guard(spinlock, &ps->lock)
		prefault_tell(p, status);
	iopf_prefault_put(p);
	return ret ? -EINTR : 0;
}
