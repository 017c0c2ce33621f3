// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOMMUs of two kinds in one machine, and devices behind both in one container: the properties that
 * the container reports, the ranges that can be mapped, and the devices that can join.
 * tests/lib/mixed.h describes the rounds.
 *
 * vm: --mem 1024 --test-timeout 300
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dma.h"
#include "mixed.h"

#define LEN		(256 * 1024ul)

/* The properties that the container reports; see mixed_info_is(). */
#define INFO_FIRST	"0x40201000 0-0xfedfffff 0xfef00000-0xffffffffffff coherent"
#define INFO_NARROW \
	"0x1000 0x100000-0xfffffff 0x10100000-0x1fffffff 0x20010000-0xfedfffff " \
	"0xfef00000-0x7fffffffff not coherent"
#define INFO_MSI \
	"0x40201000 0-0x7ffffff 0x8100000-0xfedfffff 0xfef00000-0xffffffffffff coherent"
#define INFO_MSI_ALONE	"0x40201000 0-0x7ffffff 0x8100000-0xffffffffffff coherent"
#define INFO_LARGE	"0x210000 0-0xfedfffff 0xfef00000-0xffffffffffff coherent"

/* The properties of the container after each device joins or leaves. */
static const struct mixed_step first_kind_first[] = {
	{ 0, false, INFO_FIRST, "the first kind" },
	{ 1, false, INFO_NARROW, "the second joins" },
	{ 2, false, INFO_NARROW, "another of the first joins" },
	{ 1, true, INFO_FIRST, "the second has left" },
	{ 1, false, INFO_NARROW, "and is back" },
	{ 0, true, INFO_NARROW, "one of the first has left" },
	{ 2, true, INFO_NARROW, "the second is alone" },
	{ 0, false, INFO_NARROW, "one of the first is back" },
	{ 1, true, INFO_FIRST, "and alone" },
};

static const struct mixed_step second_kind_first[] = {
	{ 1, false, INFO_NARROW, "the second kind begins" },
	{ 0, false, INFO_NARROW, "the first joins" },
	{ 1, true, INFO_FIRST, "the second has left the first" },
};

static void check_info(struct mixed *m)
{
	mixed_open(m);
	mixed_steps(m, first_kind_first, ARRAY_SIZE(first_kind_first));
	mixed_close(m, "first kind first");

	mixed_open(m);
	mixed_steps(m, second_kind_first, ARRAY_SIZE(second_kind_first));
	mixed_close(m, "second kind first");
}

/**
 * struct place - a range of I/O virtual addresses
 * @iova: first address
 * @pages: number of pages
 * @what: its name
 */
struct place {
	uint64_t iova;
	unsigned int pages;
	const char *what;
};

/* Ranges that only the first kind can map; then ranges beside them, which both can map. */
static const struct place bad_place[] = {
	{ 0, 4, "below the aperture" },
	{ 0xff000, 1, "right below the aperture" },
	{ 0xff000, 2, "around the first address" },
	{ 0x8000000000, 4, "beyond the aperture" },
	{ 0x7ffffff000, 2, "around the last address" },
	{ 0xfffffffff000, 1, "the last page of the first kind" },
	{ 0x10000000, 1, "the first page of a reserved region" },
	{ 0x20008000, 2, "in the middle of a reserved region" },
	{ 0x2000f000, 1, "the last page of a reserved region" },
	{ 0xffff000, 2, "into a reserved region" },
	{ 0x2000f000, 2, "out of a reserved region" },
	{ 0x1fff0000, 64, "over a reserved region" },
};

static const struct place good_place[] = {
	{ 0x100000, 2, "the first pages" },
	{ 0x7fffffe000, 2, "the last pages" },
	{ 0xfffe000, 2, "right before a reserved region" },
	{ 0x10100000, 2, "right after a reserved region" },
	{ 0x20010000, 2, "right after the other one" },
};

static struct simbuf memory_at(const struct place *p, void *va)
{
	return (struct simbuf){ va, p->iova, p->pages * MEM_PAGE };
}

