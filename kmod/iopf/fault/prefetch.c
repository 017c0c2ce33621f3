// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prefetching: maps and populates pages for a device after the answer to its fault.
 *
 * A fault is answered when its own pages and a small window around them are mapped. So the device
 * does not wait for prefetching. Then, in the same context:
 *
 *   the rest    of the 2 MiB is mapped up to the first gap, if the whole window was mapped
 *   ahead       pages that a sequential device will use next (core/stream.h): present pages are
 *               mapped; absent pages are populated if the pages before them were absent, too, and
 *               if populating needs no wait
 *   swapped     where the host looks for unused pages there is no prefetching, but the swapped
 *               pages of a window are read back together
 *
 * One fault causes at most this work: mapping 2 MiB of present pages, or PREFETCH_LEAVES leaves of
 * that size, or populating IOPF_PREFETCH_ABSENT pages. A worker prefetches the rest of a long
 * stream, a slice of that size at a time, and takes the streams in turn. A stream over present
 * memory does not fault any more once the worker is ahead of the device.
 *
 * Bounds: IOPF_PREFETCH_PRESENT and IOPF_PREFETCH_ABSENT pages at a time, less for devices that
 * leave prefetched pages unused. Present pages are only mapped. Nothing is read from a disk.
 *
 * after vs detach: a context that works after the answer counts as active in the queue, and
 *   detaching waits for it. The worker counts as active for each slice. A dead queue lets no slice
 *   begin.
 * after vs unmap, invalidation: each lookup is done anew, under RCU and the chunk's lock, as for
 *   faults. window_unmap_clean() decides without the lock, so its decision is a hint. Then it
 *   unmaps under the chunk's lock, as an invalidation does. It never unmaps pinned pages, and loses
 *   no dirty page. A page that has become writable meanwhile causes one more fault. So does a page
 *   of an area that was frozen meanwhile, when the area thaws.
 * after vs freeze: the address of an area without a CPU address is not read. Populating at an
 *   address that was read before ends when the address changes, see iopf_vaddr_changed().
 * after vs exit: as for faults, see iopf_mm_populate_now().
 * The worker holds references as a parked fault does: fault queue, backlog, module.
 */
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/sched/mm.h>

#include "../device/device.h"
#include "../host/mm.h"
#include "../host/walk.h"
#include "../lib/backlog.h"
#include "../lib/params.h"
#include "../map/area.h"
#include "../map/chunk.h"
#include "../map/hint.h"
#include "../map/space.h"
#include "prefetch.h"
#include "queue.h"

/* Present pages to prefetch: 1 GiB, for which page tables take 2 MiB. */
#define IOPF_PREFETCH_PRESENT	(SZ_1G / PAGE_SIZE)
/*
 * Limit of pages to populate ahead. A fault costs about as much as zeroing a third of a page. So
 * with 32 pages the faults cost 1 % of the zeroing. Other devices wait no longer than the zeroing
 * of 32 pages takes.
 */
#define IOPF_PREFETCH_ABSENT	32U
/* Limit of 2 MiB leaves to map at a time: less work than one chunk of 4 KiB pages. */
#define PREFETCH_LEAVES		16U

/* Find the area of an address, if it permits the access. Under RCU. */
static struct iopf_area *prefetch_area(struct iopf_space *space, u64 iova, bool write)
{
	struct iopf_area *area = mtree_load(&space->areas, iova);

	return area && area->prot & (write ? IOMMU_WRITE : IOMMU_READ) ? area : NULL;
}

/*
 * Find or make the chunk of an address. NULL if that fails, or if the host looks for unused pages
 * there. Under RCU.
 */
static struct iopf_chunk *area_chunk(struct iopf_area *area, u64 iova)
{
	struct iopf_chunk *chunk = iopf_area_chunk(area, iova, GFP_NOWAIT | __GFP_NOWARN);

	return IS_ERR(chunk) || iopf_chunk_aged(chunk) ? NULL : chunk;
}

