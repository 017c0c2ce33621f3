/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_MM_H
#define IOPF_MM_H

#include <linux/atomic.h>
#include <linux/interval_tree.h>
#include <linux/mm_types.h>
#include <linux/mmu_notifier.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "../../../core/chunkmap.h"

struct iopf_pool;

/* Number of counters in iopf_mm.inv. */
#define IOPF_INV_BUCKETS 64

/**
 * struct iopf_mm_range - CPU addresses of a process whose memory devices may use
 * @node: first and last address; in iopf_mm.ranges, under iopf_mm.lock
 * @visitors: invalidations that have dropped that lock in this range, and will continue from it.
 *            While there is one, the range stays in the tree
 */
struct iopf_mm_range {
	struct interval_tree_node node;
	atomic_t visitors;
};

/**
 * struct iopf_mm_ops - the functions that the notifier calls when the memory of a process changes
 * @zap_some: unmap the pages from *@from to @last that are not pinned, until another task wants
 *            the CPU. Adds the number of unmapped pages to *@zapped, which is 0 at first. Returns
 *            whether pages are left; then *@from is where to continue.
 * @mapped: whether any page from @first to @last is mapped
 * @age: unmap the pages from @first to @last that are not pinned, so that the next use is a fault.
 *       One call unmaps only a part of a large range. Returns whether any page was mapped.
 *
 * Context: under iopf_mm.lock, maybe in reclaim. The addresses are within @range.
 */
struct iopf_mm_ops {
	bool (*zap_some)(struct iopf_mm_range *range, unsigned long *from, unsigned long last,
			 unsigned int *zapped);
	bool (*mapped)(struct iopf_mm_range *range, unsigned long first, unsigned long last);
	bool (*age)(struct iopf_mm_range *range, unsigned long first, unsigned long last);
};

/**
 * struct iopf_mm - a process whose memory is mapped for the devices of one container
 * @notifier: the kernel calls it before it changes the CPU's page tables
 * @ops: the functions that the notifier calls
 * @mm: memory of the process; referenced by mmgrab(), so the process can exit
 * @node: in the container's list of processes, under the container's lock
 * @refs: one for each range, one for the notifier, one for a queued @settle
 * @pool: threads of the process, referenced
 * @pool_node: in iopf_pool.mms, under iopf_pool.lock, until the process ends
 * @lock: protects @ranges
 * @ranges: the mapped ranges, by CPU address; they may overlap
 * @owed: pages to be uncharged when @mm's mmap lock is free; see charge.c
 * @settle: uncharges the pages of @owed
 * @exited: the process exits or has exited; no page is mapped from now on
 * @stopped: after @exited: only pinned pages are mapped
 * @inv_any: number of all invalidations in progress
 * @inv_wide: number of those that are too wide for @inv
 * @inv: number of the others, by 2 MiB of CPU address, modulo IOPF_INV_BUCKETS
 */
struct iopf_mm {
	struct mmu_notifier notifier;
	const struct iopf_mm_ops *ops;
	struct mm_struct *mm;
	struct list_head node;
	refcount_t refs;
	struct iopf_pool *pool;
	struct list_head pool_node;
	rwlock_t lock;
	struct rb_root_cached ranges;
	bool exited;
	bool stopped;
	atomic_long_t owed;
	struct delayed_work settle;
	atomic_t inv_any;
	atomic_t inv_wide;
	atomic_t inv[IOPF_INV_BUCKETS];
};

static inline unsigned int iopf_mm_bucket(unsigned long vaddr)
{
	return (vaddr >> IOPF_CHUNK_SHIFT) % IOPF_INV_BUCKETS;
}

/**
 * iopf_mm_busy() - whether an invalidation of some addresses is in progress
 * @m: the process
 * @first: first address
 * @last: last address, less than 2 MiB after @first
 *
 * The caller has the lock of the chunk in which it is about to map these addresses. If the result
 * is false, the CPU's page tables of these addresses stay valid until the caller drops that lock:
 * a later invalidation waits for the lock in its start callback.
 */
static inline bool iopf_mm_busy(const struct iopf_mm *m, unsigned long first, unsigned long last)
{
	bool busy = unlikely(atomic_read(&m->inv_any)) &&
		    (atomic_read(&m->inv_wide) || atomic_read(&m->inv[iopf_mm_bucket(first)]) ||
		     atomic_read(&m->inv[iopf_mm_bucket(last)]));

	/* Pairs with the barrier in iopf_mm_invalidate_end(). */
	smp_rmb();
	return busy;
}

/**
 * iopf_mm_may_have() - whether addresses are within the address space of a process
 * @mm: memory of the process
 * @vaddr: first address
 * @size: bytes
 *
 * MAP_DMA accepts any address that stock type1 accepts. Some bits of an address select the entries
 * of the page tables. So a walk with an address beyond the address space would find the entry of
 * another address. Each caller that walks or populates checks the address first.
 */
static inline bool iopf_mm_may_have(const struct mm_struct *mm, unsigned long vaddr,
				    unsigned long size)
{
	unsigned long end = READ_ONCE(mm->task_size);

	return vaddr < end && size <= end - vaddr;
}

/**
 * struct iopf_vaddr_seen - the state of a container when a CPU address was read from its area
 * @seq: a counter of the container. iopf_area_forget_vaddr() increments it when the container stops
 *       using CPU addresses. It outlives the container.
 * @seen: value of @seq when the address was read
 * @memcg: memory cgroup of the container, or NULL. It lives as long as @seq. Usually the process
 *         that has the address is in the same cgroup.
 */
struct iopf_vaddr_seen {
	const atomic_t *seq;
	int seen;
	struct mem_cgroup *memcg;
};

/**
 * iopf_vaddr_changed() - whether the container may have stopped using an address
 * @seen: the state when the address was read from the area
 *
 * The caller asks under the mmap lock before it populates each page. So nothing is populated in
 * memory that user space maps at an address after UNMAP_DMA of that address has returned.
 */
static inline bool iopf_vaddr_changed(const struct iopf_vaddr_seen *seen)
{
	return unlikely(atomic_read(seen->seq) != seen->seen);
}

void iopf_mms_exit(void);
struct iopf_mm *iopf_mm_create(struct mm_struct *mm, const struct iopf_mm_ops *ops);
void iopf_mm_end(struct iopf_mm *m);
void iopf_mm_put(struct iopf_mm *m);
void iopf_mm_add(struct iopf_mm *m, struct iopf_mm_range *range);
void iopf_mm_remove(struct iopf_mm *m, struct iopf_mm_range *range);
void iopf_mm_stop(struct iopf_mm *m);
bool iopf_mm_busy_anywhere(const struct iopf_mm *m);
int iopf_mm_populate(struct mm_struct *mm, unsigned long vaddr, unsigned int pages, bool write,
		     const struct iopf_vaddr_seen *seen);
bool iopf_mm_populate_now(struct mm_struct *mm, unsigned long vaddr, unsigned int pages,
			  bool write, const struct iopf_vaddr_seen *seen);
void iopf_mm_populate_swapped(struct mm_struct *mm, unsigned long vaddr, unsigned int pages,
			      bool write, const struct iopf_vaddr_seen *seen);
long iopf_mm_pin(struct mm_struct *mm, unsigned long vaddr, unsigned int n, unsigned int flags,
		 struct page **pages);
int iopf_mm_populate_mmio(struct mm_struct *mm, unsigned long vaddr, bool write, bool now);
int iopf_mm_check(struct mm_struct *mm, unsigned long first, unsigned long last, int prot);

#endif /* IOPF_MM_H */
