// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory is not populated late. An ioctl says that the container does not use a CPU address any
 * more: UNMAP_DMA, with or without VFIO_DMA_UNMAP_FLAG_VADDR. Faults and prefault requests that
 * are in progress then touch no further page at that address.
 *
 * This also holds for a worker that sleeps in the memory's userfaultfd at that moment, when it
 * wakes up.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "prefault.h"
#include "rig.h"
#include "uffd.h"

#define PAGES	16
#define LEN	(PAGES * MEM_PAGE)

static uint64_t content[MEM_PAGE / 8] __attribute__((aligned(MEM_PAGE)));

static void invalidate(struct rig *r)
{
	uint64_t size = 0;

	must(vfio_unmap_flags(&r->c, 0, 0, VFIO_DMA_UNMAP_FLAG_VADDR | VFIO_DMA_UNMAP_FLAG_ALL,
			      &size));
}

static void set_vaddr(struct rig *r, const struct simbuf *b)
{
	must(vfio_map_flags(&r->c, b->va, b->iova, b->len, VFIO_DMA_MAP_FLAG_VADDR));
}

static bool asked_again(int uffd)
{
	struct pollfd p = { .fd = uffd, .events = POLLIN };

	return must_sys(poll(&p, 1, 0));
}

/* A fault that wants all of the memory sleeps for the first page of it. */
static int fault_asleep(struct rig *r, const struct simbuf *b, uint64_t seed, const char *what)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, LEN, seed);
	int uffd = uffd_missing(b->va, LEN);

	cmd.prg_pages = PAGES;
	sim_start(&r->sim[0], &cmd);
	tap_is(uffd_asked(uffd) - (uintptr_t)b->va, 0, "%s: asleep for the first page", what);
	return uffd;
}

static void nothing_late(int uffd, const struct simbuf *b, const char *what)
{
	tap_ok(!asked_again(uffd), "%s: no other page is asked for", what);
	tap_is(mem_resident(b->va, LEN), 1, "%s: pages there", what);
	close(uffd);
}

static void check_fault_vaddr(struct rig *r)
{
	struct simbuf old = { mem_anon(LEN), RIG_IOVA, LEN };
	struct simbuf new = { mem_anon(LEN), RIG_IOVA, LEN };
	struct iopf_sim_cpl cpl;
	int uffd;

	rig_map(r, &old);
	uffd = fault_asleep(r, &old, 1, "fault, address invalid");
	invalidate(r);
	must(uffd_give(uffd, (uintptr_t)old.va, content, MEM_PAGE));
	set_vaddr(r, &new);
	/* The worker has been through when this is complete. */
	sim_wait(&r->sim[0], &cpl);
	rig_status_is(cpl.status, IOPF_SIM_ST_OK, "fault, address invalid: goes on");
	rig_same(&new, 1, "fault, address invalid: at the new address");
	nothing_late(uffd, &old, "fault, address invalid");
	rig_unmap(r, &new);
	mem_unmap(old.va, LEN);
	mem_unmap(new.va, LEN);
}

static void check_fault_unmap(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct iopf_sim_cpl cpl;
	int uffd;

	rig_map(r, &b);
	uffd = fault_asleep(r, &b, 1, "fault, unmapped");
	rig_unmap(r, &b);
	must(uffd_give(uffd, (uintptr_t)b.va, content, MEM_PAGE));
	sim_wait(&r->sim[0], &cpl);
	rig_status_is(cpl.status, IOPF_SIM_ST_INVALID, "fault, unmapped: no such address");
	nothing_late(uffd, &b, "fault, unmapped");
	mem_unmap(b.va, LEN);
}

static void check_prefault(struct rig *r, bool vaddr)
{
	const char *what = vaddr ? "prefault, address invalid" : "prefault, unmapped";
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct vfio_iopf_range range = { .iova = RIG_IOVA, .size = LEN };
	struct vfio_iopf_prefault_status s;
	uint64_t id;
	int uffd;

	rig_map(r, &b);
	uffd = uffd_missing(b.va, LEN);
	must(prefault_start(&r->c, &range, 1, PREFAULT_WRITE, -1, &id));
	tap_is(uffd_asked(uffd) - (uintptr_t)b.va, 0, "%s: asleep for the first page", what);
	if (vaddr)
		invalidate(r);
	else
		rig_unmap(r, &b);
	must(uffd_give(uffd, (uintptr_t)b.va, content, MEM_PAGE));
	prefault_wait(&r->c, id, &s);
	tap_is(s.mapped, 0, "%s: nothing is mapped", what);
	nothing_late(uffd, &b, what);
	if (vaddr)
		rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
}

/*
 * Pages that are mapped for reading are prefaulted for writing. Nothing happens without an address.
 */
static void check_upgrade(struct rig *r)
{
	struct simbuf b = { mem_anon(LEN), RIG_IOVA, LEN };
	struct vfio_iopf_prefault_status s;
	uint64_t zero;

	rig_map(r, &b);
	rig_status_is(sim_read(&r->sim[0], &b, 0, LEN, NULL), IOPF_SIM_ST_OK, "upgrade: read");
	zero = mem_pfn(b.va);
	must_be(zero);
	invalidate(r);
	prefault_run(&r->c, &b, PREFAULT_WRITE, &s);
	tap_is(mem_pfn(b.va), zero, "upgrade, address invalid: the page has not changed");
	tap_is(mem_smaps_kb(b.va, LEN, "Anonymous"), 0,
	       "upgrade, address invalid: no memory is taken");
	set_vaddr(r, &b);
	prefault_run(&r->c, &b, PREFAULT_WRITE, &s);
	tap_is(s.mapped, PAGES, "upgrade: with an address it is done");
	rig_both_ways(&r->sim[0], &b, 3, "upgrade");
	rig_unmap(r, &b);
	mem_unmap(b.va, LEN);
}

int main(void)
{
	struct rig r;

	rig_backend_only();
	rig_load("devices=1", "");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	memset(content, 0x5a, sizeof(content));
	check_upgrade(&r);
	check_prefault(&r, true);
	check_prefault(&r, false);
	check_fault_vaddr(&r);
	check_fault_unmap(&r);
	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
