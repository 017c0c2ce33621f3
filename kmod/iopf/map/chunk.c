// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chunks: mapping CPU pages into the IOMMU and taking them out again.
 *
 * The rule everything rests on: a page is in the IOMMU's page table only while
 * the CPU has the same page at that address (or while it is pinned). It is kept by
 * three parties that meet on the chunk's lock:
 *
 *  fault       lock; no invalidation in progress? read the CPU's entry; map it; unlock
 *  notifier    count the invalidation as in progress; lock; unmap; unlock;
 *              ... the CPU's entry changes ...; count it as over
 *  removal     lock; unmap; mark dead; unlock
 *
 * fault vs notifier: if the fault has the lock first, the notifier unmaps what
 *   it mapped. If the notifier has it first, the fault sees the invalidation in progress
 *   and backs off. If the chunk was made while the notifier looked for chunks and so
 *   missed it, the barriers in iopf_chunk_fault() and
 *   iopf_mm_invalidate_start() make sure that the fault sees the count.
 * fault vs unmap, detach: a chunk found under RCU may be dead by the time its lock is
 *   taken; dead means no such address.
 * pinned pages are left alone by faults and notifier and are touched under the
 *   container's lock only. Devices' memory is the exception: what is mapped as if pinned
 *   goes when its owner revokes it.
 * fault vs dirty tracking: while writes are tracked, nothing becomes writable but the
 *   page of a write access, which gets dirty under the same lock. A report
 *   unmaps what is writable and takes the dirty bits under the lock: a write is either
 *   before it and reported, or faults again and belongs to the next.
 * budgets: what changes here is charged before the lock is dropped; see budget.c.
 * frozen areas: see area.h.
 * 1 GiB leaves: while one maps the addresses of a chunk, the chunk maps nothing; see span.c.
 *
 * Nothing here sleeps but the pin functions; memory for the IOMMU's tables is taken
 * without waiting, because reclaim itself may be waiting in the notifier for
 * this very lock.
 */
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "../budget/budget.h"
#include "../budget/sample.h"
#include "../host/mm.h"
#include "../host/walk.h"
#include "../lib/controls.h"
#include "../lib/timing.h"
#include "../vfio/container.h"
#include "area.h"
#include "chunk.h"
#include "span.h"

/* Pages looked at per time while going back from a fault. */
#define BACK_PAGES 32

/* A run that was a whole chunk could get one leaf, which only huge may be. */
static_assert(IOPF_RUN_MAX < IOPF_CHUNK_PAGES);

/* There may be one for each 2 MiB that is mapped: sixteen of them are a page. */
#ifndef __CHECKER__ /* which lays structures out in its own way */
static_assert(sizeof(struct iopf_chunk) <= 256 || IS_ENABLED(CONFIG_DEBUG_SPINLOCK));
#endif

/* Page tables are the user's: see iopf_container.memcg. */
#define FAULT_GFP (GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT)

static struct kmem_cache *iopf_chunk_cache;
static struct kmem_cache *iopf_chunkmarks_cache;

int iopf_chunk_cache_init(void)
{
	iopf_chunk_cache = KMEM_CACHE(iopf_chunk, SLAB_ACCOUNT);
	iopf_chunkmarks_cache = KMEM_CACHE(iopf_chunkmarks, SLAB_ACCOUNT);
	if (iopf_chunk_cache && iopf_chunkmarks_cache)
		return 0;
	iopf_chunk_cache_exit();
	return -ENOMEM;
}

void iopf_chunk_cache_exit(void)
{
	kmem_cache_destroy(iopf_chunkmarks_cache);
	kmem_cache_destroy(iopf_chunk_cache);
}

static void chunk_init(struct iopf_chunk *chunk, struct iopf_area *area, u64 iova)
{
	u64 base = round_down(iova, IOPF_CHUNK_SIZE);

	spin_lock_init(&chunk->lock);
	chunk->area = area;
	chunk->iova = base;
	chunk->first = iopf_chunkmap_page(max(base, area->range.first));
	chunk->last = iopf_chunkmap_page(min(base + (IOPF_CHUNK_SIZE - 1), area->range.last));
}

struct iopf_chunk *iopf_chunk_alloc(struct iopf_area *area, u64 iova, gfp_t gfp)
{
	struct iopf_chunk *chunk = kmem_cache_zalloc(iopf_chunk_cache, gfp);

	if (chunk)
		chunk_init(chunk, area, iova);
	return chunk;
}

/**
 * iopf_chunks_alloc() - chunks for several 2 MiB in a row
 * @area: the area
 * @iova: an address in the first
 * @n: how many
 * @chunks: out
 * @gfp: how to get memory
 *
 * Return: whether there was memory for all; otherwise there are none.
 */
bool iopf_chunks_alloc(struct iopf_area *area, u64 iova, unsigned int n,
		       struct iopf_chunk **chunks, gfp_t gfp)
{
	if (!kmem_cache_alloc_bulk(iopf_chunk_cache, gfp | __GFP_ZERO, n, (void **)chunks))
		return false;
	for (unsigned int i = 0; i < n; i++)
		chunk_init(chunks[i], area, iova + i * IOPF_CHUNK_SIZE);
	return true;
}

static void chunk_free_marks(const struct iopf_chunk *chunk)
{
	if (unlikely(chunk->map.marks))
		kmem_cache_free(iopf_chunkmarks_cache, chunk->map.marks);
}

void iopf_chunks_free(struct iopf_chunk **chunks, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		chunk_free_marks(chunks[i]);
	kmem_cache_free_bulk(iopf_chunk_cache, n, (void **)chunks);
}

void iopf_chunk_free(struct iopf_chunk *chunk)
{
	chunk_free_marks(chunk);
	kmem_cache_free(iopf_chunk_cache, chunk);
}

/*
 * Few chunks have marks: see that one has them, before what needs them. Two may do that at a time,
 * one under the chunk's lock. False: no memory.
 */
static bool chunk_marks(struct iopf_chunk *chunk, gfp_t gfp)
{
	struct iopf_chunkmarks *marks;
	struct mem_cgroup *old;

	if (READ_ONCE(chunk->map.marks))
		return true;
	old = set_active_memcg(chunk->area->container->memcg);
	marks = kmem_cache_zalloc(iopf_chunkmarks_cache, gfp);
	set_active_memcg(old);
	if (!marks)
		return false;
	/* Orders the zeroes before the pointer, which is looked at without a lock, too. */
	if (cmpxchg(&chunk->map.marks, NULL, marks))
		kmem_cache_free(iopf_chunkmarks_cache, marks);
	return true;
}

static u64 chunk_page_iova(const struct iopf_chunk *chunk, unsigned int page)
{
	return chunk->iova + ((u64)page << PAGE_SHIFT);
}

static unsigned long chunk_page_vaddr(const struct iopf_chunk *chunk, unsigned int page)
{
	return iopf_area_vaddr(chunk->area, chunk_page_iova(chunk, page));
}

