// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cost of passes over a buffer: see dma.h.
 *
 * The device touches eight bytes of each page, so the figures show the cost of translations. For
 * each kind of memory: map, one cold pass, the same pass twice more (hot), unmap. With populated
 * memory this is repeated, and the median is the result. Unpopulated memory ("absent") is populated
 * by the pass, so it is measured once. With stock, the cold pass does not fault: MAP_DMA has mapped
 * everything.
 *
 * The machine itself executes some ten thousand instructions during a pass. The buffers are large
 * enough to make this negligible.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "busy.h"
#include "dma.h"
#include "figures.h"
#include "frames.h"
#include "part.h"
#include "phase.h"
#include "sample.h"

#define PASS_ROUNDS	3
#define PASS_SPAN_MS	1000

struct pass_case {
	const char *name;
	enum frames frames;
	bool present;
	unsigned int order;
	unsigned int prg_pages;
	unsigned int size;	/* bytes of an access */
	unsigned int mib;
};

#define SEQUENTIAL	IOPF_SIM_ORDER_STRIDED
#define RANDOM		IOPF_SIM_ORDER_RANDOM

static const struct pass_case pass_cases[] = {
	{ "seq_present_contiguous", FRAMES_CONTIGUOUS, true, SEQUENTIAL, 1, 8, 128 },
	{ "seq_present_memfd", FRAMES_MEMFD, true, SEQUENTIAL, 1, 8, 32 },
	{ "seq_present_anon", FRAMES_ANON, true, SEQUENTIAL, 1, 8, 32 },
	{ "seq_present_scattered", FRAMES_SCATTERED, true, SEQUENTIAL, 1, 8, 128 },
	{ "seq_present_thp", FRAMES_THP, true, SEQUENTIAL, 1, 8, 256 },
	{ "seq_present_hugetlb", FRAMES_HUGETLB, true, SEQUENTIAL, 1, 8, 256 },
	{ "seq_absent_anon", FRAMES_ANON, false, SEQUENTIAL, 1, 8, 64 },
	{ "seq_absent_memfd", FRAMES_MEMFD, false, SEQUENTIAL, 1, 8, 16 },
	{ "seq_absent_anon_prg32", FRAMES_ANON, false, SEQUENTIAL, 32, 8, 16 },
	{ "random_present_anon", FRAMES_ANON, true, RANDOM, 1, 8, 256 },
	{ "random_present_scattered", FRAMES_SCATTERED, true, RANDOM, 1, 8, 256 },
	{ "random_absent_anon", FRAMES_ANON, false, RANDOM, 1, 8, 16 },
	{ "whole_present_anon", FRAMES_ANON, true, SEQUENTIAL, 1, MEM_PAGE, 8 },
};

static struct sample map, unmap, cold_busy, hot_busy, cold_device, hot_device;

/* Return the number of different pages that the command accesses. */
static uint64_t pass_distinct(const struct iopf_sim_cmd *cmd)
{
	unsigned char *met;
	uint64_t distinct = 0;

	if (cmd->order != IOPF_SIM_ORDER_RANDOM)
		return cmd->count;
	met = calloc(cmd->slots, 1);
	must_be(met);
	for (uint64_t i = 0; i < cmd->count; i++) {
		uint64_t slot = iopf_sim_slot(cmd->order_seed, i, cmd->slots);

		distinct += !met[slot];
		met[slot] = 1;
	}
	free(met);
	return distinct;
}

static void pass_figure(const char *side, const char *name, const char *what, uint64_t value)
{
	char key[96];

	snprintf(key, sizeof(key), "%s_%s", name, what);
	figure(side, key, value);
}

static void pass_sample(const char *side, const char *name, const char *what, struct sample *s)
{
	char key[96];

	snprintf(key, sizeof(key), "%s_%s", name, what);
	sample_figures(s, side, key);
}

/* Run a cold pass, then two hot passes. The second hot pass is measured. */
static void pass_round(struct rig *r, const struct iopf_sim_cmd *cmd, const struct simbuf *b,
		       const char *name, struct iopf_sim_cpl *cold)
{
	struct iopf_sim_cpl hot;
	char phase[64];
	uint64_t t0, busy;

	busy_settle();
	t0 = now_ns();
	must(vfio_map(&r->c, b->va, b->iova, b->len));
	sample_add(&map, now_ns() - t0);

	snprintf(phase, sizeof(phase), "%s_hot", name);
	phase_next(name, phase, cmd->count, "access");
	sample_add(&cold_busy, busy_run(&r->sim[0], cmd, PASS_SPAN_MS, cold));
	sample_add(&cold_device, cold->ns);
	phase_next(phase, "-", 2 * cmd->count, "access");
	busy_run(&r->sim[0], cmd, PASS_SPAN_MS, &hot);
	busy = busy_run(&r->sim[0], cmd, PASS_SPAN_MS, &hot);
	if (hot.faults)
		tap_bail("%s: a pass over what is mapped faults", name);
	sample_add(&hot_busy, busy);
	sample_add(&hot_device, hot.ns);

	busy_settle();
	t0 = now_ns();
	must(vfio_unmap(&r->c, b->iova, b->len));
	sample_add(&unmap, now_ns() - t0);
}

static void pass_case(struct rig *r, const char *side, const struct pass_case *c)
{
	/*
	 * Contiguous frames are those of a huge page. The I/O virtual addresses have another
	 * alignment, so the frames are mapped page by page, not as one leaf.
	 */
	uint64_t shift = c->frames == FRAMES_CONTIGUOUS ? MEM_PAGE : 0;
	struct simbuf b = { .iova = RIG_IOVA + shift, .len = c->mib * MiB };
	struct iopf_sim_cmd cmd;
	struct iopf_sim_cpl cold;

	b.va = frames_get(c->frames, b.len);
	cmd = sim_cmd(IOPF_SIM_OP_WRITE, &b, 0, b.len, 1);
	sim_cmd_order(&cmd, c->order, c->size, MEM_PAGE, 7);
	cmd.prg_pages = (uint16_t)c->prg_pages;
	if (c->present)
		frames_populate(c->frames, b.va, b.len);
	for (int i = 0; i < (c->present ? PASS_ROUNDS : 1); i++)
		pass_round(r, &cmd, &b, c->name, &cold);
	pass_figure(side, c->name, "runs", frames_runs(b.va, b.len));
	frames_free(c->frames, b.va, b.len);

	pass_figure(side, c->name, "accesses", cmd.count);
	pass_figure(side, c->name, "pages", pass_distinct(&cmd));
	pass_figure(side, c->name, "blocks", b.len / MEM_HUGE);
	pass_sample(side, c->name, "map", &map);
	pass_sample(side, c->name, "unmap", &unmap);
	pass_sample(side, c->name, "cold_busy", &cold_busy);
	pass_sample(side, c->name, "hot_busy", &hot_busy);
	pass_sample(side, c->name, "cold_device", &cold_device);
	pass_sample(side, c->name, "hot_device", &hot_device);
	pass_figure(side, c->name, "cold_groups", cold.faults);
	pass_figure(side, c->name, "cold_fault", cold.fault_ns);
	pass_figure(side, c->name, "cold_fault_max", cold.fault_ns_max);
}

void pass_costs(struct rig *r, const char *side)
{
	for (size_t i = 0; i < ARRAY_SIZE(pass_cases); i++) {
		if (!part_case_wanted("pass", pass_cases[i].name))
			continue;
		printf("%s: pass %s\n", side, pass_cases[i].name);
		pass_case(r, side, &pass_cases[i]);
	}
}
