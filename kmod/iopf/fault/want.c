// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that a fault wants and the CPU does not have. They are populated one run at a time.
 *
 * want vs freeze, unmap: the run's address is taken under RCU. The thread that populates the run
 *   learns when the address no longer belongs to the container, see iopf_vaddr_changed().
 */
#include <linux/mm.h>

#include "../host/pool.h"
#include "../map/area.h"
#include "../map/chunk.h"
#include "want.h"

/*
 * Add a page to the run if it is adjacent. The pages of a group are mostly adjacent, and a run is
 * populated at once. Other pages are populated after the run.
 */
static void want_join(struct iopf_want *want, const struct iopf_area *area, u64 iova, bool write)
{
	unsigned long vaddr = iopf_area_vaddr(area, iova);

	if (want->pool != area->mm->pool || want->write != write || want->pages == WANT_PAGES)
		return;
	if (vaddr == want->vaddr + ((unsigned long)want->pages << PAGE_SHIFT)) {
		want->pages++;
	} else if (vaddr + PAGE_SIZE == want->vaddr) {
		want->vaddr = vaddr;
		want->iova = iova;
		want->pages++;
	}
}

/**
 * iopf_want_page() - note that a page is missing
 * @want: the run so far
 * @chunk: chunk of the page, found under RCU
 * @iova: address of the page
 * @write: populate for writing
 *
 * Return: true if the page is noted; false if the area has just lost its address, or is gone.
 */
bool iopf_want_page(struct iopf_want *want, const struct iopf_chunk *chunk, u64 iova, bool write)
{
	const struct iopf_area *area = chunk->area;

	iova &= PAGE_MASK;
	if (want->pool) {
		/* iopf_area_vaddr_begin() has read the count of the run before this check. */
		if (READ_ONCE(chunk->dead) || !iopf_area_has_vaddr(area))
			return false;
		want_join(want, area, iova, write);
		return true;
	}
	if (!iopf_area_vaddr_begin(chunk, &want->seen))
		return false;
	want->pool = iopf_pool_get(area->mm->pool);
	want->vaddr = iopf_area_vaddr(area, iova);
	want->pages = 1;
	want->write = write;
	want->iova = iova;
	return true;
}
