/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_SAMPLE_KERNEL_H
#define IOPF_SAMPLE_KERNEL_H

#include <linux/jump_label.h>

#include "../lib/timing.h"
#include "../map/chunk.h"

struct iopf_attach;
struct iopf_container;
struct iopf_sampler;

/* Some container is being sampled. */
DECLARE_STATIC_KEY_FALSE(iopf_sample_on);

struct iopf_sampler *iopf_sampler_create(struct iopf_container *c);
void iopf_sampler_end(struct iopf_sampler *sampler);
void iopf_sampler_free(struct iopf_sampler *sampler);

bool iopf_sample_new_chunk(struct iopf_chunk *chunk);
void iopf_sample_unmade(struct iopf_chunk *chunk);
void iopf_sample_chunk_fault(struct iopf_chunk *chunk, struct iopf_timing *timing);
bool iopf_sample_chunk_look(struct iopf_chunk *chunk, unsigned int pages);
void iopf_sample_spent(struct iopf_container *c, const struct iopf_timing *timing);

/**
 * iopf_sample_made() - a chunk has been made
 * @chunk: about to be published in its area's array, whose lock is held
 *
 * Return: whether it counts: then iopf_sample_unmade() takes it back.
 */
static inline bool iopf_sample_made(struct iopf_chunk *chunk)
{
	return static_branch_unlikely(&iopf_sample_on) && iopf_sample_new_chunk(chunk);
}

/**
 * iopf_sample_fault() - a fault has been served by a chunk
 * @chunk: the chunk, locked
 * @timing: the fault's clock
 */
static __always_inline void iopf_sample_fault(struct iopf_chunk *chunk, struct iopf_timing *timing)
{
	if (static_branch_unlikely(&iopf_sample_on) && chunk->look != IOPF_LOOK_NONE)
		iopf_sample_chunk_fault(chunk, timing);
}

/**
 * iopf_sample_counts() - whether there would have been no fault if nobody sampled the container
 * @timing: the fault's clock
 */
static __always_inline bool iopf_sample_counts(const struct iopf_timing *timing)
{
	return static_branch_unlikely(&iopf_sample_on) && timing->sampled;
}

/**
 * iopf_sample_handled() - a fault has been answered in place, and what comes after that is done
 * @c: the container, which somebody keeps
 * @timing: the fault's clock
 */
static __always_inline void iopf_sample_handled(struct iopf_container *c,
						const struct iopf_timing *timing)
{
	if (iopf_sample_counts(timing))
		iopf_sample_spent(c, timing);
}

#endif /* IOPF_SAMPLE_KERNEL_H */
