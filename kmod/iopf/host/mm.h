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

/* Counters of invalidations in progress: one for each 2 MiB of CPU addresses, modulo this. */
#define IOPF_INV_BUCKETS 64

/**
 * struct iopf_mm_range - CPU addresses of a process at which somebody maps memory for devices
 * @node: first and last address, in the process's tree, under its lock
 * @visitors: notifiers that have dropped that lock, and have a worker go on from this range; they
 *            keep it in the tree
 */
struct iopf_mm_range {
	struct interval_tree_node node;
	atomic_t visitors;
};

/**
 * struct iopf_mm_ops - what is done when the memory of a process changes
 * @zap_some: unmap what is mapped and not pinned from *@from to @last, until somebody else wants
 *            the processor. Adds the pages to *@zapped, which is 0 at first. Returns whether
 *            there is anything left, *@from on.
 * @mapped: whether any page of the addresses is mapped
 * @age: unmap what is mapped and not pinned, to see whether it is used. Of many addresses not all
 *       is unmapped at a time. Returns whether there was anything.
 *
 * Context: under iopf_mm.lock, maybe in reclaim. The addresses are of the range.
 */
struct iopf_mm_ops {
	bool (*zap_some)(struct iopf_mm_range *range, unsigned long *from, unsigned long last,
			 unsigned int *zapped);
	bool (*mapped)(struct iopf_mm_range *range, unsigned long first, unsigned long last);
	bool (*age)(struct iopf_mm_range *range, unsigned long first, unsigned long last);
};

/**
 * struct iopf_mm - a process whose memory is mapped for devices, as one address space has it
 * @notifier: tells of every change to the CPU's page tables
 * @ops: what to do when its memory changes
 * @mm: the process's memory; held (mmgrab), not kept alive
 * @node: in the list of whoever follows it, under his lock
 * @refs: one for each range, and one for the notifier
 * @pool: the process's threads, referenced
 * @pool_node: in the pool's list, under its lock, until the process ends
 * @lock: protects @ranges
 * @ranges: where its memory is mapped, by CPU address; they may overlap
 * @owed: charged pages that are to be given back when @mm's mmap lock is free; see charge.c
 * @settle: does that; has a reference
 * @exited: the address space is going or gone
 * @stopped: and nothing of it is mapped any more, but for what is pinned
 * @inv_any: invalidations in progress, all of them
 * @inv_wide: those too wide for @inv
 * @inv: invalidations in progress, by 2 MiB of CPU address modulo IOPF_INV_BUCKETS
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
 * iopf_mm_busy() - whether the CPU's page tables may be changing
 * @m: the process
 * @first: first address
 * @last: last address, less than 2 MiB further on
 *
 * Called under the lock of the chunk that is about to map what the CPU has
 * there; when false, it stays so in effect until that lock is dropped.
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
 * iopf_mm_may_have() - whether a process can have memory at all of some addresses
 * @mm: the process's memory
 * @vaddr: first address
 * @size: bytes
 *
 * MAP_DMA takes any address where stock type1 does. Page tables can't say that an address is none
 * of the process's: they are indexed by some of its bits only, and it would be taken for another.
 * So whoever follows an address asks.
 */
static inline bool iopf_mm_may_have(const struct mm_struct *mm, unsigned long vaddr,
				    unsigned long size)
{
	unsigned long end = READ_ONCE(mm->task_size);

	return vaddr < end && size <= end - vaddr;
}

/**
 * struct iopf_vaddr_seen - when a CPU address was taken from an area, to be populated
 * @seq: of the container: counts the times that CPU addresses have ceased to be its business, see
 *       iopf_area_forget_vaddr(); outlives the container
 * @seen: its value then
 * @memcg: the container's memory cgroup, which lives as long as @seq does: most likely that of the
 *         process whose the address is. Or NULL.
 */
struct iopf_vaddr_seen {
	const atomic_t *seq;
	int seen;
	struct mem_cgroup *memcg;
};

/**
 * iopf_vaddr_changed() - whether the address may be none of the container's any more
 * @seen: when it was taken
 *
 * Asked under the mmap lock before each page is populated: whoever is told that the container
 * uses an address no more, and then maps other memory there, is not disturbed.
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
void iopf_mm_bring_back(struct mm_struct *mm, unsigned long vaddr, unsigned int pages, bool write,
			const struct iopf_vaddr_seen *seen);
long iopf_mm_pin(struct mm_struct *mm, unsigned long vaddr, unsigned int n, unsigned int flags,
		 struct page **pages);
int iopf_mm_populate_mmio(struct mm_struct *mm, unsigned long vaddr, bool write, bool now);
int iopf_mm_check(struct mm_struct *mm, unsigned long first, unsigned long last, int prot);

#endif /* IOPF_MM_H */
