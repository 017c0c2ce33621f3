// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPU addresses that no process can have: not canonical, in the kernel's range, beyond the end of
 * the address space, or across its end. The test gives each of them to every ioctl that takes a
 * CPU address. The results are those of stock type1, which accepts some of them. No device may
 * reach memory through such an address. A walk that indexed the CPU's page tables with some of its
 * bits would lead to memory of the same process that was never mapped for the device.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mdev.h"
#include "policy.h"
#include "prefault.h"
#include "rig.h"

#define LEN	(16 * MEM_PAGE)

enum bad {
	BAD_BIT62,	/* positive, and not canonical with any number of levels */
	BAD_BIT57,	/* the first bit that five levels do not use */
	BAD_BIT63,
	BAD_SIGN,	/* the kernel's half of the address space, canonical with five levels */
	BAD_SIGN4,	/* the same with four levels */
	BAD_WRAPS,	/* its end is beyond 2^64 */
	BADS,
};

static const char *const bad_name[BADS] = {
	"bit 62", "bit 57", "bit 63", "bits 57 to 63", "bits 48 to 63", "the end beyond 2^64",
};

static uintptr_t bad_address(enum bad bad, const void *va)
{
	uintptr_t at = (uintptr_t)va;

	switch (bad) {
	case BAD_BIT62:
		return at | 1ull << 62;
	case BAD_BIT57:
		return at | 1ull << 57;
	case BAD_BIT63:
		return at | 1ull << 63;
	case BAD_SIGN:
		return at | ~0ull << 57;
	case BAD_SIGN4:
		return at | ~0ull << 48;
	default:
		return 0 - MEM_PAGE;
	}
}

/**
 * struct results - what the ioctls said
 * @map: MAP_DMA, of a container with a device
 * @vaddr: the same with VFIO_DMA_MAP_FLAG_VADDR
 * @emulated: MAP_DMA, of a container with an emulated device only
 * @pin: its driver pins a page, if that was accepted
 * @rw: or copies
 * @rw_thread: or copies in a kernel thread
 */
struct results {
	int map[BADS];
	int vaddr[BADS];
	int emulated[BADS];
	int pin[BADS];
	int rw[BADS];
	int rw_thread[BADS];
};

static int map_vaddr(struct rig *r, uintptr_t va, const struct simbuf *b)
{
	return vfio_map_flags(&r->c, (void *)va, b->iova, b->len, VFIO_DMA_MAP_FLAG_VADDR);
}

static void invalidate(struct rig *r)
{
	uint64_t size = 0;

	must(vfio_unmap_flags(&r->c, 0, 0, VFIO_DMA_UNMAP_FLAG_VADDR | VFIO_DMA_UNMAP_FLAG_ALL,
			      &size));
}

/* Neither a device nor a prefault request reaches anything. */
static void check_nothing(struct rig *r, const struct simbuf *b, const char *what)
{
	struct vfio_iopf_prefault_status s;
	uint64_t refused = iopf_count(rig_bdf(0), "responses_invalid");

	simbuf_fill(b, 0, LEN, 5);
	prefault_run(&r->c, b, PREFAULT_READ, &s);
	tap_is(s.mapped, 0, "%s: prefaulting maps nothing", what);
	tap_is(s.failed, LEN / MEM_PAGE, "%s: and says so", what);
	prefault_run(&r->c, b, PREFAULT_WRITE, &s);
	tap_is(s.mapped, 0, "%s: nor does it for writing", what);
	tap_is(sim_iommu_count("leaves_4k"), 0, "%s: nothing is in the IOMMU", what);
	rig_status_is(sim_write(&r->sim[0], b, 0, MEM_PAGE, 6, NULL), IOPF_SIM_ST_INVALID,
		      "%s: the device writes", what);
	rig_status_is(sim_read(&r->sim[0], b, 5 * MEM_PAGE, MEM_PAGE, NULL), IOPF_SIM_ST_INVALID,
		      "%s: the device reads", what);
	tap_ok(iopf_count(rig_bdf(0), "responses_invalid") >= refused + 2, "%s: counted as invalid",
	       what);
	tap_errno_is(iopf_enable(rig_bdf(0), false), -EFAULT, "%s: it can't be pinned", what);
	tap_errno_is(policy_set(&r->c, b->iova, LEN, VFIO_IOPF_POLICY_PIN), -EFAULT,
		     "%s: nor by a policy", what);
	tap_errno_is(policy_lock(&r->c, b->iova, LEN, 0, NULL), -EFAULT, "%s: nor by a lock", what);
	policy_pinned_is(rig_bdf(0), 0, what);
	rig_same(b, 5, what);
}

static void try_device(struct results *res, bool stock)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	char what[64];
	struct rig r;
	enum bad bad;

	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	for (bad = 0; bad < BADS; bad++) {
		simbuf_fill(&b, 0, LEN, 1);
		res->map[bad] = vfio_map(&r.c, (void *)bad_address(bad, b.va), b.iova, LEN);
		if (!res->map[bad])
			must(vfio_unmap(&r.c, b.iova, LEN));
		if (!stock) {
			b.va = (void *)bad_address(bad, b.va);
			tap_errno_is(policy_map(&r.c, &b, VFIO_IOPF_POLICY_FAULT), res->map[bad],
				     "%s: VFIO_IOPF_MAP_DMA is as MAP_DMA", bad_name[bad]);
			b.va = (void *)((uintptr_t)b.va & ((1ull << 47) - 1));
		}
	}
	mem_unmap(b.va, LEN);

	b.va = mem_anon(LEN);
	rig_map(&r, &b);
	rig_both_ways(&r.sim[0], &b, 1, "a good address");
	for (bad = 0; bad < BADS; bad++) {
		invalidate(&r);
		res->vaddr[bad] = map_vaddr(&r, bad_address(bad, b.va), &b);
		snprintf(what, sizeof(what), "replaced by %s", bad_name[bad]);
		if (!res->vaddr[bad]) {
			if (!stock)
				check_nothing(&r, &b, what);
			invalidate(&r);
		}
		must(map_vaddr(&r, (uintptr_t)b.va, &b));
	}
	rig_both_ways(&r.sim[0], &b, 10, "the good address again");
	rig_unmap(&r, &b);
	mem_unmap(b.va, LEN);
	rig_clean(&r);
	rig_close(&r);
}

