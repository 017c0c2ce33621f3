// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pinning areas, or parts of them. Who wants that, and when, is the matter of hold.c.
 *
 * A pinned page is as stock type1 has it: resident, pinned
 * (FOLL_LONGTERM), mapped, and charged to RLIMIT_MEMLOCK. Faults and the
 * notifier leave it alone.
 *
 * Memory of devices (VM_PFNMAP) has no pages to pin. It is mapped by the fault path, hence
 * under the notifier's protection, and held as if pinned. When its owner revokes
 * it, a device that can't fault would never get it back, so the space keeps
 * trying until the memory is there again or its mapping gone: iopf_pin_repair().
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
 * pinning vs unpinning: while anything is being pinned ahead (iopf_space.pinning) nothing is
 *   unpinned for want of a reason; the last one to end does that for all.
 * pinning vs unmapping, new addresses: iopf_space.serial tells that an area may be gone, or
 *   elsewhere; pages that were pinned then are let go again.
 * pinning vs the last group's end: without a domain there are no pinned pages; see attach.c.
 * pinning vs unbinding, the space's end: some who want memory pinned hold what others wait for:
 *   the VFIO core's locks of a group that joins, a file in sysfs that is to be removed. They wait
 *   for a thread of the process (iopf_pin_run_held()), and leave it when a device of the space
 *   is unbound, or the space ends: iopf_pin_end(). Either the wait is in the space's list
 *   by then, or it finds the reason (iopf_space.unbinding, ended). The thread may be in a wait
 *   that nobody can end. It uses nothing but its job; whatever it has pinned and charged by the end
 *   it gives back itself.
 *
 * Charging follows stock type1 page by page, in the order of addresses, so that the same
 * error comes first: pages that are not reserved count, once, whether they are pinned here, or for
 * an emulated device (emulated.c), or both.
 *
 * Locking: everything here runs under the space's lock, but for what may wait. Charges are
 * given back without waiting for the process's mmap lock, see host/charge.c.
 */
#include <linux/cleanup.h>
#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "../budget/budget.h"
#include "../host/charge.h"
#include "../host/mm.h"
#include "../host/run.h"
#include "../lib/params.h"
#include "../lib/timing.h"
#include "../map/area.h"
#include "../map/chunk.h"
#include "../map/span.h"
#include "hold.h"
#include "pin.h"
#include "pins.h"

/* How often mapping a device's memory is tried against invalidations and lack of memory. */
#define MMIO_ATTEMPTS 64

/* How often pinning one page is tried against others' changes of what is mapped. */
#define PIN_TRIES 10000

/*
 * Give back charged pages, under the space's lock or, without @space, when nobody waits for it. If
 * they can't be at once, the process does before its ioctl returns, or a worker.
 */
static void uncharge(struct iopf_space *space, struct iopf_mm *m, long pages)
{
	if (!iopf_charge_undo(m, pages) && space)
		WRITE_ONCE(space->pins->owing, true);
}

/* A view of the caller's memory that is owed charges, with a reference, or NULL. */
static struct iopf_mm *owing_mm(struct iopf_space *space)
{
	bool owing = false;
	struct iopf_mm *m;

	lockdep_assert_held(&space->lock);

	list_for_each_entry(m, &space->mms, node) {
		if (!atomic_long_read_acquire(&m->owed))
			continue;
		owing = true;
		if (m->mm == current->mm) {
			refcount_inc(&m->refs);
			return m;
		}
	}
	WRITE_ONCE(space->pins->owing, owing);
	return NULL;
}

/**
 * iopf_pin_settle() - the caller is about to return to user space, which may look at its charges
 * @space: the space, not locked
 */
void iopf_pin_settle(struct iopf_space *space)
{
	struct iopf_mm *m;
	int ret = 0;

	while (unlikely(READ_ONCE(space->pins->owing)) && current->mm && !ret) {
		/* The worker gives back the charges of who is killed. */
		if (mutex_lock_killable(&space->lock))
			break;
		m = owing_mm(space);
		mutex_unlock(&space->lock);
		if (!m)
			break;
		ret = iopf_charge_settle(m);
		iopf_mm_put(m);
	}
}

/**
 * iopf_pin_uncharge() - give charged pages of an area back to its owner
 * @area: the area
 * @pages: how many
 */
