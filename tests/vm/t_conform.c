// SPDX-License-Identifier: GPL-2.0-only
/*
 * Conformance: the test runs the same sequences of ioctls on stock type1 and on the backend. After
 * each step it compares results, errno, data, bitmaps and charges. There are hundreds of written
 * sequences, and generated ones. A generated sequence that differs is shrunk.
 * docs/internals/compat.md lists the intended differences. Each of them must be seen.
 *
 * Three rounds are possible: against the backend with devices that may fault; against the backend
 * with devices that may not fault, where it serves them (parameter serve_pinned); and, with
 * NOBACKEND=1, stock type1 against itself. The last one tests the test: nothing may differ.
 *
 * CONFORM_SEED and CONFORM_COUNT in the environment, or iopf.conform_seed= and iopf.conform_count=
 * on the kernel's command line, set the first seed and the number of the generated sequences.
 * CONFORM_ONLY selects one part ("map", "dirty", ..., "generated", "control").
 *
 * vm: --mem 768 --swap 512 --disk 256 --pmem 32 --test-timeout 900
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../conform/gen.h"
#include "../conform/seqs.h"
#include "../conform/shrink.h"
#include "rig.h"

#define DEVICES		(2 * CONFORM_GROUPS)
#define EXTENSIONS	24
#define SEED		1
#define COUNT		300
/* Generated sequences that are shrunk and shown; the others are counted. */
#define SHOWN		4
/* The control must find the planted difference within this number of sequences. */
#define CONTROL		500

static unsigned int total, steps, different;
static unsigned int seen[INTENDED_COUNT];
static unsigned int rounds;

static uint64_t option(const char *env, const char *word, uint64_t value)
{
	const char *text = getenv(env);
	char line[4096];
	FILE *f;

	if (text && *text)
		return strtoull(text, NULL, 0);
	f = fopen("/proc/cmdline", "re");
	if (f && fgets(line, sizeof(line), f)) {
		text = strstr(line, word);
		if (text)
			value = strtoull(text + strlen(word), NULL, 0);
	}
	if (f)
		fclose(f);
	return value;
}

static bool wanted(const char *part)
{
	const char *only = getenv("CONFORM_ONLY");

	return !only || !*only || !strcmp(only, part);
}

/*
 * An empty container answers with the sum of all backends. The backend must not change the answer.
 */
static void extensions(int *result)
{
	struct vfio_container c;
	unsigned int i;

	must(vfio_container_open(&c));
	for (i = 0; i < EXTENSIONS; i++)
		result[i] = ioctl(c.fd, VFIO_CHECK_EXTENSION, i);
	vfio_container_close(&c);
}

static void check_extensions(const int *before)
{
	int now[EXTENSIONS];
	unsigned int i;

	extensions(now);
	for (i = 0; i < EXTENSIONS; i++)
		if (now[i] != before[i])
			tap_diag("extension %u: %d without the backend, %d with it", i, before[i],
				 now[i]);
	tap_ok(!memcmp(now, before, sizeof(now)),
	       "CHECK_EXTENSION of an empty container is as without the backend");
}

static void by_hand(struct run *run)
{
	static const struct {
		const char *name;
		void (*part)(struct run *run);
	} parts[] = {
		{ "container", seqs_container },
		{ "info", seqs_info },
		{ "map", seqs_map },
		{ "unmap", seqs_unmap },
		{ "dirty", seqs_dirty },
		{ "vaddr", seqs_vaddr },
		{ "groups", seqs_groups },
		{ "memory", seqs_memory },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(parts); i++)
		if (wanted(parts[i].name))
			parts[i].part(run);
}

static void tell_small(struct run *run, struct conform_seq *seq, struct outcome *out,
		       unsigned long long seed)
{
	unsigned int was = seq->n, runs;
	char name[64];

	runs = out->differs ? shrink(run, seq, out) : 0;
	snprintf(name, sizeof(name), "generated, seed %llu", seed);
	if (runs)
		tap_diag("seed %llu: %u steps, %u after shrinking in %u runs", seed, was, seq->n,
			 runs);
	else
		tap_diag("seed %llu: as it should be in new containers; what came before matters",
			 seed);
	run_tell(run, seq, out, name);
}

static void generated(struct run *run)
{
	unsigned long long first = option("CONFORM_SEED", "iopf.conform_seed=", SEED);
	unsigned long long count = option("CONFORM_COUNT", "iopf.conform_count=", COUNT);
	static struct outcome out;
	struct conform_seq seq;
	unsigned long long i;

	run_group(run, "generated");
	for (i = 0; i < count; i++) {
		gen_sequence(&seq, first + i);
		run_sequence(run, &seq, false, &out);
		if (!run_count(run, &out) && run->bad_in_group <= SHOWN)
			tell_small(run, &seq, &out, first + i);
	}
	tap_diag("generated: seeds %llu to %llu", first, first + count - 1);
	run_group_end(run);
}

