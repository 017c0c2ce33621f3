// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of another device (VM_PFNMAP). This process maps the BAR of device 1 through vfio-pci,
 * and maps it for the DMA of device 0 in another container. vfio-pci may revoke the BAR at any
 * time: when memory decoding is disabled, or the device is reset, it removes the BAR from the
 * CPU's page tables. Then device 0 must lose access, too. With stock type1 device 0 keeps access,
 * so those parts are for the backend only.
 *
 * A policy or a lock keeps the BAR mapped as long as it is present. Nobody is charged for it.
 *
 * Page 0 of the BAR has the registers. Page 3 is memory without a function.
 *
 * vm: --mem 1024
 * also: no5lvl
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dma.h"
#include "policy.h"
#include "rig.h"

#define SCRATCH		0x3000
#define IOVA		RIG_IOVA

/**
 * struct bench - two devices, each in a container of its own
 * @user: device 0, which does DMA
 * @owner: device 1, whose BAR it is
 * @bar: all of the BAR
 * @scratch: the last page of it
 */
struct bench {
	struct rig user;
	struct rig owner;
	struct simbuf bar;
	struct simbuf scratch;
};

static uint64_t leaves(void)
{
	return sim_iommu_count("leaves_4k");
}

static void owner_memory(struct bench *t, bool on)
{
	struct vfio_dev *d = &t->owner.vfio[0];
	uint32_t command;

	must(vfio_config_read(d, PCI_COMMAND, 2, &command));
	command = on ? command | PCI_COMMAND_MEMORY : command & ~(uint32_t)PCI_COMMAND_MEMORY;
	must(vfio_config_write(d, PCI_COMMAND, 2, command));
}

/* The device registers contain no pattern, but an identification. */
static void check_registers(struct bench *t)
{
	static uint64_t copy[MEM_PAGE / 8] __attribute__((aligned(MEM_PAGE)));
	struct simbuf c = { copy, IOVA + 16 * MiB, MEM_PAGE };

	must(vfio_map(&t->user.c, c.va, c.iova, c.len));
	rig_status_is(sim_copy(&t->user.sim[0], &c, 0, &t->bar, 0, MEM_PAGE, NULL), IOPF_SIM_ST_OK,
		      "registers are read");
	tap_is((uint32_t)copy[0], IOPF_SIM_MAGIC, "by their magic");
	must(vfio_unmap(&t->user.c, c.iova, c.len));
}

static void check_data(struct bench *t)
{
	uint64_t faults = rig_stock() ? 0 : iopf_count(rig_bdf(0), "faults");

	tap_is(leaves(), rig_stock() ? t->bar.len / MEM_PAGE : 0, "mapping it maps %s in the IOMMU",
	       rig_stock() ? "all" : "nothing");
	rig_both_ways(&t->user.sim[0], &t->scratch, 1, "the BAR");
	if (!rig_stock()) {
		tap_ok(iopf_count(rig_bdf(0), "faults") > faults, "by faults");
		rig_unpinned("the BAR");
	}
	check_registers(t);
	rig_status_is(sim_down(&t->owner.sim[0]), 0, "the owner is disabled");
	must(sim_up(&t->owner.sim[0], &t->owner.vfio[0], NULL));
	rig_same(&t->scratch, 2, "the owner was at work meanwhile");
}

/* A mapping for reading only, of memory the CPU may write. */
static void check_permission(struct bench *t)
{
	struct simbuf ro = { t->scratch.va, IOVA + 32 * MiB, MEM_PAGE };

	simbuf_fill(&t->scratch, 0, MEM_PAGE, 3);
	must(vfio_map_flags(&t->user.c, ro.va, ro.iova, ro.len, VFIO_DMA_MAP_FLAG_READ));
	rig_status_is(sim_verify(&t->user.sim[0], &ro, 0, MEM_PAGE, 3, NULL), IOPF_SIM_ST_OK,
		      "mapped for reading: read");
	rig_status_is(sim_write(&t->user.sim[0], &ro, 0, MEM_PAGE, 4, NULL),
		      rig_stock() ? IOPF_SIM_ST_UNTRANSLATED : IOPF_SIM_ST_INVALID,
		      "mapped for reading: written");
	rig_same(&t->scratch, 3, "mapped for reading");
	must(vfio_unmap(&t->user.c, ro.iova, ro.len));
}

