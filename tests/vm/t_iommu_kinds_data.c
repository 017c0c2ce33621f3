// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices behind IOMMUs of two kinds in one container: their data while memory is mapped and
 * unmapped, and while devices join and leave; and memory that is partly held (by policies and
 * locks) in both domains. tests/lib/mixed.h describes the rounds.
 *
 * vm: --mem 1024 --test-timeout 300
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dirty.h"
#include "dma.h"
#include "mixed.h"
#include "policy.h"

#define LEN		(256 * 1024ul)

/* A device that joins sees the memory that is mapped already. Either kind may be first. */
static void check_replay(struct mixed *m)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct simbuf more = { mem_anon(LEN), RIG_IOVA + 4 * MiB + 16 * MEM_PAGE, LEN };
	unsigned int first, other, i;

	for (first = 0; first < 2; first++) {
		other = !first;
		tap_diag("device %u is the first", first);
		mixed_open(m);
		mixed_join(m, first);
		rig_map(&m->r, &b);
		mixed_agree(m, &b, 100, "alone");
		mixed_charged(m, b.len, "alone");
		simbuf_fill(&b, 0, b.len, 1);
		mixed_join(m, other);
		mixed_charged(m, b.len, "the other joins");
		rig_status_is(sim_verify(&m->r.sim[other], &b, 0, b.len, 1, NULL), IOPF_SIM_ST_OK,
			      "the other joins and reads");
		mixed_agree(m, &b, 200, "two kinds");
		rig_map(&m->r, &more);
		mixed_agree(m, &more, 300, "mapped for two kinds");
		mixed_charged(m, b.len + more.len, "mapped for two kinds");

		/* The other leaves and joins; a third device with it, behind an existing domain. */
		for (i = 0; i < 2; i++) {
			mixed_leave(m, other);
			mixed_charged(m, b.len + more.len, "the other has left");
			mixed_agree(m, &b, 400, "the other has left");
			mixed_join(m, other);
			if (i)
				mixed_join(m, 2);
			mixed_charged(m, b.len + more.len, "the other is back");
			mixed_agree(m, &b, 500, "the other is back");
			mixed_agree(m, &more, 600, "the other is back");
			if (i)
				mixed_leave(m, 2);
		}
		mixed_join(m, 2);

		/* The first domain is destroyed, then created again. */
		mixed_leave(m, first);
		mixed_charged(m, b.len + more.len, "the first has left");
		mixed_agree(m, &b, 700, "the first has left");
		mixed_join(m, first);
		mixed_agree(m, &b, 800, "the first is back");
		rig_unmap(&m->r, &b);
		mixed_charged(m, more.len, "unmapped");
		mixed_none_reach(m, &b, "unmapped");
		mixed_agree(m, &more, 900, "the rest");
		mixed_leave(m, 2);
		mixed_leave(m, other);
		mixed_agree(m, &more, 950, "the first is left alone");
		rig_unmap(&m->r, &more);
		mixed_close(m, "replay");
	}
	mem_unmap(b.va, LEN);
	mem_unmap(more.va, LEN);
}

