// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOMMUs of two kinds in one machine, and devices behind either in one container: what the
 * container says of itself, what can be mapped and who can join, and data, under everything that
 * maps and unmaps. Stock type1 serves first, then the backend, with devices that fault, with some
 * that can't, and with everything pinned; what is wanted is the same, except where it is said.
 *
 * Device 0 is always behind the first kind. Device 1 is behind the second; device 2 behind
 * either, as the scenario has it.
 *
 * vm: --mem 1024 --test-timeout 300
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "dirty.h"
#include "dma.h"
#include "rig.h"

#define LEN		(256 * 1024ul)
#define DEVICES		3

#define ONE		"devices=3 iommu.second=0x2"
#define TWO		"devices=3 iommu.second=0x6"
#define NO_FAULTS	" iommu.second_iopf=0"
#define SMALL		" iommu.second_pgsizes=0x1000"
#define NARROW \
	SMALL " iommu.second_coherent=0" \
	" iommu.second_first=0x100000 iommu.second_last=0x7fffffffff" \
	" iommu.second_resv=0x10000000,0x100fffff,0x20000000,0x2000ffff"
#define SW_MSI		" iommu.second_sw_msi=0x8000000"
#define LARGE		" iommu.second_pgsizes=0x210000"

#define PINNED		"ids= serve_pinned=1"

/* What the container says of itself; see info_is(). */
#define INFO_FIRST	"0x40201000 0-0xfedfffff 0xfef00000-0xffffffffffff coherent"
#define INFO_NARROW \
	"0x1000 0x100000-0xfffffff 0x10100000-0x1fffffff 0x20010000-0xfedfffff " \
	"0xfef00000-0x7fffffffff not coherent"
#define INFO_MSI \
	"0x40201000 0-0x7ffffff 0x8100000-0xfedfffff 0xfef00000-0xffffffffffff coherent"
#define INFO_MSI_ALONE	"0x40201000 0-0x7ffffff 0x8100000-0xffffffffffff coherent"
#define INFO_LARGE	"0x210000 0-0xfedfffff 0xfef00000-0xffffffffffff coherent"

/**
 * struct machine - one round: the modules loaded, a container, devices in it
 * @r: container and devices
 * @joined: which of the devices are in the container
 * @second: mask of the devices behind the second kind
 * @stock: served by stock type1
 * @pinned: nobody faults
 * @second_faults: devices behind the second kind can
 * @second_large: the second kind has no pages of 4 KiB
 * @left: the backend has left this container to stock type1, for its first device
 */
struct machine {
	struct rig r;
	bool joined[DEVICES];
	unsigned int second;
	bool stock;
	bool pinned;
	bool second_faults;
	bool second_large;
	bool left;
};

static bool faults(const struct machine *m, unsigned int i)
{
	return !m->pinned && !m->left && (m->second_faults || !(m->second >> i & 1));
}

/* Whether what is mapped is pinned now. */
static bool holds(const struct machine *m)
{
	unsigned int i;

	for (i = 0; i < DEVICES; i++)
		if (m->joined[i] && !faults(m, i))
			return true;
	return false;
}

static void open_empty(struct machine *m)
{
	unsigned int i;

	m->left = false;
	must(vfio_container_open(&m->r.c));
	m->r.devices = DEVICES;
	for (i = 0; i < DEVICES; i++) {
		m->r.vfio[i] = (struct vfio_dev){ .group_fd = -1, .fd = -1 };
		snprintf(m->r.vfio[i].bdf, VFIO_BDF_LEN, "%s", rig_bdf(i));
	}
}

static int try_join(struct machine *m, unsigned int i)
{
	return vfio_dev_attach(&m->r.vfio[i], &m->r.c, rig_bdf(i), VFIO_TYPE1v2_IOMMU);
}

static void join(struct machine *m, unsigned int i)
{
	must(try_join(m, i));
	must(vfio_dev_get(&m->r.vfio[i]));
	must(sim_up(&m->r.sim[i], &m->r.vfio[i], NULL));
	if (!m->joined[0] && !m->joined[1] && !m->joined[2])
		m->left = (m->second_large && i == 1) || (!m->pinned && !faults(m, i));
	m->joined[i] = true;
	if (!m->stock)
		must_be(iopf_serves_me() == !m->left);
}