/* Device 0 has no access in the state @what, and an attempt changes nothing. */
static void revoked_but(struct bench *t, uint64_t others, const char *what)
{
	uint64_t invalid = iopf_count(rig_bdf(0), "responses_invalid");

	tap_is(leaves(), others, "%s: nothing of it is mapped", what);
	rig_status_is(sim_verify(&t->user.sim[0], &t->scratch, 0, MEM_PAGE, 0, NULL),
		      IOPF_SIM_ST_INVALID, "%s: read", what);
	rig_status_is(sim_write(&t->user.sim[0], &t->scratch, 0, MEM_PAGE, 0, NULL),
		      IOPF_SIM_ST_INVALID, "%s: write", what);
	tap_is(iopf_count(rig_bdf(0), "responses_invalid"), invalid + 2, "%s: counted as invalid",
	       what);
	tap_is(leaves(), others, "%s: nothing is mapped by that", what);
}

static void revoked(struct bench *t, const char *what)
{
	revoked_but(t, 0, what);
}

static void check_decoding(struct bench *t)
{
	rig_both_ways(&t->user.sim[0], &t->scratch, 5, "before memory decoding is off");
	owner_memory(t, false);
	revoked(t, "memory decoding off");
	owner_memory(t, true);
	rig_status_is(sim_verify(&t->user.sim[0], &t->scratch, 0, MEM_PAGE, 6, NULL),
		      IOPF_SIM_ST_OK, "memory decoding on again: the old data");
	rig_same(&t->scratch, 6, "memory decoding on again");
	rig_both_ways(&t->user.sim[0], &t->scratch, 7, "memory decoding on again");
}

static void check_reset(struct bench *t)
{
	uint64_t sum = 1;

	must(vfio_reset(&t->owner.vfio[0]));
	tap_is(leaves(), 0, "reset: nothing is mapped");
	/* vfio-pci has restored configuration space: decoding is enabled. */
	rig_status_is(sim_checksum(&t->user.sim[0], &t->scratch, 0, MEM_PAGE, &sum, NULL),
		      IOPF_SIM_ST_OK, "after the reset: read");
	tap_is(sum, 0, "after the reset: zeros");
	rig_both_ways(&t->user.sim[0], &t->scratch, 9, "after the reset");
	must(vfio_bus_master(&t->owner.vfio[0], true));
	must(sim_up(&t->owner.sim[0], &t->owner.vfio[0], NULL));
	rig_same(&t->scratch, 10, "the owner is up again");
}

/* Revoked and given back under DMA: each access finds the BAR, or is told that there is none. */
static void check_under_dma(struct bench *t)
{
	struct dma dma;
	unsigned int i;

	simbuf_fill(&t->scratch, 0, MEM_PAGE, 11);
	dma_start_both(&dma, &t->user.sim[0], &t->scratch, 11);
	for (i = 0; i < 60; i++) {
		owner_memory(t, i & 1);
		if (!(i % 6) || i == 59)
			dma_wait_rounds(&dma, 2);
	}
	dma_stop(&dma);
	dma_describe(&dma);
	tap_ok(dma.status[IOPF_SIM_ST_OK] && dma.status[IOPF_SIM_ST_INVALID],
	       "under DMA: both with and without the BAR");
	for (i = 0; i < ARRAY_SIZE(dma.status); i++)
		if (i != IOPF_SIM_ST_OK && i != IOPF_SIM_ST_INVALID)
			tap_is(dma.status[i], 0, "under DMA: nothing ends with %s",
			       sim_status_name(i));
	rig_same(&t->scratch, 11, "under DMA");
}

