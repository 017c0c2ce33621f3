// SPDX-License-Identifier: GPL-2.0-only
/*
 * The MMU notifier of a process: the IOMMU loses each page that the CPU's page tables lose.
 *
 * An invalidation changes the CPU's page tables between invalidate_range_start() and
 * invalidate_range_end(). The start callback counts the invalidation. Then it takes a spinning read
 * lock, and unmaps the pages of the range. While the count is not 0, faults do not map there.
 *
 * Each counter covers 2 MiB of CPU addresses, hashed into a small array. So the counters need no
 * memory for untouched addresses and no allocation in a callback. An unrelated invalidation does
 * not delay a fault; with a single counter for all, faults livelock under load. A range of
 * IOPF_INV_BUCKETS * 2 MiB or more is counted in @inv_wide instead. @inv_any counts all
 * invalidations; while it is 0, a fault reads no other counter.
 *
 * start vs scheduling: the start callback must not fail, and its caller may forbid sleeping. So it
 *   uses spinning locks only, and allocates nothing. If another task wants the CPU, it drops the
 *   lock after a chunk, a worker does the rest, and the callback waits for the worker once; see
 *   mm_zap_some(). A plain cond_resched() is not enough: the caller is in a read-side section of
 *   the SRCU of all notifiers of the host, and its owner decides how seldom it runs (SCHED_IDLE,
 *   cpu.max).
 * start vs OOM reaper: the reaper forbids sleeping, and a notifier with an end callback may not
 *   fail. So there a worker can't do the rest. But the devices of a killed process stop at once.
 *   The reaper comes two seconds later, and the start callback then finds @stopped set and has
 *   nothing to unmap.
 *
 * Young callbacks: an IOMMU without access bits can't say whether a device has used a page. So the
 * callback answers "used" if the page is mapped, and unmaps it. The next use is a fault, which maps
 * the page again. Fault-around would make unused neighbours count as used. So after a young
 * callback, faults map fewer neighbours there for some time.
 *
 * Exit: when the process is killed, its threads call iopf_mm_stop() (pool.c). The release callback
 * calls it too, before the page tables are freed, which may be much later. After either, @exited
 * keeps faults from mapping, by the same lock and barrier as an invalidation. @exited is never
 * cleared. If another process shares the memory and lives on, it gets an iopf_mm of its own.
 *
 * End: iopf_mm_end() does not wait for callbacks. The notifier has a reference until no callback
 * runs any more. The module waits for that when it ends.
 *
 * Locking: container lock -> mmap_lock -> iopf_mm.lock (read in callbacks) -> chunk lock. None of
 * the locks that a callback takes may be held across an allocation that reclaims.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "../lib/controls.h"
#include "../lib/params.h"
#include "charge.h"
#include "mm.h"
#include "pool.h"

/* A young callback looks at this many ranges at most. */
#define LOOK_RANGES	64

/* Add @delta to the counters of [first, last]: 1 in the start callback, -1 in the end callback. */
static void inv_add(struct iopf_mm *m, unsigned long first, unsigned long last, int delta)
{
	unsigned long n = (last >> IOPF_CHUNK_SHIFT) - (first >> IOPF_CHUNK_SHIFT) + 1;

	atomic_add(delta, &m->inv_any);
	if (n >= IOPF_INV_BUCKETS) {
		atomic_add(delta, &m->inv_wide);
		return;
	}
	for (unsigned int i = iopf_mm_bucket(first); n--; i = (i + 1) % IOPF_INV_BUCKETS)
		atomic_add(delta, &m->inv[i]);
}

/**
 * iopf_mm_busy_anywhere() - whether any invalidation is in progress
 * @m: the process
 *
 * Like iopf_mm_busy(), but the caller has the lock of the span in which it is about to map 1 GiB.
 */
bool iopf_mm_busy_anywhere(const struct iopf_mm *m)
{
	bool busy = atomic_read(&m->inv_any);

	/* Pairs with the barrier in iopf_mm_invalidate_end(). */
	smp_rmb();
	return busy;
}

