// SPDX-License-Identifier: GPL-2.0-only
/*
 * Simulator: page requests. Groups of several pages, many outstanding requests, an overflow of the
 * queue; late, lost, doubled and reordered responses; devices that misbehave, and devices that
 * stall. The data is right all the time. After any loss that a knob causes, a reset makes the
 * device usable again.
 *
 * vm: --mem 1024
 */
#include "dma.h"
#include "rig.h"

#define LEN	(4 * MiB)
#define PAGES	(LEN / MEM_PAGE)

static void fresh(const struct simbuf *b)
{
	mem_drop(b->va, b->len);
}

static void revive(struct rig *r, unsigned int i)
{
	must(vfio_reset(&r->vfio[i]));
	must(vfio_bus_master(&r->vfio[i], true));
	must(sim_up(&r->sim[i], &r->vfio[i], NULL));
}

static void check_groups(struct rig *r, const struct simbuf *b, unsigned int pages)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, LEN, pages);
	struct iopf_sim_cpl cpl;

	fresh(b);
	cmd.prg_pages = (uint16_t)pages;
	rig_status_is(sim_run(&r->sim[0], &cmd, &cpl), IOPF_SIM_ST_OK, "groups of %u", pages);
	tap_is(simbuf_differs(b, 0, LEN, pages), 0, "groups of %u: every byte is right", pages);
	tap_is(cpl.pages, PAGES, "groups of %u: each page is asked for once", pages);
	tap_is(cpl.faults, PAGES / pages, "groups of %u: that many groups", pages);
	tap_ok(cpl.fault_ns && cpl.fault_ns >= cpl.fault_ns_max && cpl.ns >= cpl.fault_ns_max,
	       "groups of %u: times make sense", pages);
}

static void check_depth(struct rig *r, const struct simbuf *b, unsigned int depth)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, LEN, depth);
	struct iopf_sim_cpl cpl;

	fresh(b);
	cmd.prg_depth = (uint16_t)depth;
	cmd.prg_pages = 2;
	rig_status_is(sim_run(&r->sim[0], &cmd, &cpl), IOPF_SIM_ST_OK, "%u outstanding", depth);
	tap_is(simbuf_differs(b, 0, LEN, depth), 0, "%u outstanding: every byte is right", depth);

	fresh(b);
	simbuf_fill(b, 0, LEN, 1);
	cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, LEN, 1);
	sim_cmd_order(&cmd, IOPF_SIM_ORDER_RANDOM, 4096, 4096, depth);
	cmd.prg_depth = (uint16_t)depth;
	rig_status_is(sim_run(&r->sim[0], &cmd, &cpl), IOPF_SIM_ST_OK, "%u outstanding, random",
		      depth);
	rig_same(b, 1, "outstanding, random");
}

static void check_request_only(struct rig *r, const struct simbuf *b)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_REQUEST, b, 0, LEN, 0);
	struct iopf_sim_cpl cpl;

	fresh(b);
	cmd.prg_pages = 32;
	rig_status_is(sim_run(&r->sim[0], &cmd, &cpl), IOPF_SIM_ST_OK, "requests without data");
	tap_is(cpl.bytes, 0, "move nothing");
	tap_is(mem_resident(b->va, LEN), PAGES, "but make memory resident");
}

static void check_flags(struct rig *r, const struct simbuf *b)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, LEN, 3);
	struct iopf_sim_cpl cpl;

	fresh(b);
	cmd.flags = IOPF_SIM_F_NO_FAULT;
	rig_status_is(sim_run(&r->sim[0], &cmd, &cpl), IOPF_SIM_ST_UNTRANSLATED, "no-fault access");
	tap_is(cpl.faults, 0, "asks for nothing");
	tap_is(mem_resident(b->va, LEN), 0, "no page is mapped");

	cmd.flags = IOPF_SIM_F_READ_FIRST;
	rig_status_is(sim_run(&r->sim[0], &cmd, &cpl), IOPF_SIM_ST_OK, "read first, then write");
	rig_same(b, 3, "read first, then write");
	tap_diag("read first: %llu groups for %lu pages", (unsigned long long)cpl.faults,
		 (unsigned long)PAGES);
}

