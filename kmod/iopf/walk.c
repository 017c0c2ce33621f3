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
static bool page_is_secret(const struct page *page)
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

static bool user_present(unsigned long flags)
{
	const unsigned long want = _PAGE_PRESENT | _PAGE_USER;

	return (flags & want) == want;
}

/* What is special is never written to a disk: dirty or not is no matter. */
static bool run_writable(bool writable, bool dirty, bool special)
{
	return writable && (dirty || special || iopf_broken(dirty));
}

static bool runs_full(const struct iopf_runs *runs)
{
	return runs->nr == ARRAY_SIZE(runs->run);
}

static void runs_add(struct iopf_runs *runs, unsigned int page, unsigned int n, unsigned long pfn,
		     bool writable, bool huge)
{
	runs->run[runs->nr++] = (struct iopf_run){
		.pfn = pfn,
		.page = page,
		.n = n,
		.writable = writable,
		.huge = huge,
	};
}

/* One leaf that maps @size bytes from @pfn on. False: the walk is over. */
static bool walk_leaf(struct iopf_runs *runs, unsigned int n, unsigned long vaddr,
		      unsigned long size, unsigned long pfn, bool writable, bool special)
{
	if (pfn_refused(pfn, special)) {
		runs->refused = true;
		runs->seen += n;
		return true;
	}
	pfn += (vaddr & (size - 1)) >> PAGE_SHIFT;
	while (n) {
		unsigned int now = min(n, IOPF_RUN_MAX);

		if (runs_full(runs))
			return false;
		runs_add(runs, runs->seen, now, pfn, writable, true);
		runs->run[runs->nr - 1].giant = size == PUD_SIZE;
		runs->seen += now;
		pfn += now;
		n -= now;
	}
	return true;
}

/* Absent pages. False: the walk is over. */
static bool walk_absent(struct iopf_runs *runs, unsigned int n, bool stop)
{
	if (stop)
		return false;
	runs->seen += n;
	return true;
}

/* What has to be the same in two entries side by side that belong to one run. */
#define PTE_ALIKE	(PTE_PFN_MASK | _PAGE_PRESENT | _PAGE_USER | _PAGE_RW | \
			 _PAGE_DIRTY_BITS | _PAGE_SPECIAL | _PAGE_DEVMAP)

/*
 * How many of @n entries, the first of which is @pte and maps @page, make up one run. (As they are
 * in memory: where that is not what they mean, in a paravirtualised guest of Xen, there is no
 * IOMMU.)
 */
static unsigned int pte_run(const pte_t *ptep, unsigned int n, pte_t pte, const struct page *page)
{
	unsigned long next = native_pte_val(pte);
	unsigned int run;

	n = min(n, IOPF_RUN_MAX);
	for (run = 1; run < n; run++) {
		next += PAGE_SIZE;
		if ((READ_ONCE(ptep[run].pte) ^ next) & PTE_ALIKE || page_is_secret(page + run))
			break;
	}
	return run;
}

/* The run at an entry that is present: how many entries it has, or 0 without room for it. */
static unsigned int walk_run(struct iopf_runs *runs, unsigned int page, const pte_t *ptep,
			     unsigned int n, pte_t pte)
{
	bool special = pte_flags(pte) & (_PAGE_SPECIAL | _PAGE_DEVMAP);
	unsigned long pfn = pte_pfn(pte);

	if (unlikely(pfn_refused(pfn, special))) {
		runs->refused = true;
		return 1;
	}
	if (runs_full(runs))
		return 0;
	n = special ? 1 : pte_run(ptep, n, pte, pfn_to_page(pfn));
	runs_add(runs, page, n, pfn, run_writable(pte_write(pte), pte_dirty(pte), special), false);
	return n;
}

/* A page table's entries. False: the walk is over. */
static bool walk_ptes(struct iopf_runs *runs, const pte_t *ptep, unsigned int n, bool stop)
{
	unsigned int i = 0, run;

	for (;;) {
		pte_t pte = { };

		/* Where little is present this loop is the greater part of a fault. */
		while (i < n && !(pte.pte = READ_ONCE(ptep[i].pte)) && !stop)
			i++;
		if (i == n || (stop && !user_present(pte.pte)))
			break;
		run = user_present(pte.pte) ? walk_run(runs, runs->seen + i, ptep + i, n - i, pte)
					    : 1;
		if (!run)
			break;
		i += run;
	}
	runs->seen += i;
	return i == n;
}

/* @n pages from @vaddr on, which all lie in one PMD. False: the walk is over. */
static bool walk_pmd(struct mm_struct *mm, unsigned long vaddr, unsigned int n, bool stop,
		     struct iopf_runs *runs)
{
	pgd_t *pgdp = pgd_offset(mm, vaddr), pgd = READ_ONCE(*pgdp);
	p4d_t *p4dp, p4d;
	pud_t *pudp, pud;
	pmd_t *pmdp, pmd;

	if (!pgd_present(pgd))
		return walk_absent(runs, n, stop);
	p4dp = p4d_offset_lockless(pgdp, pgd, vaddr);
	p4d = READ_ONCE(*p4dp);
	if (!p4d_present(p4d))
		return walk_absent(runs, n, stop);
	pudp = pud_offset_lockless(p4dp, p4d, vaddr);
	pud = READ_ONCE(*pudp);
	if (!pud_present(pud))
		return walk_absent(runs, n, stop);
	if (pud_leaf(pud)) {
		bool special = pud_devmap(pud) || !pfn_valid(pud_pfn(pud));

		if (!user_present(pud_flags(pud)))
			return walk_absent(runs, n, stop);
		return walk_leaf(runs, n, vaddr, PUD_SIZE, pud_pfn(pud),
				 run_writable(pud_write(pud), pud_dirty(pud), special), special);
	}
	pmdp = pmd_offset_lockless(pudp, pud, vaddr);
	pmd = pmdp_get_lockless(pmdp);
	if (!pmd_present(pmd))
		return walk_absent(runs, n, stop);
	if (pmd_leaf(pmd)) {
		bool special = pmd_devmap(pmd) || !pfn_valid(pmd_pfn(pmd));

		if (!user_present(pmd_flags(pmd)))
			return walk_absent(runs, n, stop);
		return walk_leaf(runs, n, vaddr, PMD_SIZE, pmd_pfn(pmd),
				 run_writable(pmd_write(pmd), pmd_dirty(pmd), special), special);
	}
	return walk_ptes(runs, pte_offset_kernel(&pmd, vaddr), n, stop);
}

/**
 * iopf_walk() - what the CPU maps at some pages
 * @mm: whose page tables
 * @vaddr: first address, page aligned
 * @n: pages
 * @stop: go no further than to the first page that is absent
 * @runs: out
 *
 * Context: interrupts off; see the top of this file for what else must hold.
 */
void iopf_walk(struct mm_struct *mm, unsigned long vaddr, unsigned int n, bool stop,
	       struct iopf_runs *runs)
{
	lockdep_assert_irqs_disabled();

	runs->nr = 0;
	runs->seen = 0;
	runs->refused = false;
	while (n) {
		unsigned int in_pmd = (PMD_SIZE - (vaddr & ~PMD_MASK)) >> PAGE_SHIFT;
		unsigned int now = min(n, in_pmd);

		if (!walk_pmd(mm, vaddr, now, stop, runs))
			return;
		vaddr += (unsigned long)now << PAGE_SHIFT;
		n -= now;
	}
}