static void leave(struct machine *m, unsigned int i)
{
	vfio_dev_close(&m->r.vfio[i]);
	m->joined[i] = false;
}

/* The container ends; what was to be clean is. */
static void close_all(struct machine *m, const char *what)
{
	unsigned int spins = 0;

	rig_clean(&m->r);
	rig_close(&m->r);
	memset(m->joined, 0, sizeof(m->joined));
	rig_balanced();
	/* Tables go after a grace period. */
	while (sim_iommu_count("tables") && spins < 20000)
		sim_nap(&spins);
	tap_is(sim_iommu_count("tables"), 0, "%s: no page table is left", what);
	tap_is(mem_status_kb(0, "VmLck") + mem_status_kb(0, "VmPin"), 0, "%s: nothing is charged",
	       what);
}

/* Page sizes, ranges of addresses, coherency. */
static void info_is(struct machine *m, const char *want, const char *what)
{
	struct vfio_iommu_type1_info *info = vfio_get_info(&m->r.c);
	const struct vfio_iommu_type1_info_cap_iova_range *ranges;
	const struct vfio_iommu_type1_info_cap_migration *migration;
	char got[512];
	size_t n;
	unsigned int i;

	must_be(info);
	n = (size_t)snprintf(got, sizeof(got), "%#llx", (unsigned long long)info->iova_pgsizes);
	ranges = (const void *)vfio_info_cap(info, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	for (i = 0; ranges && i < ranges->nr_iovas; i++)
		n += (size_t)snprintf(got + n, sizeof(got) - n, " %#llx-%#llx",
				      (unsigned long long)ranges->iova_ranges[i].start,
				      (unsigned long long)ranges->iova_ranges[i].end);
	snprintf(got + n, sizeof(got) - n, " %scoherent",
		 ioctl(m->r.c.fd, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU) ? "" : "not ");
	if (!tap_ok(!strcmp(got, want), "%s: %s", what, want))
		tap_diag("got: %s", got);
	migration = (const void *)vfio_info_cap(info, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION);
	must_be(migration);
	tap_is(migration->pgsize_bitmap, info->iova_pgsizes & -info->iova_pgsizes,
	       "%s: dirty pages are of the smallest size", what);
	free(info);
}

/* What is charged: all that is mapped, or nothing. */
static void charged(struct machine *m, size_t mapped, const char *what)
{
	tap_is((mem_status_kb(0, "VmLck") + mem_status_kb(0, "VmPin")) * 1024,
	       holds(m) ? mapped : 0, "%s: bytes charged", what);
}

/* Data both ways by each device there, and from each to each. */
static void all_agree(struct machine *m, const struct simbuf *b, uint64_t seed, const char *what)
{
	unsigned int i, j, wrong = 0;
	char text[128];

	for (i = 0; i < DEVICES; i++) {
		if (!m->joined[i])
			continue;
		snprintf(text, sizeof(text), "%s: device %u", what, i);
		rig_both_ways(&m->r.sim[i], b, seed + 10 * i, text);
		wrong += !!sim_write(&m->r.sim[i], b, 0, b->len, seed + 10 * i + 5, NULL);
		for (j = 0; j < DEVICES; j++)
			if (m->joined[j])
				wrong += !!sim_verify(&m->r.sim[j], b, 0, b->len,
						      seed + 10 * i + 5, NULL);
	}
	tap_is(wrong, 0, "%s: what one writes all read", what);
}

/* Nobody reaches the first page of it. */
static void none_reach(struct machine *m, const struct simbuf *b, const char *what)
{
	unsigned int i;

	for (i = 0; i < DEVICES; i++)
		if (m->joined[i])
			rig_status_is(sim_write(&m->r.sim[i], b, 0, MEM_PAGE, 1, NULL),
				      faults(m, i) ? IOPF_SIM_ST_INVALID : IOPF_SIM_ST_UNTRANSLATED,
				      "%s: device %u", what, i);
}

/* What joining and leaving does to what the container says. */

static void check_info(struct machine *m)
{
	open_empty(m);
	join(m, 0);
	info_is(m, INFO_FIRST, "the first kind");
	join(m, 1);
	info_is(m, INFO_NARROW, "the second joins");
	join(m, 2);
	info_is(m, INFO_NARROW, "another of the first joins");
	leave(m, 1);
	info_is(m, INFO_FIRST, "the second has left");
	join(m, 1);
	info_is(m, INFO_NARROW, "and is back");
	leave(m, 0);
	info_is(m, INFO_NARROW, "one of the first has left");
	leave(m, 2);
	info_is(m, INFO_NARROW, "the second is alone");
	join(m, 0);
	info_is(m, INFO_NARROW, "one of the first is back");
	leave(m, 1);
	info_is(m, INFO_FIRST, "and alone");
	close_all(m, "first kind first");

	open_empty(m);
	join(m, 1);
	info_is(m, INFO_NARROW, "the second kind begins");
	join(m, 0);
	info_is(m, INFO_NARROW, "the first joins");
	leave(m, 1);
	info_is(m, INFO_FIRST, "the second has left the first");
	close_all(m, "second kind first");
}

/**
 * struct place - a range of I/O virtual addresses
 * @iova: where
 * @pages: how many pages
 * @what: in words
 */
struct place {
	uint64_t iova;
	unsigned int pages;
	const char *what;
};

/* What the first kind has and the second does not, and what is just beside it. */
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

/* One of the second kind can't join for what is mapped, and nothing has happened. */
static void check_conflict(struct machine *m, const struct place *p, void *va)
{
	struct simbuf b = { va, p->iova, p->pages * MEM_PAGE };
	char text[128];

	rig_map(&m->r, &b);
	snprintf(text, sizeof(text), "mapped %s", p->what);
	rig_both_ways(&m->r.sim[0], &b, 1, text);
	tap_errno_is(try_join(m, 1), -EINVAL, "%s: the second can't join", text);
	rig_status_is(sim_verify(&m->r.sim[0], &b, 0, b.len, 2, NULL), IOPF_SIM_ST_OK,
		      "%s: the first reads on", text);
	rig_both_ways(&m->r.sim[0], &b, 3, text);
	charged(m, b.len, text);
	rig_unmap(&m->r, &b);
}

static void check_conflicts(struct machine *m)
{
	char *va = mem_anon(64 * MEM_PAGE);
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct simbuf outside = { va, 0, 4 * MEM_PAGE };
	struct dma dma;
	unsigned int i;

	open_empty(m);
	join(m, 0);
	for (i = 0; i < ARRAY_SIZE(bad_place); i++)
		check_conflict(m, &bad_place[i], va);
	info_is(m, INFO_FIRST, "none has joined");

	/* And under DMA, beside more that is mapped. */
	rig_map(&m->r, &b);
	rig_map(&m->r, &outside);
	simbuf_fill(&b, 0, LEN, 10);
	dma_start_both(&dma, &m->r.sim[0], &b, 10);
	for (i = 0; i < 5; i++) {
		tap_errno_is(try_join(m, 1), -EINVAL, "under DMA: the second can't join");
		dma_wait_rounds(&dma, 1);
	}
	tap_is(dma_stop(&dma), 0, "under DMA: the first goes on");
	rig_same(&b, 10, "under DMA");
	charged(m, b.len + outside.len, "under DMA");
	rig_unmap(&m->r, &outside);

	/* Without what was in the way it can. */
	join(m, 1);
	info_is(m, INFO_NARROW, "the second has joined");
	all_agree(m, &b, 20, "the second has joined");
	leave(m, 1);
	charged(m, b.len, "the second has left");

	/* What is just beside it is in nobody's way. */
	for (i = 0; i < ARRAY_SIZE(good_place); i++) {
		struct simbuf edge = { va + 8 * i * MEM_PAGE, good_place[i].iova,
				       good_place[i].pages * MEM_PAGE };

		rig_map(&m->r, &edge);
	}
	join(m, 1);
	for (i = 0; i < ARRAY_SIZE(good_place); i++) {
		struct simbuf edge = { va + 8 * i * MEM_PAGE, good_place[i].iova,
				       good_place[i].pages * MEM_PAGE };

		all_agree(m, &edge, 100 * i, good_place[i].what);
	}
	close_all(m, "conflicts");
	mem_unmap(va, 64 * MEM_PAGE);
	mem_unmap(b.va, LEN);
}

/* Mapping with both there: only what is left of the addresses. */
static void check_refused(struct machine *m)
{
	void *va = mem_anon(64 * MEM_PAGE);
	unsigned int i, round;

	open_empty(m);
	join(m, 0);
	join(m, 1);
	/* With both, with the first alone, with the second alone. */
	for (round = 0; round < 3; round++) {
		int want = round == 1 ? 0 : -EINVAL;

		if (round == 1)
			leave(m, 1);
		if (round == 2) {
			join(m, 1);
			leave(m, 0);
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
			struct simbuf edge = { va, good_place[i].iova,
					       good_place[i].pages * MEM_PAGE };

			rig_map(&m->r, &edge);
			all_agree(m, &edge, 10, good_place[i].what);
			charged(m, edge.len, good_place[i].what);
			rig_unmap(&m->r, &edge);
			none_reach(m, &edge, "unmapped");
		}
	}
	close_all(m, "refused");
	mem_unmap(va, 64 * MEM_PAGE);
}

static void check_ranges(struct machine *m)
{
	check_info(m);
	check_conflicts(m);
	check_refused(m);
}

/* What was mapped before a device joins is there for it, whoever was first. */
static void check_replay(struct machine *m)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct simbuf more = { mem_anon(LEN), RIG_IOVA + 4 * MiB + 16 * MEM_PAGE, LEN };
	unsigned int first, other, i;

	for (first = 0; first < 2; first++) {
		other = !first;
		tap_diag("device %u is the first", first);
		open_empty(m);
		join(m, first);
		rig_map(&m->r, &b);
		all_agree(m, &b, 100, "alone");
		charged(m, b.len, "alone");
		simbuf_fill(&b, 0, b.len, 1);
		join(m, other);
		charged(m, b.len, "the other joins");
		rig_status_is(sim_verify(&m->r.sim[other], &b, 0, b.len, 1, NULL), IOPF_SIM_ST_OK,
			      "the other joins and reads");
		all_agree(m, &b, 200, "two kinds");
		rig_map(&m->r, &more);
		all_agree(m, &more, 300, "mapped for two kinds");
		charged(m, b.len + more.len, "mapped for two kinds");

		/* It comes and goes; a third with it, behind a domain that is there. */
		for (i = 0; i < 2; i++) {
			leave(m, other);
			charged(m, b.len + more.len, "the other has left");
			all_agree(m, &b, 400, "the other has left");
			join(m, other);
			if (i)
				join(m, 2);
			charged(m, b.len + more.len, "the other is back");
			all_agree(m, &b, 500, "the other is back");
			all_agree(m, &more, 600, "the other is back");
			if (i)
				leave(m, 2);
		}
		join(m, 2);

		/* The first domain goes, then comes anew. */
		leave(m, first);
		charged(m, b.len + more.len, "the first has left");
		all_agree(m, &b, 700, "the first has left");
		join(m, first);
		all_agree(m, &b, 800, "the first is back");
		rig_unmap(&m->r, &b);
		charged(m, more.len, "unmapped");
		none_reach(m, &b, "unmapped");
		all_agree(m, &more, 900, "the rest");
		leave(m, 2);
		leave(m, other);
		all_agree(m, &more, 950, "the first is left alone");
		rig_unmap(&m->r, &more);
		close_all(m, "replay");
	}
	mem_unmap(b.va, LEN);
	mem_unmap(more.va, LEN);
}

