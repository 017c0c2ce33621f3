// SPDX-License-Identifier: GPL-2.0-only
/*
 * Side: see side.h. The same steps for both, in the same order, on a buffer whose first half
 * is private anonymous memory and whose second half is a memfd, mapped for the
 * devices by one MAP_DMA.
 *
 * Vocabulary: a "unit" is an eighth of a half. Units 0 and 1 are dropped, 2 and 3 are rewritten
 * by the devices under memory pressure, 4 to 7 keep what the hot pass left there.
 */
#include "side.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "figures.h"
#include "fleet.h"
#include "held.h"
#include "hog.h"
#include "mem.h"
#include "say.h"

#define UNITS		8	/* of a half */
#define UNITS_DROPPED	2
#define UNITS_REWRITTEN	4	/* the dropped ones among them */

#define HOT_PASSES	3	/* the best of them: others use this machine too */
#define WARM_UPS	4
#define WARM_UP_IOVA	(RIG_IOVA / 2)

enum { SEED_COLD = 1, SEED_HOT, SEED_LATE };

struct side {
	const char *name;
	size_t half;
	int memfd;
	struct simbuf buf;
	struct rig rig;
	uint64_t wrong_device;	/* words, since the start of the present phase */
	uint64_t wrong_cpu;
};

static void side_buffer(struct side *s, size_t size)
{
	char *va = mem_aligned(size, MEM_HUGE);

	s->half = size / 2;
	s->memfd = must_sys(memfd_create("demo", MFD_CLOEXEC));
	must_sys(ftruncate(s->memfd, (off_t)s->half));
	must_sys(mmap(va, s->half, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	must_sys(mmap(va + s->half, s->half, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		      s->memfd, 0));
	s->buf = (struct simbuf){ .va = va, .iova = RIG_IOVA, .len = size };
}

static void side_buffer_free(struct side *s)
{
	mem_unmap(s->buf.va, s->buf.len);
	close(s->memfd);
}

/* A phase over units [@first, @end) of both halves; its time, and what came of it. */
static uint64_t side_units(struct side *s, const char *what, unsigned int opcode,
			   unsigned int first, unsigned int end, uint64_t seed)
{
	size_t unit = s->half / UNITS;
	uint64_t ns = 0;

	for (size_t half = 0; half < s->buf.len; half += s->half) {
		struct fleet_work w = {
			.what = what,
			.opcode = opcode,
			.off = half + first * unit,
			.len = (end - first) * unit,
			.seed = seed,
		};

		fleet_run(&s->rig, &s->buf, &w);
		ns += w.ns;
		s->wrong_device += w.wrong;
	}
	return ns;
}

/* What the CPU finds in units [@first, @end) of both halves: words that are not the pattern. */
static void side_cpu(struct side *s, unsigned int first, unsigned int end, uint64_t seed)
{
	size_t unit = s->half / UNITS;

	for (size_t half = 0; half < s->buf.len; half += s->half) {
		size_t last = half + end * unit;

		for (size_t off = half + first * unit; off < last; off += sizeof(uint64_t)) {
			uint64_t got = *(uint64_t *)((char *)s->buf.va + off);

			s->wrong_cpu += got != iopf_sim_word(seed, off);
			if (!(off % MiB))
				say_progress("CPU compares", off, s->buf.len);
		}
	}
}

/* Report the wrong words of a phase, and start counting anew. */
static uint64_t side_verdict(struct side *s, const char *when)
{
	uint64_t wrong = s->wrong_device + s->wrong_cpu;
	char key[64];

	snprintf(key, sizeof(key), "wrong_device_%s", when);
	figure(s->name, key, s->wrong_device * sizeof(uint64_t));
	snprintf(key, sizeof(key), "wrong_cpu_%s", when);
	figure(s->name, key, s->wrong_cpu * sizeof(uint64_t));
	s->wrong_device = 0;
	s->wrong_cpu = 0;
	return wrong;
}

/* Map, fault and unmap a page elsewhere first: an emulator has to translate the code once. */
static void side_warm_up(struct side *s)
{
	struct simbuf b = { .va = mem_anon(MEM_PAGE), .iova = WARM_UP_IOVA, .len = MEM_PAGE };

	for (unsigned int i = 0; i < WARM_UPS; i++) {
		must(vfio_map(&s->rig.c, b.va, b.iova, b.len));
		must_be(sim_write(&s->rig.sim[0], &b, 0, MEM_PAGE, SEED_COLD, NULL) ==
			IOPF_SIM_ST_OK);
		must(vfio_unmap(&s->rig.c, b.iova, b.len));
		mem_drop(b.va, b.len);
	}
	mem_unmap(b.va, b.len);
}

static void side_map(struct side *s)
{
	uint64_t t0, map, first;

	held_phase("MAP_DMA");
	say("MAP_DMA of %zu MiB", s->buf.len >> 20);
	t0 = now_ns();
	must(vfio_map(&s->rig.c, s->buf.va, s->buf.iova, s->buf.len));
	map = now_ns() - t0;
	figure(s->name, "map_ns", map);
	figure(s->name, "held_after_map", held_now());
	figure(s->name, "pinned_after_map", held_pinned());
	say("  %.3f ms, then %zu MiB are held", (double)map / 1e6, held_now() >> 20);

	/* What one waits for is the sum: the range mapped, and then a DMA done. */
	held_phase("first DMA");
	t0 = now_ns();
	must_be(sim_write(&s->rig.sim[0], &s->buf, 0, MEM_PAGE, SEED_COLD, NULL) ==
		IOPF_SIM_ST_OK);
	first = now_ns() - t0;
	figure(s->name, "first_dma_ns", map + first);
	figure(s->name, "held_after_first", held_now());
}

static void side_passes(struct side *s)
{
	struct fleet_work cold = {
		.what = "cold pass", .opcode = IOPF_SIM_OP_WRITE, .len = s->buf.len,
		.seed = SEED_COLD,
	};
	struct fleet_work hot = cold;
	uint64_t faults = 0, best = 0;

	held_phase("cold pass");
	say("cold pass: the devices write the whole buffer for the first time");
	fleet_run(&s->rig, &s->buf, &cold);
	figure(s->name, "cold_ns", cold.ns);
	figure(s->name, "cold_faults", cold.faults);
	figure(s->name, "cold_fault_ns", cold.fault_ns);
	figure(s->name, "cold_fault_ns_max", cold.fault_ns_max);
	figure(s->name, "held_after_cold", held_now());

	held_phase("hot pass");
	say("hot pass: the same again, %u times", HOT_PASSES);
	for (unsigned int i = 0; i < HOT_PASSES; i++) {
		hot.what = "hot pass";
		hot.seed = SEED_HOT;
		fleet_run(&s->rig, &s->buf, &hot);
		faults += hot.faults;
		best = !i || hot.ns < best ? hot.ns : best;
	}
	figure(s->name, "hot_ns", best);
	figure(s->name, "hot_faults", faults);
}

static void side_check(struct side *s)
{
	held_phase("verify");
	say("verify: devices and CPU compare every word");
	side_units(s, "devices compare", IOPF_SIM_OP_VERIFY, 0, UNITS, SEED_HOT);
	side_cpu(s, 0, UNITS, SEED_HOT);
}

/* MADV_DONTNEED on private memory, punch-hole on the memfd. */
static void side_drop(struct side *s)
{
	size_t len = UNITS_DROPPED * (s->half / UNITS);
	size_t before;

	held_phase("drop");
	say("drop %zu MiB: MADV_DONTNEED on half of it, punch-hole on the other half", len >> 19);
	before = held_free();
	mem_drop(s->buf.va, len);
	mem_punch(s->memfd, 0, len);
	figure(s->name, "dropped", 2 * len);
	figure_line("%s freed_by_drop %zd", s->name, (ssize_t)(held_free() - before));
	figure(s->name, "held_after_drop", held_now());
}

static void side_pressure(struct side *s, struct hog *h, size_t mib)
{
	uint64_t out = mem_vmstat("pswpout");
	uint64_t t0 = now_ns();
	size_t written = 0;

	held_phase("pressure");
	say("pressure: another program takes %zu MiB and uses them", mib);
	hog_start(h, mib);
	while (hog_grow(h))
		say_progress("written", ++written * MiB, hog_writes(mib) * MiB);
	if (written != hog_writes(mib))
		tap_bail("the memory hog was killed after writing %zu MiB", written);
	figure(s->name, "pressure_ns", now_ns() - t0);
	figure(s->name, "hog", mib * MiB);
	figure(s->name, "hog_swapped", mem_status_kb(h->pid, "VmSwap") * 1024);
	figure(s->name, "swap_written", (mem_vmstat("pswpout") - out) * MEM_PAGE);
	figure(s->name, "held_after_pressure", held_now());
	say("  %zu MiB of the buffer are still held", held_now() >> 20);
}

/* The devices go on while the neighbour still has the memory. */
static void side_work_on(struct side *s)
{
	uint64_t in = mem_vmstat("pswpin");
	uint64_t ns;

	held_phase("work on");
	say("work on: devices read what was swapped out, write there and where was dropped");
	ns = side_units(s, "devices compare", IOPF_SIM_OP_VERIFY, UNITS_DROPPED, UNITS_REWRITTEN,
			SEED_HOT);
	ns += side_units(s, "devices write", IOPF_SIM_OP_WRITE, 0, UNITS_REWRITTEN, SEED_LATE);
	figure(s->name, "work_on_ns", ns);
	figure(s->name, "swap_read", (mem_vmstat("pswpin") - in) * MEM_PAGE);
}

static void side_check_late(struct side *s)
{
	held_phase("verify again");
	say("verify again: devices and CPU compare every word");
	side_units(s, "devices compare", IOPF_SIM_OP_VERIFY, 0, UNITS_REWRITTEN, SEED_LATE);
	side_units(s, "devices compare", IOPF_SIM_OP_VERIFY, UNITS_REWRITTEN, UNITS, SEED_HOT);
	side_cpu(s, 0, UNITS_REWRITTEN, SEED_LATE);
	side_cpu(s, UNITS_REWRITTEN, UNITS, SEED_HOT);
}

static void side_unmap(struct side *s)
{
	uint64_t t0;

	held_phase("unmap");
	t0 = now_ns();
	must(vfio_unmap(&s->rig.c, s->buf.iova, s->buf.len));
	figure(s->name, "unmap_ns", now_ns() - t0);
}

bool side_run(const struct side_job *job, bool stock)
{
	struct side s = { .name = stock ? "type1" : "iopf" };
	char sim_args[32];
	uint64_t wrong;
	struct hog hog;

	say_side(s.name);
	say("loading modules, binding %u devices to vfio-pci", job->devices);
	snprintf(sim_args, sizeof(sim_args), "devices=%u", job->devices);
	rig_load(sim_args, stock ? NULL : "");
	rig_open(&s.rig, job->devices, VFIO_TYPE1v2_IOMMU);
	side_buffer(&s, job->size);

	side_warm_up(&s);
	held_start(s.name, job->size);
	side_map(&s);
	side_passes(&s);
	side_check(&s);
	wrong = side_verdict(&s, "before");
	side_drop(&s);
	side_pressure(&s, &hog, job->hog_mib);
	side_work_on(&s);
	if (!hog_end(&hog))
		tap_bail("the memory hog was killed: not enough memory and swap in this machine");
	side_check_late(&s);
	/* Stock promises nothing about memory dropped under its pins, so it is only shown. */
	wrong += side_verdict(&s, "after") * !stock;
	side_unmap(&s);
	held_stop();

	side_buffer_free(&s);
	rig_close(&s.rig);
	return !wrong;
}