/* A difference put in by the test has to be found among random sequences, and made small. */
static void control(struct run *run)
{
	static struct outcome out;
	struct conform_seq seq;
	unsigned int seed;

	run->lie = true;
	for (seed = 1; seed <= CONTROL; seed++) {
		gen_sequence(&seq, seed);
		run_sequence(run, &seq, true, &out);
		if (out.differs && strstr(out.v.text, "size unmapped"))
			break;
	}
	tap_ok(seed <= CONTROL, "control: a size that is reported wrongly is found");
	if (seed <= CONTROL) {
		bool small;

		tell_small(run, &seq, &out, seed);
		small = out.differs && seq.n == 3 && seq.op[0].kind == OP_MAP &&
			seq.op[1].kind == OP_MAP && seq.op[2].kind == OP_UNMAP;
		tap_ok(small, "control: and shrunk to two mappings and one unmapping");
	}
	run->lie = false;
}

static void round_of(enum side_kind kind)
{
	static struct run run;
	unsigned int i;

	run_start(&run, kind);
	by_hand(&run);
	if (wanted("generated"))
		generated(&run);
	tap_diag("%s: %u sequences, %u steps, %u different", run.side[1].name, run.sequences,
		 run.steps, run.different);
	for (i = 0; i < INTENDED_COUNT; i++)
		if (run.seen[i])
			tap_diag("%s: %s at %u steps", run.side[1].name, intended[i].id,
				 run.seen[i]);
	total += run.sequences;
	steps += run.steps;
	different += run.different;
	for (i = 0; i < INTENDED_COUNT; i++)
		seen[i] += run.seen[i];
	rounds |= 1u << kind;
	run_stop(&run);
	rig_balanced();
}

/* With stock on both sides, where nothing else can differ. */
static void round_control(void)
{
	static struct run run;
	unsigned int i;

	for (i = 0; i < DEVICES && iopf_loaded(); i++)
		must(iopf_enable(rig_bdf(i), false));
	run_start(&run, SIDE_STOCK);
	control(&run);
	run_stop(&run);
}

/* Devices 0, 2, 4 are for stock; of ours, in the first round, the last one may not fault either. */
static void round_faulting(void)
{
	unsigned int i;

	for (i = 0; i < DEVICES; i++)
		must(iopf_enable(rig_bdf(i), i % 2 && i / 2 != MODEL_PINNER));
	round_of(SIDE_FAULTING);
}

static void round_pinned(void)
{
	unsigned int i;

	if (access("/sys/module/vfio_iommu_iopf/parameters/serve_pinned", W_OK)) {
		tap_skip("the backend has no parameter serve_pinned", "ours, pinned");
		return;
	}
	for (i = 0; i < DEVICES; i++)
		must(iopf_enable(rig_bdf(i), false));
	round_of(SIDE_PINNED);
}

static void check_intended(void)
{
	unsigned int i;

	for (i = 0; i < INTENDED_COUNT; i++) {
		const struct intended *in = &intended[i];

		if (!(in->kinds & rounds))
			tap_skip("its round was not run", "intended: %s", in->id);
		else if (!seen[i] && getenv("CONFORM_ONLY"))
			tap_skip("only a part was run", "intended: %s", in->id);
		else
			tap_ok(seen[i], "intended: %s, seen %u times: %s", in->id, seen[i],
			       in->where);
	}
}

static void check_clean(void)
{
	uint64_t stale = 0, freed = 0;
	unsigned int i;

	for (i = 0; i < DEVICES; i++) {
		stale += sim_count(rig_bdf(i), "stale_uses");
		freed += sim_count(rig_bdf(i), "dma_to_free");
	}
	tap_is(stale, 0, "no stale translation was used");
	tap_is(freed, 0, "no DMA went to freed memory");
	tap_is(sim_iommu_count("unmap_holes") + sim_iommu_count("map_collisions"), 0,
	       "no hole unmapped, nothing mapped twice");
}

int main(void)
{
	char devices[32];
	int before[EXTENSIONS];

	snprintf(devices, sizeof(devices), "devices=%u", DEVICES);
	rig_load(devices, NULL);
	extensions(before);
	if (getenv("NOBACKEND")) {
		round_of(SIDE_STOCK);
	} else {
		rig_load(devices, "");
		check_extensions(before);
	}
	if (wanted("control"))
		round_control();
	if (!getenv("NOBACKEND")) {
		round_faulting();
		round_pinned();
		check_intended();
	}
	check_clean();
	tap_is(different, 0, "%u sequences, %u steps: none differs but as intended", total, steps);
	tap_errno_is(rig_unload_soon(), 0, "the modules can be unloaded");
	return tap_done();
}
