// SPDX-License-Identifier: GPL-2.0-only
/*
 * One prefault request: which memory it covers, and how the worker maps it. A request covers ranges
 * that user space names, or a working set (workset.c). The worker goes through it range by range,
 * and through each range slice by slice (slice.c). requests.c has the states of requests and the
 * races.
 *
 * The ranges of a request are checked once, in the ioctl. Areas may be unmapped or changed until
 * the request has its turn. So each slice looks its area up again, and pages without an area count
 * as failed.
 *
 * run vs cancel, release: the space stays while the request is ACTIVE. Only prefault_wait() leaves
 *   ACTIVE. After the wait it calls iopf_prefaults_activate() to learn whether the space may still
 *   be used.
 *
 * A request for the ranges without a policy of their own finds them one by one, because their
 * number is not limited.
 *
 * Locking: the space's lock protects the check, and the search for such ranges. The ranges of a
 * request belong to its worker. The set's lock protects the counters.
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
 * iopf_prefault_forget() - free the ranges or the working set of a request
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
 * @p: the request; the last reference frees it
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

/* Find the next run of pages of a working set. */
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

/* Find the next range that has no policy of its own. */
static bool rest_next(struct iopf_prefault *p, struct iopf_space *space, struct iopf_range *range)
{
	if (!p->rest)
		return false;
	scoped_guard(mutex, &space->lock)
		p->rest = iopf_policy_next_default(space, p->rest_at, range);
	if (!p->rest)
		return false;
	p->rest_at = range->last + 1;
	/* 0: the range ended at the last address of all. */
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
	/* Some pages that were mapped first may have been unmapped again. */
	unsigned int good = max(s->good, s->present);

	iopf_prefaults_account(p, s->present, good - s->present,
			       done ? iopf_slice_pages(s) - good : 0);
}

/*
 * Wait for what the slice needs, without using the space. Returns -EIDRM if the request has ended
 * meanwhile: the space may be freed, too. Returns -ERESTART if the request is ASLEEP and has to be
 * run again.
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

/* Return whether a thread of another process has to continue. False if that process has ended. */
static bool prefault_moves(const struct iopf_slice *s)
{
	return s->pool->mm != current->mm && !READ_ONCE(s->pool->dead);
}

static int prefault_slice(struct iopf_prefault *p, struct iopf_space *space,
			  struct mem_cgroup *memcg, struct iopf_slice *s)
{
	enum iopf_slice_state state;
	int ret;

	/* Drop the pages that were wanted before an interruption. */
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

/* Map the rest of a range. Returns -ERESTART if the request has to be run again to continue. */
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
		/* The counters of a request that has ended must not change. */
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
 * iopf_prefault_run() - map the memory of a request, in its worker
 * @p: the request; ACTIVE
 * @space: the space of the request; it stays only while the request is ACTIVE
 * @memcg: the memory cgroup to charge for page tables
 *
 * Context: process context; sleeps, in ASLEEP without a limit.
 * Return: 0; -ECANCELED: it was asked to stop; -EIDRM: the request has ended meanwhile; -ERESTART:
 * the request is ASLEEP, and has to be run again, by a thread of @p->slice.pool if there is one; or
 * the error of a request that failed.
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

/* Copy a range from user space, and check that it consists of whole pages. */
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

/* Check that the space has a domain, so that a device can use the memory, and check the ranges. */
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
 * iopf_prefault_of_ranges() - make a request for ranges
 * @space: the space
 * @arg: argsz and flags have been checked
 *
 * Context: process context; takes the space's lock.
 * Return: the request, not started; or an error pointer with the error of VFIO_IOPF_PREFAULT.
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
 * iopf_prefault_of_workset() - make a request for a working set
 * @space: the space
 * @data: the working set, of kvmalloc(); this function takes it over, also on error
 * @size: size of @data in bytes
 * @eventfd: the eventfd to signal at the end; negative: none
 *
 * Context: process context; takes the space's lock.
 * Return: the request, not started; or an error pointer with the ioctl's error.
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
 * iopf_prefault_of_policy() - make a request for memory with the policy prefault
 * @space: the space, locked
 * @range: whole pages, mapped; NULL: all ranges that have no policy of their own when the worker
 *         gets to them
 *
 * Return: the request, not started; or an error pointer: -ENOMEM; -EBUSY: too many requests are
 * under way.
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
 * iopf_prefault_id() - return the number by which user space knows a request
 * @p: the request
 */
u64 iopf_prefault_id(const struct iopf_prefault *p)
{
	return p->id;
}
