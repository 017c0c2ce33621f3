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
 * frozen areas: see area.h.
 *
 * Nothing here sleeps but the pin functions; memory for the IOMMU's tables is taken
 * without waiting, because reclaim itself may be waiting in the notifier for
 * this very lock.
 */
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "../../core/window.h"
#include "area.h"
#include "chunk.h"
#include "container.h"
#include "controls.h"
#include "mm.h"
#include "walk.h"

/* Pages looked at per time with interrupts off; the entries live on the stack. */
#define WALK_BATCH 32
static_assert(WALK_BATCH < IOPF_CHUNK_PAGES);

/* Page tables are the user's: see iopf_container.memcg. */
#define FAULT_GFP (GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT)

static struct kmem_cache *iopf_chunk_cache;

int iopf_chunk_cache_init(void)
{
	iopf_chunk_cache = KMEM_CACHE(iopf_chunk, SLAB_ACCOUNT);
	return iopf_chunk_cache ? 0 : -ENOMEM;
}

void iopf_chunk_cache_exit(void)
{
	kmem_cache_destroy(iopf_chunk_cache);
}

struct iopf_chunk *iopf_chunk_alloc(struct iopf_area *area, u64 iova, gfp_t gfp)
{
	struct iopf_chunk *chunk = kmem_cache_zalloc(iopf_chunk_cache, gfp);
	u64 base = round_down(iova, IOPF_CHUNK_SIZE);

	if (!chunk)
		return NULL;
	spin_lock_init(&chunk->lock);
	chunk->area = area;
	chunk->iova = base;
	chunk->first = iopf_chunkmap_page(max(base, area->range.first));
	chunk->last = iopf_chunkmap_page(min(base + (IOPF_CHUNK_SIZE - 1), area->range.last));
	return chunk;
}

void iopf_chunk_free(struct iopf_chunk *chunk)
{
	kmem_cache_free(iopf_chunk_cache, chunk);
}

static void chunk_free_cb(struct rcu_head *rcu)
{
	iopf_chunk_free(container_of(rcu, struct iopf_chunk, rcu));
}

void iopf_chunk_free_rcu(struct iopf_chunk *chunk)
{
	call_rcu(&chunk->rcu, chunk_free_cb);
}

static u64 chunk_page_iova(const struct iopf_chunk *chunk, unsigned int page)
{
	return chunk->iova + ((u64)page << PAGE_SHIFT);
}

static unsigned long chunk_page_vaddr(const struct iopf_chunk *chunk, unsigned int page)
{
	return iopf_area_vaddr(chunk->area, chunk_page_iova(chunk, page));
}

static void domains_unmap(const struct iopf_domains *domains, unsigned int nr, u64 iova,
			  size_t size)
{
	while (nr--) {
		size_t unmapped = iommu_unmap(domains->domain[nr].iommu, iova, size);

		WARN_ONCE(unmapped != size, "iommu_unmap: 0x%zx of 0x%zx bytes at 0x%llx\n",
			  unmapped, size, iova);
	}
}

static void chunk_unmap_run(struct iopf_chunk *chunk, unsigned int page, unsigned int n)
{
	domains_unmap(chunk->domains, chunk->domains->nr, chunk_page_iova(chunk, page),
		      (size_t)n << PAGE_SHIFT);
}

static int chunk_map_run(struct iopf_chunk *chunk, unsigned int page, unsigned int n,
			 unsigned long pfn, bool writable, gfp_t gfp)
{
	int prot = (chunk->area->prot & ~(writable ? 0 : IOMMU_WRITE)) | IOMMU_CACHE;
	u64 iova = chunk_page_iova(chunk, page);
	size_t size = (size_t)n << PAGE_SHIFT;

	for (unsigned int i = 0; i < chunk->domains->nr; i++) {
		int ret = iommu_map(chunk->domains->domain[i].iommu, iova, PFN_PHYS(pfn), size,
				    prot, gfp);

		if (ret) {
			domains_unmap(chunk->domains, i, iova, size);
			return ret;
		}
	}
	return 0;
}

static unsigned int chunk_zap_locked(struct iopf_chunk *chunk, unsigned int first,
				     unsigned int last)
{
	unsigned int page = first, n, zapped = 0;

	lockdep_assert_held(&chunk->lock);

	for (; iopf_chunkmap_take(&chunk->map, &page, last, &n); page += n) {
		chunk_unmap_run(chunk, page, n);
		zapped += n;
	}
	return zapped;
}

static void chunk_zap_writable(struct iopf_chunk *chunk)
{
	unsigned int page = 0, n;

	lockdep_assert_held(&chunk->lock);

	for (; iopf_chunkmap_take_writable(&chunk->map, &page, &n); page += n)
		chunk_unmap_run(chunk, page, n);
}

