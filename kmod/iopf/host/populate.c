// SPDX-License-Identifier: GPL-2.0-only
/*
 * Populating: having the CPU's page tables filled for a device.
 *
 * iopf_mm_populate() may wait, for a disk, reclaim or user space, so it works in threads of the
 * process only, see pool.c. All limits of the process hold there, and its main thread's memory
 * policy, which the thread borrows for that time.
 *
 * iopf_mm_populate_now() does not wait. In the context that reports faults, where other owners'
 * faults queue up behind, it does only what needs no waiting, no reclaim and no context but the
 * memory cgroup's; all else is left to a thread of the process:
 *
 *   pages      absent, or present and not writable; never swapped out, being migrated, or marked
 *              for NUMA balancing
 *   memory     anonymous, or shared memory whose page nobody has locked, and in whose file nobody
 *              punches a hole. hugetlb, files and devices are left out: they charge, read and
 *              wait as they like.
 *   room       the memory cgroup and its parents stay below memory.high and memory.max; the free
 *              memory of each node that the policies name stays above its high watermark, so
 *              nobody reclaims or compacts
 *   nodes      the owner's cpuset has all nodes. The kernel thread has a copy of its main thread's
 *              memory policy meanwhile.
 *
 * What is allocated, page tables too, is charged to the owner's memory cgroup.
 *
 * These are looks before the act: a look can be outrun by a migration that begins after it, or by
 * others who take the room. Then populating waits as long as that one migration or reclaim takes.
 *
 * populate vs exit: a thread of the process keeps its memory by being one. In any other context
 *   mm_users is held while populating only, and the last user's exit is left to others.
 * Memory policies: see nodes.c.
 *
 * Locking: the mmap lock; task_lock() for a moment.
 */
#include <linux/cleanup.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/shmem_fs.h>

#include "mm.h"
#include "nodes.h"
#include "walk.h"

/* Page tables for some pages that lie side by side. */
#define TABLE_PAGES	6U

static bool own_thread(const struct mm_struct *mm)
{
	return current->mm == mm && current->flags & PF_USER_WORKER;
}

/* Whether @pages pages can be charged without reclaim or a penalty. */
static __always_inline bool memcg_has_room(struct mem_cgroup *memcg, unsigned int pages)
{
#ifdef CONFIG_MEMCG
	struct mem_cgroup *parent;

	/* What is charged ahead, too. The root has no limits. */
	pages += MEMCG_CHARGE_BATCH;
	for (; memcg && (parent = parent_mem_cgroup(memcg)); memcg = parent) {
		const struct page_counter *counter = &memcg->memory;
		unsigned long limit = min(READ_ONCE(counter->max), READ_ONCE(counter->high));

		if (atomic_long_read(&counter->usage) + pages > limit)
			return false;
	}
#endif
	return true;
}

/**
 * struct place - where pages are populated without waiting
 * @own: in a thread of the process
 * @roomy: otherwise: there is room for a page of 2 MiB beside all that is wanted
 * @pmd: otherwise: see iopf_walk_entry()
 * @memcg: otherwise: who pays
 * @held: that is referenced
 * @old: who paid before
 * @policy: in a thread of the process: what it has borrowed
 * @copy: otherwise: the main thread's policy; so large that nobody zeroes it
 */
struct place {
	bool own;
	bool roomy;
	bool held;
	const unsigned long *pmd;
	struct mem_cgroup *memcg;
	struct mem_cgroup *old;
	struct mempolicy *policy;
	struct mempolicy copy;
};

static __always_inline bool place_has_room(const struct place *place, unsigned int pages,
					   bool huge)
{
	pages += TABLE_PAGES;
	return memcg_has_room(place->memcg, pages) &&
	       iopf_mempolicy_has_room(&place->copy, pages, huge);
}

static noinline bool place_has_any_room(const struct place *place, unsigned int pages)
{
	return place_has_room(place, pages, false);
}

/* Whether that is a process's memory cgroup. */
static __always_inline bool memcg_is(const struct mm_struct *mm, const struct mem_cgroup *memcg)
{
#ifdef CONFIG_MEMCG
	guard(rcu)();
	return mem_cgroup_from_task(rcu_dereference(mm->owner)) == memcg;
#else
	return true;
#endif
}

