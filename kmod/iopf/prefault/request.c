// SPDX-License-Identifier: GPL-2.0-only
/*
 * A request to have memory ready before a device uses it: what it is about, ranges that user space
 * names or a working set (workset.c), and how it is done: range by range, each a slice at a time
 * (slice.c). When that happens, what else can happen to it, and the races are requests.c's.
 *
 * What a request is about is checked once, in the ioctl. Areas may go or change until its turn
 * comes, so each slice looks for its area anew; what is not there any more is counted as missed.
 *
 * run vs cancel, release: while it is ACTIVE the space stays; prefault_wait() is the one place
 *   where it is not, and what comes after that begins with asking whether it still may.
 *
 * A request for what has no policy of its own finds its ranges as it goes on: there may be any
 * number of them.
 *
 * Locking: the space's lock for the check, and to find such ranges. The worker has what a
 * request is about for itself; what it counts is under the set's lock.
 */
#include <linux/eventfd.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio_iopf.h>

#include "../map/area.h"
#include "../map/chunk.h"
#include "../map/space.h"
#include "../pin/policy.h"
#include "request.h"
#include "requests.h"
#include "slice.h"

static u64 range_pages(const struct iopf_range *range)
{
	return ((range->last - range->first) >> PAGE_SHIFT) + 1;
}

/**
 * iopf_prefault_forget() - forget what a request is about
 * @p: the request; it has ended, or never began, and has no worker
 */
void iopf_prefault_forget(struct iopf_prefault *p)
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
	iopf_prefault_forget(p);
	iopf_slice_end(&p->slice);
	iopf_pool_put(p->pool);
	if (p->eventfd)
		eventfd_ctx_put(p->eventfd);
	iopf_prefaults_put(p->ps);
	kfree(p);
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

/* The next range that has no policy of its own. */
static bool rest_next(struct iopf_prefault *p, struct iopf_space *space, struct iopf_range *range)
{
	if (!p->rest)
		return false;
	scoped_guard(mutex, &space->lock)
		p->rest = iopf_policy_next_default(space, p->rest_at, range);
	if (!p->rest)
		return false;
	p->rest_at = range->last + 1;
	/* There is nothing beyond the very last address. */
	p->rest = p->rest_at;
	return true;
}

static bool prefault_next(struct iopf_prefault *p, struct iopf_space *space,
			  struct iopf_range *range)
{
	if (p->data)
		return workset_next(p, range);
	if (!p->ranges)
		return rest_next(p, space, range);
	if (p->next_range == p->nr_ranges)
		return false;
	*range = p->ranges[p->next_range++];
	return true;
}

static void prefault_missed(struct iopf_prefault *p, u64 pages)
{
	if (pages)
		iopf_prefaults_account(p, 0, 0, pages);
}

static void prefault_count(struct iopf_prefault *p, const struct iopf_slice *s, bool done)
{
	/* Some may have gone again. */
	unsigned int good = max(s->good, s->present);

	iopf_prefaults_account(p, s->present, good - s->present,
			       done ? iopf_slice_pages(s) - good : 0);
}

/*
 * What a slice has to wait for, without the space. -EIDRM: the request has ended meanwhile,
 * and the space may have, too. -ERESTART: it is ASLEEP, and goes on when it is run again.
 */
static int prefault_wait(struct iopf_prefault *p, struct mem_cgroup *memcg, struct iopf_slice *s)
{
	int ret;

	if (!iopf_prefaults_doze(p))
		return -ECANCELED;
	ret = iopf_slice_wait(s, memcg);
	if (ret == -EINTR)
		return -ERESTART;
	return iopf_prefaults_activate(p) ? ret : -EIDRM;
}

/* Whether somebody else has to go on: a thread of the process, unless that has ended. */
static bool prefault_moves(const struct iopf_slice *s)
{
	return s->pool->mm != current->mm && !READ_ONCE(s->pool->dead);
}

static int prefault_slice(struct iopf_prefault *p, struct iopf_space *space,
			  struct mem_cgroup *memcg, struct iopf_slice *s)
{
	enum iopf_slice_state state;
	int ret;

	/* What it wanted before it was interrupted. */
	iopf_slice_end(s);
	for (;;) {
		state = iopf_slice_map(space, s);
		if (state == IOPF_SLICE_DONE)
			return 0;
		ret = -EAGAIN;
		if (state == IOPF_SLICE_WANT && prefault_moves(s))
			return iopf_prefaults_doze(p) ? -ERESTART : -ECANCELED;
		if (state == IOPF_SLICE_WANT)
			ret = iopf_slice_populate(s, &p->stop);
		if (ret == -EAGAIN)
			ret = prefault_wait(p, memcg, s);
		if (!ret && READ_ONCE(p->stop))
			ret = -ECANCELED;
		if (ret)
			return ret;
		cond_resched();
	}
}

/* What is left of a range. -ERESTART: it goes on when it is run again. */
static int prefault_range(struct iopf_prefault *p, struct iopf_space *space,
			  struct mem_cgroup *memcg)
{
	struct iopf_range *left = &p->left;
	struct iopf_slice *s = &p->slice;
	int ret;