/* A range with both in it: memory and, in its middle, the BAR. */
static void check_amid(struct bench *t)
{
	struct simbuf all = { mem_anon(3 * MEM_PAGE), IOVA + 64 * MiB, 3 * MEM_PAGE };
	struct vfio_dev *d = &t->owner.vfio[0];
	void *bar;

	bar = mmap((char *)all.va + MEM_PAGE, MEM_PAGE, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED, d->fd, SCRATCH);
	must_be(bar != MAP_FAILED);
	rig_map(&t->user, &all);
	rig_both_ways(&t->user.sim[0], &all, 20, "a range with the BAR in its middle");
	if (!rig_stock()) {
		owner_memory(t, false);
		rig_status_is(sim_write(&t->user.sim[0], &all, 0, MEM_PAGE, 22, NULL),
			      IOPF_SIM_ST_OK, "before it");
		rig_status_is(sim_write(&t->user.sim[0], &all, MEM_PAGE, MEM_PAGE, 22, NULL),
			      IOPF_SIM_ST_INVALID, "revoked");
		rig_status_is(sim_write(&t->user.sim[0], &all, 2 * MEM_PAGE, MEM_PAGE, 22, NULL),
			      IOPF_SIM_ST_OK, "after it");
		owner_memory(t, true);
		tap_is(simbuf_differs(&all, 0, MEM_PAGE, 22) +
		       simbuf_differs(&all, MEM_PAGE, MEM_PAGE, 21) +
		       simbuf_differs(&all, 2 * MEM_PAGE, MEM_PAGE, 22), 0,
		       "the accessible part was written");
	}
	rig_unmap(&t->user, &all);
	mem_unmap(all.va, all.len);
}

/*
 * For a device that may not fault the BAR is mapped for good, as under stock type1, and not
 * charged: it is no memory.
 */
static void check_pinned(struct bench *t)
{
	struct simbuf more = { t->scratch.va, IOVA + 96 * MiB, MEM_PAGE };
	int err = iopf_enable(rig_bdf(0), false);

	if (!tap_errno_is(err, 0, "demand paging off: with the BAR mapped"))
		return;
	tap_is(leaves(), t->bar.len / MEM_PAGE, "demand paging off: all is mapped");
	tap_is(mem_status_kb(0, "VmLck"), 0, "demand paging off: nothing is charged");
	rig_both_ways(&t->user.sim[0], &t->scratch, 30, "demand paging off");
	tap_errno_is(vfio_map(&t->user.c, more.va, more.iova, more.len), 0,
		     "demand paging off: the BAR is mapped once more");
	rig_both_ways(&t->user.sim[0], &more, 32, "demand paging off: there");
	must(vfio_unmap(&t->user.c, more.iova, more.len));
	must(iopf_enable(rig_bdf(0), true));
	rig_both_ways(&t->user.sim[0], &t->scratch, 34, "demand paging on again");
	owner_memory(t, false);
	revoked(t, "demand paging on again");
	owner_memory(t, true);
}

/* The backend's worker maps it again, at the latest a second after the owner has given it back. */
static void mapped_again(uint64_t pages, const char *what)
{
	unsigned int naps;

	for (naps = 0; leaves() < pages && naps < 1000; naps++)
		usleep(10000);
	tap_is(leaves(), pages, "%s: all is mapped again, without a fault", what);
}

/*
 * Revoked while devices may not fault: they lose it at once all the same, and as they can't
 * ask for it, it comes back by itself.
 */