/* Find or make the chunk of an address, as area_chunk(), if its area permits the access. */
static struct iopf_chunk *prefetch_chunk(struct iopf_space *space, u64 iova, bool write)
{
	/* fault_find() has used the same hint a moment ago. */
	struct iopf_chunk *chunk = iopf_hint_get(smp_load_acquire(&space->generation), iova);
	struct iopf_area *area;

	if (likely(chunk && chunk->area->prot & (write ? IOMMU_WRITE : IOMMU_READ)))
		return iopf_chunk_aged(chunk) ? NULL : chunk;
	area = prefetch_area(space, iova, write);
	return area ? area_chunk(area, iova) : NULL;
}

/* Return the number of pages from @iova to the end of the chunk, at most @pages. */
static unsigned int prefetch_slice(const struct iopf_chunk *chunk, u64 iova, unsigned int pages)
{
	return min(pages, chunk->last - iopf_chunkmap_page(iova) + 1);
}

/*
 * Find or make the chunk of an address. If the CPU has several adjacent 2 MiB leaves there, find or
 * make the chunks of all leaves to prefetch: making chunks one by one costs more than mapping them.
 * Returns the number of chunks. Under RCU.
 */
static unsigned int prefetch_chunks(struct iopf_area *area, u64 iova, unsigned int pages,
				    struct iopf_chunk *chunks[PREFETCH_LEAVES])
{
	unsigned int max = min(pages / IOPF_CHUNK_PAGES, PREFETCH_LEAVES);
	unsigned long vaddr;

	max = min_t(u64, max, (area->range.last - iova + 1) >> IOPF_CHUNK_SHIFT);
	/*
	 * The address and the process of a frozen area may change, see iopf_area_rebase(). Pairs
	 * with iopf_area_thaw().
	 */
	if (smp_load_acquire(&area->frozen))
		return 0;
	if (max > 1 && area->huge_ok && !iopf_chunkmap_page(iova)) {
		vaddr = iopf_area_vaddr(area, iova);
		max = IS_ALIGNED(vaddr, IOPF_CHUNK_SIZE) ?
			      iopf_walk_leaves(area->mm->mm, vaddr, max) : 0;
		if (max > 1)
			return iopf_area_chunks(area, iova, max, chunks);
	}
	chunks[0] = area_chunk(area, iova);
	return chunks[0] ? 1 : 0;
}

/*
 * Map adjacent present pages, up to the first absent one. Stop at the end of the chunk, or after
 * PREFETCH_LEAVES chunks if each of them is one leaf, which is little work. Returns the number of
 * pages that are mapped now.
 */
static unsigned int prefetch_present(struct iopf_fault_queue *fq, struct iopf_device *d, u64 iova,
				     unsigned int pages, bool write)
{
	struct iopf_chunk *chunks[PREFETCH_LEAVES];
	unsigned int mapped = 0, done = 0, n = 0;
	struct iopf_area *area;

	rcu_read_lock();
	area = prefetch_area(fq->space, iova, write);
	if (area)
		n = prefetch_chunks(area, iova, pages, chunks);
	for (unsigned int i = 0; i < n && !iopf_chunk_aged(chunks[i]); i++) {
		unsigned int page = iopf_chunkmap_page(iova), slice, got;

		slice = prefetch_slice(chunks[i], iova, pages - done);
		got = iopf_chunk_have(chunks[i], page, page + slice - 1, write, &mapped);
		done += got;
		iova += (u64)got << PAGE_SHIFT;
		if (got < slice || !READ_ONCE(chunks[i]->map.huge))
			break;
	}
	rcu_read_unlock();
	if (mapped)
		iopf_device_count(d, IOPF_STAT_MAPPED, mapped);
	return done;
}

/*
 * Populate and map adjacent pages, at most to the end of the chunk. Returns the number of pages
 * that are mapped now.
 */