/* What the host takes away is gone for all; what is unmapped as well. */
static void check_gone(struct machine *m)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct simbuf part[4];
	uint64_t unmapped;
	unsigned int i, j;
	size_t wrong = 0;

	open_empty(m);
	join(m, 0);
	join(m, 1);
	join(m, 2);
	rig_map(&m->r, &b);
	all_agree(m, &b, 1, "before");
	for (i = 0; i < 6 && !holds(m); i++) {
		mem_drop(b.va, LEN);
		/* Alternately it is the CPU that comes first, and a device. */
		if (i & 1)
			wrong += !!sim_write(&m->r.sim[i % DEVICES], &b, 0, LEN, 40 + i, NULL);
		else
			simbuf_fill(&b, 0, LEN, 40 + i);
		for (j = 0; j < DEVICES; j++)
			wrong += !!sim_verify(&m->r.sim[j], &b, 0, LEN, 40 + i, NULL);
		wrong += simbuf_differs(&b, 0, LEN, 40 + i);
	}
	tap_is(wrong, 0, "memory is dropped: all see what is there now");
	if (!holds(m)) {
		mem_unmap(b.va, LEN);
		none_reach(m, &b, "no memory any more");
		b.va = mem_anon(LEN);
	}
	rig_unmap(&m->r, &b);
	none_reach(m, &b, "unmapped");

	for (i = 0; i < 4; i++) {
		part[i] = (struct simbuf){ (char *)b.va + i * LEN / 4, RIG_IOVA + i * LEN / 4,
					   LEN / 4 };
		rig_map(&m->r, &part[i]);
	}
	all_agree(m, &b, 60, "in four parts");
	tap_errno_is(vfio_unmap_flags(&m->r.c, part[1].iova, LEN / 2, 0, &unmapped), 0,
		     "two parts unmapped at once");
	tap_is(unmapped, LEN / 2, "two parts unmapped at once");
	none_reach(m, &part[1], "unmapped");
	none_reach(m, &part[2], "unmapped");
	all_agree(m, &part[0], 70, "a part that is left");
	all_agree(m, &part[3], 80, "the other one");
	charged(m, LEN / 2, "half is left");
	tap_errno_is(vfio_unmap_flags(&m->r.c, part[0].iova, LEN / 8, 0, &unmapped), -EINVAL,
		     "half a part can't be unmapped");
	all_agree(m, &part[0], 90, "which changed nothing");
	tap_errno_is(vfio_unmap_flags(&m->r.c, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL, &unmapped), 0,
		     "everything unmapped");
	tap_is(unmapped, LEN / 2, "everything unmapped");
	for (i = 0; i < 4; i++)
		none_reach(m, &part[i], "everything unmapped");
	close_all(m, "gone");
	mem_unmap(b.va, LEN);
}

