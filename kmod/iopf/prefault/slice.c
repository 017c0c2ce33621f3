// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slices: memory is mapped ahead of its use, in pieces of at most one chunk.
 *
 * A slice is mapped as a fault would map it, by iopf_chunk_fault(), which maps all that the CPU has
 * in the chunk. What the CPU does not have is populated first. So all rules of chunk.c
 * hold here, too: invalidations, tracking, frozen and dying areas.
 *
 * Always as a read: where the CPU may write and has, and nobody tracks writes, a read maps for
 * writing as well; and while they are tracked, nothing gets writable or dirty. A page that
 * was mapped for reading only and can be written by now is unmapped first; a device that meets the
 * gap faults.
 *
 * What may wait for a disk or user space (iopf_slice_wait()) is kept apart from what does not
 * (iopf_slice_map(), iopf_slice_populate()), since only the latter may use the space or
 * be waited for; see requests.c.
 *
 * Memory: when the kernel can't charge a populated page to the owner's memory cgroup, the OOM
 * killer runs. A hint is not worth that. So each step first allocates as many pages as it may need
 * from the same memory cgroup, and frees them again. This allocation may fail. Others may take the
 * pages in between: an OOM kill is unlikely, not impossible.
 *
 * slice vs unmap, map: the area is looked up each time, under RCU. If the slice is no longer
 *   all in one area that permits it, it is over.
 * slice vs freeze: a frozen area is left out, rather than waited for. What was wanted of it before
 *   is not populated, see iopf_vaddr_changed().
 * slice vs exit: as a fault: only threads of the process populate.
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

/* Pages populated between two looks whether to stop. */
#define POPULATE_PAGES	32U
/* Pages that must be free before: those, and page tables. */
#define PROBE_PAGES	(POPULATE_PAGES + 4)
/* Areas that permit nothing are skipped, that many at a time. */
#define SKIP_AREAS	64
/* Attempts at one page, until what is left of the slice is given up. */
#define MAX_TRIES	32

/* What the area permits decides, or, for a working set, what is left of it. */
static bool area_permits(const struct iopf_area *area, bool *write, bool strict)
{
	int need = *write ? IOMMU_WRITE : IOMMU_READ;

	if (area->prot & need)
		return true;
	*write = !*write;
	return !strict;
}

/**
 * iopf_slice_cut() - the first slice of a range
 * @space: the space
 * @range: whole pages
 * @write: for writing
 * @strict: leave out what may not be read or written, as @write says; otherwise do what may be
 * @s: out
 *
 * Context: process context.
 * Return: whether there is one: if not, nothing of the range is mapped by user space. The slice
 * begins at or after the range.
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

/* The pages of the chunk that the slice is content with. */
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

/* What a look at the chunk says of the next pages that are not good. */
struct slice_gap {
	unsigned int page;
	unsigned int end; /* exclusive */
	bool mapped;
};

/* False: there are none. */
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
		/* All of the gap is to be of one kind. */
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

	/* Neither its mm nor its address is to be looked at while it has none. */
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
	/* There may be nothing beyond it. */
	if (s->range.last - s->at < PAGE_SIZE)
		slice_skip_rest(s);
	else
		s->at += PAGE_SIZE;
	s->tries = 0;
}

/* One attempt at the gap. IOPF_SLICE_DONE: look again. */
static enum iopf_slice_state slice_try(struct iopf_slice *s, struct iopf_chunk *chunk,
				       const struct slice_gap *gap)
{
	struct iopf_timing timing = { };
	unsigned int mapped = 0;
	int ret;

	/* Nobody waits for it. */
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
	 * Mapped for reading only. That it can be written now has to be seen to first; and again,
	 * now and then, since populating may have come less far than it seems.
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
	/* Frozen, its process gone, beyond the budget, or it is gone itself. */
	slice_skip_rest(s);
	return IOPF_SLICE_DONE;
}

static enum iopf_slice_state slice_map_chunk(struct iopf_slice *s, struct iopf_chunk *chunk)
{
	enum iopf_slice_state state = IOPF_SLICE_DONE;
	struct slice_gap gap;
	u64 at;

	/* Each turn gets on by a page or counts as a try at it, of which there are not many. */
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
 * iopf_slice_map() - map what the CPU has of a slice
 * @space: the space
 * @s: the slice
 *
 * Context: as a fault; does not sleep.
 * Return: what the slice needs next; when it is done, @s->good says what is mapped.
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

/* Whether @pages pages of memory can be allocated without an OOM kill. */
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

/* The same, of the memory of whoever owns @mm. */
static bool probe_mm(struct mm_struct *mm, unsigned int pages)
{
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(mm);
	bool good = probe(memcg, pages);

	mem_cgroup_put(memcg);
	return good;
}

/**
 * iopf_slice_populate() - populate what a slice wants, as far as that needs no waiting
 * @s: the slice
 * @stop: set by others: no more
 *
 * The slice still wants the pages if the first one could not be populated.
 *
 * Context: a thread of the process; sleeps for memory only. Any other populates nothing.
 * Return: 0: look again; -EAGAIN: the first page has to be waited for; -ENOMEM: memory is short.
 */
int iopf_slice_populate(struct iopf_slice *s, const bool *stop)
{
	struct mm_struct *mm = s->pool->mm;
	/* If the first page brings the rest with it, as a huge page does, that saves looking. */
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
 * iopf_slice_wait() - what a slice has to wait for
 * @s: the slice
 * @memcg: who pays for the IOMMU's tables
 *
 * Populates the first page it wants, if there is one; otherwise gives the host some time, and sees
 * whether there is memory.
 *
 * May sleep for as long as user space likes, so nobody may wait for
 * this, and the space may be gone afterwards.
 *
 * Context: a thread of the process, if there is a wish.
 * Return: 0: look again; -ENOMEM: memory is short; -EINTR: look at signals, and come back.
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
		/* That was none. */
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
	/* No memory there, or not for this. */
	slice_skip_page(s);
	return 0;
}

/**
 * iopf_slice_end() - let go of what a slice wants
 * @s: the slice
 */
void iopf_slice_end(struct iopf_slice *s)
{
	iopf_pool_put(s->pool);
	s->pool = NULL;
}
