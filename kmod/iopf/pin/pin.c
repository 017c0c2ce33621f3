// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pinning areas, or parts of them. hold.c decides what is pinned, and when.
 *
 * A pinned page is in the same state as under stock type1: resident, pinned (FOLL_LONGTERM),
 * mapped, and charged to RLIMIT_MEMLOCK. Faults and the notifier leave it alone.
 *
 * For device memory see mmio.c.
 *
 * Pinning works while devices run: pages that were mapped without a pin are replaced chunk by
 * chunk. A device that uses a page meanwhile faults and is answered SUCCESS.
 *
 * Pinning and charging may wait for user space without limit, so both are done without the space's
 * lock. A caller that needs memory pinned tries under the lock. If some memory is not pinned, the
 * caller undoes its changes, has the memory pinned without the lock, and tries again:
 * iopf_pin_run(). So no other thread sees a change that is half done.
 *
 * pinning vs unpinning: while any thread pins memory in advance (iopf_pins.pinning), no page is
 *   unpinned because it is not covered. The last of these threads unpins for all.
 * pinning vs unmapping, new addresses: iopf_space.serial tells that an area may be removed, or have
 *   another CPU address. Then the pages that were pinned for it are unpinned.
 * pinning vs the last group's end: without a domain there are no pinned pages; see vfio/domain.c.
 * pinning vs unbinding, the space's end: job.c.
 *
 * Locking: everything here runs under the space's lock, except what may wait for user space.
 * Charges are given back without waiting for the process's mmap lock, see host/charge.c.
 */
#include <linux/iommu.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "../host/mm.h"
#include "../map/area.h"
#include "../map/chunk.h"
#include "../map/span.h"
#include "charge.h"
#include "hold.h"
#include "job.h"
#include "mmio.h"
#include "pin.h"
#include "pins.h"

/* Attempts to pin one page, against changes by other threads. */
#define PIN_TRIES 10000

/*
 * Take over the pinned pages of a job, if nothing has changed. Returns the number of pages, or a
 * negative error number.
 */
static long job_install(struct iopf_pin_job *job, struct iopf_area *area, struct iopf_chunk *chunk,
			unsigned int page)
{
	u64 iova = chunk->iova + ((u64)page << PAGE_SHIFT);
	unsigned int first = page, gap;
	long count;
	int ret;

	if (job->mmio) {
		ret = iopf_pin_mmio(area, chunk, page);
		return ret ?: 1;
	}
	/* Another thread may have pinned some of the pages meanwhile. */
	if (!iopf_chunk_unpinned(chunk, &first, page + job->n - 1, &gap) || first != page ||
	    gap != job->n)
		return -EAGAIN;
	count = iopf_pin_count_new(area, iova, job->pages, job->n);
	if (count > job->count)
		return -EAGAIN;
	ret = iopf_chunk_pin(chunk, page, job->pages, job->n);
	if (ret)
		return ret;
	iopf_pin_job_take(job);
	iopf_pin_give_back(area->space, job->m, job->count - count);
	area->locked += count;
	return job->n;
}

/*
 * Pin the next pages of a chunk, at most @gap. The space's lock is dropped meanwhile. Returns the
 * number of pages, or a negative error number; -EAGAIN: the area may be freed.
 */
static long pin_some(struct iopf_area *area, struct iopf_chunk *chunk, unsigned int page,
		     unsigned int gap, enum pin_wait wait)
{
	struct iopf_pin_job *job =
		iopf_pin_job_create(area, chunk->iova + ((u64)page << PAGE_SHIFT), gap);
	struct iopf_space *space = area->space;
	u64 serial = space->serial;
	long n;

	if (!job)
		return -ENOMEM;
	job->now = wait == PIN_NOW;
	iopf_space_unlock_to_wait(space);
	n = iopf_pin_job_wait(job, space, wait);
	iopf_space_relock(space);
	if (!n) {
		n = serial == space->serial && space->domains->nr ?
			    job_install(job, area, chunk, page) : -EAGAIN;
		if (n < 0)
			iopf_pin_job_undo(job, space);
	}
	iopf_pin_job_put(job);
	return n;
}

/* Whether a signal interrupts the caller, which needs memory pinned. */
static bool pin_interrupted(const struct iopf_area *area)
{
	return iopf_pin_interruptible(area->mm) ? signal_pending(current) :
					     fatal_signal_pending(current);
}

/* Pin a part of an area within one chunk. */
static int pin_part(struct iopf_area *area, const struct iopf_range *part, enum pin_wait wait)
{
	unsigned int page = iopf_chunkmap_page(part->first), gap;
	unsigned int last = iopf_chunkmap_page(part->last);
	struct iopf_chunk *chunk;
	long n;

	/* A write through a pin after the last report would be in no report. */
	if (area->vaddr_invalid || area->reported)
		return -EBUSY;
	chunk = iopf_area_chunk(area, part->first, GFP_KERNEL_ACCOUNT);
	if (IS_ERR(chunk))
		return PTR_ERR(chunk);
	for (; iopf_chunk_unpinned(chunk, &page, last, &gap); page += n) {
		cond_resched();
		if (pin_interrupted(area))
			return -EINTR;
		if (!area->no_spans)
			iopf_spans_forbid(area);
		n = pin_some(area, chunk, page, gap, wait);
		if (n < 0)
			return n;
	}
	return 0;
}