static void check_pinned_revoked(struct bench *t)
{
	uint64_t pages = t->bar.len / MEM_PAGE, faults;
	struct simbuf mem = { mem_anon(MEM_PAGE), IOVA + 96 * MiB, MEM_PAGE };
	struct simbuf more = { t->scratch.va, IOVA + 128 * MiB, MEM_PAGE };
	unsigned int i;

	rig_map(&t->user, &mem);
	must(iopf_enable(rig_bdf(0), false));
	owner_memory(t, false);
	tap_is(leaves(), 1, "pinned, then revoked: only memory is mapped");
	rig_status_is(sim_write(&t->user.sim[0], &t->scratch, 0, MEM_PAGE, 0, NULL),
		      IOPF_SIM_ST_INVALID, "pinned, then revoked: write");
	tap_errno_is(vfio_map(&t->user.c, more.va, more.iova, more.len), -EFAULT,
		     "a revoked BAR can't be mapped for a device that may not fault");
	rig_both_ways(&t->user.sim[0], &mem, 50, "pinned, then revoked: memory");
	owner_memory(t, true);
	mapped_again(pages + 1, "given back");
	faults = iopf_count(rig_bdf(0), "faults");
	rig_both_ways(&t->user.sim[0], &t->scratch, 52, "given back");
	tap_is(iopf_count(rig_bdf(0), "faults"), faults, "given back: no faults");

	/* It may be mapped for a short time, or never. */
	for (i = 0; i < 20; i++)
		owner_memory(t, i & 1);
	mapped_again(pages + 1, "revoked and given back 10 times");
	owner_memory(t, false);
	must(iopf_enable(rig_bdf(0), true));
	tap_errno_is(iopf_enable(rig_bdf(0), false), -EFAULT,
		     "while it is revoked a device can't be told not to fault");
	rig_both_ways(&t->user.sim[0], &mem, 54, "nothing has changed: memory");
	revoked_but(t, 1, "nothing has changed");
	owner_memory(t, true);
	rig_both_ways(&t->user.sim[0], &t->scratch, 56, "demand paging on, given back");
	rig_unmap(&t->user, &mem);
	mem_unmap(mem.va, mem.len);
}

/* A device that can't fault joins and leaves. The BAR is revoked before or meanwhile. */
static void check_pinner(struct bench *t)
{
	uint64_t pages = t->bar.len / MEM_PAGE;
	struct vfio_dev vfio;
	struct simdev sim;

	must(iopf_enable(rig_bdf(2), false));
	owner_memory(t, false);
	tap_errno_is(vfio_dev_open(&vfio, &t->user.c, rig_bdf(2), VFIO_TYPE1v2_IOMMU), -EFAULT,
		     "a device that can't fault does not join while the BAR is revoked");
	revoked(t, "it has not joined");
	owner_memory(t, true);
	rig_both_ways(&t->user.sim[0], &t->scratch, 60, "it has not joined: given back");

	must(vfio_dev_open(&vfio, &t->user.c, rig_bdf(2), VFIO_TYPE1v2_IOMMU));
	must(sim_up(&sim, &vfio, NULL));
	tap_is(leaves(), pages, "joined: all is mapped");
	tap_is(mem_status_kb(0, "VmLck"), 0, "joined: nothing is charged");
	rig_both_ways(&sim, &t->scratch, 62, "joined: the device that can't fault");
	rig_both_ways(&t->user.sim[0], &t->scratch, 64, "joined: the one that can");
	owner_memory(t, false);
	tap_is(leaves(), 0, "joined, then revoked: nothing is mapped");
	tap_ok(sim_write(&sim, &t->scratch, 0, MEM_PAGE, 0, NULL) != IOPF_SIM_ST_OK,
	       "joined, then revoked: no access");
	owner_memory(t, true);
	mapped_again(pages, "joined, given back");
	rig_both_ways(&sim, &t->scratch, 66, "joined, given back");
	vfio_dev_close(&vfio);
	rig_both_ways(&t->user.sim[0], &t->scratch, 68, "left");
	owner_memory(t, false);
	revoked(t, "left, then revoked");
	owner_memory(t, true);
	must(iopf_enable(rig_bdf(2), true));
}

/* Checks the pinned amount, including device memory, and how much of it is charged. */
static void held(uint64_t pinned, size_t charged, const char *what)
{
	tap_is(policy_count(rig_bdf(0), "pinned"), pinned, "%s: bytes held", what);
	policy_charged_is(charged, what);
}

/* Only @others is mapped. The check gives the backend time for retries. */
static void stays_away(uint64_t others, const char *what)
{
	unsigned int naps;

	for (naps = 0; naps < 150 && leaves() == others; naps++)
		usleep(10000);
	tap_is(leaves(), others, "%s: does not come by itself", what);
}