/* False: it is to be done elsewhere. */
static __always_inline bool place_begin(struct place *place, struct mm_struct *mm,
					unsigned int pages, struct mem_cgroup *likely_memcg)
{
	place->own = own_thread(mm);
	if (unlikely(place->own)) {
		place->policy = iopf_mempolicy_borrow(mm);
		return true;
	}
	if (unlikely(!iopf_mempolicy_copy(mm, &place->copy)))
		return false;
	place->pmd = NULL;
	place->memcg = likely_memcg;
	place->held = !memcg_is(mm, likely_memcg);
	if (unlikely(place->held))
		place->memcg = get_mem_cgroup_from_mm(mm);
	place->roomy = place_has_room(place, pages + HPAGE_PMD_NR, true);
	if (unlikely(!place->roomy) && !place_has_any_room(place, pages)) {
		if (place->held)
			mem_cgroup_put(place->memcg);
		return false;
	}
	place->old = set_active_memcg(place->memcg);
	iopf_mempolicy_borrow_copy(&place->copy);
	return true;
}

static __always_inline void place_end(const struct place *place)
{
	if (unlikely(place->own)) {
		iopf_mempolicy_return(place->policy);
		return;
	}
	iopf_mempolicy_return_copy(&place->copy);
	set_active_memcg(place->old);
	if (unlikely(place->held))
		mem_cgroup_put(place->memcg);
}

/* Whether what the CPU does is permitted, as fixup_user_fault() asks. */
static bool vma_permits_fault(const struct vm_area_struct *vma, bool write)
{
	return vma && vma->vm_flags & (write ? VM_WRITE : VM_READ);
}

/*
 * One page, as fixup_user_fault() does it, except that any signal ends a wait that can be
 * interrupted. The mmap lock is held before and after.
 */
static int populate_page(struct mm_struct *mm, unsigned long vaddr, bool write,
			 const struct iopf_vaddr_seen *seen)
{
	unsigned int flags = FAULT_FLAG_REMOTE | FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE |
			     FAULT_FLAG_INTERRUPTIBLE | (write ? FAULT_FLAG_WRITE : 0);
	struct vm_area_struct *vma;
	vm_fault_t ret;

	do {
		if (signal_pending(current))
			return fatal_signal_pending(current) ? -ESRCH : -EINTR;
		/* Also when it has slept, without the lock. */
		if (iopf_vaddr_changed(seen))
			return -EAGAIN;
		vma = vma_lookup(mm, vaddr);
		if (!vma_permits_fault(vma, write))
			return -EFAULT;
		ret = handle_mm_fault(vma, vaddr, flags, NULL);
		if (ret & (VM_FAULT_RETRY | VM_FAULT_COMPLETED))
			mmap_read_lock(mm);
		flags |= FAULT_FLAG_TRIED;
	} while (ret & VM_FAULT_RETRY);
	return ret & VM_FAULT_ERROR ? vm_fault_to_errno(ret, 0) : 0;
}

/**
 * iopf_mm_populate() - have the CPU's page tables filled
 * @mm: whose
 * @vaddr: first address
 * @pages: pages; if it can't be all, the first of them
 * @write: for writing: copy-on-write is broken and the entry becomes dirty
 * @seen: when the address was taken from its area
 *
 * When the address is the container's no more, no other page is populated. Who is in the middle of
 * one by then can't be waited for, and may have that; but if it sleeps without the mmap lock, as in
 * a userfaultfd, it finds out when it wakes up.
 *
 * May wait for a disk, for memory, or for user space (userfaultfd), so no
 * caller may hold anything that detaching or exiting waits for.
 *
 * Context: a thread of the process (pool.c); sleeps. In any other: -ESRCH.
 * Return: 0 when at least the first page is there; -ESRCH when the process is gone or going;
 * -EAGAIN: look at the area again;
 * -EINTR when the thread has to look at signals first; -EFAULT when there is no memory
 * or no permission, or can't be; -EHWPOISON, -ENOMEM.
 */
