/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_AREA_H
#define IOPF_AREA_H

#include <linux/atomic.h>
#include <linux/interval_tree.h>
#include <linux/list.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "../../../core/chunkmap.h"
#include "../../../core/range.h"

struct iommu_domain;
struct iopf_chunk;
struct iopf_container;
struct iopf_domains;
struct iopf_mm;
struct iopf_vaddr_seen;
struct mm_struct;
struct task_struct;

/**
 * struct iopf_area - one VFIO_IOMMU_MAP_DMA range
 * @container: whose
 * @mm: whose memory
 * @range: I/O virtual addresses
 * @vaddr: where @range.first is in @mm
 * @prot: IOMMU_READ, IOMMU_WRITE: what the device may do
 * @huge_ok: 2 MiB mappings are allowed
 * @frozen: devices map nothing more, and wait; see iopf_area_freeze()
 * @vaddr_invalid: frozen until VFIO_DMA_MAP_FLAG_VADDR. Under the container's lock.
 * @mmio: part of it is devices' memory that is held as if pinned
 * @dead: being removed; no new chunks, under @chunks' lock, and no new spans, under @spans' lock
 * @no_spans: nothing is mapped by leaves of 1 GiB, since part of it is pinned, or is about to be
 * @chunks: by iopf_area_chunk_index(); only what has been touched
 * @spans: by IOVA >> IOPF_SPAN_SHIFT; only where the CPU was seen to have a leaf of that size
 * @hva: in @mm's tree of areas, under its lock
 * @visitors: notifiers that have dropped that lock, and have a worker go on from this area; they
 *            keep it in the tree
 * @task: whose RLIMIT_MEMLOCK counts for pinned pages
 * @lock_cap: @task was not limited (CAP_IPC_LOCK) when it mapped
 * @pinned: everything is pinned, for a group that can't fault. Under the container's lock.
 * @pinned_pages: pages that are pinned, for whatever reason
 * @locked: pages charged to @mm's locked_vm. Under the container's lock.
 * @pins: pages that emulated devices have pinned, by page of the area; see emulated.c. Under the
 *        container's lock.
 * @id: a number that no other area of the container has had
 * @coming: being mapped: what is to be pinned of it is not yet, so emulated devices leave it alone.
 *          Under the container's lock.
 * @leaving: being unmapped; emulated devices pin nothing more. Under the container's lock.
 * @reported: being unmapped, and its last report is being made or has been. Under the container's
 *            lock; set and cleared under iopf_container.reporting.
 * @tellings: how often their drivers have been told, with pins left. Under the container's lock.
 * @gone: others that are removed at the same time. Under the container's lock, and then the
 *        business of @free_work.
 * @free_work: of one of them: frees all after a grace period
 *
 * All but what is said to be under a lock is constant once published, and @mm and
 * @vaddr as long as the area is not frozen.
 */
struct iopf_area {
	struct iopf_container *container;
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
	struct interval_tree_node hva;
	atomic_t visitors;
	struct task_struct *task;
	bool lock_cap;
	bool pinned;
	atomic_long_t pinned_pages;
	unsigned long locked;
	struct xarray pins;
	u64 id;
	bool coming;
	bool leaving;
	bool reported;
	unsigned int tellings;
	struct list_head gone;
	struct rcu_work free_work;
};

static inline unsigned long iopf_area_vaddr(const struct iopf_area *area, u64 iova)
{
	return area->vaddr + (unsigned long)(iova - area->range.first);
}

/* Counted from the area's first chunk: a small area needs no nodes in the array. */
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

struct iopf_area *iopf_area_create(struct iopf_container *container,
				   const struct iopf_range *range, unsigned long vaddr, int prot);
void iopf_areas_destroy(struct list_head *areas);
struct iopf_chunk *iopf_area_chunk(struct iopf_area *area, u64 iova, gfp_t gfp);
unsigned int iopf_area_chunks(struct iopf_area *area, u64 iova, unsigned int n,
			      struct iopf_chunk **chunks);
struct iopf_chunk *iopf_area_next_chunk(struct iopf_area *area, const struct iopf_chunk *chunk,
					unsigned long *index);
bool iopf_area_vaddr_begin(const struct iopf_chunk *chunk, struct iopf_vaddr_seen *seen);
void iopf_area_forget_vaddr(struct iopf_container *container);
void iopf_area_freeze(struct iopf_area *area);
void iopf_area_thaw(struct iopf_area *area);
void iopf_area_rebase(struct iopf_area *area, struct iopf_mm *mm, unsigned long vaddr);
unsigned int iopf_area_age(struct iopf_area *area, const struct iopf_range *range);
bool iopf_area_zap_some(struct iopf_area *area, struct iopf_range *range, unsigned int *zapped);
unsigned int iopf_area_zap_chunks(struct iopf_area *area, const struct iopf_range *range,
				  bool age);
bool iopf_area_mapped(struct iopf_area *area, const struct iopf_range *range);
int iopf_area_set_domains(struct iopf_area *area, const struct iopf_domains *domains,
			  struct iommu_domain *added);

#endif /* IOPF_AREA_H */