/* Memory that the host takes away, or the program unmaps, is gone for all devices. */
static void check_gone(struct mixed *m)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct simbuf part[4];
	uint64_t unmapped;
	unsigned int i, j;
	size_t wrong = 0;

	mixed_open(m);
	mixed_join(m, 0);
	mixed_join(m, 1);
	mixed_join(m, 2);
	rig_map(&m->r, &b);
	mixed_agree(m, &b, 1, "before");
	for (i = 0; i < 6 && !mixed_holds(m); i++) {
		mem_drop(b.va, LEN);
		/* By turns, the CPU or a device is the first to populate. */
		if (i & 1)
			wrong += !!sim_write(&m->r.sim[i % MIXED_DEVICES], &b, 0, LEN, 40 + i,
					     NULL);
		else
			simbuf_fill(&b, 0, LEN, 40 + i);
		for (j = 0; j < MIXED_DEVICES; j++)
			wrong += !!sim_verify(&m->r.sim[j], &b, 0, LEN, 40 + i, NULL);
		wrong += simbuf_differs(&b, 0, LEN, 40 + i);
	}
	tap_is(wrong, 0, "memory is dropped: all read the new data");
	if (!mixed_holds(m)) {
		mem_unmap(b.va, LEN);
		mixed_none_reach(m, &b, "no memory any more");
		b.va = mem_anon(LEN);
	}
	rig_unmap(&m->r, &b);
	mixed_none_reach(m, &b, "unmapped");

	for (i = 0; i < 4; i++) {
		part[i] = (struct simbuf){ (char *)b.va + i * LEN / 4, RIG_IOVA + i * LEN / 4,
					   LEN / 4 };
		rig_map(&m->r, &part[i]);
	}
	mixed_agree(m, &b, 60, "in four parts");
	tap_errno_is(vfio_unmap_flags(&m->r.c, part[1].iova, LEN / 2, 0, &unmapped), 0,
		     "two parts unmapped at once");
	tap_is(unmapped, LEN / 2, "two parts unmapped at once");
	mixed_none_reach(m, &part[1], "unmapped");
	mixed_none_reach(m, &part[2], "unmapped");
	mixed_agree(m, &part[0], 70, "a part that is left");
	mixed_agree(m, &part[3], 80, "the other one");
	mixed_charged(m, LEN / 2, "half is left");
	tap_errno_is(vfio_unmap_flags(&m->r.c, part[0].iova, LEN / 8, 0, &unmapped), -EINVAL,
		     "half a part can't be unmapped");
	mixed_agree(m, &part[0], 90, "nothing has changed");
	tap_errno_is(vfio_unmap_flags(&m->r.c, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL, &unmapped), 0,
		     "everything unmapped");
	tap_is(unmapped, LEN / 2, "everything unmapped");
	for (i = 0; i < 4; i++)
		mixed_none_reach(m, &part[i], "everything unmapped");
	mixed_close(m, "gone");
	mem_unmap(b.va, LEN);
}

/* Memory of 2 MiB pages: one leaf for the first kind, 512 for the second. */
static void huge_memory(struct mixed *m, void *va, size_t len, unsigned int first,
			const char *what)
{
	struct simbuf b = { va, 4 * RIG_IOVA, len };
	/* The end of a page and the start of the next: enough for most checks. */
	struct simbuf near = { (char *)va + MEM_HUGE - LEN / 2, b.iova + MEM_HUGE - LEN / 2, LEN };
	size_t leaves = len / MEM_HUGE, i;

	mixed_open(m);
	simbuf_fill(&b, 0, len, 1);
	mixed_join(m, first);
	rig_map(&m->r, &b);
	mixed_agree(m, &near, 10, what);
	mixed_join(m, !first);
	mixed_agree(m, &b, 20, what);
	tap_is(sim_iommu_count("leaves_2m"), leaves, "%s: 2 MiB leaves for the first kind", what);
	tap_is(sim_iommu_count("leaves_4k"), 512 * leaves, "%s: 4 KiB leaves for the second", what);
	mixed_join(m, 2);
	mixed_agree(m, &near, 30, what);

	/* A page of hugetlb is dropped, for all devices. */
	for (i = 0; i < leaves && !mixed_holds(m); i++) {
		mem_drop((char *)va + i * MEM_HUGE, MEM_HUGE);
		simbuf_fill(&near, 0, LEN, 40 + i);
		mixed_agree(m, &near, 50, what);
	}
	mixed_leave(m, 0);
	mixed_agree(m, &near, 60, what);
	mixed_charged(m, len, what);
	mixed_join(m, 0);
	mixed_agree(m, &near, 70, what);
	tap_is(sim_iommu_count("leaves_2m"), leaves, "%s: 2 MiB leaves for the first kind", what);
	mixed_leave(m, 1);
	mixed_leave(m, 2);
	mixed_agree(m, &near, 80, what);
	tap_is(sim_iommu_count("leaves_4k"), 0, "%s: no 4 KiB leaf for the first kind", what);
	mixed_join(m, 1);
	rig_unmap(&m->r, &b);
	mixed_none_reach(m, &b, what);
	mixed_close(m, what);
}