static struct iopf_mm_range *range_first(struct iopf_mm *m, unsigned long first,
					 unsigned long last)
{
	struct interval_tree_node *node = interval_tree_iter_first(&m->ranges, first, last);

	return node ? container_of(node, struct iopf_mm_range, node) : NULL;
}

static struct iopf_mm_range *range_next(struct iopf_mm_range *range, unsigned long first,
					unsigned long last)
{
	struct interval_tree_node *node = interval_tree_iter_next(&range->node, first, last);

	return node ? container_of(node, struct iopf_mm_range, node) : NULL;
}

/**
 * struct mm_zap - CPU addresses whose pages are being unmapped
 * @m: the process
 * @first: first address
 * @last: last address
 * @range: the current range, or NULL before the first one. While the lock is dropped, its
 *         @visitors keeps it in the tree
 * @from: address in @range to continue from
 * @zapped: pages of @range that have been unmapped
 * @work: continues in a worker
 */
struct mm_zap {
	struct iopf_mm *m;
	unsigned long first;
	unsigned long last;
	struct iopf_mm_range *range;
	unsigned long from;
	unsigned int zapped;
	struct work_struct work;
};

static void zap_enter(struct mm_zap *z, struct iopf_mm_range *range)
{
	z->range = range;
	z->zapped = 0;
	if (range)
		z->from = max(z->first, range->node.start);
}

/* Unmap the current range until another task wants the CPU. Returns whether pages are left. */
static bool zap_range(struct mm_zap *z)
{
	return z->m->ops->zap_some(z->range, &z->from, min(z->last, z->range->node.last),
				   &z->zapped);
}

/* Stop being a visitor of the current range, and wake an iopf_mm_remove() that waits for it. */
static void zap_resume(struct mm_zap *z)
{
	/* The range is not removed and freed before the caller drops iopf_mm.lock. */
	if (atomic_dec_and_test(&z->range->visitors))
		wake_up_var(&z->range->visitors);
}

/*
 * Unmap the addresses: all of them, or with @may_stop until another task wants the CPU. Ranges that
 * are added while the lock is dropped may be missed: their faults see the count of this
 * invalidation, and map nothing. Returns whether pages are left.
 */
static bool mm_zap_some(struct mm_zap *z, bool may_stop)
{
	struct iopf_mm *m = z->m;

	read_lock(&m->lock);
	if (unlikely(z->range))
		zap_resume(z);
	else
		zap_enter(z, range_first(m, z->first, z->last));
	while (z->range) {
		if (!zap_range(z))
			zap_enter(z, range_next(z->range, z->first, z->last));
		if (unlikely(may_stop && z->range && need_resched())) {
			atomic_inc(&z->range->visitors);
			break;
		}
	}
	read_unlock(&m->lock);
	return z->range;
}

static void zap_work(struct work_struct *work)
{
	struct mm_zap *z = container_of(work, struct mm_zap, work);

	while (mm_zap_some(z, true))
		cond_resched();
}

/* Have a worker unmap the rest, and wait for it. The owner can't starve the worker. */
static noinline void zap_elsewhere(struct mm_zap *z)
{
	INIT_WORK_ONSTACK(&z->work, zap_work);
	queue_work(iopf_zap_wq, &z->work);
	flush_work(&z->work);
	destroy_work_on_stack(&z->work);
}

/* Unmap CPU addresses [first, last]. Pinned pages stay mapped. */
static void mm_zap(struct iopf_mm *m, unsigned long first, unsigned long last, bool may_sleep)
{
	struct mm_zap z = { .m = m, .first = first, .last = last };

	if (unlikely(mm_zap_some(&z, may_sleep)))
		zap_elsewhere(&z);
}

/*
 * With @age: return whether a device may have used [first, last] since the last call, and unmap it.
 * Without: return whether any page is mapped. The caller has a lock of the page tables. So at most
 * LOOK_RANGES ranges are looked at. If more ranges share the memory, it counts as used.
 */