/* A device of the second kind cannot join because of a mapping. The attempt has no effect. */
static void check_conflict(struct mixed *m, const struct place *p, void *va)
{
	struct simbuf b = memory_at(p, va);
	char text[128];

	rig_map(&m->r, &b);
	snprintf(text, sizeof(text), "mapped %s", p->what);
	rig_both_ways(&m->r.sim[0], &b, 1, text);
	tap_errno_is(mixed_try_join(m, 1), -EINVAL, "%s: the second can't join", text);
	rig_status_is(sim_verify(&m->r.sim[0], &b, 0, b.len, 2, NULL), IOPF_SIM_ST_OK,
		      "%s: the first reads on", text);
	rig_both_ways(&m->r.sim[0], &b, 3, text);
	mixed_charged(m, b.len, text);
	rig_unmap(&m->r, &b);
}

static void check_conflicts(struct mixed *m)
{
	char *va = mem_anon(64 * MEM_PAGE);
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct simbuf outside = { va, 0, 4 * MEM_PAGE };
	struct dma dma;
	unsigned int i;

	mixed_open(m);
	mixed_join(m, 0);
	for (i = 0; i < ARRAY_SIZE(bad_place); i++)
		check_conflict(m, &bad_place[i], va);
	mixed_info_is(m, INFO_FIRST, "none has joined");

	/* The same under DMA, with more memory mapped. */
	rig_map(&m->r, &b);
	rig_map(&m->r, &outside);
	simbuf_fill(&b, 0, LEN, 10);
	dma_start_both(&dma, &m->r.sim[0], &b, 10);
	for (i = 0; i < 5; i++) {
		tap_errno_is(mixed_try_join(m, 1), -EINVAL, "under DMA: the second can't join");
		dma_wait_rounds(&dma, 1);
	}
	tap_is(dma_stop(&dma), 0, "under DMA: the first goes on");
	rig_same(&b, 10, "under DMA");
	mixed_charged(m, b.len + outside.len, "under DMA");
	rig_unmap(&m->r, &outside);

	/* It can join after the memory is unmapped. */
	mixed_join(m, 1);
	mixed_info_is(m, INFO_NARROW, "the second has joined");
	mixed_agree(m, &b, 20, "the second has joined");
	mixed_leave(m, 1);
	mixed_charged(m, b.len, "the second has left");

	/* Memory beside these ranges is no obstacle. */
	for (i = 0; i < ARRAY_SIZE(good_place); i++) {
		struct simbuf edge = memory_at(&good_place[i], va + 8 * i * MEM_PAGE);

		rig_map(&m->r, &edge);
	}
	mixed_join(m, 1);
	for (i = 0; i < ARRAY_SIZE(good_place); i++) {
		struct simbuf edge = memory_at(&good_place[i], va + 8 * i * MEM_PAGE);

		mixed_agree(m, &edge, 100 * i, good_place[i].what);
	}
	mixed_close(m, "conflicts");
	mem_unmap(va, 64 * MEM_PAGE);
	mem_unmap(b.va, LEN);
}

/* With both kinds, only the common ranges can be mapped. */
static void check_refused(struct mixed *m)
{
	void *va = mem_anon(64 * MEM_PAGE);
	unsigned int i, round;

	mixed_open(m);
	mixed_join(m, 0);
	mixed_join(m, 1);
	/* With both, with the first alone, with the second alone. */
	for (round = 0; round < 3; round++) {
		int want = round == 1 ? 0 : -EINVAL;

		if (round == 1)
			mixed_leave(m, 1);
		if (round == 2) {
			mixed_join(m, 1);
			mixed_leave(m, 0);
		}
		for (i = 0; i < ARRAY_SIZE(bad_place); i++) {
			const struct place *p = &bad_place[i];
			uint64_t len = p->pages * MEM_PAGE;
			int err;

			err = vfio_map(&m->r.c, va, p->iova, len);
			tap_errno_is(err, want, "round %u: mapping %s", round, p->what);
			if (!err)
				must(vfio_unmap(&m->r.c, p->iova, len));
		}
		for (i = 0; i < ARRAY_SIZE(good_place); i++) {
			struct simbuf edge = memory_at(&good_place[i], va);

			rig_map(&m->r, &edge);
			mixed_agree(m, &edge, 10, good_place[i].what);
			mixed_charged(m, edge.len, good_place[i].what);
			rig_unmap(&m->r, &edge);
			mixed_none_reach(m, &edge, "unmapped");
		}
	}
	mixed_close(m, "refused");
	mem_unmap(va, 64 * MEM_PAGE);
}

