// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "dirty.h"
#include "dma.h"
#include "migrate.h"
#include "tap.h"

/* Copy the reported pages from @b to @copy. Return their number. */
static size_t sync_copy(struct rig *r, const struct simbuf *b, char *copy)
{
	struct dirty_map m;
	size_t page, n;

	dirty_map_init(&m, b->iova, b->len);
	must(dirty_get(&r->c, &m));
	n = dirty_count(&m);
	for (page = 0; page < (b->len / MEM_PAGE); page++)
		if (dirty_page(&m, page))
			memcpy(copy + page * MEM_PAGE, (char *)b->va + page * MEM_PAGE, MEM_PAGE);
	dirty_map_free(&m);
	return n;
}

static size_t pages_that_differ(const struct simbuf *b, const char *copy)
{
	size_t page, n = 0;

	for (page = 0; page < (b->len / MEM_PAGE); page++)
		n += !!memcmp(copy + page * MEM_PAGE, (char *)b->va + page * MEM_PAGE, MEM_PAGE);
	return n;
}

void migrate_check(struct rig *r, const struct simbuf *b, const char *what)
{
	char *copy = mem_anon(b->len);
	struct iopf_sim_cmd cmds[2];
	unsigned int round;
	size_t n = 0;
	struct dma dma;

	simbuf_fill(b, 0, b->len, 1);
	must(dirty_track(&r->c, true));
	memcpy(copy, b->va, b->len);
	cmds[0] = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, b->len, 100);
	cmds[1] = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, b->len, 200);
	sim_cmd_order(&cmds[0], IOPF_SIM_ORDER_RANDOM, 512, 512, 5);
	sim_cmd_order(&cmds[1], IOPF_SIM_ORDER_RANDOM, 2048, 2048, 6);
	cmds[0].count = 900;
	cmds[1].count = 300;
	dma_start(&dma, &r->sim[0], cmds, 2);
	for (round = 0; round < 12; round++) {
		n += sync_copy(r, b, copy);
		dma_wait_rounds(&dma, 1);
	}
	tap_is(dma_stop(&dma), 0, "%s: every command completes", what);
	n += sync_copy(r, b, copy);
	tap_is(pages_that_differ(b, copy), 0, "%s: the copy is the memory", what);
	tap_diag("%llu rounds of DMA, %zu pages reported", (unsigned long long)dma.rounds, n);
	must(dirty_track(&r->c, false));
	mem_unmap(copy, b->len);
}
