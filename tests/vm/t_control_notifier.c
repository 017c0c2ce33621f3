// SPDX-License-Identifier: GPL-2.0-only
/*
 * Negative control: a switch disables the MMU notifier. Then the device reads memory that was
 * freed, and writes to memory that is no longer at the address. The checks of the suite notice.
 *
 * The wrong writes go to memory of a file that still exists, so they damage no other memory. Freed
 * memory is only read.
 *
 * vm: --mem 768 --swap 512 --variant controls
 */
#include <sys/mman.h>
#include <unistd.h>

#include "control.h"

#define LEN	(2 * MiB)

/* The check of t_mremap: other memory at the address, the device must find it. */
static void check_replaced(struct rig *r)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN }, old = b;
	int first, second;

	b.va = mem_memfd(LEN, &first);
	old.va = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, first, 0);
	must_be(old.va != MAP_FAILED);
	second = must_sys(memfd_create("second", 0));
	must_sys(ftruncate(second, LEN));
	rig_map(r, &b);
	rig_both_ways(&r->sim[0], &b, 1, "before");
	must_be(mmap(b.va, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, second, 0) == b.va);
	rig_both_ways(&r->sim[0], &b, 3, "other memory at the address");
	rig_same(&old, 2, "the memory that was there");
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
	mem_unmap(old.va, LEN);
	close(first);
	close(second);
}

/* The check of t_dontneed: dropped memory reads as zero, and has no old data. */
static void check_dropped(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	uint64_t sum = 1, freed = sim_count(r->vfio[0].bdf, "dma_to_free");

	rig_map(r, &b);
	simbuf_fill(&b, 0, LEN, 5);
	rig_status_is(sim_verify(&r->sim[0], &b, 0, LEN, 5, NULL), IOPF_SIM_ST_OK, "before");
	mem_drop(b.va, LEN);
	rig_status_is(sim_checksum(&r->sim[0], &b, 0, LEN, &sum, NULL), IOPF_SIM_ST_OK,
		      "dropped memory is read");
	tap_is(sum, 0, "it is zero");
	tap_is(sim_count(r->vfio[0].bdf, "dma_to_free") - freed, 0,
	       "no DMA went to freed memory");
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
}

static void breaks(struct rig *r, bool broken)
{
	(void)r;
	must(iopf_param("break_notifier", broken));
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	control_check(&r, check_replaced, breaks, "the notifier, memory replaced");
	control_check(&r, check_dropped, breaks, "the notifier, memory dropped");
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