/* Memory of 2 MiB pages: one leaf for the first kind, 512 for the second. */
static void huge_memory(struct machine *m, void *va, size_t len, unsigned int first,
			const char *what)
{
	struct simbuf b = { va, 4 * RIG_IOVA, len };
	/* The end of one page and the beginning of the next: enough to see, but once. */
	struct simbuf near = { (char *)va + MEM_HUGE - LEN / 2, b.iova + MEM_HUGE - LEN / 2, LEN };
	size_t leaves = len / MEM_HUGE, i;

	open_empty(m);
	simbuf_fill(&b, 0, len, 1);
	join(m, first);
	rig_map(&m->r, &b);
	all_agree(m, &near, 10, what);
	join(m, !first);
	all_agree(m, &b, 20, what);
	tap_is(sim_iommu_count("leaves_2m"), leaves, "%s: 2 MiB leaves for the first kind", what);
	tap_is(sim_iommu_count("leaves_4k"), 512 * leaves, "%s: 4 KiB leaves for the second", what);
	join(m, 2);
	all_agree(m, &near, 30, what);

	/* Part of a leaf goes, for all: a whole page of hugetlb. */
	for (i = 0; i < leaves && !holds(m); i++) {
		mem_drop((char *)va + i * MEM_HUGE, MEM_HUGE);
		simbuf_fill(&near, 0, LEN, 40 + i);
		all_agree(m, &near, 50, what);
	}
	leave(m, 0);
	all_agree(m, &near, 60, what);
	charged(m, len, what);
	join(m, 0);
	all_agree(m, &near, 70, what);
	tap_is(sim_iommu_count("leaves_2m"), leaves, "%s: 2 MiB leaves for the first kind", what);
	leave(m, 1);
	leave(m, 2);
	all_agree(m, &near, 80, what);
	tap_is(sim_iommu_count("leaves_4k"), 0, "%s: no 4 KiB leaf for the first kind", what);
	join(m, 1);
	rig_unmap(&m->r, &b);
	none_reach(m, &b, what);
	close_all(m, what);
}

