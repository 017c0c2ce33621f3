/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's own memory, which it uses for bookkeeping, in bytes.
 */
#ifndef BENCH_KERNMEM_H
#define BENCH_KERNMEM_H

#include <stdint.h>

/**
 * struct kernmem - the kernel's memory at one time
 * @slab: pages of all slab caches
 * @other: vmalloc, per-CPU memory, kernel stacks
 * @caches: the part of @slab in the backend's own caches; correct only with slab_nomerge
 * @tables: page tables of the simulated IOMMU, which are neither in @slab nor in @other
 */
struct kernmem {
	uint64_t slab;
	uint64_t other;
	uint64_t caches;
	uint64_t tables;
};

/** kernmem_look() - wait for background work, then read the memory */
void kernmem_look(struct kernmem *m);

/** kernmem_figures() - write the differences, as <key>_slab and so on; negative: less memory */
void kernmem_figures(const struct kernmem *before, const struct kernmem *after, const char *side,
		     const char *key);

#endif /* BENCH_KERNMEM_H */