static unsigned int prefetch_absent(struct iopf_fault_queue *fq, struct iopf_device *d, u64 iova,
				    unsigned int pages, bool write)
{
	struct iopf_space *space = fq->space;
	unsigned int page = iopf_chunkmap_page(iova), mapped = 0, done = 0;
	struct iopf_vaddr_seen seen;
	struct iopf_chunk *chunk;
	struct mm_struct *mm;
	unsigned long vaddr;

	rcu_read_lock();
	chunk = prefetch_chunk(space, iova, write);
	if (!chunk || !iopf_area_vaddr_begin(chunk, &seen)) {
		rcu_read_unlock();
		return 0;
	}
	pages = prefetch_slice(chunk, iova, pages);
	mm = chunk->area->mm->mm;
	vaddr = iopf_area_vaddr(chunk->area, iova);
	mmgrab(mm);
	rcu_read_unlock();

	iopf_mm_populate_now(mm, vaddr, pages, write, &seen);
	mmdrop(mm);
	/* Look the chunk up again: the area may have changed. */
	rcu_read_lock();
	chunk = prefetch_chunk(space, iova, write);
	if (chunk) {
		pages = prefetch_slice(chunk, iova, pages);
		done = iopf_chunk_have(chunk, page, page + pages - 1, write, &mapped);
	}
	rcu_read_unlock();
	if (mapped)
		iopf_device_count(d, IOPF_STAT_MAPPED, mapped);
	return done;
}

/* Prefetch one slice of a stream. Returns the number of pages that are mapped now; 0: stop. */
static unsigned int prefetch_step(struct iopf_fault_queue *fq, const struct iopf_runner *r,
				  bool absent)
{
	unsigned int pages = r->stride == 1 ? r->pages : 1;
	u64 iova = r->page << PAGE_SHIFT;

	return absent ? prefetch_absent(fq, r->d, iova, pages, r->write) :
			prefetch_present(fq, r->d, iova, pages, r->write);
}

static void runner_advance(struct iopf_runner *r, unsigned int pages)
{
	r->page += (u64)r->stride * pages;
	r->pages -= pages;
	iopf_device_count(r->d, IOPF_STAT_PREFETCHED, pages);
}

/* Tell the streams how many pages could not be prefetched. */
static void runner_short(const struct iopf_runner *r)
{
	if (!r->pages)
		return;
	scoped_guard(spinlock, &r->d->streams_lock)
		iopf_streams_short(&r->d->streams, r->next, r->pages, r->write);
}

/* Leave the rest to the worker. */
static void runner_queue(struct iopf_fault_queue *fq, const struct iopf_runner *r)
{
	struct iopf_backlog *q = fq->space->faults;
	bool queued = false;

	spin_lock(&fq->lock);
	if (!fq->dead && fq->nr_runners < IOPF_RUNNERS) {
		fq->runner[fq->nr_runners++] = *r;
		queued = true;
		if (!fq->running) {
			fq->running = true;
			fq->run_queue = q;
			refcount_inc(&fq->refs);
			refcount_inc(&q->refs);
			/* The container's reference keeps the module loaded until here. */
			__module_get(THIS_MODULE);
			queue_work(q->wq, &fq->run_work);
		}
	}
	spin_unlock(&fq->lock);
	if (!queued)
		runner_short(r);
}

/* Copy the first runner, which keeps its slot. Returns false if there is none. */
static bool runner_take(struct iopf_fault_queue *fq, struct iopf_runner *r)
{
	bool any;

	spin_lock(&fq->lock);
	any = !fq->dead && fq->nr_runners;
	if (any) {
		*r = fq->runner[0];
		fq->active++;
	} else {
		fq->running = false;
		fq->nr_runners = 0;
	}
	spin_unlock(&fq->lock);
	return any;
}

/* Put a runner behind the others, or remove it if it is at its end. */
static void runner_give_back(struct iopf_fault_queue *fq, const struct iopf_runner *r, bool end)
{
	spin_lock(&fq->lock);
	memmove(fq->runner, fq->runner + 1, (fq->nr_runners - 1) * sizeof(*r));
	if (end)
		fq->nr_runners--;
	else
		fq->runner[fq->nr_runners - 1] = *r;
	spin_unlock(&fq->lock);
	iopf_fq_leave(fq);
}

