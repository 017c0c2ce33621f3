// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pinning whole areas, for devices that can't fault or may not.
 *
 * A pinned area is as stock type1 has it: every page resident, pinned
 * (FOLL_LONGTERM), mapped, and charged to RLIMIT_MEMLOCK. Faults and the
 * notifier leave its pages alone.
 *
 * Pinning works on a running device: pages that were mapped without a pin
 * are replaced chunk by chunk, and a device that meets the gap faults and is told
 * to go on. It is all or nothing: a failure undoes what was done.
 *
 * Locking: everything here runs under the container's lock.
 */
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "area.h"
#include "chunk.h"
#include "container.h"
#include "mm.h"
#include "pin.h"

static int account(struct iopf_area *area, unsigned long pages, bool inc)
{
	struct mm_struct *mm = area->mm->mm;
	int ret;

	if (!mmget_not_zero(mm))
		return inc ? -ESRCH : 0;
	mmap_write_lock(mm);
	ret = __account_locked_vm(mm, pages, inc, area->task, area->lock_cap);
	mmap_write_unlock(mm);
	mmput(mm);
	return ret;
}

/* Pin @n pages at @vaddr into @pages: all or nothing. */
static int pin_pages(struct iopf_area *area, unsigned long vaddr, unsigned int n,
		     struct page **pages)
{
	unsigned int flags = FOLL_LONGTERM | (area->prot & IOMMU_WRITE ? FOLL_WRITE : 0);
	struct mm_struct *mm = area->mm->mm;
	unsigned int done = 0;
	long ret = 0;

	if (!mmget_not_zero(mm))
		return -ESRCH;
	while (done < n) {
		mmap_read_lock(mm);
		ret = pin_user_pages_remote(mm, vaddr + ((unsigned long)done << PAGE_SHIFT),
					    n - done, flags, pages + done, NULL);
		mmap_read_unlock(mm);
		if (ret <= 0)
			break;
		done += ret;
		cond_resched();
	}
	mmput(mm);
	if (done == n)
		return 0;
	unpin_user_pages(pages, done);
	return ret ?: -EFAULT;
}

static int pin_chunk(struct iopf_area *area, u64 iova, struct page **pages)
{
	struct iopf_chunk *chunk = iopf_area_chunk(area, iova, GFP_KERNEL_ACCOUNT);
	unsigned int n;
	int ret;

	if (IS_ERR(chunk))
		return PTR_ERR(chunk);
	n = chunk->last - chunk->first + 1;
	ret = pin_pages(area, iopf_area_vaddr(area, iova), n, pages);
	if (ret)
		return ret;
	ret = iopf_chunk_pin(chunk, chunk->first, pages, n);
	if (ret)
		unpin_user_pages(pages, n);
	return ret;
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
}

/**
 * iopf_pin_area() - pin an area
 * @area: not pinned
 *
 * Return: 0; -ENOMEM over RLIMIT_MEMLOCK or out of memory; -EFAULT without
 * memory or permission; -ESRCH when its process is gone; -EINTR when a signal came.
 */
int iopf_pin_area(struct iopf_area *area)
{
	unsigned long npages = iopf_area_pages(area);
	u64 iova, chunk_last;
	struct page **pages;
	int ret;

	lockdep_assert_held(&area->container->lock);

	pages = kmalloc_array(IOPF_CHUNK_PAGES, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;

	ret = account(area, npages, true);
	if (ret)
		goto err_free;

	for (iova = area->range.first; iova <= area->range.last; iova = chunk_last + 1) {
		chunk_last = iova | (IOPF_CHUNK_SIZE - 1);
		ret = fatal_signal_pending(current) ? -EINTR : pin_chunk(area, iova, pages);
		if (ret)
			goto err_unpin;
		/* The very last chunk there is. */
		if (chunk_last == U64_MAX)
			break;
	}
	area->pinned = true;
	area->locked = npages;
	kfree(pages);
	return 0;

err_unpin:
	unpin_chunks(area, pages);
	account(area, npages, false);
err_free:
	kfree(pages);
	return ret;
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
	account(area, area->locked, false);
	area->pinned = false;
	area->locked = 0;
	kfree(pages);
}
