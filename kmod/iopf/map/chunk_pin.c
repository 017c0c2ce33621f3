// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chunks: pinned pages, and moving a chunk from one set of domains to another.
 *
 * Faults and the notifier leave pinned pages alone. These pages change under the space's lock only.
 * Device memory is the exception: it is mapped as if pinned, and unmapped when its owner revokes
 * it.
 *
 * Locking: the space's lock; the chunk's lock inside. Pinning sleeps, without the chunk's lock.
 */
#include <linux/iommu.h>
#include <linux/mm.h>

#include "../budget/budget.h"
#include "area.h"
#include "chunk.h"
#include "chunk_private.h"
#include "domains.h"
#include "space.h"

static void chunk_unmap_run(struct iopf_chunk *chunk, unsigned int page, unsigned int n)
{
	iopf_domains_unmap(chunk->domains, chunk->domains->nr, chunk_page_iova(chunk, page),
			   (size_t)n << PAGE_SHIFT);
}

/*
 * Map device memory into a new domain. This is done under the lock, since the owner of the memory
 * may revoke it at any time. A page that can't be mapped is unmapped everywhere, as if it had been
 * revoked.
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
 * Pages that are not pinned are unmapped, and mapped again by faults. Pinned pages stay mapped: the
 * caller maps them into the new domain. A domain that leaves the set has no device any more, and is
 * freed with all its mappings.
 *
 * Context: process context, under the space's lock.
 */
void iopf_chunk_move(struct iopf_chunk *chunk, const struct iopf_domains *domains,
		     struct iommu_domain *added)
{
	const struct iopf_domains *old;

	spin_lock(&chunk->lock);
	iopf_chunk_zap_locked(chunk, 0, IOPF_CHUNK_PAGES - 1);
	old = chunk->domains;
	chunk->domains = domains;
	if (added)
		chunk_enter_mmio(chunk, old, added);
	chunk_settle(chunk, IOPF_SETTLE_LOST);
	spin_unlock(&chunk->lock);
}

