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
 * it, a device that can't fault would never get it back, so the container keeps
 * trying until the memory is there again or its mapping gone: iopf_pin_repair().
 *
 * Pinning works on a running device: pages that were mapped without a pin
 * are replaced chunk by chunk, and a device that meets the gap faults and is told
 * to go on. Should it fail, some of it has been done, and the caller undoes what nobody wants.
 *
 * Charging follows stock type1 page by page, in the order of addresses, so that the same
 * error comes first: pages that are not reserved count, once, whether they are pinned here, or for
 * an emulated device (emulated.c), or both.
 *
 * Locking: everything here runs under the container's lock.
 */
#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "area.h"
#include "budget.h"
#include "chunk.h"
#include "container.h"
#include "hold.h"
#include "latency.h"
#include "mm.h"
#include "pin.h"
#include "span.h"

/* How often mapping a device's memory is tried against invalidations and lack of memory. */
#define MMIO_ATTEMPTS 64

static int charge(struct task_struct *task, struct mm_struct *mm, bool lock_cap, long pages)
{
	int ret;

	/* What is given back must be, whatever signals there are. */
	if (pages < 0)
		mmap_write_lock(mm);
	else if (mmap_write_lock_killable(mm))
		return -EINTR;
	ret = __account_locked_vm(mm, abs(pages), pages > 0, task, lock_cap);
	mmap_write_unlock(mm);
	return ret;
}

/**
 * iopf_pin_charge() - charge pinned pages of an area to its owner, or give them back
 * @area: the area
 * @pages: how many more; negative: less
 *
 * Return: 0; -ENOMEM over RLIMIT_MEMLOCK; -ESRCH when the process is gone; -EINTR. Giving
 * back never fails.
 */
int iopf_pin_charge(struct iopf_area *area, long pages)
{
	struct mm_struct *mm = area->mm->mm;
	int ret = 0;

	lockdep_assert_held(&area->container->lock);

	if (!pages)
		return 0;
	if (mmget_not_zero(mm)) {
		ret = charge(area->task, mm, area->lock_cap, pages);
		mmput(mm);
	} else if (pages > 0) {
		return -ESRCH;
	}
	if (!ret)
		area->locked += pages;
	return ret;
}

/**
 * iopf_pin_charge_new_owner() - move an area's charge to another process
 * @area: the area; its task, mm and lock_cap are still the old owner's
 * @task: the new owner, who is calling
 * @mm: the new owner's
 * @lock_cap: the new owner is not limited
 *
 * Return: 0, or -ENOMEM, -EINTR and nothing has changed.
 */
int iopf_pin_charge_new_owner(struct iopf_area *area, struct task_struct *task,
			      struct mm_struct *mm, bool lock_cap)
{
	struct mm_struct *old = area->mm->mm;
	long pages = area->locked;
	int ret;

	lockdep_assert_held(&area->container->lock);

	if (!pages)
		return 0;
	ret = charge(task, mm, lock_cap, pages);
	if (ret)
		return ret;
	if (mmget_not_zero(old)) {
		charge(area->task, old, area->lock_cap, -pages);
		mmput(old);
	}
	return 0;
}

/* Pin up to @n pages at @vaddr into @pages. How many, or a negative error number. */
static long pin_pages(struct iopf_area *area, unsigned long vaddr, unsigned int n,
		      struct page **pages)
{
	unsigned int flags = FOLL_LONGTERM | (area->prot & IOMMU_WRITE ? FOLL_WRITE : 0);
	struct mm_struct *mm = area->mm->mm;
	long ret;

