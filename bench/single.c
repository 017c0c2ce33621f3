// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cost of one fault on one page, in an idle machine: see dma.h.
 *
 * Two pages in each 2 MiB block of a large anonymous mapping are populated: the first before the
 * device faults on it, and the second after that. So no fault maps another page, and fault-around
 * finds nothing to map. The first fault of a block includes the backend's bookkeeping of the block;
 * the second does not. In another mapping no page is populated, so the first fault of a block
 * includes the allocation of memory and of the CPU's page table.
 *
 * There are two figures: the time from report to response, which the device measures; and the busy
 * time of the whole machine for such a command, minus that of the same command with a mapped page.
 */
#include <stdio.h>
#include <string.h>

#include "busy.h"
#include "dma.h"
#include "figures.h"
#include "phase.h"
#include "sample.h"

#define SINGLE_BLOCKS	64u
#define SINGLE_SPAN_MS	20
#define SINGLE_SECOND	(MEM_HUGE / 2)

static struct sample fault, host;

static void single_run(struct simdev *s, const struct iopf_sim_cmd *cmd, bool faults)
{
	struct iopf_sim_cpl cpl;
	uint64_t busy = busy_run(s, cmd, SINGLE_SPAN_MS, &cpl);

	if (cpl.faults != faults)
		tap_bail("single fault: %llu faults", (unsigned long long)cpl.faults);
	if (faults)
		sample_add(&fault, cpl.fault_ns);
	sample_add(&host, busy);
}

/* Access the page at @off of each block. If @present, populate the page right before its access. */
static void single_round(struct rig *r, const struct simbuf *b, unsigned int opcode, size_t off,
			 const char *side, const char *key, bool present, bool faults)
{
	char name[64], base[64];

	snprintf(base, sizeof(base), "%.*s_hot", (int)strcspn(key, "_"), key);
	phase_next(key, faults ? base : "-", SINGLE_BLOCKS, faults ? "fault" : "command");
	for (unsigned int i = 0; i < SINGLE_BLOCKS; i++) {
		/* Access absent pages out of order, so that they are not prefetched. */
		size_t at = (present ? i : i ^ i >> 1) * MEM_HUGE + off;
		struct iopf_sim_cmd cmd = sim_cmd(opcode, b, at, MEM_PAGE, 1);

		cmd.size = 8;
		cmd.count = 1;
		if (present)
			*((volatile char *)b->va + at) = 1;
		single_run(&r->sim[0], &cmd, faults);
	}
	if (faults) {
		snprintf(name, sizeof(name), "single_%s", key);
		sample_figures(&fault, side, name);
	}
	snprintf(name, sizeof(name), "single_%s_host", key);
	sample_figures(&host, side, name);
}

static void single_opcode(struct rig *r, const char *side, unsigned int opcode, const char *name)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = SINGLE_BLOCKS * MEM_HUGE };
	char key[32];

	b.va = mem_anon(b.len);
	must(vfio_map(&r->c, b.va, b.iova, b.len));
	snprintf(key, sizeof(key), "%s_first", name);
	single_round(r, &b, opcode, 0, side, key, true, true);
	snprintf(key, sizeof(key), "%s_second", name);
	single_round(r, &b, opcode, SINGLE_SECOND, side, key, true, true);
	snprintf(key, sizeof(key), "%s_hot", name);
	single_round(r, &b, opcode, SINGLE_SECOND, side, key, true, false);
	must(vfio_unmap(&r->c, b.iova, b.len));
	mem_unmap(b.va, b.len);
}

static void single_absent(struct rig *r, const char *side)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = SINGLE_BLOCKS * MEM_HUGE };

	b.va = mem_anon(b.len);
	must(vfio_map(&r->c, b.va, b.iova, b.len));
	single_round(r, &b, IOPF_SIM_OP_WRITE, 0, side, "write_absent", false, true);
	must(vfio_unmap(&r->c, b.iova, b.len));
	mem_unmap(b.va, b.len);
}

void single_costs(struct rig *r, const char *side)
{
	printf("%s: single faults\n", side);
	single_opcode(r, side, IOPF_SIM_OP_WRITE, "write");
	single_opcode(r, side, IOPF_SIM_OP_READ, "read");
	single_absent(r, side);
}
