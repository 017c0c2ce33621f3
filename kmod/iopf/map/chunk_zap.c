// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chunks: unmapping pages that are not pinned: for the CPU's page tables, for the budget, for
 * sampling, and for good.
 *
 * All pages that are unmapped from a chunk at one time share one sync of each domain's IOTLB,
 * before the chunk's lock is dropped. So when a function here returns, no device uses the pages
 * through this chunk any more.
 *
 * Locking: the chunk's lock; nothing sleeps. For races see chunk.c.
 */
#include <linux/iommu.h>
#include <linux/jiffies.h>

#include "../budget/budget.h"
#include "../budget/watch.h"
#include "area.h"
#include "chunk.h"
#include "chunk_private.h"
#include "space.h"

/*
 * Pages that are being unmapped from a chunk. The IOTLB of each domain is synced once for all of
 * them, before the chunk's lock is dropped. Most spaces have one domain: pages are unmapped as they
 * are found. With more domains, @gone collects the pages, and each domain unmaps them at the end.
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

/* Sync the IOTLBs. Returns the number of pages unmapped. */
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

unsigned int iopf_chunk_zap_locked(struct iopf_chunk *chunk, unsigned int first, unsigned int last)
{
	struct chunk_zap z __uninitialized;
	unsigned int page = first, n;

	zap_begin(&z, chunk);
	for (; page <= last && iopf_chunkmap_take(&chunk->map, &page, last, &n); page += n)
		zap_run(&z, page, n);
	return zap_end(&z);
}

void iopf_chunk_zap_writable(struct iopf_chunk *chunk)
{
	struct chunk_zap z __uninitialized;
	unsigned int page = 0, n;

	zap_begin(&z, chunk);
	for (; iopf_chunkmap_take_writable(&chunk->map, &page, &n); page += n)
		zap_run(&z, page, n);
	zap_end(&z);
}

/**
 * iopf_chunk_zap() - unmap a range of pages; pinned pages stay
 * @chunk: the chunk
 * @first: first page
 * @last: last page
 * @age: unmap only to see whether the pages are used. For some time faults then map few neighbours,
 *       so that unused pages do not look used.
 *
 * When this returns no device uses the pages through this chunk any more.
 *
 * Context: any that may take a spinlock.
 * Return: pages unmapped; more than the range when a 2 MiB mapping was unmapped.
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
	zapped = iopf_chunk_zap_locked(chunk, first, last);
	if (age && zapped)
		WRITE_ONCE(chunk->aged, jiffies | 1);
	else if (huge && zapped && last - first < IOPF_CHUNK_PAGES - 1)
		WRITE_ONCE(chunk->refill, true);
	chunk_settle(chunk, age ? IOPF_SETTLE_AGED : IOPF_SETTLE_LOST);
	spin_unlock(&chunk->lock);
	return zapped;
}

/**
 * iopf_chunk_look() - unmap a chunk that is being watched, to see when a device misses it; see
 *                     sample/sampler.c
 * @chunk: the chunk, found under RCU
 *
 * Context: any that may take a spinlock.
 * Return: whether it was unmapped.
 */
bool iopf_chunk_look(struct iopf_chunk *chunk)
{
	bool looked = false;

	spin_lock(&chunk->lock);
	/* Pages of a frozen area can't be mapped again before it thaws. */
	if (!chunk->dead && !READ_ONCE(chunk->area->frozen))
		looked = iopf_watch_look(chunk->area->space->watch, iopf_chunk_block(chunk),
					 iopf_chunk_loose(chunk), &chunk->look);
	if (looked) {
		iopf_chunk_zap_locked(chunk, 0, IOPF_CHUNK_PAGES - 1);
		chunk_settle(chunk, IOPF_SETTLE_AGED);
	}
	spin_unlock(&chunk->lock);
	return looked;
}

/**
 * iopf_chunk_evict() - unmap pages that are not pinned, for the budget
 * @block: the budget's view of the chunk, found under RCU
 * @look: to see whether it is used, rather than to make room
 *
 * The budget is asked again, under the chunk's lock, whether the block may be evicted. Pages of a
 * frozen area stay mapped.
 *
 * Context: any that may take a spinlock.
 * Return: pages unmapped.
 */
unsigned int iopf_chunk_evict(struct iopf_block *block, bool look)
{
	struct iopf_chunk *chunk = container_of(block, struct iopf_chunk, block);
	unsigned int zapped = 0;

	spin_lock(&chunk->lock);
	if (iopf_evictor_may_evict(chunk->area->space->evictor, block,
				   READ_ONCE(chunk->area->frozen))) {
		zapped = iopf_chunk_zap_locked(chunk, 0, IOPF_CHUNK_PAGES - 1);
		WRITE_ONCE(chunk->refill, false);
		WRITE_ONCE(chunk->lost, true);
		chunk_charge(chunk, 0, look ? IOPF_SETTLE_AGED : IOPF_SETTLE_EVICTED);
	}
	spin_unlock(&chunk->lock);
	return zapped;
}

/**
 * iopf_chunk_kill() - unmap all pages that are not pinned, and mark the chunk dead
 * @chunk: the chunk
 */
void iopf_chunk_kill(struct iopf_chunk *chunk)
{
	spin_lock(&chunk->lock);
	iopf_chunk_zap_locked(chunk, 0, IOPF_CHUNK_PAGES - 1);
	WRITE_ONCE(chunk->dead, true);
	iopf_evictor_forget(chunk->area->space->evictor, &chunk->block);
	spin_unlock(&chunk->lock);
}