/**
 * iopf_domains_unmap() - unmap what is mapped without a hole
 * @domains: a set of domains
 * @nr: from the first so many of them
 * @iova: first address
 * @size: bytes
 */
void iopf_domains_unmap(const struct iopf_domains *domains, unsigned int nr, u64 iova,
			size_t size)
{
	while (nr--) {
		size_t unmapped = iommu_unmap(domains->domain[nr].iommu, iova, size);

		WARN_ONCE(unmapped != size, "iommu_unmap: 0x%zx of 0x%zx bytes at 0x%llx\n",
			  unmapped, size, iova);
	}
}

/**
 * iopf_domains_map() - map memory without a hole where nothing is mapped
 * @domains: a set of domains
 * @iova: first address
 * @phys: the memory
 * @size: bytes
 * @prot: IOMMU_READ, ...
 * @gfp: how to get memory for tables
 *
 * Return: 0 or a negative error number, with nothing mapped.
 */
int iopf_domains_map(const struct iopf_domains *domains, u64 iova, phys_addr_t phys, size_t size,
		     int prot, gfp_t gfp)
{
	for (unsigned int i = 0; i < domains->nr; i++) {
		int ret = iommu_map(domains->domain[i].iommu, iova, phys, size, prot, gfp);

		if (unlikely(ret)) {
			iopf_domains_unmap(domains, i, iova, size);
			return ret;
		}
	}
	return 0;
}

static void chunk_unmap_run(struct iopf_chunk *chunk, unsigned int page, unsigned int n)
{
	iopf_domains_unmap(chunk->domains, chunk->domains->nr, chunk_page_iova(chunk, page),
			   (size_t)n << PAGE_SHIFT);
}

/* Note for sysfs that the chunk has @pages more mapped, or less. */
static __always_inline void chunk_count(const struct iopf_chunk *chunk, long pages)
{
	iopf_container_count(chunk->area->container, pages);
}

/* The same for pinned pages. */
static void chunk_count_pinned(struct iopf_chunk *chunk, long pages)
{
	atomic_long_add(pages, &chunk->area->pinned_pages);
	atomic_long_add(pages, &chunk->area->container->pinned_pages);
}

/*
 * Pages that go from a chunk. Each domain has its IOTLB synced once for all of them, before the
 * chunk's lock is dropped. With one domain, as most containers have, pages are unmapped as they
 * are found; with more, each domain is gone through for them at the end.
 */
struct chunk_zap {
	struct iopf_chunk *chunk;
	unsigned int zapped;
	struct iommu_iotlb_gather gather;
	DECLARE_BITMAP(gone, IOPF_CHUNK_PAGES);
};

static void zap_domain_run(struct chunk_zap *z, struct iommu_domain *domain, unsigned int page,
			   unsigned int n)
{
	size_t size = (size_t)n << PAGE_SHIFT, unmapped;
	u64 iova = chunk_page_iova(z->chunk, page);

	unmapped = iommu_unmap_fast(domain, iova, size, &z->gather);
	WARN_ONCE(unmapped != size, "iommu_unmap_fast: 0x%zx of 0x%zx bytes at 0x%llx\n", unmapped,
		  size, iova);
}

static void zap_begin(struct chunk_zap *z, struct iopf_chunk *chunk)
{
	lockdep_assert_held(&chunk->lock);

	z->chunk = chunk;
	z->zapped = 0;
}

static void zap_run(struct chunk_zap *z, unsigned int page, unsigned int n)
{
	const struct iopf_domains *domains = z->chunk->domains;

	if (likely(domains->nr == 1)) {
		if (!z->zapped)
			iommu_iotlb_gather_init(&z->gather);
		zap_domain_run(z, domains->domain[0].iommu, page, n);
	} else {
		if (!z->zapped)
			bitmap_zero(z->gone, IOPF_CHUNK_PAGES);
		bitmap_set(z->gone, page, n);
	}
	z->zapped += n;
}

/* Returns the number of pages unmapped. */
static unsigned int zap_end(struct chunk_zap *z)
{
	const struct iopf_domains *domains = z->chunk->domains;
	unsigned int first, end;

	if (!z->zapped)
		return 0;
	chunk_count(z->chunk, -(long)z->zapped);
	if (likely(domains->nr == 1)) {
		iommu_iotlb_sync(domains->domain[0].iommu, &z->gather);
		return z->zapped;
	}
	for (unsigned int i = 0; i < domains->nr; i++) {
		iommu_iotlb_gather_init(&z->gather);
		for_each_set_bitrange(first, end, z->gone, IOPF_CHUNK_PAGES)
			zap_domain_run(z, domains->domain[i].iommu, first, end - first);
		iommu_iotlb_sync(domains->domain[i].iommu, &z->gather);
	}
	return z->zapped;
}

/* Charge what has changed. Where there is no budget that is one look. */
static void chunk_settle(struct iopf_chunk *chunk, enum iopf_settle why)
{
	lockdep_assert_held(&chunk->lock);

	if (unlikely(READ_ONCE(chunk->area->container->budgeted)))
		iopf_evictor_settle(chunk, 0, why);
}

static int chunk_prot(const struct iopf_chunk *chunk, bool writable)
{
	return (chunk->area->prot & ~(writable ? 0 : IOMMU_WRITE)) | IOMMU_CACHE;
}

static unsigned int chunk_zap_locked(struct iopf_chunk *chunk, unsigned int first,
				     unsigned int last)
{
	struct chunk_zap z __uninitialized;
	unsigned int page = first, n;

	zap_begin(&z, chunk);
	for (; page <= last && iopf_chunkmap_take(&chunk->map, &page, last, &n); page += n)
		zap_run(&z, page, n);
	return zap_end(&z);
}

static void chunk_zap_writable(struct iopf_chunk *chunk)
{
	struct chunk_zap z __uninitialized;
	unsigned int page = 0, n;

	zap_begin(&z, chunk);
	for (; iopf_chunkmap_take_writable(&chunk->map, &page, &n); page += n)
		zap_run(&z, page, n);
	zap_end(&z);
}

/**
 * iopf_chunk_zap() - unmap a range of pages; pinned ones stay
 * @chunk: the chunk
 * @first: first page
 * @last: last page
 * @age: only to see whether the pages are used: what has not been used shall not look as if it
 *       had, so for some time faults map little around them
 *
 * When this returns no device uses the pages through this chunk any more.
 *
 * Context: any that may take a spinlock.
 * Return: pages unmapped; more than asked for when a 2 MiB mapping went.
 */
unsigned int iopf_chunk_zap(struct iopf_chunk *chunk, unsigned int first, unsigned int last,
			    bool age)
{
	unsigned int zapped;
	long revoked = 0;
	bool huge;

	spin_lock(&chunk->lock);
	huge = chunk->map.huge;
	if (unlikely(READ_ONCE(chunk->area->mmio)))
		revoked = iopf_chunkmap_revoke_mmio(&chunk->map, first, last);
	if (unlikely(revoked))
		chunk_count_pinned(chunk, -revoked);
	zapped = chunk_zap_locked(chunk, first, last);
	if (age && zapped)
		WRITE_ONCE(chunk->aged, jiffies | 1);
	else if (huge && zapped && last - first < IOPF_CHUNK_PAGES - 1)
		WRITE_ONCE(chunk->refill, true);
	chunk_settle(chunk, age ? IOPF_SETTLE_AGED : IOPF_SETTLE_LOST);
	spin_unlock(&chunk->lock);
	return zapped;
}

