// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading the CPU's page tables.
 *
 * This is the cheapest way to learn which pages the CPU has at an address:
 * some 20 instructions a page, against 200 for GUP-fast, and it works on
 * another process's mm without switching to it. It takes no reference on the
 * pages. What comes out is runs, since what lies side by side is mapped by one call to the
 * IOMMU. What makes it safe:
 *
 *  - Page-table pages stay where there is memory: to free them, its owner unmaps the memory
 *    first, and that, as its exit, calls the notifier, which waits for the chunk's lock. The mm
 *    itself is held by mmgrab().
 *    Where there is none, a table may go with the last memory beside it, for which nobody waits:
 *    on bare metal the IPI that GUP-fast relies on goes to the CPUs that use the mm, which
 *    a kernel thread does not. But the entry above is cleared first. So each is looked at again
 *    when what is below has been read, and what was read of a table that is gone is thrown away.
 *    Only the same table back at the same place within those few reads would not be noticed:
 *    interrupts are off meanwhile, so that they are a matter of nanoseconds.
 *  - Entries stay true: the caller holds the chunk's lock and has seen that no
 *    invalidation of the address is in progress. Whoever changes a present
 *    entry calls the notifier first, and that waits for the chunk's lock.
 *
 * "Writable" here means writable and dirty. With the CPU's entry dirty, the
 * page counts as dirty whatever the device does, until someone cleans the entry,
 * which again goes through the notifier and takes the device's mapping away.
 * So the device's writes need no marking of their own.
 *
 * Addresses: any number may come here. What is beyond the process's address space is refused as
 * such, since the tables, indexed by some bits of it only, would have it for another address: one
 * that the notifier, asked by the number, does not know to be mapped.
 *
 * Refused: see refuse.c. PROT_NONE and NUMA-hinting entries, which are without the user bit, look
 * like absent ones and go through a CPU fault.
 */
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "../lib/controls.h"
#include "mm.h"
#include "refuse.h"
#include "walk.h"

#ifndef CONFIG_X86_64
#error "vfio-iopf: the page-table walk is written for x86-64; see docs/internals/architecture.md"
#endif
#ifndef CONFIG_PER_VMA_LOCK
#error "vfio-iopf: the page-table walk looks at VMAs under RCU, which CONFIG_PER_VMA_LOCK permits"
#endif
#ifndef CONFIG_MMU_GATHER_RCU_TABLE_FREE
#error "vfio-iopf: the page-table walk needs CONFIG_MMU_GATHER_RCU_TABLE_FREE"
#endif

/*
 * Where an entry has the number of a frame, on this machine. Known to be one mask, or the compiler
 * takes two for it each time.
 */
static __always_inline unsigned long frame_mask(void)
{
	unsigned long mask = PTE_PFN_MASK;

	OPTIMIZER_HIDE_VAR(mask);
	return mask;
}

/*
 * An entry of the table that another refers to.
 *
 * Entries of all levels are read as they are in memory, which the kernel's own accessors take
 * several times as long for. (Where that is not what they mean, in a paravirtualised guest of
 * Xen, there is no IOMMU.)
 */
static __always_inline const unsigned long *entry_below(unsigned long entry, unsigned long frame,
							unsigned long vaddr, unsigned int shift)
{
	const unsigned long *table = __va(entry & frame);

	return &table[(vaddr >> shift) % PTRS_PER_PTE];
}

/* Whether it refers to a table; a process's tables are all for user space. */
static __always_inline bool entry_is_table(unsigned long entry)
{
	return entry & _PAGE_PRESENT && !(entry & _PAGE_PSE);
}

static __always_inline bool entry_user(unsigned long entry)
{
	const unsigned long want = _PAGE_PRESENT | _PAGE_USER;

	return (entry & want) == want;
}

/*
 * IOPF_RUN_WRITABLE or 0. What is special is never written to a disk: dirty or not is no matter.
 */
static __always_inline unsigned int entry_writable(unsigned long entry, bool special)
{
	static_assert(_PAGE_RW == IOPF_RUN_WRITABLE);
	if (unlikely(!(entry & _PAGE_DIRTY)) && !(entry & _PAGE_DIRTY_BITS) && !special &&
	    !iopf_broken(dirty))
		return 0;
	return entry & _PAGE_RW;
}

static __always_inline bool runs_full(const struct iopf_runs *runs)
{
	return runs->nr == ARRAY_SIZE(runs->run);
}

