/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Host: what the machine that all guests share is doing.
 */
#ifndef BENCH_DENSITY_HOST_H
#define BENCH_DENSITY_HOST_H

#include <stdint.h>

/**
 * enum host_count - what the kernel has counted, in pages but for the page faults
 * @HOST_SWAPPED_IN: read from swap
 * @HOST_SWAPPED_OUT: written to it
 * @HOST_REFAULTED: came back from swap so soon that the kernel calls it the working set's
 * @HOST_SCANNED: looked at by reclaim
 * @HOST_WAITED: of them, by tasks that wanted memory themselves
 * @HOST_STOLEN: of them, taken
 * @HOST_MAJOR: page faults, devices' and processors', that had to wait for swap
 * @HOST_READ_AHEAD: read from swap beside what was asked for
 * @HOST_READ_AHEAD_USED: of them, used
 * @HOST_COUNTS: how many there are
 */
enum host_count {
	HOST_SWAPPED_IN,
	HOST_SWAPPED_OUT,
	HOST_REFAULTED,
	HOST_SCANNED,
	HOST_WAITED,
	HOST_STOLEN,
	HOST_MAJOR,
	HOST_READ_AHEAD,
	HOST_READ_AHEAD_USED,
	HOST_COUNTS,
};

/**
 * struct host - counters that only grow
 * @ns: the clock
 * @busy_ns: time that tasks ran, all of the machine's
 * @unmaps: of the IOMMU
 * @count: the kernel's, by enum host_count
 */
struct host {
	uint64_t ns;
	uint64_t busy_ns;
	uint64_t unmaps;
	uint64_t count[HOST_COUNTS];
};

/** host_look() - read them */
void host_look(struct host *h);

/** host_count_name() - of a counter, in the figures */
const char *host_count_name(enum host_count count);

/**
 * host_store_fill() - write all of the store that swap will use, once
 * @mib: how much that is
 *
 * The store is a block device that keeps its data in memory (null_blk). So all the memory it will
 * ever take is taken now, and what is left is the host's.
 */
void host_store_fill(unsigned int mib);

/**
 * host_swap_on() - swap to the store from now on
 * @mib: as much as was written
 */
void host_swap_on(unsigned int mib);

#endif /* BENCH_DENSITY_HOST_H */
