// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cost of taking memory back from the device: see dma.h.
 *
 * The device touches 64 MiB. Two costs are measured:
 *  - UNMAP_DMA of this memory;
 *  - not with stock: MADV_DONTNEED of this memory while it is mapped for the device, minus
 *    MADV_DONTNEED of the same memory while it is not mapped.
 * Both are busy time, so memory that RCU or a worker frees later counts.
 */
#include <stdio.h>
#include <string.h>

#include "busy.h"
#include "dma.h"
#include "figures.h"
#include "frames.h"
#include "part.h"
#include "phase.h"
#include "sample.h"

#define DROP_LEN	(64 * MiB)
#define DROP_PAGES	(DROP_LEN / MEM_PAGE)
#define DROP_ROUNDS	3

static const struct drop_case {
	const char *name;
	enum frames frames;
} drop_cases[] = {
	{ "anon", FRAMES_ANON },
	{ "scattered", FRAMES_SCATTERED },
	{ "thp", FRAMES_THP },
};

static struct sample nothing, unmapped, dropped, dropped_plain;

static void device_touches(struct rig *r, const struct simbuf *b)
{
	struct iopf_sim_cpl cpl;

	rig_map(r, b);
	must_be(!sim_touch(&r->sim[0], b, 0, b->len, &cpl));
}

static uint64_t unmap_busy(struct rig *r, const struct simbuf *b)
{
	uint64_t before = busy_ns();

	phase_on();
	rig_unmap(r, b);
	busy_settle();
	phase_off();
	return busy_ns() - before;
}

static uint64_t drop_busy(const struct simbuf *b)
{
	uint64_t before = busy_ns();

	phase_on();
	mem_drop(b->va, b->len);
	busy_settle();
	phase_off();
	return busy_ns() - before;
}

/* The cost of the measurement itself. */
static uint64_t nothing_busy(void)
{
	uint64_t before = busy_ns();

	busy_settle();
	return busy_ns() - before;
}

static void drop_case(struct rig *r, const char *side, const struct drop_case *c)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = DROP_LEN };
	char key[64];

	b.va = frames_get(c->frames, b.len);
	for (int i = 0; i < DROP_ROUNDS; i++) {
		frames_populate(c->frames, b.va, b.len);
		device_touches(r, &b);
		phase_next("unmap", "-", DROP_PAGES, "page");
		sample_add(&unmapped, unmap_busy(r, &b));
		sample_add(&nothing, nothing_busy());
		if (rig_stock())
			continue;
		device_touches(r, &b);
		phase_next("drop", "drop_unmapped", DROP_PAGES, "page");
		sample_add(&dropped, drop_busy(&b));
		rig_unmap(r, &b);
		frames_populate(c->frames, b.va, b.len);
		phase_next("drop_unmapped", "-", DROP_PAGES, "page");
		sample_add(&dropped_plain, drop_busy(&b));
	}
	frames_free(c->frames, b.va, b.len);
	snprintf(key, sizeof(key), "drop_%s_nothing", c->name);
	sample_figures(&nothing, side, key);
	snprintf(key, sizeof(key), "drop_%s_unmap", c->name);
	sample_figures(&unmapped, side, key);
	if (rig_stock())
		return;
	snprintf(key, sizeof(key), "drop_%s_used", c->name);
	sample_figures(&dropped, side, key);
	snprintf(key, sizeof(key), "drop_%s_plain", c->name);
	sample_figures(&dropped_plain, side, key);
}

void drop_costs(struct rig *r, const char *side)
{
	for (size_t i = 0; i < ARRAY_SIZE(drop_cases); i++) {
		if (!part_case_wanted("drop", drop_cases[i].name))
			continue;
		printf("%s: unmap and drop, %s\n", side, drop_cases[i].name);
		drop_case(r, side, &drop_cases[i]);
	}
}
