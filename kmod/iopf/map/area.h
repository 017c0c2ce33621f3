/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_AREA_H
#define IOPF_AREA_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "../../../core/chunkmap.h"
#include "../../../core/range.h"
#include "../host/mm.h"

struct iommu_domain;
struct iopf_chunk;
struct iopf_space;
struct iopf_domains;
struct mm_struct;
struct task_struct;

/**
 * struct iopf_area - one VFIO_IOMMU_MAP_DMA range
 * @space: the address space
 * @mm: the process whose memory is mapped
 * @range: I/O virtual addresses
 * @vaddr: the CPU address of @range.first in @mm
 * @prot: IOMMU_READ, IOMMU_WRITE: the access that devices are permitted
 * @huge_ok: 2 MiB mappings are allowed
 * @frozen: no new page may be mapped, and faults wait; see iopf_area_freeze()
 * @vaddr_invalid: frozen until VFIO_DMA_MAP_FLAG_VADDR. Under the space's lock.
 * @mmio: part of it is device memory that is held as if pinned
 * @dead: being removed: no new chunks, under @chunks' lock, and no new spans, under @spans' lock
 * @no_spans: no leaf of 1 GiB may map it, since part of it is pinned, or is about to be
 * @chunks: chunks that have been touched, by iopf_area_chunk_index()
 * @spans: spans by IOVA >> IOPF_SPAN_SHIFT, where the CPU was seen to have a leaf of that size
 * @cpu: its place in the tree of @mm, whose notifier reports changes there
 * @task: the task whose RLIMIT_MEMLOCK counts for pinned pages
 * @lock_cap: @task was not limited (CAP_IPC_LOCK) when it mapped the area
 * @pinned: all of it is pinned, for a group that can't fault. Under the space's lock.
 * @pinned_pages: number of pages that are pinned, for whatever reason
 * @locked: pages charged to @mm's locked_vm. Under the space's lock.
 * @pins: pages that emulated devices have pinned, by page of the area; see pin/emulated.c. Under
 *        the space's lock.
 * @id: a number that no other area of the space has had
 * @incomplete: MAP_DMA is in progress and has not pinned everything yet, so emulated devices pin
 *          nothing in it. Under the space's lock.
 * @leaving: being unmapped; emulated devices pin nothing more. Under the space's lock.
 * @reported: being unmapped, and its last report is being made or has been made. Under the space's
 *            lock; set and cleared under iopf_container.reporting.
 * @notifications: how often drivers of emulated devices were told to unpin and left pins. Under the
 *                 space's lock.
 * @gone: other areas that are removed at the same time. Under the space's lock; later only
 *        @free_work uses it.
 * @free_work: in one of these areas: frees all of them after a grace period
 *
 * Fields without a lock are constant once the area is published. @mm and @vaddr are constant as
 * long as the area is not frozen.
 */
struct iopf_area {
	struct iopf_space *space;
	struct iopf_mm *mm;
	struct iopf_range range;
	unsigned long vaddr;
	int prot;
	bool huge_ok;
	bool frozen;
	bool vaddr_invalid;
	bool mmio;
	bool dead;
	bool no_spans;
	struct xarray chunks;
	struct xarray spans;
	struct iopf_mm_range cpu;
	struct task_struct *task;
	bool lock_cap;
	bool pinned;
	atomic_long_t pinned_pages;
	unsigned long locked;
	struct xarray pins;
	u64 id;
	bool incomplete;
	bool leaving;
	bool reported;
	unsigned int notifications;
	struct list_head gone;
	struct rcu_work free_work;
};

static inline unsigned long iopf_area_vaddr(const struct iopf_area *area, u64 iova)
{
	return area->vaddr + (unsigned long)(iova - area->range.first);
}

/* Whether the CPU address may be used, under RCU. As in chunk_may_map(). */
static inline bool iopf_area_has_vaddr(const struct iopf_area *area)
{
	/* Pairs with iopf_area_thaw(). */
	return !smp_load_acquire(&area->frozen);
}

/* The index counts from the area's first chunk, so the array of a small area needs no nodes. */
static inline unsigned long iopf_area_chunk_index(const struct iopf_area *area, u64 iova)
{
	return (iova >> IOPF_CHUNK_SHIFT) - (area->range.first >> IOPF_CHUNK_SHIFT);
}

/* The chunk at an address, or NULL. */
static inline struct iopf_chunk *iopf_area_chunk_there(struct iopf_area *area, u64 iova)
{
	return xa_load(&area->chunks, iopf_area_chunk_index(area, iova));
}

static inline u64 iopf_area_size(const struct iopf_area *area)
{
	return area->range.last - area->range.first + 1;
}

static inline unsigned long iopf_area_pages(const struct iopf_area *area)
{
	return ((area->range.last - area->range.first) >> PAGE_SHIFT) + 1;
}

extern const struct iopf_mm_ops iopf_area_mm_ops;

int iopf_area_cache_init(void);
void iopf_area_cache_exit(void);
struct iopf_area *iopf_area_create(struct iopf_space *space, struct iopf_mm *mm,
				   const struct iopf_range *range, unsigned long vaddr, int prot);
void iopf_areas_destroy(struct list_head *areas);
struct iopf_chunk *iopf_area_chunk(struct iopf_area *area, u64 iova, gfp_t gfp);
unsigned int iopf_area_chunks(struct iopf_area *area, u64 iova, unsigned int n,
			      struct iopf_chunk **chunks);
struct iopf_chunk *iopf_area_next_chunk(struct iopf_area *area, const struct iopf_chunk *chunk,
					unsigned long *index);
bool iopf_area_vaddr_begin(const struct iopf_chunk *chunk, struct iopf_vaddr_seen *seen);
void iopf_area_forget_vaddr(struct iopf_space *space);
void iopf_area_freeze(struct iopf_area *area);
void iopf_area_thaw(struct iopf_area *area);
void iopf_area_rebase(struct iopf_area *area, struct iopf_mm *mm, unsigned long vaddr);
bool iopf_area_zap_some(struct iopf_area *area, struct iopf_range *range, unsigned int *zapped);
unsigned int iopf_area_zap_chunks(struct iopf_area *area, const struct iopf_range *range,
				  bool age);
int iopf_area_dirty(struct iopf_area *area, u64 iova, u64 size);
int iopf_area_set_domains(struct iopf_area *area, const struct iopf_domains *domains,
			  struct iommu_domain *added);

#endif /* IOPF_AREA_H */
