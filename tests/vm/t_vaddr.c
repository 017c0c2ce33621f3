// SPDX-License-Identifier: GPL-2.0-only
/*
 * The CPU address of mapped memory changes while a device runs (live update of a VMM). While the
 * address is invalid the device uses mapped pages, and waits for others. Afterwards it goes on at
 * the new address, in the same process or another one. Nothing is lost. Pinned memory is charged
 * to its new owner. Meanwhile an ioctl that would have to pin is refused, and changes nothing.
 * Holds stay, and can be released.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dma.h"
#include "knob.h"
#include "policy.h"
#include "rig.h"

#define LEN	(4 * MiB)

static int invalidate(struct rig *r)
{
	uint64_t size = 0;
	int err = vfio_unmap_flags(&r->c, 0, 0,
				   VFIO_DMA_UNMAP_FLAG_VADDR | VFIO_DMA_UNMAP_FLAG_ALL, &size);

	return err ? err : size == LEN ? 0 : -ENOENT;
}

static int set_vaddr(struct rig *r, const struct simbuf *b)
{
	return vfio_map_flags(&r->c, b->va, b->iova, b->len, VFIO_DMA_MAP_FLAG_VADDR);
}

static void *map_again(int fd)
{
	return must_sys(mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
}

/* A command that can't complete while the address is invalid; it gets plenty of chances to. */
static void waits(struct rig *r, const struct simbuf *b, uint64_t seed, const char *what)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, LEN, seed);
	struct iopf_sim_cpl cpl;
	unsigned int spins = 0;

	sim_start(&r->sim[0], &cmd);
	while (spins < 1000 && !sim_poll(&r->sim[0], &cpl))
		sim_nap(&spins);
	tap_ok(spins == 1000, "%s: the device waits", what);
}

static void goes_on(struct rig *r, const struct simbuf *b, uint64_t seed, const char *what)
{
	struct iopf_sim_cpl cpl;

	sim_wait(&r->sim[0], &cpl);
	rig_status_is(cpl.status, IOPF_SIM_ST_OK, "%s: it goes on", what);
	rig_same(b, seed, what);
}

static void check_same_process(struct rig *r, struct simbuf *b, int fd)
{
	void *old = b->va;

	rig_both_ways(&r->sim[0], b, 1, "before");
	tap_errno_is(invalidate(r), 0, "the address becomes invalid");
	tap_errno_is(invalidate(r), -EINVAL, "once");
	rig_status_is(sim_write(&r->sim[0], b, 0, LEN, 2, NULL), IOPF_SIM_ST_OK,
		      "mapped pages can be used");
	rig_same(b, 2, "mapped pages can be used");

	b->va = map_again(fd);
	/* The device loses its mappings, and has no address to fault at. */
	mem_unmap(old, LEN);
	waits(r, b, 3, "memory unmapped");
	b->iova += MEM_PAGE;
	tap_errno_is(set_vaddr(r, b), -EINVAL, "not exactly the range");
	b->iova += LEN;
	tap_errno_is(set_vaddr(r, b), -ENOENT, "no such range");
	b->iova -= LEN + MEM_PAGE;
	tap_errno_is(set_vaddr(r, b), 0, "a new address");
	tap_errno_is(set_vaddr(r, b), -EINVAL, "once");
	goes_on(r, b, 3, "same process");
	rig_both_ways(&r->sim[0], b, 4, "same process, after");
}

/* Under running DMA, back and forth between two addresses. */
static void check_under_dma(struct rig *r, struct simbuf *b, int fd)
{
	struct simbuf other = { map_again(fd), b->iova, LEN }, *at[2] = { &other, b };
	struct dma dma;
	unsigned int i;

	dma_start_both(&dma, &r->sim[0], b, 20);
	for (i = 0; i < 20; i++) {
		must(invalidate(r));
		/* All mappings of the device are gone with this. */
		must_sys(madvise(at[(i + 1) % 2]->va, LEN, MADV_DONTNEED));
		must(set_vaddr(r, at[i % 2]));
		dma_wait_rounds(&dma, 1);
	}
	tap_is(dma_stop(&dma), 0, "under DMA: every command completes");
	rig_same(b, 20, "under DMA");
	mem_unmap(other.va, LEN);
}

