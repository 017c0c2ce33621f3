// SPDX-License-Identifier: GPL-2.0-only
/*
 * Simulator: the device refuses invalid commands and ring registers, with any content, and works
 * on.
 *
 * vm: --mem 1024
 */
#include <stdlib.h>
#include <string.h>

#include "rig.h"

#define LEN	(1 * MiB)
#define FUZZ	3000

static uint64_t rng_state = 0x10f5;

static uint64_t rng(void)
{
	rng_state += 0x9e3779b97f4a7c15ull;
	return iopf_sim_mix(rng_state);
}

static void refused(struct simdev *s, struct iopf_sim_cmd cmd, const char *what)
{
	struct iopf_sim_cpl cpl;

	tap_is((unsigned int)sim_run(s, &cmd, &cpl), IOPF_SIM_ST_BAD_COMMAND, "iommu_refused: %s",
	       what);
	tap_is(cpl.bytes, 0, "no data moves: %s", what);
}

/* The command @good with one change made to it, called cmd. */
#define refused_with(s, good, change, what)	\
do {						\
	struct iopf_sim_cmd cmd = good;		\
						\
	change;					\
	refused(s, cmd, what);			\
} while (0)

#define fails_with(s, good, change, what)	\
do {						\
	struct iopf_sim_cmd cmd = good;		\
						\
	change;					\
	tap_ok(sim_run(s, &cmd, NULL), "fails: %s", what); \
} while (0)

static void check_commands(struct simdev *s, const struct simbuf *b)
{
	struct iopf_sim_cmd good = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, 65536, 1);
	struct iopf_sim_cmd random = good, copy = sim_cmd_copy(b, 0, b, 65536, 4096);
	unsigned int i;

	sim_cmd_order(&random, IOPF_SIM_ORDER_RANDOM, 256, 256, 3);

	refused_with(s, good, cmd.opcode = 8, "unknown opcode");
	refused_with(s, good, cmd.opcode = 0xffff, "opcode 0xffff");
	refused_with(s, good, cmd.order = 3, "unknown order");
	refused_with(s, good, cmd.flags = 1u << 3, "unknown flag");
	refused_with(s, good, cmd.flags = 1u << 31, "unknown flag 31");
	refused_with(s, good, cmd.iova |= 4, "misaligned iova");
	refused_with(s, copy, cmd.src |= 1, "misaligned src");
	refused_with(s, good, cmd.origin |= 2, "misaligned origin");
	refused_with(s, good, cmd.size = 12, "size no multiple of 8");
	refused_with(s, good, cmd.size = 0, "size zero");
	refused_with(s, good, cmd.size = IOPF_SIM_MAX_ACCESS + 8, "size over the maximum");
	refused_with(s, random, cmd.slots = 0, "random without slots");
	refused_with(s, random, cmd.stride = 12, "random, stride no multiple of 8");
	random.order = IOPF_SIM_ORDER_STRIDED;
	refused_with(s, random, cmd.stride = 4, "strided, stride no multiple of 8");
	random.order = IOPF_SIM_ORDER_RANDOM;
	refused_with(s, good, cmd.prg_pages = 513, "513 pages in a group");
	refused_with(s, good, cmd.prg_depth = 33, "33 groups outstanding");
	for (i = 0; i < ARRAY_SIZE(good.reserved); i++)
		refused_with(s, good, cmd.reserved[i] = 1, "reserved word not zero");

	/* Addresses may wrap. Nothing is mapped there. */
	fails_with(s, good, cmd.iova = ~7ull, "iova + count * size wraps");
	fails_with(s, good, cmd.count = ~0ull, "count * size wraps");
	fails_with(s, random, cmd.slots = ~0ull, "slots * stride wraps");
}

/*
 * Seeded random commands, half of them near misses of a good one: any status may come,
 * but one comes, memory outside the buffer is not touched, and the device lives.
 */
static void check_fuzz(struct simdev *s, const struct simbuf *b)
{
	unsigned int i, seen[16] = { 0 };
	struct iopf_sim_cpl cpl;

	for (i = 0; i < FUZZ; i++) {
		struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, 16384, 1);
		uint32_t *words = (uint32_t *)&cmd;
		unsigned int flips = 1 + rng() % 4, j;

		if (rng() & 1) {
			cmd.opcode = rng() % 8;
			cmd.order = rng() % 3;
			cmd.slots = 1 + rng() % 16;
			cmd.src = b->iova;
		}
		for (j = 0; j < flips; j++)
			words[rng() % (sizeof(cmd) / 4)] = (uint32_t)(rng() >> (rng() % 32));
		/*
		 * Keep what is good short: a valid command may run for ever. Sequential
		 * ones run into memory that is not there.
		 */
		if (cmd.order != IOPF_SIM_ORDER_SEQUENTIAL)
			cmd.count %= 64;
		cmd.cookie = i;
		sim_start(s, &cmd);
		sim_wait(s, &cpl);
		if (cpl.cookie != i || cpl.status >= ARRAY_SIZE(seen))
			break;
		seen[cpl.status]++;
	}
	tap_is(i, FUZZ, "every random command gets its completion");
	for (i = 0; i < ARRAY_SIZE(seen); i++) {
		if (seen[i])
			tap_diag("%-12s %u", sim_status_name(i), seen[i]);
	}
	tap_ok(seen[IOPF_SIM_ST_BAD_COMMAND] && seen[IOPF_SIM_ST_OK],
	       "some were refused, some were not");
}