static void check_huge(struct mixed *m)
{
	size_t len = 2 * MEM_HUGE;
	struct simbuf b = { mem_thp(len), 4 * RIG_IOVA, len };
	void *va = mem_hugetlb(len, false);
	size_t i;

	if (va) {
		huge_memory(m, va, len, 0, "hugetlb, first kind first");
		huge_memory(m, va, len, 1, "hugetlb, second kind first");
		mem_unmap(va, len);
	} else {
		tap_skip("no memory for huge pages", "hugetlb");
	}

	/* The CPU splits huge pages that both devices have mapped. */
	mixed_open(m);
	mixed_join(m, 0);
	mixed_join(m, 1);
	simbuf_fill(&b, 0, len, 1);
	rig_map(&m->r, &b);
	mixed_agree(m, &b, 10, "THP");
	tap_diag("THP: %zu KiB, %llu leaves of 2 MiB", mem_huge_kb(b.va, len),
		 (unsigned long long)sim_iommu_count("leaves_2m"));
	for (i = 0; i < 4 && !mixed_holds(m); i++) {
		size_t at = i * 700 * 1024;
		struct simbuf near = { (char *)b.va + at, b.iova + at, LEN };
		struct simbuf hole = { (char *)near.va + MEM_PAGE, near.iova + MEM_PAGE, MEM_PAGE };

		mem_drop(hole.va, hole.len);
		tap_is(simbuf_nonzero(&hole, 0, hole.len), 0, "THP: a page is dropped");
		mixed_agree(m, &near, 20, "THP, a page dropped");
	}
	rig_unmap(&m->r, &b);
	mixed_none_reach(m, &b, "THP, unmapped");
	mixed_close(m, "THP");
	mem_unmap(b.va, len);
}

/* The report contains exactly the written pages; with pinned memory, all pages. */
static void dirty_are(struct mixed *m, const struct simbuf *b, const bool *want, const char *what)
{
	size_t page, wrong = 0, wanted = 0;
	struct dirty_map map;

	dirty_map_init(&map, b->iova, b->len);
	must(dirty_get(&m->r.c, &map));
	for (page = 0; page < b->len / MEM_PAGE; page++) {
		wanted += want[page];
		wrong += dirty_page(&map, page) != (want[page] || m->pinned);
	}
	tap_is(wrong, 0, "%s: %zu pages were written", what, wanted);
	dirty_map_free(&map);
}

/* A device writes a page. Returns whether that failed. */
static unsigned int write_page(struct mixed *m, unsigned int i, const struct simbuf *b,
			       unsigned int page, uint64_t seed)
{
	return !!sim_write(&m->r.sim[i], b, page * MEM_PAGE, MEM_PAGE, seed, NULL);
}

/* Each device writes a third of the pages alone, both write a third. Returns failed accesses. */
static unsigned int dirty_by_both(struct mixed *m, const struct simbuf *b, bool *want)
{
	unsigned int i, page, round, bad = 0;

	for (round = 0; round < 3; round++) {
		memset(want, 0, LEN / MEM_PAGE * sizeof(*want));
		for (i = 0; i < 60; i++) {
			page = (unsigned int)rand() % (LEN / MEM_PAGE);
			if (i % 3 != 0)
				bad += write_page(m, 0, b, page, 2);
			if (i % 3 != 1)
				bad += write_page(m, 1, b, page, 2);
			want[page] = true;
		}
		bad += !!sim_read(&m->r.sim[round % 2], b, 0, LEN, NULL);
		dirty_are(m, b, want, "by either device");
	}
	memset(want, 0, LEN / MEM_PAGE * sizeof(*want));
	bad += !!sim_read(&m->r.sim[0], b, 0, LEN, NULL);
	bad += !!sim_read(&m->r.sim[1], b, 0, LEN, NULL);
	dirty_are(m, b, want, "only read");
	return bad;
}