/**
 * iopf_prefetch_work() - prefetch the rest of the streams of a group's devices
 * @work: @run_work of the queue
 */
void iopf_prefetch_work(struct work_struct *work)
{
	struct iopf_fault_queue *fq = container_of(work, struct iopf_fault_queue, run_work);
	/* Don't use fq->space: the space may be freed by now. */
	struct iopf_backlog *q = fq->run_queue;
	struct iopf_runner r;

	while (runner_take(fq, &r)) {
		unsigned int done = prefetch_step(fq, &r, false);

		runner_advance(&r, done);
		if (!done)
			runner_short(&r);
		runner_give_back(fq, &r, !done || !r.pages);
		cond_resched();
	}
	iopf_fq_put(fq);
	iopf_backlog_put(q);
	module_put(THIS_MODULE);
}

/*
 * Map the rest of the chunk around an address whose window is mapped. For absent pages that were
 * populated, map nothing, unless a leaf was split. Returns the number of pages that are mapped from
 * the address on.
 */
static unsigned int prefetch_rest(struct iopf_fault_queue *fq, struct iopf_device *d,
				  const struct iopf_served *served, struct iopf_range *area)
{
	unsigned int page = iopf_chunkmap_page(served->iova), mapped = 0, pages = 0;
	struct iopf_chunk *chunk;

	rcu_read_lock();
	chunk = prefetch_chunk(fq->space, served->iova, served->write);
	if (chunk) {
		*area = chunk->area->range;
		if (served->absent && !READ_ONCE(chunk->refill))
			pages = find_next_zero_bit(chunk->map.present, chunk->last + 1, page) -
				page;
		else
			pages = iopf_chunk_rest(chunk, page, served->write, &mapped);
	}
	rcu_read_unlock();
	if (mapped)
		iopf_device_count(d, IOPF_STAT_MAPPED, mapped);
	return pages;
}

/* Return whether a page is mapped for this access, so that the device has probably used it. */
static bool chunk_used(const struct iopf_chunk *chunk, unsigned int page, bool write)
{
	return iopf_chunkmap_lookup(&chunk->map, page, write) == IOPF_HIT;
}

/*
 * Find the pages of the window beside the served ones, in the direction in which the device seems
 * to move: it has used the neighbour page on the other side. Returns false if there is no
 * direction. Under RCU.
 */
static bool window_beside(const struct iopf_chunk *chunk, const struct iopf_served *served,
			  struct iopf_window *w)
{
	unsigned int first = iopf_chunkmap_page(served->iova);
	unsigned int last = first + prefetch_slice(chunk, served->iova, served->pages) - 1;
	bool write = served->write;

	iopf_window_around(w, last, READ_ONCE(iopf_fault_around), chunk->first, chunk->last);
	if (last < w->last &&
	    (last > first || (first > w->first && chunk_used(chunk, first - 1, write)))) {
		w->first = last + 1;
		return true;
	}
	if (first > w->first && last < w->last && chunk_used(chunk, last + 1, write)) {
		w->last = first - 1;
		return true;
	}
	return false;
}

/*
 * Unmap a window that is mapped read-only. Otherwise the device would fault on each page to write
 * it. Once unmapped, the next fault maps the whole window for writing.
 */
static void window_unmap_clean(struct iopf_fault_queue *fq, const struct iopf_served *served,
			       const struct iopf_window *w)
{
	struct iopf_chunk *chunk = NULL;
	struct iopf_area *area;

	rcu_read_lock();
	area = prefetch_area(fq->space, served->iova, true);
	if (area)
		chunk = iopf_area_chunk_there(area, served->iova);
	if (chunk && !READ_ONCE(area->frozen) &&
	    iopf_chunkmap_lookup(&chunk->map, w->first, true) == IOPF_UPGRADE &&
	    iopf_chunkmap_lookup(&chunk->map, w->last, true) == IOPF_UPGRADE)
		iopf_chunk_zap(chunk, w->first, w->last, false);
	rcu_read_unlock();
}

