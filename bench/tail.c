// SPDX-License-Identifier: GPL-2.0-only
/*
 * The latency of faults under a mixed load, without a shortage of memory: see dma.h.
 *
 * There are several buffers, with different kinds of memory and orders of access. A fixed seed
 * chooses the buffer of each command. A command is one access to one page, so its completion has
 * the latency of the fault, from report to response. Rounds alternate between one command at a time
 * and four, on one engine and on four. Buffers are mapped anew for each round, and absent memory is
 * dropped. The two kinds of rounds have separate figures: engines are threads, which share the one
 * processor with the handling of faults. With four engines, most of the latency is the wait for
 * other engines, which real devices do not have.
 *
 * Huge pages that must be cleared first are measured separately, since their latency is mostly the
 * clearing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "busy.h"
#include "dma.h"
#include "figures.h"
#include "frames.h"

#define TAIL_ROUNDS	6
#define TAIL_AT_ONCE	4u
#define TAIL_FAULTS	16384	/* room for faults */
#define TAIL_LEAST	5000	/* fewer faults give no meaningful 99.9th percentile */
#define TAIL_SEED	0x7a11

struct tail_kind {
	const char *name;
	enum frames frames;
	unsigned int step;	/* pages from one access to the next */
	unsigned int accesses;
	unsigned int opcode;
	bool present;		/* pages that are accessed are populated */
	bool random;
	bool dense;		/* all pages are populated */
};

static const struct tail_kind mix[] = {
	{ "present, random", FRAMES_ANON, 16, 1024, IOPF_SIM_OP_WRITE, true, true, false },
	{ "present, random, reading", FRAMES_MEMFD, 16, 512, IOPF_SIM_OP_READ, true, true, false },
	{ "present, in order", FRAMES_SCATTERED, 1, 8192, IOPF_SIM_OP_WRITE, true, false, true },
	{ "huge pages, present", FRAMES_THP, 512, 32, IOPF_SIM_OP_WRITE, true, true, true },
	{ "absent, random", FRAMES_ANON, 16, 512, IOPF_SIM_OP_WRITE, false, true, false },
	{ "absent, in order", FRAMES_ANON, 1, 4096, IOPF_SIM_OP_WRITE, false, false, false },
};

static const struct tail_kind cleared[] = {
	{ "huge pages, absent", FRAMES_THP, 512, 32, IOPF_SIM_OP_WRITE, false, true, false },
};

#define TAIL_KINDS	ARRAY_SIZE(mix)

struct tail_source {
	const struct tail_kind *k;
	struct simbuf b;
	unsigned int *order;	/* NULL: in order */
	unsigned int next;
};

struct tail_fault {
	uint64_t ns;
	unsigned int kind;
	bool alone;
};

static struct tail_fault faults[TAIL_FAULTS];
static unsigned int nr_faults;

static size_t source_off(const struct tail_source *s, unsigned int i)
{
	return (size_t)(s->order ? s->order[i] : i) * s->k->step * MEM_PAGE;
}

static void source_open(struct rig *r, struct tail_source *s, const struct tail_kind *k,
			uint64_t iova)
{
	*s = (struct tail_source){
		.k = k,
		.b = { .iova = iova, .len = (size_t)k->accesses * k->step * MEM_PAGE },
	};
	s->b.va = frames_get(k->frames, s->b.len);
	if (k->random) {
		s->order = malloc(k->accesses * sizeof(*s->order));
		must_be(s->order);
		frames_shuffle(s->order, k->accesses);
	}
	if (k->dense)
		frames_populate(k->frames, s->b.va, s->b.len);
	for (unsigned int i = 0; k->present && !k->dense && i < k->accesses; i++)
		*((volatile char *)s->b.va + source_off(s, i)) = 1;
	rig_map(r, &s->b);
}

static void source_close(struct rig *r, struct tail_source *s)
{
	rig_unmap(r, &s->b);
	free(s->order);
	frames_free(s->k->frames, s->b.va, s->b.len);
}

/* Choose a source at random, in proportion to the number of accesses that it has left. */
static unsigned int pick(const struct tail_source *s, unsigned int n, unsigned int left,
			 unsigned int turn)
{
	uint64_t at = iopf_sim_mix(TAIL_SEED + turn) % left;

	for (unsigned int i = 0; i < n; i++) {
		if (at < s[i].k->accesses - s[i].next)
			return i;
		at -= s[i].k->accesses - s[i].next;
	}
	tap_bail("there is no access left to choose");
}

