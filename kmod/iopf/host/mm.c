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
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "../lib/controls.h"
#include "../lib/params.h"
#include "../map/area.h"
#include "../map/chunk.h"
#include "../pin/pin.h"
#include "../vfio/container.h"
#include "mm.h"
#include "pool.h"

/* Processes that a container follows at most; docs/internals/bounds.md says so. */
#define IOPF_MMS_MAX	1024

/* How long the end of a container waits for its processes' threads. */
#define LEAVE_TIME	HZ

/* Areas that one look of the host goes through at most. */
#define LOOK_AREAS	64

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

/* The part of an area that lies in CPU addresses [first, last]. */
static struct iopf_range area_part(const struct iopf_area *area, unsigned long first,
				   unsigned long last)
{
	const struct interval_tree_node *node = &area->hva;

	return (struct iopf_range){
		.first = area->range.first + (max(first, node->start) - node->start),
		.last = area->range.first + (min(last, node->last) - node->start),
	};
}

static struct iopf_area *area_first(struct iopf_mm *m, unsigned long first, unsigned long last)
{
	struct interval_tree_node *node = interval_tree_iter_first(&m->areas, first, last);

	return node ? container_of(node, struct iopf_area, hva) : NULL;
}

static struct iopf_area *area_next(struct iopf_area *area, unsigned long first, unsigned long last)
{
	struct interval_tree_node *node = interval_tree_iter_next(&area->hva, first, last);

	return node ? container_of(node, struct iopf_area, hva) : NULL;
}

/**
 * struct mm_zap - CPU addresses of which nothing is to be mapped
 * @m: whose
 * @first: first address
 * @last: last address
 * @area: where to go on: visited, so that it stays in the tree; NULL before the first one
 * @left: what is left of it
 * @zapped: pages that have been unmapped of it
 * @work: a worker's who goes on
 */
struct mm_zap {
	struct iopf_mm *m;
	unsigned long first;
	unsigned long last;
	struct iopf_area *area;
	struct iopf_range left;
	unsigned int zapped;
	struct work_struct work;
};

static void zap_enter(struct mm_zap *z, struct iopf_area *area)
{
	z->area = area;
	z->zapped = 0;
	if (area)
		z->left = area_part(area, z->first, z->last);
}

/* Go on with an area that others may have waited for meanwhile, to take it out of the tree. */
static void zap_resume(struct mm_zap *z)
{
	/* It can't be freed before the tree's lock is dropped. */
	if (atomic_dec_and_test(&z->area->visitors))
		wake_up_var(&z->area->visitors);
}

/*
 * Unmap what is mapped, all of it, or with @may_stop until somebody else wants the processor. An
 * area that comes while the lock is dropped need not be met: its faults find that the addresses
 * are being invalidated. Returns whether there is anything left.
 */