static __always_inline void runs_add(struct iopf_runs *runs, unsigned int page, unsigned int n,
				     phys_addr_t phys, unsigned int flags)
{
	struct iopf_run *run = &runs->run[runs->nr++];

	run->phys = phys;
	run->page = page;
	run->n = n;
	run->flags = flags;
}

/* One leaf that maps @size bytes. False: the walk is over. */
static noinline bool walk_leaf(struct iopf_runs *runs, unsigned int n, unsigned long vaddr,
			       unsigned long size, unsigned long entry)
{
	phys_addr_t phys = entry & PTE_PFN_MASK & ~(size - 1);
	bool special = entry & (_PAGE_SPECIAL | _PAGE_DEVMAP) || !pfn_valid(PHYS_PFN(phys));
	unsigned int flags = entry_writable(entry, special) | IOPF_RUN_HUGE;

	if (unlikely(special) ? iopf_refuse_special(runs, runs->next, PHYS_PFN(phys), entry)
			      : iopf_refuse_page(runs, runs->next, pfn_to_page(PHYS_PFN(phys)))) {
		runs->refused = true;
		runs->next += n;
		return true;
	}
	if (size == PUD_SIZE)
		flags |= IOPF_RUN_GIANT;
	phys += vaddr & (size - 1);
	while (n) {
		unsigned int now = min(n, IOPF_RUN_MAX);

		if (runs_full(runs))
			return false;
		runs_add(runs, runs->next, now, phys, flags);
		runs->next += now;
		phys += (phys_addr_t)now << PAGE_SHIFT;
		n -= now;
	}
	return true;
}

static __always_inline unsigned int pages_in_pmd(unsigned long vaddr)
{
	return (PMD_SIZE - (vaddr & ~PMD_MASK)) >> PAGE_SHIFT;
}

/* Absent pages. False: the walk is over. */
static bool walk_absent(struct iopf_runs *runs, unsigned int n, bool stop)
{
	if (stop)
		return false;
	runs->next += n;
	return true;
}

/* Where an entry may have an address, on any machine: a constant. */
#define ENTRY_ADDRESS	GENMASK(51, PAGE_SHIFT)
/* What has to be the same in two entries side by side that belong to one run. */
#define ENTRY_ALIKE	(ENTRY_ADDRESS | _PAGE_PRESENT | _PAGE_USER | _PAGE_RW | \
			 _PAGE_DIRTY_BITS | _PAGE_SPECIAL | _PAGE_DEVMAP)
/* And what in two entries that are of one row, whatever their frames. */
#define ENTRY_ROW	(ENTRY_ALIKE & ~ENTRY_ADDRESS)
/* And what an entry has to be that has a page to look at. */
#define ENTRY_KIND	(_PAGE_PRESENT | _PAGE_USER | _PAGE_SPECIAL | _PAGE_DEVMAP)
#define ENTRY_PAGE	(_PAGE_PRESENT | _PAGE_USER)

/* An entry without a page to look at, or none. */
static noinline void walk_special(struct iopf_runs *runs, unsigned int page, unsigned long pte)
{
	phys_addr_t phys = pte & PTE_PFN_MASK;

	if (iopf_refuse_special(runs, page, PHYS_PFN(phys), pte))
		runs->refused = true;
	else
		runs_add(runs, page, 1, phys, entry_writable(pte, true));
}

/*
 * The first after @p that does not go on where the one before ends; @p is present and not special,
 * and the next one does.
 */
static noinline const unsigned long *walk_run(const struct iopf_runs *runs, unsigned int page,
					      const unsigned long *p, const unsigned long *end,
					      unsigned long pte)
{
	end = min(end, p + IOPF_RUN_MAX);
	while (++p < end) {
		pte += PAGE_SIZE;
		page++;
		if ((READ_ONCE(*p) ^ pte) & ENTRY_ALIKE ||
		    iopf_refuse_page(runs, page, pfn_to_page(PHYS_PFN(pte & PTE_PFN_MASK))))
			break;
	}
	return p;
}

/* The first entry after one that is empty that is not. */
static __always_inline const unsigned long *walk_empty(const unsigned long *p,
						       const unsigned long *end)
{
	/* Where little is present this loop is the greater part of a fault: eight at a time. */
	for (p++; p + 8 <= end; p += 8)
		if (READ_ONCE(p[0]) | READ_ONCE(p[1]) | READ_ONCE(p[2]) | READ_ONCE(p[3]) |
		    READ_ONCE(p[4]) | READ_ONCE(p[5]) | READ_ONCE(p[6]) | READ_ONCE(p[7]))
			break;
	if (p + 4 <= end &&
	    !(READ_ONCE(p[0]) | READ_ONCE(p[1]) | READ_ONCE(p[2]) | READ_ONCE(p[3])))
		p += 4;
	while (p < end && !READ_ONCE(*p))
		p++;
	return p;
}

