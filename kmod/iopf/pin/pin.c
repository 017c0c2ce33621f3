// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pinning areas, or parts of them. Who wants that, and when, is the matter of hold.c.
 *
 * A pinned page is as stock type1 has it: resident, pinned
 * (FOLL_LONGTERM), mapped, and charged to RLIMIT_MEMLOCK. Faults and the
 * notifier leave it alone.
 *
 * Memory of devices is the business of mmio.c.
 *
 * Pinning works on a running device: pages that were mapped without a pin
 * are replaced chunk by chunk, and a device that meets the gap faults and is told
 * to go on.
 *
 * Pinning, and charging for it, waits for user space for as long as user space likes, so it is done
 * without the space's lock. Who wants something pinned tries under the lock; when
 * something is not pinned, it takes back what it did, has it pinned ahead without the lock, and
 * tries again: iopf_pin_run(). So nobody meets a change that is half done.
 *
 * pinning vs unpinning: while anything is being pinned ahead (iopf_pins.pinning) nothing is
 *   unpinned for want of a reason; the last one to end does that for all.
 * pinning vs unmapping, new addresses: iopf_space.serial tells that an area may be gone, or
 *   elsewhere; pages that were pinned then are let go again.
 * pinning vs the last group's end: without a domain there are no pinned pages; see
 *   vfio/domain.c.
 * pinning vs unbinding, the space's end: job.c.
 *
 * Locking: everything here runs under the space's lock, but for what may wait. Charges are
 * given back without waiting for the process's mmap lock, see host/charge.c.
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

/* How often pinning one page is tried against others' changes of what is mapped. */
#define PIN_TRIES 10000

/* Take over what has been pinned, if all is as it was. How many pages, or -errno. */
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
	/* Somebody else may have pinned some of it meanwhile. */
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
 * Pin the next pages of a chunk, at most @gap; the space's lock is dropped meanwhile. How many,
 * or a negative error number; -EAGAIN: the area may be gone.
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

/* Whether whoever wants memory pinned wants it no more. */
static bool pin_interrupted(const struct iopf_area *area)
{
	return iopf_pin_interruptible(area->mm) ? signal_pending(current) :
					     fatal_signal_pending(current);
}

/* The same for a part of an area within one chunk. */
static int pin_part(struct iopf_area *area, const struct iopf_range *part, enum pin_wait wait)
{
	unsigned int page = iopf_chunkmap_page(part->first), gap;
	unsigned int last = iopf_chunkmap_page(part->last);
	struct iopf_chunk *chunk;
	long n;

	/* What is written through a pin after the last report would be in none. */
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

/* Pin what is mapped of a range, before anything depends on it. */
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

		/* Nothing is pinned where no domain could know it. */
		if (!area || !space->domains->nr)
			break;
		part = first_part(area, at, range->last);
		ret = pin_part(area, &part, wait);
		if (ret == -EAGAIN) {
			/* Others make changes all the time, or a device's memory comes and goes. */
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
 * iopf_pin_page() - pin one page of an area for an emulated device, and charge it if need be
 * @area: the area
 * @iova: the page's address; no emulated device has it pinned
 * @page: out: the page
 *
 * Context: process context, under the space's lock, which is dropped meanwhile.
 * Return: 0; -EAGAIN: all may be different, look again; what pinning and charging return: then the
 * area may be gone, too.
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
 * iopf_pin_require() - find out whether all of a part of an area is pinned
 * @area: the area
 * @range: whole pages of it
 *
 * Context: process context, under the space's lock.
 * Return: 0; -EBUSY while its CPU address is invalid; -EAGAIN: it is not, and iopf_pin_run() knows
 * where to go on.
 */
int iopf_pin_require(struct iopf_area *area, const struct iopf_range *range)
{
	struct iopf_space *space = area->space;
	struct iopf_range part = { };
	struct iopf_chunk *chunk;
	unsigned int page, gap;

	lockdep_assert_held(&space->lock);

	/* What is written through a pin after the last report would be in none. */
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

/* Do something that wants memory pinned, again and again until it is. */
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
	/* In vain, or for what has changed by now. */
	if (ret || rounds > 1)
		space->pins->undrained = true;
	/* That, and what others could not unpin meanwhile. It is a walk over all areas. */
	if (ahead && !--space->pins->pinning && space->pins->undrained) {
		space->pins->undrained = false;
		iopf_hold_drain_all(space);
	}
	return ret;
}

/**
 * iopf_pin_run() - do something that wants memory pinned
 * @space: the space, locked; unlocked while something is waited for, so all may change
 * @fn: does it, or fails and has changed nothing: with -EAGAIN when iopf_pin_require() did. It is
 *      called until it does not, and has to find everything anew each time.
 * @data: for @fn
 *
 * What is not pinned gets pinned without the space's lock: that waits for user space for as
 * long as user space likes. What has been pinned stays until it is over.
 *
 * Context: process context; the caller holds no lock but the space's that others need.
 * Return: what @fn returns, never -EAGAIN; or what kept memory from being pinned: -ENOMEM over
 * RLIMIT_MEMLOCK or out of memory; -EFAULT without memory or permission; -ESRCH when its process is
 * gone; -EBUSY while its CPU address is invalid; -EINTR when a signal came.
 */
int iopf_pin_run(struct iopf_space *space, iopf_pin_fn fn, void *data)
{
	return pin_run(space, fn, data, PIN_ALONE);
}

/**
 * iopf_pin_run_held() - the same for whoever holds what others may wait for
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
 * iopf_pin_run_now() - the same for what waits for nothing: what is not there is not pinned
 * @space: the space, locked
 * @fn: as of iopf_pin_run()
 * @data: for @fn
 */
int iopf_pin_run_now(struct iopf_space *space, iopf_pin_fn fn, void *data)
{
	return pin_run(space, fn, data, PIN_NOW);
}

/* Unpin what is pinned in [page, last]. How many pages were charged for that. */
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
 * iopf_pin_drop() - unpin what is pinned of a part of an area; it is faulted in from now on
 * @area: the area
 * @range: whole pages of it
 *
 * What was pinned as a whole 2 MiB, and is not in @range as such, stays.
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
