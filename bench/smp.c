// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two devices that fault at once on two processors: see dma.h.
 *
 * Each device passes over a buffer of its own, in one container, whose pages are there but so far
 * apart that each is a fault. By turns one device works, the other one, and both. Time is the
 * machine's, which other work on the host stretches: so there are many short turns, and the
 * report takes the median of the ratios of turns that lie side by side.
 */
#include <stdio.h>
#include <time.h>

#include "dma.h"
#include "figures.h"
#include "frames.h"

#define SMP_ROUNDS	25
#define SMP_STEP	(16 * MEM_PAGE)
#define SMP_FAULTS	4096u
#define SMP_LEN		(SMP_FAULTS * SMP_STEP)

static void smp_start(struct simdev *s, const struct simbuf *b)
{
	struct iopf_sim_cmd cmd = sim_cmd(IOPF_SIM_OP_WRITE, b, 0, b->len, 1);

	sim_cmd_order(&cmd, IOPF_SIM_ORDER_RANDOM, 8, SMP_STEP, 7);
	sim_start(s, &cmd);
}

/* Without a look at the rings in between: both processors are the devices'. */
static void smp_wait(struct simdev *s, struct iopf_sim_cpl *cpl)
{
	const struct timespec nap = { .tv_nsec = 2000000 };

	while (!sim_poll(s, cpl))
		nanosleep(&nap, NULL);
	must_be(cpl->status == IOPF_SIM_ST_OK);
	if (cpl->faults < SMP_FAULTS / 2)
		tap_bail("only %llu faults", (unsigned long long)cpl->faults);
}

/* Of the devices in @mask at once; ns from the first's start to the last's end. */
static uint64_t smp_turn(struct rig *r, const struct simbuf *b, unsigned int mask)
{
	uint64_t started[2] = { 0 }, first = 0, last = 0;
	struct iopf_sim_cpl cpl;

	for (unsigned int i = 0; i < 2; i++)
		rig_map(r, &b[i]);
	for (unsigned int i = 0; i < 2; i++) {
		if (!(mask & 1u << i))
			continue;
		started[i] = now_ns();
		if (!first)
			first = started[i];
		smp_start(&r->sim[i], &b[i]);
	}
	for (unsigned int i = 0; i < 2; i++) {
		if (!(mask & 1u << i))
			continue;
		smp_wait(&r->sim[i], &cpl);
		if (started[i] + cpl.ns > last)
			last = started[i] + cpl.ns;
	}
	for (unsigned int i = 0; i < 2; i++)
		rig_unmap(r, &b[i]);
	return last - first;
}

void smp_faults(struct rig *r, const char *side)
{
	struct simbuf b[2];

	for (unsigned int i = 0; i < 2; i++) {
		b[i] = (struct simbuf){ .iova = RIG_IOVA + i * (1ull << 32), .len = SMP_LEN };
		b[i].va = frames_get(FRAMES_ANON, SMP_LEN);
		for (size_t off = 0; off < SMP_LEN; off += SMP_STEP)
			*((volatile char *)b[i].va + off) = 1;
	}
	printf("%s: two devices at once, %d rounds\n", side, SMP_ROUNDS);
	for (int i = 0; i < SMP_ROUNDS; i++) {
		uint64_t one = smp_turn(r, b, 1), both = smp_turn(r, b, 3);
		uint64_t other = smp_turn(r, b, 2);

		figure_line("%s turn %llu %llu %llu", side, (unsigned long long)one,
			    (unsigned long long)other, (unsigned long long)both);
	}
	for (unsigned int i = 0; i < 2; i++)
		frames_free(FRAMES_ANON, b[i].va, SMP_LEN);
}
