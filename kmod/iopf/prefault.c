// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests to have memory ready before a device uses it: ranges that user space names, or a
 * working set (workset.c). Here is what becomes of a request; slice.c does the work, a slice at a
 * time.
 *
 * A container works on one request at a time, in the order they came, in a worker of its fault
 * queue, so faults have theirs beside it and share no lock with it but those of the chunks. The
 * states of a request:
 *
 *   WAITING    for those before it, or for its worker
 *   ACTIVE     the worker is at it and may use the container; it waits for nothing but memory
 *   ASLEEP     the worker may wait for a disk or user space, for ever; it holds no more than
 *              the request and an mm
 *   DONE, FAILED, CANCELLED   the end; user space can still ask about it
 *
 * Whoever wants to end a request does so itself in WAITING and ASLEEP; in ACTIVE it asks by @stop
 * and waits. A worker that wakes up in a request that has ended leaves, and touches the container
 * no more; the next request does not wait for that. Such workers count as requests, so there is
 * a bound to them.
 *
 * cancel vs worker: all transitions are under iopf_prefaults.lock.
 * release vs worker: iopf_prefaults_end() ends all and waits for the one that is ACTIVE, if any.
 *   What a worker asleep needs is kept by references: the request, the set of requests, the fault
 *   queue, the module; see locking.md.
 * release vs ioctl: whoever comes after the release finds the set dead and empty.
 * unload: a worker holds the module, and its queue is destroyed before the module goes.
 *
 * Locking: iopf_prefaults.lock is a leaf spinlock. Event counters are signalled without it.
 */
#include <linux/cleanup.h>
#include <linux/eventfd.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio_iopf.h>

#include "../../core/workset.h"
#include "area.h"
#include "chunk.h"
#include "container.h"
#include "fault.h"
#include "prefault.h"
#include "slice.h"

/* Requests that have ended and can be asked about; the header for user space says so. */
#define ENDED_MAX 48

/* Requests under way that follow from a policy: they are not what user space asks to have ready. */
#define POLICY_MAX 1024

enum prefault_state {
	PREFAULT_WAITING,
	PREFAULT_ACTIVE,
	PREFAULT_ASLEEP,
	PREFAULT_DONE,
	PREFAULT_FAILED,
	PREFAULT_CANCELLED,
};

/**
 * struct iopf_prefaults - the requests of a container
 * @refs: one for the container, one for each request
 * @container: may be used by an ACTIVE request
 * @queue: whose workers they use, referenced
 * @lock: protects all that follows, and the requests' states and counts; a leaf
 * @idle: woken when a request ends
 * @dead: the container is being released
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
	struct iopf_container *container;
	struct iopf_fault_queue *queue;
	spinlock_t lock; /* a leaf */
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
 * struct iopf_prefault - a request
 * @work: the worker's
 * @refs: one for being in the list, one for the worker, one for each ioctl at it
 * @ps: the set it belongs to, referenced
 * @node: in the set's list, unless it is new or forgotten
 * @id: its number
 * @state: see above
 * @stop: asks the worker to end it
 * @error: why it failed, negative
 * @eventfd: to be signalled, or NULL
 * @pages: how many it is about
 * @present: pages that were mapped already
 * @mapped: pages that have been mapped
 * @missed: pages that could not be mapped
 * @write: for writing
 * @policy: it follows from a policy, so it goes over what is mapped, with whatever permission
 * @ranges: what it is about, or NULL
 * @nr_ranges: how many
 * @next_range: the next
 * @data: a working set that it is about instead, or NULL
 * @walk: where in it
 * @chunk: the chunk of it that is being gone through
 * @next_page: from here on
 *
 * What it is about is constant until the worker has begun, then the worker's.
 */
struct iopf_prefault {
	struct work_struct work;
	refcount_t refs;
	struct iopf_prefaults *ps;
	struct list_head node;
	u64 id;
	enum prefault_state state;
	bool stop;
	int error;
	struct eventfd_ctx *eventfd;
	u64 pages;
	u64 present;
	u64 mapped;
	u64 missed;
	bool write;
	bool policy;
	struct iopf_range *ranges;
	unsigned int nr_ranges;
	unsigned int next_range;
	u8 *data;
	struct iopf_workset_walk walk;
	struct iopf_workset_chunk chunk;
	unsigned int next_page;
};

