// SPDX-License-Identifier: GPL-2.0-only
/*
 * The demo, inside the VM: the same job through stock vfio_iommu_type1 and then through
 * vfio_iommu_iopf, in one boot, on the same simulated devices. Between the two the modules are
 * unloaded and loaded again, so that each side begins with devices fresh from reset.
 *
 * Prints progress to stdout and figures to a file (figures.h); demo/report.py on the host makes
 * the table, the JSON and the chart of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "figures.h"
#include "hog.h"
#include "mem.h"
#include "say.h"
#include "side.h"
#include "tap.h"

/* The neighbour leaves this part of the buffer's size to everybody else. */
#define HOG_SPARES	16

static size_t number(const char *text)
{
	char *rest;
	unsigned long n = strtoul(text, &rest, 10);

	if (*rest || !n)
		tap_bail("'%s': a size or a count greater than zero is wanted", text);
	return n;
}

static void about(const struct side_job *job)
{
	struct utsname u;

	must_sys(uname(&u));
	figure_line("run kernel %s", u.release);
	figure("run", "size", job->size);
	figure("run", "devices", job->devices);
	figure("run", "memory", mem_info_kb("MemTotal") * 1024);
	figure("run", "swap", mem_info_kb("SwapTotal") * 1024);
}

int main(int argc, char **argv)
{
	struct side_job job;
	bool right;

	if (argc == 3 && !strcmp(argv[1], "hog"))
		return hog_main(number(argv[2]));
	if (argc != 5) {
		fprintf(stderr, "usage: demo MIB DEVICES PROGRESS-MS FIGURES-FILE\n");
		return 2;
	}
	job.size = number(argv[1]) * MiB;
	job.devices = (unsigned int)number(argv[2]);
	job.hog_mib = (mem_info_kb("MemAvailable") * 1024 - job.size / HOG_SPARES) / MiB;
	if (!mem_have_swap() || !mem_swap_is_disk())
		tap_bail("the demo wants a swap disk: vm/run --swap");

	say_every((unsigned int)number(argv[3]));
	figures_open(argv[4]);
	about(&job);
	right = side_run(&job, true);
	right &= side_run(&job, false);
	figure("run", "right", right);
	return right ? 0 : 1;
}
