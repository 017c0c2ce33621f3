// SPDX-License-Identifier: GPL-2.0-only
/*
 * Simulator: rings. Many laps, a full submission ring, a completion ring that is never emptied,
 * several engines with commands in flight, an idle device that only a kick wakes, no kick, disable
 * and enable.
 *
 * vm: --mem 1024
 */
#include <stdlib.h>
#include <string.h>

#include "rig.h"

#define ENGINES	4

/* Take the completion of each cookie in [1, n] exactly once, whatever the order. */
static void take_all(struct simdev *s, unsigned int n, const char *what)
{
	unsigned char *seen = calloc(n + 1, 1);
	unsigned int i, twice = 0, alien = 0, failed = 0;
	struct iopf_sim_cpl cpl;

	for (i = 0; i < n; i++) {
		sim_wait(s, &cpl);
		if (!cpl.cookie || cpl.cookie > n)
			alien++;
		else if (seen[cpl.cookie]++)
			twice++;
		failed += cpl.status != IOPF_SIM_ST_OK;
	}
	tap_ok(!alien && !twice && !failed && !sim_poll(s, &cpl),
	       "%s: each command completes once and well", what);
	free(seen);
}

static void check_laps(struct simdev *s, const char *what)
{
	unsigned int laps = 5, n = laps * s->sq_entries + 3, i;
	unsigned int wrong = 0;

	for (i = 0; i < n; i++) {
		struct iopf_sim_cmd cmd = sim_cmd_nop(1000 + i);
		struct iopf_sim_cpl cpl;

		sim_start(s, &cmd);
		sim_wait(s, &cpl);
		wrong += cpl.cookie != 1000 + i;
	}
	tap_is(wrong, 0, "%s: %u commands one by one, %u laps", what, n, laps);
	tap_is(sim_reg(s, IOPF_SIM_REG_SQ_HEAD), s->sq_tail, "%s: head follows the tail", what);
	tap_is(sim_reg(s, IOPF_SIM_REG_CQ_TAIL), s->cq_head, "%s: completions counted", what);
}

static void check_full(struct simdev *s, const char *what)
{
	struct iopf_sim_cmd cmd;
	unsigned int i;

	for (i = 0; i < s->sq_entries; i++) {
		cmd = sim_cmd_nop(i + 1);
		must(sim_submit(s, &cmd));
	}
	cmd = sim_cmd_nop(i + 1);
	tap_errno_is(sim_submit(s, &cmd), -EAGAIN, "%s: full before the doorbell", what);
	sim_ring(s);
	take_all(s, s->sq_entries, what);
}

/* Without a consumer the device stops at CQ_ENTRIES completions. Then it goes on. */
static void check_cq_limit(struct rig *r, const struct simbuf *ring)
{
	struct sim_rings rings = { .sq_entries = 32, .cq_entries = 4 };
	struct simdev *s = &r->sim[0];
	struct iopf_sim_cmd cmd;
	unsigned int i, spins = 0;

	rings.sq = (struct simbuf){ ring->va, ring->iova, 4096 };
	rings.cq = (struct simbuf){ (char *)ring->va + 4096, ring->iova + 4096, 4096 };
	must(sim_down(s));
	must(sim_up(s, &r->vfio[0], &rings));
	for (i = 0; i < 20; i++) {
		cmd = sim_cmd_nop(i + 1);
		must(sim_submit(s, &cmd));
	}
	sim_ring(s);
	while (sim_reg(s, IOPF_SIM_REG_CQ_TAIL) < 4)
		sim_nap(&spins);
	/* It must stop there. Without the check it would go on within a moment. */
	for (i = 0; i < 300; i++)
		sim_nap(&spins);
	tap_is(sim_reg(s, IOPF_SIM_REG_CQ_TAIL), 4, "a full completion ring stops the device");
	take_all(s, 20, "completion ring of 4");
}

static void check_in_flight(struct rig *r, const struct simbuf *b)
{
	struct simdev *s = &r->sim[0];
	unsigned int n = s->sq_entries, i, engines = 0;
	size_t part = b->len / n;
	struct iopf_sim_cpl cpl;
	uint32_t seen = 0;

	tap_is(s->engines, ENGINES, "the device says how many engines it has");
	memset(b->va, 0, b->len);
	for (i = 0; i < n; i++) {
		struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, i * part, part, 7);

		cmd.cookie = i + 1;
		must(sim_submit(s, &cmd));
	}
	sim_ring(s);
	for (i = 0; i < n; i++) {
		sim_wait(s, &cpl);
		if (cpl.status)
			tap_ok(false, "write %llu: %s", cpl.cookie, sim_status_name(cpl.status));
		must_be(cpl.engine < ENGINES);
		seen |= 1u << cpl.engine;
	}
	for (i = 0; i < ENGINES; i++)
		engines += seen >> i & 1;
	tap_is(simbuf_differs(b, 0, b->len, 7), 0, "%u writes in flight: all data right", n);
	tap_diag("%u of %d engines took part", engines, ENGINES);
}

static void check_disable(struct rig *r, const struct simbuf *b)
{
	struct simdev *s = &r->sim[0];
	struct iopf_sim_cpl cpl;
	struct iopf_sim_cmd cmd;
	unsigned int i, n = 0, bad = 0;
	uint32_t before;

	/* With room for all completions: those that find none are dropped. */
	must(sim_down(s));
	must(sim_up(s, &r->vfio[0], NULL));
	before = s->sq_tail;
	for (i = 0; i < 8; i++) {
		cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, b->len, 9);
		must(sim_submit(s, &cmd));
	}
	sim_ring(s);
	tap_errno_is(sim_down(s), 0, "disable with commands in flight");
	while (sim_poll(s, &cpl)) {
		bad += cpl.status != IOPF_SIM_ST_OK && cpl.status != IOPF_SIM_ST_ABORTED;
		n++;
	}
	tap_is(bad, 0, "%u commands had been fetched and ended properly", n);
	tap_is(sim_reg(s, IOPF_SIM_REG_SQ_HEAD), before + n,
	       "as many as the device says it fetched");
	must(sim_up(s, &r->vfio[0], NULL));
	tap_is(sim_reg(s, IOPF_SIM_REG_SQ_HEAD), 0, "enable zeroes the counts");
	check_laps(s, "after disable and enable");
}

int main(void)
{
	struct simbuf ring = { .iova = 0x40000000, .len = 8192 };
	struct simbuf b = { .iova = RIG_IOVA, .len = 4 * MiB };
	struct rig r;

	rig_load("engines=4", "");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	ring.va = mem_anon(ring.len);
	b.va = mem_anon(b.len);
	rig_map(&r, &ring);
	rig_map(&r, &b);

	check_laps(&r.sim[0], "BAR rings");
	check_full(&r.sim[0], "BAR rings");
	check_in_flight(&r, &b);
	sim_knob(rig_bdf(0), "slow_poll", 1);
	check_laps(&r.sim[0], "by kick only");
	check_full(&r.sim[0], "by kick only");
	sim_knob(rig_bdf(0), "slow_poll", 0);
	r.sim[0].use_kick = false;
	check_laps(&r.sim[0], "no kick");
	check_cq_limit(&r, &ring);
	check_disable(&r, &b);

	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
