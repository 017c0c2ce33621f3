// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hundreds of faults wait for memory that is provided in one piece. A worker whose own page is
 * there also answers the other faults. Each group gets one answer, also if the device leaves at
 * that moment.
 *
 * vm: --mem 1024 --cpus 2
 */
#include <pthread.h>
#include <sched.h>

#include "provider.h"
#include "rig.h"
#include "uffd.h"

#define ENGINES	8
#define GROUPS	(ENGINES * IOPF_SIM_MAX_PRG)
#define LEN	(GROUPS * MEM_PAGE)
#define SEED	100
#define ROUNDS	20

/* The memory that the faults wait for, and its provider. */
struct piece {
	struct provider p;
	struct simbuf b;
	struct simbuf src;
	size_t first;
	pthread_t thread;
};

static uint64_t count(const char *name)
{
	return iopf_count(rig_bdf(0), name);
}

static void piece_start(struct piece *o, struct rig *r)
{
	uint64_t parked = count("parked");
	unsigned int i, spins = 0;

	o->b = (struct simbuf){ mem_anon(LEN), RIG_IOVA, LEN };
	o->src = (struct simbuf){ .va = mem_anon(LEN), .len = LEN };
	simbuf_fill(&o->src, 0, LEN, SEED);
	provider_open(&o->p, &o->b, SEED);
	rig_map(r, &o->b);
	for (i = 0; i < ENGINES; i++) {
		struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_VERIFY, &o->b, i * (LEN / ENGINES),
						  LEN / ENGINES, SEED);

		cmd.prg_depth = IOPF_SIM_MAX_PRG;
		must(sim_submit(&r->sim[0], &cmd));
	}
	sim_ring(&r->sim[0]);
	while (count("parked") - parked < GROUPS)
		sim_nap(&spins);
}

static void *piece_copy(void *arg)
{
	struct piece *o = arg;

	must(uffd_give(o->p.uffd, (uintptr_t)o->b.va + o->first, (char *)o->src.va + o->first,
		       LEN - o->first));
	return NULL;
}

static void piece_end(struct piece *o)
{
	provider_stop(&o->p);
	mem_unmap(o->b.va, LEN);
	mem_unmap(o->src.va, LEN);
}

static void check_all(struct rig *r)
{
	uint64_t unexpected = sim_count(rig_bdf(0), "responses_unexpected");
	uint64_t success = sim_count(rig_bdf(0), "responses_success");
	uint64_t coalesced = count("coalesced");
	struct piece o = { .first = 0 };
	struct iopf_sim_cpl cpl;
	unsigned int i, bad = 0;

	piece_start(&o, r);
	tap_is(count("coalesced") - coalesced, 0, "no fault is answered before its page is there");
	piece_copy(&o);
	for (i = 0; i < ENGINES; i++) {
		sim_wait(&r->sim[0], &cpl);
		bad += cpl.status != IOPF_SIM_ST_OK;
	}
	tap_is(bad, 0, "all data is right");
	tap_is(sim_count(rig_bdf(0), "responses_success") - success, GROUPS,
	       "each group is answered");
	tap_is(sim_count(rig_bdf(0), "responses_unexpected") - unexpected, 0,
	       "no group is answered twice");
	coalesced = count("coalesced") - coalesced;
	tap_ok(coalesced > GROUPS / 4, "many are answered by a worker of another fault: %llu",
	       (unsigned long long)coalesced);
	rig_same(&o.b, SEED, "the CPU sees the same");
	rig_unmap(r, &o.b);
	piece_end(&o);
}

/* The second half comes in one piece. The faults of the first half go on waiting. */
static void check_half(struct rig *r)
{
	struct piece o = { .first = LEN / 2 };
	struct iopf_sim_cpl cpl;
	unsigned int i, bad = 0;

	piece_start(&o, r);
	piece_copy(&o);
	o.first = 0;
	provider_start(&o.p, false);
	for (i = 0; i < ENGINES; i++) {
		sim_wait(&r->sim[0], &cpl);
		bad += cpl.status != IOPF_SIM_ST_OK;
	}
	tap_is(bad, 0, "half in one piece, half page by page: all data is right");
	rig_unmap(r, &o.b);
	piece_end(&o);
}

/* The memory comes while the device leaves. */
static void check_detach(struct rig *r)
{
	uint64_t before = 0, after = 0;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct piece o = { .first = 0 };

		before = count("faults");
		piece_start(&o, r);
		must_be(!pthread_create(&o.thread, NULL, piece_copy, &o));
		if (i % 4)
			sched_yield();
		vfio_dev_put(&r->vfio[0]);
		must(vfio_dev_detach(&r->vfio[0]));
		after = count("faults");
		must_be(!pthread_join(o.thread, NULL));
		if (after - before != GROUPS)
			break;
		rig_close(r);
		piece_end(&o);
		rig_open(r, 1, VFIO_TYPE1v2_IOMMU);
	}
	tap_is(after - before, GROUPS, "the device leaves: each group was answered");
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_load("devices=1 engines=8", "");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	check_all(&r);
	check_half(&r);
	check_detach(&r);
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
