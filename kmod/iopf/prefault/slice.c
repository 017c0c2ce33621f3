// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slices: memory is mapped ahead of its use, in pieces of at most one chunk.
 *
 * iopf_chunk_fault() maps a slice as it does for a fault: all present pages of the chunk. Absent
 * pages are populated first. So all rules of chunk.c hold here, too: invalidations, tracking,
 * frozen and dying areas.
 *
 * A slice is always mapped as for a read. Where the CPU's page-table entry is writable and writes
 * are not tracked, a read maps for writing, too. While writes are tracked, no page becomes writable
 * or dirty. A page that is mapped read-only, and that the CPU can write by now, is unmapped first.
 * A device that uses it in between faults.
 *
 * iopf_slice_wait() may wait for a disk or user space. iopf_slice_map() and iopf_slice_populate()
 * do not. So only these two may run in ACTIVE, where the space is used and others wait for the
 * request; see requests.c.
 *
 * Memory: when the kernel can't charge a populated page to the owner's memory cgroup, the OOM
 * killer runs. A hint is not worth that. So each step first allocates as many pages as it may need
 * from the same memory cgroup, and frees them again. This allocation may fail. Others may take the
 * pages in between: an OOM kill is unlikely, not impossible.
 *
 * slice vs unmap, map: the area is looked up each time, under RCU. A slice ends when it is no
 *   longer inside one area that permits the access.
 * slice vs freeze: a slice does not wait for a frozen area, but skips it. Pages that were wanted
 *   before the freeze are not populated, see iopf_vaddr_changed().
 * slice vs exit: only threads of the process populate, as for faults.
 */
#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "../budget/budget.h"
#include "../host/mm.h"
#include "../host/pool.h"
#include "../lib/timing.h"
#include "../map/area.h"
#include "../map/chunk.h"
#include "../map/span.h"
#include "../map/space.h"
#include "slice.h"

/* Pages to populate between two checks of *@stop. */
#define POPULATE_PAGES	32U
/* Pages that must be free before populating: POPULATE_PAGES, and page tables. */
#define PROBE_PAGES	(POPULATE_PAGES + 4)
/* Number of areas without the permission to skip between two calls of cond_resched(). */
#define SKIP_AREAS	64
/* Limit of attempts at one page. Then the rest of the slice is skipped. */
#define MAX_TRIES	32

/*
 * Check whether an area permits the access. Without @strict, use the other kind of access instead.
 */
static bool area_permits(const struct iopf_area *area, bool *write, bool strict)
{
	int need = *write ? IOMMU_WRITE : IOMMU_READ;

	if (area->prot & need)
		return true;
	*write = !*write;
	return !strict;
}

/**
 * iopf_slice_cut() - find the first slice of a range
 * @space: the space
 * @range: whole pages
 * @write: map for writing
 * @strict: skip areas that do not permit the access; otherwise use the access that they permit
 * @s: out: the slice
 *
 * Context: process context.
 * Return: true if there is a slice; it begins at or after the start of the range. False if no area
 * of the range permits the access.
 */
bool iopf_slice_cut(struct iopf_space *space, const struct iopf_range *range, bool write,
		    bool strict, struct iopf_slice *s)
{
	unsigned long index = range->first;
	unsigned int skipped = 0;
	struct iopf_area *area;
	u64 first, last;

	*s = (struct iopf_slice){ .write = write };
	rcu_read_lock();
	area = mt_find(&space->areas, &index, range->last);
	while (area && !area_permits(area, &s->write, strict)) {
		s->write = write;
		index = area->range.last + 1;
		if (++skipped % SKIP_AREAS == 0) {
			rcu_read_unlock();
			cond_resched();
			rcu_read_lock();
		}
		area = index ? mt_find(&space->areas, &index, range->last) : NULL;
	}
	if (area) {
		first = max(range->first, area->range.first);
		last = min3(range->last, area->range.last, first | (IOPF_CHUNK_SIZE - 1));
		s->range = (struct iopf_range){ .first = first, .last = last };
		s->at = first;
		s->populated = first;
	}
	rcu_read_unlock();
	return area;
}

/* Return the bitmap of pages that are mapped well enough for the slice. */
static const unsigned long *slice_good(const struct iopf_slice *s, const struct iopf_chunk *chunk)
{
	lockdep_assert_held(&chunk->lock);

	return s->write && !READ_ONCE(chunk->area->space->tracking) ? chunk->map.writable
									: chunk->map.present;
}

static void slice_count(struct iopf_slice *s, struct iopf_chunk *chunk)
{
	unsigned int end = iopf_chunkmap_page(s->range.last) + 1;
	unsigned int page = iopf_chunkmap_page(s->range.first);
	const unsigned long *good;

	spin_lock(&chunk->lock);
	if (iopf_span_serves(chunk->area, chunk->iova, s->write)) {
		spin_unlock(&chunk->lock);
		s->good = end - page;
		return;
	}
	good = slice_good(s, chunk);
	s->good = 0;
	while ((page = find_next_bit(good, end, page)) < end) {
		unsigned int next = find_next_zero_bit(good, end, page);

		s->good += next - page;
		page = next;
	}
	spin_unlock(&chunk->lock);
}