/**
 * iopf_chunk_zap() - unmap a range of pages; pinned ones stay
 * @chunk: the chunk
 * @first: first page
 * @last: last page
 *
 * When this returns no device uses the pages through this chunk any more.
 *
 * Context: any that may take a spinlock.
 * Return: pages unmapped; more than asked for when a 2 MiB mapping went.
 */
unsigned int iopf_chunk_zap(struct iopf_chunk *chunk, unsigned int first, unsigned int last)
{
	unsigned int zapped;

	spin_lock(&chunk->lock);
	if (unlikely(READ_ONCE(chunk->area->mmio)))
		iopf_chunkmap_revoke_mmio(&chunk->map, first, last);
	zapped = chunk_zap_locked(chunk, first, last);
	spin_unlock(&chunk->lock);
	return zapped;
}

/**
 * iopf_chunk_kill() - unmap everything that is not pinned and let nothing in again
 * @chunk: the chunk
 */
void iopf_chunk_kill(struct iopf_chunk *chunk)
{
	spin_lock(&chunk->lock);
	chunk_zap_locked(chunk, 0, IOPF_CHUNK_PAGES - 1);
	chunk->dead = true;
	spin_unlock(&chunk->lock);
}

static void chunk_walk(struct iopf_chunk *chunk, unsigned int page, unsigned int n, u64 *entries)
{
	unsigned long flags;

	lockdep_assert_held(&chunk->lock);

	local_irq_save(flags);
	iopf_walk(chunk->area->mm->mm, chunk_page_vaddr(chunk, page), n, entries);
	local_irq_restore(flags);
}

/* May this CPU entry serve an access at all? */
static bool entry_serves(const struct iopf_chunk *chunk, u64 entry, bool write)
{
	if (!(entry & IOPF_CPU_PRESENT))
		return false;
	if (entry & IOPF_CPU_WRITE)
		return true;
	/* Read-only, which is of use only where the device may read. */
	return !write && (chunk->area->prot & IOMMU_READ);
}

static bool entry_writable(const struct iopf_chunk *chunk, u64 entry)
{
	return (entry & IOPF_CPU_WRITE) && (chunk->area->prot & IOMMU_WRITE);
}

/*
 * Can one 2 MiB leaf map the chunk? The CPU has a leaf there, the area covers
 * the chunk, and I/O and CPU addresses agree within 2 MiB.
 */
static bool chunk_fits_huge(const struct iopf_chunk *chunk, u64 entry)
{
	return (entry & IOPF_CPU_HUGE) && chunk->area->huge_ok && !READ_ONCE(chunk->area->mmio) &&
	       chunk->first == 0 && chunk->last == IOPF_CHUNK_PAGES - 1 &&
	       IS_ALIGNED(chunk_page_vaddr(chunk, 0), IOPF_CHUNK_SIZE) &&
	       bitmap_empty(chunk->map.pinned, IOPF_CHUNK_PAGES);
}

static int chunk_map_huge(struct iopf_chunk *chunk, u64 entry)
{
	unsigned long pfn = round_down(iopf_cpu_pfn(entry), IOPF_CHUNK_PAGES);
	bool writable = entry_writable(chunk, entry);
	int ret;

	chunk_zap_locked(chunk, 0, IOPF_CHUNK_PAGES - 1);
	ret = chunk_map_run(chunk, 0, IOPF_CHUNK_PAGES, pfn, writable, FAULT_GFP);
	if (!ret)
		iopf_chunkmap_set_huge(&chunk->map, writable);
	return ret;
}

/*
 * Map from @entries, which describe the pages from @page on, what serves the
 * access and is not mapped yet, one contiguous run per IOMMU call. A run never spans
 * the chunk: the IOMMU would take a 2 MiB leaf for it, which only huge may be.
 */
static int chunk_map_entries(struct iopf_chunk *chunk, unsigned int page, unsigned int n,
			     const u64 *entries, bool write, unsigned int *mapped)
{
	unsigned int i = 0, run;

	for (; i < n; i += run) {
		unsigned long pfn = iopf_cpu_pfn(entries[i]);
		bool writable = entry_writable(chunk, entries[i]);
		int ret;

		run = 1;
		if (test_bit(page + i, chunk->map.present) ||
		    !entry_serves(chunk, entries[i], write))
			continue;
		while (i + run < n && !test_bit(page + i + run, chunk->map.present) &&
		       entry_serves(chunk, entries[i + run], write) &&
		       iopf_cpu_pfn(entries[i + run]) == pfn + run &&
		       entry_writable(chunk, entries[i + run]) == writable)
			run++;

		ret = chunk_map_run(chunk, page + i, run, pfn, writable, FAULT_GFP);
		if (ret)
			return ret;
		iopf_chunkmap_set(&chunk->map, page + i, run, writable);
		*mapped += run;
	}
	return 0;
}

