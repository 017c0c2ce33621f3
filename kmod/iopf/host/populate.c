// SPDX-License-Identifier: GPL-2.0-only
/*
 * Populate the CPU's page tables for a device.
 *
 * iopf_mm_populate() may wait for a disk, reclaim or user space. So it works only in threads of the
 * process: see pool.c. All limits of the process apply to these threads. While a thread populates,
 * it borrows the memory policy of the process's main thread.
 *
 * iopf_mm_populate_now() does not wait. In the context that reports faults, the faults of other
 * owners queue behind it. So there it populates only if all these conditions hold, and leaves
 * everything else to a thread of the process:
 *
 *   pages      The page is absent, or present and not writable. It is not swapped out, being
 *              migrated, or marked for NUMA balancing.
 *   memory     The memory is anonymous, or shared memory whose page is not locked and whose file
 *              has no hole being punched. hugetlb, files and devices are left out: they charge,
 *              read and wait in ways of their own.
 *   room       The memory cgroup and its parents stay below memory.high and memory.max. The free
 *              memory of each node that the policies name stays above the high watermark, so that
 *              the allocation neither reclaims nor compacts.
 *   nodes      The owner's cpuset has all nodes. The kernel thread uses a copy of the memory policy
 *              of the main thread.
 *
 * Everything allocated, with page tables, is charged to the owner's memory cgroup.
 *
 * check vs migration, other allocations: a migration may begin after the check, or another task may
 *   take the free memory. Then populating waits for that one migration or reclaim.
 * populate vs exit: a thread of the process keeps the memory alive. In any other context the caller
 *   has a reference to mm_users only while it populates, and mmput_async() has a worker free the
 *   memory if the process exits meanwhile.
 * Memory policies: see nodes.c.
 *
 * Locking: the mmap lock; task_lock() for a few instructions.
 */
#include <linux/cleanup.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/shmem_fs.h>

#include "../lib/controls.h"
#include "mm.h"
#include "nodes.h"
#include "walk.h"

/* Maximum number of page-table pages that adjacent pages need. */
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

	/* The kernel charges a batch in advance. The root cgroup has no limits. */
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
 * struct place - context in which pages are populated without waiting
 * @own: the caller is a thread of the process. True: of the other fields, only @policy is valid.
 *       False: all but @policy are valid
 * @roomy: there is room for a page of 2 MiB beside the requested pages
 * @held: @memcg is referenced
 * @pmd: see iopf_walk_entry()
 * @memcg: the memory cgroup that is charged
 * @old: the active memory cgroup of the caller before
 * @policy: the borrowed memory policy
 * @copy: copy of the main thread's memory policy. It is large, so nobody zeroes it
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

/* Whether @memcg is the memory cgroup of the process. */
static __always_inline bool memcg_is(const struct mm_struct *mm, const struct mem_cgroup *memcg)
{
#ifdef CONFIG_MEMCG
	guard(rcu)();
	return mem_cgroup_from_task(rcu_dereference(mm->owner)) == memcg;
#else
	return true;
#endif
}

/* Begin to populate. False: a thread of the process has to do it. */
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

/* Whether the VMA permits the access: the check of fixup_user_fault(). */
static bool vma_permits_fault(const struct vm_area_struct *vma, bool write)
{
	return vma && vma->vm_flags & (write ? VM_WRITE : VM_READ);
}

/*
 * Populate one page, as fixup_user_fault() does. But any signal ends an interruptible wait. The
 * caller holds the mmap lock, and holds it again when this returns.
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
		/* Checked again after each sleep, which drops the lock. */
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
 * iopf_mm_populate() - populate pages; may wait
 * @mm: memory of the process
 * @vaddr: first address
 * @pages: number of pages; on an error, the pages before it have been populated
 * @write: for writing: breaks copy-on-write and makes the entries dirty
 * @seen: state of the container when the address was read from its area
 *
 * When the container stops using the address, no further page is populated. Nobody can wait for the
 * page that is being populated at that moment, so that page may still be populated. But if the wait
 * for it has dropped the mmap lock, as a userfaultfd does, the address is checked again afterwards.
 *
 * May wait for a disk, for memory, or for user space (userfaultfd). So the caller must not hold
 * anything that a detach or an exit waits for.
 *
 * Context: a thread of the process (pool.c); sleeps. In any other thread: -ESRCH.
 * Return: 0 if at least the first page is populated; -ESRCH: the process exits or has exited;
 * -EAGAIN: the caller has to look at the area again; -EINTR: the thread has to handle signals
 * first; -EFAULT: no memory at the address, or no permission; -EHWPOISON; -ENOMEM.
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
 * iopf_mm_pin() - pin pages long-term; in a thread of the process, under its memory policy
 * @mm: memory of the process; the caller holds its mmap lock for reading
 * @vaddr: first address
 * @n: number of pages
 * @flags: FOLL_LONGTERM, and others
 * @pages: out: the pages
 *
 * Return: number of pinned pages, or a negative error number.
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
 * Whether a page of shared memory is in memory, or can be populated without waiting. False for the
 * files of other drivers and file systems.
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

