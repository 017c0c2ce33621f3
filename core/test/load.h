/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Synthetic loads: the sequence of blocks that a device uses. A seed makes the same load on every
 * machine. The native tests use it, and so does the test in which a simulated device runs the load.
 *
 *   zipf    uses block k of a random order in proportion to 1 / k
 *   scan    half of the uses are zipf in a sixteenth of the blocks; the other half run through all
 *           other blocks in order, again and again. The uses alternate.
 *   loop    runs through all blocks in order, again and again
 *   phases  zipf in one half of the blocks, then in the other; an eighth belongs to both
 */
#ifndef IOPF_CORE_TEST_LOAD_H
#define IOPF_CORE_TEST_LOAD_H

#include <stdint.h>
#include <stdlib.h>

enum load_kind {
	LOAD_ZIPF,
	LOAD_SCAN,
	LOAD_LOOP,
	LOAD_PHASES,
	LOAD_KINDS,
};

static const char *const load_names[LOAD_KINDS] = { "zipf", "scan", "loop", "phases" };

/* Like rng_next() in rng.h, without the shim. */
static inline uint64_t load_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/**
 * struct load_zipf - a random choice
 * @n: number of blocks
 * @below: sum of the weights up to each block
 * @block: order of the blocks
 */
struct load_zipf {
	uint32_t n;
	uint64_t *below;
	uint32_t *block;
};

static inline void load_zipf_init(struct load_zipf *z, uint32_t first, uint32_t n, uint64_t *state)
{
	uint64_t sum = 0;

	z->n = n;
	z->below = malloc(n * sizeof(*z->below));
	z->block = malloc(n * sizeof(*z->block));
	if (!z->below || !z->block)
		abort();
	for (uint32_t i = 0; i < n; i++) {
		uint32_t j = (uint32_t)(load_random(state) % (i + 1));

		z->below[i] = sum += (1ull << 32) / (i + 1);
		z->block[i] = z->block[j];
		z->block[j] = first + i;
	}
}

static inline void load_zipf_free(struct load_zipf *z)
{
	free(z->below);
	free(z->block);
}

static inline uint32_t load_zipf_next(const struct load_zipf *z, uint64_t *state)
{
	uint64_t r = load_random(state) % z->below[z->n - 1];
	uint32_t low = 0, high = z->n - 1;

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (r < z->below[mid])
			high = mid;
		else
			low = mid + 1;
	}
	return z->block[low];
}

/**
 * load_make() - make a load
 * @kind: kind of load
 * @blocks: number of blocks, at least 32
 * @uses: number of uses
 * @seed: seed of the random choices
 *
 * Return: the blocks in the order of their use, for free().
 */
static inline uint32_t *load_make(enum load_kind kind, uint32_t blocks, uint32_t uses,
				  uint64_t seed)
{
	uint32_t *use = malloc(uses * sizeof(*use)), hot = blocks / 16, both = blocks / 8;
	struct load_zipf a, b;

	if (!use)
		abort();
	load_zipf_init(&a, 0, kind == LOAD_SCAN ? hot : kind == LOAD_PHASES ? blocks / 2 : blocks,
		       &seed);
	load_zipf_init(&b, blocks / 2 - both, blocks / 2 + both, &seed);
	for (uint32_t i = 0; i < uses; i++) {
		switch (kind) {
		case LOAD_SCAN:
			use[i] = i % 2 ? hot + i / 2 % (blocks - hot) : load_zipf_next(&a, &seed);
			break;
		case LOAD_LOOP:
			use[i] = i % blocks;
			break;
		case LOAD_PHASES:
			use[i] = load_zipf_next(i < uses / 2 ? &a : &b, &seed);
			break;
		default:
			use[i] = load_zipf_next(&a, &seed);
		}
	}
	load_zipf_free(&a);
	load_zipf_free(&b);
	return use;
}

#endif /* IOPF_CORE_TEST_LOAD_H */
