// SPDX-License-Identifier: GPL-2.0-only
/*
 * The density experiment, inside the VM, under the deterministic clock: how many guests a host of
 * a given memory can have, first with stock vfio_iommu_type1, which pins them, then with
 * vfio_iommu_iopf. See docs/internals/density.md. Figures go to a file. report.py on the host turns
 * them into the table, the JSON and the chart. For a profile only the side of vfio_iommu_iopf runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "../phase.h"
#include "figures.h"
#include "host.h"
#include "rig.h"
#include "side.h"
#include "tally.h"

/*
 * The memory that the kernel keeps free, as a part of the guests' memory. It is very little on a
 * large host, but by default a tenth on a small machine.
 */
#define RESERVE_SHARE	128

/* Arguments of the command line, as name=number. All are required. */
static struct {
	const char *name;
	unsigned int least;
	unsigned int most;
	unsigned int value;
} params[] = {
	{ "size_mib", 1, 1024, 0 },	/* memory of a guest */
	{ "extent_kib", 4, 1024, 0 },
	{ "hot_percent", 1, 99, 0 },
	{ "tail_permille", 0, 1000, 0 },
	{ "write_percent", 0, 100, 0 },
	{ "think_us", 1, 10000000, 0 },
	{ "settle_ms", 0, 100000, 0 },
	{ "window_ms", 1, 100000, 0 },
	{ "windows", 1, 100, 0 },	/* most windows of a step */
	{ "swap_mib", 1, 1 << 20, 0 },
	{ "check_every", 1, 1 << 20, 0 },
};

static unsigned int param(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(params); i++) {
		if (!strcmp(params[i].name, name))
			return params[i].value;
	}
	tap_bail("there is no parameter '%s'", name);
}

static bool param_set(const char *arg)
{
	for (size_t i = 0; i < ARRAY_SIZE(params); i++) {
		size_t len = strlen(params[i].name);
		unsigned long value;
		char *end;

		if (strncmp(arg, params[i].name, len) || arg[len] != '=')
			continue;
		value = strtoul(arg + len + 1, &end, 10);
		if (*end || end == arg + len + 1 || value < params[i].least ||
		    value > params[i].most)
			tap_bail("%s: a number from %u to %u is wanted", arg, params[i].least,
				 params[i].most);
		params[i].value = (unsigned int)value;
		return true;
	}
	return false;
}

static unsigned int steps_read(unsigned int *steps, const char *text)
{
	unsigned int n = 0, before = 0;
	char *end;

	do {
		unsigned long step = strtoul(text, &end, 10);

		if (end == text || (*end && *end != ',') || step <= before ||
		    step > TALLY_MAX_GUESTS)
			tap_bail("steps are numbers from 1 to %u, each greater than the one before",
				 TALLY_MAX_GUESTS);
		before = (unsigned int)step;
		steps[n++] = before;
		text = end + 1;
	} while (*end);
	return n;
}

static void run_figures(void)
{
	struct utsname u;

	must_sys(uname(&u));
	figure_line("run kernel %s", u.release);
	for (size_t i = 0; i < ARRAY_SIZE(params); i++)
		figure("run", params[i].name, params[i].value);
	figure("run", "available", mem_info_kb("MemAvailable") * 1024);
}

/* Split FILE=TEXT. */
static struct side_setting setting_read(char *arg)
{
	char *text = strchr(arg, '=');

	if (!text || text == arg || !text[1])
		tap_bail("'%s': FILE=TEXT is wanted", arg);
	*text++ = 0;
	return (struct side_setting){ .file = arg, .text = text };
}

/* Apply a setting of the host. It is valid at once. */
static void host_set(char *arg)
{
	struct side_setting set = setting_read(arg);
	int err = mem_write_file(set.file, "%s", set.text);

	if (err)
		tap_bail("'%s' can't be written to %s: %s", set.text, set.file, strerror(-err));
	figure_line("run set %s %s", set.file, set.text);
}

static void container_set(struct side_plan *plan, char *arg)
{
	if (plan->settings == SIDE_SETTINGS_MAX)
		tap_bail("more than %u settings for containers", SIDE_SETTINGS_MAX);
	plan->setting[plan->settings] = setting_read(arg);
	figure_line("run container %s %s", plan->setting[plan->settings].file,
		    plan->setting[plan->settings].text);
	plan->settings++;
}

static void args_read(struct side_plan *plan, unsigned int *steps, char **arg, int n)
{
	for (int i = 0; i < n; i++) {
		if (!strncmp(arg[i], "steps=", 6))
			plan->steps = steps_read(steps, arg[i] + 6);
		else if (!strncmp(arg[i], "set=", 4))
			host_set(arg[i] + 4);
		else if (!strncmp(arg[i], "container=", 10))
			container_set(plan, arg[i] + 10);
		else if (!strncmp(arg[i], "symbols=", 8))
			plan->symbols = arg[i] + 8;
		else if (!param_set(arg[i]))
			tap_bail("'%s' is no parameter", arg[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(params); i++) {
		if (params[i].value < params[i].least)
			tap_bail("%s= is missing", params[i].name);
	}
	if (!plan->steps)
		tap_bail("steps= is missing");
	plan->step = steps;
	plan->conf = (struct guest_conf) {
		.size = param("size_mib") * MiB,
		.extent = param("extent_kib") * 1024,
		.hot_percent = param("hot_percent"),
		.tail_permille = param("tail_permille"),
		.write_percent = param("write_percent"),
		.think_us = param("think_us"),
		.check_every = param("check_every"),
	};
	if (plan->conf.extent % MEM_PAGE || plan->conf.size % plan->conf.extent ||
	    plan->conf.size < 2 * plan->conf.extent)
		tap_bail("an extent is whole pages, a guest's memory several whole extents");
	plan->settle_ms = param("settle_ms");
	plan->window_ms = param("window_ms");
	plan->windows = param("windows");
}

int main(int argc, char **argv)
{
	unsigned int steps[TALLY_MAX_GUESTS];
	struct side_plan plan = { };

	if (argc < 2 || argv[1][0] == '-') {
		fputs("usage: density FIGURES NAME=NUMBER|steps=|set=|container=|symbols=...\n",
		      stderr);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	figures_open(argv[1]);
	args_read(&plan, steps, argv + 2, argc - 2);
	if (plan.symbols)
		phase_profile();
	/* Avoid the kernel's update of statistics, which adds to a cost once a second. */
	must(mem_write_file("/proc/sys/vm/stat_interval", "100000"));
	host_store_fill(param("swap_mib"));
	must(mem_write_file("/proc/sys/vm/min_free_kbytes", "%zu",
			    mem_info_kb("MemAvailable") / RESERVE_SHARE));
	run_figures();
	if (!plan.symbols)
		side_run("type1", true, &plan);
	/*
	 * Stock gets no swap, since memory of a pinned guest cannot be swapped out. If there were
	 * swap for the little other memory, the kernel would try to reclaim for minutes before it
	 * refuses another guest.
	 */
	host_swap_on(param("swap_mib"));
	side_run("iopf", false, &plan);
	figure_line("run complete 1");
	return 0;
}
