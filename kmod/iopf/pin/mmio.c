// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device memory (VM_PFNMAP) that is held as if it were pinned.
 *
 * Device memory has no pages to pin. The fault path maps it, so the notifier protects the mapping.
 * When the owner of the memory revokes it, a device that can't fault would never get it back. So
 * the space retries until the memory is present again or its mapping is gone:
 * iopf_pin_repair_all().
 *
 * Locking: the space's lock, which is dropped to populate.
 */
#include <linux/cleanup.h>
#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "../budget/budget.h"
#include "../host/mm.h"
#include "../lib/params.h"
#include "../lib/timing.h"
#include "../map/area.h"
#include "../map/chunk.h"
#include "../map/space.h"
#include "hold.h"
#include "mmio.h"

/* Attempts to map device memory, against invalidations and lack of memory. */
#define MMIO_ATTEMPTS 64

/* Map one page of device memory and hold it. Returns -EAGAIN if it is absent by now. */
int iopf_pin_mmio(struct iopf_area *area, struct iopf_chunk *chunk, unsigned int page)
{
	bool write = area->prot & IOMMU_WRITE;
	/* No device waits for this. */
	struct iopf_timing timing = {};
	unsigned int mapped = 0;
	int ret = -EBUSY;

	WRITE_ONCE(area->mmio, true);
	for (unsigned int attempt = 0; attempt < MMIO_ATTEMPTS; attempt++) {
		/* Most pages are mapped already, as neighbours of the first. */
		if (iopf_chunk_hold_mmio(chunk, page))
			return 0;
		ret = iopf_chunk_fault(chunk, page, write, IOPF_CHUNK_PAGES, &mapped, &timing);
		if (!ret)
			continue;
		if (ret == -ENOENT)
			return -EAGAIN;
		if (ret == -EDQUOT && iopf_evictor_make_room(area->space->evictor, 1))
			continue;
		if (ret != -EBUSY && ret != -ENOMEM && ret != -EDQUOT)
			return ret;
		usleep_range(20, 20 + 50 * attempt);
	}
	if (ret == -EDQUOT)
		ret = -ENOMEM;
	return ret ?: -EBUSY;
}

/*
 * Whether a page of a chunk is to be pinned, and is not. In an area with device memory it may be a
 * page that has been revoked.
 */
static bool repair_wants(struct iopf_area *area, struct iopf_chunk *chunk, unsigned int page)
{
	u64 iova = chunk->iova + ((u64)page << PAGE_SHIFT), last;

	/* Only code under the space's lock sets these bits. */
	return !test_bit(page, iopf_chunkmap_pins(&chunk->map)) &&
	       iopf_hold_covers(area, iova, &last);
}

/*
 * Repair one page, without waiting for the mmap lock of the process. Returns -EAGAIN if the lock
 * has been dropped and the area may be freed.
 */
static int repair_page(struct iopf_area *area, struct iopf_chunk *chunk, unsigned int page)
{
	struct iopf_space *space = area->space;
	struct iopf_mm *m = area->mm;
	u64 serial = space->serial;
	bool write = area->prot & IOMMU_WRITE;
	unsigned long vaddr = iopf_area_vaddr(area, chunk->iova + ((u64)page << PAGE_SHIFT));
	int ret;

	refcount_inc(&m->refs);
	iopf_space_unlock_to_wait(space);
	ret = iopf_mm_populate_mmio(m->mm, vaddr, write, true);
	iopf_space_relock(space);
	iopf_mm_put(m);
	if (serial != space->serial)
		return -EAGAIN;
	if (ret)
		return ret;
	ret = iopf_pin_mmio(area, chunk, page);
	return ret == -EAGAIN ? -EBUSY : ret;
}

static int repair_chunk(struct iopf_area *area, struct iopf_chunk *chunk, bool *missing)
{
	int ret;

	for (unsigned int page = chunk->first; page <= chunk->last; page++) {
		if (!repair_wants(area, chunk, page))
			continue;
		ret = repair_page(area, chunk, page);
		if (ret == -EAGAIN)
			return ret;
		/* It is no device memory any more. */
		if (ret == -ENOENT)
			continue;
		*missing |= ret;
		if (ret)
			return 0;
		cond_resched();
	}
	return 0;
}

/*
 * Try to map device memory of an area again that its owner has revoked. Returns 1 if a page that is
 * to be pinned is still missing and may come back. Returns -EAGAIN if other threads have changed
 * the areas: look at all areas anew. The space's lock is dropped in between.
 */
static int repair_area(struct iopf_area *area)
{
	struct iopf_chunk *chunk;
	unsigned long index;
	bool missing = false;
	int ret;

	lockdep_assert_held(&area->space->lock);

	if (!READ_ONCE(area->mmio) || area->vaddr_invalid)
		return 0;
	chunk = NULL;
	while ((chunk = iopf_area_next_chunk(area, chunk, &index))) {
		ret = repair_chunk(area, chunk, &missing);
		if (ret)
			return ret;
	}
	return missing;
}

/**
 * iopf_pin_repair_all() - try to map device memory again that its owners have revoked
 * @space: the address space, whose work @repair calls this
 *
 * If some of it may come back, the work runs again later.
 *
 * Context: process context.
 */
void iopf_pin_repair_all(struct iopf_space *space)
{
	unsigned long index = 0, delay;
	struct iopf_area *area;
	int missing = 0, ret;

	scoped_guard(mutex, &space->lock)
	{
		area = NULL;
		while ((area = iopf_space_next_area(space, area, &index, ULONG_MAX))) {
			ret = repair_area(area);
			missing |= ret;
			/* The space has changed: start again some time later. */
			if (ret < 0)
				break;
		}
	}
	if (!missing)
		return;
	delay = min(2 * READ_ONCE(space->repair_delay) + 1, (unsigned long)HZ);
	WRITE_ONCE(space->repair_delay, delay);
	queue_delayed_work(iopf_wq, &space->repair, delay);
}
