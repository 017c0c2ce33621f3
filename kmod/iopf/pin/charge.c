// SPDX-License-Identifier: GPL-2.0-only
/*
 * Charging for pinned pages.
 *
 * Charging follows stock type1 page by page, in the order of addresses, so that the same error
 * comes first. A page that is not reserved counts once: whether it is pinned for the area, for an
 * emulated device (emulated.c), or for both.
 *
 * Locking: the space's lock. Charges are given back without waiting for the process's mmap lock,
 * see host/charge.c.
 */
#include <linux/mm.h>
#include <linux/sched.h>

#include "../host/charge.h"
#include "../host/mm.h"
#include "../map/area.h"
#include "../map/chunk.h"
#include "charge.h"
#include "pins.h"

/*
 * Give back charged pages. The caller holds the space's lock, or passes no @space if no task waits
 * for the charges. If they can't be given back at once, the process does it before its ioctl
 * returns, or a worker does.
 */
void iopf_pin_give_back(struct iopf_space *space, struct iopf_mm *m, long pages)
{
	if (!iopf_charge_undo(m, pages) && space)
		WRITE_ONCE(space->pins->owing, true);
}

/*
 * Find an entry of the calling process that is owed charges. Returns it with a reference, or NULL.
 */
static struct iopf_mm *owing_mm(struct iopf_space *space)
{
	bool owing = false;
	struct iopf_mm *m;

	lockdep_assert_held(&space->lock);

	list_for_each_entry(m, &space->mms, node) {
		if (!atomic_long_read_acquire(&m->owed))
			continue;
		owing = true;
		if (m->mm == current->mm) {
			refcount_inc(&m->refs);
			return m;
		}
	}
	WRITE_ONCE(space->pins->owing, owing);
	return NULL;
}

/**
 * iopf_pin_settle() - give back charges before the caller returns to user space, which may read
 *                     them
 * @space: the space, not locked
 */
void iopf_pin_settle(struct iopf_space *space)
{
	struct iopf_mm *m;
	int ret = 0;

	while (unlikely(READ_ONCE(space->pins->owing)) && current->mm && !ret) {
		/* If the caller is killed, the worker gives back its charges. */
		if (mutex_lock_killable(&space->lock))
			break;
		m = owing_mm(space);
		mutex_unlock(&space->lock);
		if (!m)
			break;
		ret = iopf_charge_settle(m);
		iopf_mm_put(m);
	}
}

/**
 * iopf_pin_uncharge() - give charged pages of an area back to its owner
 * @area: the area
 * @pages: number of pages
 */
void iopf_pin_uncharge(struct iopf_area *area, long pages)
{
	lockdep_assert_held(&area->space->lock);

	iopf_pin_give_back(area->space, area->mm, pages);
	area->locked -= pages;
}

/**
 * iopf_pin_charge_new_owner() - move an area's charge to another process
 * @area: the area; its task, mm and lock_cap are still the old owner's
 * @task: the new owner, which is calling
 * @mm: the new owner's
 * @lock_cap: the new owner is not limited
 *
 * Return: 0; -ENOMEM and nothing has changed; -EAGAIN and nothing has changed, since the new
 * owner's mmap lock is taken: the caller waits for it without the space's lock.
 */
int iopf_pin_charge_new_owner(struct iopf_area *area, struct task_struct *task,
			      struct mm_struct *mm, bool lock_cap)
{
	long pages = area->locked;
	int ret;

	lockdep_assert_held(&area->space->lock);

	if (!pages)
		return 0;
	if (!down_write_trylock(&mm->mmap_lock))
		return -EAGAIN;
	ret = __account_locked_vm(mm, pages, true, task, lock_cap);
	mmap_write_unlock(mm);
	if (!ret)
		iopf_pin_give_back(area->space, area->mm, pages);
	return ret;
}

/* Returns how many of @n pages, the first at @iova, are to be charged. */
long iopf_pin_count_new(struct iopf_area *area, u64 iova, struct page **pages, unsigned int n)
{
	unsigned long index = (iova - area->range.first) >> PAGE_SHIFT;
	long count = 0;

	for (unsigned int i = 0; i < n; i++)
		if (iopf_pin_counts(pages[i]) && !xa_load(&area->pins, index + i))
			count++;
	return count;
}

/**
 * iopf_pin_counted() - whether a page is pinned for its area, and so charged already
 * @area: the area
 * @iova: its address
 *
 * Context: process context, under the space's lock.
 */
bool iopf_pin_counted(struct iopf_area *area, u64 iova)
{
	struct iopf_chunk *chunk = iopf_area_chunk_there(area, iova);
	unsigned int page = iopf_chunkmap_page(iova);

	lockdep_assert_held(&area->space->lock);

	/* The bits of device memory may change without the space's lock. No other bits do. */
	return chunk && test_bit(page, iopf_chunkmap_pins(&chunk->map)) &&
	       !test_bit(page, iopf_chunkmap_mmio(&chunk->map));
}
