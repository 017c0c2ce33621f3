// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters of the simulated IOMMU, in debugfs: iopf_sim/iommu/, one value a file.
 *
 * Invariants: each CPU counts for itself, and a reader adds the CPUs up. Writing 0 resets a
 * counter of events; a gauge cannot be written.
 *
 * Locking: none. A reader may miss an event that happens during the read.
 */
#include <linux/debugfs.h>

#include "iommu.h"

DEFINE_PER_CPU(struct iopf_sim_stats, iopf_sim_stats);

/* The value of each counter at its last reset. */
static s64 stats_base[IOPF_SIM_STAT_NR];

static s64 stats_sum(enum iopf_sim_stat stat)
{
	s64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(iopf_sim_stats, cpu).count[stat]);
	return sum;
}

static int stat_get(void *data, u64 *val)
{
	enum iopf_sim_stat stat = (uintptr_t)data;

	*val = stats_sum(stat) - READ_ONCE(stats_base[stat]);
	return 0;
}

static int stat_set(void *data, u64 val)
{
	enum iopf_sim_stat stat = (uintptr_t)data;

	if (val)
		return -EINVAL;
	WRITE_ONCE(stats_base[stat], stats_sum(stat));
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(stat_fops, stat_get, stat_set, "%llu\n");
DEFINE_DEBUGFS_ATTRIBUTE(gauge_fops, stat_get, NULL, "%llu\n");

static const char *const stat_names[IOPF_SIM_STAT_NR] = {
	[IOPF_SIM_STAT_MAPS] = "maps",
	[IOPF_SIM_STAT_UNMAPS] = "unmaps",
	[IOPF_SIM_STAT_UNMAP_HOLES] = "unmap_holes",
	[IOPF_SIM_STAT_UNMAP_SPLITS] = "unmap_splits",
	[IOPF_SIM_STAT_MAP_COLLISIONS] = "map_collisions",
	[IOPF_SIM_STAT_SYNCS] = "syncs",
	[IOPF_SIM_STAT_STOP_MARKERS] = "stop_markers",
	[IOPF_SIM_STAT_REFUSED] = "refused",
	[IOPF_SIM_STAT_TABLES] = "tables",
	[IOPF_SIM_STAT_LEAVES_4K] = "leaves_4k",
	[IOPF_SIM_STAT_LEAVES_2M] = "leaves_2m",
	[IOPF_SIM_STAT_LEAVES_1G] = "leaves_1g",
};

void iopf_sim_stat_create(struct dentry *dir)
{
	for (uintptr_t stat = 0; stat < IOPF_SIM_STAT_NR; stat++) {
		/* Gauges follow the counters of events. */
		bool gauge = stat >= IOPF_SIM_STAT_TABLES;

		debugfs_create_file_unsafe(stat_names[stat], gauge ? 0400 : 0600, dir,
					   (void *)stat, gauge ? &gauge_fops : &stat_fops);
	}
}
