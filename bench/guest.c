// SPDX-License-Identifier: GPL-2.0-only
/*
 * The benchmark, inside the VM, under the deterministic clock (vm/run --icount): one instruction of
 * the guest is one nanosecond of its clock, so two runs give the same figures.
 *
 * The benchmark measures CPU faults first, then stock vfio_iommu_type1, then vfio_iommu_iopf, in
 * one boot. It writes figures to a file. bench/report.py on the host turns them into the table, the
 * JSON and the chart.
 *
 * The command line can select parts. For a profile, only the side of vfio_iommu_iopf runs, and the
 * addresses of the kernel's functions are copied while the modules are loaded.
 */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "busy.h"
#include "cpu.h"
#include "dma.h"
#include "figures.h"
#include "part.h"
#include "phase.h"

static const char *symbols;	/* file for the addresses of functions; NULL: no profile */

static const struct {
	const char *name;
	void (*measure)(struct rig *r, const char *side);
	bool stock;	/* also measured with stock */
} parts[] = {
	{ "map", map_costs, true },
	{ "pass", pass_costs, true },
	{ "drop", drop_costs, true },
	{ "single", single_costs, false },
	{ "job", job_faults, false },
	{ "sparse", sparse_memory, false },
	{ "stream", stream_faults, false },
};

/* Reload the modules for this part: several engines cost a context switch for each command. */
static void tail(const char *name)
{
	struct rig r;

	rig_load("devices=1 engines=4", "");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	sim_knob(rig_bdf(0), "slow_poll", 1);
	tail_latency(&r, name);
	rig_close(&r);
}

/* Measure two processors by the wall clock, in a separate run. */
static void smp(void)
{
	struct rig r;

	rig_load("devices=2", "");
	rig_open(&r, 2, VFIO_TYPE1v2_IOMMU);
	smp_faults(&r, "smp");
	rig_close(&r);
}

static void side(const char *name, bool stock)
{
	struct rig r;

	printf("%s: loading modules\n", name);
	rig_load("devices=1", stock ? NULL : "");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	sim_knob(rig_bdf(0), "slow_poll", 1);
	busy_settle();
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (part_wanted(parts[i].name) && (parts[i].stock || !stock))
			parts[i].measure(&r, name);
	}
	if (symbols && !stock)
		phase_symbols(symbols);
	rig_close(&r);
}

int main(int argc, char **argv)
{
	bool two = argc > 1 && !strcmp(argv[1], "--smp");
	struct utsname u;

	argc -= two;
	argv += two;
	if (argc > 3 && !strcmp(argv[1], "--profile")) {
		symbols = argv[2];
		phase_profile();
		argc -= 2;
		argv += 2;
	}
	if (argc < 2 || argv[1][0] == '-') {
		fputs("usage: bench [--smp | --profile SYMBOLS] FIGURES [PART[:CASE]...]\n",
		      stderr);
		return 2;
	}
	part_choose(argv + 2, argc - 2);
	setvbuf(stdout, NULL, _IOLBF, 0);
	figures_open(argv[1]);
	must_sys(uname(&u));
	figure_line("run kernel %s", u.release);
	if (two) {
		smp();
		figure_line("run complete 1");
		return 0;
	}
	/* Avoid the kernel's update of statistics, which adds to a cost once a second. */
	must(mem_write_file("/proc/sys/vm/stat_interval", "100000"));
	printf("cpu: page faults\n");
	cpu_faults();
	if (!symbols)
		side("type1", true);
	side("iopf", false);
	if (part_wanted("tail") && !symbols)
		tail("iopf");
	if (part_wanted("sched_latency") && !symbols)
		sched_latency();
	if (part_unknown())
		tap_bail("there is no '%s' to measure", part_unknown());
	figure_line("run complete 1");
	return 0;
}
