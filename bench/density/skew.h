/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Skew: the choice of the memory that a guest's device uses next.
 *
 * Memory is divided into extents. Some extents, scattered over the memory, are hot: the working
 * set. A job uses a hot extent, or, with a given probability, one of the others: the tail. Within
 * the working set and within the tail, all extents have the same probability. The same seed gives
 * the same sequence.
 */
#ifndef BENCH_DENSITY_SKEW_H
#define BENCH_DENSITY_SKEW_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct skew - a sequence of extents
 * @extents: number of extents
 * @hot: number of hot extents
 * @tail_permille: probability of a job in the tail
 * @order: the extents in random order; the first @hot are hot
 * @state: state of the generator
 */
struct skew {
	unsigned int extents;
	unsigned int hot;
	unsigned int tail_permille;
	unsigned int *order;
	uint64_t state;
};

/**
 * skew_init() - begin a sequence
 * @k: out
 * @extents: number of extents, at least 2
 * @hot_percent: share of hot extents; at least one extent is hot, and at least one is not
 * @tail_permille: probability of a job in the tail
 * @seed: seed of the choice of hot extents and of the sequence
 */
void skew_init(struct skew *k, unsigned int extents, unsigned int hot_percent,
	       unsigned int tail_permille, uint64_t seed);

/** skew_free() - free what skew_init() allocated */
void skew_free(struct skew *k);

/** skew_random() - a random number below @below, from the same generator */
uint64_t skew_random(struct skew *k, uint64_t below);

/**
 * skew_next() - the next extent
 * @k: the sequence
 * @tail: out: the extent is not hot
 */
unsigned int skew_next(struct skew *k, bool *tail);

#endif /* BENCH_DENSITY_SKEW_H */
