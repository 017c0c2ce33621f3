// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stress: two devices do DMA without pause while their memory is dropped, punched, swapped out,
 * moved between sizes of pages, forked, protected, unmapped and mapped, merged, and pinned and
 * released by the enable flag, and while the process is killed and started again.
 *
 * A supervisor (main) starts the worker process, lets each of its threads get something done,
 * kills it at a random moment, sees that nothing is left mapped, and starts the next one, for
 * as many seconds as the kernel's command line says (iopf.stress=SECONDS; 30 without).
 *
 * How data stays verifiable. Each arena has one rule for what its words may be:
 *   KEPT     never dropped by anyone. One thread owns each half and writes it with a new seed in
 *            every round; it must read back exactly, by the device and by the CPU.
 *   DROPPED  is dropped page by page at any time. Its only pattern is the arena's: each word is
 *            the pattern's or zero, in memory and in what a device copies out of it.
 * An INVALID is right where the arena is being unmapped or protected, and nowhere else.
 *
 * Everything random comes from seeds; timing does not decide anything but how much is done.
 *
 * vm: --mem 768 --swap 512 --disk 256
 * also: zswap
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"

#define DEVICES		2
#define DEFAULT_SECONDS	30
#define ARENA		(4 * MiB)

/* Rounds of each thread before the worker may be killed: 1 to this, at random. */
#define MAX_ROUNDS	6

enum arena_kind {
	KEPT_ANON,
	KEPT_SHMEM,
	DROP_ANON,
	DROP_THP,
	DROP_SHMEM,
	FLAKY,		/* dropped, protected, unmapped from the container */
	SINK,		/* where devices copy to; each has its half */
	ARENAS,
};

#define THREADS		(DEVICES + 3)

/**
 * struct progress - what the supervisor sees of a worker; shared memory
 * @rounds: of each thread
 * @failed: something was wrong, and has been printed
 */
struct progress {
	uint64_t rounds[THREADS];
	bool failed;
};

/**
 * struct worker - the worker process
 * @r: container and devices
 * @b: the arenas
 * @fd: file behind an arena, if it has one
 * @p: shared with the supervisor
 * @life: number of the worker, for the seeds
 */
struct worker {
	struct rig r;
	struct simbuf b[ARENAS];
	int fd[ARENAS];
	struct progress *p;
	uint64_t life;
};

static struct worker w;

struct thread {
	unsigned int index;
	uint64_t rng;
};

static uint64_t rnd(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15ull;
	return iopf_sim_mix(*state);
}

static void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void fail(const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	__atomic_store_n(&w.p->failed, true, __ATOMIC_RELEASE);
	tap_diag("life %llu: %s", (unsigned long long)w.life, text);
}

static void done_round(const struct thread *t)
{
	__atomic_add_fetch(&w.p->rounds[t->index], 1, __ATOMIC_RELEASE);
}

/* Pattern of a DROPPED arena. */
static uint64_t arena_seed(enum arena_kind k)
{
	return 1000 + k;
}

/* Words in @va, a copy of [off, off + len), that are neither the arena's pattern nor zero. */
static size_t alien_words(enum arena_kind k, const void *va, size_t off, size_t len)
{
	const uint64_t *word = va;
	size_t i, n = 0;

	for (i = 0; i < len / 8; i++)
		n += word[i] && word[i] != iopf_sim_word(arena_seed(k), off + i * 8);
	return n;
}

static bool may_be_invalid(enum arena_kind k)
{
	return k == FLAKY;
}

/* Runs one command, with random habits of page requests. Reports an end that may not be. */
static int stress_run(struct thread *t, struct simdev *s, struct iopf_sim_cmd *cmd,
		      enum arena_kind k, const char *what)
{
	struct iopf_sim_cpl cpl;
	int status;

	cmd->prg_pages = (uint16_t)(1 + rnd(&t->rng) % 8);
	cmd->prg_depth = (uint16_t)(1 + rnd(&t->rng) % 8);
	status = sim_run(s, cmd, &cpl);
	if (status && !(status == IOPF_SIM_ST_INVALID && may_be_invalid(k)))
		fail("device %u, arena %u, %s: %s at 0x%llx, %llu mismatches", t->index, k, what,
		     sim_status_name((unsigned int)status), (unsigned long long)cpl.result,
		     (unsigned long long)cpl.mismatches);
	return status;
}