/* The new VMM: a child that takes over the memory, while this process lets go of it. */
static void check_other_process(struct rig *r, struct simbuf *b, int fd)
{
	int go[2], done[2], status;
	char byte = 0;
	pid_t pid;

	must_sys(pipe(go));
	must_sys(pipe(done));
	must(invalidate(r));
	pid = must_sys(fork());
	if (!pid) {
		struct simbuf mine = { map_again(fd), b->iova, LEN };

		tap_forget();
		must_sys(read(go[0], &byte, 1));
		if (set_vaddr(r, &mine))
			_exit(1);
		must_sys(write(done[1], &byte, 1));
		/* Until the parent has seen the device at work. */
		must_sys(read(go[0], &byte, 1));
		_exit(simbuf_differs(&mine, 0, LEN, 5) ? 2 : 0);
	}
	mem_unmap(b->va, LEN);
	waits(r, b, 5, "other process");
	must_sys(write(go[1], &byte, 1));
	must_be(must_sys(read(done[0], &byte, 1)) == 1);
	b->va = map_again(fd);
	goes_on(r, b, 5, "other process");
	must_sys(write(go[1], &byte, 1));
	must_sys(waitpid(pid, &status, 0));
	tap_is(status, 0, "the other process sees the data");

	/* The process has exited, and its address with it. Back to this process. */
	must(invalidate(r));
	waits(r, b, 6, "owner gone");
	tap_errno_is(set_vaddr(r, b), 0, "taken back");
	goes_on(r, b, 6, "taken back");
}

static void check_reset(struct rig *r, struct simbuf *b)
{
	must(invalidate(r));
	mem_drop(b->va, LEN);
	waits(r, b, 7, "before a reset");
	tap_errno_is(vfio_reset(&r->vfio[0]), 0, "reset does not wait");
	must(vfio_bus_master(&r->vfio[0], true));
	must(sim_up(&r->sim[0], &r->vfio[0], NULL));
	must(set_vaddr(r, b));
	rig_both_ways(&r->sim[0], b, 8, "after a reset");
}

/* Pinned, so nothing moves but the charge. */
static void check_pinned(struct rig *r, struct simbuf *b, int fd)
{
	struct simbuf other = { map_again(fd), b->iova, LEN };
	int go[2], done[2], status;
	char byte = 0;
	pid_t pid;

	must_sys(pipe(go));
	must_sys(pipe(done));
	must(iopf_enable(r->vfio[0].bdf, false));
	tap_is(mem_status_kb(0, "VmLck"), LEN / 1024, "pinned: charged");
	must(invalidate(r));
	tap_errno_is(iopf_enable(r->vfio[0].bdf, true), 0, "enabled with the address invalid");
	tap_errno_is(iopf_enable(r->vfio[0].bdf, false), -EBUSY, "disabling is refused");
	must(set_vaddr(r, b));
	must(iopf_enable(r->vfio[0].bdf, false));
	must(invalidate(r));
	rig_both_ways(&r->sim[0], b, 9, "pinned, address invalid");
	must(set_vaddr(r, &other));
	tap_is(mem_status_kb(0, "VmLck"), LEN / 1024, "same process: the same charge");

	must(invalidate(r));
	pid = must_sys(fork());
	if (!pid) {
		size_t kb;

		tap_forget();
		if (set_vaddr(r, &other))
			_exit(1);
		kb = mem_status_kb(0, "VmLck");
		must_sys(write(done[1], &byte, 1));
		must_sys(read(go[0], &byte, 1));
		_exit(kb == LEN / 1024 ? 0 : 2);
	}
	must_be(must_sys(read(done[0], &byte, 1)) == 1);
	tap_is(mem_status_kb(0, "VmLck"), 0, "other process: charged no longer");
	rig_both_ways(&r->sim[0], b, 10, "other process owns it");
	must_sys(write(go[1], &byte, 1));
	must_sys(waitpid(pid, &status, 0));
	tap_is(status, 0, "the memory is charged");
	must(invalidate(r));
	must(set_vaddr(r, b));
	tap_is(mem_status_kb(0, "VmLck"), LEN / 1024, "taken back: charged");
	must(iopf_enable(r->vfio[0].bdf, true));
	tap_is(mem_status_kb(0, "VmLck"), 0, "unpinned: nothing charged");
	mem_unmap(other.va, LEN);
}