	if (!mmget_not_zero(mm))
		return -ESRCH;
	mmap_read_lock(mm);
	ret = pin_user_pages_remote(mm, vaddr, n, flags, pages, NULL);
	mmap_read_unlock(mm);
	mmput(mm);
	return ret ?: -EFAULT;
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

static bool is_mmio(struct iopf_area *area, unsigned long vaddr)
{
	struct mm_struct *mm = area->mm->mm;
	struct vm_area_struct *vma;
	bool mmio;

	if (!mmget_not_zero(mm))
		return false;
	mmap_read_lock(mm);
	vma = vma_lookup(mm, vaddr);
	mmio = vma && (vma->vm_flags & VM_PFNMAP);
	mmap_read_unlock(mm);
	mmput(mm);
	return mmio;
}

/* Have a page of a device's memory in the CPU's page tables. It is nobody's to pay for. */
static int populate_mmio(struct iopf_area *area, unsigned long vaddr, bool write)
{
	struct mm_struct *mm = area->mm->mm;
	bool unlocked = false;
	int ret = -EFAULT;

	if (!mmget_not_zero(mm))
		return -ESRCH;
	mmap_read_lock(mm);
	/* fixup_user_fault() may take an address for another. */
	if (iopf_mm_may_have(mm, vaddr, PAGE_SIZE))
		ret = fixup_user_fault(mm, vaddr,
				       FAULT_FLAG_REMOTE | (write ? FAULT_FLAG_WRITE : 0),
				       &unlocked);
	mmap_read_unlock(mm);
	mmput(mm);
	return ret;
}

/* Map one page of a device's memory and hold it. -EFAULT: it can't be had, at least not now. */
static int pin_mmio(struct iopf_area *area, struct iopf_chunk *chunk, unsigned int page)
{
	unsigned long vaddr =
		iopf_area_vaddr(area, chunk->iova + ((u64)page << PAGE_SHIFT));
	bool write = area->prot & IOMMU_WRITE;
	/* No device waits for it. */
	struct iopf_timing timing = { };
	unsigned int mapped = 0;
	int ret;

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
			ret = populate_mmio(area, vaddr, write);
		else if (ret == -EDQUOT && iopf_keeper_make_room(area->container, 1))
			ret = -EBUSY;
		else if (ret == -EBUSY || ret == -ENOMEM || ret == -EDQUOT)
			usleep_range(20, 20 + 50 * attempt);
		else
			return ret;
		if (ret && ret != -EBUSY && ret != -ENOMEM && ret != -EDQUOT)
			return ret;
	}
	if (ret == -EDQUOT)
		ret = -ENOMEM;
	return ret ?: -EBUSY;
}

/* Pin the next pages of a chunk, at most @gap. How many, or a negative error number. */
static long pin_some(struct iopf_area *area, struct iopf_chunk *chunk, unsigned int page,
		     unsigned int gap, struct page **pages)
{
	u64 iova = chunk->iova + ((u64)page << PAGE_SHIFT);
	unsigned long vaddr = iopf_area_vaddr(area, iova);
	long n, count;
	int ret;

	n = pin_pages(area, vaddr, gap, pages);
	if (n < 0) {
		if (!is_mmio(area, vaddr))
			return n;
		ret = pin_mmio(area, chunk, page);
		return ret ?: 1;
	}
	count = count_new(area, iova, pages, n);
	ret = iopf_pin_charge(area, count);
	if (ret)
		goto err_unpin;
	ret = iopf_chunk_pin(chunk, page, pages, n);
	if (ret)
		goto err_uncharge;
	return n;

err_uncharge:
	iopf_pin_charge(area, -count);
err_unpin:
	unpin_user_pages(pages, n);
	return ret;
}

static int pin_chunk(struct iopf_area *area, const struct iopf_range *part, struct page **pages)
{
	struct iopf_chunk *chunk = iopf_area_chunk(area, part->first, GFP_KERNEL_ACCOUNT);
	unsigned int page = iopf_chunkmap_page(part->first), gap;
	unsigned int last = iopf_chunkmap_page(part->last);
	long n;

	if (IS_ERR(chunk))
		return PTR_ERR(chunk);
	for (; iopf_chunk_unpinned(chunk, &page, last, &gap); page += n) {
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
		n = pin_some(area, chunk, page, gap, pages);
		if (n < 0)
			return n;
	}
	return 0;
}