static u64 range_pages(const struct iopf_range *range)
{
	return ((range->last - range->first) >> PAGE_SHIFT) + 1;
}

/**
 * iopf_prefaults_create() - the requests of a container: none yet
 * @c: the container; its fault queue is there
 *
 * Return: the set, with a reference for the container; or NULL.
 */
struct iopf_prefaults *iopf_prefaults_create(struct iopf_container *c)
{
	struct iopf_prefaults *ps = kzalloc(sizeof(*ps), GFP_KERNEL_ACCOUNT);

	if (!ps)
		return NULL;
	refcount_set(&ps->refs, 1);
	ps->container = c;
	ps->queue = c->faults;
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
	iopf_fault_queue_put(ps->queue);
	kfree(ps);
}

/* What a request is about; nobody needs it once it has ended and its worker has left. */
static void prefault_forget(struct iopf_prefault *p)
{
	kvfree(p->ranges);
	kvfree(p->data);
	p->ranges = NULL;
	p->data = NULL;
}

/**
 * iopf_prefault_put() - drop a reference to a request
 * @p: the request; one that was never started goes
 */
void iopf_prefault_put(struct iopf_prefault *p)
{
	if (!refcount_dec_and_test(&p->refs))
		return;
	prefault_forget(p);
	if (p->eventfd)
		eventfd_ctx_put(p->eventfd);
	iopf_prefaults_put(p->ps);
	kfree(p);
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
	} else if (waiting && cancel_work(&p->work)) {
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
		prefault_forget(end->unused);
		iopf_prefault_put(end->unused);
	}
	if (end->forgotten)
		iopf_prefault_put(end->forgotten);
	/* Not the last use: the caller has one. */
	if (end->module)
		module_put(THIS_MODULE);
}

/* WAITING or ASLEEP -> ACTIVE, unless it has ended meanwhile. */
static bool prefault_activate(struct iopf_prefault *p)
{
	bool mine;

	spin_lock(&p->ps->lock);
	mine = p->state < PREFAULT_DONE;
	if (mine)
		WRITE_ONCE(p->state, PREFAULT_ACTIVE);
	spin_unlock(&p->ps->lock);
	return mine;
}

/* ACTIVE -> ASLEEP, unless it is to stop. */
static bool prefault_doze(struct iopf_prefault *p)
{
	bool may;

	spin_lock(&p->ps->lock);
	may = !p->stop;
	if (may)
		WRITE_ONCE(p->state, PREFAULT_ASLEEP);
	spin_unlock(&p->ps->lock);
	return may;
}

/* The next run of pages of a working set. */
static bool workset_next(struct iopf_prefault *p, struct iopf_range *range)
{
	unsigned int first = find_next_bit(p->chunk.pages, IOPF_CHUNK_PAGES, p->next_page), end;
	u64 iova;
	int ret;

	while (first >= IOPF_CHUNK_PAGES) {
		ret = iopf_workset_walk_next(&p->walk, &p->chunk);
		if (!ret || READ_ONCE(p->stop))
			return false;
		if (ret > 0)
			first = find_next_bit(p->chunk.pages, IOPF_CHUNK_PAGES, 0);
		cond_resched();
	}
	end = find_next_zero_bit(p->chunk.pages, IOPF_CHUNK_PAGES, first);
	p->next_page = end;
	p->write = p->chunk.write;
	iova = p->chunk.nr << IOPF_CHUNK_SHIFT;
	range->first = iova + ((u64)first << PAGE_SHIFT);
	range->last = iova + (((u64)end << PAGE_SHIFT) - 1);
	return true;
}

static bool prefault_next(struct iopf_prefault *p, struct iopf_range *range)
{
	if (p->data)
		return workset_next(p, range);
	if (p->next_range == p->nr_ranges)
		return false;
	*range = p->ranges[p->next_range++];
	return true;
}

static void prefault_missed(struct iopf_prefault *p, u64 pages)
{
	spin_lock(&p->ps->lock);
	p->missed += pages;
	spin_unlock(&p->ps->lock);
}