/* A request that comes while an address is invalid has no effect, not even in part. */
static void refused(struct rig *r, const struct simbuf *b, const struct simbuf *more, size_t pinned,
		    const char *what)
{
	const char *bdf = r->vfio[0].bdf;
	struct vfio_iopf_policy p;
	unsigned int policy;
	uint64_t id = 42;

	for (policy = VFIO_IOPF_POLICY_DEFAULT; policy <= VFIO_IOPF_POLICY_PIN; policy++) {
		tap_errno_is(policy_set(&r->c, b->iova + MiB, MiB, policy), -EBUSY,
			     "%s: no policy %u", what, policy);
		tap_errno_is(policy_set(&r->c, b->iova + LEN - MiB, 2 * MiB, policy), -EBUSY,
			     "%s: nor for a range that goes on where all is valid", what);
	}
	tap_errno_is(policy_lock(&r->c, b->iova, MEM_PAGE, 0, &id), -EBUSY, "%s: no lock", what);
	tap_errno_is(policy_lock(&r->c, b->iova + LEN - MEM_PAGE, 2 * MEM_PAGE, 0, &id), -EBUSY,
		     "%s: nor one that goes on where all is valid", what);
	tap_errno_is(policy_lock(&r->c, b->iova, MEM_PAGE, VFIO_IOPF_LOCK_COMPLETE, &id), -EBUSY,
		     "%s: nor the last one", what);
	tap_is(id, 42, "%s: there is no number of one", what);
	tap_errno_is(policy_default(bdf, "pin"), -EBUSY, "%s: nor can all be pinned", what);
	tap_errno_is(policy_mode(bdf, "selective"), -EBUSY, "%s: nor for a device", what);

	must(policy_get(&r->c, b->iova + MiB, &p));
	tap_ok(p.policy == VFIO_IOPF_POLICY_FAULT && p.effective == VFIO_IOPF_POLICY_FAULT &&
	       p.size == MiB, "%s: the policy has not changed", what);
	must(policy_get(&r->c, b->iova + 2 * MiB, &p));
	tap_ok(p.policy == VFIO_IOPF_POLICY_PIN && p.size == LEN - 2 * MiB,
	       "%s: and so is the one beside it", what);
	must(policy_get(&r->c, more->iova, &p));
	tap_ok(p.policy == VFIO_IOPF_POLICY_DEFAULT && p.effective == VFIO_IOPF_POLICY_FAULT &&
	       p.size == more->len, "%s: and the one where all is valid", what);
	policy_pinned_is(bdf, pinned, what);
}