/**
 * iopf_chunk_look() - unmap a chunk that is being watched, to see when it is missed; see sample.c
 * @chunk: the chunk, found under RCU
 *
 * Context: any that may take a spinlock.
 * Return: whether that was done.
 */
bool iopf_chunk_look(struct iopf_chunk *chunk)
{
	bool looked = false;

	spin_lock(&chunk->lock);
	/* What is mapped of a frozen area does not come back before it thaws. */
	if (!chunk->dead && !READ_ONCE(chunk->area->frozen))
		looked = iopf_sample_chunk_look(chunk,
						iopf_chunkmap_mapped(&chunk->map) -
							iopf_chunkmap_pinned(&chunk->map));
	if (looked) {
		chunk_zap_locked(chunk, 0, IOPF_CHUNK_PAGES - 1);
		chunk_settle(chunk, IOPF_SETTLE_AGED);
	}
	spin_unlock(&chunk->lock);
	return looked;
}

/**
 * iopf_chunk_evict() - unmap what is not pinned, for the budget's sake
 * @chunk: the chunk, found under RCU
 * @look: to see whether it is used, rather than to make room
 *
 * If it may go: the budget is asked again. What is mapped of a frozen area stays.
 *
 * Context: any that may take a spinlock.
 * Return: pages unmapped.
 */
unsigned int iopf_chunk_evict(struct iopf_chunk *chunk, bool look)
{
	unsigned int zapped = 0;

	spin_lock(&chunk->lock);
	if (iopf_evictor_may_evict(chunk)) {
		zapped = chunk_zap_locked(chunk, 0, IOPF_CHUNK_PAGES - 1);
		WRITE_ONCE(chunk->refill, false);
		WRITE_ONCE(chunk->lost, true);
		iopf_evictor_settle(chunk, 0, look ? IOPF_SETTLE_AGED : IOPF_SETTLE_EVICTED);
	}
	spin_unlock(&chunk->lock);
	return zapped;
}

/**
 * iopf_chunk_charge() - begin or end to charge the budget for a chunk
 * @chunk: the chunk; its container says already whether it is budgeted
 * @budgeted: whether it is
 */
void iopf_chunk_charge(struct iopf_chunk *chunk, bool budgeted)
{
	spin_lock(&chunk->lock);
	if (budgeted)
		iopf_evictor_settle(chunk, 0, IOPF_SETTLE_LOST);
	else
		iopf_evictor_forget(chunk);
	spin_unlock(&chunk->lock);
}

/**
 * iopf_chunk_kill() - unmap everything that is not pinned and let nothing in again
 * @chunk: the chunk
 */
void iopf_chunk_kill(struct iopf_chunk *chunk)
{
	spin_lock(&chunk->lock);
	chunk_zap_locked(chunk, 0, IOPF_CHUNK_PAGES - 1);
	WRITE_ONCE(chunk->dead, true);
	iopf_evictor_forget(chunk);
	spin_unlock(&chunk->lock);
}

static void chunk_walk(struct iopf_chunk *chunk, unsigned int page, unsigned int n, bool stop,
		       struct iopf_runs *runs)
{
	lockdep_assert_held(&chunk->lock);

	iopf_walk(chunk->area->mm->mm, chunk_page_vaddr(chunk, page), page, n, stop, runs);
}

/* May these CPU pages serve an access at all? Read-only is of use where the device may read. */
static bool run_serves(const struct iopf_chunk *chunk, const struct iopf_run *run, bool write)
{
	return iopf_run_writable(run) || (!write && (chunk->area->prot & IOMMU_READ));
}

static bool run_writable(const struct iopf_chunk *chunk, const struct iopf_run *run)
{
	return iopf_run_writable(run) && (chunk->area->prot & IOMMU_WRITE);
}

/*
 * Can one 2 MiB leaf map the chunk? The CPU has a leaf there, the area covers
 * the chunk, and I/O and CPU addresses agree within 2 MiB.
 */
static bool chunk_fits_huge(const struct iopf_chunk *chunk, const struct iopf_run *run)
{
	return run->flags & IOPF_RUN_HUGE && chunk->area->huge_ok &&
	       !READ_ONCE(chunk->area->mmio) && chunk->first == 0 &&
	       chunk->last == IOPF_CHUNK_PAGES - 1 &&
	       IS_ALIGNED(chunk_page_vaddr(chunk, 0), IOPF_CHUNK_SIZE) &&
	       !iopf_chunkmap_has_pins(&chunk->map);
}

/*
 * What a fault does in a chunk. Where every fault goes its address is not taken, so that it is in
 * registers.
 * @need_write: only what the CPU has for writing is of use
 * @may_write: what the CPU has for writing gets mapped for writing
 * @no_huge: there is no room for a leaf of 2 MiB in the budget
 * @mapped: pages mapped so far
 */
struct chunk_fault {
	struct iopf_chunk *chunk;
	unsigned int page;
	bool write;
	bool tracking;
	bool need_write;
	bool may_write;
	bool no_span;
	bool no_huge;
	unsigned int mapped;
	struct iopf_timing *timing;
};

/* One leaf for the whole chunk, empty or not. While writes are tracked it is read-only. */
static noinline int fault_map_huge(struct iopf_chunk *chunk, const struct iopf_run *run, bool empty,
				   bool tracking, struct iopf_timing *timing)
{
	phys_addr_t phys = round_down(run->phys, IOPF_CHUNK_SIZE);
	bool writable = !tracking && run_writable(chunk, run);
	int ret;

	if (!empty)
		chunk_zap_locked(chunk, 0, IOPF_CHUNK_PAGES - 1);
	iopf_timing_lap(timing, IOPF_PHASE_WALK);
	ret = iopf_domains_map(chunk->domains, chunk->iova, phys, IOPF_CHUNK_SIZE,
			       chunk_prot(chunk, writable), FAULT_GFP);
	iopf_timing_lap(timing, IOPF_PHASE_MAP);
	if (ret)
		return ret;
	WRITE_ONCE(chunk->refill, false);
	iopf_chunkmap_set_huge(&chunk->map, writable);
	return 0;
}

/*
 * Map a row of runs: of one page each, side by side, and alike but for their frames; the first one
 * of @run and as many more as there are. How many; @ret says why it is none, or not all.
 */