/*
 * Where the host looks for unused memory there is no prefetching. But swapped pages are read back
 * together: when a device has missed two adjacent pages, the rest of the window is read. So the
 * device waits for the disk at most once more, and not for each page. The pages that are read are
 * clean, so a later write would fault on each page again. Therefore, when the device writes, the
 * window is made writable.
 */
static void prefetch_window(struct iopf_fault_queue *fq, const struct iopf_served *served)
{
	bool write = served->write && !READ_ONCE(fq->space->tracking);
	struct iopf_chunk *chunk = NULL;
	struct iopf_vaddr_seen seen;
	struct mm_struct *mm = NULL;
	struct iopf_area *area;
	struct iopf_window w;
	unsigned long vaddr;

	rcu_read_lock();
	area = prefetch_area(fq->space, served->iova, served->write);
	if (area)
		chunk = iopf_area_chunk_there(area, served->iova);
	if (chunk && iopf_chunk_aged(chunk) && window_beside(chunk, served, &w) &&
	    iopf_area_vaddr_begin(chunk, &seen)) {
		mm = area->mm->mm;
		vaddr = iopf_area_vaddr(area, chunk->iova + ((u64)w.first << PAGE_SHIFT));
		mmgrab(mm);
	}
	rcu_read_unlock();
	if (!mm)
		return;
	/* The next fault maps these pages, which are then present in its window. */
	iopf_mm_populate_swapped(mm, vaddr, w.last - w.first + 1, write, &seen);
	mmdrop(mm);
	if (write)
		window_unmap_clean(fq, served, &w);
}

/**
 * iopf_prefetch() - prefetch for a device after the answer to its fault
 * @fq: the queue; the caller has entered it, or counts as active
 * @d: the device
 * @served: the pages that the fault got
 *
 * Context: the reporting context, or a worker; may sleep for memory.
 */
void iopf_prefetch(struct iopf_fault_queue *fq, struct iopf_device *d,
		   const struct iopf_served *served)
{
	struct iopf_miss miss = {
		.page = served->iova >> PAGE_SHIFT,
		.bound = served->absent ? IOPF_PREFETCH_ABSENT : IOPF_PREFETCH_PRESENT,
		.write = served->write,
	};
	struct iopf_range area;
	struct iopf_prefetch p;
	struct iopf_runner r;
	unsigned int done = 0;

	miss.n = prefetch_rest(fq, d, served, &area);
	if (!miss.n) {
		if (served->absent)
			prefetch_window(fq, served);
		return;
	}
	miss.first = area.first >> PAGE_SHIFT;
	miss.last = area.last >> PAGE_SHIFT;
	scoped_guard(spinlock, &d->streams_lock) {
		p = iopf_streams_miss(&d->streams, &miss);
		iopf_streams_cut(&d->streams, &p, READ_ONCE(fq->max_prefetch), miss.write);
	}
	iopf_device_count(d, IOPF_STAT_PREFETCH_USED, p.used);
	iopf_device_count(d, IOPF_STAT_PREFETCH_WASTED, p.wasted);

	r = (struct iopf_runner){
		.d = d,
		.page = p.page,
		.stride = p.stride,
		.pages = p.pages,
		.next = p.next,
		.write = served->write,
	};
	while (r.pages && done < (served->absent ? IOPF_PREFETCH_ABSENT : IOPF_CHUNK_PAGES)) {
		unsigned int n = prefetch_step(fq, &r, served->absent);

		if (!n)
			break;
		runner_advance(&r, n);
		done += n;
	}
	if (!r.pages)
		return;
	if (done && !served->absent)
		runner_queue(fq, &r);
	else
		runner_short(&r);
}