static void prefault_count(struct iopf_prefault *p, const struct iopf_slice *s, bool done)
{
	/* Some may have gone again. */
	unsigned int good = max(s->good, s->present);

	spin_lock(&p->ps->lock);
	p->present += s->present;
	p->mapped += good - s->present;
	p->ps->pages += good - s->present;
	if (done)
		p->missed += iopf_slice_pages(s) - good;
	spin_unlock(&p->ps->lock);
}

/*
 * What a slice has to wait for, without the container. -EIDRM: the request has ended meanwhile,
 * and the container may have, too.
 */
static int prefault_wait(struct iopf_prefault *p, struct iopf_slice *s)
{
	int ret;

	if (!prefault_doze(p))
		return -ECANCELED;
	ret = iopf_slice_wait(s, p->ps->queue->memcg);
	return prefault_activate(p) ? ret : -EIDRM;
}

static int prefault_slice(struct iopf_prefault *p, struct iopf_slice *s)
{
	enum iopf_slice_state state;
	int ret;

	for (;;) {
		state = iopf_slice_map(p->ps->container, s);
		if (state == IOPF_SLICE_DONE)
			return 0;
		ret = -EAGAIN;
		if (state == IOPF_SLICE_WANT)
			ret = iopf_slice_populate(s, &p->stop);
		if (ret == -EAGAIN)
			ret = prefault_wait(p, s);
		if (!ret && READ_ONCE(p->stop))
			ret = -ECANCELED;
		if (ret)
			return ret;
		cond_resched();
	}
}

static int prefault_range(struct iopf_prefault *p, const struct iopf_range *range)
{
	struct iopf_range left = *range;
	struct iopf_slice s;
	int ret;

	for (;;) {
		if (!iopf_slice_cut(p->ps->container, &left, p->write, !p->data && !p->policy,
				    &s)) {
			prefault_missed(p, range_pages(&left));
			return 0;
		}
		prefault_missed(p, (s.range.first - left.first) >> PAGE_SHIFT);
		ret = prefault_slice(p, &s);
		iopf_slice_end(&s);
		/* What user space has been told last stays true. */
		if (ret != -EIDRM)
			prefault_count(p, &s, !ret);
		if (ret)
			return ret;
		if (s.range.last == left.last)
			return 0;
		left.first = s.range.last + 1;
	}
}

/* 0, -ECANCELED, -EIDRM (see prefault_wait()), or why it failed. */
static int prefault_run(struct iopf_prefault *p)
{
	struct iopf_range range;
	int ret = 0;

	while (!ret && !READ_ONCE(p->stop) && prefault_next(p, &range)) {
		ret = prefault_range(p, &range);
		cond_resched();
	}
	return !ret && READ_ONCE(p->stop) ? -ECANCELED : ret;
}

static void prefault_work(struct work_struct *work)
{
	struct iopf_prefault *p = container_of(work, struct iopf_prefault, work);
	struct iopf_prefaults *ps = p->ps;
	struct prefault_end end = { };
	int ret = -EIDRM;

	if (prefault_activate(p))
		ret = prefault_run(p);
	spin_lock(&ps->lock);
	if (ret == -ECANCELED)
		prefault_end(p, PREFAULT_CANCELLED, 0, &end);
	else if (ret != -EIDRM)
		prefault_end(p, ret ? PREFAULT_FAILED : PREFAULT_DONE, ret, &end);
	prefaults_less(ps, p);
	spin_unlock(&ps->lock);
	prefault_forget(p);
	prefault_ended(&end);
	iopf_prefault_put(p);
	/* The queue it ran in is destroyed before the module can go. */
	module_put(THIS_MODULE);
}