static noinline unsigned int map_row(struct iopf_chunk *chunk, const struct iopf_run *run,
				     const struct iopf_run *end, int prot, int *ret)
{
	struct iommu_domain *domain = chunk->domains->domain[0].iommu;
	u64 shape = run->shape, iova = chunk_page_iova(chunk, run->page);
	const struct iopf_run *first = run;
	unsigned int n;

	do {
		int err = iommu_map(domain, iova, run->phys, PAGE_SIZE, prot, FAULT_GFP);

		if (unlikely(err)) {
			*ret = err;
			break;
		}
		iova += PAGE_SIZE;
		shape++;
		run++;
	} while (run < end && run->shape == shape);
	n = run - first;
	if (likely(n))
		iopf_chunkmap_set(&chunk->map, first->page, n, prot & IOMMU_WRITE);
	return n;
}

/* Most containers have one domain. */
static __always_inline int fault_map_run(const struct iopf_domains *domains, u64 iova,
					 const struct iopf_run *run, int prot)
{
	size_t size = (size_t)run->n << PAGE_SHIFT;

	if (likely(domains->nr == 1))
		return iommu_map(domains->domain[0].iommu, iova, run->phys, size, prot, FAULT_GFP);
	return iopf_domains_map(domains, iova, run->phys, size, prot, FAULT_GFP);
}

/* Map those runs, up to @end, that would have served the access; nothing of them is mapped. */
static __always_inline int fault_map_runs(struct chunk_fault *f, const struct iopf_run *run,
					  const struct iopf_run *end)
{
	struct iopf_chunk *chunk = f->chunk;
	const struct iopf_domains *domains = chunk->domains;
	int may = chunk->area->prot, prot;
	/* What a run must be to be of use. */
	unsigned int need = f->need_write || !(may & IOMMU_READ) ? IOPF_RUN_WRITABLE : 0;
	int ret = 0;

	if (!f->may_write)
		may &= ~IOMMU_WRITE;
	for (; run < end; run++) {
		if (unlikely((run->flags & need) != need))
			continue;
		prot = IOMMU_CACHE | (iopf_run_writable(run) ? may : may & ~IOMMU_WRITE);
		if (run->n == 1 && run + 1 < end && run[1].shape == run->shape + 1 &&
		    likely(domains->nr == 1)) {
			/* What there is most of where frames are scattered. */
			unsigned int n = map_row(chunk, run, end, prot, &ret);

			f->mapped += n;
			if (unlikely(ret))
				break;
			run += n - 1;
			continue;
		}
		ret = fault_map_run(domains, chunk_page_iova(chunk, run->page), run, prot);
		if (unlikely(ret))
			break;
		iopf_chunkmap_set(&chunk->map, run->page, run->n, prot & IOMMU_WRITE);
		f->mapped += run->n;
	}
	return ret;
}

/*
 * Map what the CPU has in [first, last], where nothing is mapped. False: it can't be all, or not
 * now.
 */
static noinline bool fault_map_gap(struct chunk_fault *f, unsigned int first, unsigned int last,
				   bool stop)
{
	unsigned int before = f->mapped, n = last - first + 1;
	struct iopf_runs runs __uninitialized;

	while (first <= last) {
		chunk_walk(f->chunk, first, last - first + 1, stop, &runs);
		if (!runs.nr || fault_map_runs(f, runs.run, runs.run + runs.nr))
			break;
		first = runs.next;
	}
	return f->mapped - before == n;
}

/* The same, beside what is mapped already. */
static bool fault_map_rest(struct chunk_fault *f, unsigned int first, unsigned int last, bool stop)
{
	const unsigned long *present = f->chunk->map.present;
	bool full = true;

	for (;;) {
		unsigned int end;

		first = find_next_zero_bit(present, last + 1, first);
		if (first > last)
			return full;
		end = find_next_bit(present, last + 1, first);
		full &= fault_map_gap(f, first, end - 1, stop);
		if (!full && stop)
			return false;
		first = end;
	}
}

/*
 * As a bonus that may fail, the rest of the window, of which @gap has been dealt with. How many
 * pages have been mapped.
 */
static noinline unsigned int fault_map_around(struct iopf_chunk *chunk, bool need_write,
					      bool may_write, struct iopf_window w,
					      struct iopf_window gap)
{
	struct chunk_fault f = {
		.chunk = chunk,
		.need_write = need_write,
		.may_write = may_write,
	};

	if (gap.first > w.first)
		fault_map_rest(&f, w.first, gap.first - 1, false);
	if (gap.last < w.last)
		fault_map_rest(&f, gap.last + 1, w.last, false);
	return f.mapped;
}

/* The pages of the window around the page that are not mapped, without a break. */
static __always_inline void fault_gap(const struct chunk_fault *f, const struct iopf_window *w,
				      struct iopf_window *gap)
{
	const unsigned long *present = f->chunk->map.present;
	unsigned int n = w->last - w->first + 1;

	*gap = *w;
	/* A window of that size lies in one word. */
	if (likely(n <= BITS_PER_LONG) &&
	    likely(!(present[BIT_WORD(w->first)] >> (w->first % BITS_PER_LONG) &
		     GENMASK(n - 1, 0))))
		return;
	gap->first = find_last_bit(present, f->page);
	gap->first = gap->first == f->page ? w->first : max(w->first, gap->first + 1);
	gap->last = find_next_bit(present, w->last + 1, f->page) - 1;
}

/*
 * Look at the CPU's pages of the gap, or at least at the one in question. The run that it
 * belongs to; NULL: it can't be had.
 */
static __always_inline const struct iopf_run *
fault_look(struct chunk_fault *f, struct iopf_window *gap, struct iopf_runs *runs)
{
	for (;;) {
		chunk_walk(f->chunk, gap->first, gap->last - gap->first + 1, false, runs);
		for (const struct iopf_run *run = runs->run; run < runs->run + runs->nr; run++) {
			if (f->page - run->page < run->n) {
				gap->last = runs->next - 1;
				return run;
			}
		}
		if (gap->first == gap->last)
			return NULL;
		/* Why? And there may have been more runs than there is room for. */
		*gap = (struct iopf_window){ f->page, f->page };
	}
}

/*
 * Map all that was found, or at least @run, which has the page in question: memory for the IOMMU's
 * tables may be short for the others only.
 */
static __always_inline int fault_map_found(struct chunk_fault *f, const struct iopf_run *run,
					   const struct iopf_runs *runs)
{
	int ret = fault_map_runs(f, runs->run, runs->run + runs->nr);

	if (likely(!ret) || test_bit(f->page, f->chunk->map.present))
		return 0;
	return fault_map_runs(f, run, run + 1);
}

/* While writes are tracked: note the one for which the page has been mapped, or was to be. */
static noinline void fault_track(struct chunk_fault *f, bool mapped)
{
	struct iopf_chunk *chunk = f->chunk;

	/*
	 * Where it could not be mapped in each domain, it has been in some for a moment, in which
	 * another device may have written.
	 */
	if (f->write && (mapped || chunk->domains->nr > 1))
		iopf_chunkmap_dirty(&chunk->map, f->page, 1);
	/* Nothing becomes writable but what is written. */
	f->need_write = false;
	f->may_write = false;
}