int iopf_mm_populate(struct mm_struct *mm, unsigned long vaddr, unsigned int pages, bool write,
		     const struct iopf_vaddr_seen *seen)
{
	struct mempolicy *policy;
	unsigned int done;
	int ret;

	if (!iopf_mm_may_have(mm, vaddr, PAGE_SIZE))
		return -EFAULT;
	if (!own_thread(mm))
		return -ESRCH;
	policy = iopf_mempolicy_borrow(mm);
	if (mmap_read_lock_killable(mm)) {
		iopf_mempolicy_return(policy);
		return -ESRCH;
	}
	for (done = 0; done < pages; done++, vaddr += PAGE_SIZE) {
		ret = populate_page(mm, vaddr, write, seen);
		if (ret)
			break;
	}
	mmap_read_unlock(mm);
	iopf_mempolicy_return(policy);
	return done ? 0 : ret;
}

/**
 * iopf_mm_pin() - pin pages for long; in a thread of the process under its memory policy
 * @mm: whose, with its mmap lock held for reading
 * @vaddr: the first
 * @n: how many
 * @flags: FOLL_LONGTERM, and more
 * @pages: out: the pages
 *
 * Return: how many, or a negative error number.
 */
long iopf_mm_pin(struct mm_struct *mm, unsigned long vaddr, unsigned int n, unsigned int flags,
		 struct page **pages)
{
	struct mempolicy *policy = NULL;
	long ret;

	if (own_thread(mm))
		policy = iopf_mempolicy_borrow(mm);
	ret = pin_user_pages_remote(mm, vaddr, n, flags, pages, NULL);
	iopf_mempolicy_return(policy);
	return ret;
}

/*
 * Whether a page of shared memory is there or can be populated at once. What other drivers and file
 * systems do is their own affair.
 */
static noinline bool shmem_at_once(struct vm_area_struct *vma, unsigned long vaddr)
{
	struct address_space *mapping = vma->vm_file ? vma->vm_file->f_mapping : NULL;
	struct folio *folio;

	if (!mapping || !shmem_mapping(mapping) || READ_ONCE(mapping->host->i_private))
		return false;
	guard(rcu)();
	folio = xa_load(&mapping->i_pages, linear_page_index(vma, vaddr));
	return !folio || (!xa_is_value(folio) && !folio_test_locked(folio));
}

/* Whether a page may be of 2 MiB. */
static bool may_be_huge(const struct vm_area_struct *vma, unsigned long vaddr)
{
	vaddr &= PMD_MASK;
	return !(vma->vm_flags & VM_NOHUGEPAGE) && vaddr >= vma->vm_start &&
	       vaddr + PMD_SIZE <= vma->vm_end;
}

/* In the context that reports faults: whether a page can be populated without waiting. */
static __always_inline bool page_at_once(struct place *place, struct vm_area_struct *vma,
					 unsigned long vaddr)
{
	bool huge;

	switch (iopf_walk_entry(vma, vaddr, &place->pmd)) {
	case IOPF_ENTRY_OTHER:
		return false;
	case IOPF_ENTRY_NO_TABLE:
		huge = may_be_huge(vma, vaddr);
		/* As a whole or not at all. */
		return (place->roomy || !huge) && iopf_vma_has_room(vma, vaddr, huge);
	default:
		return iopf_vma_has_room(vma, vaddr, false);
	}
}

/* One page, without waiting. False: that is not possible. */
static __always_inline bool populate_page_now(struct place *place, struct vm_area_struct *vma,
					      unsigned long vaddr, bool write, bool *locked)
{
	unsigned int flags = FAULT_FLAG_REMOTE | FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_RETRY_NOWAIT |
			     (write ? FAULT_FLAG_WRITE : 0);
	vm_fault_t ret;

	if (!vma_permits_fault(vma, write) ||
	    (!vma_is_anonymous(vma) && !shmem_at_once(vma, vaddr)) ||
	    (!place->own && !page_at_once(place, vma, vaddr)))
		return false;
	ret = handle_mm_fault(vma, vaddr, flags, NULL);
	/* Done, and in doing so it has dropped the lock. */
	if (ret & VM_FAULT_COMPLETED)
		*locked = false;
	return !(ret & (VM_FAULT_ERROR | VM_FAULT_RETRY));
}