/* Devices leave and join: no dirty page is lost. Returns failed accesses. */
static unsigned int dirty_kept(struct mixed *m, const struct simbuf *b, bool *want)
{
	unsigned int page, bad = 0;

	bad += write_page(m, 1, b, 7, 3);
	bad += write_page(m, 0, b, 9, 3);
	mixed_leave(m, 1);
	bad += write_page(m, 0, b, 11, 3);
	mixed_join(m, 1);
	bad += write_page(m, 1, b, 13, 3);
	mixed_join(m, 2);
	bad += write_page(m, 2, b, 15, 3);
	mixed_leave(m, 0);
	bad += !!sim_read(&m->r.sim[1], b, 0, LEN, NULL);
	for (page = 7; page <= 15; page += 2)
		want[page] = true;
	dirty_are(m, b, want, "left and joined");
	mixed_join(m, 0);
	return bad;
}

static void check_dirty(struct mixed *m)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	bool want[LEN / MEM_PAGE] = { false };
	unsigned int page, bad;
	struct dirty_map map;

	mixed_open(m);
	mixed_join(m, 0);
	mixed_join(m, 1);
	rig_map(&m->r, &b);
	mixed_agree(m, &b, 1, "before");
	must(dirty_track(&m->r.c, true));
	if (!m->pinned)
		dirty_are(m, &b, want, "nothing yet");
	bad = dirty_by_both(m, &b, want);
	bad += dirty_kept(m, &b, want);

	/* The last report, with the unmapping. */
	memset(want, 0, sizeof(want));
	bad += write_page(m, 0, &b, 0, 4);
	bad += write_page(m, 1, &b, LEN / MEM_PAGE - 1, 4);
	want[0] = true;
	want[LEN / MEM_PAGE - 1] = true;
	tap_is(bad, 0, "accesses while writes are tracked");
	dirty_map_init(&map, b.iova, b.len);
	tap_errno_is(dirty_unmap(&m->r.c, &map), 0, "unmapped with a report");
	for (page = 0, bad = 0; page < LEN / MEM_PAGE; page++)
		bad += dirty_page(&map, page) != (want[page] || m->pinned);
	tap_is(bad, 0, "unmapped with a report: the pages written");
	dirty_map_free(&map);
	mixed_none_reach(m, &b, "unmapped with a report");
	mixed_close(m, "dirty pages");
	mem_unmap(b.va, LEN);
}

/*
 * A container with 64 pages and a huge page, partly held: pages [16, 48) by policy, [40, 56) by a
 * lock, and a page of the huge page by policy.
 */
#define HELD_FIRST	16
#define HELD_PAGES	40
#define HELD_HUGE	100

static size_t held_pages(struct mixed *m, const struct simbuf *huge)
{
	return mixed_holds(m) ? (LEN + huge->len) / MEM_PAGE : HELD_PAGES + 1;
}