/* The page itself, and then, as a bonus that may fail, what is around it. */
static int chunk_fault_locked(struct iopf_chunk *chunk, unsigned int page, bool write,
			      unsigned int around, unsigned int *mapped)
{
	bool tracking = READ_ONCE(chunk->area->container->tracking) && !iopf_broken(track);
	struct iopf_window w;
	u64 entries[WALK_BATCH];
	enum iopf_lookup found;
	u64 entry;
	int ret;

	if (chunk->dead)
		return -ESHUTDOWN;

	found = iopf_chunkmap_lookup(&chunk->map, page, write);
	if (found == IOPF_HIT)
		return 0;
	/* A page pinned for reading has an area that is for reading. */
	if (WARN_ON_ONCE(found == IOPF_UPGRADE && test_bit(page, chunk->map.pinned)))
		return -EFAULT;
	/* Pairs with iopf_area_thaw(): unfrozen, the area has its new address. */
	if (unlikely(smp_load_acquire(&chunk->area->frozen)))
		return -EAGAIN;

	/*
	 * Pairs with the barrier in iopf_mm_invalidate_start(): either that
	 * invalidation finds this chunk, or it is seen here.
	 */
	smp_mb();
	if (READ_ONCE(chunk->area->mm->exited))
		return -ESRCH;
	if (!iopf_broken(retry) &&
	    iopf_mm_busy(chunk->area->mm, chunk_page_vaddr(chunk, chunk->first),
			 chunk_page_vaddr(chunk, chunk->last)))
		return -EBUSY;

	chunk_walk(chunk, page, 1, &entry);
	if (entry & IOPF_CPU_REFUSED)
		return -EFAULT;
	if (!entry_serves(chunk, entry, write))
		return -ENOENT;

	if (unlikely(tracking && !write))
		entry &= ~IOPF_CPU_WRITE;
	if (chunk_fits_huge(chunk, entry) && !(tracking && write)) {
		ret = chunk_map_huge(chunk, entry);
		if (!ret)
			*mapped += IOPF_CHUNK_PAGES;
		return ret;
	}

	if (found == IOPF_UPGRADE)
		chunk_zap_locked(chunk, page, page);
	ret = chunk_map_entries(chunk, page, 1, &entry, write, mapped);
	if (ret)
		return ret;
	if (unlikely(tracking && write))
		iopf_chunkmap_dirty(&chunk->map, page, 1);

	iopf_window_around(&w, page, around, chunk->first, chunk->last);
	for (unsigned int at = w.first; at <= w.last; at += WALK_BATCH) {
		unsigned int n = min_t(unsigned int, WALK_BATCH, w.last - at + 1);

		if (n == 1 && at == page)
			continue;
		chunk_walk(chunk, at, n, entries);
		for (unsigned int i = 0; unlikely(tracking) && i < n; i++)
			entries[i] &= ~IOPF_CPU_WRITE;
		if (chunk_map_entries(chunk, at, n, entries, write && !tracking, mapped))
			break;
	}
	return 0;
}

/**
 * iopf_chunk_fault() - map the page of an access from what the CPU has
 * @chunk: the chunk, found under RCU
 * @page: page of the chunk; belongs to the area
 * @write: the access is a write; the area permits it
 * @around: pages to look at around it
 * @mapped: incremented by the pages mapped
 *
 * Context: any that may take a spinlock.
 * Return: 0 when the access can go on;
 * -ENOENT when the CPU has no page there, or none that is good enough: fault
 * it in and call again;
 * -EBUSY when an invalidation is in progress: call again a little later;
 * -EAGAIN when the area is frozen: call again when it has thawed;
 * -ENOMEM when the IOMMU's tables could not grow without waiting;
 * -EFAULT when what is there is not for devices;
 * -ESRCH when the process is gone;
 * -ESHUTDOWN when the area is gone.
 */
