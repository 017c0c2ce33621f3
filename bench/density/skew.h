/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Skew: which part of its memory a guest's device works on next.
 *
 * Memory is cut into extents. Some of them, scattered over all of it, are hot: the working set. A
 * job goes to a hot extent, or, with the chance given, to one of the others: the tail. Within
 * either all extents are alike. The same seed gives the same sequence.
 */
#ifndef BENCH_DENSITY_SKEW_H
#define BENCH_DENSITY_SKEW_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct skew - a sequence of extents
 * @extents: how many there are
 * @hot: how many of them are hot
 * @tail_permille: the chance of a job to go elsewhere
 * @order: the extents, in an order by chance; the first @hot are hot
 * @state: of the generator
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
 * @extents: how many there are, at least 2
 * @hot_percent: how many of them are hot; at least one is, and at least one is not
 * @tail_permille: the chance of a job to go to one that is not
 * @seed: of the choice and of the sequence
 */
void skew_init(struct skew *k, unsigned int extents, unsigned int hot_percent,
	       unsigned int tail_permille, uint64_t seed);

/** skew_free() - free what skew_init() allocated */
void skew_free(struct skew *k);

/** skew_random() - a number below @below, of the same generator */
uint64_t skew_random(struct skew *k, uint64_t below);

/**
 * skew_next() - the next extent
 * @k: the sequence
 * @tail: out: it is not a hot one
 */
unsigned int skew_next(struct skew *k, bool *tail);

#endif /* BENCH_DENSITY_SKEW_H */
