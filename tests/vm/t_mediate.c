// SPDX-License-Identifier: GPL-2.0-only
/*
 * The interface for kernel drivers that know where their device does not fault. A test module uses
 * it. Ranges that it locks are pinned, now and when they are mapped again. A mediator is enough
 * for a selective device. The mediator may come and go at any time: before the device is attached,
 * while it does DMA, after it has left.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <sys/mman.h>

#include "dma.h"
#include "policy.h"
#include "rig.h"

#define LEN	(8 * MiB)
#define COMMAND	"/sys/kernel/debug/iopf_mediator/command"

static int come(unsigned int n)
{
	return mem_write_file(COMMAND, "mediate %s", rig_bdf(n));
}

static int leave(void)
{
	return mem_write_file(COMMAND, "unmediate");
}

static int lock_range(uint64_t iova, uint64_t size)
{
	return mem_write_file(COMMAND, "lock 0x%llx 0x%llx", (unsigned long long)iova,
			      (unsigned long long)size);
}

static int unlock_range(uint64_t iova, uint64_t size)
{
	return mem_write_file(COMMAND, "unlock 0x%llx 0x%llx", (unsigned long long)iova,
			      (unsigned long long)size);
}

static void check_detached(void)
{
	tap_errno_is(come(0), 0, "a mediator of a device that is not in use");
	tap_errno_is(lock_range(RIG_IOVA, MEM_PAGE), -ENODEV, "it has nothing to lock");
	tap_errno_is(unlock_range(RIG_IOVA, MEM_PAGE), -ENOENT, "there is nothing to unlock");
	tap_errno_is(leave(), 0, "and goes");
}

static void check_locks(struct rig *r, const struct simbuf *b)
{
	const char *bdf = r->vfio[0].bdf;
	uint64_t requests, unexpected;

	policy_charged_is(LEN, "a selective device without a mediator");
	must(come(0));
	policy_charged_is(0, "with one");
	tap_errno_is(lock_range(b->iova + MiB + 7, MiB - 9), 0, "it locks a range");
	policy_charged_is(MiB, "whole pages");
	tap_errno_is(lock_range(b->iova + MiB, MiB), 0, "once more");
	tap_errno_is(lock_range(b->iova + MiB / 2, MiB), 0, "another range that overlaps");
	policy_charged_is(3 * MiB / 2, "each page once");
	tap_errno_is(lock_range(b->iova, 0), -EINVAL, "nothing");
	tap_errno_is(lock_range(b->iova, -b->iova + 1), -EINVAL, "beyond the end");

	rig_both_ways(&r->sim[0], b, 1, "locked");
	requests = sim_count(bdf, "requests");
	must_be(sim_touch(&r->sim[0], b, MiB / 2, 3 * MiB / 2, NULL) == IOPF_SIM_ST_OK);
	tap_is(sim_count(bdf, "requests"), requests, "no fault on locked memory");
	unexpected = iopf_count(bdf, "unexpected_locked");
	rig_status_is(sim_ask(&r->sim[0], b, MiB, 4 * MEM_PAGE), IOPF_SIM_ST_OK, "asked for there");
	tap_is(iopf_count(bdf, "unexpected_locked"), unexpected + 4, "each is unexpected");

	tap_errno_is(unlock_range(b->iova + MiB, MiB), 0, "unlocked once");
	policy_charged_is(3 * MiB / 2, "unlocked once");
	tap_errno_is(unlock_range(b->iova + MiB, MiB), 0, "unlocked twice");
	tap_errno_is(unlock_range(b->iova + MiB, MiB), -ENOENT, "not three times");
	tap_errno_is(unlock_range(b->iova + MiB / 2, MiB / 2), -ENOENT, "not in part");
	policy_charged_is(MiB, "the other is left");
}

/* A locked range is also pinned if it is mapped later. It may be without a mapping. */
static void check_mapping(struct rig *r, const struct simbuf *b)
{
	rig_unmap(r, b);
	policy_charged_is(0, "unmapped");
	rig_map(r, b);
	policy_charged_is(MiB, "mapped anew: locked still");
	must(unlock_range(b->iova + MiB / 2, MiB));
	policy_charged_is(0, "unlocked");
	must(lock_range(b->iova + LEN - MEM_PAGE, 2 * MEM_PAGE));
	policy_charged_is(MEM_PAGE, "a part of it is not mapped");
	must_sys(munmap((char *)b->va + LEN - MEM_PAGE, MEM_PAGE));
	rig_unmap(r, b);
	tap_errno_is(vfio_map(&r->c, b->va, b->iova, LEN), -EFAULT, "no memory, no mapping");
	must_be(mmap((char *)b->va + LEN - MEM_PAGE, MEM_PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	rig_map(r, b);
	must(unlock_range(b->iova + LEN - MEM_PAGE, 2 * MEM_PAGE));
	policy_charged_is(0, "unlocked");
}

/* The mediator leaves while its device is in use: all is pinned again, or its locks stay. */
static void check_leaving(struct rig *r, const struct simbuf *b)
{
	must(lock_range(b->iova, MiB));
	must(leave());
	policy_charged_is(LEN, "the mediator has left: all is pinned");
	rig_both_ways(&r->sim[0], b, 3, "it has gone");
	must(come(0));
	policy_charged_is(0, "another has come");
	must(lock_range(b->iova, MiB));
	must_sys(munmap((char *)b->va + 4 * MiB, MEM_PAGE));
	must(leave());
	policy_charged_is(MiB, "the mediator has left, not all can be pinned: its locks stay");
	rig_status_is(sim_write(&r->sim[0], b, 0, MiB, 5, NULL), IOPF_SIM_ST_OK,
		      "the device works on");
	tap_errno_is(come(0), -EBUSY, "no other can come before the device has left");
}

struct churn {
	struct simbuf b;
	bool stop;
	unsigned int rounds;
	int wrong;
};

/* Locks and unlocks, comes and goes, whether the device is attached or not. */
static void *churn_run(void *arg)
{
	struct churn *ch = arg;
	unsigned int seed = 5;

	while (!__atomic_load_n(&ch->stop, __ATOMIC_RELAXED)) {
		uint64_t iova = ch->b.iova + (unsigned int)rand_r(&seed) % 512 * MEM_PAGE;
		int ret = come(0);

		if (!ret)
			ret = lock_range(iova, 64 * MEM_PAGE);
		if (!ret && rand_r(&seed) % 2)
			ret = unlock_range(iova, 64 * MEM_PAGE);
		if (ret && ret != -ENODEV && ret != -ENOENT)
			ch->wrong = ret;
		ret = leave();
		if (ret)
			ch->wrong = ret;
		ch->rounds++;
	}
	return NULL;
}

/* Against DMA, mapping, and attaching and detaching. */
static void check_race(void)
{
	struct churn ch = { .b = { mem_anon(LEN), RIG_IOVA, LEN } };
	unsigned int i, bad = 0;
	pthread_t thread;

	must_be(!pthread_create(&thread, NULL, churn_run, &ch));
	for (i = 0; i < 8; i++) {
		struct dma dma;
		struct rig r;

		rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
		rig_map(&r, &ch.b);
		dma_start_both(&dma, &r.sim[0], &ch.b, 9);
		dma_wait_rounds(&dma, 3);
		bad += dma_stop(&dma) != 0;
		rig_unmap(&r, &ch.b);
		rig_map(&r, &ch.b);
		rig_clean(&r);
		rig_close(&r);
	}
	__atomic_store_n(&ch.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	tap_is(bad, 0, "a mediator comes and goes while its device is used and left: data right");
	tap_errno_is(ch.wrong, 0, "%u times, with the errors there may be", ch.rounds);
	policy_charged_is(0, "after all that");
	mem_unmap(ch.b.va, LEN);
}

int main(void)
{
	struct simbuf b = { .iova = RIG_IOVA, .len = LEN };
	struct rig r;

	rig_backend_only();
	rig_load("", "");
	must_be(!system("insmod /iopf/modules/iopf_mediator.ko"));
	must(policy_mode(rig_bdf(0), "selective"));
	check_detached();

	b.va = mem_anon(LEN);
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	rig_map(&r, &b);
	check_locks(&r, &b);
	check_mapping(&r, &b);
	check_leaving(&r, &b);
	rig_clean(&r);
	rig_close(&r);
	policy_charged_is(0, "closed");
	rig_balanced();
	tap_errno_is(come(0), 0, "the device has left: another may come");
	must(leave());
	check_race();
	rig_balanced();
	tap_errno_is(rig_unload_soon(), 0, "the modules can be unloaded");
	return tap_done();
}