/* Policies and locks, from before and while the address is invalid. */
static void check_held(struct rig *r, struct simbuf *b, int fd)
{
	struct simbuf more = { mem_anon(MiB), b->iova + LEN, MiB }, part = *b;
	const char *bdf = r->vfio[0].bdf;
	void *old = b->va;
	uint64_t id, size;

	rig_map(r, &more);
	must(policy_set(&r->c, b->iova + MiB, MiB, VFIO_IOPF_POLICY_FAULT));
	must(policy_set(&r->c, b->iova + 2 * MiB, 2 * MiB, VFIO_IOPF_POLICY_PIN));
	must(policy_lock(&r->c, b->iova + MiB / 2, MiB, 0, &id));
	policy_pinned_is(bdf, 3 * MiB, "before");
	rig_both_ways(&r->sim[0], b, 30, "before");
	/* This range alone. */
	must(vfio_unmap_flags(&r->c, b->iova, LEN, VFIO_DMA_UNMAP_FLAG_VADDR, &size));
	must_be(size == LEN);
	refused(r, b, &more, 3 * MiB, "held");

	/* Pinned pages stay with the device when the address at which they were pinned is gone. */
	part.iova += MiB / 2;
	part.len = MiB;
	b->va = map_again(fd);
	part.va = (char *)b->va + MiB / 2;
	mem_unmap(old, LEN);
	rig_status_is(sim_verify(&r->sim[0], &part, 0, part.len, 0, NULL),
		      IOPF_SIM_ST_MISMATCH, "held: the device reads, and would notice other data");
	rig_both_ways(&r->sim[0], &part, 32, "held: locked memory");
	part.iova = b->iova + 2 * MiB;
	part.va = (char *)b->va + 2 * MiB;
	part.len = 2 * MiB;
	rig_both_ways(&r->sim[0], &part, 34, "held: pinned memory");
	policy_pinned_is(bdf, 3 * MiB, "held: memory unmapped");

	/* If all addresses are valid, everything goes on. */
	must(policy_set(&r->c, more.iova, MiB, VFIO_IOPF_POLICY_PIN));
	policy_pinned_is(bdf, 4 * MiB, "held: the range beside it is pinned");
	must(policy_set(&r->c, more.iova, MiB, VFIO_IOPF_POLICY_DEFAULT));

	/* To let go needs no address. */
	tap_errno_is(policy_unlock(&r->c, id, 0), 0, "a lock can go");
	policy_pinned_is(bdf, 2 * MiB, "unlocked");
	tap_errno_is(policy_unlock(&r->c, id, 0), -ENOENT, "once");
	refused(r, b, &more, 2 * MiB, "unlocked");

	tap_errno_is(set_vaddr(r, b), 0, "held in part: a new address");
	policy_pinned_is(bdf, 2 * MiB, "a new address");
	rig_both_ways(&r->sim[0], b, 36, "a new address");
	tap_errno_is(policy_lock(&r->c, b->iova, MiB, 0, &id), 0, "locked at the new address");
	tap_errno_is(policy_set(&r->c, b->iova, LEN, VFIO_IOPF_POLICY_PIN), 0, "all is pinned");
	policy_pinned_is(bdf, LEN, "all pinned");
	must(policy_set(&r->c, b->iova, LEN, VFIO_IOPF_POLICY_DEFAULT));
	policy_pinned_is(bdf, MiB, "the lock is left");
	must(policy_unlock(&r->c, id, 0));
	policy_pinned_is(bdf, 0, "nothing is left");
	must(policy_mode(bdf, "selective"));
	policy_pinned_is(bdf, LEN + MiB, "COMPLETE has not been said");
	must(policy_mode(bdf, "arbitrary"));
	rig_unmap(r, &more);
	mem_unmap(more.va, MiB);
	rig_both_ways(&r->sim[0], b, 38, "nothing is left");
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct rig r;
	int fd;

	rig_backend_only();
	rig_load("devices=1 engines=2", "");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	b.va = mem_memfd(LEN, &fd);
	rig_map(&r, &b);

	check_same_process(&r, &b, fd);
	check_under_dma(&r, &b, fd);
	check_other_process(&r, &b, fd);
	check_reset(&r, &b);
	check_pinned(&r, &b, fd);
	check_held(&r, &b, fd);

	/* Unmapped with its address invalid and a fault waiting. */
	must(invalidate(&r));
	mem_drop(b.va, LEN);
	waits(&r, &b, 11, "until it is unmapped");
	rig_unmap(&r, &b);
	{
		struct iopf_sim_cpl cpl;

		sim_wait(&r.sim[0], &cpl);
		rig_status_is(cpl.status, IOPF_SIM_ST_INVALID, "unmapped: no such address");
	}
	rig_map(&r, &b);
	must(invalidate(&r));
	mem_drop(b.va, LEN);
	waits(&r, &b, 12, "until the container goes");

	rig_clean(&r);
	rig_close(&r);
	rig_balanced();
	return tap_done();
}
