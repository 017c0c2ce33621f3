// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pinning whole areas, for devices that can't fault or may not.
 *
 * A pinned area is as stock type1 has it: every page resident, pinned
 * (FOLL_LONGTERM), mapped, and charged to RLIMIT_MEMLOCK. Faults and the
 * notifier leave its pages alone.
 *
 * Memory of devices (VM_PFNMAP) has no pages to pin. It is mapped by the fault path, hence
 * under the notifier's protection, and held as if pinned. When its owner revokes
 * it, a device that can't fault would never get it back, so the container keeps
 * trying until the memory is there again or its mapping gone: iopf_pin_repair().
 *
 * Pinning works on a running device: pages that were mapped without a pin
 * are replaced chunk by chunk, and a device that meets the gap faults and is told
 * to go on. It is all or nothing: a failure undoes what was done.
 *
 * Charging follows stock type1 page by page, in the order of addresses, so that the same
 * error comes first: pages that are not reserved count, those that an emulated device has
 * pinned before are counted already.
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
#include "chunk.h"
#include "container.h"
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
			ret = iopf_mm_populate(area->mm->mm, vaddr, 1, write);
		else if (ret == -EBUSY || ret == -ENOMEM)
			usleep_range(20, 20 + 50 * attempt);
		else
			return ret;
		if (ret && ret != -EBUSY && ret != -ENOMEM)
			return ret;
	}
	return ret ?: -EBUSY;
}

/* Pin the next pages of a chunk. How many, or a negative error number. */
static long pin_some(struct iopf_area *area, struct iopf_chunk *chunk, unsigned int page,
		     struct page **pages)
{
	u64 iova = chunk->iova + ((u64)page << PAGE_SHIFT);
	unsigned long vaddr = iopf_area_vaddr(area, iova);
	long n, count;
	int ret;

	n = pin_pages(area, vaddr, chunk->last - page + 1, pages);
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

static int pin_chunk(struct iopf_area *area, u64 iova, struct page **pages)
{
	struct iopf_chunk *chunk = iopf_area_chunk(area, iova, GFP_KERNEL_ACCOUNT);
	long n;

	if (IS_ERR(chunk))
		return PTR_ERR(chunk);
	for (unsigned int page = chunk->first; page <= chunk->last; page += n) {
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
		n = pin_some(area, chunk, page, pages);
		if (n < 0)
			return n;
	}
	return 0;
}

static void unpin_chunks(struct iopf_area *area, struct page **pages)
{
	struct iopf_chunk *chunk;
	unsigned long index;

	xa_for_each(&area->chunks, index, chunk) {
		unsigned int n = iopf_chunk_unpin(chunk, pages);

		unpin_user_pages_dirty_lock(pages, n, area->prot & IOMMU_WRITE);
		cond_resched();
	}
	iopf_pin_charge(area, (long)area->nr_pins - (long)area->locked);
	WRITE_ONCE(area->mmio, false);
	iopf_spans_allow(area);
}

static int pin_chunks(struct iopf_area *area, struct page **pages)
{
	u64 iova, chunk_last;
	int ret;

	for (iova = area->range.first; iova <= area->range.last; iova = chunk_last + 1) {
		chunk_last = iova | (IOPF_CHUNK_SIZE - 1);
		ret = pin_chunk(area, iova, pages);
		if (ret)
			return ret;
		/* The very last chunk there is. */
		if (chunk_last == U64_MAX)
			break;
	}
	return 0;
}

/**
 * iopf_pin_area() - pin an area
 * @area: not pinned
 *
 * Return: 0; -ENOMEM over RLIMIT_MEMLOCK or out of memory; -EFAULT without
 * memory or permission; -ESRCH when its process is gone; -EBUSY while its CPU address
 * is invalid; -EINTR when a signal came.
 */
int iopf_pin_area(struct iopf_area *area)
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
	iopf_spans_forbid(area);
	ret = pin_chunks(area, pages);
	if (ret)
		unpin_chunks(area, pages);
	else
		area->pinned = true;
	set_active_memcg(old);
	kfree(pages);
	return ret;
}

static bool repair_chunk(struct iopf_area *area, struct iopf_chunk *chunk)
{
	bool missing = false;

	for (unsigned int page = chunk->first; page <= chunk->last; page++) {
		unsigned long vaddr =
			iopf_area_vaddr(area, chunk->iova + ((u64)page << PAGE_SHIFT));

		/* Bits of pages that are missing are set by nobody else. */
		if (test_bit(page, chunk->map.pinned) || !is_mmio(area, vaddr))
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
 * @area: pinned
 *
 * Return: whether some of it is still missing and may come back.
 */
bool iopf_pin_repair(struct iopf_area *area)
{
	struct iopf_chunk *chunk;
	unsigned long index;
	bool missing = false;

	lockdep_assert_held(&area->container->lock);

	if (!READ_ONCE(area->mmio) || area->vaddr_invalid)
		return false;
	xa_for_each(&area->chunks, index, chunk)
		missing |= repair_chunk(area, chunk);
	return missing;
}

/**
 * iopf_pin_undo() - unpin an area; its pages are faulted in from now on
 * @area: pinned
 */
void iopf_pin_undo(struct iopf_area *area)
{
	struct page **pages;

	lockdep_assert_held(&area->container->lock);

	pages = kmalloc_array(IOPF_CHUNK_PAGES, sizeof(*pages), GFP_KERNEL | __GFP_NOFAIL);
	unpin_chunks(area, pages);
	area->pinned = false;
	kfree(pages);
}