/* The part of an area in its first chunk from @at on. */
static struct iopf_range first_part(const struct iopf_area *area, u64 at, u64 last)
{
	struct iopf_range part = { .first = max(at, area->range.first) };

	part.last = min3(part.first | (IOPF_CHUNK_SIZE - 1), area->range.last, last);
	return part;
}

/* Pin the areas of a range, before anything depends on it. */
static int pin_ahead(struct iopf_space *space, const struct iopf_range *range, enum pin_wait wait)
{
	struct mem_cgroup *old = set_active_memcg(space->memcg);
	unsigned int tries = 0;
	struct iopf_range part;
	u64 at = range->first;
	int ret = 0;

	while (!ret) {
		unsigned long index = at;
		struct iopf_area *area = mt_find(&space->areas, &index, range->last);

		/* Without a domain nothing is pinned. */
		if (!area || !space->domains->nr)
			break;
		part = first_part(area, at, range->last);
		ret = pin_part(area, &part, wait);
		if (ret == -EAGAIN) {
			/*
			 * Other threads keep changing the areas, or device memory is revoked again
			 * and again.
			 */
			ret = fatal_signal_pending(current) ? -EINTR :
			      tries++ < PIN_TRIES ? 0 : -EBUSY;
			continue;
		}
		tries = 0;
		if (part.last == range->last)
			break;
		at = part.last + 1;
	}
	set_active_memcg(old);
	return ret;
}

/**
 * iopf_pin_page() - pin one page of an area for an emulated device, and charge it if needed
 * @area: the area
 * @iova: the page's address; no emulated device has pinned the page
 * @page: out: the page
 *
 * Context: process context, under the space's lock, which is dropped meanwhile.
 * Return: 0; -EAGAIN: everything may have changed, look again; or an error of pinning or charging:
 * then the area may be freed, too.
 */
int iopf_pin_page(struct iopf_area *area, u64 iova, struct page **page)
{
	unsigned long index = (iova - area->range.first) >> PAGE_SHIFT;
	struct iopf_space *space = area->space;
	bool counted = iopf_pin_counted(area, iova);
	struct iopf_pin_job *job = iopf_pin_job_create(area, iova, 1);
	u64 serial = space->serial;
	int ret;

	if (!job)
		return -ENOMEM;
	if (counted)
		__set_bit(0, job->charged);
	iopf_space_unlock_to_wait(space);
	ret = iopf_pin_job_wait(job, space, PIN_ALONE);
	iopf_space_relock(space);
	if (!ret && job->mmio)
		ret = -EFAULT;
	if (!ret && (serial != space->serial || area->leaving || area->reported ||
		     xa_load(&area->pins, index) || iopf_pin_counted(area, iova) != counted)) {
		iopf_pin_job_undo(job, space);
		ret = fatal_signal_pending(current) ? -EINTR : -EAGAIN;
	}
	if (!ret) {
		iopf_pin_job_take(job);
		area->locked += job->count;
		*page = job->pages[0];
	}
	iopf_pin_job_put(job);
	return ret;
}

/**
 * iopf_pin_require() - check whether all of a part of an area is pinned
 * @area: the area
 * @range: whole pages of it
 *
 * Context: process context, under the space's lock.
 * Return: 0; -EBUSY while its CPU address is invalid, or after its last report; -EAGAIN: some of it
 * is not pinned, and iopf_pin_run() knows where to continue.
 */
int iopf_pin_require(struct iopf_area *area, const struct iopf_range *range)
{
	struct iopf_space *space = area->space;
	struct iopf_range part = { };
	struct iopf_chunk *chunk;
	unsigned int page, gap;

	lockdep_assert_held(&space->lock);

	/* A write through a pin after the last report would be in no report. */
	if (area->vaddr_invalid || area->reported)
		return -EBUSY;
	for (u64 at = range->first;; at = part.last + 1) {
		part = first_part(area, at, range->last);
		page = iopf_chunkmap_page(part.first);
		chunk = iopf_area_chunk_there(area, part.first);
		if (!area->no_spans || !chunk ||
		    iopf_chunk_unpinned(chunk, &page, iopf_chunkmap_page(part.last), &gap)) {
			space->pins->missing = (struct iopf_range){ part.first, range->last };
			return -EAGAIN;
		}
		if (part.last == range->last)
			return 0;
		cond_resched();
	}
}

