// SPDX-License-Identifier: GPL-2.0-only
/*
 * Simulator: the address translation cache. The device keeps a translation until it is
 * invalidated. Without the invalidation (atc_ignore_inv) the next use is noticed and counted, and
 * no DMA happens.
 *
 * The test uses stock type1, so that it tests the simulator alone.
 *
 * vm: --mem 1024
 */
#include "rig.h"

#define LEN	(64ul * 4096)

static void check_hits(struct rig *r, const struct simbuf *b)
{
	const char *bdf = r->vfio[0].bdf;
	uint64_t hits, misses;

	rig_map(r, b);
	sim_knob(bdf, "atc_entries", 256);
	rig_status_is(sim_touch(&r->sim[0], b, 0, LEN, NULL), IOPF_SIM_ST_OK, "first pass");
	hits = sim_count(bdf, "atc_hits");
	misses = sim_count(bdf, "atc_misses");
	rig_status_is(sim_touch(&r->sim[0], b, 0, LEN, NULL), IOPF_SIM_ST_OK, "second pass");
	tap_is(sim_count(bdf, "atc_hits") - hits, LEN / 4096, "every access hits");
	tap_is(sim_count(bdf, "atc_misses") - misses, 0, "none misses");

	sim_knob(bdf, "atc_entries", 0);
	misses = sim_count(bdf, "atc_misses");
	hits = sim_count(bdf, "atc_hits");
	rig_both_ways(&r->sim[0], b, 1, "without a cache");
	tap_is(sim_count(bdf, "atc_hits") - hits, 0, "nothing hits");
	sim_knob(bdf, "atc_entries", 64);
	rig_unmap(r, b);
}

static void check_invalidated(struct rig *r, const struct simbuf *b, const struct simbuf *other)
{
	const char *bdf = r->vfio[0].bdf;
	uint64_t invalidations;

	rig_map(r, b);
	rig_both_ways(&r->sim[0], b, 3, "mapped");
	invalidations = sim_count(bdf, "atc_invalidations");
	rig_unmap(r, b);
	tap_ok(sim_count(bdf, "atc_invalidations") > invalidations, "unmapping invalidates");
	rig_status_is(sim_read(&r->sim[0], b, 0, LEN, NULL), IOPF_SIM_ST_UNTRANSLATED,
		      "unmapped: nothing there");
	rig_map(r, other);
	rig_both_ways(&r->sim[0], other, 5, "other memory at the same IOVA");
	rig_same(b, 4, "the old memory was left alone");
	rig_unmap(r, other);
	tap_is(sim_count(bdf, "stale_uses"), 0, "nothing stale was used");
}

static void check_ignored(struct rig *r, const struct simbuf *b, const struct simbuf *other)
{
	const char *bdf = r->vfio[0].bdf;

	rig_map(r, b);
	rig_both_ways(&r->sim[0], b, 7, "mapped");
	sim_knob(bdf, "atc_ignore_inv", 1);
	rig_unmap(r, b);
	rig_status_is(sim_write(&r->sim[0], b, LEN - 4096, 4096, 9, NULL), IOPF_SIM_ST_STALE,
		      "invalidation ignored, unmapped: write");
	tap_ok(sim_count(bdf, "stale_uses") > 0, "counted");
	rig_same(b, 8, "the memory was left alone");
	rig_map(r, other);
	rig_status_is(sim_write(&r->sim[0], other, LEN - 8192, 4096, 10, NULL),
		      IOPF_SIM_ST_STALE, "other memory at the same IOVA: write");
	rig_same(b, 8, "the old memory was left alone");
	sim_knob(bdf, "atc_ignore_inv", 0);
	rig_unmap(r, other);
	must(vfio_reset(&r->vfio[0]));
	must(vfio_bus_master(&r->vfio[0], true));
	must(sim_up(&r->sim[0], &r->vfio[0], NULL));
	rig_map(r, b);
	rig_both_ways(&r->sim[0], b, 11, "after a reset");
	rig_unmap(r, b);
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN }, other = b;
	struct rig r;

	rig_load("devices=1", NULL);
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	b.va = mem_anon(LEN);
	other.va = mem_anon(LEN);
	check_hits(&r, &b);
	check_invalidated(&r, &b, &other);
	check_ignored(&r, &b, &other);
	tap_is(sim_count(r.vfio[0].bdf, "dma_to_free"), 0, "no DMA went to freed memory");
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
