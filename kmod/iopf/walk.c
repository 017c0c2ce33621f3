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
 *  - Page-table pages stay: interrupts are off during the walk, and the
 *    architecture frees page tables only after an IPI to, or an RCU grace period
 *    that includes, CPUs with interrupts off (as GUP-fast relies on).
 *    The mm itself is held by mmgrab(), and its tables by the release callback
 *    of the notifier, which waits for the chunk's lock before they can go.
 *  - Entries stay true: the caller holds the chunk's lock and has seen that no
 *    invalidation of the address is in progress. Whoever changes a present
 *    entry calls the notifier first, and that waits for the chunk's lock.
 *
 * "Writable" here means writable and dirty. With the CPU's entry dirty, the
 * page counts as dirty whatever the device does, until someone cleans the entry,
 * which again goes through the notifier and takes the device's mapping away.
 * So the device's writes need no marking of their own.
 *
 * Refused: what GUP refuses too (secretmem, pages without a struct page that
 * are not a device's memory). PROT_NONE and NUMA-hinting entries, which are
 * without the user bit, look like absent ones and go through a CPU fault.
 */
#include <linux/hugetlb.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/swapops.h>

#include "controls.h"
#include "walk.h"

#ifndef CONFIG_X86_64
#error "vfio-iopf: the page-table walk is written for x86-64; see docs/design.md on others"
#endif
#ifndef CONFIG_MMU_GATHER_RCU_TABLE_FREE
#error "vfio-iopf: the page-table walk needs CONFIG_MMU_GATHER_RCU_TABLE_FREE"
#endif

/*
 * Secret memory is not in the kernel's own map and is not for devices. Its
 * pages are neither anonymous nor large nor on an LRU list, so most pages
 * never get to the superblock. The mapping stays: taking a page out of a file unmaps
 * it first.
 */
static noinline bool page_is_secret_slow(const struct page *page)
{
	const struct folio *folio = page_folio(page);
	struct address_space *mapping;

	if (likely(folio_test_lru(folio) || folio_test_large(folio) || folio_test_anon(folio)))
		return false;
	mapping = READ_ONCE(folio->mapping);
	if ((unsigned long)mapping & PAGE_MAPPING_FLAGS)
		return false;
	return mapping && mapping->host && mapping->host->i_sb->s_magic == SECRETMEM_MAGIC;
}

/* The flag of most pages there are; one that is not the first of its folio does not have it. */
static __always_inline bool page_is_secret(const struct page *page)
{
	return unlikely(!test_bit(PG_lru, &page->flags)) && page_is_secret_slow(page);
}

/*
 * Special entries have no page, or none to look at. The zero page is mapped like any other,
 * read-only. Otherwise only memory of devices, by the rule of stock type1: no struct page, or a
 * reserved one.
 */
static bool pfn_refused(unsigned long pfn, bool special)
{
	if (likely(!special))
		return page_is_secret(pfn_to_page(pfn));
	return !is_zero_pfn(pfn) && pfn_valid(pfn) && !PageReserved(pfn_to_page(pfn));
}

/*
 * Entries of all levels are read as they are in memory, which the kernel's own accessors take
 * several times as long for. (Where that is not what they mean, in a paravirtualised guest of
 * Xen, there is no IOMMU.)
 */
static __always_inline unsigned long entry_at(const unsigned long *table, unsigned long vaddr,
					      unsigned int shift)
{
	return READ_ONCE(table[(vaddr >> shift) & (PTRS_PER_PTE - 1)]);
}

/* The table that an entry refers to. */
static __always_inline const unsigned long *entry_table(unsigned long entry)
{
	return __va(entry & PTE_PFN_MASK);
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

	if (pfn_refused(PHYS_PFN(phys), special)) {
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
/* And what an entry has to be that has a page to look at. */
#define ENTRY_KIND	(_PAGE_PRESENT | _PAGE_USER | _PAGE_SPECIAL | _PAGE_DEVMAP)
#define ENTRY_PAGE	(_PAGE_PRESENT | _PAGE_USER)

/* An entry without a page to look at, or none. */
static noinline void walk_special(struct iopf_runs *runs, unsigned int page, unsigned long pte)
{
	phys_addr_t phys = pte & PTE_PFN_MASK;

	if (pfn_refused(PHYS_PFN(phys), true))
		runs->refused = true;
	else
		runs_add(runs, page, 1, phys, entry_writable(pte, true));
}

/*
 * The first after @p that does not go on where the one before ends; @p is present and not special,
 * and the next one does.
 */
static noinline const unsigned long *walk_run(const unsigned long *p, const unsigned long *end,
					      unsigned long pte)
{
	end = min(end, p + IOPF_RUN_MAX);
	while (++p < end) {
		pte += PAGE_SIZE;
		if ((READ_ONCE(*p) ^ pte) & ENTRY_ALIKE ||
		    page_is_secret(pfn_to_page(PHYS_PFN(pte & PTE_PFN_MASK))))
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
	while (p < end && !READ_ONCE(*p))
		p++;
	return p;
}

/* A page table's entries. False: the walk is over. */
static __always_inline bool walk_ptes(struct iopf_runs *runs, const unsigned long *first,
				      unsigned int n, bool stop)
{
	const unsigned long *p = first, *end = first + n, *pause;
	unsigned int page = runs->next;

	do {
		struct iopf_run *run = runs->run + runs->nr;
		unsigned long pte = 0;

		/* So far there is room for sure: no entry is more than a run. */
		pause = p + (ARRAY_SIZE(runs->run) - runs->nr);
		pause = min(pause, end);
		while (p < pause) {
			const unsigned long *next = p + 1;
			phys_addr_t phys;

			pte = READ_ONCE(*p);
			phys = pte & PTE_PFN_MASK;
			if (unlikely((pte & ENTRY_KIND) != ENTRY_PAGE))
				break;
			if (unlikely(page_is_secret(pfn_to_page(PHYS_PFN(phys))))) {
				runs->refused = true;
				p = next;
				page++;
				continue;
			}
			run->phys = phys;
			run->page = page;
			run->flags = entry_writable(pte, false);
			if (next < end &&
			    unlikely(!((READ_ONCE(*next) ^ (pte + PAGE_SIZE)) & ENTRY_ALIKE))) {
				next = walk_run(p, end, pte);
				run->n = next - p;
				page += next - p;
			} else {
				run->n = 1;
				page++;
			}
			run++;
			p = next;
		}
		runs->nr = run - runs->run;
		if (p < pause) {
			const unsigned long *other = p++;

			/* As it was read above: it may come to be present meanwhile. */
			if (entry_user(pte)) {
				walk_special(runs, page, pte);
			} else if (stop) {
				p = other;
				break;
			} else if (!pte) {
				p = walk_empty(other, end);
			}
			page += p - other;
		}
	} while (p < end && !runs_full(runs));
	runs->next = page;
	return p == end;
}

/* @n pages from @vaddr on, which all lie in one PMD. False: the walk is over. */
static __always_inline bool walk_pmd(struct mm_struct *mm, unsigned long vaddr, unsigned int n,
				     bool stop, struct iopf_runs *runs)
{
	unsigned long entry = entry_at((unsigned long *)mm->pgd, vaddr, PGDIR_SHIFT);

	if (!(entry & _PAGE_PRESENT))
		return walk_absent(runs, n, stop);
	if (pgtable_l5_enabled()) {
		entry = entry_at(entry_table(entry), vaddr, P4D_SHIFT);
		if (!(entry & _PAGE_PRESENT))
			return walk_absent(runs, n, stop);
	}
	entry = entry_at(entry_table(entry), vaddr, PUD_SHIFT);
	if (!entry_user(entry))
		return walk_absent(runs, n, stop);
	if (unlikely(entry & _PAGE_PSE))
		return walk_leaf(runs, n, vaddr, PUD_SIZE, entry);
	entry = entry_at(entry_table(entry), vaddr, PMD_SHIFT);
	if (!entry_user(entry))
		return walk_absent(runs, n, stop);
	if (entry & _PAGE_PSE)
		return walk_leaf(runs, n, vaddr, PMD_SIZE, entry);
	return walk_ptes(runs, entry_table(entry) + pte_index(vaddr), n, stop);
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
	local_irq_disable();
	do {
		unsigned int in_pmd = (PMD_SIZE - (vaddr & ~PMD_MASK)) >> PAGE_SHIFT;
		unsigned int now = min(n, in_pmd);

		if (!walk_pmd(mm, vaddr, now, stop, runs))
			break;
		vaddr += (unsigned long)now << PAGE_SHIFT;
		n -= now;
	} while (n);
	local_irq_enable();
}

/* The entries from @vaddr on; NULL: there are none, or a larger leaf. With interrupts off. */
static const unsigned long *walk_entries(struct mm_struct *mm, unsigned long vaddr)
{
	static const unsigned int shifts[] = { P4D_SHIFT, PUD_SHIFT, PMD_SHIFT };
	const unsigned long *table = (unsigned long *)mm->pgd;
	unsigned long entry = entry_at(table, vaddr, PGDIR_SHIFT);

	/* Of four levels the second is the first. */
	for (unsigned int i = !pgtable_l5_enabled(); i < ARRAY_SIZE(shifts); i++) {
		if (!entry_user(entry) || entry & _PAGE_PSE)
			return NULL;
		table = entry_table(entry);
		entry = entry_at(table, vaddr, shifts[i]);
	}
	if (!entry_user(entry) || entry & _PAGE_PSE)
		return NULL;
	return entry_table(entry) + pte_index(vaddr);
}

/*
 * Whether a page of private memory needs no more than to be read from where it was swapped out to;
 * or, for writing, to be made dirty.
 */
static bool entry_near(unsigned long entry, bool write)
{
	pte_t pte = __pte(entry);

	if (is_swap_pte(pte))
		return !non_swap_entry(pte_to_swp_entry(pte));
	return write && entry_user(entry) && entry & _PAGE_RW && !(entry & _PAGE_DIRTY_BITS);
}

/**
 * iopf_walk_near() - which pages of private memory can be had without memory that is not theirs
 * @mm: whose page tables
 * @vaddr: first address, page aligned
 * @n: pages, BITS_PER_LONG at most, which all lie in one PMD
 * @write: for writing
 *
 * Those that have been swapped out, be they in the swap cache; and, for writing, those that are
 * clean. A guess: entries change while they are read.
 *
 * Context: interrupts on; under the mmap lock, which keeps the tables above the entries.
 * Return: a bit for each page.
 */
unsigned long iopf_walk_near(struct mm_struct *mm, unsigned long vaddr, unsigned int n, bool write)
{
	unsigned long near = 0;
	const unsigned long *p;

	mmap_assert_locked(mm);

	local_irq_disable();
	p = walk_entries(mm, vaddr);
	for (unsigned int i = 0; p && i < n; i++)
		if (entry_near(READ_ONCE(p[i]), write))
			near |= BIT(i);
	local_irq_enable();
	return near;
}