/* Map the page, and what is around it in the window. */
static __always_inline int fault_map(struct chunk_fault *f, enum iopf_lookup found,
				     unsigned int around)
{
	struct iopf_chunk *chunk = f->chunk;
	struct iopf_window w, gap = { f->page, f->page };
	struct iopf_runs runs __uninitialized;
	const struct iopf_run *run;
	int ret;

	iopf_window_aligned(&w, f->page, around, chunk->first, chunk->last);
	if (likely(found == IOPF_MISS && !f->tracking))
		fault_gap(f, &w, &gap);
	run = fault_look(f, &gap, &runs);
	if (!run)
		return runs.refused ? -EFAULT : -ENOENT;
	if (!run_serves(chunk, run, f->write))
		return -ENOENT;
	if (unlikely(run->flags & IOPF_RUN_HUGE) && chunk_fits_huge(chunk, run) &&
	    !(f->tracking && f->write) && likely(!f->no_huge)) {
		if (unlikely(run->flags & IOPF_RUN_GIANT && !f->no_span) &&
		    iopf_span_possible(chunk->area, chunk->domains, chunk->iova))
			return -EXDEV;
		ret = fault_map_huge(chunk, run, false, f->tracking, f->timing);
		f->mapped += ret ? 0 : IOPF_CHUNK_PAGES;
		return ret;
	}

	if (found == IOPF_UPGRADE)
		chunk_zap_locked(chunk, f->page, f->page);
	iopf_timing_lap(f->timing, IOPF_PHASE_WALK);
	ret = fault_map_found(f, run, &runs);
	iopf_timing_lap(f->timing, IOPF_PHASE_MAP);
	if (unlikely(f->tracking))
		fault_track(f, !ret);
	if (unlikely(ret))
		return ret;
	if (unlikely(gap.first > w.first || gap.last < w.last))
		f->mapped += fault_map_around(chunk, f->need_write, f->may_write, w, gap);
	return 0;
}

/* Whether something may be mapped now, which is so for as long as the lock is held. */
static __always_inline int chunk_may_map(const struct iopf_chunk *chunk)
{
	lockdep_assert_held(&chunk->lock);

	if (unlikely(chunk->dead))
		return -ESHUTDOWN;
	/* Nothing is mapped here for as long as that is. */
	if (iopf_span_mapped(chunk->area, chunk->iova))
		return -EXDEV;
	/* Pairs with iopf_area_thaw(): unfrozen, the area has its new address. */
	if (unlikely(smp_load_acquire(&chunk->area->frozen)))
		return -EAGAIN;
	/*
	 * Pairs with the barrier in iopf_mm_invalidate_start(): either that
	 * invalidation finds this chunk, or it is seen here.
	 */
	smp_mb();
	if (unlikely(READ_ONCE(chunk->area->mm->exited)))
		return -ESRCH;
	if (!iopf_broken(retry) &&
	    iopf_mm_busy(chunk->area->mm, chunk_page_vaddr(chunk, chunk->first),
			 chunk_page_vaddr(chunk, chunk->last)))
		return -EBUSY;
	return 0;
}

static __always_inline int chunk_fault_locked(struct chunk_fault *f, unsigned int around)
{
	struct iopf_chunk *chunk = f->chunk;
	enum iopf_lookup found = iopf_chunkmap_lookup(&chunk->map, f->page, f->write);
	int ret;

	if (unlikely(found == IOPF_HIT))
		return chunk->dead ? -ESHUTDOWN : 0;
	/* A page pinned for reading has an area that is for reading. */
	if (WARN_ON_ONCE(found == IOPF_UPGRADE &&
			 test_bit(f->page, iopf_chunkmap_pins(&chunk->map))))
		return -EFAULT;
	ret = chunk_may_map(chunk);
	if (unlikely(ret))
		return ret;
	if (unlikely(f->tracking) && f->write && !chunk_marks(chunk, FAULT_GFP))
		return -ENOMEM;
	ret = fault_map(f, found, around);
	/* What was taken away has come back: it is in use. */
	if (unlikely(READ_ONCE(chunk->lost)) && !ret) {
		WRITE_ONCE(chunk->lost, false);
		chunk->heat += chunk->heat < IOPF_HEAT_MAX;
	}
	if (!ret)
		iopf_sample_fault(chunk, f->timing);
	return ret;
}

/* What there is to do, as it is when the chunk is locked. */
static __always_inline struct chunk_fault fault_begin(struct iopf_chunk *chunk, unsigned int page,
						      bool write, bool no_span,
						      struct iopf_timing *timing)
{
	bool tracking = READ_ONCE(chunk->area->container->tracking) && !iopf_broken(track);

	lockdep_assert_held(&chunk->lock);

	return (struct chunk_fault){
		.chunk = chunk,
		.page = page,
		.write = write,
		.tracking = tracking,
		.need_write = write,
		.may_write = write || !tracking,
		.no_span = no_span,
		.timing = timing,
	};
}

/* Where there is a budget: only what there is room for. -EDQUOT: not even for the page. */
static noinline int chunk_fault_budgeted(struct iopf_chunk *chunk, unsigned int page, bool write,
					 bool no_span, unsigned int around, unsigned int *mapped,
					 struct iopf_timing *timing)
{
	struct chunk_fault f = fault_begin(chunk, page, write, no_span, timing);
	unsigned int reserved = 0;
	bool huge = true;
	int ret = 0;

	if (iopf_chunkmap_lookup(&chunk->map, page, write) != IOPF_HIT)
		ret = iopf_evictor_reserve(chunk, &around, &reserved, &huge);
	f.no_huge = !huge;
	if (!ret)
		ret = chunk_fault_locked(&f, iopf_window_size(around));
	iopf_evictor_settle(chunk, reserved, IOPF_SETTLE_MISSED);
	chunk_count(chunk, f.mapped);
	*mapped += f.mapped;
	return ret;
}

static __always_inline int chunk_fault(struct iopf_chunk *chunk, unsigned int page, bool write,
				       bool no_span, unsigned int around, unsigned int *mapped,
				       struct iopf_timing *timing)
{
	int ret;

	spin_lock(&chunk->lock);
	if (unlikely(READ_ONCE(chunk->area->container->budgeted))) {
		ret = chunk_fault_budgeted(chunk, page, write, no_span, around, mapped, timing);
	} else {
		struct chunk_fault f = fault_begin(chunk, page, write, no_span, timing);

		ret = chunk_fault_locked(&f, around);
		chunk_count(chunk, f.mapped);
		*mapped += f.mapped;
	}
	spin_unlock(&chunk->lock);
	return ret;
}

/* A leaf of 1 GiB is mapped there, or could be. */
static noinline int chunk_fault_span(struct iopf_chunk *chunk, unsigned int page, bool write,
				     unsigned int around, unsigned int *mapped,
				     struct iopf_timing *timing)
{
	int ret = iopf_span_fault(chunk->area, chunk->iova, write, mapped);

	/* It can't. If it is there again when the chunk has another look, so be it. */
	if (ret == -EXDEV)
		ret = chunk_fault(chunk, page, write, true, around, mapped, timing);
	return ret == -EXDEV ? -EBUSY : ret;
}