/* Call a function that needs memory pinned, again and again until it is pinned. */
static int pin_run(struct iopf_space *space, iopf_pin_fn fn, void *data, enum pin_wait wait)
{
	unsigned int rounds = 0;
	bool ahead = false;
	int ret;

	lockdep_assert_held(&space->lock);

	while ((ret = fn(space, data)) == -EAGAIN) {
		struct iopf_range missing = space->pins->missing;

		if (ahead && wait == PIN_NOW)
			ret = -EBUSY;
		space->pins->pinning += !ahead;
		ahead = true;
		rounds++;
		if (ret == -EAGAIN)
			ret = pin_ahead(space, &missing, wait);
		if (ret)
			break;
	}
	/* Pages may have been pinned in vain, or for a state that has changed since. */
	if (ret || rounds > 1)
		space->pins->undrained = true;
	/*
	 * Unpin these pages, and those that other threads could not unpin meanwhile. This goes
	 * through all areas.
	 */
	if (ahead && !--space->pins->pinning && space->pins->undrained) {
		space->pins->undrained = false;
		iopf_hold_drain_all(space);
	}
	return ret;
}

/**
 * iopf_pin_run() - call a function that needs memory pinned
 * @space: the space, locked; unlocked during each wait, so everything may change
 * @fn: the function. If it fails it has changed nothing. It returns -EAGAIN when iopf_pin_require()
 *      did. It is called until it does not return -EAGAIN, and has to find everything anew each
 *      time.
 * @data: for @fn
 *
 * Memory that is not pinned is pinned without the space's lock, since this may wait for user space
 * without limit. It stays pinned until this returns.
 *
 * Context: process context; the caller holds no lock that others need but the space's.
 * Return: the result of @fn, never -EAGAIN; or the reason why memory could not be pinned: -ENOMEM
 * over RLIMIT_MEMLOCK or out of memory; -EFAULT without memory or permission; -ESRCH when its
 * process is gone; -EBUSY while its CPU address is invalid, after its last report, or after too
 * many attempts; -EINTR when a signal came.
 */
int iopf_pin_run(struct iopf_space *space, iopf_pin_fn fn, void *data)
{
	return pin_run(space, fn, data, PIN_ALONE);
}

/**
 * iopf_pin_run_held() - as iopf_pin_run(), for a caller that holds a resource that others wait for
 * @space: the space, locked
 * @fn: as of iopf_pin_run()
 * @data: for @fn
 *
 * Return: as iopf_pin_run(); -ENODEV when it has to wait and a device of the space is being
 * unbound, or the space has ended.
 */
int iopf_pin_run_held(struct iopf_space *space, iopf_pin_fn fn, void *data)
{
	return pin_run(space, fn, data, PIN_HELD);
}

/**
 * iopf_pin_run_now() - as iopf_pin_run(), without waiting: absent pages are not pinned
 * @space: the space, locked
 * @fn: as of iopf_pin_run()
 * @data: for @fn
 */
int iopf_pin_run_now(struct iopf_space *space, iopf_pin_fn fn, void *data)
{
	return pin_run(space, fn, data, PIN_NOW);
}

/* Unpin the pinned pages in [page, last]. Returns how many of them were charged. */
static long drop_chunk(struct iopf_area *area, struct iopf_chunk *chunk, unsigned int page,
		       unsigned int last, struct page **pages)
{
	long charged = 0;
	unsigned int n;
	bool mmio;

	for (; iopf_chunk_unpin(chunk, &page, last, pages, &n, &mmio); page += n) {
		if (mmio)
			continue;
		charged +=
			iopf_pin_count_new(area, chunk->iova + ((u64)page << PAGE_SHIFT), pages, n);
		unpin_user_pages_dirty_lock(pages, n, area->prot & IOMMU_WRITE);
		cond_resched();
	}
	return charged;
}

/**
 * iopf_pin_drop() - unpin the pinned pages of a part of an area; from now on they are faulted in
 * @area: the area
 * @range: whole pages of it
 *
 * Pages that were pinned as a whole 2 MiB stay pinned, unless all of them are in @range.
 *
 * Context: process context, under the space's lock.
 */
void iopf_pin_drop(struct iopf_area *area, const struct iopf_range *range)
{
	struct iopf_chunk *chunk;
	unsigned long index;
	struct page **pages;
	long charged = 0;

	lockdep_assert_held(&area->space->lock);

	pages = kmalloc_array(IOPF_CHUNK_PAGES, sizeof(*pages), GFP_KERNEL | __GFP_NOFAIL);
	xa_for_each_range(&area->chunks, index, chunk, iopf_area_chunk_index(area, range->first),
			  iopf_area_chunk_index(area, range->last)) {
		unsigned int first = range->first > chunk->iova ? iopf_chunkmap_page(range->first)
								: 0;
		unsigned int last = range->last < chunk->iova + (IOPF_CHUNK_SIZE - 1) ?
					    iopf_chunkmap_page(range->last) :
					    IOPF_CHUNK_PAGES - 1;

		if (chunk->whole && (first || last < IOPF_CHUNK_PAGES - 1))
			continue;
		charged += drop_chunk(area, chunk, first, last, pages);
		cond_resched();
	}
	iopf_pin_uncharge(area, charged);
	kfree(pages);
}