static void check_overflow(struct rig *r, const struct simbuf *b)
{
	uint64_t before = sim_count(r->vfio[0].bdf, "prq_overflows");
	uint64_t round;

	sim_iommu_knob("prq_entries", 4);
	sim_iommu_knob("prq_thread", 1);
	for (round = 0; round < 4; round++) {
		unsigned int i, bad = 0;
		struct iopf_sim_cpl cpl;

		fresh(b);
		for (i = 0; i < 4; i++) {
			struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, i * LEN / 4,
							  LEN / 4, round);

			cmd.prg_depth = 16;
			cmd.prg_pages = 2;
			must(sim_submit(&r->sim[0], &cmd));
		}
		sim_ring(&r->sim[0]);
		for (i = 0; i < 4; i++) {
			sim_wait(&r->sim[0], &cpl);
			bad += cpl.status != IOPF_SIM_ST_OK;
		}
		tap_is(bad, 0, "queue of 4, four commands, 16 groups each");
		tap_is(simbuf_differs(b, 0, LEN, round), 0, "every byte is right");
	}
	tap_ok(sim_count(r->vfio[0].bdf, "prq_overflows") > before, "the queue overflowed: %llu",
	       (unsigned long long)(sim_count(r->vfio[0].bdf, "prq_overflows") - before));
	sim_iommu_knob("prq_entries", 1024);
	fresh(b);
	rig_both_ways(&r->sim[0], b, 9, "a thread drains the queue");
	sim_iommu_knob("prq_thread", 0);
}

static void check_responses(struct rig *r, const struct simbuf *b)
{
	const char *bdf = r->vfio[0].bdf;
	uint64_t before;

	sim_knob(bdf, "resp_delay_us", 300);
	fresh(b);
	rig_both_ways(&r->sim[0], b, 10, "late responses");
	sim_knob(bdf, "resp_delay_us", 0);

	sim_knob(bdf, "resp_reorder", 200);
	fresh(b);
	check_depth(r, b, 16);
	sim_knob(bdf, "resp_reorder", 0);

	before = sim_count(bdf, "responses_unexpected");
	sim_knob(bdf, "resp_dup", 100);
	fresh(b);
	rig_both_ways(&r->sim[0], b, 12, "doubled responses");
	tap_is(sim_knob_get(bdf, "resp_dup"), 0, "the knob counted down");
	tap_is(sim_count(bdf, "responses_unexpected") - before, 100,
	       "the device noticed each second one");
}

/* A command that must not complete; it gets plenty of chances to. */
static void stuck(struct rig *r, const struct simbuf *b, const char *what)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, LEN, 20);
	struct iopf_sim_cpl cpl;
	unsigned int spins = 0;

	fresh(b);
	sim_start(&r->sim[0], &cmd);
	while (spins < 1000 && !sim_poll(&r->sim[0], &cpl))
		sim_nap(&spins);
	tap_ok(spins == 1000, "%s: the command waits", what);
	rig_both_ways(&r->sim[1], b, 21, "the other device works meanwhile");
	revive(r, 0);
	rig_both_ways(&r->sim[0], b, 23, "a reset gets it back");
}

static void check_lost(struct rig *r, const struct simbuf *b)
{
	const char *bdf = r->vfio[0].bdf;

	sim_knob(bdf, "resp_drop", 1);
	stuck(r, b, "a lost response");
	tap_is(sim_knob_get(bdf, "resp_drop"), 0, "one was lost");
	sim_knob(bdf, "resp_ignore", 1);
	stuck(r, b, "a device that takes no responses");
	sim_knob(bdf, "resp_ignore", 0);
	fresh(b);
	rig_both_ways(&r->sim[0], b, 25, "it takes responses again");
}