static bool mm_look(struct iopf_mm *m, unsigned long first, unsigned long last, bool age)
{
	struct iopf_mm_range *range;
	bool used = false, aged = false;
	unsigned int ranges = 0;

	read_lock(&m->lock);
	for (range = range_first(m, first, last); range && !used;
	     range = range_next(range, first, last)) {
		unsigned long from = max(first, range->node.start);
		unsigned long to = min(last, range->node.last);

		if (++ranges > LOOK_RANGES)
			used = true;
		else if (!age)
			used = m->ops->mapped(range, from, to);
		else
			aged |= m->ops->age(range, from, to);
	}
	read_unlock(&m->lock);
	return used || aged;
}

static int iopf_mm_invalidate_start(struct mmu_notifier *notifier,
				    const struct mmu_notifier_range *range)
{
	struct iopf_mm *m = container_of(notifier, struct iopf_mm, notifier);

	inv_add(m, range->start, range->end - 1, 1);
	/*
	 * Pairs with the barriers in chunk_may_map() and span_fault_locked(). A chunk that is not
	 * found below is published after this barrier, so a fault that maps in it sees the count.
	 */
	smp_mb__after_atomic();
	/* Pairs with iopf_mm_stop(). */
	if (!iopf_broken(notifier) && likely(!smp_load_acquire(&m->stopped)))
		mm_zap(m, range->start, range->end - 1, mmu_notifier_range_blockable(range));
	iopf_control_delay();
	return 0;
}

static void iopf_mm_invalidate_end(struct mmu_notifier *notifier,
				   const struct mmu_notifier_range *range)
{
	struct iopf_mm *m = container_of(notifier, struct iopf_mm, notifier);

	/* Orders the new page table entries before the count. Pairs with iopf_mm_busy(). */
	smp_mb__before_atomic();
	inv_add(m, range->start, range->end - 1, -1);
}

static int iopf_mm_clear_young(struct mmu_notifier *notifier, struct mm_struct *mm,
			       unsigned long start, unsigned long end)
{
	struct iopf_mm *m = container_of(notifier, struct iopf_mm, notifier);

	if (iopf_broken(notifier))
		return 0;
	return mm_look(m, start, end - 1, true);
}

static int iopf_mm_test_young(struct mmu_notifier *notifier, struct mm_struct *mm,
			      unsigned long address)
{
	struct iopf_mm *m = container_of(notifier, struct iopf_mm, notifier);

	return mm_look(m, address, address | ~PAGE_MASK, false);
}

/**
 * iopf_mm_stop() - unmap the memory of a process that ends, and let no fault map it again
 * @m: the process
 *
 * Pinned pages stay mapped until they are unpinned, as in stock type1.
 *
 * Context: any that may take a spinlock.
 */
void iopf_mm_stop(struct iopf_mm *m)
{
	WRITE_ONCE(m->exited, true);
	/* As in iopf_mm_invalidate_start(). */
	smp_mb();
	mm_zap(m, 0, ULONG_MAX, true);
	/* No page is left to unmap, and no page is mapped from now on: see chunk_may_map(). */
	smp_store_release(&m->stopped, true);
}

static void iopf_mm_release(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	iopf_mm_stop(container_of(notifier, struct iopf_mm, notifier));
}

/* Notifiers that are registered, or may still be called. */
static atomic_t mm_notifiers;

/* Called after an SRCU grace period: no callback of @notifier runs. Bottom halves are off. */
static void iopf_mm_free_notifier(struct mmu_notifier *notifier)
{
	iopf_mm_put(container_of(notifier, struct iopf_mm, notifier));
	/* Pairs with iopf_mms_exit(). */
	if (atomic_dec_and_test(&mm_notifiers))
		wake_up_var(&mm_notifiers);
}

static const struct mmu_notifier_ops iopf_mm_notifier_ops = {
	.free_notifier = iopf_mm_free_notifier,
	.release = iopf_mm_release,
	.invalidate_range_start = iopf_mm_invalidate_start,
	.invalidate_range_end = iopf_mm_invalidate_end,
	.clear_flush_young = iopf_mm_clear_young,
	.clear_young = iopf_mm_clear_young,
	.test_young = iopf_mm_test_young,
};