/*
 * The entries from @p on that are like @like but for their frames, none of which goes on where the
 * one before ends: what there is most of where frames are scattered. The first that is not, at
 * @end at the latest; the one at @end is looked at, too.
 */
static noinline const unsigned long *walk_row(struct iopf_runs *runs, const unsigned long *p,
					      const unsigned long *end, unsigned long like)
{
	const unsigned long frame = frame_mask();
	struct iopf_run *run = &runs->run[runs->nr];
	u64 shape = run[-1].shape;
	unsigned long next = READ_ONCE(*p);

	do {
		unsigned long pte = next;

		if ((pte ^ like) & ENTRY_ROW || !page_is_common(pfn_to_page(PHYS_PFN(pte & frame))))
			break;
		next = READ_ONCE(p[1]);
		if (!((next ^ (pte + PAGE_SIZE)) & ENTRY_ALIKE))
			break;
		run->phys = pte & frame;
		run->shape = ++shape;
		run++;
	} while (++p < end);
	runs->nr = run - runs->run;
	return p;
}

/* An entry that has a page to look at, and what there is after it that is like it. */
static __always_inline const unsigned long *
walk_pages(struct iopf_runs *runs, unsigned int page, const unsigned long *p,
	   const unsigned long *end, unsigned long pte, unsigned long frame)
{
	phys_addr_t phys = pte & frame;
	unsigned int flags = entry_writable(pte, false);
	const unsigned long *next = p + 1;
	unsigned long after;

	if (unlikely(iopf_refuse_page(runs, page, pfn_to_page(PHYS_PFN(phys))))) {
		runs->refused = true;
		return next;
	}
	after = next < end ? READ_ONCE(*next) : 0;
	if (unlikely(!((after ^ (pte + PAGE_SIZE)) & ENTRY_ALIKE))) {
		next = walk_run(runs, page, p, end, pte);
		runs_add(runs, page, next - p, phys, flags);
		return next;
	}
	runs_add(runs, page, 1, phys, flags);
	if (!((after ^ pte) & ENTRY_ROW)) {
		/* Each is a run, and no more than that. */
		end = min(end - 1, next + (ARRAY_SIZE(runs->run) - runs->nr));
		if (next < end)
			return walk_row(runs, next, end, pte);
	}
	return next;
}

/* A page table's entries; there is room for a run. False: the walk is over. */
static __always_inline bool walk_ptes(struct iopf_runs *runs, const unsigned long *first,
				      unsigned int n, bool stop, unsigned long frame)
{
	const unsigned long *p = first, *end = first + n;
	unsigned int page = runs->next;

	do {
		const unsigned long *here = p;
		unsigned long pte = READ_ONCE(*p);

		if (likely((pte & ENTRY_KIND) == ENTRY_PAGE)) {
			p = walk_pages(runs, page, p, end, pte, frame);
		} else if (entry_user(pte)) {
			walk_special(runs, page, pte);
			p++;
		} else {
			if (stop)
				break;
			p = pte ? p + 1 : walk_empty(p, end);
		}
		page += p - here;
	} while (p < end && !runs_full(runs));
	runs->next = page;
	return p == end;
}

/*
 * Whether an entry refers to another table by now, or to none. Or hardware has set a bit in it just
 * now: then what is below is taken to be absent, and looked for by a fault of the CPU.
 */
static __always_inline bool entry_moved(const unsigned long *at, unsigned long entry)
{
	return unlikely(READ_ONCE(*at) != entry);
}

/*
 * One level down: where the entry is and what it says. False: the table is on its way out, which it
 * is not where the mmap lock keeps it (@kept).
 */
static __always_inline bool walk_below(const unsigned long **at, unsigned long *entry,
				       unsigned long frame, unsigned long vaddr,
				       unsigned int shift, bool kept)
{
	const unsigned long *above = *at;
	unsigned long table = *entry;

	*at = entry_below(table, frame, vaddr, shift);
	*entry = READ_ONCE(**at);
	return kept || !entry_moved(above, table);
}

/*
 * The entry of an address that is either a leaf or refers to the table of 4 KiB pages. 0: there is
 * none, or the tables are on their way out.
 * @kept: under the mmap lock, with memory at the address: the tables above stay
 * @where: out: where it is, if @size is PMD_SIZE
 * @size: out: what a leaf there maps
 */
