// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walk the CPU's page tables.
 *
 * A walk is the cheapest way to find the pages that the CPU has: about 20 instructions per page,
 * against 200 for GUP-fast. It works on the mm of another process without switching to it, and
 * takes no reference to the pages. The result is runs of adjacent pages, because one call of the
 * IOMMU maps a run. It is safe for these reasons:
 *
 *  - Page-table pages above present memory stay. Before the owner frees them, it unmaps the memory,
 *    by munmap() or exit. That calls the notifier, which waits for the chunk's lock. The caller has
 *    a reference to the mm (mmgrab()).
 *  - Page-table pages above absent memory may be freed during the walk, together with other memory
 *    in the same table. Nothing waits for the walk then: on bare metal, the IPI that GUP-fast
 *    relies on goes only to CPUs that use the mm, and a kernel thread does not use it. But the
 *    kernel clears the upper entry before it frees the table. So the walk reads the upper entry
 *    again after it has read the table, and discards the table's entries if the upper entry has
 *    changed. The walk would miss only a table that is removed and put back at the same place
 *    between these reads. Interrupts are off, so the reads take nanoseconds.
 *  - Present entries stay valid. The caller holds the chunk's lock, and has seen that no
 *    invalidation of the address is in progress. The kernel calls the notifier before it changes a
 *    present entry, and the notifier waits for the chunk's lock.
 *
 * "Writable" means writable and dirty here. While the CPU's entry is dirty, the page counts as
 * dirty, so a write of the device needs no extra marking. Before the kernel cleans the entry, it
 * calls the notifier, which unmaps the page.
 *
 * Addresses: the caller may pass any address. The walk refuses an address beyond the address space
 * of the process. Only some bits of the address select entries, so the walk would find the page of
 * another address, and the notifier would not find that mapping.
 *
 * Refused pages: see refuse.c. PROT_NONE and NUMA-hinting entries do not have the user bit. So the
 * walk treats them as absent, and a CPU fault handles them.
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
 * The bits of an entry that hold the frame's address, on this machine. OPTIMIZER_HIDE_VAR() makes
 * the compiler keep one mask in a register. Without it, the compiler applies two masks each time.
 */
static __always_inline unsigned long frame_mask(void)
{
	unsigned long mask = PTE_PFN_MASK;

	OPTIMIZER_HIDE_VAR(mask);
	return mask;
}

/*
 * Return the address of the entry for @vaddr in the table that @entry refers to.
 *
 * Entries of all levels are read directly from memory. The kernel's accessors take several times as
 * long. (Only in a paravirtualised Xen guest does the memory not hold the real entry, and such a
 * guest has no IOMMU.)
 */
static __always_inline const unsigned long *entry_below(unsigned long entry, unsigned long frame,
							unsigned long vaddr, unsigned int shift)
{
	const unsigned long *table = __va(entry & frame);

	return &table[(vaddr >> shift) % PTRS_PER_PTE];
}

/* Whether an entry refers to a table. All tables of a process are for user space. */
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
 * Return IOPF_RUN_WRITABLE or 0. A special page is never written to a disk, so it may be clean.
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

/* Add the pages of a leaf that maps @size bytes. False: the walk is over. */
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

/* Skip absent pages. False: the walk is over. */
static bool walk_absent(struct iopf_runs *runs, unsigned int n, bool stop)
{
	if (stop)
		return false;
	runs->next += n;
	return true;
}

/* The bits of an entry that may hold an address on any machine. Unlike frame_mask(), a constant. */
#define ENTRY_ADDRESS	GENMASK(51, PAGE_SHIFT)
/* The bits that tell whether two adjacent entries belong to one run. */
#define ENTRY_ALIKE	(ENTRY_ADDRESS | _PAGE_PRESENT | _PAGE_USER | _PAGE_RW | \
			 _PAGE_DIRTY_BITS | _PAGE_SPECIAL | _PAGE_DEVMAP)
/* The bits that two entries of one row have in common; their frames may be scattered. */
#define ENTRY_ROW	(ENTRY_ALIKE & ~ENTRY_ADDRESS)
/* An entry whose bits of ENTRY_KIND are ENTRY_PAGE has a struct page. */
#define ENTRY_KIND	(_PAGE_PRESENT | _PAGE_USER | _PAGE_SPECIAL | _PAGE_DEVMAP)
#define ENTRY_PAGE	(_PAGE_PRESENT | _PAGE_USER)

/* Add the page of a special entry, or refuse it. */
static noinline void walk_special(struct iopf_runs *runs, unsigned int page, unsigned long pte)
{
	phys_addr_t phys = pte & PTE_PFN_MASK;

	if (iopf_refuse_special(runs, page, PHYS_PFN(phys), pte))
		runs->refused = true;
	else
		runs_add(runs, page, 1, phys, entry_writable(pte, true));
}