void iopf_pin_uncharge(struct iopf_area *area, long pages)
{
	lockdep_assert_held(&area->space->lock);

	uncharge(area->space, area->mm, pages);
	area->locked -= pages;
}

/**
 * iopf_pin_charge_new_owner() - move an area's charge to another process
 * @area: the area; its task, mm and lock_cap are still the old owner's
 * @task: the new owner, who is calling
 * @mm: the new owner's
 * @lock_cap: the new owner is not limited
 *
 * Return: 0; -ENOMEM and nothing has changed; -EAGAIN: the same, for the new owner's address space
 * is in use, and the caller waits for it without the space's lock.
 */
int iopf_pin_charge_new_owner(struct iopf_area *area, struct task_struct *task,
			      struct mm_struct *mm, bool lock_cap)
{
	long pages = area->locked;
	int ret;

	lockdep_assert_held(&area->space->lock);

	if (!pages)
		return 0;
	if (!down_write_trylock(&mm->mmap_lock))
		return -EAGAIN;
	ret = __account_locked_vm(mm, pages, true, task, lock_cap);
	mmap_write_unlock(mm);
	if (!ret)
		uncharge(area->space, area->mm, pages);
	return ret;
}

/* How many of @n pages, the first at @iova, are to be charged. */
static long count_new(struct iopf_area *area, u64 iova, struct page **pages, unsigned int n)
{
	unsigned long index = (iova - area->range.first) >> PAGE_SHIFT;
	long count = 0;

	for (unsigned int i = 0; i < n; i++)
		if (iopf_pin_counts(pages[i]) && !xa_load(&area->pins, index + i))
			count++;
	return count;
}

/* How memory that is pinned may be waited for. */
enum pin_wait {
	PIN_ALONE,	/* nobody else waits */
	PIN_HELD,	/* others do: until iopf_pin_end() */
	PIN_NOW,	/* not at all */
};

/**
 * struct pin_job - pages that are being pinned, without the space's lock
 * @run: for having it done by a thread of the process; has the reference of whoever pins
 * @node: in iopf_space.waits, under its waits_lock
 * @m: whose, referenced
 * @task: whose RLIMIT_MEMLOCK counts, referenced
 * @lock_cap: it is not limited
 * @write: for writing
 * @now: wait for nothing: what is not there is not pinned
 * @mmio: out: there is devices' memory, in the CPU's page tables
 * @vaddr: the first
 * @n: in: how many; out: how many have been pinned
 * @charged: those that are charged for an emulated device; in: already
 * @count: out: how many have been charged now
 * @pinned: out: @pages are pinned, @count charged, and both are the job's to give back
 * @pages: out: the pages
 */
struct pin_job {
	struct iopf_run run;
	struct list_head node;
	struct iopf_mm *m;
	struct task_struct *task;
	bool lock_cap;
	bool write;
	bool now;
	bool mmio;
	unsigned long vaddr;
	unsigned int n;
	DECLARE_BITMAP(charged, IOPF_CHUNK_PAGES);
	long count;
	bool pinned;
	struct page *pages[];
};

/* Pin up to @n pages. How many, or a negative error number. */
static long job_pin(struct pin_job *job)
{
	unsigned int flags = FOLL_LONGTERM | (job->write ? FOLL_WRITE : 0) |
			     (job->now ? FOLL_NOFAULT : 0);
	struct mm_struct *mm = job->m->mm;
	long ret = -EINTR;

	if (!mmget_not_zero(mm))
		return -ESRCH;
	if (job->now ? mmap_read_trylock(mm) : !mmap_read_lock_killable(mm)) {
		ret = iopf_mm_pin(mm, job->vaddr, job->n, flags, job->pages);
		mmap_read_unlock(mm);
	}
	mmput_async(mm);
	return ret ?: -EFAULT;
}

/* All of it that may wait for user space, as long as it likes. 0 or a negative error number. */
static int job_do(struct pin_job *job)
{
	long count = 0, n = job_pin(job);
	int ret;

	if (n == -EINTR)
		return n;
	if (n < 0) {
		ret = iopf_mm_populate_mmio(job->m->mm, job->vaddr, job->write, job->now);
		job->mmio = !ret;
		return ret ? n : 0;
	}
	for (unsigned int i = 0; i < n; i++)
		count += iopf_pin_counts(job->pages[i]) && !test_bit(i, job->charged);
	ret = iopf_charge(job->task, job->m->mm, job->lock_cap, count, job->now);
	if (ret) {
		unpin_user_pages(job->pages, n);
		return ret;
	}
	job->n = n;
	job->count = count;
	job->pinned = true;
	return 0;
}