static __always_inline unsigned long walk_down(struct mm_struct *mm, unsigned long vaddr,
					       unsigned long frame, bool kept,
					       const unsigned long **where, unsigned long *size)
{
	const unsigned long *at = (unsigned long *)mm->pgd + pgd_index(vaddr);
	unsigned long entry = READ_ONCE(*at);

	*where = at;
	*size = PUD_SIZE;
	if (!(entry & _PAGE_PRESENT))
		return 0;
	if (pgtable_l5_enabled() && (!walk_below(&at, &entry, frame, vaddr, P4D_SHIFT, kept) ||
				     !(entry & _PAGE_PRESENT)))
		return 0;
	if (!walk_below(&at, &entry, frame, vaddr, PUD_SHIFT, kept))
		return 0;
	if (unlikely(!entry_is_table(entry)))
		return entry;
	if (!walk_below(&at, &entry, frame, vaddr, PMD_SHIFT, kept))
		return 0;
	*where = at;
	*size = PMD_SIZE;
	return entry;
}

/* @n pages from @vaddr on, which all lie in one PMD. False: the walk is over. */
static __always_inline bool walk_pmd(struct mm_struct *mm, unsigned long vaddr, unsigned int n,
				     bool stop, struct iopf_runs *runs)
{
	const unsigned int nr = runs->nr, next = runs->next;
	const unsigned long frame = frame_mask(), *pmd;
	unsigned long size, entry = walk_down(mm, vaddr, frame, false, &pmd, &size);
	bool refused = runs->refused, on;

	if (likely(size == PMD_SIZE && entry_is_table(entry))) {
		on = walk_ptes(runs, entry_below(entry, frame, vaddr, PAGE_SHIFT), n, stop, frame);
		if (!entry_moved(pmd, entry))
			return on;
		runs->nr = nr;
		runs->next = next;
		runs->refused = refused;
	} else if (entry_user(entry) && entry & _PAGE_PSE) {
		return walk_leaf(runs, n, vaddr, size, entry);
	}
	return walk_absent(runs, n, stop);
}

/*
 * The pages from @vaddr on that come before the last PMD: how many. 0: the walk is over, which it
 * also is when there is no room for another run: what is below relies on that there is.
 */
static noinline unsigned int walk_before(struct mm_struct *mm, unsigned long vaddr, unsigned int n,
					 bool stop, struct iopf_runs *runs)
{
	unsigned int done = 0, now;

	while ((now = pages_in_pmd(vaddr)) < n - done) {
		if (!walk_pmd(mm, vaddr, now, stop, runs) || runs_full(runs))
			return 0;
		vaddr += (unsigned long)now << PAGE_SHIFT;
		done += now;
	}
	return done;
}

/* Whether some of the addresses can't be the process's. The tables would not say so. */
static __always_inline bool walk_beyond(const struct mm_struct *mm, unsigned long vaddr,
					unsigned long size)
{
	return !iopf_mm_may_have(mm, vaddr, size) && !iopf_broken(address);
}

/**
 * iopf_walk() - what the CPU maps at some pages
 * @mm: whose page tables
 * @vaddr: first address, page aligned
 * @page: the number of the first page, by which the runs say which they are about
 * @n: pages, at least one
 * @stop: go no further than to the first page that is absent
 * @runs: out
 *
 * Context: interrupts on; see the top of this file for what else must hold.
 */
void iopf_walk(struct mm_struct *mm, unsigned long vaddr, unsigned int page, unsigned int n,
	       bool stop, struct iopf_runs *runs)
{
	lockdep_assert_irqs_enabled();

	runs->nr = 0;
	runs->next = page;
	runs->refused = false;
	runs->mm = mm;
	runs->base = vaddr - ((unsigned long)page << PAGE_SHIFT);
	if (unlikely(walk_beyond(mm, vaddr, (unsigned long)n << PAGE_SHIFT))) {
		runs->refused = true;
		return;
	}
	local_irq_disable();
	if (unlikely(n > pages_in_pmd(vaddr))) {
		unsigned int done = walk_before(mm, vaddr, n, stop, runs);

		vaddr += (unsigned long)done << PAGE_SHIFT;
		n = done ? n - done : 0;
	}
	if (likely(n))
		walk_pmd(mm, vaddr, n, stop, runs);
	local_irq_enable();
}

/**
 * iopf_walk_leaves() - how many leaves of 2 MiB the CPU has side by side
 * @mm: whose page tables
 * @vaddr: where the first would begin, aligned to that
 * @max: how many to look for
 *
 * A guess, for which no lock is needed: what is read of a table that is on its way out is only
 * counted. Leaves that are not below the same table are not seen.
 */