static void check_ranges(struct mixed *m)
{
	check_info(m);
	check_conflicts(m);
	check_refused(m);
}

/* The second kind translates MSIs: it reserves a window of addresses for doorbells. */
static void check_msi(struct mixed *m)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct simbuf window = { b.va, 0x80ff000, MEM_PAGE };
	struct simbuf hardware = { b.va, 0xfee00000, MEM_PAGE };
	unsigned int i;

	mixed_open(m);
	mixed_join(m, 0);
	mixed_info_is(m, INFO_FIRST, "without window");
	rig_map(&m->r, &window);
	tap_errno_is(mixed_try_join(m, 1), -EINVAL, "memory is mapped in the window");
	rig_both_ways(&m->r.sim[0], &window, 1, "the first goes on");
	rig_unmap(&m->r, &window);
	rig_map(&m->r, &b);
	for (i = 0; i < 2; i++) {
		mixed_join(m, 1);
		mixed_info_is(m, INFO_MSI, "with window");
		if (i & 1)
			mixed_join(m, 2);
		mixed_agree(m, &b, 10, "with window");
		tap_errno_is(vfio_map(&m->r.c, window.va, window.iova, window.len), -EINVAL,
			     "nothing can be mapped in the window");
		mixed_leave(m, 1);
		if (i & 1) {
			mixed_info_is(m, INFO_MSI, "one with window is left");
			mixed_leave(m, 2);
		}
		mixed_info_is(m, INFO_FIRST, "without window");
	}
	mixed_join(m, 1);
	mixed_leave(m, 0);
	mixed_info_is(m, INFO_MSI_ALONE, "only the window");
	rig_map(&m->r, &hardware);
	tap_errno_is(mixed_try_join(m, 0), -EINVAL,
		     "memory is mapped where the first has its MSIs");
	mixed_agree(m, &hardware, 20, "it is ordinary memory here");
	rig_unmap(&m->r, &hardware);
	mixed_agree(m, &b, 30, "only the window");
	mixed_close(m, "MSIs");

	mixed_open(m);
	for (i = 0; i < 10; i++) {
		must(mixed_try_join(m, 1));
		must(mixed_try_join(m, 2));
		vfio_dev_close(&m->r.vfio[1 + i % 2]);
		vfio_dev_close(&m->r.vfio[2 - i % 2]);
		/* Without devices, the container has no type. */
		m->r.c.type = 0;
	}
	mixed_close(m, "attached and detached");
	mem_unmap(b.va, LEN);
}

/*
 * Pages of an IOMMU that are larger than those of the CPU: only stock type1 serves it. It can map
 * only memory that was mapped before, without a warning in the log; see docs/internals/compat.md.
 */