static int job_run(struct iopf_run *run)
{
	return job_do(container_of(run, struct pin_job, run));
}

/* What nobody has taken over is given back. No lock is held, or the space's. */
static void job_undo(struct pin_job *job, struct iopf_space *space)
{
	if (!job->pinned)
		return;
	job->pinned = false;
	unpin_user_pages(job->pages, job->n);
	uncharge(space, job->m, job->count);
}

static void job_free(struct iopf_run *run)
{
	struct pin_job *job = container_of(run, struct pin_job, run);

	job_undo(job, NULL);
	put_task_struct(job->task);
	iopf_mm_put(job->m);
	kfree(job);
}

/* The next @n pages of an area, from @iova on. NULL: no memory. */
static struct pin_job *job_create(struct iopf_area *area, u64 iova, unsigned int n)
{
	unsigned long index = (iova - area->range.first) >> PAGE_SHIFT;
	struct pin_job *job = kzalloc(struct_size(job, pages, n), GFP_KERNEL);

	if (!job)
		return NULL;
	iopf_run_init(&job->run, job_run, job_free);
	INIT_LIST_HEAD(&job->node);
	job->n = n;
	job->m = area->mm;
	refcount_inc(&job->m->refs);
	job->task = get_task_struct(area->task);
	job->lock_cap = area->lock_cap;
	job->write = area->prot & IOMMU_WRITE;
	job->vaddr = iopf_area_vaddr(area, iova);
	for (unsigned int i = 0; i < n; i++)
		if (xa_load(&area->pins, index + i))
			__set_bit(i, job->charged);
	return job;
}

/* The space is as it was: the pages are the caller's now. */
static void job_take(struct pin_job *job)
{
	job->pinned = false;
}

/* Whether whoever wants memory pinned may be interrupted by any signal. */
static bool pin_interruptible(const struct iopf_mm *m)
{
	/* An administrator may end a wait for somebody else's memory so. */
	return current->mm != m->mm && !(current->flags & PF_KTHREAD);
}

/* Have a thread of the process do it. */
static int job_hand_over(struct pin_job *job)
{
	return iopf_run_in(job->m->pool, &job->run,
			   pin_interruptible(job->m) ? TASK_INTERRUPTIBLE : TASK_KILLABLE);
}

/* The same, until iopf_pin_end(). */
static int job_wait_held(struct pin_job *job, struct iopf_space *space)
{
	int ret;

	scoped_guard(spinlock, &space->pins->waits_lock) {
		/* Pairs with who says so before iopf_pin_end(). */
		if (READ_ONCE(space->pins->unbinding) || READ_ONCE(space->pins->ended))
			return -ENODEV;
		list_add(&job->node, &space->pins->waits);
	}
	ret = job_hand_over(job);
	scoped_guard(spinlock, &space->pins->waits_lock)
		list_del_init(&job->node);
	return ret == -ECANCELED ? -ENODEV : ret;
}

/*
 * Do it where it is charged as the process's own accesses are. What waits for nothing brings
 * nothing in.
 */
static int job_wait(struct pin_job *job, struct iopf_space *space, enum pin_wait wait)
{
	if (wait == PIN_HELD)
		return job_wait_held(job, space);
	if (wait == PIN_NOW || current->mm == job->m->mm)
		return job_do(job);
	return job_hand_over(job);
}

/**
 * iopf_pin_end() - have those leave who wait in iopf_pin_run_held()
 * @space: the space, not locked; iopf_space.unbinding or ended says why, to latecomers, too
 *
 * Context: process context.
 */
void iopf_pin_end(struct iopf_space *space)
{
	struct pin_job *job;

	for (;;) {
		scoped_guard(spinlock, &space->pins->waits_lock) {
			job = list_first_entry_or_null(&space->pins->waits, struct pin_job, node);
			if (job) {
				list_del_init(&job->node);
				iopf_run_get(&job->run);
			}
		}
		if (!job)
			break;
		iopf_run_cancel(&job->run);
		iopf_run_put(&job->run);
	}
}