int iopf_chunk_fault(struct iopf_chunk *chunk, unsigned int page, bool write, unsigned int around,
		     unsigned int *mapped)
{
	struct mem_cgroup *old = set_active_memcg(chunk->area->container->memcg);
	int ret;

	spin_lock(&chunk->lock);
	ret = chunk_fault_locked(chunk, page, write, around, mapped);
	spin_unlock(&chunk->lock);
	set_active_memcg(old);
	return ret;
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
 */
void iopf_chunk_dirty(struct iopf_chunk *chunk, unsigned int page, unsigned int n)
{
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

	for_each_set_bit(page, chunk->map.mmio, IOPF_CHUNK_PAGES) {
		u64 iova = chunk_page_iova(chunk, page);
		unsigned int first = page, n;
		bool mmio;

		if (!iommu_map(added, iova, iommu_iova_to_phys(old->domain[0].iommu, iova),
			       PAGE_SIZE, chunk->area->prot | IOMMU_CACHE, FAULT_GFP))
			continue;
		iopf_chunkmap_take_pinned(&chunk->map, &first, page, &n, &mmio);
		domains_unmap(old, old->nr, iova, PAGE_SIZE);
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
	unsigned int done = 0, run, first = page, taken;
	bool mmio;
	int ret;

	spin_lock(&chunk->lock);
	chunk_zap_locked(chunk, page, page + n - 1);
	iopf_chunkmap_set_pinned(&chunk->map, page, n, writable);
	spin_unlock(&chunk->lock);

	for (; done < n; done += run) {
		unsigned long pfn = page_to_pfn(pages[done]);

		run = 1;
		while (done + run < n && page_to_pfn(pages[done + run]) == pfn + run)
			run++;
		ret = chunk_map_run(chunk, page + done, run, pfn, writable, GFP_KERNEL_ACCOUNT);
		if (ret)
			goto err_unmap;
	}
	return 0;

err_unmap:
	if (done)
		chunk_unmap_run(chunk, page, done);
	spin_lock(&chunk->lock);
	iopf_chunkmap_take_pinned(&chunk->map, &first, page + n - 1, &taken, &mmio);
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

	spin_lock(&chunk->lock);
	/* From before the area had such pages: from now on there are no leaves of 2 MiB. */
	if (chunk->map.huge)
		chunk_zap_locked(chunk, 0, IOPF_CHUNK_PAGES - 1);
	held = iopf_chunkmap_lookup(&chunk->map, page, write) == IOPF_HIT;
	if (held)
		iopf_chunkmap_hold_mmio(&chunk->map, page);
	spin_unlock(&chunk->lock);
	return held;
}

/* Pinned pages from @page on that are one run of memory; devices' memory is not meant. */
static unsigned int chunk_pinned_run(struct iopf_chunk *chunk, struct iommu_domain *domain,
				     unsigned int page, phys_addr_t phys)
{
	unsigned int n = 1;

	while (page + n < IOPF_CHUNK_PAGES && test_bit(page + n, chunk->map.pinned) &&
	       iommu_iova_to_phys(domain, chunk_page_iova(chunk, page + n)) ==
		       phys + ((phys_addr_t)n << PAGE_SHIFT) &&
	       !test_bit(page + n, chunk->map.mmio))
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
	if (bitmap_empty(chunk->map.pinned, IOPF_CHUNK_PAGES))
		return 0;
	if (WARN_ON_ONCE(have == domain))
		return -EINVAL;
	for_each_andnot_bit(page, chunk->map.pinned, chunk->map.mmio, IOPF_CHUNK_PAGES) {
		u64 iova = chunk_page_iova(chunk, page);
		phys_addr_t phys = iommu_iova_to_phys(have, iova);
		unsigned int n = chunk_pinned_run(chunk, have, page, phys);
		int ret = iommu_map(domain, iova, phys, (size_t)n << PAGE_SHIFT, prot,
				    GFP_KERNEL_ACCOUNT);

		if (ret)
			return ret;
		page += n - 1;
	}
	return 0;
}

/**
 * iopf_chunk_unpin() - unmap the pinned pages
 * @chunk: the chunk
 * @pages: out: the pages, which the caller unpins; room for IOPF_CHUNK_PAGES
 *
 * Context: process context, under the container's lock.
 * Return: number of pages.
 */
unsigned int iopf_chunk_unpin(struct iopf_chunk *chunk, struct page **pages)
{
	bool dirty = chunk->area->container->tracking && (chunk->area->prot & IOMMU_WRITE);
	unsigned int page = 0, n, nr = 0;
	bool mmio;

	spin_lock(&chunk->lock);
	while (iopf_chunkmap_take_pinned(&chunk->map, &page, IOPF_CHUNK_PAGES - 1, &n, &mmio)) {
		for (unsigned int i = 0; i < n && !mmio; i++) {
			phys_addr_t phys = iommu_iova_to_phys(chunk->domains->domain[0].iommu,
							      chunk_page_iova(chunk, page + i));

			pages[nr++] = pfn_to_page(PHYS_PFN(phys));
		}
		chunk_unmap_run(chunk, page, n);
		/* It could be written all the time. */
		if (dirty)
			iopf_chunkmap_dirty(&chunk->map, page, n);
		page += n;
	}
	spin_unlock(&chunk->lock);
	return nr;
}