static void check_huge(struct machine *m)
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

	/* Pages of the CPU that fall apart while both have them. */
	open_empty(m);
	join(m, 0);
	join(m, 1);
	simbuf_fill(&b, 0, len, 1);
	rig_map(&m->r, &b);
	all_agree(m, &b, 10, "THP");
	tap_diag("THP: %zu KiB, %llu leaves of 2 MiB", mem_huge_kb(b.va, len),
		 (unsigned long long)sim_iommu_count("leaves_2m"));
	for (i = 0; i < 4 && !holds(m); i++) {
		size_t at = i * 700 * 1024;
		struct simbuf near = { (char *)b.va + at, b.iova + at, LEN };
		struct simbuf hole = { (char *)near.va + MEM_PAGE, near.iova + MEM_PAGE, MEM_PAGE };

		mem_drop(hole.va, hole.len);
		tap_is(simbuf_nonzero(&hole, 0, hole.len), 0, "THP: a page is dropped");
		all_agree(m, &near, 20, "THP, a page dropped");
	}
	rig_unmap(&m->r, &b);
	none_reach(m, &b, "THP, unmapped");
	close_all(m, "THP");
	mem_unmap(b.va, len);
}

/* Doorbells of MSIs have to be mapped: a window of addresses that nobody else may use. */
static void check_msi(struct machine *m)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct simbuf window = { b.va, 0x80ff000, MEM_PAGE };
	struct simbuf hardware = { b.va, 0xfee00000, MEM_PAGE };
	unsigned int i;

	open_empty(m);
	join(m, 0);
	info_is(m, INFO_FIRST, "without window");
	rig_map(&m->r, &window);
	tap_errno_is(try_join(m, 1), -EINVAL, "memory is mapped in the window");
	rig_both_ways(&m->r.sim[0], &window, 1, "the first goes on");
	rig_unmap(&m->r, &window);
	rig_map(&m->r, &b);
	for (i = 0; i < 2; i++) {
		join(m, 1);
		info_is(m, INFO_MSI, "with window");
		if (i & 1)
			join(m, 2);
		all_agree(m, &b, 10, "with window");
		tap_errno_is(vfio_map(&m->r.c, window.va, window.iova, window.len), -EINVAL,
			     "nothing can be mapped in the window");
		leave(m, 1);
		if (i & 1) {
			info_is(m, INFO_MSI, "one with window is left");
			leave(m, 2);
		}
		info_is(m, INFO_FIRST, "without window");
	}
	join(m, 1);
	leave(m, 0);
	info_is(m, INFO_MSI_ALONE, "only the window");
	rig_map(&m->r, &hardware);
	tap_errno_is(try_join(m, 0), -EINVAL, "memory is mapped where the first has its MSIs");
	all_agree(m, &hardware, 20, "which is memory like any other here");
	rig_unmap(&m->r, &hardware);
	all_agree(m, &b, 30, "only the window");
	close_all(m, "MSIs");

	open_empty(m);
	for (i = 0; i < 10; i++) {
		must(try_join(m, 1));
		must(try_join(m, 2));
		vfio_dev_close(&m->r.vfio[1 + i % 2]);
		vfio_dev_close(&m->r.vfio[2 - i % 2]);
		/* The container has no type any more. */
		m->r.c.type = 0;
	}
	close_all(m, "attached and detached");
	mem_unmap(b.va, LEN);
}