/* A page-aligned piece of @len bytes. */
static void piece(uint64_t *rng, size_t len, size_t *off, size_t *n)
{
	*off = rnd(rng) % (len / MEM_PAGE) * MEM_PAGE;
	*n = (1 + rnd(rng) % 128) * MEM_PAGE;
	if (*off + *n > len)
		*n = len - *off;
}

/* This device's half of a KEPT arena: written by the device or the CPU, read by the other. */
static void kept_round(struct thread *t, struct simdev *s, enum arena_kind k)
{
	struct simbuf *b = &w.b[k];
	size_t half = b->len / DEVICES, base = t->index * half, off, n;
	uint64_t seed = rnd(&t->rng);
	struct iopf_sim_cmd cmd;

	piece(&t->rng, half, &off, &n);
	off += base;
	cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, off, n, seed);
	if (rnd(&t->rng) & 1)
		simbuf_fill(b, off, n, seed);
	else if (stress_run(t, s, &cmd, k, "write"))
		return;
	cmd = sim_cmd(IOPF_SIM_OP_VERIFY, b, off, n, seed);
	if (rnd(&t->rng) & 1)
		sched_yield();
	stress_run(t, s, &cmd, k, "verify");
	if (simbuf_differs(b, off, n, seed))
		fail("device %u, arena %u: the CPU finds other data", t->index, k);
}

/* A piece of a DROPPED arena: written, and copied out to look at. */
static void dropped_round(struct thread *t, struct simdev *s, enum arena_kind k)
{
	struct simbuf *b = &w.b[k], *sink = &w.b[SINK];
	size_t off, n, at = t->index * (sink->len / DEVICES);
	struct iopf_sim_cmd cmd;

	piece(&t->rng, b->len, &off, &n);
	cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, off, n, arena_seed(k));
	if (rnd(&t->rng) & 1)
		sim_cmd_order(&cmd, IOPF_SIM_ORDER_RANDOM, 4096, 4096, rnd(&t->rng));
	stress_run(t, s, &cmd, k, "write");
	cmd = sim_cmd_copy(sink, at, b, off, n);
	if (stress_run(t, s, &cmd, k, "copy"))
		return;
	if (alien_words(k, (char *)sink->va + at, off, n))
		fail("device %u, arena %u: the device copies wrong words", t->index, k);
}

static void *device_thread(void *arg)
{
	static const enum arena_kind dropped[] = { DROP_ANON, DROP_THP, DROP_SHMEM, FLAKY };
	struct thread *t = arg;
	struct simdev *s = &w.r.sim[t->index];

	for (;;) {
		kept_round(t, s, rnd(&t->rng) & 1 ? KEPT_ANON : KEPT_SHMEM);
		dropped_round(t, s, dropped[rnd(&t->rng) % ARRAY_SIZE(dropped)]);
		if (!(rnd(&t->rng) % 64)) {
			must(vfio_reset(&w.r.vfio[t->index]));
			must(vfio_bus_master(&w.r.vfio[t->index], true));
			must(sim_up(s, &w.r.vfio[t->index], NULL));
		}
		done_round(t);
	}
	return NULL;
}

/* Takes memory away, all kinds of ways. */
static void *drop_thread(void *arg)
{
	struct thread *t = arg;

	for (;;) {
		enum arena_kind k = DROP_ANON + rnd(&t->rng) % 4;
		struct simbuf *b = &w.b[k];
		size_t off, n;
		char *at;

		piece(&t->rng, b->len, &off, &n);
		at = (char *)b->va + off;
		switch (rnd(&t->rng) % 4) {
		case 0:
			if (k == DROP_SHMEM) {
				mem_punch(w.fd[k], (off_t)off, n);
				break;
			}
			/* fall through */
		case 1:
			mem_drop(at, n);
			break;
		case 2:
			(void)madvise(at, n, k == DROP_SHMEM ? MADV_REMOVE : MADV_FREE);
			break;
		default:
			if (k == DROP_THP)
				(void)madvise(b->va, b->len, 25 /* MADV_COLLAPSE */);
			else if (alien_words(k, at, off, n))
				fail("arena %u: the CPU reads wrong words", k);
			break;
		}
		if (!(rnd(&t->rng) % 4))
			usleep(1000);
		sched_yield();
		done_round(t);
	}
	return NULL;
}

