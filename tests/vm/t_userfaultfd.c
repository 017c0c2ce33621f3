// SPDX-License-Identifier: GPL-2.0-only
/*
 * userfaultfd: the device faults on a missing page, and a thread of the process provides the page.
 * Post-copy migration and lazy restore depend on this.
 *
 * vm: --mem 1024
 * also: no5lvl pti numa
 */
#include <sys/mman.h>
#include <unistd.h>

#include "provider.h"
#include "rig.h"

#define LEN	(4 * MiB)
#define SEED	1

static void check_kind(struct rig *r, void *va, const char *kind)
{
	struct simbuf b = { va, RIG_IOVA, LEN };
	struct iopf_sim_cmd cmd;
	struct provider p;

	tap_diag("%s", kind);
	provider_open(&p, &b, SEED);
	rig_map(r, &b);
	provider_start(&p, false);

	rig_status_is(sim_verify(&r->sim[0], &b, 0, LEN / 2, SEED, NULL), IOPF_SIM_ST_OK,
		      "the device reads the data of the thread");
	tap_is(provider_provided(&p, LEN / 2 / MEM_PAGE), LEN / 2 / MEM_PAGE,
	       "each page was provided once");

	cmd = sim_cmd(IOPF_SIM_OP_WRITE, &b, LEN / 2, LEN / 2, SEED + 1);
	cmd.prg_depth = 8;
	rig_status_is(sim_run(&r->sim[0], &cmd, NULL), IOPF_SIM_ST_OK,
		      "the device overwrites the data of the thread, 8 groups deep");
	tap_is(provider_provided(&p, LEN / MEM_PAGE), LEN / MEM_PAGE,
	       "each page was provided once");
	tap_is(simbuf_differs(&b, 0, LEN / 2, SEED) +
	       simbuf_differs(&b, LEN / 2, LEN / 2, SEED + 1), 0, "every byte is right");

	provider_stop(&p);
	rig_both_ways(&r->sim[0], &b, 3, "after userfaultfd");
	rig_unmap(r, &b);
	mem_unmap(va, LEN);
}

/* While a page is not provided nobody else waits: other memory, other devices, reset, unmap. */
static void check_held(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct simbuf other = { mem_anon(LEN), RIG_IOVA + LEN, LEN };
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_VERIFY, &b, 0, LEN, SEED);
	uint64_t groups = sim_count(r->vfio[0].bdf, "groups");
	unsigned int spins = 0;
	struct iopf_sim_cpl cpl;
	struct provider p;

	provider_open(&p, &b, SEED);
	rig_map(r, &b);
	rig_map(r, &other);
	provider_start(&p, true);
	sim_start(&r->sim[0], &cmd);
	while (sim_count(r->vfio[0].bdf, "groups") == groups)
		sim_nap(&spins);
	rig_both_ways(&r->sim[1], &other, 5, "another device works meanwhile");
	rig_unmap(r, &other);
	tap_ok(!sim_poll(&r->sim[0], &cpl), "the first one still waits");
	provider_release(&p);
	sim_wait(&r->sim[0], &cpl);
	rig_status_is(cpl.status, IOPF_SIM_ST_OK, "it gets its page at the end");

	/* Reset and unmap while the page is held back: neither may wait for it. */
	must_sys(madvise(b.va, LEN, MADV_DONTNEED));
	provider_hold(&p);
	groups = sim_count(r->vfio[0].bdf, "groups");
	sim_start(&r->sim[0], &cmd);
	spins = 0;
	while (sim_count(r->vfio[0].bdf, "groups") == groups)
		sim_nap(&spins);
	tap_errno_is(vfio_reset(&r->vfio[0]), 0, "reset does not wait for user space");
	tap_errno_is(vfio_unmap(&r->c, b.iova, LEN), 0, "unmapping does not wait");
	provider_stop(&p);
	must(vfio_bus_master(&r->vfio[0], true));
	must(sim_up(&r->sim[0], &r->vfio[0], NULL));
	rig_map(r, &b);
	rig_both_ways(&r->sim[0], &b, 7, "and again");
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
	mem_unmap(other.va, LEN);
}

/* Detach while a page is never provided: the device is closed, and the process can exit. */
static void check_detach(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_VERIFY, &b, 0, LEN, SEED);
	uint64_t groups = sim_count(r->vfio[0].bdf, "groups");
	unsigned int spins = 0;
	struct provider p;

	provider_open(&p, &b, SEED);
	rig_map(r, &b);
	sim_start(&r->sim[0], &cmd);
	while (sim_count(r->vfio[0].bdf, "groups") == groups)
		sim_nap(&spins);
	vfio_dev_put(&r->vfio[0]);
	tap_errno_is(vfio_dev_detach(&r->vfio[0]), 0, "detach does not wait for user space");
	rig_close(r);
	rig_balanced();
	close(p.uffd);
	mem_unmap(b.va, LEN);
}

int main(void)
{
	struct rig r;
	int fd;

	rig_backend_only();
	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	check_kind(&r, mem_anon(LEN), "anonymous");
	check_kind(&r, mem_memfd(LEN, &fd), "shmem");
	check_held(&r);
	rig_clean(&r);
	check_detach(&r);
	return tap_done();
}