/* Map one page of a device's memory and hold it. -EAGAIN: the CPU does not have it by now. */
static int pin_mmio(struct iopf_area *area, struct iopf_chunk *chunk, unsigned int page)
{
	bool write = area->prot & IOMMU_WRITE;
	/* No device waits for it. */
	struct iopf_timing timing = { };
	unsigned int mapped = 0;
	int ret = -EBUSY;

	WRITE_ONCE(area->mmio, true);
	for (unsigned int attempt = 0; attempt < MMIO_ATTEMPTS; attempt++) {
		/* Most are there already, mapped around the first. */
		if (iopf_chunk_hold_mmio(chunk, page))
			return 0;
		ret = iopf_chunk_fault(chunk, page, write, IOPF_CHUNK_PAGES, &mapped,
				       &timing);
		if (!ret)
			continue;
		if (ret == -ENOENT)
			return -EAGAIN;
		if (ret == -EDQUOT && iopf_evictor_make_room(area->space->evictor, 1))
			continue;
		if (ret != -EBUSY && ret != -ENOMEM && ret != -EDQUOT)
			return ret;
		usleep_range(20, 20 + 50 * attempt);
	}
	if (ret == -EDQUOT)
		ret = -ENOMEM;
	return ret ?: -EBUSY;
}

/* Take over what has been pinned, if all is as it was. How many pages, or -errno. */
static long job_install(struct pin_job *job, struct iopf_area *area, struct iopf_chunk *chunk,
			unsigned int page)
{
	u64 iova = chunk->iova + ((u64)page << PAGE_SHIFT);
	unsigned int first = page, gap;
	long count;
	int ret;

	if (job->mmio) {
		ret = pin_mmio(area, chunk, page);
		return ret ?: 1;
	}
	/* Somebody else may have pinned some of it meanwhile. */
	if (!iopf_chunk_unpinned(chunk, &first, page + job->n - 1, &gap) || first != page ||
	    gap != job->n)
		return -EAGAIN;
	count = count_new(area, iova, job->pages, job->n);
	if (count > job->count)
		return -EAGAIN;
	ret = iopf_chunk_pin(chunk, page, job->pages, job->n);
	if (ret)
		return ret;
	job_take(job);
	uncharge(area->space, job->m, job->count - count);
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
	struct pin_job *job = job_create(area, chunk->iova + ((u64)page << PAGE_SHIFT), gap);
	struct iopf_space *space = area->space;
	u64 serial = space->serial;
	long n;

	if (!job)
		return -ENOMEM;
	job->now = wait == PIN_NOW;
	iopf_space_unlock_to_wait(space);
	n = job_wait(job, space, wait);
	iopf_space_relock(space);
	if (!n) {
		n = serial == space->serial && space->domains->nr ?
			    job_install(job, area, chunk, page) : -EAGAIN;
		if (n < 0)
			job_undo(job, space);
	}
	iopf_run_put(&job->run);
	return n;
}