/*
 * Pages larger than the CPU's: for stock type1 alone, and that can map nothing but what was there
 * before, without a warning in the log; see docs/compat.md.
 */
static void check_large(struct machine *m)
{
	struct simbuf b = { mem_hugetlb(2 * MEM_HUGE, false), RIG_IOVA, 2 * MEM_HUGE };
	struct simbuf part = { b.va, b.iova + MEM_HUGE + 0x10000, 3 * 0x10000 };

	if (!b.va) {
		tap_skip("no memory for huge pages", "64 KiB pages");
		return;
	}
	part.va = (char *)b.va + (part.iova - b.iova);
	open_empty(m);
	join(m, 1);
	if (!m->stock) {
		const char *bdf = rig_bdf(1);

		tap_ok(strstr(iopf_text(bdf, "served_by"), "type1"), "64 KiB pages: %s serves",
		       iopf_text(bdf, "served_by"));
		tap_ok(strstr(iopf_text(bdf, "reason"), "page"), "64 KiB pages: because %s",
		       iopf_text(bdf, "reason"));
	}
	info_is(m, INFO_LARGE, "64 KiB pages");
	close_all(m, "64 KiB pages");

	/* One joins another that has 4 KiB: stock type1 can have it, here it can't. */
	open_empty(m);
	join(m, 0);
	rig_map(&m->r, &part);
	rig_both_ways(&m->r.sim[0], &part, 1, "4 KiB pages");
	simbuf_fill(&part, 0, part.len, 3);
	if (m->stock) {
		join(m, 1);
		tap_is(sim_iommu_count("leaves_4k"), 2 * part.len / MEM_PAGE,
		       "one with 64 KiB pages has joined");
		all_agree(m, &part, 10, "64 KiB pages");
		simbuf_fill(&part, 0, part.len, 3);
		leave(m, 1);
	} else {
		tap_errno_is(try_join(m, 1), -EINVAL, "one with 64 KiB pages can't join");
		tap_ok(iopf_serves_me(), "the backend serves on");
	}
	info_is(m, INFO_FIRST, "4 KiB pages");
	charged(m, part.len, "4 KiB pages");
	rig_status_is(sim_verify(&m->r.sim[0], &part, 0, part.len, 3, NULL), IOPF_SIM_ST_OK,
		      "4 KiB pages: reads on");
	all_agree(m, &part, 20, "4 KiB pages");
	rig_unmap(&m->r, &part);
	rig_map(&m->r, &b);
	all_agree(m, &b, 30, "4 KiB pages");
	if (m->stock) {
		join(m, 1);
		tap_is(sim_iommu_count("leaves_2m"), 4, "2 MiB beside 64 KiB pages");
		all_agree(m, &b, 40, "2 MiB beside 64 KiB pages");
		leave(m, 1);
	} else {
		tap_errno_is(try_join(m, 1), -EINVAL, "nor with other memory mapped");
	}
	all_agree(m, &b, 50, "4 KiB pages");
	close_all(m, "4 KiB pages");
	mem_unmap(b.va, b.len);
}

