// SPDX-License-Identifier: GPL-2.0-only
/*
 * Large numbers of all that user space can make the backend keep: policies, areas, locks, and pins
 * of emulated devices. The test makes them in ascending, descending and random order of addresses,
 * and removes them one by one or all at once.
 *
 * vm: --mem 1024
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mdev.h"
#include "policy.h"
#include "rig.h"

#define SOME		4000u	/* enough for a tree of several levels */
#define MORE		20000u
#define LESS		6000u	/* in place of each larger number, on the debug kernel */
#define AREAS		65535u	/* dma_entry_limit */
#define LOCKS		VFIO_IOPF_LOCKS_MAX
#define LOCKS_LESS	(LOCKS / 4)	/* on the debug kernel */
#define PINS		16384u
#define PINS_AT_ONCE	512u

enum order { ASCENDING, DESCENDING, RANDOM, ORDERS };

static const char * const order_name[] = { "ascending", "descending", "random" };

static unsigned int nth[AREAS];

/* So many, or less where each takes nine times longer. */
static unsigned int many(unsigned int n)
{
	return rig_debug_kernel() && n > LESS ? LESS : n;
}

/* The numbers below @n, in an order. */
static const unsigned int *in_order(enum order by, unsigned int n)
{
	unsigned int seed = 1;

	for (unsigned int i = 0; i < n; i++)
		nth[i] = by == DESCENDING ? n - 1 - i : i;
	for (unsigned int i = n - 1; by == RANDOM && i; i--) {
		unsigned int other = rand_r(&seed) % (i + 1), swap = nth[i];

		nth[i] = nth[other];
		nth[other] = swap;
	}
	return nth;
}

static void *reserve(size_t len)
{
	void *va = mmap(NULL, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	must_be(va != MAP_FAILED);
	return va;
}

/* Every other page of a range gets a policy. */
static void policies_make(struct rig *r, enum order by, unsigned int n)
{
	const unsigned int *i = in_order(by, n);

	for (const unsigned int *end = i + n; i < end; i++)
		must(policy_set(&r->c, RIG_IOVA + *i * 2 * MEM_PAGE, MEM_PAGE,
				VFIO_IOPF_POLICY_FAULT));
}

static void policies_over(struct rig *r, const struct simbuf *b, const char *what)
{
	struct vfio_iopf_policy p;

	must(policy_get(&r->c, b->iova, &p));
	tap_ok(p.policy == VFIO_IOPF_POLICY_DEFAULT && p.size == b->len, "%s: none is left", what);
}

static void check_policies(struct rig *r, unsigned int n)
{
	struct simbuf b = { reserve(n * 2 * MEM_PAGE), RIG_IOVA, n * 2 * MEM_PAGE };
	struct simbuf middle = { b.va, b.iova + 300 * MEM_PAGE, b.len - 600 * MEM_PAGE };
	struct vfio_iopf_policy p;
	char what[64];

	for (enum order by = ASCENDING; by < ORDERS; by++) {
		tap_diag("%u policies, %s", n, order_name[by]);
		rig_map(r, &b);
		policies_make(r, by, n);
		rig_unmap(r, &b);
		rig_map(r, &b);
		snprintf(what, sizeof(what), "%u policies, %s, unmapped", n, order_name[by]);
		policies_over(r, &b, what);

		policies_make(r, by, n);
		must(policy_set(&r->c, middle.iova, middle.len, VFIO_IOPF_POLICY_PREFAULT));
		must(policy_get(&r->c, middle.iova, &p));
		tap_ok(p.policy == VFIO_IOPF_POLICY_PREFAULT && p.size == middle.len,
		       "%u policies, %s: one in their place", n, order_name[by]);
		must(policy_get(&r->c, b.iova, &p));
		tap_ok(p.policy == VFIO_IOPF_POLICY_FAULT && p.size == MEM_PAGE,
		       "... and those beside it are as they were");
		must(policy_set(&r->c, b.iova, b.len, VFIO_IOPF_POLICY_DEFAULT));
		snprintf(what, sizeof(what), "%u policies, %s, default", n, order_name[by]);
		policies_over(r, &b, what);
		rig_unmap(r, &b);
	}
	mem_unmap(b.va, b.len);
}

static void areas_make(struct rig *r, char *va, enum order by, unsigned int n)
{
	const unsigned int *i = in_order(by, n);

	for (const unsigned int *end = i + n; i < end; i++)
		must(vfio_map(&r->c, va + *i * MEM_PAGE, RIG_IOVA + *i * 2 * MEM_PAGE, MEM_PAGE));
}

static void check_areas(struct rig *r, unsigned int n)
{
	char *va = reserve(n * MEM_PAGE);
	int64_t avail = vfio_avail(&r->c);
	const unsigned int *i;

	for (enum order by = ASCENDING; by < ORDERS; by++) {
		uint64_t size;

		tap_diag("%u areas, %s", n, order_name[by]);
		areas_make(r, va, by, n);
		tap_is(policy_count(r->vfio[0].bdf, "areas"), n, "%u areas, %s: all are there", n,
		       order_name[by]);
		must(vfio_unmap_flags(&r->c, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL, &size));
		tap_ok(size == n * MEM_PAGE && vfio_avail(&r->c) == avail,
		       "... all unmapped at a time");

		areas_make(r, va, by, n);
		i = in_order(by, n);
		for (const unsigned int *end = i + n; i < end; i++)
			must(vfio_unmap(&r->c, RIG_IOVA + *i * 2 * MEM_PAGE, MEM_PAGE));
		tap_is(vfio_avail(&r->c), avail, "... one by one");
	}
	mem_unmap(va, n * MEM_PAGE);
}

/* With pages that the device has touched in each. */
static void check_areas_used(struct rig *r, unsigned int n)
{
	char *va = reserve(n * MEM_PAGE);
	struct simbuf b = { va, RIG_IOVA, n * 2 * MEM_PAGE };
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, &b, 0, b.len, 1);

	areas_make(r, va, ASCENDING, n);
	sim_cmd_order(&cmd, IOPF_SIM_ORDER_STRIDED, 4096, 2 * MEM_PAGE, 0);
	rig_status_is(sim_run(&r->sim[0], &cmd, NULL), IOPF_SIM_ST_OK, "device writes %u areas", n);
	must(vfio_unmap_flags(&r->c, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL, NULL));
	tap_is(policy_count(r->vfio[0].bdf, "resident"), 0, "... nothing is mapped after UNMAP");
	mem_unmap(va, n * MEM_PAGE);
}