static void check_large(struct mixed *m)
{
	struct simbuf b = { mem_hugetlb(2 * MEM_HUGE, false), RIG_IOVA, 2 * MEM_HUGE };
	struct simbuf part = { b.va, b.iova + MEM_HUGE + 0x10000, 3 * 0x10000 };

	if (!b.va) {
		tap_skip("no memory for huge pages", "64 KiB pages");
		return;
	}
	part.va = (char *)b.va + (part.iova - b.iova);
	mixed_open(m);
	mixed_join(m, 1);
	if (!m->stock) {
		const char *bdf = rig_bdf(1);

		tap_ok(strstr(iopf_text(bdf, "backend"), "type1"), "64 KiB pages: %s serves",
		       iopf_text(bdf, "backend"));
		tap_ok(strstr(iopf_text(bdf, "reason"), "page_size:"), "64 KiB pages: because %s",
		       iopf_text(bdf, "reason"));
	}
	mixed_info_is(m, INFO_LARGE, "64 KiB pages");
	mixed_close(m, "64 KiB pages");

	/* A device joins one with 4 KiB pages: stock type1 permits that, the backend does not. */
	mixed_open(m);
	mixed_join(m, 0);
	rig_map(&m->r, &part);
	rig_both_ways(&m->r.sim[0], &part, 1, "4 KiB pages");
	simbuf_fill(&part, 0, part.len, 3);
	if (m->stock) {
		mixed_join(m, 1);
		tap_is(sim_iommu_count("leaves_4k"), 2 * part.len / MEM_PAGE,
		       "one with 64 KiB pages has joined");
		mixed_agree(m, &part, 10, "64 KiB pages");
		simbuf_fill(&part, 0, part.len, 3);
		mixed_leave(m, 1);
	} else {
		tap_errno_is(mixed_try_join(m, 1), -EINVAL, "one with 64 KiB pages can't join");
		tap_ok(iopf_serves_me(), "the backend serves on");
	}
	mixed_info_is(m, INFO_FIRST, "4 KiB pages");
	mixed_charged(m, part.len, "4 KiB pages");
	rig_status_is(sim_verify(&m->r.sim[0], &part, 0, part.len, 3, NULL), IOPF_SIM_ST_OK,
		      "4 KiB pages: reads on");
	mixed_agree(m, &part, 20, "4 KiB pages");
	rig_unmap(&m->r, &part);
	rig_map(&m->r, &b);
	mixed_agree(m, &b, 30, "4 KiB pages");
	if (m->stock) {
		mixed_join(m, 1);
		tap_is(sim_iommu_count("leaves_2m"), 4, "2 MiB beside 64 KiB pages");
		mixed_agree(m, &b, 40, "2 MiB beside 64 KiB pages");
		mixed_leave(m, 1);
	} else {
		tap_errno_is(mixed_try_join(m, 1), -EINVAL, "nor if other memory is mapped");
	}
	mixed_agree(m, &b, 50, "4 KiB pages");
	mixed_close(m, "4 KiB pages");
	mem_unmap(b.va, b.len);
}

/* The simulator rejects nonsensical parameters. */
static void check_parameters(void)
{
	static const char * const bad[] = {
		"second_pgsizes=0", "second_pgsizes=0x200000", "second_pgsizes=0x11000",
		"second_pgsizes=0x2000", "second_first=0x800",
		"second_first=0x2000 second_last=0xfff", "second_last=0x1000000000000",
		"second_last=0x1000", "second_last=0xffffffffffffffff",
		"second_pgsizes=0x10000 second_first=0x1000", "second_sw_msi=0x8000800",
		"second_sw_msi=0x8000000 second_last=0x80fefff",
		"second_sw_msi=0x8000000 second_first=0x8001000", "second_sw_msi=0xffffffffffff",
		"second_resv=0x1000", "second_resv=0x1000,0x1fff,0x4000",
		"second_resv=0x2000,0x1fff", "second_resv=0x1000,0x17ff", "second_coherent=7",
	};
	char command[256];
	unsigned int i;

	must(rig_unload_soon());
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		kmsg_mark();
		snprintf(command, sizeof(command),
			 "insmod /iopf/modules/iopf_sim_iommu.ko second=2 %s 2>/dev/null", bad[i]);
		tap_ok(system(command) && kmsg_count("second_"), "%s: refused, and the log says so",
		       bad[i]);
	}
}

static const struct mixed_round rounds[] = {
	{ check_ranges, "ranges", MIXED_ONE MIXED_NARROW, NULL },
	{ check_ranges, "ranges", MIXED_ONE MIXED_NARROW, "" },
	{ check_ranges, "ranges", MIXED_ONE MIXED_NARROW MIXED_NO_FAULTS, "" },
	{ check_ranges, "ranges", MIXED_ONE MIXED_NARROW, MIXED_PINNED },
	{ check_msi, "MSIs", MIXED_TWO MIXED_SW_MSI, NULL },
	{ check_msi, "MSIs", MIXED_TWO MIXED_SW_MSI, "" },
	{ check_msi, "MSIs", MIXED_TWO MIXED_SW_MSI, MIXED_PINNED },
	{ check_large, "64 KiB pages", MIXED_ONE MIXED_LARGE, NULL },
	{ check_large, "64 KiB pages", MIXED_ONE MIXED_LARGE, "" },
	{ check_large, "64 KiB pages", MIXED_ONE MIXED_LARGE, MIXED_PINNED },
};

int main(void)
{
	mixed_run(rounds, ARRAY_SIZE(rounds));
	check_parameters();
	return tap_done();
}
