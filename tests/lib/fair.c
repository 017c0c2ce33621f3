// SPDX-License-Identifier: GPL-2.0-only
/*
 * Floods: see fair.h.
 */
#include "fair.h"

#define SEED		100
/* Addresses of the flood's memory and of the other device's, beyond the buffers of the test. */
#define FLOOD_IOVA	(RIG_IOVA + (1ull << 32))
#define OTHER_IOVA	(RIG_IOVA + (2ull << 32))
#define OTHER_LEN	(16 * MEM_PAGE)
/* A long time. The test waits for all of it if the other device starves, as in the control. */
#define STARVED_SECONDS	30

static uint64_t parked(const struct flood *f)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < f->devices; i++)
		sum += iopf_count(f->r->vfio[i].bdf, "parked");
	return sum;
}

void flood_start(struct flood *f, struct rig *r, unsigned int devices)
{
	size_t part = FLOOD_LEN / 8;
	unsigned int i, j, spins = 0;
	uint64_t before;

	must_be(devices <= FLOOD_MAX);
	f->r = r;
	f->devices = devices;
	f->b = (struct simbuf){ mem_anon(devices * FLOOD_LEN), FLOOD_IOVA, devices * FLOOD_LEN };
	provider_open(&f->p, &f->b, SEED);
	provider_start(&f->p, true);
	rig_map(r, &f->b);
	before = parked(f);
	for (i = 0; i < devices; i++) {
		must_be(r->sim[i].engines == 8);
		f->success[i] = sim_count(r->vfio[i].bdf, "responses_success");
		f->unexpected[i] = sim_count(r->vfio[i].bdf, "responses_unexpected");
		for (j = 0; j < 8; j++) {
			struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_VERIFY, &f->b,
							  i * FLOOD_LEN + j * part, part, SEED);

			cmd.prg_depth = IOPF_SIM_MAX_PRG;
			must(sim_submit(&r->sim[i], &cmd));
		}
		sim_ring(&r->sim[i]);
	}
	/* The runner notices a hang. */
	while (parked(f) - before < devices * FLOOD_GROUPS)
		sim_nap(&spins);
	tap_diag("%llu faults wait", (unsigned long long)(parked(f) - before));
}

void flood_waits(struct flood *f)
{
	uint64_t answered = 0;
	struct iopf_sim_cpl cpl;
	unsigned int i, done = 0;

	for (i = 0; i < f->devices; i++) {
		answered += sim_count(f->r->vfio[i].bdf, "responses_success") - f->success[i];
		done += (unsigned int)sim_poll(&f->r->sim[i], &cpl);
	}
	tap_ok(!answered && !done, "meanwhile the flood waits");
}

void flood_end(struct flood *f)
{
	uint64_t answered = 0, unexpected = 0;
	unsigned int i, j, bad = 0;
	struct iopf_sim_cpl cpl;

	provider_release(&f->p);
	for (i = 0; i < f->devices; i++) {
		const char *bdf = f->r->vfio[i].bdf;

		for (j = 0; j < 8; j++) {
			sim_wait(&f->r->sim[i], &cpl);
			bad += cpl.status != IOPF_SIM_ST_OK;
		}
		answered += sim_count(bdf, "responses_success") - f->success[i];
		unexpected += sim_count(bdf, "responses_unexpected") - f->unexpected[i];
	}
	tap_is(bad, 0, "then the flood gets its memory, and all of it is right");
	tap_is(answered, f->devices * FLOOD_GROUPS, "each of its groups was answered");
	tap_is(unexpected, 0, "and once");
	tap_is(provider_provided(&f->p, f->devices * FLOOD_GROUPS), f->devices * FLOOD_GROUPS,
	       "each of its pages was provided once");
	rig_same(&f->b, SEED, "the CPU sees the same");
	rig_unmap(f->r, &f->b);
	flood_stop(f);
}

void flood_stop(struct flood *f)
{
	provider_stop(&f->p);
	mem_unmap(f->b.va, f->b.len);
}

void fair_check(struct rig *r)
{
	struct simbuf b = { mem_anon(OTHER_LEN), OTHER_IOVA, OTHER_LEN };
	struct simdev *other = &r->sim[r->devices - 1];
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_VERIFY, &b, 0, b.len, SEED + 1);
	uint64_t slow = iopf_count(other->vfio->bdf, "parked");
	struct iopf_sim_cpl cpl;
	struct provider p;
	struct flood f;
	int err;

	provider_open(&p, &b, SEED + 1);
	provider_start(&p, false);
	rig_map(r, &b);
	flood_start(&f, r, r->devices - 1);
	sim_start(other, &cmd);
	err = sim_wait_for(other, &cpl, STARVED_SECONDS);
	tap_errno_is(err, 0, "the other device is served");
	flood_waits(&f);
	flood_end(&f);
	if (err)
		sim_wait(other, &cpl);
	rig_status_is(cpl.status, IOPF_SIM_ST_OK, "the other device has its memory");
	tap_is(iopf_count(other->vfio->bdf, "parked") - slow, b.len / MEM_PAGE,
	       "all its faults needed a worker");
	rig_unmap(r, &b);
	provider_stop(&p);
	mem_unmap(b.va, b.len);
}