/* The next pages of a chunk that are not mapped well enough. */
struct slice_gap {
	unsigned int page;
	unsigned int end; /* exclusive */
	bool mapped;
};

/* Find the next gap. Returns false if there is none. */
static bool slice_look(struct iopf_slice *s, struct iopf_chunk *chunk, struct slice_gap *gap)
{
	unsigned int end = iopf_chunkmap_page(s->range.last) + 1;
	const unsigned long *good;
	unsigned int i;

	spin_lock(&chunk->lock);
	good = slice_good(s, chunk);
	gap->page = end;
	if (!s->skipped && !iopf_span_serves(chunk->area, chunk->iova, s->write))
		gap->page = find_next_zero_bit(good, end, iopf_chunkmap_page(s->at));
	if (gap->page < end) {
		gap->end = find_next_bit(good, end, gap->page);
		gap->mapped = test_bit(gap->page, chunk->map.present);
		/* All pages of a gap are mapped, or all are not. */
		i = gap->mapped ? find_next_zero_bit(chunk->map.present, gap->end, gap->page)
				: find_next_bit(chunk->map.present, gap->end, gap->page);
		gap->end = min(gap->end, i);
	}
	spin_unlock(&chunk->lock);
	return gap->page < end;
}

static void slice_skip_rest(struct iopf_slice *s)
{
	s->skipped = true;
}

static enum iopf_slice_state slice_want(struct iopf_slice *s, const struct iopf_chunk *chunk,
					const struct slice_gap *gap)
{
	const struct iopf_area *area = chunk->area;

	/* The area has no CPU address now, so its mm and address must not be read. */
	if (!iopf_area_vaddr_begin(chunk, &s->seen)) {
		slice_skip_rest(s);
		return IOPF_SLICE_DONE;
	}
	s->pool = iopf_pool_get(area->mm->pool);
	s->vaddr = iopf_area_vaddr(area, s->at);
	s->pages = gap->end - gap->page;
	return IOPF_SLICE_WANT;
}

static void slice_skip_page(struct iopf_slice *s)
{
	/* The page may be the last one of the slice. */
	if (s->range.last - s->at < PAGE_SIZE)
		slice_skip_rest(s);
	else
		s->at += PAGE_SIZE;
	s->tries = 0;
}

/* Try to map a gap once. IOPF_SLICE_DONE: look for the next gap. */
static enum iopf_slice_state slice_try(struct iopf_slice *s, struct iopf_chunk *chunk,
				       const struct slice_gap *gap)
{
	struct iopf_timing timing = { };
	unsigned int mapped = 0;
	int ret;

	/* No device waits for a slice, so it takes no room in a full budget. */
	if (unlikely(READ_ONCE(chunk->area->space->budgeted)) &&
	    iopf_evictor_full(chunk->area->space->evictor)) {
		slice_skip_rest(s);
		return IOPF_SLICE_DONE;
	}
	if (s->tries++ == MAX_TRIES) {
		slice_skip_rest(s);
		return IOPF_SLICE_DONE;
	}
	/*
	 * The gap is mapped read-only. Populate it for writing before it is unmapped. Populate
	 * again at every fourth attempt, because the first time may have populated less than
	 * @populated says.
	 */
	if (gap->mapped) {
		if (s->at >= s->populated || s->tries % 4 == 0)
			return slice_want(s, chunk, gap);
		iopf_chunk_zap(chunk, gap->page, gap->end - 1, false);
	}
	ret = iopf_chunk_fault(chunk, gap->page, false, IOPF_CHUNK_PAGES, &mapped, &timing);
	switch (ret) {
	case 0:
		return IOPF_SLICE_DONE;
	case -ENOENT:
		return slice_want(s, chunk, gap);
	case -EBUSY:
	case -ENOMEM:
		return IOPF_SLICE_WAIT;
	case -EFAULT:
		slice_skip_page(s);
		return IOPF_SLICE_DONE;
	}
	/* The area is frozen or gone, its process is gone, or the budget is full. */
	slice_skip_rest(s);
	return IOPF_SLICE_DONE;
}

static enum iopf_slice_state slice_map_chunk(struct iopf_slice *s, struct iopf_chunk *chunk)
{
	enum iopf_slice_state state = IOPF_SLICE_DONE;
	struct slice_gap gap;
	u64 at;

	/* Each turn advances by a page, or counts as an attempt, which MAX_TRIES limits. */
	while (state == IOPF_SLICE_DONE && slice_look(s, chunk, &gap)) {
		at = chunk->iova + ((u64)gap.page << PAGE_SHIFT);
		if (at != s->at) {
			s->at = at;
			s->tries = 0;
		}
		state = slice_try(s, chunk, &gap);
	}
	return state;
}

/**
 * iopf_slice_map() - map the present pages of a slice
 * @space: the space
 * @s: the slice
 *
 * Context: as a fault; does not sleep.
 * Return: the next step of the slice. When it is done, @s->good is the number of mapped pages.
 */