/* Device @i accesses the held pages without a fault, and sees their data. It faults on others. */
static void held_is_had(struct mixed *m, unsigned int i, const struct simbuf *b,
			const struct simbuf *huge, uint64_t seed, const char *what)
{
	struct simbuf page = { (char *)huge->va + HELD_HUGE * MEM_PAGE,
			       huge->iova + HELD_HUGE * MEM_PAGE, MEM_PAGE };
	const char *bdf = rig_bdf(i);
	uint64_t requests;

	policy_pinned_is(bdf, held_pages(m, huge) * MEM_PAGE, what);
	requests = sim_count(bdf, "requests");
	rig_status_is(sim_verify(&m->r.sim[i], b, HELD_FIRST * MEM_PAGE, HELD_PAGES * MEM_PAGE,
				 seed, NULL), IOPF_SIM_ST_OK,
		      "%s: device %u reads the held part", what, i);
	rig_status_is(sim_write(&m->r.sim[i], &page, 0, page.len, seed, NULL), IOPF_SIM_ST_OK,
		      "%s: device %u writes the held part", what, i);
	rig_same(&page, seed, what);
	tap_is(sim_count(bdf, "requests"), requests, "%s: without a fault", what);
	if (mixed_holds(m))
		return;
	mem_drop(b->va, HELD_FIRST * MEM_PAGE);
	requests = sim_count(bdf, "requests");
	rig_status_is(sim_touch(&m->r.sim[i], b, 0, HELD_FIRST * MEM_PAGE, NULL), IOPF_SIM_ST_OK,
		      "%s: device %u uses the other part", what, i);
	tap_ok(sim_count(bdf, "requests") > requests, "%s: by faults", what);
}

/**
 * struct held - the memory of check_held()
 * @m: the round
 * @b: memory, partly held
 * @huge: memory of a huge page, partly held
 * @first: the device that joins first
 * @other: the device behind the other kind
 * @id: the lock
 */
struct held {
	struct mixed *m;
	struct simbuf b;
	struct simbuf huge;
	unsigned int first;
	unsigned int other;
	uint64_t id;
};

static void held_fill(struct held *h, unsigned int i, uint64_t seed, const char *what)
{
	simbuf_fill(&h->b, 0, h->b.len, seed);
	held_is_had(h->m, i, &h->b, &h->huge, seed, what);
}

static void held_lock(struct held *h)
{
	must(policy_lock(&h->m->r.c, h->b.iova + 40 * MEM_PAGE, 16 * MEM_PAGE, 0, &h->id));
}

static void held_begin(struct held *h)
{
	struct mixed *m = h->m;

	mixed_open(m);
	mixed_join(m, h->first);
	rig_map(&m->r, &h->b);
	rig_map(&m->r, &h->huge);
	mixed_agree(m, &h->b, 1, "faulted in");
	mixed_agree(m, &h->huge, 1, "faulted in");
	must(policy_set(&m->r.c, h->b.iova + HELD_FIRST * MEM_PAGE, 32 * MEM_PAGE,
			VFIO_IOPF_POLICY_PIN));
	held_lock(h);
	must(policy_set(&m->r.c, h->huge.iova + HELD_HUGE * MEM_PAGE, MEM_PAGE,
			VFIO_IOPF_POLICY_PIN));
	held_fill(h, h->first, 3, "alone");
}

/* The other device joins: the held memory is in its domain before it can access anything. */
static void held_joined(struct held *h)
{
	struct mixed *m = h->m;
	struct dma dma;
	unsigned int i;

	simbuf_fill(&h->b, 0, h->b.len, 4);
	must(mixed_try_join(m, h->other));
	tap_is(sim_iommu_count("leaves_4k"),
	       m->second_faults ? 2 * (HELD_PAGES + 1) : 2 * (LEN + MEM_HUGE) / MEM_PAGE,
	       "joined: the held part is mapped in both domains");
	mixed_leave(m, h->other);
	dma_start_both(&dma, &m->r.sim[h->first], &h->huge, 5);
	dma_wait_rounds(&dma, 1);
	for (i = 0; i < 4; i++) {
		mixed_join(m, h->other);
		dma_wait_rounds(&dma, i % 2);
		if (i < 3)
			mixed_leave(m, h->other);
	}
	tap_is(dma_stop(&dma), 0, "joined and left: the first goes on");
	rig_same(&h->huge, 5, "joined and left");
	held_is_had(m, h->other, &h->b, &h->huge, 4, "joined");
	held_fill(h, h->first, 6, "the first");
	mixed_agree(m, &h->b, 10, "joined");
	mixed_agree(m, &h->huge, 20, "joined");
}

