// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chunks: mapping CPU pages into the IOMMU, and unmapping them.
 *
 * The basic rule: the IOMMU's page table maps a page only while the CPU has the same page at that
 * address, or while the page is pinned. Three parties keep this rule. They meet on the chunk's
 * lock:
 *
 *  fault       lock; is an invalidation in progress? read the CPU's entry; map it; unlock
 *  notifier    count the invalidation as in progress; lock; unmap; unlock; (the kernel changes the
 *              CPU's entry); count the invalidation as over
 *  removal     lock; unmap; mark dead; unlock
 *
 * fault vs notifier: if the fault takes the lock first, the notifier unmaps what the fault mapped.
 *   If the notifier takes it first, the fault sees the invalidation in progress and backs off. A
 *   chunk may be made while the notifier looks for chunks, so that the notifier misses it. Then the
 *   barriers in chunk_may_map() and iopf_mm_invalidate_start() ensure that the fault sees the
 *   count.
 * fault vs unmap, detach: a chunk that was found under RCU may be dead when its lock is taken. A
 *   fault in a dead chunk finds no address.
 * pinned pages: faults and the notifier leave them alone. They change under the space's lock only.
 *   Device memory is the exception: it is mapped as if pinned, and unmapped when its owner revokes
 *   it.
 * fault vs dirty tracking: while writes are tracked, a page becomes writable only by a write
 *   access, and is marked dirty under the same lock. A report unmaps writable pages and takes the
 *   dirty bits under the lock. So a write either precedes the report and is in it, or faults again
 *   and belongs to the next report.
 * budgets: a change in a chunk is charged before the lock is dropped; see budget/budget.c.
 * frozen areas: see area.c.
 * 1 GiB leaves: while a leaf maps the addresses of a chunk, the chunk maps nothing; see span.c.
 *
 * Only functions of chunk_pin.c and iopf_chunk_dirty() sleep. Elsewhere memory for the IOMMU's page
 * tables is allocated without waiting: reclaim itself may wait in the notifier for the chunk's
 * lock.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "../budget/budget.h"
#include "area.h"
#include "chunk.h"
#include "chunk_private.h"
#include "space.h"

/* There may be one for each 2 MiB that is mapped. Sixteen chunks fit into a page. */
#ifndef __CHECKER__ /* sparse lays out structures differently */
static_assert(sizeof(struct iopf_chunk) <= 256 || IS_ENABLED(CONFIG_DEBUG_SPINLOCK));
#endif

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
 * iopf_chunks_alloc() - allocate chunks for several 2 MiB in a row
 * @area: the area
 * @iova: an address in the first
 * @n: number of chunks
 * @chunks: out
 * @gfp: how to get memory
 *
 * Return: whether there was memory for all chunks. If not, none is allocated.
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
 * Ensure that a chunk has marks, before code that needs them. Few chunks have them. Two tasks may
 * do this at a time, one of them under the chunk's lock. Returns false when there is no memory.
 */
bool iopf_chunk_marks(struct iopf_chunk *chunk, gfp_t gfp)
{
	struct iopf_chunkmarks *marks;
	struct mem_cgroup *old;

	if (READ_ONCE(chunk->map.marks))
		return true;
	old = set_active_memcg(chunk->area->space->memcg);
	marks = kmem_cache_zalloc(iopf_chunkmarks_cache, gfp);
	set_active_memcg(old);
	if (!marks)
		return false;
	/* Orders the zeroes before the pointer, which other code also reads without a lock. */
	if (cmpxchg(&chunk->map.marks, NULL, marks))
		kmem_cache_free(iopf_chunkmarks_cache, marks);
	return true;
}

/**
 * iopf_chunk_charge() - begin or stop charging the budget for a chunk
 * @chunk: the chunk; @budgeted of its space is set already
 * @budgeted: whether to charge
 */
void iopf_chunk_charge(struct iopf_chunk *chunk, bool budgeted)
{
	spin_lock(&chunk->lock);
	if (budgeted)
		chunk_charge(chunk, 0, IOPF_SETTLE_LOST);
	else
		iopf_evictor_forget(chunk->area->space->evictor, &chunk->block);
	spin_unlock(&chunk->lock);
}

/**
 * iopf_chunk_serves() - whether a page is mapped and permits an access
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