enum iopf_slice_state iopf_slice_map(struct iopf_space *space, struct iopf_slice *s)
{
	enum iopf_slice_state state = IOPF_SLICE_DONE;
	int need = s->write ? IOMMU_WRITE : IOMMU_READ;
	struct iopf_chunk *chunk;
	struct iopf_area *area;

	rcu_read_lock();
	area = mtree_load(&space->areas, s->range.first);
	s->good = 0;
	if (!area || !iopf_range_contains(&area->range, &s->range) || !(area->prot & need))
		goto out;
	chunk = iopf_area_chunk(area, s->range.first, GFP_NOWAIT | __GFP_NOWARN);
	if (IS_ERR(chunk)) {
		if (PTR_ERR(chunk) == -ENOMEM && s->tries++ < MAX_TRIES)
			state = IOPF_SLICE_WAIT;
		goto out;
	}
	if (!s->begun) {
		slice_count(s, chunk);
		s->present = s->good;
		s->begun = true;
	}
	state = slice_map_chunk(s, chunk);
	slice_count(s, chunk);
out:
	rcu_read_unlock();
	return state;
}

/* Return whether @pages pages can be charged to a memory cgroup without an OOM kill. */
static bool probe(struct mem_cgroup *memcg, unsigned int pages)
{
	struct mem_cgroup *old = set_active_memcg(memcg);
	struct page *page, *next;
	unsigned int had;
	LIST_HEAD(list);

	for (had = 0; had < pages; had++) {
		page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN);
		if (!page)
			break;
		list_add(&page->lru, &list);
	}
	list_for_each_entry_safe(page, next, &list, lru)
		__free_page(page);
	set_active_memcg(old);
	return had == pages;
}

/* Call probe() for the memory cgroup of @mm. */
static bool probe_mm(struct mm_struct *mm, unsigned int pages)
{
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(mm);
	bool good = probe(memcg, pages);

	mem_cgroup_put(memcg);
	return good;
}

/**
 * iopf_slice_populate() - populate the wanted pages of a slice that need no wait
 * @s: the slice
 * @stop: set by another thread to stop this one
 *
 * The slice still wants the pages if the first one could not be populated.
 *
 * Context: a thread of the process; sleeps for memory only. Another thread populates nothing.
 * Return: 0: map again; -EAGAIN: the first page needs a wait; -ENOMEM: memory is short.
 */
int iopf_slice_populate(struct iopf_slice *s, const bool *stop)
{
	struct mm_struct *mm = s->pool->mm;
	/* Begin with one page: a huge page brings the other pages with it, which saves time. */
	unsigned int n = s->at == s->range.first && s->populated == s->at ? 1 : s->pages;
	unsigned int done;

	if (mm != current->mm)
		return -EAGAIN;
	for (done = 0; done < n && !READ_ONCE(*stop); done += POPULATE_PAGES) {
		unsigned int now = min(n - done, POPULATE_PAGES);

		if (!probe_mm(mm, PROBE_PAGES))
			return -ENOMEM;
		if (!iopf_mm_populate_now(mm, s->vaddr + ((unsigned long)done << PAGE_SHIFT),
					  now, s->write, &s->seen)) {
			if (!done)
				return -EAGAIN;
			break;
		}
		cond_resched();
	}
	if (done)
		s->populated = s->at + ((u64)min(done, n) << PAGE_SHIFT);
	iopf_slice_end(s);
	return 0;
}

/**
 * iopf_slice_wait() - wait for the next step of a slice
 * @s: the slice
 * @memcg: the memory cgroup that page tables of the IOMMU are charged to
 *
 * Populates the first wanted page, if there is one. Otherwise checks that there is memory, and
 * sleeps for a moment.
 *
 * May sleep for as long as user space likes. So no other thread may wait for this function, and the
 * space may be freed when it returns.
 *
 * Context: a thread of the process, if the slice wants pages.
 * Return: 0: map again; -ENOMEM: memory is short; -EINTR: handle signals, and call again.
 */
int iopf_slice_wait(struct iopf_slice *s, struct mem_cgroup *memcg)
{
	int ret;

	if (!s->pool) {
		if (!probe(memcg, PROBE_PAGES))
			return -ENOMEM;
		usleep_range(20, 20 + 50 * s->tries);
		return 0;
	}
	if (!probe_mm(s->pool->mm, PROBE_PAGES))
		return -ENOMEM;
	ret = iopf_mm_populate(s->pool->mm, s->vaddr, 1, s->write, &s->seen);
	if (ret == -EINTR) {
		/* An interrupted attempt does not count. */
		s->tries--;
		return ret;
	}
	iopf_slice_end(s);
	switch (ret) {
	case 0:
		s->populated = s->at + PAGE_SIZE;
		return 0;
	case -ENOMEM:
		return ret;
	case -EAGAIN:
		return 0;
	case -ESRCH:
		slice_skip_rest(s);
		return 0;
	}
	/* There is no memory at this address, or not for this access. */
	slice_skip_page(s);
	return 0;
}

/**
 * iopf_slice_end() - forget the wanted pages of a slice
 * @s: the slice
 */
void iopf_slice_end(struct iopf_slice *s)
{
	iopf_pool_put(s->pool);
	s->pool = NULL;
}