/* Whether whoever wants memory pinned wants it no more. */
static bool pin_interrupted(const struct iopf_area *area)
{
	return pin_interruptible(area->mm) ? signal_pending(current) :
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
	struct pin_job *job = job_create(area, iova, 1);
	u64 serial = space->serial;
	int ret;

	if (!job)
		return -ENOMEM;
	if (counted)
		__set_bit(0, job->charged);
	iopf_space_unlock_to_wait(space);
	ret = job_wait(job, space, PIN_ALONE);
	iopf_space_relock(space);
	if (!ret && job->mmio)
		ret = -EFAULT;
	if (!ret && (serial != space->serial || area->leaving || area->reported ||
		     xa_load(&area->pins, index) || iopf_pin_counted(area, iova) != counted)) {
		job_undo(job, space);
		ret = fatal_signal_pending(current) ? -EINTR : -EAGAIN;
	}
	if (!ret) {
		job_take(job);
		area->locked += job->count;
		*page = job->pages[0];
	}
	iopf_run_put(&job->run);
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
		charged += count_new(area, chunk->iova + ((u64)page << PAGE_SHIFT), pages, n);
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

/**
 * iopf_pin_counted() - whether a page of memory is pinned, so that it is charged already
 * @area: the area
 * @iova: its address
 *
 * Context: process context, under the space's lock.
 */
bool iopf_pin_counted(struct iopf_area *area, u64 iova)
{
	struct iopf_chunk *chunk = iopf_area_chunk_there(area, iova);
	unsigned int page = iopf_chunkmap_page(iova);

	lockdep_assert_held(&area->space->lock);

	/* Only devices' memory gets or loses its bits without the space's lock. */
	return chunk && test_bit(page, iopf_chunkmap_pins(&chunk->map)) &&
	       !test_bit(page, iopf_chunkmap_mmio(&chunk->map));
}

/* Whether a page of a chunk is a device's, and is missing where it should be held. */
static bool repair_wants(struct iopf_area *area, struct iopf_chunk *chunk, unsigned int page)
{
	u64 iova = chunk->iova + ((u64)page << PAGE_SHIFT), last;

	/* Bits of pages that are missing are set by nobody else. */
	return !test_bit(page, iopf_chunkmap_pins(&chunk->map)) &&
	       iopf_hold_covers(area, iova, &last);
}

/*
 * One page, whose owner's address space is not waited for. -EAGAIN: the lock has been dropped, and
 * the area may be gone.
 */
static int repair_page(struct iopf_area *area, struct iopf_chunk *chunk, unsigned int page)
{
	struct iopf_space *space = area->space;
	struct iopf_mm *m = area->mm;
	u64 serial = space->serial;
	bool write = area->prot & IOMMU_WRITE;
	unsigned long vaddr = iopf_area_vaddr(area, chunk->iova + ((u64)page << PAGE_SHIFT));
	int ret;

	refcount_inc(&m->refs);
	iopf_space_unlock_to_wait(space);
	ret = iopf_mm_populate_mmio(m->mm, vaddr, write, true);
	iopf_space_relock(space);
	iopf_mm_put(m);
	if (serial != space->serial)
		return -EAGAIN;
	if (ret)
		return ret;
	ret = pin_mmio(area, chunk, page);
	return ret == -EAGAIN ? -EBUSY : ret;
}

static int repair_chunk(struct iopf_area *area, struct iopf_chunk *chunk, bool *missing)
{
	int ret;

	for (unsigned int page = chunk->first; page <= chunk->last; page++) {
		if (!repair_wants(area, chunk, page))
			continue;
		ret = repair_page(area, chunk, page);
		if (ret == -EAGAIN)
			return ret;
		/* Not a device's memory by now. */
		if (ret == -ENOENT)
			continue;
		*missing |= ret;
		if (ret)
			return 0;
		cond_resched();
	}
	return 0;
}

/*
 * Try to map again what owners of devices' memory have revoked of an area. 1: some of it that is to
 * be pinned is still missing and may come back; -EAGAIN: look at all areas anew, for others have
 * changed them. The space's lock is dropped in between.
 */
static int repair_area(struct iopf_area *area)
{
	struct iopf_chunk *chunk;
	unsigned long index;
	bool missing = false;
	int ret;

	lockdep_assert_held(&area->space->lock);

	if (!READ_ONCE(area->mmio) || area->vaddr_invalid)
		return 0;
	chunk = NULL;
	while ((chunk = iopf_area_next_chunk(area, chunk, &index))) {
		ret = repair_chunk(area, chunk, &missing);
		if (ret)
			return ret;
	}
	return missing;
}

/**
 * iopf_pin_repair_all() - try to map again what owners of devices' memory have revoked
 * @space: the address space, whose @repair this is
 *
 * If some of it may come back, this is done again later.
 *
 * Context: process context.
 */
void iopf_pin_repair_all(struct iopf_space *space)
{
	unsigned long index = 0, delay;
	struct iopf_area *area;
	int missing = 0, ret;

	scoped_guard(mutex, &space->lock) {
		area = NULL;
		while ((area = iopf_space_next_area(space, area, &index, ULONG_MAX))) {
			ret = repair_area(area);
			missing |= ret;
			/* The space has changed: from the start, some time later. */
			if (ret < 0)
				break;
		}
	}
	if (!missing)
		return;
	delay = min(2 * READ_ONCE(space->repair_delay) + 1, (unsigned long)HZ);
	WRITE_ONCE(space->repair_delay, delay);
	queue_delayed_work(iopf_wq, &space->repair, delay);
}
