// SPDX-License-Identifier: GPL-2.0-only
/*
 * An IOMMU group of two devices. They join and leave together, share a domain, and fault
 * separately. One device faults by page requests, the other stalls. A third device has its own
 * group. The devices share the properties of the group (backend, permission to fault), but not
 * those of a device (faults, reset, counters).
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dma.h"
#include "latency.h"
#include "provider.h"
#include "rig.h"

#define LEN	(2 * MiB)
#define PAGES	(LEN / MEM_PAGE)
#define SIM	"devices=3 stall=0x2 iommu.group=0x3"
/* The group of two, and the third device. */
#define PAIR	2
#define OTHER	2

static uint64_t faults(unsigned int n)
{
	return iopf_count(rig_bdf(n), "faults");
}

/* Open the devices of the group, and perhaps the third, in one container. */
static void open_pair(struct rig *r, bool other)
{
	unsigned int i;

	rig_open(r, 1, VFIO_TYPE1v2_IOMMU);
	/* The group is open already. */
	r->vfio[1] = (struct vfio_dev){
		.container = &r->c,
		.group_fd = must_sys(dup(r->vfio[0].group_fd)),
		.fd = -1,
	};
	snprintf(r->vfio[1].bdf, VFIO_BDF_LEN, "%s", rig_bdf(1));
	must(vfio_dev_get(&r->vfio[1]));
	if (other)
		must(vfio_dev_open(&r->vfio[OTHER], &r->c, rig_bdf(OTHER), VFIO_TYPE1v2_IOMMU));
	r->devices = PAIR + other;
	for (i = 1; i < r->devices; i++)
		must(sim_up(&r->sim[i], &r->vfio[i], NULL));
}

static void drop(const struct simbuf *b)
{
	mem_drop(b->va, b->len);
	memset(b->va, 1, b->len);
}

/* Each device faults, and accesses the pages that the other has faulted in. */
static void check_faults(struct rig *r, const struct simbuf *b)
{
	uint64_t was[PAIR];
	unsigned int i, one;

	for (one = 0; one < PAIR; one++) {
		drop(b);
		for (i = 0; i < PAIR; i++)
			was[i] = faults(i);
		must_be(sim_touch(&r->sim[one], b, 0, LEN, NULL) == IOPF_SIM_ST_OK);
		tap_is(faults(one) - was[one], PAGES, "device %u faults on each page", one);
		tap_is(faults(!one), was[!one], "device %u has no fault", !one);
		must_be(sim_touch(&r->sim[!one], b, 0, LEN, NULL) == IOPF_SIM_ST_OK);
		tap_is(faults(!one), was[!one], "nor does it fault: the domain is shared");
		tap_is(latency_counted(latency_device(one), faults(one)), faults(one),
		       "device %u: each is measured as its own", one);
	}
	rig_both_ways(&r->sim[0], b, 1, "the first");
	rig_both_ways(&r->sim[1], b, 3, "the second");
}

/* Both at once, while memory is dropped. */
static void check_at_once(struct rig *r, const struct simbuf *b)
{
	struct simbuf half[PAIR] = {
		{ b->va, b->iova, LEN / 2 },
		{ (char *)b->va + LEN / 2, b->iova + LEN / 2, LEN / 2 },
	};
	struct dma dma[PAIR];
	uint64_t was[PAIR];
	unsigned int i, j;

	for (i = 0; i < PAIR; i++) {
		was[i] = faults(i);
		simbuf_fill(&half[i], 0, half[i].len, 10 + i);
		dma_start_both(&dma[i], &r->sim[i], &half[i], 10 + i);
	}
	for (j = 0; j < 10; j++) {
		mem_drop(b->va, LEN);
		for (i = 0; i < PAIR; i++)
			dma_wait_rounds(&dma[i], 1);
	}
	for (i = 0; i < PAIR; i++) {
		tap_is(dma_stop(&dma[i]), 0, "both at once: device %u", i);
		dma_describe(&dma[i]);
		tap_ok(faults(i) > was[i], "device %u has faulted", i);
	}
}

/* A device waits for memory, and is reset: its group and the other device continue. */
static void check_reset(struct rig *r, const struct simbuf *b)
{
	struct simbuf held = { mem_anon(4 * MEM_PAGE), RIG_IOVA + 64 * MiB, 4 * MEM_PAGE };
	unsigned int one;

	for (one = 0; one < PAIR; one++) {
		struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_VERIFY, &held, 0, held.len, 20);
		uint64_t slow = iopf_count(rig_bdf(one), "parked");
		unsigned int spins = 0;
		struct provider p;

		mem_drop(held.va, held.len);
		provider_open(&p, &held, 20);
		provider_start(&p, true);
		rig_map(r, &held);
		sim_start(&r->sim[one], &cmd);
		while (iopf_count(rig_bdf(one), "parked") == slow)
			sim_nap(&spins);
		rig_both_ways(&r->sim[!one], b, 21, "one waits, the other works");
		tap_errno_is(vfio_reset(&r->vfio[one]), 0, "device %u is reset", one);
		rig_both_ways(&r->sim[!one], b, 23, "one is reset, the other works");
		must(vfio_bus_master(&r->vfio[one], true));
		must(sim_up(&r->sim[one], &r->vfio[one], NULL));
		provider_release(&p);
		rig_status_is(sim_verify(&r->sim[one], &held, 0, held.len, 20, NULL),
			      IOPF_SIM_ST_OK, "device %u has its memory", one);
		rig_unmap(r, &held);
		provider_stop(&p);
	}
	mem_unmap(held.va, held.len);
}