/*
 * Find the end of a run that begins at @p: the first entry whose frame does not follow the frame of
 * the entry before. The entry at @p is present and not special, and the next entry continues it.
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

/* Return the first entry after the empty entry at @p that is not empty. */
static __always_inline const unsigned long *walk_empty(const unsigned long *p,
						       const unsigned long *end)
{
	/* In sparse memory a fault spends most of its time here. So eight entries at a time. */
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
 * Add the entries from @p on that form a row: they are equal to @like in ENTRY_ROW, and the frame
 * of none follows the frame of the entry before. Scattered memory consists mostly of rows. Returns
 * the first entry that is not part of the row, or @end. Reads the entry at @end, too.
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

/* Add the page of the entry at @p, and the run or row that it begins. Returns the next entry. */
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
		/* Each entry of the row takes one run, so the row ends when the runs are full. */
		end = min(end - 1, next + (ARRAY_SIZE(runs->run) - runs->nr));
		if (next < end)
			return walk_row(runs, next, end, pte);
	}
	return next;
}

/* Walk @n entries of a page table. There is room for a run. False: the walk is over. */
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
 * Whether an upper entry has changed: it refers to another table or to none, or hardware has just
 * set a bit in it. In the last case the pages below count as absent, and a CPU fault finds them.
 */
static __always_inline bool entry_moved(const unsigned long *at, unsigned long entry)
{
	return unlikely(READ_ONCE(*at) != entry);
}

/*
 * Go one level down, and set *@at and *@entry to the entry there. False: the table is being freed.
 * With @kept, the mmap lock keeps the table.
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
 * Walk down to a leaf of 2 MiB or 1 GiB, or to the entry that refers to the table of 4 KiB pages.
 * Returns that entry. Returns 0 if there is none, or if the tables are being freed.
 * @kept: the caller holds the mmap lock, and the address has memory, so the tables above stay
 * @where: out: address of the entry, if @size is PMD_SIZE
 * @size: out: number of bytes that a leaf at this level maps
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

/* Walk @n pages from @vaddr on, all in one PMD. False: the walk is over. */
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
 * Walk the pages from @vaddr on that lie before the last PMD. Returns the number of these pages, or
 * 0 if the walk is over. The walk is also over when the runs are full, because walk_pmd() needs
 * room for a run.
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

/* Whether some of the addresses are beyond the address space. The tables don't show that. */
static __always_inline bool walk_beyond(const struct mm_struct *mm, unsigned long vaddr,
					unsigned long size)
{
	return !iopf_mm_may_have(mm, vaddr, size) && !iopf_broken(address);
}

/**
 * iopf_walk() - find the pages that the CPU maps
 * @mm: memory of the process
 * @vaddr: first address, page aligned
 * @page: number of the first page; the runs use it
 * @n: number of pages, at least one
 * @stop: stop at the first absent page
 * @runs: out: result
 *
 * Context: interrupts on; the top of this file says which locks the caller holds.
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
 * iopf_walk_leaves() - count adjacent leaves of 2 MiB of the CPU
 * @mm: memory of the process
 * @vaddr: address of the first leaf, aligned to 2 MiB
 * @max: maximum number
 *
 * The result is a guess, and needs no lock: the entries of a table that is being freed are merely
 * counted. Leaves in another table than the first one are not counted.
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
 * Whether a page of private memory is swapped out (only with @swapped); or, with @write, is
 * writable but clean.
 */
static bool entry_near(unsigned long entry, bool write, bool swapped)
{
	pte_t pte = __pte(entry);

	if (is_swap_pte(pte))
		return swapped && !non_swap_entry(pte_to_swp_entry(pte));
	return write && entry_user(entry) && entry & _PAGE_RW && !(entry & _PAGE_DIRTY_BITS);
}

/**
 * iopf_walk_near() - find pages of private memory that can be populated without new memory
 * @mm: memory of the process
 * @vaddr: first address, page aligned
 * @n: number of pages, at most BITS_PER_LONG, all in one PMD
 * @write: also find writable pages that are clean
 * @swapped: also find swapped pages, whether or not they are in the swap cache
 *
 * The result is a guess: entries may change during the walk.
 *
 * Context: interrupts on; the caller holds the mmap lock, which keeps the tables above the entries.
 * Return: a mask with a bit for each page.
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
 * iopf_walk_entry() - find the CPU's entry of an address that is to be populated
 * @vma: VMA of the address; the caller holds the mmap lock
 * @vaddr: the address
 * @pmd: in and out: entry of the PMD. The caller passes it on from page to page, in order, without
 *       skipping a PMD or dropping the lock. NULL before the first page
 *
 * The result is a guess: entries may change during the walk.
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

	/* The table of 4 KiB pages could be freed while interrupts are on. */
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