/* Dirty pages, exactly; where things are pinned, all. */
static void dirty_are(struct machine *m, const struct simbuf *b, const bool *want, const char *what)
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

static void check_dirty(struct machine *m)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	bool want[LEN / MEM_PAGE];
	unsigned int i, page, round, bad = 0;
	struct dirty_map map;

	open_empty(m);
	join(m, 0);
	join(m, 1);
	rig_map(&m->r, &b);
	all_agree(m, &b, 1, "before");
	must(dirty_track(&m->r.c, true));
	memset(want, 0, sizeof(want));
	if (!m->pinned)
		dirty_are(m, &b, want, "nothing yet");
	/* Each a third of its own, a third together; and all of it read. */
	for (round = 0; round < 3; round++) {
		memset(want, 0, sizeof(want));
		for (i = 0; i < 60; i++) {
			page = (unsigned int)rand() % (LEN / MEM_PAGE);
			if (i % 3 != 0)
				bad += !!sim_write(&m->r.sim[0], &b, page * MEM_PAGE, MEM_PAGE,
						   2, NULL);
			if (i % 3 != 1)
				bad += !!sim_write(&m->r.sim[1], &b, page * MEM_PAGE, MEM_PAGE,
						   2, NULL);
			want[page] = true;
		}
		bad += !!sim_read(&m->r.sim[round % 2], &b, 0, LEN, NULL);
		dirty_are(m, &b, want, "by either device");
	}
	memset(want, 0, sizeof(want));
	bad += !!sim_read(&m->r.sim[0], &b, 0, LEN, NULL);
	bad += !!sim_read(&m->r.sim[1], &b, 0, LEN, NULL);
	dirty_are(m, &b, want, "only read");

	/* Who leaves and who joins loses nothing. */
	bad += !!sim_write(&m->r.sim[1], &b, 7 * MEM_PAGE, MEM_PAGE, 3, NULL);
	bad += !!sim_write(&m->r.sim[0], &b, 9 * MEM_PAGE, MEM_PAGE, 3, NULL);
	leave(m, 1);
	bad += !!sim_write(&m->r.sim[0], &b, 11 * MEM_PAGE, MEM_PAGE, 3, NULL);
	join(m, 1);
	bad += !!sim_write(&m->r.sim[1], &b, 13 * MEM_PAGE, MEM_PAGE, 3, NULL);
	join(m, 2);
	bad += !!sim_write(&m->r.sim[2], &b, 15 * MEM_PAGE, MEM_PAGE, 3, NULL);
	leave(m, 0);
	bad += !!sim_read(&m->r.sim[1], &b, 0, LEN, NULL);
	for (page = 7; page <= 15; page += 2)
		want[page] = true;
	dirty_are(m, &b, want, "left and joined");
	join(m, 0);

	/* The last report, with the unmapping. */
	memset(want, 0, sizeof(want));
	bad += !!sim_write(&m->r.sim[0], &b, 0, MEM_PAGE, 4, NULL);
	bad += !!sim_write(&m->r.sim[1], &b, LEN - MEM_PAGE, MEM_PAGE, 4, NULL);
	want[0] = true;
	want[LEN / MEM_PAGE - 1] = true;
	tap_is(bad, 0, "accesses while writes are tracked");
	dirty_map_init(&map, b.iova, b.len);
	tap_errno_is(dirty_unmap(&m->r.c, &map), 0, "unmapped with a report");
	for (page = 0, bad = 0; page < LEN / MEM_PAGE; page++)
		bad += dirty_page(&map, page) != (want[page] || m->pinned);
	tap_is(bad, 0, "unmapped with a report: the pages written");
	dirty_map_free(&map);
	none_reach(m, &b, "unmapped with a report");
	close_all(m, "dirty pages");
	mem_unmap(b.va, LEN);
}