static void check_locks(struct rig *r, enum order by)
{
	unsigned int locks = rig_debug_kernel() ? LOCKS_LESS : LOCKS;
	size_t len = (size_t)locks * 2 * MEM_PAGE;
	struct simbuf b = { mem_anon(len), RIG_IOVA, len };
	static uint64_t id[LOCKS];
	const unsigned int *i;

	rig_map(r, &b);
	for (int by_unmap = 0; by_unmap < 2; by_unmap++) {
		i = in_order(by, locks);
		for (unsigned int k = 0; k < locks; k++)
			must(policy_lock(&r->c, b.iova + i[k] * 2 * MEM_PAGE, MEM_PAGE, 0,
					 &id[k]));
		policy_pinned_is(r->vfio[0].bdf, locks * MEM_PAGE, "locks");
		if (by_unmap) {
			rig_unmap(r, &b);
		} else {
			i = in_order(RANDOM, locks);
			for (unsigned int k = 0; k < locks; k++)
				must(policy_unlock(&r->c, id[i[k]], 0));
		}
		policy_pinned_is(r->vfio[0].bdf, 0, order_name[by]);
	}
	mem_unmap(b.va, b.len);
}

static void check_pins(void)
{
	struct simbuf b = { mem_anon(PINS * MEM_PAGE), RIG_IOVA, PINS * MEM_PAGE };
	struct vfio_container c;
	struct mdev m;

	must(vfio_container_open(&c));
	must(mdev_open(&m, &c, 0, VFIO_TYPE1v2_IOMMU));
	for (int parts = 0; parts < 2; parts++) {
		unsigned int areas = parts ? PINS / PINS_AT_ONCE : 1;
		size_t len = b.len / areas;

		for (unsigned int i = 0; i < areas; i++)
			must(vfio_map(&c, (char *)b.va + i * len, b.iova + i * len, len));
		for (unsigned int i = 0; i < PINS; i += PINS_AT_ONCE)
			must_be(mdev_pin(&m, b.iova + i * MEM_PAGE, PINS_AT_ONCE, MDEV_RW) ==
				PINS_AT_ONCE);
		must(vfio_unmap_flags(&c, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL, NULL));
		tap_is(mdev_status(&m).pages, 0, "%u pins in %u areas are gone with UNMAP", PINS,
		       areas);
	}
	mdev_close(&m);
	vfio_container_close(&c);
	mem_unmap(b.va, b.len);
}

int main(void)
{
	unsigned int left;
	struct rig r;

	rig_backend_only();
	rig_load("devices=1 mdev.devices=1", "");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	check_policies(&r, SOME);
	check_policies(&r, many(MORE));
	check_areas(&r, SOME);
	check_areas_used(&r, SOME);
	for (enum order by = ASCENDING; by < ORDERS; by++)
		check_locks(&r, by);
	check_areas(&r, many(MORE));

	/* The rest goes with the container. */
	left = many(AREAS);
	areas_make(&r, reserve(left * MEM_PAGE), RANDOM, left);
	rig_clean(&r);
	rig_close(&r);
	check_pins();
	rig_balanced();
	return tap_done();
}