static void check_misbehaviour(struct rig *r, const struct simbuf *b)
{
	const char *bdf = r->vfio[0].bdf;
	struct simbuf ro = { b->va, b->iova + 2 * LEN, LEN };
	struct dma dma;

	/* Another device does its work all the time. */
	dma_start_both(&dma, &r->sim[1], b, 30);

	fresh(b);
	sim_knob(bdf, "bad_range", 1);
	rig_status_is(sim_read(&r->sim[0], b, 0, LEN, NULL), IOPF_SIM_ST_INVALID,
		      "a request outside any range");
	rig_status_is(sim_read(&r->sim[0], b, 0, LEN, NULL), IOPF_SIM_ST_OK, "then a good one");

	/* Write permission asked for where only reading is allowed. */
	must(vfio_map_flags(&r->c, ro.va, ro.iova, LEN, VFIO_DMA_MAP_FLAG_READ));
	sim_knob(bdf, "bad_perm", 1);
	rig_status_is(sim_read(&r->sim[0], &ro, 0, LEN, NULL), IOPF_SIM_ST_INVALID,
		      "a request with the wrong permission");
	rig_status_is(sim_read(&r->sim[0], &ro, 0, LEN, NULL), IOPF_SIM_ST_OK, "then a good one");
	rig_unmap(r, &ro);

	fresh(b);
	sim_knob(bdf, "bad_group", 50);
	rig_status_is(sim_read(&r->sim[0], b, 0, LEN, NULL), IOPF_SIM_ST_OK, "malformed groups");
	tap_is(sim_knob_get(bdf, "bad_group"), 0, "50 of them");
	tap_diag("unexpected responses: %llu",
		 (unsigned long long)sim_count(bdf, "responses_unexpected"));

	fresh(b);
	sim_knob(bdf, "stop_marker", 50);
	rig_status_is(sim_read(&r->sim[0], b, 0, LEN, NULL), IOPF_SIM_ST_OK, "stop markers");
	tap_is(sim_knob_get(bdf, "stop_marker"), 0, "50 of them");

	dma_wait_rounds(&dma, 1);
	/* It shares the memory that the test drops: a mismatch is expected. */
	dma_stop(&dma);
	tap_is(dma.status[IOPF_SIM_ST_OK] + dma.status[IOPF_SIM_ST_MISMATCH], dma.rounds * 2,
	       "the other device is not disturbed");
	rig_both_ways(&r->sim[0], b, 31, "after all that");
	tap_is(sim_count(bdf, "responses_failure") +
	       sim_count(r->vfio[1].bdf, "responses_failure"), 0, "nothing was answered FAILURE");
}

static void check_markers(struct rig *r)
{
	struct iopf_sim_cmd cmd = { .opcode = IOPF_SIM_OP_STOP_MARKER, .pasid = 5, .cookie = 1 };

	rig_status_is(sim_run(&r->sim[0], &cmd, NULL), IOPF_SIM_ST_OK, "stop marker by command");
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	unsigned int i;
	struct rig r;

	rig_backend_only();
	/* Exact numbers of requests: no mapping ahead of the device. */
	rig_load("devices=2 engines=4 stall=2", "fault_around=0");
	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	b.va = mem_anon(LEN);
	rig_map(&r, &b);

	for (i = 1; i <= 32; i *= 2)
		check_groups(&r, &b, i);
	for (i = 1; i <= 32; i *= 4)
		check_depth(&r, &b, i);
	check_request_only(&r, &b);
	check_flags(&r, &b);
	check_overflow(&r, &b);
	check_responses(&r, &b);
	check_lost(&r, &b);
	check_misbehaviour(&r, &b);
	check_markers(&r);
	fresh(&b);
	rig_both_ways(&r.sim[1], &b, 40, "the stalling device");

	for (i = 0; i < 2; i++)
		sim_calm(r.vfio[i].bdf);
	rig_clean(&r);
	rig_unmap(&r, &b);
	rig_balanced();
	rig_close(&r);
	return tap_done();
}