/* Parameters of the simulator that make no sense. */
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

/**
 * struct scenario - a round
 * @check: what is checked
 * @what: in words
 * @sim: parameters of the simulator
 * @backend: parameters of the backend; NULL: stock type1 serves
 */
struct scenario {
	void (*check)(struct machine *m);
	const char *what;
	const char *sim;
	const char *backend;
};

static const struct scenario scenarios[] = {
	{ check_ranges, "ranges", ONE NARROW, NULL },
	{ check_ranges, "ranges", ONE NARROW, "" },
	{ check_ranges, "ranges", ONE NARROW NO_FAULTS, "" },
	{ check_ranges, "ranges", ONE NARROW, PINNED },
	{ check_replay, "replay", TWO NARROW, NULL },
	{ check_replay, "replay", TWO NARROW, "" },
	{ check_replay, "replay", ONE NARROW NO_FAULTS, "" },
	{ check_replay, "replay", TWO NARROW, PINNED },
	{ check_gone, "gone", ONE SMALL, NULL },
	{ check_gone, "gone", ONE SMALL, "" },
	{ check_gone, "gone", TWO SMALL NO_FAULTS, "" },
	{ check_gone, "gone", TWO SMALL, PINNED },
	{ check_huge, "huge pages", TWO SMALL, NULL },
	{ check_huge, "huge pages", TWO SMALL, "" },
	{ check_huge, "huge pages", TWO SMALL NO_FAULTS, "" },
	{ check_huge, "huge pages", TWO SMALL, PINNED },
	{ check_msi, "MSIs", TWO SW_MSI, NULL },
	{ check_msi, "MSIs", TWO SW_MSI, "" },
	{ check_msi, "MSIs", TWO SW_MSI, PINNED },
	{ check_large, "64 KiB pages", ONE LARGE, NULL },
	{ check_large, "64 KiB pages", ONE LARGE, "" },
	{ check_large, "64 KiB pages", ONE LARGE, PINNED },
	{ check_dirty, "dirty pages", TWO SMALL, NULL },
	{ check_dirty, "dirty pages", TWO SMALL, "" },
	{ check_dirty, "dirty pages", TWO SMALL, PINNED },
};

static void run(const struct scenario *s)
{
	struct machine m = {
		.second = strstr(s->sim, "second=0x6") ? 6 : 2,
		.stock = !s->backend,
		.pinned = !s->backend || *s->backend,
		.second_faults = !strstr(s->sim, NO_FAULTS),
		.second_large = strstr(s->sim, LARGE),
	};

	tap_diag("%s: %s; %s", s->what, s->sim,
		 m.stock ? "stock type1" : m.pinned ? "the backend, all pinned" : "the backend");
	rig_load(s->sim, s->backend);
	s->check(&m);
}

int main(void)
{
	bool stock_only = rig_stock();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(scenarios); i++)
		if (!scenarios[i].backend || !stock_only)
			run(&scenarios[i]);
	check_parameters();
	return tap_done();
}