static void no_faults(struct bench *t, const struct simbuf *b, uint64_t seed, const char *what)
{
	uint64_t requests = sim_count(rig_bdf(0), "requests");

	rig_both_ways(&t->user.sim[0], b, seed, what);
	tap_is(sim_count(rig_bdf(0), "requests"), requests, "%s: no faults", what);
}

static void check_policy(struct bench *t)
{
	uint64_t pages = t->bar.len / MEM_PAGE;
	struct vfio_container *c = &t->user.c;
	struct vfio_iopf_policy p;

	must(vfio_reset(&t->owner.vfio[0]));
	tap_is(leaves(), 0, "policy: nothing is mapped");
	must(policy_set(c, t->bar.iova, t->bar.len, VFIO_IOPF_POLICY_PIN));
	tap_is(leaves(), pages, "pinned by policy: all is mapped");
	held(t->bar.len, 0, "pinned by policy");
	no_faults(t, &t->scratch, 70, "pinned by policy");

	owner_memory(t, false);
	held(0, 0, "pinned by policy, revoked");
	revoked(t, "pinned by policy, revoked");
	tap_errno_is(policy_set(c, t->scratch.iova, MEM_PAGE, VFIO_IOPF_POLICY_PIN), -EFAULT,
		     "pinned by policy, revoked: it can't be pinned");
	owner_memory(t, true);
	mapped_again(pages, "pinned by policy, given back");
	held(t->bar.len, 0, "pinned by policy, given back");
	no_faults(t, &t->scratch, 72, "pinned by policy, given back");

	/* Another policy while it is not there: nobody brings it back. */
	owner_memory(t, false);
	must(policy_set(c, t->bar.iova, t->bar.len, VFIO_IOPF_POLICY_FAULT));
	owner_memory(t, true);
	stays_away(0, "policy fault, given back");
	rig_both_ways(&t->user.sim[0], &t->scratch, 74, "policy fault, given back");

	/* An absent BAR can't be pinned, and is not pinned when it comes back. */
	owner_memory(t, false);
	tap_errno_is(policy_set(c, t->bar.iova, t->bar.len, VFIO_IOPF_POLICY_PIN), -EFAULT,
		     "revoked: it can't be pinned by policy");
	must(policy_get(c, t->bar.iova, &p));
	tap_ok(p.policy == VFIO_IOPF_POLICY_FAULT && p.size == t->bar.len,
	       "revoked: the policy has not changed");
	owner_memory(t, true);
	stays_away(0, "not pinned, given back");
	held(0, 0, "not pinned, given back");
	must(policy_set(c, t->bar.iova, t->bar.len, VFIO_IOPF_POLICY_DEFAULT));
}

static void check_lock(struct bench *t)
{
	uint64_t pages = t->bar.len / MEM_PAGE, unexpected, id;
	struct simdev *sim = &t->user.sim[0];
	const char *bdf = rig_bdf(0);

	must(policy_lock(&t->user.c, t->bar.iova, t->bar.len, 0, &id));
	tap_is(leaves(), pages, "locked: all is mapped");
	held(t->bar.len, 0, "locked");
	no_faults(t, &t->scratch, 76, "locked");
	unexpected = iopf_count(bdf, "unexpected_locked");
	rig_status_is(sim_ask(sim, &t->scratch, 0, MEM_PAGE), IOPF_SIM_ST_OK, "locked: asked for");
	tap_is(iopf_count(bdf, "unexpected_locked"), unexpected + 1, "locked: it is unexpected");
	owner_memory(t, false);
	tap_is(leaves(), 0, "locked, revoked: nothing is mapped");
	rig_status_is(sim_write(sim, &t->scratch, 0, MEM_PAGE, 0, NULL), IOPF_SIM_ST_INVALID,
		      "locked, revoked: write");
	tap_errno_is(policy_lock(&t->user.c, t->scratch.iova, MEM_PAGE, 0, &id), -EFAULT,
		     "locked, revoked: not once more");
	owner_memory(t, true);
	/* By that or by itself, whatever is first. */
	rig_both_ways(sim, &t->scratch, 78, "locked, given back");
	mapped_again(pages, "locked, given back");
	held(t->bar.len, 0, "locked, given back");
	must(policy_unlock(&t->user.c, id, 0));
	held(0, 0, "unlocked");
	owner_memory(t, false);
	revoked(t, "unlocked");
	owner_memory(t, true);
	stays_away(0, "unlocked");
}