unsigned int iopf_walk_leaves(struct mm_struct *mm, unsigned long vaddr, unsigned int max)
{
	const unsigned long want = _PAGE_PRESENT | _PAGE_USER | _PAGE_PSE;
	const unsigned long *pmd;
	unsigned long size;
	unsigned int n = 0;

	lockdep_assert_irqs_enabled();

	if (walk_beyond(mm, vaddr, PMD_SIZE))
		return 0;
	max = min(max, PTRS_PER_PMD - pmd_index(vaddr));
	local_irq_disable();
	walk_down(mm, vaddr, frame_mask(), false, &pmd, &size);
	while (size == PMD_SIZE && n < max && (READ_ONCE(pmd[n]) & want) == want)
		n++;
	local_irq_enable();
	return n;
}

/*
 * Whether a page of private memory needs no more than to be read from where it was swapped out to;
 * or, for writing, to be made dirty.
 */
static bool entry_near(unsigned long entry, bool write, bool swapped)
{
	pte_t pte = __pte(entry);

	if (is_swap_pte(pte))
		return swapped && !non_swap_entry(pte_to_swp_entry(pte));
	return write && entry_user(entry) && entry & _PAGE_RW && !(entry & _PAGE_DIRTY_BITS);
}

/**
 * iopf_walk_near() - which pages of private memory can be populated without new memory
 * @mm: whose page tables
 * @vaddr: first address, page aligned
 * @n: pages, BITS_PER_LONG at most, which all lie in one PMD
 * @write: for writing
 * @swapped: those that are not there, too
 *
 * With @swapped, those that have been swapped out, be they in the swap cache; and, for writing,
 * those that are clean. A guess: entries change while they are read.
 *
 * Context: interrupts on; under the mmap lock, which keeps the tables above the entries.
 * Return: a bit for each page.
 */
unsigned long iopf_walk_near(struct mm_struct *mm, unsigned long vaddr, unsigned int n, bool write,
			     bool swapped)
{
	unsigned long near = 0;
	const unsigned long frame = frame_mask(), *p;
	unsigned long entry, size;

	mmap_assert_locked(mm);

	if (walk_beyond(mm, vaddr, (unsigned long)n << PAGE_SHIFT))
		return 0;
	local_irq_disable();
	entry = walk_down(mm, vaddr, frame, true, &p, &size);
	if (size == PMD_SIZE && entry_is_table(entry)) {
		p = entry_below(entry, frame, vaddr, PAGE_SHIFT);
		for (unsigned int i = 0; i < n; i++)
			if (entry_near(READ_ONCE(p[i]), write, swapped))
				near |= BIT(i);
	}
	local_irq_enable();
	return near;
}

/**
 * iopf_walk_entry() - what the CPU has for an address, for who is about to populate it
 * @vma: the memory there, under the mmap lock
 * @vaddr: the address
 * @pmd: kept from one page to the next, without dropping the lock or leaving a PMD out; NULL before
 *       the first one
 *
 * A guess: entries change while they are read.
 *
 * Context: interrupts on.
 */
enum iopf_entry iopf_walk_entry(const struct vm_area_struct *vma, unsigned long vaddr,
				const unsigned long **pmd)
{
	const unsigned long frame = frame_mask();
	enum iopf_entry found = IOPF_ENTRY_OTHER;
	unsigned long entry, size = PMD_SIZE;

	lockdep_assert_held(&vma->vm_mm->mmap_lock);

	/* The table of 4 KiB pages may go while they are on. */
	local_irq_disable();
	if (*pmd && vaddr & ~PMD_MASK)
		entry = READ_ONCE(**pmd);
	else
		entry = walk_down(vma->vm_mm, vaddr, frame, true, pmd, &size);
	if (size != PMD_SIZE)
		*pmd = NULL;
	if (!entry) {
		found = IOPF_ENTRY_NO_TABLE;
	} else if (size == PMD_SIZE && entry_is_table(entry)) {
		entry = READ_ONCE(*entry_below(entry, frame, vaddr, PAGE_SHIFT));
		if (pte_none(__pte(entry)))
			found = IOPF_ENTRY_NONE;
		else if (entry & _PAGE_PRESENT)
			found = IOPF_ENTRY_PRESENT;
	} else if (entry & _PAGE_PRESENT) {
		found = IOPF_ENTRY_PRESENT;
	}
	local_irq_enable();
	return found;
}