static bool mm_zap_some(struct mm_zap *z, bool may_stop)
{
	struct iopf_mm *m = z->m;

	read_lock(&m->lock);
	if (unlikely(z->area))
		zap_resume(z);
	else
		zap_enter(z, area_first(m, z->first, z->last));
	while (z->area) {
		if (!iopf_area_zap_some(z->area, &z->left, &z->zapped)) {
			if (unlikely(z->zapped && READ_ONCE(z->area->mmio)))
				iopf_container_repair(m->container);
			zap_enter(z, area_next(z->area, z->first, z->last));
		}
		if (unlikely(may_stop && z->area && need_resched())) {
			atomic_inc(&z->area->visitors);
			break;
		}
	}
	read_unlock(&m->lock);
	return z->area;
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
 * there is a bound of what is looked at: where more areas share the memory, it is in use.
 */
static bool mm_look(struct iopf_mm *m, unsigned long first, unsigned long last, bool age)
{
	unsigned int areas = 0;
	struct iopf_area *area;
	bool used = false;

	read_lock(&m->lock);
	for (area = area_first(m, first, last); area; area = area_next(area, first, last)) {
		struct iopf_range range = area_part(area, first, last);

		if (++areas > LOOK_AREAS) {
			used = true;
			break;
		}
		if (!age) {
			used = iopf_area_mapped(area, &range);
			if (used)
				break;
		} else if (iopf_area_age(area, &range)) {
			used = true;
			if (unlikely(READ_ONCE(area->mmio)))
				iopf_container_repair(area->container);
		}
	}
	read_unlock(&m->lock);
	return used;
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

static struct iopf_mm *mm_create(struct iopf_container *container, struct mm_struct *mm)
{
	struct iopf_mm *m = kzalloc(sizeof(*m), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!m)
		return ERR_PTR(-ENOMEM);
	m->container = container;
	m->mm = mm;
	m->areas = RB_ROOT_CACHED;
	m->notifier.ops = &iopf_mm_notifier_ops;
	refcount_set(&m->refs, 1);
	rwlock_init(&m->lock);
	INIT_WORK(&m->settle, iopf_pin_settle_work);
	mm_prime_lockdep(m);

	m->pool = iopf_pool_join(m);
	if (IS_ERR(m->pool)) {
		ret = PTR_ERR(m->pool);
		kfree(m);
		return ERR_PTR(ret);
	}
	ret = mmu_notifier_register(&m->notifier, mm);
	if (ret) {
		iopf_pool_leave(m->pool, m);
		iopf_pool_put(m->pool);
		kfree(m);
		return ERR_PTR(ret);
	}
	atomic_inc(&mm_notifiers);
	mmgrab(mm);
	return m;
}

/* What was stopped with another process that shared the memory stays so: there is a new one. */
static struct iopf_mm *mm_find(struct iopf_container *container, struct mm_struct *mm)
{
	struct iopf_mm *m;

	lockdep_assert_held(&container->lock);

	list_for_each_entry(m, &container->mms, node)
		if (m->mm == mm && !READ_ONCE(m->exited))
			return m;
	return NULL;
}

/* Callbacks may go on for a moment. They find no area, and use nothing but @m. */
static void mm_end(struct iopf_mm *m)
{
	iopf_pool_leave(m->pool, m);
	mmu_notifier_put(&m->notifier);
}

/* Whether the container can follow another process. */
static bool mm_has_room(struct iopf_container *c)
{
	iopf_container_reap_mms(c);
	return list_count_nodes(&c->mms) < IOPF_MMS_MAX;
}

/**
 * iopf_mm_follow() - see to it that the calling process is followed
 * @c: the container, not locked
 *
 * Before it maps anything: registering waits for its address space, which may be in use for as
 * long as it likes.
 *
 * Return: 0 with the container locked, or a negative error number without: -ENOSPC: it follows as
 * many as it may; -ESRCH: the process ends; -EINTR: the caller is killed.
 */
int iopf_mm_follow(struct iopf_container *c)
{
	struct iopf_mm *m = NULL, *found;
	bool room;

	for (;;) {
		if (mutex_lock_killable(&c->lock)) {
			if (m)
				mm_end(m);
			return -EINTR;
		}
		/* Without groups nothing can be mapped. */
		if (!current->mm || iopf_container_groupless(c))
			break;
		found = mm_find(c, current->mm);
		if (found || m)
			break;
		room = mm_has_room(c);
		mutex_unlock(&c->lock);
		if (!room)
			return -ENOSPC;
		m = mm_create(c, current->mm);
		if (IS_ERR(m))
			return PTR_ERR(m);
	}
	if (!m)
		return 0;
	if (!found && !iopf_container_groupless(c)) {
		list_add(&m->node, &c->mms);
		return 0;
	}
	mutex_unlock(&c->lock);
	mm_end(m);
	return mutex_lock_killable(&c->lock);
}

/**
 * iopf_mm_get() - the calling process's memory, as a container sees it
 * @container: the container
 * @mm: current->mm
 *
 * Context: process context, under the container's lock.
 * Return: it, with a reference for the caller's area; or an error pointer: -ENODEV without groups;
 * -EAGAIN: it is not followed, see iopf_mm_follow().
 */
struct iopf_mm *iopf_mm_get(struct iopf_container *container, struct mm_struct *mm)
{
	struct iopf_mm *m = mm ? mm_find(container, mm) : NULL;

	/* A process that shared the memory may have ended just now. */
	if (!m)
		return ERR_PTR(mm && !iopf_container_groupless(container) ? -EAGAIN : -ENODEV);
	refcount_inc(&m->refs);
	return m;
}

/**
 * iopf_mm_put() - drop a reference taken with iopf_mm_get()
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

/**
 * iopf_mm_unregister() - stop following a process and drop the container's reference
 * @m: the process; no area of it is left in the tree
 *
 * Callbacks that run are not waited for.
 *
 * Context: process context, under the container's lock.
 */
void iopf_mm_unregister(struct iopf_mm *m)
{
	lockdep_assert_held(&m->container->lock);
	WARN_ON(!RB_EMPTY_ROOT(&m->areas.rb_root));

	list_del(&m->node);
	mm_end(m);
}

/**
 * iopf_mms_end() - the container ends: stop following all processes
 * @c: the container, locked, without areas
 * @ended: out: for iopf_mms_wait()
 */
void iopf_mms_end(struct iopf_container *c, struct list_head *ended)
{
	struct iopf_mm *m, *next;

	lockdep_assert_held(&c->lock);

	list_for_each_entry_safe(m, next, &c->mms, node) {
		refcount_inc(&m->refs);
		iopf_mm_unregister(m);
		list_add_tail(&m->node, ended);
		cond_resched();
	}
}

/**
 * iopf_mms_wait() - give threads of processes that are not followed any more some time to leave
 * @ended: of iopf_mms_end(); empty afterwards
 *
 * They hold the module.
 */
void iopf_mms_wait(struct list_head *ended)
{
	struct iopf_mm *m, *next;
	long left = LEAVE_TIME;

	list_for_each_entry_safe(m, next, ended, node) {
		left = iopf_pool_wait(m->pool, left);
		iopf_mm_put(m);
	}
}

/**
 * iopf_mm_populate_mmio() - have a page of devices' memory in the CPU's page tables
 * @mm: whose; the caller holds it by mmgrab()
 * @vaddr: its address
 * @write: for writing
 * @now: don't wait for the address space
 *
 * Return: 0; -ENOENT: it is no device's memory; -EBUSY: the address space is in use; -ESRCH,
 * -EINTR, -EFAULT.
 */
int iopf_mm_populate_mmio(struct mm_struct *mm, unsigned long vaddr, bool write, bool now)
{
	unsigned int flags = FAULT_FLAG_REMOTE | (write ? FAULT_FLAG_WRITE : 0);
	struct vm_area_struct *vma;
	int ret = now ? -EBUSY : -EINTR;

	if (!mmget_not_zero(mm))
		return -ESRCH;
	if (now ? mmap_read_trylock(mm) : !mmap_read_lock_killable(mm)) {
		vma = vma_lookup(mm, vaddr);
		if (!vma || !(vma->vm_flags & VM_PFNMAP))
			ret = -ENOENT;
		else if (!(vma->vm_flags & (write ? VM_WRITE : VM_READ)) ||
			 handle_mm_fault(vma, vaddr, flags, NULL) & VM_FAULT_ERROR)
			ret = -EFAULT;
		else
			ret = 0;
		mmap_read_unlock(mm);
	}
	mmput_async(mm);
	return ret;
}

/* The rules of get_user_pages() that need no page: what no device may ever use. */
static bool vma_permits(struct vm_area_struct *vma, vm_flags_t need)
{
	if ((vma->vm_flags & (VM_IO | VM_PFNMAP)) == VM_IO)
		return false;
	if (vma->vm_flags & VM_SHADOW_STACK)
		return false;
	if (vma->vm_file && file_inode(vma->vm_file)->i_sb->s_magic == SECRETMEM_MAGIC)
		return false;
	return vma->vm_flags & need;
}

/**
 * iopf_mm_check() - whether memory exists and permits what a device shall do
 * @mm: the calling process's
 * @first: first address
 * @last: last address
 * @prot: IOMMU_READ, IOMMU_WRITE
 *
 * The error that pinning would have found, at the price of a look at each VMA. Files that are
 * persistent memory can be used but not pinned for long: when the range fails, it is they that
 * pinning met first.
 *
 * Return: 0; -EFAULT; -EOPNOTSUPP in a range with a file that is persistent memory.
 */
int iopf_mm_check(struct mm_struct *mm, unsigned long first, unsigned long last, int prot)
{
	vm_flags_t need = prot & IOMMU_WRITE ? VM_WRITE : VM_READ;
	unsigned long next = first;
	struct vm_area_struct *vma;
	int ret = -EFAULT;

	VMA_ITERATOR(vmi, mm, first);

	if (!iopf_mm_may_have(mm, first, last - first + 1))
		return -EFAULT;
	mmap_read_lock(mm);
	for_each_vma_range(vmi, vma, last) {
		cond_resched();
		if (vma->vm_start > next)
			break;
		if (vma_is_fsdax(vma))
			ret = -EOPNOTSUPP;
		if (!vma_permits(vma, need))
			break;
		next = vma->vm_end;
		if (next - 1 >= last)
			break;
	}
	if (next > first && next - 1 >= last)
		ret = 0;
	mmap_read_unlock(mm);
	return ret;
}

/* The module ends: no notifier's callback is called any more, or runs. */
void iopf_mms_exit(void)
{
	wait_var_event(&mm_notifiers, !atomic_read(&mm_notifiers));
	/* The last one may not have returned yet. */
	synchronize_rcu();
}