/**
 * iopf_mm_populate_now() - have the CPU's page tables filled, if that needs no waiting
 * @mm: whose; the caller holds it by mmgrab()
 * @vaddr: first address
 * @pages: pages; if it can't be all, the first of them
 * @write: for writing
 * @seen: when the address was taken from its area
 *
 * No lock is waited for, no disk, no user space, no process in the way of its exit. In a thread of
 * the process memory may be reclaimed; in any other context it is not.
 *
 * Context: process context, any process or kernel thread.
 * Return: whether the first page is there. If not, the reason is iopf_mm_populate()'s to find.
 */
bool iopf_mm_populate_now(struct mm_struct *mm, unsigned long vaddr, unsigned int pages,
			  bool write, const struct iopf_vaddr_seen *seen)
{
	struct vm_area_struct *vma = NULL;
	unsigned int done = 0;
	struct place place __uninitialized;
	bool locked = true;

	if (!mmget_not_zero(mm))
		return false;
	if (!mmap_read_trylock(mm)) {
		mmput_async(mm);
		return false;
	}
	if (place_begin(&place, mm, pages, seen->memcg)) {
		for (; done < pages && locked; done++, vaddr += PAGE_SIZE) {
			if (iopf_vaddr_changed(seen))
				break;
			if (!vma || vaddr >= vma->vm_end)
				vma = vma_lookup(mm, vaddr);
			if (!vma || !populate_page_now(&place, vma, vaddr, write, &locked))
				break;
		}
		place_end(&place);
	}
	if (locked)
		mmap_read_unlock(mm);
	mmput_async(mm);
	return done;
}

/* The pages of private memory that iopf_mm_bring_back() is to deal with. */
static unsigned long pages_near(struct vm_area_struct *vma, unsigned long vaddr,
				unsigned int pages, bool write, bool own)
{
	unsigned long end = min(vma->vm_end, (vaddr & PMD_MASK) + PMD_SIZE);

	pages = min3((unsigned long)pages, (end - vaddr) >> PAGE_SHIFT,
		     (unsigned long)BITS_PER_LONG);
	return iopf_walk_near(vma->vm_mm, vaddr, pages, write, own);
}

/**
 * iopf_mm_bring_back() - have swapped pages read, and those that have been read in the page tables
 * @mm: whose; the caller holds it by mmgrab()
 * @vaddr: first address
 * @pages: pages; of those beyond the next 2 MiB boundary, and beyond BITS_PER_LONG, none is
 * @write: for writing: those that are there and may be written get dirty, too
 * @seen: when the address was taken from its area
 *
 * Of private memory. What has never been there stays so, and what is shared since a fork: this
 * takes no memory that the process did not have. Only a thread of the process has pages read: what
 * has to be is on its way when this returns, all of it at the same time.
 *
 * Context: process context, any process or kernel thread.
 */
void iopf_mm_bring_back(struct mm_struct *mm, unsigned long vaddr, unsigned int pages, bool write,
			const struct iopf_vaddr_seen *seen)
{
	struct vm_area_struct *vma;
	unsigned long near = 0;
	struct place place __uninitialized;
	bool locked = true;
	unsigned int i;

	if (!mmget_not_zero(mm))
		return;
	if (!mmap_read_trylock(mm)) {
		mmput_async(mm);
		return;
	}
	vma = vma_lookup(mm, vaddr);
	if (vma && vma_is_anonymous(vma))
		near = pages_near(vma, vaddr, pages, write, own_thread(mm));
	if (near && place_begin(&place, mm, pages, seen->memcg)) {
		/* One that is not there yet keeps none of the others from being read. */
		for_each_set_bit(i, &near, BITS_PER_LONG) {
			if (iopf_vaddr_changed(seen))
				break;
			populate_page_now(&place, vma, vaddr + ((unsigned long)i << PAGE_SHIFT),
					  write, &locked);
			if (!locked)
				break;
		}
		place_end(&place);
	}
	if (locked)
		mmap_read_unlock(mm);
	mmput_async(mm);
}