/* A device may not fault any more: memory is pinned until both devices may fault. */
static void check_enable(struct rig *r, const struct simbuf *b)
{
	unsigned int one;

	for (one = 0; one < PAIR; one++) {
		uint64_t was = faults(0) + faults(1);

		drop(b);
		tap_errno_is(iopf_enable(rig_bdf(one), false), 0, "device %u is switched off", one);
		tap_is(mem_status_kb(0, "VmLck") * 1024, LEN, "all is pinned");
		rig_both_ways(&r->sim[0], b, 30, "pinned: the first");
		rig_both_ways(&r->sim[1], b, 32, "pinned: the second");
		tap_is(faults(0) + faults(1), was, "neither has faulted");
		tap_errno_is(iopf_enable(rig_bdf(one), true), 0, "it is enabled");
		tap_is(mem_status_kb(0, "VmLck"), 0, "nothing is pinned");
		drop(b);
		rig_both_ways(&r->sim[one], b, 34, "it faults again");
		tap_ok(faults(0) + faults(1) > was, "it sends page requests");
	}
}

/* The group leaves a container while a device waits, and joins again. The container stays. */
static void check_leave(struct rig *r, const struct simbuf *b)
{
	struct simbuf held = { mem_anon(4 * MEM_PAGE), RIG_IOVA + 64 * MiB, 4 * MEM_PAGE };
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_VERIFY, &held, 0, held.len, 40);
	uint64_t slow = iopf_count(rig_bdf(1), "parked");
	unsigned int i, spins = 0;
	struct provider p;

	provider_open(&p, &held, 40);
	provider_start(&p, true);
	rig_map(r, &held);
	sim_start(&r->sim[1], &cmd);
	while (iopf_count(rig_bdf(1), "parked") == slow)
		sim_nap(&spins);
	for (i = 0; i < PAIR; i++)
		vfio_dev_put(&r->vfio[i]);
	tap_errno_is(vfio_dev_detach(&r->vfio[0]), 0, "the group leaves");
	drop(b);
	rig_both_ways(&r->sim[OTHER], b, 41, "the third device goes on");
	must(vfio_group_join(r->vfio[0].group_fd, &r->c, VFIO_TYPE1v2_IOMMU));
	provider_release(&p);
	for (i = 0; i < PAIR; i++) {
		must(vfio_dev_get(&r->vfio[i]));
		must(sim_up(&r->sim[i], &r->vfio[i], NULL));
		rig_status_is(sim_verify(&r->sim[i], &held, 0, held.len, 40, NULL),
			      IOPF_SIM_ST_OK, "device %u is back", i);
	}
	rig_both_ways(&r->sim[0], b, 42, "back: the first");
	rig_both_ways(&r->sim[1], b, 44, "back: the second");
	rig_unmap(r, &held);
	provider_stop(&p);
	mem_unmap(held.va, held.len);
}

/* The backend serves a group only if all its devices may fault. */
static void check_served(const struct simbuf *b)
{
	unsigned int i, one;
	struct rig r;

	for (one = 0; one < PAIR; one++) {
		char ids[64];

		snprintf(ids, sizeof(ids), "ids=%s,%s", rig_bdf(one), rig_bdf(OTHER));
		rig_load(SIM, ids);
		must(vfio_container_open(&r.c));
		must(vfio_dev_open(&r.vfio[0], &r.c, rig_bdf(one), VFIO_TYPE1v2_IOMMU));
		must(sim_up(&r.sim[0], &r.vfio[0], NULL));
		r.devices = 1;
		rig_map(&r, b);
		tap_ok(strstr(iopf_text(rig_bdf(one), "backend"), "type1"),
		       "only device %u may fault: stock type1 serves both", one);
		for (i = 0; i < PAIR; i++)
			tap_diag("device %u: %s", i, iopf_text(rig_bdf(i), "reason"));
		rig_both_ways(&r.sim[0], b, 50, "and well");
		rig_unmap(&r, b);
		rig_close(&r);
	}
}

/* Impossible groups. */
static void check_parameter(void)
{
	must(rig_unload_soon());
	kmsg_mark();
	tap_ok(system("insmod /iopf/modules/iopf_sim_iommu.ko second=0x2 group=0x3 2>/dev/null") &&
	       kmsg_count("group=0x3"), "a group behind two kinds is refused, and the log says so");
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct rig r;
	int fd;

	rig_backend_only();
	/* A memfd: pages that are unmapped stay in the file. */
	b.va = mem_memfd(LEN, &fd);
	rig_load(SIM, "latency_sampling=1 fault_around=0");
	tap_is(vfio_group_id(rig_bdf(0)), vfio_group_id(rig_bdf(1)), "devices 0 and 1 are a group");
	tap_ok(vfio_group_id(rig_bdf(0)) != vfio_group_id(rig_bdf(OTHER)), "the third is not");
	open_pair(&r, false);
	for (unsigned int i = 0; i < PAIR; i++)
		rig_served_right(rig_bdf(i));
	rig_map(&r, &b);
	check_faults(&r, &b);
	check_at_once(&r, &b);
	check_reset(&r, &b);
	check_enable(&r, &b);
	rig_end(&r);

	open_pair(&r, true);
	rig_map(&r, &b);
	check_leave(&r, &b);
	rig_end(&r);
	check_served(&b);
	check_parameter();
	return tap_done();
}
