// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cost of MAP_DMA and UNMAP_DMA: see dma.h.
 *
 * Three kinds of memory: unpopulated ("absent"), populated in 4 KiB pages ("present"), and
 * populated in huge pages ("thp"). Stock pins, so its sizes are bounded by the memory of this
 * machine. 8 and 64 GiB are mapped only if nothing is pinned.
 */
#include <stdio.h>
#include <string.h>

#include "busy.h"
#include "dma.h"
#include "figures.h"
#include "phase.h"
#include "sample.h"

#define GiB	(1ul << 30)

struct map_case {
	const char *name;
	size_t len;
	void *(*get)(size_t len);
	bool fill;
	unsigned int times;
	bool pins;	/* small enough for stock, which pins */
};

static const struct map_case map_cases[] = {
	{ "64m_absent", 64 * MiB, mem_anon, false, 3, true },
	{ "512m_absent", 512 * MiB, mem_anon, false, 1, true },
	{ "8g_absent", 8 * GiB, mem_anon, false, 3, false },
	{ "64g_absent", 64 * GiB, mem_anon, false, 3, false },
	{ "64m_present", 64 * MiB, mem_anon, true, 3, true },
	{ "512m_present", 512 * MiB, mem_anon, true, 1, true },
	{ "64m_thp", 64 * MiB, mem_thp, true, 3, true },
};

static struct sample mapped, unmapped;

static void map_case(struct rig *r, const char *side, const struct map_case *c)
{
	char map[64], unmap[64];

	snprintf(map, sizeof(map), "map_%s", c->name);
	snprintf(unmap, sizeof(unmap), "unmap_%s", c->name);
	for (unsigned int i = 0; i < c->times; i++) {
		struct simbuf b = { .va = c->get(c->len), .iova = RIG_IOVA, .len = c->len };
		uint64_t t0;

		if (c->fill)
			memset(b.va, 1, b.len);
		phase_next(map, "-", 1, "call");
		busy_settle();
		phase_on();
		t0 = now_ns();
		must(vfio_map(&r->c, b.va, b.iova, b.len));
		sample_add(&mapped, now_ns() - t0);
		phase_off();
		phase_next(unmap, "-", 1, "call");
		busy_settle();
		phase_on();
		t0 = now_ns();
		must(vfio_unmap(&r->c, b.iova, b.len));
		sample_add(&unmapped, now_ns() - t0);
		phase_off();
		mem_unmap(b.va, b.len);
	}
	sample_figures(&mapped, side, map);
	sample_figures(&unmapped, side, unmap);
}

void map_costs(struct rig *r, const char *side)
{
	/* 64 GiB is far more address space than this machine has memory. */
	must(mem_write_file("/proc/sys/vm/overcommit_memory", "1"));
	for (size_t i = 0; i < ARRAY_SIZE(map_cases); i++) {
		const struct map_case *c = &map_cases[i];

		if (!c->pins && rig_stock())
			continue;
		printf("%s: MAP_DMA %s\n", side, c->name);
		map_case(r, side, c);
	}
}
