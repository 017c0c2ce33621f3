// SPDX-License-Identifier: GPL-2.0-only
/*
 * A container with one emulated device: see emulated.h.
 */
#include "emulated.h"

#include <unistd.h>

#include "rig.h"

uint64_t emulated_page(const struct emulated *t, unsigned int n)
{
	return t->b.iova + n * MEM_PAGE;
}

size_t emulated_charged(void)
{
	return (mem_status_kb(0, "VmLck") + mem_status_kb(0, "VmPin")) * 1024 / MEM_PAGE;
}

void emulated_holds(struct emulated *t, unsigned int pages, unsigned int pins, const char *what)
{
	struct iopf_sim_mdev_status status = mdev_status(&t->m);
	size_t charged = emulated_charged();

	if (!tap_ok(status.pages == pages && status.pins == pins && charged == pages,
		    "%s: %u pages, %u pins, charged once", what, pages, pins))
		tap_diag("%llu pages, %llu pins, %zu pages charged",
			 (unsigned long long)status.pages, (unsigned long long)status.pins,
			 charged);
}

struct emulated emulated_open(int type)
{
	struct emulated t = { .b = { mem_anon(EMULATED_LEN), RIG_IOVA, EMULATED_LEN } };

	must(vfio_container_open(&t.c));
	must(mdev_open(&t.m, &t.c, 0, type));
	must(vfio_map(&t.c, t.b.va, t.b.iova, EMULATED_LEN));
	return t;
}

void emulated_close(struct emulated *t)
{
	mdev_close(&t->m);
	vfio_container_close(&t->c);
	mem_unmap(t->b.va, EMULATED_LEN);
}

void emulated_begin(struct emulated *t, bool stock)
{
	tap_diag("%s", stock ? "stock type1" : "the backend");
	rig_load("devices=1 mdev.devices=1", stock ? NULL : "");
	*t = emulated_open(VFIO_TYPE1v2_IOMMU);
	tap_is(iopf_serves_me(), !stock, "%s serves", stock ? "stock type1" : "the backend");
}

void emulated_end(struct emulated *t)
{
	emulated_close(t);
	tap_is(emulated_charged(), 0, "nothing is pinned");
}

void emulated_run(void (*run)(bool stock))
{
	bool stock_only = rig_stock();

	if (!rig_debug_kernel())
		run(true);
	else
		tap_skip("lockdep would report its deadlock", "stock type1");
	if (!stock_only)
		run(false);
}
