/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hints: the chunks in which devices have faulted, so that the next fault there finds its chunk
 * fast.
 *
 * Each CPU has a small table of hints. A hint is a chunk, and the generation of the space in which
 * the chunk was found. A space gets a new generation after chunks have been taken out of its
 * arrays, and before these chunks are freed after a grace period. No other space ever had this
 * generation. So a reader that reads the present generation in an RCU read-side section may use a
 * hint of that generation: its chunk is not freed before the end of the section, though it may be
 * dead. The same holds for its area.
 *
 * Code that stores a hint reads the generation before it looks for the chunk. If chunks are taken
 * out meanwhile, the hint belongs to an old generation.
 *
 * Locking: RCU. Preemption is off while a hint is read or written as a whole.
 *
 * To find a chunk takes some 270 instructions without a hint, and 20 with one. Most spaces have one
 * large area or a few. For a new chunk, the area of the last chunk is the most likely one: this
 * check takes 20 instructions rather than 120.
 */
#ifndef IOPF_HINT_H
#define IOPF_HINT_H

#include <linux/atomic.h>
#include <linux/percpu.h>
#include <linux/types.h>

#include "area.h"
#include "chunk.h"

/**
 * struct iopf_hint - a chunk that is likely to be needed again
 * @generation: the generation in which it was found; 0: no hint
 * @chunk: the chunk
 */
struct iopf_hint {
	u64 generation;
	struct iopf_chunk *chunk;
};

/* Hints of a CPU. They cover 256 MiB in use at a time, and take 2 KiB. */
#define IOPF_HINTS 128

/**
 * struct iopf_hints - the hints of a CPU
 * @hint: hints, by number of the chunk and generation
 * @last: the hint that was stored last
 */
struct iopf_hints {
	struct iopf_hint hint[IOPF_HINTS];
	struct iopf_hint last;
};

extern struct iopf_hints __percpu *iopf_hints;
/* The last generation of all spaces. */
extern atomic64_t iopf_hint_generations;

int iopf_hints_init(void);
void iopf_hints_exit(void);

/**
 * iopf_hint_renew() - give a space a new generation: it is new, or chunks are about to be freed
 * @generation: the space's
 *
 * Context: no code can find the chunks any more, and the caller frees them after a grace period.
 */
static inline void iopf_hint_renew(u64 *generation)
{
	/* Fully ordered: first the chunks can't be found any more, then the generation ends. */
	WRITE_ONCE(*generation, atomic64_inc_return(&iopf_hint_generations));
}

static inline unsigned int iopf_hint_index(u64 generation, u64 iova)
{
	return ((iova >> IOPF_CHUNK_SHIFT) + generation) % IOPF_HINTS;
}

/**
 * iopf_hint_get() - look up the chunk of an address in the hints
 * @generation: of the space, read in the caller's RCU read-side section
 * @iova: the address
 *
 * Return: the chunk, which contains the page; or NULL.
 */
static inline struct iopf_chunk *iopf_hint_get(u64 generation, u64 iova)
{
	struct iopf_hint *h = get_cpu_ptr(iopf_hints)->hint + iopf_hint_index(generation, iova);
	struct iopf_chunk *chunk = NULL;
	u64 page;

	if (likely(h->generation == generation))
		chunk = h->chunk;
	put_cpu_ptr(iopf_hints);
	if (!chunk)
		return NULL;
	/* Several areas may share the 2 MiB, and several chunks the same hint. */
	page = (iova - chunk->iova) >> PAGE_SHIFT;
	return likely(page >= chunk->first && page <= chunk->last) ? chunk : NULL;
}

/**
 * iopf_hint_set() - store a hint
 * @generation: of the space, read before the caller looked for the chunk
 * @chunk: the chunk
 */
static inline void iopf_hint_set(u64 generation, struct iopf_chunk *chunk)
{
	const struct iopf_hint new = {
		.generation = generation,
		.chunk = chunk,
	};
	struct iopf_hints *hints = get_cpu_ptr(iopf_hints);

	hints->hint[iopf_hint_index(generation, chunk->iova)] = new;
	hints->last = new;
	put_cpu_ptr(iopf_hints);
}

/**
 * iopf_hint_area() - return the area of the last hint, if it contains an address
 * @generation: of the space, read in the caller's RCU read-side section
 * @iova: the address
 *
 * Return: the area, which may be dead; or NULL.
 */
static inline struct iopf_area *iopf_hint_area(u64 generation, u64 iova)
{
	const struct iopf_hint *last = &get_cpu_ptr(iopf_hints)->last;
	struct iopf_area *area = NULL;

	if (likely(last->generation == generation))
		area = last->chunk->area;
	put_cpu_ptr(iopf_hints);
	return area && iova >= area->range.first && iova <= area->range.last ? area : NULL;
}

#endif /* IOPF_HINT_H */