/*
 * Tell lockdep that reclaim, which calls the notifier, takes this lock. Otherwise lockdep learns it
 * only when memory first runs low.
 */
static void mm_prime_lockdep(struct iopf_mm *m)
{
#ifdef CONFIG_LOCKDEP
	fs_reclaim_acquire(GFP_KERNEL);
	read_lock(&m->lock);
	read_unlock(&m->lock);
	fs_reclaim_release(GFP_KERNEL);
#endif
}

/**
 * iopf_mm_create() - register the MMU notifier of a process
 * @mm: memory of the process
 * @ops: the functions that the notifier calls
 *
 * Context: the calling process is the process; waits for its mmap lock.
 * Return: the new structure, with a reference for the notifier, which iopf_mm_end() drops; or an
 * error pointer: -ENOMEM; -EINTR; -ESRCH: the process ends; or an error of iopf_pool_use().
 */
struct iopf_mm *iopf_mm_create(struct mm_struct *mm, const struct iopf_mm_ops *ops)
{
	struct iopf_mm *m = kzalloc(sizeof(*m), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!m)
		return ERR_PTR(-ENOMEM);
	m->ops = ops;
	m->mm = mm;
	m->ranges = RB_ROOT_CACHED;
	m->notifier.ops = &iopf_mm_notifier_ops;
	refcount_set(&m->refs, 1);
	rwlock_init(&m->lock);
	INIT_DELAYED_WORK(&m->settle, iopf_charge_settle_work);
	mm_prime_lockdep(m);

	m->pool = iopf_pool_join(m);
	if (IS_ERR(m->pool)) {
		ret = PTR_ERR(m->pool);
		kfree(m);
		return ERR_PTR(ret);
	}
	mmgrab(mm);
	ret = mmu_notifier_register(&m->notifier, mm);
	if (ret) {
		iopf_pool_leave(m->pool, m);
		iopf_mm_put(m);
		return ERR_PTR(ret);
	}
	atomic_inc(&mm_notifiers);
	return m;
}

/**
 * iopf_mm_end() - unregister the MMU notifier of a process
 * @m: the process; none of its ranges is left in the tree
 *
 * Callbacks may still run when this returns. They find no range, and use nothing but @m.
 */
void iopf_mm_end(struct iopf_mm *m)
{
	iopf_pool_leave(m->pool, m);
	mmu_notifier_put(&m->notifier);
}

/**
 * iopf_mm_add() - add a range, so that invalidations find it
 * @m: the process
 * @range: the range; the caller has set its addresses
 */
void iopf_mm_add(struct iopf_mm *m, struct iopf_mm_range *range)
{
	write_lock(&m->lock);
	interval_tree_insert(&range->node, &m->ranges);
	write_unlock(&m->lock);
}

/**
 * iopf_mm_remove() - undo iopf_mm_add()
 * @m: the process
 * @range: the range
 *
 * Context: process context; waits for invalidations that have stopped in the range.
 */
void iopf_mm_remove(struct iopf_mm *m, struct iopf_mm_range *range)
{
	write_lock(&m->lock);
	while (unlikely(atomic_read(&range->visitors))) {
		write_unlock(&m->lock);
		wait_var_event(&range->visitors, !atomic_read(&range->visitors));
		write_lock(&m->lock);
	}
	interval_tree_remove(&range->node, &m->ranges);
	write_unlock(&m->lock);
}

/**
 * iopf_mm_put() - drop a reference
 * @m: the process
 *
 * Context: any that may take a spinlock.
 */
void iopf_mm_put(struct iopf_mm *m)
{
	if (refcount_dec_and_test(&m->refs)) {
		iopf_pool_put(m->pool);
		mmdrop(m->mm);
		kfree(m);
	}
}

/* The module ends: wait until no callback of a notifier runs or can be called. */
void iopf_mms_exit(void)
{
	wait_var_event(&mm_notifiers, !atomic_read(&mm_notifiers));
	/* The last one may not have returned yet. This waits for code with bottom halves off. */
	synchronize_rcu();
}