/* A range of memory and, in its middle, the BAR, held as a whole. */
static void check_held_amid(struct bench *t)
{
	struct simbuf all = { mem_anon(3 * MEM_PAGE), IOVA + 64 * MiB, 3 * MEM_PAGE };
	struct simbuf ends[2] = { all, all };
	struct vfio_dev *d = &t->owner.vfio[0];
	void *bar;
	unsigned int i;

	ends[0].len = MEM_PAGE;
	ends[1].va = (char *)all.va + 2 * MEM_PAGE;
	ends[1].iova += 2 * MEM_PAGE;
	ends[1].len = MEM_PAGE;
	bar = mmap((char *)all.va + MEM_PAGE, MEM_PAGE, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED, d->fd, SCRATCH);
	must_be(bar != MAP_FAILED);
	owner_memory(t, false);
	tap_errno_is(policy_map(&t->user.c, &all, VFIO_IOPF_POLICY_PIN), -EFAULT,
		     "amid, revoked: not mapped with a policy");
	tap_is(leaves(), 0, "amid, revoked: nothing is mapped");
	policy_charged_is(0, "amid, revoked");
	owner_memory(t, true);
	must(policy_map(&t->user.c, &all, VFIO_IOPF_POLICY_PIN));
	tap_is(leaves(), 3, "amid: all is mapped");
	held(3 * MEM_PAGE, 2 * MEM_PAGE, "amid");
	no_faults(t, &all, 80, "amid");
	owner_memory(t, false);
	tap_is(leaves(), 2, "amid, revoked: memory is mapped");
	held(2 * MEM_PAGE, 2 * MEM_PAGE, "amid, revoked");
	no_faults(t, &ends[0], 82, "amid, revoked: before it");
	no_faults(t, &ends[1], 82, "amid, revoked: after it");
	owner_memory(t, true);
	mapped_again(3, "amid, given back");
	no_faults(t, &all, 84, "amid, given back");

	/* Unmapped by the device's container, and by the process, while it is not there. */
	for (i = 0; i < 3; i++) {
		owner_memory(t, false);
		must(vfio_unmap(&t->user.c, all.iova, all.len));
		tap_is(leaves(), 0, "amid, unmapped while it is revoked: nothing is mapped");
		policy_charged_is(0, "amid, unmapped while it is revoked");
		owner_memory(t, true);
		must(policy_map(&t->user.c, &all, VFIO_IOPF_POLICY_PIN));
		tap_is(leaves(), 3, "amid, mapped once more");
	}
	must_sys(munmap(bar, MEM_PAGE));
	tap_is(leaves(), 2, "amid, the process has let go of the BAR");
	stays_away(2, "amid, the process has let go of the BAR");
	held(2 * MEM_PAGE, 2 * MEM_PAGE, "amid, the process has let go of the BAR");
	tap_errno_is(policy_set(&t->user.c, all.iova, all.len, VFIO_IOPF_POLICY_PIN), -EFAULT,
		     "amid, the process has let go of the BAR: not to be pinned any more");
	must(vfio_unmap(&t->user.c, all.iova, all.len));
	tap_is(leaves(), 0, "amid, unmapped: nothing is mapped");
	policy_charged_is(0, "amid, unmapped");
	mem_unmap(ends[0].va, MEM_PAGE);
	mem_unmap(ends[1].va, MEM_PAGE);
}

struct churn {
	struct bench *t;
	bool stop;
};

/* The owner revokes the BAR and grants it again, until it is stopped. */
static void *churn_owner(void *arg)
{
	struct churn *ch = arg;
	unsigned int i;

	for (i = 0; !__atomic_load_n(&ch->stop, __ATOMIC_RELAXED) || i & 1; i++)
		owner_memory(ch->t, i & 1);
	return NULL;
}

