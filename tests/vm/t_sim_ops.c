// SPDX-License-Identifier: GPL-2.0-only
/*
 * Simulator: every opcode moves the right bytes in every order, with rings in the BAR and in host
 * memory.
 *
 * vm: --mem 1024
 */
#include <stdio.h>
#include <string.h>

#include "rig.h"

#define LEN	(2 * MiB)
#define SEED	0x5eedull

/* The offsets a command touches, computed the way the interface defines them. */
static uint64_t offset(const struct iopf_sim_cmd *cmd, uint64_t i)
{
	switch (cmd->order) {
	case IOPF_SIM_ORDER_SEQUENTIAL:
		return i * cmd->size;
	case IOPF_SIM_ORDER_STRIDED:
		return i * cmd->stride;
	default:
		return cmd->stride * iopf_sim_slot(cmd->order_seed, i, cmd->slots);
	}
}

/* Words of @b that differ from: pattern where @cmd writes, zero elsewhere. */
static size_t write_differs(const struct simbuf *b, const struct iopf_sim_cmd *cmd)
{
	static unsigned char touched[LEN / 8];
	const uint64_t *word = b->va;
	size_t wrong = 0, w;
	uint64_t i, j;

	memset(touched, 0, sizeof(touched));
	for (i = 0; i < cmd->count; i++) {
		for (j = 0; j < cmd->size; j += 8)
			touched[(cmd->iova - b->iova + offset(cmd, i) + j) / 8] = 1;
	}
	for (w = 0; w < b->len / 8; w++)
		wrong += word[w] != (touched[w] ? iopf_sim_word(cmd->seed, w * 8) : 0);
	return wrong;
}

static const char *order_name(unsigned int order)
{
	static const char * const names[] = { "sequential", "strided", "random" };

	return names[order];
}

static void check_write(struct simdev *s, const struct simbuf *b, struct iopf_sim_cmd cmd,
			const char *what)
{
	struct iopf_sim_cpl cpl;

	cmd.opcode = IOPF_SIM_OP_WRITE;
	memset(b->va, 0, b->len);
	tap_is((unsigned int)sim_run(s, &cmd, &cpl), IOPF_SIM_ST_OK, "%s write completes", what);
	tap_is(write_differs(b, &cmd), 0, "%s write changes exactly the words it names", what);
	tap_is(cpl.bytes, cmd.count * cmd.size, "%s write counts its bytes", what);
}

static void check_verify(struct simdev *s, const struct simbuf *b, struct iopf_sim_cmd cmd,
			 const char *what)
{
	struct iopf_sim_cpl cpl;
	uint64_t *bad;

	cmd.opcode = IOPF_SIM_OP_VERIFY;
	simbuf_fill(b, 0, b->len, cmd.seed);
	tap_is((unsigned int)sim_run(s, &cmd, &cpl), IOPF_SIM_ST_OK, "%s verify of good data",
	       what);

	/* Spoil one word of the last access. */
	bad = (uint64_t *)((char *)b->va + cmd.iova - b->iova + offset(&cmd, cmd.count - 1));
	*bad ^= 1;
	tap_is((unsigned int)sim_run(s, &cmd, &cpl), IOPF_SIM_ST_MISMATCH,
	       "%s verify finds one wrong bit", what);
	tap_ok(cpl.mismatches >= 1, "%s verify counts it", what);
	*bad ^= 1;
}

static void check_checksum(struct simdev *s, const struct simbuf *b, struct iopf_sim_cmd cmd,
			   const char *what)
{
	struct iopf_sim_cpl cpl;
	uint64_t sum = 0, i;

	cmd.opcode = IOPF_SIM_OP_CHECKSUM;
	simbuf_fill(b, 0, b->len, cmd.seed);
	for (i = 0; i < cmd.count; i++)
		sum += simbuf_sum(b, cmd.iova - b->iova + offset(&cmd, i), cmd.size);
	tap_is((unsigned int)sim_run(s, &cmd, &cpl), IOPF_SIM_ST_OK, "%s checksum completes", what);
	tap_is(cpl.result, sum, "%s checksum is the CPU's", what);

	cmd.opcode = IOPF_SIM_OP_READ;
	tap_is((unsigned int)sim_run(s, &cmd, &cpl), IOPF_SIM_ST_OK, "%s read completes", what);
	tap_is(cpl.bytes, cmd.count * cmd.size, "%s read counts its bytes", what);
}

