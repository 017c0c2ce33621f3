// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two devices that fault at once on two processors: see dma.h.
 *
 * Two devices in one container access a buffer each. The populated pages are so far apart that each
 * page is a fault. In turns, one device works, then both, then the other one. Time is wall-clock
 * time, which other work on the host extends. So there are many short turns, and the report takes
 * the median of the ratios of adjacent turns.
 *
 * The best speedup of two emulated processors is not known beforehand: the host may not have two
 * idle processors, and the emulator has locks. So the same is measured with two processes that
 * share nothing. Each runs on its own processor and faults on its own memory, in turns between
 * those of the devices.
 */
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dma.h"
#include "figures.h"
#include "frames.h"
#include "mem.h"

#define SMP_ROUNDS	25
#define SMP_STEP	(16 * MEM_PAGE)
#define SMP_FAULTS	4096u
#define SMP_LEN		(SMP_FAULTS * SMP_STEP)
#define SMP_PAIR	2

/** struct smp_span - begin and end of a turn, ns */
struct smp_span {
	uint64_t start;
	uint64_t end;
};

/** struct smp_process - a process that takes CPU page faults */
struct smp_process {
	int go;		/* pipe: a byte starts a turn */
	int done;	/* pipe: the process writes the span of the turn */
};

static void smp_start(struct simdev *s, const struct simbuf *b)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, b->len, 1);

	sim_cmd_order(&cmd, IOPF_SIM_ORDER_RANDOM, 8, SMP_STEP, 7);
	sim_start(s, &cmd);
}

/* Wait for a completion. Sleep between polls of the ring: the devices need both processors. */
static void smp_wait(struct simdev *s, struct iopf_sim_cpl *cpl)
{
	const struct timespec nap = { .tv_nsec = 10000000 };

	while (!sim_poll(s, cpl))
		nanosleep(&nap, NULL);
	must_be(cpl->status == IOPF_SIM_ST_OK);
	if (cpl->faults < SMP_FAULTS / 2)
		tap_bail("only %llu faults", (unsigned long long)cpl->faults);
}

/* Run the devices in @mask at once. Return the ns from the first start to the last end. */
static uint64_t smp_turn(struct rig *r, const struct simbuf *b, unsigned int mask)
{
	uint64_t started[SMP_PAIR] = { 0 }, first = 0, last = 0;
	struct iopf_sim_cpl cpl;

	for (unsigned int i = 0; i < SMP_PAIR; i++)
		rig_map(r, &b[i]);
	for (unsigned int i = 0; i < SMP_PAIR; i++) {
		if (!(mask & 1u << i))
			continue;
		started[i] = now_ns();
		if (!first)
			first = started[i];
		smp_start(&r->sim[i], &b[i]);
	}
	for (unsigned int i = 0; i < SMP_PAIR; i++) {
		if (!(mask & 1u << i))
			continue;
		smp_wait(&r->sim[i], &cpl);
		if (started[i] + cpl.ns > last)
			last = started[i] + cpl.ns;
	}
	for (unsigned int i = 0; i < SMP_PAIR; i++)
		rig_unmap(r, &b[i]);
	return last - first;
}

/* For each byte in @go, map populated memory anew, and fault on each step of it. */
static _Noreturn void smp_process(unsigned int cpu, int go, int done)
{
	cpu_set_t set;
	char *va, c;
	int memfd;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	must_sys(sched_setaffinity(0, sizeof(set), &set));
	va = mem_memfd(SMP_LEN, &memfd);
	for (size_t off = 0; off < SMP_LEN; off += SMP_STEP)
		va[off] = 1;
	mem_unmap(va, SMP_LEN);
	while (read(go, &c, 1) == 1) {
		struct smp_span span = { .start = now_ns() };
		volatile char *at = must_sys(mmap(NULL, SMP_LEN, PROT_READ | PROT_WRITE, MAP_SHARED,
						  memfd, 0));

		for (size_t off = 0; off < SMP_LEN; off += SMP_STEP)
			at[off] = 1;
		mem_unmap((void *)at, SMP_LEN);
		span.end = now_ns();
		must_be(write(done, &span, sizeof(span)) == sizeof(span));
	}
	_exit(0);
}

static void smp_processes_start(struct smp_process *p)
{
	for (unsigned int i = 0; i < SMP_PAIR; i++) {
		int go[2], done[2];

		must_sys(pipe(go));
		must_sys(pipe(done));
		if (!must_sys(fork())) {
			close(go[1]);
			/* Close the earlier pipes, so that their readers see the end. */
			for (unsigned int j = 0; j < i; j++)
				close(p[j].go);
			smp_process(i, go[0], done[1]);
		}
		close(go[0]);
		close(done[1]);
		p[i] = (struct smp_process){ .go = go[1], .done = done[0] };
	}
}

static void smp_processes_end(struct smp_process *p)
{
	for (unsigned int i = 0; i < SMP_PAIR; i++) {
		close(p[i].go);
		close(p[i].done);
		must_sys(wait(NULL));
	}
}

/* Like smp_turn(), for the processes in @mask. */
static uint64_t smp_cpu_turn(struct smp_process *p, unsigned int mask)
{
	uint64_t first = UINT64_MAX, last = 0;

	for (unsigned int i = 0; i < SMP_PAIR; i++)
		if (mask & 1u << i)
			must_be(write(p[i].go, "", 1) == 1);
	for (unsigned int i = 0; i < SMP_PAIR; i++) {
		struct smp_span span;

		if (!(mask & 1u << i))
			continue;
		must_be(read(p[i].done, &span, sizeof(span)) == sizeof(span));
		first = span.start < first ? span.start : first;
		last = span.end > last ? span.end : last;
	}
	return last - first;
}

static void smp_line(const char *side, const char *what, uint64_t one, uint64_t other,
		     uint64_t both)
{
	figure_line("%s %s %llu %llu %llu", side, what, (unsigned long long)one,
		    (unsigned long long)other, (unsigned long long)both);
}

void smp_faults(struct rig *r, const char *side)
{
	struct smp_process p[SMP_PAIR];
	struct simbuf b[SMP_PAIR];

	smp_processes_start(p);
	for (unsigned int i = 0; i < SMP_PAIR; i++) {
		b[i] = (struct simbuf){ .iova = RIG_IOVA + i * (1ull << 32), .len = SMP_LEN };
		b[i].va = frames_get(FRAMES_ANON, SMP_LEN);
		for (size_t off = 0; off < SMP_LEN; off += SMP_STEP)
			*((volatile char *)b[i].va + off) = 1;
	}
	printf("%s: two devices at once, %d rounds\n", side, SMP_ROUNDS);
	for (int i = 0; i < SMP_ROUNDS; i++) {
		uint64_t one = smp_turn(r, b, 1), both = smp_turn(r, b, 3);
		uint64_t other = smp_turn(r, b, 2);

		smp_line(side, "turn", one, other, both);
		one = smp_cpu_turn(p, 1);
		both = smp_cpu_turn(p, 3);
		other = smp_cpu_turn(p, 2);
		smp_line(side, "cpu_turn", one, other, both);
	}
	smp_processes_end(p);
	for (unsigned int i = 0; i < SMP_PAIR; i++)
		frames_free(FRAMES_ANON, b[i].va, SMP_LEN);
}