/* Policies and locks change while the owner revokes the BAR and the device does DMA. */
static void check_held_race(struct bench *t)
{
	struct churn ch = { .t = t };
	struct vfio_container *c = &t->user.c;
	unsigned int i, done = 0, refused = 0;
	int err, wrong = 0;
	pthread_t thread;
	struct dma dma;
	uint64_t id;

	simbuf_fill(&t->scratch, 0, MEM_PAGE, 90);
	dma_start_both(&dma, &t->user.sim[0], &t->scratch, 90);
	must_be(!pthread_create(&thread, NULL, churn_owner, &ch));
	for (i = 0; i < 200; i++) {
		if (i % 2)
			err = policy_set(c, t->bar.iova, t->bar.len, VFIO_IOPF_POLICY_PIN);
		else
			err = policy_lock(c, t->scratch.iova, MEM_PAGE, 0, &id);
		done += !err;
		refused += err == -EFAULT;
		if (err && err != -EFAULT)
			wrong = wrong ?: err;
		if (!err && i % 2)
			err = policy_set(c, t->bar.iova, t->bar.len, VFIO_IOPF_POLICY_DEFAULT);
		else if (!err)
			err = policy_unlock(c, id, 0);
		if (err && err != -EFAULT)
			wrong = wrong ?: err;
	}
	__atomic_store_n(&ch.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	dma_stop(&dma);
	dma_describe(&dma);
	tap_diag("race: held %u times, not there %u times", done, refused);
	tap_errno_is(wrong, 0, "race: done, or refused because it was not there");
	held(0, 0, "race: in the end nothing is held");
	rig_both_ways(&t->user.sim[0], &t->scratch, 92, "race: in the end");
	for (i = 0; i < ARRAY_SIZE(dma.status); i++)
		if (i != IOPF_SIM_ST_OK && i != IOPF_SIM_ST_INVALID)
			tap_is(dma.status[i], 0, "race: nothing ends with %s", sim_status_name(i));
	owner_memory(t, false);
	revoked(t, "race: in the end");
	owner_memory(t, true);
}

/* The process takes its own mapping of the BAR away. */
static void check_munmap(struct bench *t)
{
	struct vfio_dev *d = &t->owner.vfio[0];

	rig_both_ways(&t->user.sim[0], &t->scratch, 40, "before the BAR is unmapped");
	vfio_dev_unmap_bar(d);
	revoked(t, "the BAR is not mapped by the process");
}

static void bench_open(struct bench *t)
{
	rig_open_at(&t->user, 0, 1, VFIO_TYPE1v2_IOMMU);
	rig_open_at(&t->owner, 1, 1, VFIO_TYPE1v2_IOMMU);
	t->bar = (struct simbuf){ (void *)t->owner.vfio[0].bar, IOVA, t->owner.vfio[0].bar_size };
	t->scratch = (struct simbuf){ (char *)t->bar.va + SCRATCH, IOVA + SCRATCH, MEM_PAGE };
}

int main(void)
{
	struct bench t;

	rig_load("devices=3", rig_stock() ? NULL : "");
	bench_open(&t);
	tap_errno_is(vfio_map(&t.user.c, t.bar.va, t.bar.iova, t.bar.len), 0, "the BAR is mapped");
	check_data(&t);
	check_permission(&t);
	check_amid(&t);
	if (!rig_stock()) {
		check_decoding(&t);
		check_reset(&t);
		check_under_dma(&t);
		check_pinned(&t);
		check_pinned_revoked(&t);
		check_pinner(&t);
		check_policy(&t);
		check_lock(&t);
		check_held_amid(&t);
		check_held_race(&t);
		must(vfio_bus_master(&t.owner.vfio[0], true));
		must(sim_up(&t.owner.sim[0], &t.owner.vfio[0], NULL));
		check_munmap(&t);
	}
	tap_errno_is(vfio_unmap(&t.user.c, t.bar.iova, t.bar.len), 0, "unmapped");
	rig_clean(&t.user);
	rig_clean(&t.owner);
	rig_close(&t.user);
	rig_close(&t.owner);
	rig_balanced();
	return tap_done();
}