/* Swaps, merges and forks, also the memory that is kept. */
static void *reclaim_thread(void *arg)
{
	struct thread *t = arg;

	for (;;) {
		enum arena_kind k = rnd(&t->rng) % FLAKY;
		struct simbuf *b = &w.b[k];
		size_t off, n;
		pid_t pid;

		piece(&t->rng, b->len, &off, &n);
		switch (rnd(&t->rng) % 4) {
		case 0:
			(void)madvise((char *)b->va + off, n, MADV_PAGEOUT);
			break;
		case 1:
			must(mem_pressure(n));
			break;
		case 2:
			/* Cold pages are the first to go. */
			(void)madvise((char *)b->va + off, n, MADV_COLD);
			break;
		default:
			/* A child that writes its copy and goes; nobody else may see that. */
			pid = must_sys(fork());
			if (!pid) {
				if (k != KEPT_SHMEM && k != DROP_SHMEM)
					memset((char *)b->va + off, 0x77, n);
				_exit(0);
			}
			must_sys(waitpid(pid, NULL, 0));
			break;
		}
		done_round(t);
		usleep(2000);
	}
	return NULL;
}

/* Changes permissions and pins. */
static void *mapping_thread(void *arg)
{
	struct simbuf *b = &w.b[FLAKY];
	struct thread *t = arg;

	for (;;) {
		unsigned int dev = rnd(&t->rng) % DEVICES;
		size_t off, n;
		void *away;

		piece(&t->rng, b->len, &off, &n);
		switch (rnd(&t->rng) % 5) {
		case 0:
			must_sys(mprotect((char *)b->va + off, n, PROT_READ));
			sched_yield();
			must_sys(mprotect((char *)b->va + off, n, PROT_READ | PROT_WRITE));
			break;
		case 1:
			rig_unmap(&w.r, b);
			sched_yield();
			rig_map(&w.r, b);
			break;
		case 2:
			/* Unmapped from the process, and new memory there. */
			away = mmap((char *)b->va + off, n, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
			must_be(away != MAP_FAILED);
			break;
		case 3:
			must_sys(madvise((char *)b->va + off, n,
					 rnd(&t->rng) & 1 ? MADV_MERGEABLE : MADV_UNMERGEABLE));
			break;
		default:
			/* Off fails where memory is being unmapped at the time: no error. */
			if (!rig_stock() && !(rnd(&t->rng) % 8)) {
				(void)iopf_enable(rig_bdf(dev), false);
				sched_yield();
				must(iopf_enable(rig_bdf(dev), true));
			}
			break;
		}
		done_round(t);
		usleep(3000);
	}
	return NULL;
}

static void arena_map(enum arena_kind k)
{
	struct simbuf *b = &w.b[k];

	b->len = ARENA;
	/* Odd distances, so that the 2 MiB of address and IOVA agree only for huge pages. */
	b->iova = RIG_IOVA + k * 0x10000000ull + (k == DROP_THP ? 0 : k * 0x3000ull);
	switch (k) {
	case KEPT_SHMEM:
	case DROP_SHMEM:
		b->va = mem_memfd(b->len, &w.fd[k]);
		break;
	case DROP_THP:
		b->va = mem_thp(b->len);
		break;
	default:
		b->va = mem_anon(b->len);
	}
	rig_map(&w.r, b);
}

static void worker(struct progress *p, uint64_t life, uint64_t seed)
{
	static void *(*code[])(void *arg) = { drop_thread, reclaim_thread, mapping_thread };
	static struct thread threads[THREADS];
	unsigned int i;
	pthread_t id;

	tap_forget();
	tap_quiet(true);
	w.p = p;
	w.life = life;
	rig_open(&w.r, DEVICES, life & 1 ? VFIO_TYPE1v2_IOMMU : VFIO_TYPE1_IOMMU);
	for (i = 0; i < ARENAS; i++)
		arena_map(i);
	for (i = 0; i < THREADS; i++) {
		threads[i].index = i;
		threads[i].rng = seed + i;
		must_be(!pthread_create(&id, NULL, i < DEVICES ? device_thread : code[i - DEVICES],
					&threads[i]));
	}
	for (;;)
		pause();
}

static bool got_on(const struct progress *p, const uint64_t *want)
{
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		if (__atomic_load_n(&p->rounds[i], __ATOMIC_ACQUIRE) < want[i])
			return false;
	}
	return true;
}

