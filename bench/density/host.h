/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Host: what the machine that all guests share is doing.
 */
#ifndef BENCH_DENSITY_HOST_H
#define BENCH_DENSITY_HOST_H

#include <stdint.h>

/**
 * struct host - counters that only grow
 * @ns: the clock
 * @busy_ns: time that tasks ran, all of the machine's
 * @swapped_in: pages
 * @swapped_out: pages
 */
struct host {
	uint64_t ns;
	uint64_t busy_ns;
	uint64_t swapped_in;
	uint64_t swapped_out;
};

/** host_look() - read them */
void host_look(struct host *h);

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
