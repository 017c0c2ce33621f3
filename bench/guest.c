// SPDX-License-Identifier: GPL-2.0-only
/*
 * The benchmark, inside the VM, under the deterministic clock (vm/run --icount): one instruction of
 * the guest is one nanosecond of its clock, so two runs give the same figures.
 *
 * CPU faults first, then stock vfio_iommu_type1, then vfio_iommu_iopf, in one boot. Figures go to a
 * file; bench/report.py on the host makes the table, the JSON and the chart of them.
 */
#include <stdio.h>
#include <sys/utsname.h>

#include "busy.h"
#include "cpu.h"
#include "dma.h"
#include "figures.h"

static void side(const char *name, bool stock)
{
	struct rig r;

	printf("%s: loading modules\n", name);
	rig_load("devices=1", stock ? NULL : "");
	rig_open(&r, 1, VFIO_TYPE1v2_IOMMU);
	busy_settle();
	map_costs(&r, name);
	pass_costs(&r, name);
	if (!stock)
		single_costs(&r, name);
	rig_close(&r);
}

int main(int argc, char **argv)
{
	struct utsname u;

	if (argc != 2) {
		fprintf(stderr, "usage: bench FIGURES-FILE\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	figures_open(argv[1]);
	must_sys(uname(&u));
	figure_line("run kernel %s", u.release);
	printf("cpu: page faults\n");
	cpu_faults();
	side("type1", true);
	side("iopf", false);
	figure_line("run complete 1");
	return 0;
}