static void completed(const struct iopf_sim_cpl *cpl, bool alone)
{
	must_be(cpl->status == IOPF_SIM_ST_OK);
	if (!cpl->faults)
		return;
	must_be(nr_faults < TAIL_FAULTS);
	/* If the command faulted more than once, take the longest fault. */
	faults[nr_faults].ns = cpl->fault_ns_max;
	faults[nr_faults].alone = alone;
	faults[nr_faults++].kind = (unsigned int)cpl->cookie;
}

static void tail_round(struct rig *r, const struct tail_kind *kinds, unsigned int n,
		       unsigned int at_once)
{
	struct tail_source s[TAIL_KINDS];
	unsigned int left = 0, busy = 0, turn = 0;
	struct iopf_sim_cpl cpl;

	for (unsigned int i = 0; i < n; i++) {
		source_open(r, &s[i], &kinds[i], RIG_IOVA + i * (1ull << 32));
		left += kinds[i].accesses;
	}
	busy_settle();
	for (; left; left--) {
		unsigned int i = pick(s, n, left, turn++);
		struct iopf_sim_cmd cmd = sim_cmd(kinds[i].opcode, &s[i].b,
						  source_off(&s[i], s[i].next++), MEM_PAGE, 1);

		cmd.size = 8;
		cmd.count = 1;
		cmd.cookie = i;
		if (busy == at_once) {
			sim_wait(&r->sim[0], &cpl);
			completed(&cpl, at_once == 1);
			busy--;
		}
		sim_start(&r->sim[0], &cmd);
		busy++;
	}
	for (; busy; busy--) {
		sim_wait(&r->sim[0], &cpl);
		completed(&cpl, at_once == 1);
	}
	for (unsigned int i = 0; i < n; i++)
		source_close(r, &s[i]);
}

static int by_ns(const void *a, const void *b)
{
	const struct tail_fault *x = a, *y = b;

	return (x->ns > y->ns) - (x->ns < y->ns);
}

/* Write percentiles of the latency, of all kinds (@kind < 0) or of one. */
static void percentiles(const char *side, const char *key, const char *name, int kind, bool alone)
{
	static const unsigned int at[] = { 5000, 7500, 9000, 9500, 9900, 9950, 9990, 10000 };
	static uint64_t ns[TAIL_FAULTS];
	unsigned int n = 0;

	for (unsigned int i = 0; i < nr_faults; i++) {
		if (faults[i].alone == alone && (kind < 0 || faults[i].kind == (unsigned int)kind))
			ns[n++] = faults[i].ns;
	}
	if (!n)
		return;
	figure_line("%s %s_name %s", side, key, name);
	figure_line("%s %s_faults %u", side, key, n);
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		/* The smallest value that at[i] of 10000 values do not exceed. */
		unsigned int rank = (unsigned int)(((uint64_t)n * at[i] + 9999) / 10000);

		figure_line("%s %s_p%u %llu", side, key, at[i],
			    (unsigned long long)ns[rank ? rank - 1 : 0]);
	}
}

void tail_latency(struct rig *r, const char *side)
{
	char key[32];

	printf("%s: latency of faults, mixed\n", side);
	for (unsigned int i = 0; i < TAIL_ROUNDS; i++)
		tail_round(r, mix, TAIL_KINDS, i % 2 ? TAIL_AT_ONCE : 1);
	if (nr_faults < TAIL_LEAST)
		tap_bail("only %u faults", nr_faults);
	qsort(faults, nr_faults, sizeof(faults[0]), by_ns);
	percentiles(side, "tail", "all, one at a time", -1, true);
	percentiles(side, "crowd", "all, four at a time on the one processor", -1, false);
	for (size_t i = 0; i < TAIL_KINDS; i++) {
		snprintf(key, sizeof(key), "tail%zu", i);
		percentiles(side, key, mix[i].name, (int)i, true);
	}
	nr_faults = 0;
	tail_round(r, cleared, ARRAY_SIZE(cleared), 1);
	qsort(faults, nr_faults, sizeof(faults[0]), by_ns);
	percentiles(side, "cleared", cleared[0].name, -1, true);
}
