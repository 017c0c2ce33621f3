// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cost of passes over a buffer: see dma.h.
 *
 * The device touches eight bytes of each page, so what there is to see is the cost of
 * translations. For each kind of memory: map, one cold pass, the same pass again (hot, twice: the
 * second is the figure), unmap. The cold pass of stock is a hot one: it paid in MAP_DMA.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "busy.h"
#include "dma.h"
#include "figures.h"
#include "part.h"
#include "phase.h"

#define PASS_PAGES	4096ul
#define PASS_SPAN_MS	400
#define PASS_LEN	(PASS_PAGES * MEM_PAGE)

enum memory { ANON, MEMFD, THP };

struct pass_case {
	const char *name;
	enum memory memory;
	bool present;
	unsigned int order;
	unsigned int prg_pages;
	unsigned int size;	/* of an access */
};

#define SEQUENTIAL	IOPF_SIM_ORDER_STRIDED
#define RANDOM		IOPF_SIM_ORDER_RANDOM

static const struct pass_case pass_cases[] = {
	{ "seq_present_anon", ANON, true, SEQUENTIAL, 1, 8 },
	{ "seq_present_memfd", MEMFD, true, SEQUENTIAL, 1, 8 },
	{ "seq_present_thp", THP, true, SEQUENTIAL, 1, 8 },
	{ "seq_absent_anon", ANON, false, SEQUENTIAL, 1, 8 },
	{ "seq_absent_memfd", MEMFD, false, SEQUENTIAL, 1, 8 },
	{ "seq_absent_anon_prg32", ANON, false, SEQUENTIAL, 32, 8 },
	{ "random_present_anon", ANON, true, RANDOM, 1, 8 },
	{ "random_absent_anon", ANON, false, RANDOM, 1, 8 },
	{ "whole_present_anon", ANON, true, SEQUENTIAL, 1, MEM_PAGE },
};

struct pass {
	struct iopf_sim_cpl cpl;
	uint64_t busy;
};

static void pass_run(struct simdev *s, const struct iopf_sim_cmd *cmd, struct pass *p)
{
	p->busy = busy_run(s, cmd, PASS_SPAN_MS, &p->cpl);
}

/* How many different pages the command meets. */
static uint64_t pass_distinct(const struct iopf_sim_cmd *cmd)
{
	static unsigned char met[PASS_PAGES];
	uint64_t distinct = 0;

	if (cmd->order != IOPF_SIM_ORDER_RANDOM)
		return cmd->count;
	memset(met, 0, sizeof(met));
	for (uint64_t i = 0; i < cmd->count; i++) {
		uint64_t slot = iopf_sim_slot(cmd->order_seed, i, cmd->slots);

		distinct += !met[slot];
		met[slot] = 1;
	}
	return distinct;
}

static void *pass_memory(enum memory memory)
{
	int memfd;
	void *va;

	if (memory == ANON)
		return mem_anon(PASS_LEN);
	if (memory == THP)
		return mem_thp(PASS_LEN);
	va = mem_memfd(PASS_LEN, &memfd);
	close(memfd);
	return va;
}

static void pass_figure(const char *side, const char *name, const char *what, uint64_t value)
{
	char key[96];

	snprintf(key, sizeof(key), "%s_%s", name, what);
	figure(side, key, value);
}

static void pass_case(struct rig *r, const char *side, const struct pass_case *c)
{
	struct simbuf b = { .va = pass_memory(c->memory), .iova = RIG_IOVA, .len = PASS_LEN };
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, &b, 0, PASS_LEN, 1);
	struct pass cold, hot;
	uint64_t t0, t1;
	char phase[64];

	sim_cmd_order(&cmd, c->order, c->size, MEM_PAGE, 7);
	cmd.prg_pages = (uint16_t)c->prg_pages;
	if (c->present)
		memset(b.va, 1, b.len);
	busy_settle();
	t0 = now_ns();
	must(vfio_map(&r->c, b.va, b.iova, b.len));
	pass_figure(side, c->name, "map", now_ns() - t0);
	snprintf(phase, sizeof(phase), "%s_hot", c->name);
	phase_next(c->name, phase, cmd.count, "access");
	pass_run(&r->sim[0], &cmd, &cold);
	phase_next(phase, "-", 2 * cmd.count, "access");
	pass_run(&r->sim[0], &cmd, &hot);
	pass_run(&r->sim[0], &cmd, &hot);
	busy_settle();
	t1 = now_ns();
	must(vfio_unmap(&r->c, b.iova, b.len));
	pass_figure(side, c->name, "unmap", now_ns() - t1);
	mem_unmap(b.va, b.len);

	pass_figure(side, c->name, "pages", pass_distinct(&cmd));
	pass_figure(side, c->name, "cold_busy", cold.busy);
	pass_figure(side, c->name, "cold_device", cold.cpl.ns);
	pass_figure(side, c->name, "cold_groups", cold.cpl.faults);
	pass_figure(side, c->name, "cold_fault", cold.cpl.fault_ns);
	pass_figure(side, c->name, "cold_fault_max", cold.cpl.fault_ns_max);
	pass_figure(side, c->name, "hot_busy", hot.busy);
	pass_figure(side, c->name, "hot_device", hot.cpl.ns);
	pass_figure(side, c->name, "hot_groups", hot.cpl.faults);
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