/* Whether the kernel may populate a page of 2 MiB at an address. */
static bool may_be_huge(const struct vm_area_struct *vma, unsigned long vaddr)
{
	vaddr &= PMD_MASK;
	return !(vma->vm_flags & VM_NOHUGEPAGE) && vaddr >= vma->vm_start &&
	       vaddr + PMD_SIZE <= vma->vm_end;
}

/* Whether a page can be populated without waiting; outside of the process's threads. */
static __always_inline bool page_at_once(struct place *place, struct vm_area_struct *vma,
					 unsigned long vaddr)
{
	bool huge;

	switch (iopf_walk_entry(vma, vaddr, &place->pmd)) {
	case IOPF_ENTRY_OTHER:
		return false;
	case IOPF_ENTRY_NO_TABLE:
		huge = may_be_huge(vma, vaddr);
		/* A huge page needs room for all of it. */
		return (place->roomy || !huge) && iopf_vma_has_room(vma, vaddr, huge);
	default:
		return iopf_vma_has_room(vma, vaddr, false);
	}
}

/* Populate one page without waiting. False: that is not possible. */
static __always_inline bool populate_page_now(struct place *place, struct vm_area_struct *vma,
					      unsigned long vaddr, bool write, bool *locked)
{
	unsigned int flags = FAULT_FLAG_REMOTE | FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_RETRY_NOWAIT |
			     (write ? FAULT_FLAG_WRITE : 0);
	vm_fault_t ret;

	if (!vma_permits_fault(vma, write) ||
	    (!vma_is_anonymous(vma) && !shmem_at_once(vma, vaddr)) ||
	    (!place->own && !iopf_broken(wait) && !page_at_once(place, vma, vaddr)))
		return false;
	ret = handle_mm_fault(vma, vaddr, flags, NULL);
	/* The fault is done, and handle_mm_fault() has dropped the lock. */
	if (ret & VM_FAULT_COMPLETED)
		*locked = false;
	return !(ret & (VM_FAULT_ERROR | VM_FAULT_RETRY));
}

/**
 * iopf_mm_populate_now() - populate pages as far as that needs no waiting
 * @mm: memory of the process; the caller has a reference (mmgrab())
 * @vaddr: first address
 * @pages: number of pages; stops at the first one that would need a wait
 * @write: for writing
 * @seen: state of the container when the address was read from its area
 *
 * Waits for no lock, no disk and no user space, and does not delay the exit of the process. In a
 * thread of the process it may reclaim memory; in any other context it does not.
 *
 * Context: process context, any process or kernel thread.
 * Return: whether the first page is populated. If not, iopf_mm_populate() finds the reason.
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

/* Return a mask of the pages that iopf_mm_populate_swapped() handles. */
static unsigned long pages_near(struct vm_area_struct *vma, unsigned long vaddr,
				unsigned int pages, bool write, bool own)
{
	unsigned long end = min(vma->vm_end, (vaddr & PMD_MASK) + PMD_SIZE);

	pages = min3((unsigned long)pages, (end - vaddr) >> PAGE_SHIFT,
		     (unsigned long)BITS_PER_LONG);
	return iopf_walk_near(vma->vm_mm, vaddr, pages, write, own);
}

/**
 * iopf_mm_populate_swapped() - start to read swapped pages, and populate those that have been read
 * @mm: memory of the process; the caller has a reference (mmgrab())
 * @vaddr: first address
 * @pages: number of pages; those after the next 2 MiB boundary, or after BITS_PER_LONG pages, are
 *         left out
 * @write: for writing: also makes present, writable pages dirty
 * @seen: state of the container when the address was read from its area
 *
 * Handles private memory only. It does not populate pages that were never present, nor break
 * copy-on-write after a fork, so the process gets no new memory. Only a thread of the process reads
 * pages: it starts all reads, which proceed in parallel, and does not wait for them.
 *
 * Context: process context, any process or kernel thread.
 */
void iopf_mm_populate_swapped(struct mm_struct *mm, unsigned long vaddr, unsigned int pages,
			      bool write, const struct iopf_vaddr_seen *seen)
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
		/* Don't stop at a page that is still being read: the other reads have to start. */
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
