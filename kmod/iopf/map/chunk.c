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
 *   missed it, the barriers in chunk_may_map() and
 *   iopf_mm_invalidate_start() make sure that the fault sees the count.
 * fault vs unmap, detach: a chunk found under RCU may be dead by the time its lock is
 *   taken; dead means no such address.
 * pinned pages are left alone by faults and notifier and are touched under the
 *   space's lock only. Devices' memory is the exception: what is mapped as if pinned
 *   goes when its owner revokes it.
 * fault vs dirty tracking: while writes are tracked, nothing becomes writable but the
 *   page of a write access, which gets dirty under the same lock. A report
 *   unmaps what is writable and takes the dirty bits under the lock: a write is either
 *   before it and reported, or faults again and belongs to the next.
 * budgets: what changes here is charged before the lock is dropped; see budget/budget.c.
 * frozen areas: see area.h.
 * 1 GiB leaves: while one maps the addresses of a chunk, the chunk maps nothing; see span.c.
 *
 * Nothing here sleeps but the pin functions; memory for the IOMMU's tables is taken
 * without waiting, because reclaim itself may be waiting in the notifier for
 * this very lock.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "../budget/budget.h"
#include "area.h"
#include "chunk.h"
#include "chunk_private.h"
#include "space.h"

/* There may be one for each 2 MiB that is mapped: sixteen of them are a page. */
#ifndef __CHECKER__ /* which lays structures out in its own way */
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
	/* Orders the zeroes before the pointer, which is looked at without a lock, too. */
	if (cmpxchg(&chunk->map.marks, NULL, marks))
		kmem_cache_free(iopf_chunkmarks_cache, marks);
	return true;
}

/**
 * iopf_chunk_charge() - begin or end to charge the budget for a chunk
 * @chunk: the chunk; its space says already whether it is budgeted
 * @budgeted: whether it is
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