/**
 * iopf_chunk_fault() - map the page of an access from what the CPU has
 * @chunk: the chunk, found under RCU
 * @page: page of the chunk; belongs to the area
 * @write: the access is a write; the area permits it
 * @around: pages to look at around it; of iopf_window_size()
 * @mapped: incremented by the pages mapped
 * @timing: the fault's clock
 *
 * Context: any that may take a spinlock.
 * Return: 0 when the access can go on;
 * -ENOENT when the CPU has no page there, or none that is good enough: fault
 * it in and call again;
 * -EBUSY when an invalidation is in progress: call again a little later;
 * -EAGAIN when the area is frozen: call again when it has thawed;
 * -EDQUOT when the budget has no room: have some made, and call again;
 * -ENOMEM when the IOMMU's tables could not grow without waiting;
 * -EFAULT when what is there is not for devices;
 * -ESRCH when the process is gone;
 * -ESHUTDOWN when the area is gone.
 */
int iopf_chunk_fault(struct iopf_chunk *chunk, unsigned int page, bool write, unsigned int around,
		     unsigned int *mapped, struct iopf_timing *timing)
{
	struct mem_cgroup *old = set_active_memcg(chunk->area->container->memcg);
	int ret = chunk_fault(chunk, page, write, false, around, mapped, timing);

	if (unlikely(ret == -EXDEV))
		ret = chunk_fault_span(chunk, page, write, around, mapped, timing);
	set_active_memcg(old);
	return ret;
}

/*
 * One leaf, if the CPU has one and nothing is mapped yet. -ENOENT: it has none; -EXDEV: it has one
 * of 1 GiB.
 */
static int chunk_have_huge(struct chunk_fault *f)
{
	struct iopf_chunk *chunk = f->chunk;
	struct iopf_runs runs __uninitialized;

	if (!chunk->area->huge_ok || !iopf_chunkmap_empty(&chunk->map))
		return -ENOENT;
	chunk_walk(chunk, chunk->first, 1, true, &runs);
	if (!runs.nr || !run_serves(chunk, &runs.run[0], f->need_write) ||
	    !chunk_fits_huge(chunk, &runs.run[0]))
		return -ENOENT;
	if (runs.run[0].flags & IOPF_RUN_GIANT &&
	    iopf_span_possible(chunk->area, chunk->domains, chunk->iova))
		return -EXDEV;
	return fault_map_huge(chunk, &runs.run[0], true, f->tracking, f->timing);
}

/* See iopf_chunk_have(). Without @stop, all there is up to @last. */
static unsigned int chunk_have(struct iopf_chunk *chunk, unsigned int first, unsigned int last,
			       bool write, bool stop, unsigned int *mapped)
{
	const struct iopf_container *c = chunk->area->container;
	struct mem_cgroup *old = set_active_memcg(c->memcg);
	struct iopf_timing timing __uninitialized;
	struct chunk_fault f = { .chunk = chunk, .timing = &timing };
	unsigned int n, reserved = 0;
	bool budgeted;
	int ret;

	iopf_timing_none(&timing);
	spin_lock(&chunk->lock);
	f.tracking = READ_ONCE(c->tracking) && !iopf_broken(track);
	budgeted = READ_ONCE(c->budgeted);
	/* While writes are tracked nothing becomes writable but what is written. */
	f.need_write = write && !f.tracking;
	f.may_write = !f.tracking;
	ret = iopf_chunk_aged(chunk) ? -EBUSY : chunk_may_map(chunk);
	if (unlikely(budgeted) && !ret &&
	    !iopf_evictor_reserve_ahead(chunk, last - first + 1, &reserved))
		ret = -EBUSY;
	if (!ret) {
		ret = chunk_have_huge(&f);
		f.mapped += ret ? 0 : IOPF_CHUNK_PAGES;
	}
	if (ret == -ENOENT)
		fault_map_rest(&f, first, last, stop);
	n = last - first + 1;
	if (!chunk->map.huge)
		n = find_next_zero_bit(chunk->map.present, last + 1, first) - first;
	if (unlikely(budgeted))
		iopf_evictor_settle(chunk, reserved, IOPF_SETTLE_MISSED);
	chunk_count(chunk, f.mapped);
	spin_unlock(&chunk->lock);
	if (unlikely(ret == -EXDEV) &&
	    !iopf_span_fault(chunk->area, chunk->iova, f.need_write, &f.mapped))
		n = last - first + 1;
	set_active_memcg(old);
	*mapped += f.mapped;
	return n;
}

/**
 * iopf_chunk_have() - map what the CPU has, from one page on up to the first that it has not
 * @chunk: the chunk, found under RCU
 * @first: the first page; belongs to the area
 * @last: the last page; belongs to the area
 * @write: for writing, which the area permits
 * @mapped: incremented by the pages mapped
 *
 * Nobody waits for this. Where the host looks which pages are used nothing is mapped that nobody
 * has asked for.
 *
 * Context: any that may take a spinlock.
 * Return: how many pages from @first on are mapped now.
 */
unsigned int iopf_chunk_have(struct iopf_chunk *chunk, unsigned int first, unsigned int last,
			     bool write, unsigned int *mapped)
{
	return chunk_have(chunk, first, last, write, true, mapped);
}

/**
 * iopf_chunk_rest() - map what the CPU has around a page that is mapped, as far as there is no gap
 * @chunk: the chunk, found under RCU
 * @page: the page
 * @write: for writing, which the area permits
 * @mapped: incremented by the pages mapped
 *
 * As iopf_chunk_have().
 *
 * Return: how many pages from @page on are mapped now.
 */
unsigned int iopf_chunk_rest(struct iopf_chunk *chunk, unsigned int page, bool write,
			     unsigned int *mapped)
{
	unsigned int n;

	if (unlikely(READ_ONCE(chunk->refill))) {
		/* What goes from here on says so again. */
		WRITE_ONCE(chunk->refill, false);
		/* All but the part for which the leaf went is there, wherever that is. */
		chunk_have(chunk, chunk->first, chunk->last, write, false, mapped);
	}
	n = iopf_chunk_have(chunk, page, chunk->last, write, mapped);
	/* In steps, as to where it begins is not known. */
	for (unsigned int first = page, back; first > chunk->first; first = back) {
		back = max_t(int, chunk->first, (int)first - BACK_PAGES);
		if (chunk_have(chunk, back, first - 1, write, false, mapped) < first - back)
			break;
	}
	return n;
}

/**
 * iopf_chunk_serves() - whether a page is mapped well enough for an access
 * @chunk: the chunk, found under RCU
 * @page: page of the chunk
 * @write: the access is a write
 *
 * Context: any that may take a spinlock.
 */
bool iopf_chunk_serves(struct iopf_chunk *chunk, unsigned int page, bool write)
{
	bool serves;

	spin_lock(&chunk->lock);
	serves = iopf_chunkmap_lookup(&chunk->map, page, write) == IOPF_HIT;
	spin_unlock(&chunk->lock);
	return serves;
}

/**
 * iopf_chunk_track() - begin to track writes: nothing is dirty, nothing writable
 * @chunk: the chunk; its container says already that writes are tracked
 */
