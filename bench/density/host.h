/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Host: counters of the machine that all guests share.
 */
#ifndef BENCH_DENSITY_HOST_H
#define BENCH_DENSITY_HOST_H

#include <stdint.h>

/**
 * enum host_count - counters of the kernel, in pages (page faults: number)
 * @HOST_SWAPPED_IN: pages read from swap
 * @HOST_SWAPPED_OUT: pages written to swap
 * @HOST_REFAULTED: evicted anonymous pages that came back from swap (workingset_refault_anon)
 * @HOST_SCANNED: pages that reclaim scanned
 * @HOST_WAITED: pages of @HOST_SCANNED in direct reclaim, by tasks that allocate memory
 * @HOST_STOLEN: pages of @HOST_SCANNED that were reclaimed
 * @HOST_MAJOR: page faults of devices and processors that waited for swap
 * @HOST_READ_AHEAD: pages that swap readahead read
 * @HOST_READ_AHEAD_USED: pages of @HOST_READ_AHEAD that were used
 * @HOST_COUNTS: number of counters
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
 * @busy_ns: time for which tasks ran, on the whole machine
 * @unmaps: unmaps of the IOMMU
 * @count: counters of the kernel, by enum host_count
 */
struct host {
	uint64_t ns;
	uint64_t busy_ns;
	uint64_t unmaps;
	uint64_t count[HOST_COUNTS];
};

/** host_look() - read the counters */
void host_look(struct host *h);

/** host_count_name() - name of a counter in the figures */
const char *host_count_name(enum host_count count);

/**
 * host_store_fill() - write the whole store of swap once
 * @mib: size of the store
 *
 * The store is a block device that keeps its data in memory (null_blk). After this call it has all
 * the memory that it will ever need, and the rest of the memory is the host's.
 */
void host_store_fill(unsigned int mib);

/**
 * host_swap_on() - swap to the store from now on
 * @mib: the size, as for host_store_fill()
 */
void host_swap_on(unsigned int mib);

#endif /* BENCH_DENSITY_HOST_H */