/* One worker, from start to kill. False: it failed. */
static bool life(struct progress *p, uint64_t number, uint64_t *rng)
{
	uint64_t want[THREADS], seed = rnd(rng);
	unsigned int i, spins = 0;
	bool dead = false;
	int status = 0;
	pid_t pid;

	memset(p, 0, sizeof(*p));
	for (i = 0; i < THREADS; i++)
		want[i] = 1 + rnd(rng) % MAX_ROUNDS;
	pid = must_sys(fork());
	if (!pid)
		worker(p, number, seed);
	/* The worker bails out itself if a device hangs. Otherwise every thread makes progress. */
	while (!dead && !p->failed && !got_on(p, want)) {
		sim_nap(&spins);
		dead = waitpid(pid, &status, WNOHANG) == pid;
	}
	if (!dead) {
		must_sys(kill(pid, SIGKILL));
		must_sys(waitpid(pid, &status, 0));
	}
	return !dead && !p->failed;
}

static unsigned int seconds_to_go(void)
{
	unsigned int seconds = DEFAULT_SECONDS;
	char line[4096];
	char *at;
	FILE *f = fopen("/proc/cmdline", "re");

	if (f && fgets(line, sizeof(line), f)) {
		at = strstr(line, "iopf.stress=");
		if (at)
			seconds = (unsigned int)strtoul(at + strlen("iopf.stress="), NULL, 10);
	}
	if (f)
		fclose(f);
	return seconds;
}

int main(void)
{
	struct progress *p = mem_shared_anon(sizeof(*p));
	uint64_t lives, rounds = 0, rng = 1, stale = 0, freed = 0;
	unsigned int i, seconds = seconds_to_go();
	time_t start = time(NULL);
	bool good = true;

	rig_backend_only();
	if (!mem_have_swap())
		tap_bail("no swap space: run with --swap");
	must(mem_write_file("/sys/kernel/mm/ksm/run", "1"));
	rig_load("devices=2 engines=2 stall=2", "");
	rig_open(&w.r, DEVICES, VFIO_TYPE1v2_IOMMU);
	rig_close(&w.r);
	for (lives = 0; good && time(NULL) - start < (time_t)seconds; lives++) {
		good = life(p, lives, &rng);
		for (i = 0; i < THREADS; i++)
			rounds += p->rounds[i];
		if (!(lives % 10))
			tap_diag("%lld s: %llu lives, %llu rounds",
				 (long long)(time(NULL) - start), (unsigned long long)lives + 1,
				 (unsigned long long)rounds);
	}
	tap_ok(good, "%llu processes lived and were killed, %llu rounds", (unsigned long long)lives,
	       (unsigned long long)rounds);
	rig_balanced_soon();
	for (i = 0; i < DEVICES; i++) {
		stale += sim_count(rig_bdf(i), "stale_uses");
		freed += sim_count(rig_bdf(i), "dma_to_free");
		rig_describe_faults(rig_bdf(i));
	}
	tap_is(stale, 0, "no stale translation was used");
	tap_is(freed, 0, "no DMA went to freed memory");
	tap_is(sim_iommu_count("unmap_holes") + sim_iommu_count("map_collisions"), 0,
	       "no hole unmapped, nothing mapped twice");
	must(mem_write_file("/sys/kernel/mm/ksm/run", "0"));
	tap_errno_is(rig_unload_soon(), 0, "the modules can be unloaded");
	return tap_done();
}
