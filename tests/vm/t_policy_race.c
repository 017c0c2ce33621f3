// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policies, locks and the container's default change at random, while two devices use the memory.
 * Meanwhile threads take the memory away: by MADV_DONTNEED, mprotect(), fork(), collapsing,
 * UNMAP_DMA and MAP_DMA, some of it with a policy.
 *
 * Each buffer has a rule. No thread drops buffer A. A device writes and verifies it again and
 * again, and never finds a wrong word or an error. Buffers B and C have one pattern: each word is
 * the pattern's, or zero.
 *
 * vm: --mem 1024
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dma.h"
#include "policy.h"
#include "rig.h"

#define LEN	(4 * MiB)
#define FLIPS	300
#define SEED	77

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* A: never dropped; B: dropped and protected; C: unmapped and mapped again. */
static struct simbuf a = { .iova = RIG_IOVA, .len = LEN };
static struct simbuf b = { .iova = RIG_IOVA + LEN, .len = LEN };
static struct simbuf c = { .iova = RIG_IOVA + 2 * LEN, .len = LEN };

static struct rig rig;
static bool stop;

static bool stopped(void)
{
	return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static uint64_t pages_at(unsigned int *seed, uint64_t *size)
{
	uint64_t page = (unsigned int)rand_r(seed) % (3 * LEN / MEM_PAGE);
	uint64_t n = 1 + (unsigned int)rand_r(seed) % (LEN / MEM_PAGE);

	*size = (page + n > 3 * LEN / MEM_PAGE ? 3 * LEN / MEM_PAGE - page : n) * MEM_PAGE;
	return RIG_IOVA + page * MEM_PAGE;
}

/**
 * struct flipper - a thread that changes policies
 * @seed: of its random choices
 * @done: calls that succeeded
 * @failed: calls that failed with an error that may be: something was absent
 * @wrong: an error that must not be, or 0
 */
struct flipper {
	unsigned int seed;
	unsigned int done;
	unsigned int failed;
	int wrong;
};

static int flip(unsigned int *seed)
{
	static const char * const defaults[] = { "fault", "prefault", "pin", "device" };
	struct vfio_iopf_policy p;
	uint64_t size, iova = pages_at(seed, &size), id;
	int ret;

	switch (rand_r(seed) % 8) {
	case 0:
		return policy_default(rig.vfio[0].bdf, defaults[rand_r(seed) % 4]);
	case 1:
		ret = policy_get(&rig.c, iova, &p);
		return ret ?: p.effective ? 0 : -ERANGE;
	case 2:
	case 3:
		ret = policy_lock(&rig.c, iova, size, 0, &id);
		if (ret)
			return ret;
		/* Some locks stay until their memory is unmapped. */
		return rand_r(seed) % 8 && policy_unlock(&rig.c, id, 0) == -EINVAL ? -ERANGE : 0;
	default:
		return policy_set(&rig.c, iova, size, (uint32_t)rand_r(seed) % 4);
	}
}

static void *flipper_run(void *arg)
{
	struct flipper *f = arg;
	unsigned int i;

	for (i = 0; i < FLIPS && !f->wrong; i++) {
		int ret = flip(&f->seed);

		if (!ret)
			f->done++;
		else if (ret == -ENOENT || ret == -EFAULT || ret == -ENOSPC || ret == -EBUSY)
			f->failed++;
		else
			f->wrong = ret;
	}
	return NULL;
}

/* The host takes memory away. A keeps its content. */
static void *taker_run(void *arg)
{
	unsigned int seed = 3, rounds = 0;

	while (!stopped()) {
		size_t off = (unsigned int)rand_r(&seed) % (LEN / MEM_PAGE) * MEM_PAGE;
		size_t len = LEN - off < MiB ? LEN - off : MiB;
		pid_t pid;

		switch (rand_r(&seed) % 6) {
		case 0:
			must_sys(mprotect((char *)b.va + off, len, PROT_READ));
			must_sys(mprotect((char *)b.va + off, len, PROT_READ | PROT_WRITE));
			break;
		case 1:
			/* It may fail. */
			madvise((char *)a.va + (off & ~(MEM_HUGE - 1)), MEM_HUGE, MADV_COLLAPSE);
			break;
		case 2:
			pid = must_sys(fork());
			if (!pid)
				_exit(0);
			must_sys(waitpid(pid, NULL, 0));
			break;
		default:
			must_sys(madvise((char *)b.va + off, len, MADV_DONTNEED));
		}
		rounds++;
	}
	*(unsigned int *)arg = rounds;
	return NULL;
}

static void *mapper_run(void *arg)
{
	unsigned int seed = 4, rounds = 0;

	while (!stopped()) {
		unsigned int spins = 0;

		/* The policy may pin all of it. */
		must(vfio_unmap(&rig.c, c.iova, c.len));
		must(rand_r(&seed) % 2 ? vfio_map(&rig.c, c.va, c.iova, c.len)
				       : policy_map(&rig.c, &c, (uint32_t)rand_r(&seed) % 4));
		sim_nap(&spins);
		rounds++;
	}
	*(unsigned int *)arg = rounds;
	return NULL;
}

/* Returns the number of words that are neither the pattern's nor zero. */
static size_t wrong_words(const struct simbuf *buf)
{
	const uint64_t *word = buf->va;
	size_t i, bad = 0;

	for (i = 0; i < buf->len / 8; i++)
		bad += word[i] && word[i] != iopf_sim_word(SEED, i * 8);
	return bad;
}

/* Changes policies until all changes are done, while threads take the memory away. */
static void change(struct flipper flipper[2], struct dma *kept)
{
	unsigned int taken = 0, mapped = 0, i;
	pthread_t flips[2], taker, mapper;

	must_be(!pthread_create(&taker, NULL, taker_run, &taken));
	must_be(!pthread_create(&mapper, NULL, mapper_run, &mapped));
	for (i = 0; i < 2; i++)
		must_be(!pthread_create(&flips[i], NULL, flipper_run, &flipper[i]));
	for (i = 0; i < 2; i++)
		pthread_join(flips[i], NULL);
	dma_wait_rounds(kept, 1);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(taker, NULL);
	pthread_join(mapper, NULL);
	tap_diag("%u times memory was taken away, %u times unmapped and mapped", taken, mapped);
}

static void check_race(void)
{
	struct flipper flipper[2] = { { .seed = 1 }, { .seed = 2 } };
	struct iopf_sim_cmd cmds[2];
	struct dma kept, loose;
	uint64_t bad;

	cmds[0] = sim_cmd(IOPF_SIM_OP_WRITE, &b, 0, LEN, SEED);
	cmds[1] = sim_cmd(IOPF_SIM_OP_WRITE, &c, 0, LEN, SEED);
	dma_start_both(&kept, &rig.sim[0], &a, SEED + 1);
	dma_start(&loose, &rig.sim[1], cmds, 2);
	change(flipper, &kept);
	tap_is(dma_stop(&kept), 0, "A is right all the time");
	dma_describe(&kept);
	bad = dma_stop(&loose);
	tap_is(bad - loose.status[IOPF_SIM_ST_INVALID], 0,
	       "each write to B and C succeeds or is refused");
	dma_describe(&loose);
	for (unsigned int i = 0; i < 2; i++) {
		tap_errno_is(flipper[i].wrong, 0, "changes succeed, or fail as they may");
		tap_ok(flipper[i].done > FLIPS / 4, "%u changes succeeded, %u failed",
		       flipper[i].done, flipper[i].failed);
	}
	tap_is(wrong_words(&b), 0, "B: the pattern or zero");
	tap_is(wrong_words(&c), 0, "C: the pattern or zero");
}

/* Pins everything. Then the charges and the data must be right. */
static void check_end(void)
{
	must(policy_default(rig.vfio[0].bdf, "fault"));
	/* MADV_DONTNEED of a pinned page gives the CPU another page than the device. */
	rig_unmap(&rig, &b);
	rig_map(&rig, &b);
	must(policy_set(&rig.c, RIG_IOVA, 3 * LEN, VFIO_IOPF_POLICY_PIN));
	tap_is(policy_locked_kb(), 3 * LEN / 1024, "at the end all is pinned and charged");
	rig_both_ways(&rig.sim[1], &b, 91, "at the end");
	rig_unmap(&rig, &a);
	rig_unmap(&rig, &b);
	rig_unmap(&rig, &c);
	tap_is(policy_locked_kb(), 0, "unmapped: nothing is charged");
}

int main(void)
{
	rig_backend_only();
	rig_open(&rig, 2, VFIO_TYPE1v2_IOMMU);
	a.va = mem_thp(LEN);
	b.va = mem_anon(LEN);
	c.va = mem_anon(LEN);
	rig_map(&rig, &a);
	rig_map(&rig, &b);
	rig_map(&rig, &c);
	check_race();
	check_end();
	rig_clean(&rig);
	rig_close(&rig);
	rig_balanced();
	tap_errno_is(rig_unload_soon(), 0, "the modules can be unloaded");
	return tap_done();
}