/* Undo a pin of @n pages. @done of them are mapped, and @tried may be mapped in some domains. */
static void chunk_pin_undo(struct iopf_chunk *chunk, unsigned int page, unsigned int n,
			   unsigned int done, unsigned int tried)
{
	unsigned int first = page, taken;
	bool mmio;

	if (done)
		chunk_unmap_run(chunk, page, done);
	spin_lock(&chunk->lock);
	iopf_chunkmap_take_pinned(&chunk->map, &first, page + n - 1, &taken, &mmio);
	chunk_count(chunk, -(long)taken);
	chunk_count_pinned(chunk, -(long)taken);
	/* Devices could write to these pages meanwhile. */
	if (chunk->area->prot & IOMMU_WRITE && READ_ONCE(chunk->area->space->tracking))
		iopf_chunkmap_dirty(&chunk->map, page, tried);
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
 * The pages are marked as pinned before they are mapped. So neither a fault nor the notifier
 * touches them while the mapping waits for memory without the lock. A fault in between is answered
 * SUCCESS, and the device asks again.
 *
 * Context: process context, under the space's lock; sleeps.
 * Return: 0, or a negative error number with nothing of the run mapped.
 */
int iopf_chunk_pin(struct iopf_chunk *chunk, unsigned int page, struct page **pages,
		   unsigned int n)
{
	struct iopf_space *space = chunk->area->space;
	bool writable = chunk->area->prot & IOMMU_WRITE;
	unsigned int done = 0, run, reserved = 0;
	int ret;

	lockdep_assert_held(&space->lock);

	if (!iopf_chunk_marks(chunk, GFP_KERNEL_ACCOUNT))
		return -ENOMEM;
	if (unlikely(READ_ONCE(space->budgeted))) {
		ret = iopf_evictor_reserve_pin(space->evictor, n);
		if (ret)
			return ret;
		reserved = n;
	}
	spin_lock(&chunk->lock);
	/* The other pages of a leaf are mapped again by the next fault. */
	if (chunk->map.huge && n < IOPF_CHUNK_PAGES)
		WRITE_ONCE(chunk->refill, true);
	iopf_chunk_zap_locked(chunk, page, page + n - 1);
	iopf_chunkmap_set_pinned(&chunk->map, page, n, writable);
	chunk_count(chunk, n);
	chunk_count_pinned(chunk, n);
	if (unlikely(READ_ONCE(chunk->area->space->budgeted)))
		chunk_charge(chunk, reserved, IOPF_SETTLE_LOST);
	spin_unlock(&chunk->lock);

	for (; done < n; done += run) {
		unsigned long pfn = page_to_pfn(pages[done]);

		run = 1;
		while (done + run < n && page_to_pfn(pages[done + run]) == pfn + run)
			run++;
		ret = iopf_domains_map(chunk->domains, chunk_page_iova(chunk, page + done),
				       PFN_PHYS(pfn), (size_t)run << PAGE_SHIFT,
				       chunk_prot(chunk, writable), GFP_KERNEL_ACCOUNT);
		if (ret) {
			chunk_pin_undo(chunk, page, n, done, done + run);
			return ret;
		}
		if (run == IOPF_CHUNK_PAGES && IS_ALIGNED(pfn, IOPF_CHUNK_PAGES))
			chunk->whole = chunk->area->space->huge_ok;
	}
	return 0;
}

/**
 * iopf_chunk_hold_mmio() - keep a page of device memory mapped as if it were pinned
 * @chunk: the chunk; @mmio of its area is set already
 * @page: page of the chunk
 *
 * Context: process context, under the space's lock.
 * Return: whether the page is mapped with all permissions of the area, so that it can stay.
 */
bool iopf_chunk_hold_mmio(struct iopf_chunk *chunk, unsigned int page)
{
	bool write = chunk->area->prot & IOMMU_WRITE;
	bool held;

	iopf_chunk_marks(chunk, GFP_KERNEL_ACCOUNT | __GFP_NOFAIL);
	spin_lock(&chunk->lock);
	/*
	 * Unmap a leaf of 2 MiB from the time before the area had device memory. From now on it
	 * gets no such leaf.
	 */
	if (chunk->map.huge)
		iopf_chunk_zap_locked(chunk, 0, IOPF_CHUNK_PAGES - 1);
	held = iopf_chunkmap_lookup(&chunk->map, page, write) == IOPF_HIT;
	if (held) {
		iopf_chunkmap_hold_mmio(&chunk->map, page);
		chunk_count_pinned(chunk, 1);
	}
	chunk_settle(chunk, IOPF_SETTLE_LOST);
	spin_unlock(&chunk->lock);
	return held;
}

/*
 * Returns the number of pinned pages from @page on that are contiguous in memory, without device
 * memory.
 */
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
 * @domain: the new domain
 *
 * iopf_chunk_move() has mapped device memory there already.
 *
 * Context: process context, under the space's lock; sleeps.
 * Return: 0, or a negative error number with some of the pages mapped. The caller then moves the
 * chunk off the domain again.
 */
int iopf_chunk_replay(struct iopf_chunk *chunk, struct iommu_domain *domain)
{
	int prot = chunk->area->prot | IOMMU_CACHE;
	struct iommu_domain *have = chunk->domains->domain[0].iommu;
	unsigned int page;

	/* Nothing is pinned while there is no domain; see vfio/domain.c. */
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

		/*
		 * Pages that were pinned in parts get no leaf of 2 MiB, since they are unpinned in
		 * parts.
		 */
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
 * iopf_chunk_unpinned() - find the next run of pages that are not pinned
 * @chunk: the chunk
 * @page: in: where to start; out: first page of the run
 * @last: last page to look at
 * @n: out: pages
 *
 * Context: process context, under the space's lock. The answer stays valid under that lock, except
 * for device memory, which may be revoked at any time.
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
 * @chunk: the chunk; if it was pinned as a whole, the range is all of it
 * @page: in: where to start; out: first page of the run
 * @last: last page to look at
 * @pages: out: the pages, which the caller unpins, unless @mmio; room for IOPF_CHUNK_PAGES
 * @n: out: pages in the run
 * @mmio: out: the run is device memory
 *
 * Context: process context, under the space's lock.
 * Return: whether there was one.
 */
bool iopf_chunk_unpin(struct iopf_chunk *chunk, unsigned int *page, unsigned int last,
		      struct page **pages, unsigned int *n, bool *mmio)
{
	bool dirty = chunk->area->space->tracking && (chunk->area->prot & IOMMU_WRITE);
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
		/* Devices could write to it until now. */
		if (dirty)
			iopf_chunkmap_dirty(&chunk->map, *page, *n);
		chunk_settle(chunk, IOPF_SETTLE_LOST);
	}
	spin_unlock(&chunk->lock);
	return any;
}