/* With both devices there, memory is unlocked and locked. */
static void held_relocked(struct held *h)
{
	struct mixed *m = h->m;

	must(policy_unlock(&m->r.c, h->id, 0));
	policy_pinned_is(rig_bdf(h->first), mixed_holds(m) ? LEN + MEM_HUGE : 33 * MEM_PAGE,
			 "unlocked for two");
	mixed_agree(m, &h->b, 40, "unlocked for two");
	held_lock(h);
	held_fill(h, h->first, 7, "locked for two");
	held_fill(h, h->other, 8, "locked for two");
}

/* The first device leaves, with its domain. Then the other one leaves. */
static void held_left(struct held *h)
{
	struct mixed *m = h->m;

	mixed_leave(m, h->first);
	held_fill(h, h->other, 9, "the first has left");
	mixed_join(m, h->first);
	mixed_leave(m, h->other);
	held_fill(h, h->first, 10, "the other has left");
	mixed_join(m, h->other);
	must(policy_set(&m->r.c, h->b.iova, LEN, VFIO_IOPF_POLICY_DEFAULT));
	rig_unmap(&m->r, &h->b);
	mixed_none_reach(m, &h->b, "unmapped");
	rig_unmap(&m->r, &h->huge);
	policy_pinned_is(rig_bdf(h->first), 0, "unmapped");
	mixed_close(m, "held in part");
}

static void check_held(struct mixed *m)
{
	struct held h = {
		.m = m,
		.b = { mem_anon(LEN), RIG_IOVA, LEN },
		.huge = { mem_thp(MEM_HUGE), 4 * RIG_IOVA, MEM_HUGE },
	};

	for (h.first = 0; h.first < 2; h.first++) {
		h.other = !h.first;
		if (h.first && !m->second_faults)
			break;
		tap_diag("device %u is the first", h.first);
		held_begin(&h);
		held_joined(&h);
		held_relocked(&h);
		held_left(&h);
	}
	mem_unmap(h.b.va, h.b.len);
	mem_unmap(h.huge.va, h.huge.len);
}

static const struct mixed_round rounds[] = {
	{ check_replay, "replay", MIXED_TWO MIXED_NARROW, NULL },
	{ check_replay, "replay", MIXED_TWO MIXED_NARROW, "" },
	{ check_replay, "replay", MIXED_ONE MIXED_NARROW MIXED_NO_FAULTS, "" },
	{ check_replay, "replay", MIXED_TWO MIXED_NARROW, MIXED_PINNED },
	{ check_gone, "gone", MIXED_ONE MIXED_SMALL, NULL },
	{ check_gone, "gone", MIXED_ONE MIXED_SMALL, "" },
	{ check_gone, "gone", MIXED_TWO MIXED_SMALL MIXED_NO_FAULTS, "" },
	{ check_gone, "gone", MIXED_TWO MIXED_SMALL, MIXED_PINNED },
	{ check_huge, "huge pages", MIXED_TWO MIXED_SMALL, NULL },
	{ check_huge, "huge pages", MIXED_TWO MIXED_SMALL, "" },
	{ check_huge, "huge pages", MIXED_TWO MIXED_SMALL MIXED_NO_FAULTS, "" },
	{ check_huge, "huge pages", MIXED_TWO MIXED_SMALL, MIXED_PINNED },
	{ check_dirty, "dirty pages", MIXED_TWO MIXED_SMALL, NULL },
	{ check_dirty, "dirty pages", MIXED_TWO MIXED_SMALL, "" },
	{ check_dirty, "dirty pages", MIXED_TWO MIXED_SMALL, MIXED_PINNED },
	{ check_held, "held in part", MIXED_TWO MIXED_SMALL, "" },
	{ check_held, "held in part", MIXED_ONE MIXED_NARROW MIXED_NO_FAULTS, "" },
};

int main(void)
{
	mixed_run(rounds, ARRAY_SIZE(rounds));
	return tap_done();
}