void iopf_chunk_track(struct iopf_chunk *chunk)
{
	spin_lock(&chunk->lock);
	chunk_zap_writable(chunk);
	iopf_chunkmap_forget_dirty(&chunk->map);
	chunk_settle(chunk, IOPF_SETTLE_LOST);
	spin_unlock(&chunk->lock);
}

/**
 * iopf_chunk_report() - take the pages that have been written since the last time
 * @chunk: the chunk
 * @pins_dirty: what is pinned for writing counts as written
 * @bits: out: bitmap of the chunk's pages
 *
 * What gets written from now on belongs to the next report. Followed by
 * iopf_chunk_report_end().
 */
void iopf_chunk_report(struct iopf_chunk *chunk, bool pins_dirty, unsigned long *bits)
{
	spin_lock(&chunk->lock);
	chunk_zap_writable(chunk);
	iopf_chunkmap_report(&chunk->map, pins_dirty, bits);
	chunk_settle(chunk, IOPF_SETTLE_LOST);
	spin_unlock(&chunk->lock);
}

/**
 * iopf_chunk_report_end() - the report has been made, or has failed
 * @chunk: the chunk
 * @made: user space has it
 */
void iopf_chunk_report_end(struct iopf_chunk *chunk, bool made)
{
	spin_lock(&chunk->lock);
	iopf_chunkmap_report_end(&chunk->map, made);
	spin_unlock(&chunk->lock);
}

/**
 * iopf_chunk_dirty() - note that somebody else than a device has written pages
 * @chunk: the chunk
 * @page: first page
 * @n: pages
 *
 * Context: process context, under the container's lock; sleeps.
 */
void iopf_chunk_dirty(struct iopf_chunk *chunk, unsigned int page, unsigned int n)
{
	chunk_marks(chunk, GFP_KERNEL_ACCOUNT | __GFP_NOFAIL);
	spin_lock(&chunk->lock);
	iopf_chunkmap_dirty(&chunk->map, page, n);
	spin_unlock(&chunk->lock);
}

/*
 * Devices' memory goes into a new domain under the lock, since its owner may revoke it at
 * any time. A page that can't be mapped is let go, as if it had been revoked.
 */
static void chunk_enter_mmio(struct iopf_chunk *chunk, const struct iopf_domains *old,
			     struct iommu_domain *added)
{
	unsigned int page;

	for_each_set_bit(page, iopf_chunkmap_mmio(&chunk->map), IOPF_CHUNK_PAGES) {
		u64 iova = chunk_page_iova(chunk, page);
		unsigned int first = page, n;

		if (!iommu_map(added, iova, iommu_iova_to_phys(old->domain[0].iommu, iova),
			       PAGE_SIZE, chunk->area->prot | IOMMU_CACHE, FAULT_GFP))
			continue;
		iopf_chunkmap_revoke_mmio(&chunk->map, page, page);
		chunk_count_pinned(chunk, -1);
		iopf_chunkmap_take(&chunk->map, &first, page, &n);
		chunk_count(chunk, -(long)n);
		iopf_domains_unmap(old, old->nr, iova, PAGE_SIZE);
	}
}

/**
 * iopf_chunk_move() - move a chunk to another set of domains
 * @chunk: the chunk
 * @domains: the new set
 * @added: the domain that is new in it, or NULL
 *
 * What is not pinned is unmapped and will be faulted in again. What is pinned stays where it
 * is: the caller maps it into the domain that is new, and a domain that goes has no
 * device any more and is freed with all it maps.
 *
 * Context: process context, under the container's lock.
 */
void iopf_chunk_move(struct iopf_chunk *chunk, const struct iopf_domains *domains,
		     struct iommu_domain *added)
{
	const struct iopf_domains *old;

	spin_lock(&chunk->lock);
	chunk_zap_locked(chunk, 0, IOPF_CHUNK_PAGES - 1);
	old = chunk->domains;
	chunk->domains = domains;
	if (added)
		chunk_enter_mmio(chunk, old, added);
	chunk_settle(chunk, IOPF_SETTLE_LOST);
	spin_unlock(&chunk->lock);
}

/**
 * iopf_chunk_pin() - map pages that have been pinned
 * @chunk: the chunk
 * @page: first page of the chunk; none of the run is pinned yet
 * @pages: the pinned pages; the chunk takes them over on success
 * @n: pages
 *
 * The pages are declared pinned before they are mapped, so that neither a fault
 * nor the notifier touches them while the mapping waits for memory without the
 * lock. A fault in between is answered "go on" and comes again.
 *
 * Context: process context, under the container's lock; sleeps.
 * Return: 0 or a negative error number, with nothing of the run mapped.
 */
int iopf_chunk_pin(struct iopf_chunk *chunk, unsigned int page, struct page **pages,
		   unsigned int n)
{
	bool writable = chunk->area->prot & IOMMU_WRITE;
	unsigned int done = 0, run, first = page, taken, reserved = 0;
	bool mmio;
	int ret;

	if (!chunk_marks(chunk, GFP_KERNEL_ACCOUNT))
		return -ENOMEM;
	ret = iopf_evictor_reserve_pin(chunk, n, &reserved);
	if (ret)
		return ret;
	spin_lock(&chunk->lock);
	/* What else a leaf has mapped comes back with the next fault. */
	if (chunk->map.huge && n < IOPF_CHUNK_PAGES)
		WRITE_ONCE(chunk->refill, true);
	chunk_zap_locked(chunk, page, page + n - 1);
	iopf_chunkmap_set_pinned(&chunk->map, page, n, writable);
	chunk_count(chunk, n);
	chunk_count_pinned(chunk, n);
	if (unlikely(READ_ONCE(chunk->area->container->budgeted)))
		iopf_evictor_settle(chunk, reserved, IOPF_SETTLE_LOST);
	spin_unlock(&chunk->lock);

	for (; done < n; done += run) {
		unsigned long pfn = page_to_pfn(pages[done]);

		run = 1;
		while (done + run < n && page_to_pfn(pages[done + run]) == pfn + run)
			run++;
		ret = iopf_domains_map(chunk->domains, chunk_page_iova(chunk, page + done),
				       PFN_PHYS(pfn), (size_t)run << PAGE_SHIFT,
				       chunk_prot(chunk, writable), GFP_KERNEL_ACCOUNT);
		if (ret)
			goto err_unmap;
		if (run == IOPF_CHUNK_PAGES && IS_ALIGNED(pfn, IOPF_CHUNK_PAGES))
			chunk->whole = chunk->area->container->huge_ok;
	}
	return 0;

err_unmap:
	if (done)
		chunk_unmap_run(chunk, page, done);
	spin_lock(&chunk->lock);
	iopf_chunkmap_take_pinned(&chunk->map, &first, page + n - 1, &taken, &mmio);
	chunk_count(chunk, -(long)taken);
	chunk_count_pinned(chunk, -(long)taken);
	/* Devices could write it meanwhile; the last run in those domains that took it. */
	if (writable && READ_ONCE(chunk->area->container->tracking))
		iopf_chunkmap_dirty(&chunk->map, page, done + run);
	chunk_settle(chunk, IOPF_SETTLE_LOST);
	spin_unlock(&chunk->lock);
	return ret;
}

