// SPDX-License-Identifier: GPL-2.0-only
/*
 * The requests of a space to have memory ready before a device uses it: what becomes of them.
 * What a request is about, and how it is done, is request.c's.
 *
 * A space works on one request at a time, in the order they came. A worker of its fault
 * queue begins, so faults have theirs beside it and share no lock with it but those of the chunks.
 * Where pages are wanted that the CPU does not have, a thread of their process goes on (pool.c),
 * and then of another process, if need be. The states of a request:
 *
 *   WAITING    for those before it, or for its worker
 *   ACTIVE     the worker is at it and may use the space; it waits for nothing but memory
 *   ASLEEP     the worker may wait for a disk or user space, for ever, or it is between two
 *              threads; it holds no more than the request and a pool
 *   DONE, FAILED, CANCELLED   the end; user space can still ask about it
 *
 * Whoever wants to end a request does so itself in WAITING and ASLEEP, and interrupts its thread;
 * in ACTIVE it asks by @stop and waits. A worker that wakes up in a request that has ended leaves,
 * and touches the space no more; the next request does not wait for that. Such workers count as
 * requests, so there is a bound to them, and the pool has another one.
 *
 * cancel vs worker: all transitions are under iopf_prefaults.lock.
 * release vs worker: iopf_prefaults_end() ends all and waits for the one that is ACTIVE, if any.
 *   What a worker asleep needs is kept by references: the request, the set of requests, the fault
 *   queue, the module; see docs/internals/locking.md.
 * release vs ioctl: whoever comes after the release finds the set dead and empty.
 * unload: a worker holds the module, and its queue is destroyed before the module goes.
 *
 * Locking: only iopf_pool.lock is inside of iopf_prefaults.lock, a spinlock. Event counters are
 *   signalled without it.
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

/* Requests that have ended and can be asked about; the header for user space says so. */
#define ENDED_MAX 48

/* Requests under way that follow from a policy: they are not what user space asks to have ready. */
#define POLICY_MAX 1024

/**
 * struct iopf_prefaults - the requests of a space
 * @refs: one for the space, one for each request
 * @space: may be used by an ACTIVE request
 * @queue: whose workers they use, referenced
 * @lock: protects all that follows, and the requests' states and counts
 * @idle: woken when a request ends
 * @dead: the space is being released
 * @requests: all that are known, in the order they came
 * @running: the one that is being worked on, or is about to be
 * @held: those under way, with those that have ended but whose worker sleeps
 * @policies: those of @held that follow from a policy
 * @ended: those in @requests that have ended
 * @last_id: of the last request
 * @pages: pages mapped by all of them
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
 * iopf_prefaults_create() - the requests of a space: none yet
 * @space: the space; its fault queue is there
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

/* Give the next request in line its worker. */
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
		/* Whoever is here has a use of the module, or is an ioctl, which has one. */
		__module_get(THIS_MODULE);
		queue_work(ps->queue->wq, &p->work);
		return;
	}
}

/* The oldest that has ended is forgotten, if they are too many. The caller drops its reference. */
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

/* A request and its worker are done with. */
static void prefaults_less(struct iopf_prefaults *ps, const struct iopf_prefault *p)
{
	lockdep_assert_held(&ps->lock);

	ps->held--;
	ps->policies -= p->policy;
}

/*
 * The end of a request, once. What has to be done without the lock is the caller's:
 * prefault_ended().
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
		/* There never was a worker, who would see to this. */
		prefaults_less(ps, p);
		end->unused = p;
		refcount_inc(&p->refs);
	} else if ((waiting && cancel_work(&p->work)) ||
		   (p->pool && iopf_pool_cancel(p->pool, &p->job))) {
		/* There will be none, so what it would have had is ours. */
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
	/* Not the last use: the caller has one. */
	if (end->module)
		module_put(THIS_MODULE);
}

/**
 * iopf_prefaults_activate() - WAITING or ASLEEP -> ACTIVE
 * @p: the request
 *
 * Return: whether it is; otherwise it has ended meanwhile, and the space may have, too.
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
 * Return: whether it is; otherwise it is to stop.
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
 * iopf_prefaults_account() - pages of a request have been dealt with
 * @p: the request
 * @already_mapped: how many were mapped before
 * @mapped: how many have been mapped
 * @failed: how many could not be
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

/* It is ASLEEP, or has ended. Whether the same thread is to go on; otherwise it may be gone. */
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

/* The worker's part. Returns whether it is to be called again, see struct iopf_job. */
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
	/* The queue it ran in is destroyed before the module can go, or the thread holds it. */
	module_put(THIS_MODULE);
	return false;
}

static void prefaults_work(struct work_struct *work)
{
	/* It populates nothing, so nothing interrupts it. */
	WARN_ON_ONCE(prefaults_run(container_of(work, struct iopf_prefault, work)));
}

static bool prefaults_job(struct iopf_job *job)
{
	return prefaults_run(container_of(job, struct iopf_prefault, job));
}

/**
 * iopf_prefaults_join() - make a request one of a set; it is not started
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
 * iopf_prefaults_end() - the space is released: cancel everything
 * @ps: the set; stays until its last reference is dropped
 *
 * When this returns nothing uses the space any more, though a worker may still sleep in
 * an mm.
 *
 * Context: process context; sleeps, but for nothing but memory.
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

	/* What was ACTIVE can't doze off any more. */
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
 * iopf_prefaults_count() - count, for people
 * @ps: the set
 * @held: out: requests under way
 * @pages: out: pages mapped by requests so far
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
 * Return: 0; -EBUSY: too many are under way; -EINVAL: the space has been released meanwhile.
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
 * @ps: the set; the space's lock is held, without which there are no more of them
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
 * Context: the space's lock has been held since the request was made, so that it can't fail,
 * but for spaces that are being released or have no device: nothing is to be made ready there.
 * Return: its number, or 0.
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
 * iopf_prefaults_query() - say how far a request is, and maybe cancel it
 * @space: the space
 * @status: id is set, argsz and flags have been checked; out: the rest
 * @cancel: end it
 *
 * Context: process context; with @cancel it sleeps, but for nothing but memory.
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
	/* The worker may be a thread of the owner, who decides how often it runs. */
	if (cancel)
		ret = wait_event_killable(ps->idle, READ_ONCE(p->state) >= PREFAULT_DONE);
	scoped_guard(spinlock, &ps->lock)
		prefault_tell(p, status);
	iopf_prefault_put(p);
	return ret ? -EINTR : 0;
}