/* The part of a range in its first chunk. */
static struct iopf_range first_part(const struct iopf_range *range)
{
	return (struct iopf_range){
		.first = range->first,
		.last = min(range->first | (IOPF_CHUNK_SIZE - 1), range->last),
	};
}

static int pin_chunks(struct iopf_area *area, const struct iopf_range *range, struct page **pages)
{
	struct iopf_range left = *range;
	int ret;

	for (;;) {
		struct iopf_range part = first_part(&left);

		ret = pin_chunk(area, &part, pages);
		if (ret || part.last == range->last)
			return ret;
		left.first = part.last + 1;
	}
}

/**
 * iopf_pin_fill() - pin what is not pinned of a part of an area
 * @area: the area
 * @range: whole pages of it
 *
 * Context: process context, under the container's lock; may wait for a disk or user space.
 * Return: 0; or an error, and some of it is pinned: -ENOMEM over RLIMIT_MEMLOCK or out of memory;
 * -EFAULT without memory or permission; -ESRCH when its process is gone; -EBUSY while its CPU
 * address is invalid; -EINTR when a signal came.
 */
int iopf_pin_fill(struct iopf_area *area, const struct iopf_range *range)
{
	struct mem_cgroup *old;
	struct page **pages;
	int ret;

	lockdep_assert_held(&area->container->lock);

	if (area->vaddr_invalid)
		return -EBUSY;
	pages = kmalloc_array(IOPF_CHUNK_PAGES, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;

	old = set_active_memcg(area->container->memcg);
	if (!area->no_spans)
		iopf_spans_forbid(area);
	ret = pin_chunks(area, range, pages);
	set_active_memcg(old);
	kfree(pages);
	return ret;
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
 * Context: process context, under the container's lock.
 */
void iopf_pin_drop(struct iopf_area *area, const struct iopf_range *range)
{
	struct iopf_chunk *chunk;
	unsigned long index;
	struct page **pages;
	long charged = 0;

	lockdep_assert_held(&area->container->lock);

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
	iopf_pin_charge(area, -charged);
	kfree(pages);
}

/**
 * iopf_pin_counted() - whether a page of memory is pinned, so that it is charged already
 * @area: the area
 * @iova: its address
 *
 * Context: process context, under the container's lock.
 */
bool iopf_pin_counted(struct iopf_area *area, u64 iova)
{
	struct iopf_chunk *chunk = iopf_area_chunk_there(area, iova);
	unsigned int page = iopf_chunkmap_page(iova);

	lockdep_assert_held(&area->container->lock);

	/* Only devices' memory gets or loses its bits without the container's lock. */
	return chunk && test_bit(page, iopf_chunkmap_pins(&chunk->map)) &&
	       !test_bit(page, iopf_chunkmap_mmio(&chunk->map));
}

static bool repair_chunk(struct iopf_area *area, struct iopf_chunk *chunk)
{
	bool missing = false;

	for (unsigned int page = chunk->first; page <= chunk->last; page++) {
		u64 iova = chunk->iova + ((u64)page << PAGE_SHIFT), last;

		/* Bits of pages that are missing are set by nobody else. */
		if (test_bit(page, iopf_chunkmap_pins(&chunk->map)) ||
		    !iopf_hold_covers(area, iova, &last) ||
		    !is_mmio(area, iopf_area_vaddr(area, iova)))
			continue;
		if (pin_mmio(area, chunk, page)) {
			missing = true;
			break;
		}
		cond_resched();
	}
	return missing;
}

/**
 * iopf_pin_repair() - try to map again what owners of devices' memory have revoked
 * @area: the area
 *
 * Return: whether some of it that is to be pinned is still missing and may come back.
 */
bool iopf_pin_repair(struct iopf_area *area)
{
	struct iopf_chunk *chunk;
	unsigned long index;
	bool missing = false;

	lockdep_assert_held(&area->container->lock);

	if (!READ_ONCE(area->mmio) || area->vaddr_invalid)
		return false;
	chunk = NULL;
	while ((chunk = iopf_area_next_chunk(area, chunk, &index)))
		missing |= repair_chunk(area, chunk);
	return missing;
}