/**
 * iopf_chunk_hold_mmio() - have a page of a device stay mapped as if it were pinned
 * @chunk: the chunk; its area says already that it has such pages
 * @page: page of the chunk
 *
 * Context: process context, under the container's lock.
 * Return: whether it is mapped, with all permission of the area, so that it can stay.
 */
bool iopf_chunk_hold_mmio(struct iopf_chunk *chunk, unsigned int page)
{
	bool write = chunk->area->prot & IOMMU_WRITE;
	bool held;

	chunk_marks(chunk, GFP_KERNEL_ACCOUNT | __GFP_NOFAIL);
	spin_lock(&chunk->lock);
	/* From before the area had such pages: from now on there are no leaves of 2 MiB. */
	if (chunk->map.huge)
		chunk_zap_locked(chunk, 0, IOPF_CHUNK_PAGES - 1);
	held = iopf_chunkmap_lookup(&chunk->map, page, write) == IOPF_HIT;
	if (held) {
		iopf_chunkmap_hold_mmio(&chunk->map, page);
		chunk_count_pinned(chunk, 1);
	}
	chunk_settle(chunk, IOPF_SETTLE_LOST);
	spin_unlock(&chunk->lock);
	return held;
}

/* Pinned pages from @page on that are one run of memory; devices' memory is not meant. */
static unsigned int chunk_pinned_run(struct iopf_chunk *chunk, struct iommu_domain *domain,
				     unsigned int page, phys_addr_t phys)
{
	const unsigned long *pinned = iopf_chunkmap_pins(&chunk->map);
	const unsigned long *mmio = iopf_chunkmap_mmio(&chunk->map);
	unsigned int n = 1;

	while (page + n < IOPF_CHUNK_PAGES && test_bit(page + n, pinned) &&
	       iommu_iova_to_phys(domain, chunk_page_iova(chunk, page + n)) ==
		       phys + ((phys_addr_t)n << PAGE_SHIFT) &&
	       !test_bit(page + n, mmio))
		n++;
	return n;
}

/**
 * iopf_chunk_replay() - map the pinned pages of a chunk into one more domain
 * @chunk: the chunk; the domain is in its set already
 * @domain: the domain that is new
 *
 * Devices' memory is there since iopf_chunk_move().
 *
 * Context: process context, under the container's lock; sleeps.
 * Return: 0 or a negative error number, with some of it mapped: the caller
 * then moves the chunk off the domain again.
 */
int iopf_chunk_replay(struct iopf_chunk *chunk, struct iommu_domain *domain)
{
	int prot = chunk->area->prot | IOMMU_CACHE;
	struct iommu_domain *have = chunk->domains->domain[0].iommu;
	unsigned int page;

	/* Nothing is pinned while there is no domain; see attach.c. */
	if (!iopf_chunkmap_has_pins(&chunk->map))
		return 0;
	if (WARN_ON_ONCE(have == domain))
		return -EINVAL;
	for_each_andnot_bit(page, iopf_chunkmap_pins(&chunk->map), iopf_chunkmap_mmio(&chunk->map),
			    IOPF_CHUNK_PAGES) {
		u64 iova = chunk_page_iova(chunk, page);
		phys_addr_t phys = iommu_iova_to_phys(have, iova);
		unsigned int n = chunk_pinned_run(chunk, have, page, phys);
		int ret;

		/* No leaf of 2 MiB for what was pinned in parts: it is unpinned in parts. */
		if (n == IOPF_CHUNK_PAGES && !chunk->whole)
			n /= 2;
		ret = iommu_map(domain, iova, phys, (size_t)n << PAGE_SHIFT, prot,
				GFP_KERNEL_ACCOUNT);
		if (ret)
			return ret;
		page += n - 1;
	}
	return 0;
}

/**
 * iopf_chunk_unpinned() - the next run of pages that are not pinned
 * @chunk: the chunk
 * @page: in: where to look from; out: first page of the run
 * @last: where to stop looking
 * @n: out: pages
 *
 * Context: process context, under the container's lock: but for devices' memory, which may be
 * revoked at any time, it stays so.
 * Return: whether there is one.
 */
bool iopf_chunk_unpinned(struct iopf_chunk *chunk, unsigned int *page, unsigned int last,
			 unsigned int *n)
{
	const unsigned long *pinned;
	unsigned int first;

	spin_lock(&chunk->lock);
	pinned = iopf_chunkmap_pins(&chunk->map);
	first = find_next_zero_bit(pinned, last + 1, *page);
	*n = find_next_bit(pinned, last + 1, first) - first;
	spin_unlock(&chunk->lock);
	*page = first;
	return first <= last;
}

/**
 * iopf_chunk_unpin() - unmap the next run of pinned pages
 * @chunk: the chunk; if it was pinned as a whole, what is asked for is all of it
 * @page: in: where to look from; out: first page of the run
 * @last: where to stop looking
 * @pages: out: the pages, which the caller unpins, unless @mmio; room for IOPF_CHUNK_PAGES
 * @n: out: how many
 * @mmio: out: they are of a device
 *
 * Context: process context, under the container's lock.
 * Return: whether there was one.
 */
bool iopf_chunk_unpin(struct iopf_chunk *chunk, unsigned int *page, unsigned int last,
		      struct page **pages, unsigned int *n, bool *mmio)
{
	bool dirty = chunk->area->container->tracking && (chunk->area->prot & IOMMU_WRITE);
	bool any;

	spin_lock(&chunk->lock);
	any = iopf_chunkmap_take_pinned(&chunk->map, page, last, n, mmio);
	if (any) {
		WARN_ON_ONCE(chunk->whole && *n != IOPF_CHUNK_PAGES);
		chunk->whole = false;
		for (unsigned int i = 0; i < *n && !*mmio; i++) {
			phys_addr_t phys = iommu_iova_to_phys(chunk->domains->domain[0].iommu,
							      chunk_page_iova(chunk, *page + i));

			pages[i] = pfn_to_page(PHYS_PFN(phys));
		}
		chunk_unmap_run(chunk, *page, *n);
		chunk_count(chunk, -(long)*n);
		chunk_count_pinned(chunk, -(long)*n);
		/* It could be written all the time. */
		if (dirty)
			iopf_chunkmap_dirty(&chunk->map, *page, *n);
		chunk_settle(chunk, IOPF_SETTLE_LOST);
	}
	spin_unlock(&chunk->lock);
	return any;
}

/**
 * iopf_chunk_dirty_pinned() - note that what is pinned for writing may have been written
 * @chunk: the chunk
 */
void iopf_chunk_dirty_pinned(struct iopf_chunk *chunk)
{
	spin_lock(&chunk->lock);
	iopf_chunkmap_dirty_pinned(&chunk->map);
	spin_unlock(&chunk->lock);
}