	for (;;) {
		if (!p->in_slice) {
			if (!iopf_slice_cut(space, left, p->write, !p->data && !p->policy, s)) {
				prefault_missed(p, range_pages(left));
				return 0;
			}
			prefault_missed(p, (s->range.first - left->first) >> PAGE_SHIFT);
			p->in_slice = true;
		}
		ret = prefault_slice(p, space, memcg, s);
		if (ret == -ERESTART)
			return ret;
		p->in_slice = false;
		iopf_slice_end(s);
		/* What user space has been told last stays true. */
		if (ret != -EIDRM)
			prefault_count(p, s, !ret);
		if (ret)
			return ret;
		if (s->range.last == left->last)
			return 0;
		if (READ_ONCE(p->stop))
			return -ECANCELED;
		left->first = s->range.last + 1;
		cond_resched();
	}
}

/**
 * iopf_prefault_run() - do what a request is about, in its worker
 * @p: the request; ACTIVE
 * @space: its space, which is there while the request is ACTIVE, no longer
 * @memcg: who pays for what is populated
 *
 * Context: process context; sleeps, for ever in ASLEEP.
 * Return: 0; -ECANCELED: it was to stop; -EIDRM: it has ended meanwhile; -ERESTART: it is ASLEEP,
 * and to be run again, by a thread of @p->slice.pool if there is one; or why it failed.
 */
int iopf_prefault_run(struct iopf_prefault *p, struct iopf_space *space, struct mem_cgroup *memcg)
{
	int ret;

	while (p->in_range || (!READ_ONCE(p->stop) && prefault_next(p, space, &p->left))) {
		p->in_range = true;
		ret = prefault_range(p, space, memcg);
		if (ret)
			return ret;
		p->in_range = false;
		cond_resched();
	}
	return READ_ONCE(p->stop) ? -ECANCELED : 0;
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
	refcount_set(&p->refs, 1);
	iopf_prefaults_join(ps, p);
	return p;
}

/* What user space says, as whole pages. */
static int range_get(struct iopf_range *range, const struct vfio_iopf_range __user *from)
{
	struct vfio_iopf_range user;

	if (copy_from_user(&user, from, sizeof(user)))
		return -EFAULT;
	return iopf_range_init_pages(range, user.iova, user.size);
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

/* Under the space's lock: there is a device that could use it, and the ranges are right. */
static int prefault_check(struct iopf_space *space, const struct iopf_prefault *p, int prot)
{
	int ret;

	if (mutex_lock_killable(&space->lock))
		return -EINTR;
	ret = space->domains->nr ? 0 : -EINVAL;
	for (unsigned int i = 0; !ret && i < p->nr_ranges; i++)
		ret = iopf_space_check(space, &p->ranges[i], prot, false);
	mutex_unlock(&space->lock);
	return ret;
}

/**
 * iopf_prefault_of_ranges() - a request for ranges
 * @space: the space
 * @arg: argsz and flags have been checked
 *
 * Context: process context; takes the space's lock.
 * Return: the request, not started; an error pointer with what VFIO_IOPF_PREFAULT answers.
 */
struct iopf_prefault *iopf_prefault_of_ranges(struct iopf_space *space,
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

	p = prefault_create(space->prefaults, signal ? arg->eventfd : -1);
	if (IS_ERR(p))
		return p;
	p->write = prot & IOMMU_WRITE;
	ret = ranges_get(p, arg);
	if (!ret)
		ret = prefault_check(space, p, prot);
	if (ret) {
		iopf_prefault_put(p);
		return ERR_PTR(ret);
	}
	return p;
}

/**
 * iopf_prefault_of_workset() - a request for a working set
 * @space: the space
 * @data: the working set, of kvmalloc(); taken over, also on error
 * @size: its size
 * @eventfd: to be signalled; negative: none
 *
 * Context: process context; takes the space's lock.
 * Return: the request, not started; an error pointer with the ioctl's error.
 */
struct iopf_prefault *iopf_prefault_of_workset(struct iopf_space *space, u8 *data, size_t size,
					       int eventfd)
{
	struct iopf_prefault *p = prefault_create(space->prefaults, eventfd);
	int ret;

	if (IS_ERR(p)) {
		kvfree(data);
		return p;
	}
	p->data = data;
	ret = iopf_workset_walk_init(&p->walk, data, size, &p->pages);
	if (!ret)
		ret = prefault_check(space, p, 0);
	if (ret) {
		iopf_prefault_put(p);
		return ERR_PTR(ret);
	}
	return p;
}

/**
 * iopf_prefault_of_policy() - a request for what has the policy to be ready
 * @space: the space, locked
 * @range: whole pages, mapped; NULL: all that has no policy of its own when the request gets there
 *
 * Return: the request, not started; an error pointer: -ENOMEM; -EBUSY: too many are under way.
 */
struct iopf_prefault *iopf_prefault_of_policy(struct iopf_space *space,
					      const struct iopf_range *range)
{
	struct iopf_prefault *p;

	lockdep_assert_held(&space->lock);

	if (!iopf_prefaults_policy_room(space->prefaults))
		return ERR_PTR(-EBUSY);
	p = prefault_create(space->prefaults, -1);
	if (IS_ERR(p))
		return p;
	p->policy = true;
	p->write = true;
	if (!range) {
		p->rest = true;
		p->pages = space->area_pages;
		return p;
	}
	p->ranges = kmemdup(range, sizeof(*range), GFP_KERNEL_ACCOUNT);
	if (!p->ranges) {
		iopf_prefault_put(p);
		return ERR_PTR(-ENOMEM);
	}
	p->nr_ranges = 1;
	p->pages = range_pages(range);
	return p;
}

/**
 * iopf_prefault_id() - the number that user space has for a request
 * @p: the request
 */
u64 iopf_prefault_id(const struct iopf_prefault *p)
{
	return p->id;
}