static void check_copy(struct simdev *s, const struct simbuf *b, const struct simbuf *src,
		       struct iopf_sim_cmd cmd, const char *what)
{
	struct iopf_sim_cpl cpl;

	cmd.opcode = IOPF_SIM_OP_COPY;
	cmd.src = src->iova + (cmd.iova - b->iova);
	memset(b->va, 0, b->len);
	simbuf_fill(src, 0, src->len, cmd.seed);
	tap_is((unsigned int)sim_run(s, &cmd, &cpl), IOPF_SIM_ST_OK, "%s copy completes", what);
	tap_is(write_differs(b, &cmd), 0, "%s copy moves exactly the words it names", what);
}

static void check_order(struct simdev *s, const struct simbuf *b, const struct simbuf *src,
			unsigned int order, uint32_t size, uint64_t stride, const char *rings)
{
	/* Start after the first page, to notice a base that is left out. */
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 4096, LEN - 8192, SEED);
	char what[96];

	sim_cmd_order(&cmd, order, size, stride, 42);
	/* Single words take the simulator longest: a few thousand of them do. */
	if (cmd.count > 4096)
		cmd.count = 4096;
	snprintf(what, sizeof(what), "%s, %s by %u:", rings, order_name(order), size);
	check_write(s, b, cmd, what);
	check_verify(s, b, cmd, what);
	check_checksum(s, b, cmd, what);
	check_copy(s, b, src, cmd, what);
}

static void check_all(struct simdev *s, const struct simbuf *b, const struct simbuf *src,
		      const char *rings)
{
	struct iopf_sim_cmd nop = sim_cmd_nop(0xabcdef);
	struct iopf_sim_cpl cpl;

	tap_is((unsigned int)sim_run(s, &nop, &cpl), IOPF_SIM_ST_OK, "%s: nop", rings);
	tap_is(cpl.cookie, 0xabcdef, "%s: the cookie comes back", rings);
	check_order(s, b, src, IOPF_SIM_ORDER_SEQUENTIAL, 4096, 4096, rings);
	check_order(s, b, src, IOPF_SIM_ORDER_SEQUENTIAL, 8, 8, rings);
	check_order(s, b, src, IOPF_SIM_ORDER_STRIDED, 64, 4096 + 64, rings);
	/* Accesses across page boundaries. */
	check_order(s, b, src, IOPF_SIM_ORDER_STRIDED, 4096, 6152, rings);
	check_order(s, b, src, IOPF_SIM_ORDER_RANDOM, 256, 256, rings);
	check_order(s, b, src, IOPF_SIM_ORDER_RANDOM, 8192, 8192, rings);
}

int main(void)
{
	struct simbuf src = { .iova = RIG_IOVA + 2 * LEN, .len = LEN };
	struct simbuf ring = { .iova = 0x40000000, .len = 64 * 1024 };
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct sim_rings rings = { .sq_entries = 64, .cq_entries = 128 };
	struct rig r;

	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	b.va = mem_anon(b.len);
	src.va = mem_anon(src.len);
	ring.va = mem_anon(ring.len);
	rig_map(&r, &b);
	rig_map(&r, &src);
	rig_map(&r, &ring);

	check_all(&r.sim[0], &b, &src, "BAR rings");

	must(sim_down(&r.sim[0]));
	rings.sq = (struct simbuf){ ring.va, ring.iova, 64 * sizeof(struct iopf_sim_cmd) };
	rings.cq = (struct simbuf){ (char *)ring.va + 32768, ring.iova + 32768,
				    128 * sizeof(struct iopf_sim_cpl) };
	tap_errno_is(sim_up(&r.sim[0], &r.vfio[0], &rings), 0, "comes up with rings in memory");
	check_all(&r.sim[0], &b, &src, "host rings");

	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
