// SPDX-License-Identifier: GPL-2.0-only
/*
 * NUMA: pages migrate between two nodes while the device works on them.
 *
 * vm: --mem 1024 --append numa=fake=2
 */
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dma.h"
#include "rig.h"

#define LEN	(8 * MiB)
#define PAGES	(LEN / MEM_PAGE)

/* Moves every page of the range to @node. Returns the number of pages that are there afterwards. */
static unsigned long move_to(const struct simbuf *b, int node)
{
	static void *pages[PAGES];
	static int nodes[PAGES], status[PAGES];
	unsigned long i, there = 0;

	for (i = 0; i < PAGES; i++) {
		pages[i] = (char *)b->va + i * MEM_PAGE;
		nodes[i] = node;
	}
	if (syscall(SYS_move_pages, 0, PAGES, pages, nodes, status, MPOL_MF_MOVE) < 0)
		tap_bail("move_pages: %m");
	must_sys(syscall(SYS_move_pages, 0, PAGES, pages, NULL, status, 0));
	for (i = 0; i < PAGES; i++)
		there += status[i] == node;
	return there;
}

static void check_kind(struct rig *r, void *va, const char *kind)
{
	struct simbuf b = { va, RIG_IOVA, LEN };
	unsigned long there = 0;
	struct dma dma;
	int i;

	tap_diag("%s", kind);
	rig_map(r, &b);
	rig_status_is(sim_write(&r->sim[0], &b, 0, LEN, 1, NULL), IOPF_SIM_ST_OK, "mapped");
	for (i = 0; i < 2; i++) {
		there = move_to(&b, !i);
		tap_is(there, PAGES, "every page moved to node %d", !i);
		rig_status_is(sim_verify(&r->sim[0], &b, 0, LEN, 1, NULL), IOPF_SIM_ST_OK,
			      "the device finds them");
		rig_same(&b, 1, "the CPU too");
	}

	dma_start_both(&dma, &r->sim[0], &b, 2);
	for (i = 0; i < 10; i++) {
		unsigned long old = 1 + (i & 1), new = 3 - old;

		there = move_to(&b, i & 1);
		/* And with the other call, which walks the whole address space. */
		if (i == 5)
			must_sys(syscall(SYS_migrate_pages, 0, 8, &new, &old));
	}
	dma_wait_rounds(&dma, 1);
	tap_is(dma_stop(&dma), 0, "migration under DMA: data right");
	tap_diag("%lu of %lu pages arrived in the last move", there, (unsigned long)PAGES);
	dma_describe(&dma);
	rig_same(&b, 2, "after that");
	rig_unmap(r, &b);
	mem_unmap(va, LEN);
}

int main(void)
{
	struct rig r;
	int fd;

	rig_backend_only();
	if (access("/sys/devices/system/node/node1", F_OK))
		tap_bail("only one node: run with --append numa=fake=2");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	check_kind(&r, mem_anon(LEN), "anonymous");
	check_kind(&r, mem_thp(LEN), "huge pages");
	check_kind(&r, mem_memfd(LEN, &fd), "memfd");
	rig_clean(&r);
	rig_balanced();
	rig_close(&r);
	return tap_done();
}
