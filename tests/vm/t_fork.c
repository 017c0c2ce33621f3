// SPDX-License-Identifier: GPL-2.0-only
/*
 * fork() and copy on write, in both directions: the device uses the memory of the parent. It never
 * writes to the copy of the child, and loses no write because of the copy.
 *
 * vm: --mem 1024
 * also: no5lvl pti numa
 */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dma.h"
#include "rig.h"

#define LEN	(4 * MiB)

/* A child that waits for a byte, then looks for the pattern of @seed, then writes another. */
struct child {
	pid_t pid;
	int go[2];
	int said[2];
};

static void child_start(struct child *c, const struct simbuf *b, uint64_t seed, bool write_first)
{
	char byte = 0;

	must_sys(pipe(c->go));
	must_sys(pipe(c->said));
	c->pid = must_sys(fork());
	if (c->pid)
		return;
	if (write_first)
		simbuf_fill(b, 0, b->len, seed);
	must_sys(write(c->said[1], &byte, 1));
	must_sys(read(c->go[0], &byte, 1));
	_exit(simbuf_differs(b, 0, b->len, seed) != 0);
}

static void child_ready(struct child *c)
{
	char byte;

	must_sys(read(c->said[0], &byte, 1));
}

static int child_end(struct child *c)
{
	char byte = 0;
	int status;

	must_sys(write(c->go[1], &byte, 1));
	must_sys(waitpid(c->pid, &status, 0));
	close(c->go[0]);
	close(c->go[1]);
	close(c->said[0]);
	close(c->said[1]);
	return status;
}

static void check_device_writes(struct rig *r, const struct simbuf *b)
{
	struct child c;

	simbuf_fill(b, 0, LEN, 1);
	rig_status_is(sim_write(&r->sim[0], b, 0, LEN, 1, NULL), IOPF_SIM_ST_OK,
		      "mapped for writing before the fork");
	child_start(&c, b, 1, false);
	child_ready(&c);
	rig_status_is(sim_write(&r->sim[0], b, 0, LEN, 2, NULL), IOPF_SIM_ST_OK,
		      "the device writes after the fork");
	rig_same(b, 2, "the parent sees it");
	tap_is((unsigned int)child_end(&c), 0, "the child has the old data");
}

static void check_child_writes(struct rig *r, const struct simbuf *b)
{
	struct child c;

	simbuf_fill(b, 0, LEN, 3);
	rig_status_is(sim_verify(&r->sim[0], b, 0, LEN, 3, NULL), IOPF_SIM_ST_OK, "mapped");
	child_start(&c, b, 4, true);
	child_ready(&c);
	rig_status_is(sim_verify(&r->sim[0], b, 0, LEN, 3, NULL), IOPF_SIM_ST_OK,
		      "the device reads the parent's memory after the child wrote its own");
	rig_same(b, 3, "and the CPU");
	tap_is((unsigned int)child_end(&c), 0, "the child sees its own");
	rig_status_is(sim_write(&r->sim[0], b, 0, LEN, 5, NULL), IOPF_SIM_ST_OK,
		      "the device writes after the child's end");
	rig_same(b, 5, "after the child's end");
}

/* The parent's CPU takes the copy, the device must follow it to the new page. */
static void check_parent_writes(struct rig *r, const struct simbuf *b)
{
	struct child c;

	simbuf_fill(b, 0, LEN, 6);
	rig_status_is(sim_write(&r->sim[0], b, 0, LEN, 6, NULL), IOPF_SIM_ST_OK, "mapped");
	child_start(&c, b, 6, false);
	child_ready(&c);
	/* Mapped read-only after the fork, then the CPU copies. */
	rig_status_is(sim_verify(&r->sim[0], b, 0, LEN, 6, NULL), IOPF_SIM_ST_OK,
		      "the device reads the shared page");
	simbuf_fill(b, 0, LEN, 7);
	rig_status_is(sim_verify(&r->sim[0], b, 0, LEN, 7, NULL), IOPF_SIM_ST_OK,
		      "the device sees the parent's copy");
	rig_status_is(sim_write(&r->sim[0], b, 0, LEN, 8, NULL), IOPF_SIM_ST_OK,
		      "the device writes the parent's copy");
	rig_same(b, 8, "the parent's copy");
	tap_is((unsigned int)child_end(&c), 0, "the child has the old data");
}

static void check_under_dma(struct rig *r, const struct simbuf *b)
{
	struct dma dma;
	unsigned int i, bad = 0;

	/* The pattern is the same in every round, so each child sees it whole. */
	simbuf_fill(b, 0, LEN, 9);
	dma_start_both(&dma, &r->sim[0], b, 9);
	for (i = 0; i < 10; i++) {
		struct child c;

		child_start(&c, b, 9, false);
		child_ready(&c);
		dma_wait_rounds(&dma, 1);
		bad += child_end(&c) != 0;
	}
	tap_is(dma_stop(&dma), 0, "forks under DMA: the device's data is right");
	tap_is(bad, 0, "and each child's");
	dma_describe(&dma);
}

/* A child that writes everywhere and exits while the device writes other data. */
static void check_child_under_dma(struct rig *r, const struct simbuf *b)
{
	struct dma dma;
	unsigned int i, bad = 0;

	dma_start_both(&dma, &r->sim[0], b, 10);
	for (i = 0; i < 10; i++) {
		struct child c;

		child_start(&c, b, 100 + i, true);
		child_ready(&c);
		bad += child_end(&c) != 0;
	}
	dma_wait_rounds(&dma, 1);
	tap_is(dma_stop(&dma), 0, "children writing under DMA: the device's data is right");
	tap_is(bad, 0, "and each child's");
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct simbuf thp = { .iova = RIG_IOVA, .len = LEN };
	struct rig r;

	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	b.va = mem_anon(LEN);
	rig_map(&r, &b);
	check_device_writes(&r, &b);
	check_child_writes(&r, &b);
	check_parent_writes(&r, &b);
	check_under_dma(&r, &b);
	check_child_under_dma(&r, &b);
	rig_unmap(&r, &b);

	thp.va = mem_thp(LEN);
	rig_map(&r, &thp);
	tap_diag("with huge pages");
	check_device_writes(&r, &thp);
	check_parent_writes(&r, &thp);
	rig_unmap(&r, &thp);

	rig_clean(&r);
	rig_balanced();
	rig_close(&r);
	return tap_done();
}
