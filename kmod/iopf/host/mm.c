// SPDX-License-Identifier: GPL-2.0-only
/*
 * Following a process's memory: what its CPU page tables lose, the device loses.
 *
 * A plain mmu_notifier, with one spinning read lock and one counter per invalidation.
 * Between range_start and range_end the CPU's entries of the range are in
 * flux: start unmaps what is mapped, and the counters tell faults to stay away.
 *
 * The counters belong to 2 MiB of CPU addresses, hashed into a small array: no memory
 * for what was never touched, nothing to allocate in a callback, and unrelated
 * invalidations do not hold up a fault (one count for everything livelocks
 * under load). A range of IOPF_INV_BUCKETS * 2 MiB and more has one counter of its own. They are
 * looked at only while there is any invalidation at all, which one more counter says.
 *
 * A start that unmaps must never fail, and may be called where sleeping is
 * forbidden: spinning locks only, no memory is taken. When others want the processor, after
 * a chunk, it drops the lock, and has a worker do the rest; see mm_zap_some(). It does not just
 * give them the processor and go on: who calls it is in a read-side section of the SRCU that the
 * kernel has for all notifiers of the host, and decides how seldom it runs (SCHED_IDLE,
 * cpu.max). So it waits once, for the kernel's worker.
 *
 * Where it may not sleep, that is in the OOM killer's reaper, it can't be put off: a notifier that
 * has an end may not fail. But a process that is killed has its devices stopped at once, and what
 * is stopped has nothing left to unmap: then it is a look at @stopped. The reaper comes two seconds
 * after that.
 *
 * Young callbacks: IOMMUs without access bits can't say whether a device has used a
 * page since the last look. Unmapping it makes the next use a fault, so
 * "mapped" is the answer to "used since the last look", and the look unmaps. So that what
 * lies around a fault does not count as used for long, faults map little around them for a while
 * where the host has looked.
 *
 * Exit: the process's threads say that it has been killed (pool.c), and the release callback runs
 * before the page tables go, which may be much later. After either, @exited keeps
 * faults out, by the same lock and barrier as an invalidation, for good. A process that shares the
 * memory and lives on is followed anew.
 *
 * End: a notifier is let go without waiting for its callbacks; it holds a reference until none runs
 * any more. The module waits for that.
 *
 * Locking: container lock -> mmap_lock -> iopf_mm.lock (read in callbacks) ->
 * chunk lock. Nothing that is taken here may be held across an allocation that
 * reclaims.
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

/* Ranges that one look of the host goes through at most. */
#define LOOK_RANGES	64

/* Add @delta to the counters of [first, last]. Each start is undone by its end. */
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
 * iopf_mm_busy_anywhere() - the same for any range
 * @m: the process
 *
 * Called under the lock of the span that is about to map 1 GiB.
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
 * struct mm_zap - CPU addresses of which nothing is to be mapped
 * @m: whose
 * @first: first address
 * @last: last address
 * @range: where to go on: visited, so that it stays in the tree; NULL before the first one
 * @from: address in it to go on from
 * @zapped: pages that have been unmapped of it
 * @work: a worker's who goes on
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

/* Unmap of the range at hand, until somebody else wants the processor. False: that was all. */
static bool zap_range(struct mm_zap *z)
{
	return z->m->ops->zap_some(z->range, &z->from, min(z->last, z->range->node.last),
				   &z->zapped);
}

/* Go on with a range that others may have waited for meanwhile, to take it out of the tree. */
static void zap_resume(struct mm_zap *z)
{
	/* It can't be freed before the tree's lock is dropped. */
	if (atomic_dec_and_test(&z->range->visitors))
		wake_up_var(&z->range->visitors);
}

/*
 * Unmap what is mapped, all of it, or with @may_stop until somebody else wants the processor. A
 * range that comes while the lock is dropped need not be met: its faults find that the addresses
 * are being invalidated. Returns whether there is anything left.
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

/* What takes longer. The caller waits once, for a worker that its owner can't have starved. */
static noinline void zap_elsewhere(struct mm_zap *z)
{
	INIT_WORK_ONSTACK(&z->work, zap_work);
	queue_work(iopf_zap_wq, &z->work);
	flush_work(&z->work);
	destroy_work_on_stack(&z->work);
}

/* Unmap what is mapped of CPU addresses [first, last]. */
static void mm_zap(struct iopf_mm *m, unsigned long first, unsigned long last, bool may_sleep)
{
	struct mm_zap z = { .m = m, .first = first, .last = last };

	if (unlikely(mm_zap_some(&z, may_sleep)))
		zap_elsewhere(&z);
}

/*
 * Whether the device has used anything in [first, last] since the last look, as far as is known,
 * or, without @age, whether anything is mapped. The caller has a lock of the page tables. So
 * there is a bound of what is looked at: where more ranges share the memory, it is in use.
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
	 * Pairs with the barrier in chunk_fault_locked(), and in span_fault_locked(): a chunk that
	 * is not found below was published after this, and whoever maps into it sees the count.
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

	/* The new entries before the count. Pairs with iopf_mm_busy(). */
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
 * iopf_mm_stop() - let devices use a process's memory no more
 * @m: the process, which ends
 *
 * What is pinned stays mapped until it is unpinned, as with stock type1.
 *
 * Context: any that may take a spinlock.
 */
void iopf_mm_stop(struct iopf_mm *m)
{
	WRITE_ONCE(m->exited, true);
	/* As in iopf_mm_invalidate_start(). */
	smp_mb();
	mm_zap(m, 0, ULONG_MAX, true);
	/* There is nothing left to unmap, and nothing comes: see chunk_may_map(). */
	smp_store_release(&m->stopped, true);
}

static void iopf_mm_release(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	iopf_mm_stop(container_of(notifier, struct iopf_mm, notifier));
}

/* Notifiers that are registered, or may still be called. */
static atomic_t mm_notifiers;

/* No callback of it runs any more. Bottom halves are off. */
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
 * Reclaim calls the notifier. Tell lockdep at once that these locks are taken
 * there, rather than when memory first runs low.
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
 * iopf_mm_create() - begin to follow a process
 * @mm: its memory
 * @ops: what to do when its memory changes
 *
 * Context: process context of the process; waits for its address space.
 * Return: it, with a reference for the notifier, which iopf_mm_end() drops; or an error pointer:
 * -ENOMEM; -EINTR; -ESRCH: the process ends.
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
 * iopf_mm_end() - follow a process no more
 * @m: the process; no range of it is left in the tree
 *
 * Callbacks may go on for a moment. They find no range, and use nothing but @m.
 */
void iopf_mm_end(struct iopf_mm *m)
{
	iopf_pool_leave(m->pool, m);
	mmu_notifier_put(&m->notifier);
}

/**
 * iopf_mm_add() - have a range of a process's memory told of its changes
 * @m: the process
 * @range: its addresses are set
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
 * Context: process context; waits for notifiers that go through the range.
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
 * iopf_mm_put() - drop a reference to a process that is followed
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

/* The module ends: no notifier's callback is called any more, or runs. */
void iopf_mms_exit(void)
{
	wait_var_event(&mm_notifiers, !atomic_read(&mm_notifiers));
	/* The last one may not have returned yet. */
	synchronize_rcu();
}