/* Mapped while nothing looks at the address; then a device joins that does. */
static void check_joined(struct rig *r, struct simbuf *b, enum bad bad)
{
	char what[64];

	snprintf(what, sizeof(what), "mapped before with %s", bad_name[bad]);
	must(vfio_dev_open(&r->vfio[0], &r->c, rig_bdf(0), VFIO_TYPE1v2_IOMMU));
	must(sim_up(&r->sim[0], &r->vfio[0], NULL));
	check_nothing(r, b, what);
	vfio_dev_close(&r->vfio[0]);
}

static void try_emulated(struct results *res, bool stock)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	uint64_t word = 1;
	struct rig r = { .devices = 1 };
	struct mdev m;
	enum bad bad;

	r.vfio[0].fd = -1;
	r.vfio[0].group_fd = -1;
	must(vfio_container_open(&r.c));
	must(mdev_open(&m, &r.c, 0, VFIO_TYPE1v2_IOMMU));
	for (bad = 0; bad < BADS; bad++) {
		res->emulated[bad] = vfio_map(&r.c, (void *)bad_address(bad, b.va), b.iova, LEN);
		if (res->emulated[bad])
			continue;
		res->pin[bad] = mdev_pin(&m, b.iova, 1, MDEV_RW);
		res->rw[bad] = mdev_read(&m, MDEV_DMA_RW, b.iova, &word, sizeof(word));
		res->rw_thread[bad] = mdev_write(&m, MDEV_DMA_RW_KTHREAD, b.iova, &word,
						 sizeof(word));
		if (!stock)
			check_joined(&r, &b, bad);
		must(vfio_unmap(&r.c, b.iova, LEN));
	}
	mdev_close(&m);
	vfio_container_close(&r.c);
	mem_unmap(b.va, LEN);
}

/* The last page that a process can have: with five levels, or with four. */
static char *last_page(void)
{
	static const unsigned int bits[] = { 56, 47 };

	for (unsigned int i = 0; i < 2; i++) {
		char *at = (char *)((1ull << bits[i]) - 2 * MEM_PAGE);

		if (mmap(at, MEM_PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == at)
			return at;
	}
	return NULL;
}

/*
 * An area that begins in the address space and ends beyond it. The part inside is ordinary memory.
 */
static void check_end(void)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN }, in;
	struct vfio_iopf_prefault_status s;
	char *last = last_page();
	struct rig r;

	must_be(last);
	in = (struct simbuf){ last, RIG_IOVA, MEM_PAGE };
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	tap_errno_is(vfio_map(&r.c, last, b.iova, LEN), -EFAULT, "the end: can't be mapped");
	rig_map(&r, &b);
	invalidate(&r);
	must(map_vaddr(&r, (uintptr_t)last, &b));
	rig_both_ways(&r.sim[0], &in, 20, "the end: the last page");
	rig_status_is(sim_write(&r.sim[0], &b, MEM_PAGE, MEM_PAGE, 6, NULL), IOPF_SIM_ST_INVALID,
		      "the end: beyond it");
	prefault_run(&r.c, &b, PREFAULT_WRITE, &s);
	tap_is(s.mapped + s.already_mapped, 1, "the end: prefaulting");
	/* The notifier knows it. */
	mem_unmap(last, MEM_PAGE);
	tap_is(sim_iommu_count("leaves_4k"), 0, "the end: unmapped");
	rig_status_is(sim_write(&r.sim[0], &b, 0, MEM_PAGE, 6, NULL), IOPF_SIM_ST_INVALID,
		      "the end: unmapped");
	rig_unmap(&r, &b);
	mem_unmap(b.va, LEN);
	rig_clean(&r);
	rig_close(&r);
}

static void run(struct results *res, bool stock)
{
	rig_load("devices=1 mdev.devices=1", stock ? NULL : "");
	try_device(res, stock);
	try_emulated(res, stock);
	if (!stock)
		check_end();
	rig_balanced();
}

int main(void)
{
	bool stock_only = rig_stock();
	struct results stock = { }, ours = { };
	enum bad bad;

	run(&stock, true);
	for (bad = 0; bad < BADS; bad++)
		tap_errno_is(stock.map[bad], bad == BAD_WRAPS ? -EINVAL : -EFAULT,
			     "stock type1: MAP_DMA with %s", bad_name[bad]);
	if (stock_only)
		return tap_done();
	run(&ours, false);
	for (bad = 0; bad < BADS; bad++) {
		const char *name = bad_name[bad];

		tap_errno_is(ours.map[bad], stock.map[bad], "MAP_DMA with %s", name);
		tap_errno_is(ours.vaddr[bad], stock.vaddr[bad], "with FLAG_VADDR: %s", name);
		tap_errno_is(ours.emulated[bad], stock.emulated[bad], "emulated only: %s", name);
		tap_errno_is(ours.pin[bad], stock.pin[bad], "its driver pins: %s", name);
		tap_errno_is(ours.rw[bad], stock.rw[bad], "or copies: %s", name);
		tap_errno_is(ours.rw_thread[bad], stock.rw_thread[bad],
			     "or copies in a kernel thread: %s", name);
	}
	return tap_done();
}
