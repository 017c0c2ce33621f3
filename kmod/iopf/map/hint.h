/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hints: where devices have faulted, so that the next fault there need not look for it.
 *
 * Each CPU has a small table of them. A hint is a chunk, and the generation of the space in
 * which it was found. A space gets a new generation, which no other ever had, when chunks have
 * been taken out of its arrays and before they are freed after a grace period. So to whoever reads
 * the present generation in an RCU read-side section, a hint of that generation is a
 * chunk that is not freed before the end of the section, though it may be dead. The same goes for
 * its area.
 *
 * Who stores a hint has read the generation before it looked for the chunk: should chunks go
 * meanwhile, the hint is of a generation that is over.
 *
 * Locking: RCU, and preemption is off while a hint is read or written as a whole.
 *
 * Looking for a chunk takes some 270 instructions without a hint, 20 with one. Most spaces have one
 * large area or a few: where the chunk is new, the last chunk says which area that most likely is,
 * in 20 instructions rather than 120.
 */
#ifndef IOPF_HINT_H
#define IOPF_HINT_H

#include <linux/atomic.h>
#include <linux/percpu.h>
#include <linux/types.h>

#include "area.h"
#include "chunk.h"

/**
 * struct iopf_hint - a chunk that may well be wanted again
 * @generation: in which it was found; 0 is none
 * @chunk: the chunk
 */
struct iopf_hint {
	u64 generation;
	struct iopf_chunk *chunk;
};

/* Hints of a CPU: 256 MiB in use at a time, for 2 KiB. */
#define IOPF_HINTS 128

/**
 * struct iopf_hints - the hints of a CPU
 * @hint: by number of the chunk and generation
 * @last: the one that was stored last
 */
struct iopf_hints {
	struct iopf_hint hint[IOPF_HINTS];
	struct iopf_hint last;
};

extern struct iopf_hints __percpu *iopf_hints;
/* Generations of all spaces. */
extern atomic64_t iopf_hint_generations;

int iopf_hints_init(void);
void iopf_hints_exit(void);

/**
 * iopf_hint_renew() - chunks are going to be freed, or a space begins
 * @generation: the space's
 *
 * Context: the chunks can't be found any more, and the caller frees them after a grace period.
 */
static inline void iopf_hint_renew(u64 *generation)
{
	/* Fully ordered: chunks can't be found, then the generation is over. */
	WRITE_ONCE(*generation, atomic64_inc_return(&iopf_hint_generations));
}

static inline unsigned int iopf_hint_index(u64 generation, u64 iova)
{
	return ((iova >> IOPF_CHUNK_SHIFT) + generation) % IOPF_HINTS;
}

/**
 * iopf_hint_get() - the chunk of an address, if the hint is about it
 * @generation: of the space, read in the caller's RCU read-side section
 * @iova: the address
 *
 * Return: the chunk, which has the page; or NULL.
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
	/* Areas may share the 2 MiB, and chunks the hint. */
	page = (iova - chunk->iova) >> PAGE_SHIFT;
	return likely(page >= chunk->first && page <= chunk->last) ? chunk : NULL;
}

/**
 * iopf_hint_set() - store a hint
 * @generation: of the space, read before the chunk was looked for
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
 * iopf_hint_area() - the area of an address, if it is that of the last hint
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
