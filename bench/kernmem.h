/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's own memory: what it holds for its bookkeeping, in bytes.
 */
#ifndef BENCH_KERNMEM_H
#define BENCH_KERNMEM_H

#include <stdint.h>

/**
 * struct kernmem - what it holds at a moment
 * @slab: pages of all slab caches
 * @other: vmalloc, per-CPU memory, kernel stacks
 * @caches: of @slab, what the backend's own caches hold; told apart only with slab_nomerge
 * @tables: of the simulated IOMMU's page tables, which are neither in @slab nor in @other
 */
struct kernmem {
	uint64_t slab;
	uint64_t other;
	uint64_t caches;
	uint64_t tables;
};

/** kernmem_look() - let things settle, and look */
void kernmem_look(struct kernmem *m);

/** kernmem_figures() - what came in between, as <key>_slab and so on; negative means less */
void kernmem_figures(const struct kernmem *before, const struct kernmem *after, const char *side,
		     const char *key);

#endif /* BENCH_KERNMEM_H */