struct ring_regs {
	uint64_t sq, cq;
	uint32_t sq_entries, cq_entries, sq_tail, cq_head;
	const char *what;
};

static void check_ring_regs(struct rig *r)
{
	static const struct ring_regs bad[] = {
		{ IOPF_SIM_IN_BAR, IOPF_SIM_IN_BAR, 0, 32, 0, 0, "submission ring of 0" },
		{ IOPF_SIM_IN_BAR, IOPF_SIM_IN_BAR, 1, 32, 0, 0, "submission ring of 1" },
		{ IOPF_SIM_IN_BAR, IOPF_SIM_IN_BAR, 24, 32, 0, 0, "not a power of two" },
		{ IOPF_SIM_IN_BAR, IOPF_SIM_IN_BAR, 64, 32, 0, 0, "longer than the BAR page" },
		{ IOPF_SIM_IN_BAR, IOPF_SIM_IN_BAR, 65536, 32, 0, 0, "longer than the maximum" },
		{ IOPF_SIM_IN_BAR, IOPF_SIM_IN_BAR, 32, 0, 0, 0, "completion ring of 0" },
		{ IOPF_SIM_IN_BAR, IOPF_SIM_IN_BAR, 32, 31, 0, 0, "completion ring of 31" },
		{ 0x1004, IOPF_SIM_IN_BAR, 32, 32, 0, 0, "misaligned submission ring" },
		{ IOPF_SIM_IN_BAR, 0x1002, 32, 32, 0, 0, "misaligned completion ring" },
		{ IOPF_SIM_IN_BAR, IOPF_SIM_IN_BAR, 32, 32, 1, 0, "tail not zero" },
		{ IOPF_SIM_IN_BAR, IOPF_SIM_IN_BAR, 32, 32, 0, 1, "head not zero" },
		{ ~0ull - 0xff7, IOPF_SIM_IN_BAR, 32, 32, 0, 0, "submission ring wraps" },
	};
	struct simdev *s = &r->sim[0];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		unsigned int spins = 0;
		uint32_t status;

		must(vfio_reset(&r->vfio[0]));
		must(vfio_bus_master(&r->vfio[0], true));
		sim_reg64_set(s, IOPF_SIM_REG_SQ_BASE, bad[i].sq);
		sim_reg64_set(s, IOPF_SIM_REG_CQ_BASE, bad[i].cq);
		sim_reg_set(s, IOPF_SIM_REG_SQ_ENTRIES, bad[i].sq_entries);
		sim_reg_set(s, IOPF_SIM_REG_CQ_ENTRIES, bad[i].cq_entries);
		sim_reg_set(s, IOPF_SIM_REG_SQ_TAIL, bad[i].sq_tail);
		sim_reg_set(s, IOPF_SIM_REG_CQ_HEAD, bad[i].cq_head);
		sim_reg_set(s, IOPF_SIM_REG_CTRL, IOPF_SIM_CTRL_ENABLE);
		do {
			sim_nap(&spins);
			status = sim_reg(s, IOPF_SIM_REG_STATUS);
		} while (!status && spins < 100000);
		tap_is(status, IOPF_SIM_STATUS_HALTED, "halts: %s", bad[i].what);
		tap_ok(sim_reg(s, IOPF_SIM_REG_ERROR), "an error is reported: %s", bad[i].what);
	}
	must(vfio_reset(&r->vfio[0]));
	must(vfio_bus_master(&r->vfio[0], true));
	tap_errno_is(sim_up(s, &r->vfio[0], NULL), 0, "comes back after a reset");
}

/* A ring in memory the device can't reach halts it; so does a tail from nowhere. */
static void check_ring_unreachable(struct rig *r)
{
	struct simdev *s = &r->sim[0];
	char dummy[4096] = { 0 };
	struct sim_rings rings = {
		.sq = { dummy, 0x7700000000ull, sizeof(dummy) },
		.sq_entries = 32,
	};
	struct iopf_sim_cmd cmd = sim_cmd_nop(1);
	struct iopf_sim_cpl cpl;
	int err;

	must(sim_down(s));
	err = sim_up(s, &r->vfio[0], &rings);
	if (!err) {
		sim_start(s, &cmd);
		err = sim_wait_for(s, &cpl, SIM_HANG_SECONDS);
	}
	tap_errno_is(err, -EIO, "halts when its ring can't be reached");
	tap_ok(sim_reg(s, IOPF_SIM_REG_ERROR), "an error is reported");
	must(vfio_reset(&r->vfio[0]));
	must(vfio_bus_master(&r->vfio[0], true));
	must(sim_up(s, &r->vfio[0], NULL));

	sim_reg_set(s, IOPF_SIM_REG_SQ_TAIL, 1000);
	s->sq_tail = 1000;
	err = sim_wait_for(s, &cpl, 5);
	tap_ok(err, "a tail more than the ring ahead completes nothing");
	must(vfio_reset(&r->vfio[0]));
	must(vfio_bus_master(&r->vfio[0], true));
	must(sim_up(s, &r->vfio[0], NULL));
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct rig r;

	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	b.va = mem_anon(b.len);
	rig_map(&r, &b);

	check_commands(&r.sim[0], &b);
	check_fuzz(&r.sim[0], &b);
	rig_both_ways(&r.sim[0], &b, 5, "after bad commands");
	check_ring_regs(&r);
	check_ring_unreachable(&r);
	rig_both_ways(&r.sim[0], &b, 6, "after bad rings");

	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