/**
 * iopf_prefaults_end() - the container is released: cancel everything
 * @ps: the set; stays until its last reference is dropped
 *
 * When this returns nothing uses the container any more, though a worker may still sleep in
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

static struct iopf_prefault *prefault_create(struct iopf_prefaults *ps, int eventfd)
{
	struct iopf_prefault *p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);
	struct eventfd_ctx *ctx;

	if (!p)
		return ERR_PTR(-ENOMEM);
	if (eventfd >= 0) {
		ctx = eventfd_ctx_fdget(eventfd);
		if (IS_ERR(ctx)) {
			kfree(p);
			return ERR_CAST(ctx);
		}
		p->eventfd = ctx;
	}
	INIT_WORK(&p->work, prefault_work);
	INIT_LIST_HEAD(&p->node);
	refcount_set(&p->refs, 1);
	refcount_inc(&ps->refs);
	p->ps = ps;
	scoped_guard(spinlock, &ps->lock)
		p->id = ++ps->last_id;
	return p;
}

/* All of a range belongs to areas that permit it. */
static int range_check(struct iopf_container *c, const struct iopf_range *range, int prot)
{
	u64 at = range->first;

	lockdep_assert_held(&c->lock);

	for (;;) {
		struct iopf_area *area = mtree_load(&c->areas, at);

		if (!area)
			return -ENOENT;
		if ((area->prot & prot) != prot)
			return -EPERM;
		if (area->range.last >= range->last)
			return 0;
		at = area->range.last + 1;
		/* There may be 65535 areas in each of 4096 ranges. */
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

/* What user space says, as whole pages. */
static int range_get(struct iopf_range *range, const struct vfio_iopf_range __user *from)
{
	struct vfio_iopf_range user;

	if (copy_from_user(&user, from, sizeof(user)))
		return -EFAULT;
	if (iopf_range_init(range, user.iova, user.size))
		return -EINVAL;
	range->first &= PAGE_MASK;
	range->last |= ~PAGE_MASK;
	return 0;
}

static int ranges_get(struct iopf_prefault *p, const struct vfio_iopf_prefault *arg)
{
	const struct vfio_iopf_range __user *user = u64_to_user_ptr(arg->ranges);
	int ret = 0;

	p->ranges = kvmalloc_array(arg->nr_ranges, sizeof(*p->ranges), GFP_KERNEL_ACCOUNT);
	if (!p->ranges)
		return -ENOMEM;
	for (; !ret && p->nr_ranges < arg->nr_ranges; p->nr_ranges++) {
		ret = range_get(&p->ranges[p->nr_ranges], user + p->nr_ranges);
		if (!ret)
			p->pages += range_pages(&p->ranges[p->nr_ranges]);
	}
	return ret;
}

/* Under the container's lock: there is a device that could use it, and the ranges are right. */
static int prefault_check(struct iopf_container *c, const struct iopf_prefault *p, int prot)
{
	int ret = 0;

	guard(mutex)(&c->lock);
	if (!c->domains->nr)
		return -EINVAL;
	for (unsigned int i = 0; !ret && i < p->nr_ranges; i++)
		ret = range_check(c, &p->ranges[i], prot);
	return ret;
}

/**
 * iopf_prefault_of_ranges() - a request for ranges
 * @c: the container
 * @arg: argsz and flags have been checked
 *
 * Context: process context; takes the container's lock.
 * Return: the request, not started; an error pointer with what VFIO_IOPF_PREFAULT answers.
 */
struct iopf_prefault *iopf_prefault_of_ranges(struct iopf_container *c,
					      const struct vfio_iopf_prefault *arg)
{
	bool signal = arg->flags & VFIO_IOPF_PREFAULT_EVENTFD;
	struct iopf_prefault *p;
	int prot = 0, ret;

	if (!arg->nr_ranges || (signal && arg->eventfd < 0))
		return ERR_PTR(arg->nr_ranges ? -EBADF : -EINVAL);
	if (arg->nr_ranges > VFIO_IOPF_RANGES_MAX)
		return ERR_PTR(-E2BIG);
	if (arg->flags & VFIO_IOPF_PREFAULT_READ)
		prot |= IOMMU_READ;
	if (arg->flags & VFIO_IOPF_PREFAULT_WRITE)
		prot |= IOMMU_WRITE;

	p = prefault_create(c->prefaults, signal ? arg->eventfd : -1);
	if (IS_ERR(p))
		return p;
	p->write = prot & IOMMU_WRITE;
	ret = ranges_get(p, arg);
	if (!ret)
		ret = prefault_check(c, p, prot);
	if (ret) {
		iopf_prefault_put(p);
		return ERR_PTR(ret);
	}
	return p;
}

/**
 * iopf_prefault_of_workset() - a request for a working set
 * @c: the container
 * @data: the working set, of kvmalloc(); taken over, also on error
 * @size: its size
 * @eventfd: to be signalled; negative: none
 *
 * Context: process context; takes the container's lock.
 * Return: the request, not started; an error pointer with what VFIO_IOPF_WORKING_SET_PUT answers.
 */
struct iopf_prefault *iopf_prefault_of_workset(struct iopf_container *c, u8 *data, size_t size,
					       int eventfd)
{
	struct iopf_prefault *p = prefault_create(c->prefaults, eventfd);
	int ret;

	if (IS_ERR(p)) {
		kvfree(data);
		return p;
	}
	p->data = data;
	ret = iopf_workset_walk_init(&p->walk, data, size, &p->pages);
	if (!ret)
		ret = prefault_check(c, p, 0);
	if (ret) {
		iopf_prefault_put(p);
		return ERR_PTR(ret);
	}
	return p;
}

/**
 * iopf_prefault_of_policy() - a request for ranges whose policy is to have them ready
 * @c: the container, locked
 * @ranges: whole pages, mapped
 * @nr: how many
 *
 * Return: the request, not started; an error pointer: -ENOMEM; -EBUSY: too many are under way.
 */
struct iopf_prefault *iopf_prefault_of_policy(struct iopf_container *c,
					      const struct iopf_range *ranges, unsigned int nr)
{
	struct iopf_prefaults *ps = c->prefaults;
	struct iopf_prefault *p;

	lockdep_assert_held(&c->lock);

	/* Only more of them under this lock. */
	if (READ_ONCE(ps->policies) >= POLICY_MAX)
		return ERR_PTR(-EBUSY);
	p = prefault_create(ps, -1);
	if (IS_ERR(p))
		return p;
	p->policy = true;
	p->write = true;
	p->ranges = kvmalloc_array(nr, sizeof(*p->ranges), GFP_KERNEL_ACCOUNT);
	if (!p->ranges) {
		iopf_prefault_put(p);
		return ERR_PTR(-ENOMEM);
	}
	memcpy(p->ranges, ranges, nr * sizeof(*ranges));
	p->nr_ranges = nr;
	for (unsigned int i = 0; i < nr; i++)
		p->pages += range_pages(&ranges[i]);
	return p;
}

/**
 * iopf_prefault_start_policy() - begin with such a request
 * @p: the request; the caller keeps its reference
 *
 * Context: the container's lock has been held since the request was made, so that it can't fail,
 * but for containers that are being released or have no device: nothing is to be had ready there.
 * Return: its number, or 0.
 */
u64 iopf_prefault_start_policy(struct iopf_prefault *p)
{
	lockdep_assert_held(&p->ps->container->lock);

	if (!p->ps->container->domains->nr)
		return 0;
	return iopf_prefault_start(p) ? 0 : p->id;
}

/**
 * iopf_prefault_id() - the number that user space has for a request
 * @p: the request
 */
u64 iopf_prefault_id(const struct iopf_prefault *p)
{
	return p->id;
}

/**
 * iopf_prefault_start() - begin
 * @p: the request; the caller keeps its reference
 *
 * Return: 0; -EBUSY: too many are under way; -EINVAL: the container has been released meanwhile.
 */
int iopf_prefault_start(struct iopf_prefault *p)
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
	status->present = p->present;
	status->mapped = p->mapped;
	status->missed = p->missed;
}

/**
 * iopf_prefault_query() - say how far a request is, and maybe cancel it
 * @c: the container
 * @status: id is set, argsz and flags have been checked; out: the rest
 * @cancel: end it
 *
 * Context: process context; with @cancel it sleeps, but for nothing but memory.
 * Return: 0; -ENOENT: there is no such request.
 */
int iopf_prefault_query(struct iopf_container *c, struct vfio_iopf_prefault_status *status,
			bool cancel)
{
	struct iopf_prefaults *ps = c->prefaults;
	struct prefault_end end = { };
	struct iopf_prefault *p;

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
	if (cancel)
		wait_event(ps->idle, READ_ONCE(p->state) >= PREFAULT_DONE);
	scoped_guard(spinlock, &ps->lock)
		prefault_tell(p, status);
	iopf_prefault_put(p);
	return 0;
}
