/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Seeded random numbers: the same on every machine and in every run.
 */
#ifndef IOPF_CORE_TEST_RNG_H
#define IOPF_CORE_TEST_RNG_H

#include "shim.h"

/* A bijection scrambles a counter, so every seed is good. */
static inline u64 rng_next(u64 *state)
{
	u64 x = *state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/* Returns a number below @n, which is small: the bias does not matter. */
static inline size_t rng_below(u64 *state, size_t n)
{
	return rng_next(state) % n;
}

static inline void rng_fill(u64 *state, u8 *buf, size_t size)
{
	for (size_t i = 0; i < size; i++)
		buf[i] = rng_next(state);
}

#endif /* IOPF_CORE_TEST_RNG_H */
