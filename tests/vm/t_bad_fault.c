// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page requests that must fail: outside every range, without the permission of the range, for
 * memory that the process does not have. The backend answers each of them INVALID. It never
 * answers FAILURE, which would disable the device's PRI. It counts them, logs them at a limited
 * rate, and no other device is disturbed.
 *
 * vm: --mem 1024
 */
#include <sys/mman.h>

#include "dma.h"
#include "rig.h"

#define LEN	(2 * MiB)
#define ROUNDS	300

static void check_outside(struct rig *r, const struct simbuf *b)
{
	static const int64_t off[] = { -8, LEN, LEN * 512, -(int64_t)RIG_IOVA };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(off); i++) {
		struct simbuf there = { NULL, b->iova + (uint64_t)off[i], 4096 };
		struct iopf_sim_cpl cpl;

		rig_status_is(sim_read(&r->sim[0], &there, 0, 8, &cpl), IOPF_SIM_ST_INVALID,
			      "read at 0x%llx", (unsigned long long)there.iova);
		tap_is(cpl.result, there.iova, "the completion has the address");
		rig_status_is(sim_write(&r->sim[0], &there, 0, 8, 1, NULL), IOPF_SIM_ST_INVALID,
			      "write at 0x%llx", (unsigned long long)there.iova);
	}
	rig_both_ways(&r->sim[0], b, 1, "after that");
}

/* Half of a command's range is mapped: that half is done. */
static void check_half(struct rig *r, const struct simbuf *b)
{
	struct simbuf wide = { b->va, b->iova, 2 * LEN };
	struct iopf_sim_cpl cpl;

	rig_status_is(sim_write(&r->sim[0], &wide, 0, 2 * LEN, 3, &cpl), IOPF_SIM_ST_INVALID,
		      "write over the end");
	tap_is(cpl.result, b->iova + LEN, "the access stops at the end");
	rig_same(b, 3, "the part inside was written");
}

static void check_memory(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA + 8 * LEN, LEN };
	struct simbuf text = { NULL, RIG_IOVA + 9 * LEN, LEN };

	/* Mapped, then unmapped by the process. */
	rig_map(r, &b);
	mem_unmap(b.va, LEN);
	rig_status_is(sim_write(&r->sim[0], &b, 0, LEN, 4, NULL), IOPF_SIM_ST_INVALID,
		      "memory the process does not have: write");
	rig_status_is(sim_read(&r->sim[0], &b, 0, LEN, NULL), IOPF_SIM_ST_INVALID,
		      "memory the process does not have: read");
	rig_unmap(r, &b);

	/* Mapped for reading and writing, then the process itself may only read. */
	text.va = mem_anon(LEN);
	rig_map(r, &text);
	must_sys(mprotect(text.va, LEN, PROT_READ));
	rig_status_is(sim_read(&r->sim[0], &text, 0, LEN, NULL), IOPF_SIM_ST_OK,
		      "memory the process may only read: read");
	rig_status_is(sim_write(&r->sim[0], &text, 0, LEN, 5, NULL), IOPF_SIM_ST_INVALID,
		      "memory the process may only read: write");
	rig_unmap(r, &text);
	mem_unmap(text.va, LEN);
}

static void check_counted(struct rig *r)
{
	struct simbuf there = { NULL, RIG_IOVA + LEN * 100, 4096 };
	uint64_t invalid = iopf_count(r->vfio[0].bdf, "responses_invalid");
	uint64_t answers = sim_count(r->vfio[0].bdf, "responses_invalid");
	unsigned int i, wrong = 0, lines;

	for (i = 0; i < ROUNDS; i++)
		wrong += sim_read(&r->sim[0], &there, 0, 8, NULL) != IOPF_SIM_ST_INVALID;
	tap_is(wrong, 0, "%u bad requests are answered INVALID", ROUNDS);
	tap_is(iopf_count(r->vfio[0].bdf, "responses_invalid") - invalid, ROUNDS,
	       "sysfs counts them");
	tap_is(sim_count(r->vfio[0].bdf, "responses_invalid") - answers, ROUNDS,
	       "the device got the same number of responses");
	/* Since the start of the test: the first ones may have used up the limit. */
	lines = kmsg_count(r->vfio[0].bdf);
	tap_ok(lines >= 1, "the log says it");
	tap_ok(lines <= ROUNDS / 4, "at a limited rate: %u lines", lines);
	tap_is(sim_count(r->vfio[0].bdf, "responses_failure"), 0, "nothing was answered FAILURE");
}

/* The misbehaving device has no effect on the other one, in the same container. */
static void check_other(struct rig *r, const struct simbuf *b)
{
	struct simbuf there = { NULL, RIG_IOVA + LEN * 100, LEN };
	struct iopf_sim_cmd bad = sim_cmd(IOPF_SIM_OP_WRITE, &there, 0, LEN, 6);
	struct dma mad, sane;

	dma_start(&mad, &r->sim[0], &bad, 1);
	dma_start_both(&sane, &r->sim[1], b, 7);
	dma_wait_rounds(&mad, 50);
	dma_wait_rounds(&sane, 3);
	dma_stop(&mad);
	tap_is(mad.status[IOPF_SIM_ST_INVALID], mad.rounds, "one device asks for nonsense");
	tap_is(dma_stop(&sane), 0, "the other is not disturbed");
	rig_both_ways(&r->sim[0], b, 8, "the first one with good requests");
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct rig r;

	rig_backend_only();
	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	kmsg_mark();
	b.va = mem_anon(LEN);
	rig_map(&r, &b);
	check_outside(&r, &b);
	check_half(&r, &b);
	check_memory(&r);
	check_counted(&r);
	check_other(&r, &b);
	rig_unmap(&r, &b);
	rig_clean(&r);
	rig_balanced();
	rig_close(&r);
	return tap_done();
}
