// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading the CPU's page tables.
 *
 * This is the cheapest way to learn which page the CPU has at an address:
 * some 50 instructions a page, against 200 for GUP-fast, and it works on
 * another process's mm without switching to it. It takes no reference on the
 * page. What makes that safe:
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
static bool page_is_secret(struct page *page)
{
	struct folio *folio = page_folio(page);
	struct address_space *mapping;

	if (folio_test_large(folio) || folio_test_lru(folio) || folio_test_anon(folio))
		return false;
	mapping = READ_ONCE(folio->mapping);
	if ((unsigned long)mapping & PAGE_MAPPING_FLAGS)
		return false;
	return mapping && mapping->host && mapping->host->i_sb->s_magic == SECRETMEM_MAGIC;
}

static u64 entry_make(unsigned long pfn, bool writable, bool dirty, bool special)
{
	u64 entry = (u64)pfn << IOPF_CPU_PFN_SHIFT | IOPF_CPU_PRESENT;

	if (special || !pfn_valid(pfn)) {
		/*
		 * The zero page is mapped like any other, read-only. Otherwise only
		 * memory of devices, by the rule of stock type1: no struct page, or a
		 * reserved one. Nothing of that is ever written to a disk: dirty or not
		 * is no matter.
		 */
		if (!is_zero_pfn(pfn) && pfn_valid(pfn) && !PageReserved(pfn_to_page(pfn)))
			return IOPF_CPU_REFUSED;
		dirty = true;
	} else if (page_is_secret(pfn_to_page(pfn))) {
		return IOPF_CPU_REFUSED;
	}

	if (writable && (dirty || iopf_broken(dirty)))
		entry |= IOPF_CPU_WRITE;
	return entry;
}

static bool user_present(unsigned long flags)
{
	const unsigned long want = _PAGE_PRESENT | _PAGE_USER;

	return (flags & want) == want;
}

static u64 walk_pte(pte_t pte)
{
	if (!user_present(pte_flags(pte)))
		return 0;
	return entry_make(pte_pfn(pte), pte_write(pte), pte_dirty(pte),
			  pte_special(pte) || pte_devmap(pte));
}

/* Fill @n entries from inside one leaf that maps @size bytes from @pfn on. */
static void walk_leaf(u64 *entries, unsigned int n, unsigned long vaddr, unsigned long size,
		      unsigned long pfn, bool writable, bool dirty, bool special)
{
	u64 entry = entry_make(pfn, writable, dirty, special);
	unsigned long skip = (vaddr & (size - 1)) >> PAGE_SHIFT;

	if (!(entry & IOPF_CPU_PRESENT)) {
		for (unsigned int i = 0; i < n; i++)
			entries[i] = entry;
		return;
	}
	entry += (u64)skip << IOPF_CPU_PFN_SHIFT | IOPF_CPU_HUGE;
	for (unsigned int i = 0; i < n; i++, entry += 1ULL << IOPF_CPU_PFN_SHIFT)
		entries[i] = entry;
}

/* The entries of @n pages from @vaddr on, which all lie in one PMD. */
static void walk_pmd(struct mm_struct *mm, unsigned long vaddr, unsigned int n, u64 *entries)
{
	pgd_t *pgdp = pgd_offset(mm, vaddr), pgd = READ_ONCE(*pgdp);
	p4d_t *p4dp, p4d;
	pud_t *pudp, pud;
	pmd_t *pmdp, pmd;
	pte_t *ptep;

	if (pgd_none(pgd) || pgd_bad(pgd))
		goto absent;
	p4dp = p4d_offset_lockless(pgdp, pgd, vaddr);
	p4d = READ_ONCE(*p4dp);
	if (p4d_none(p4d) || p4d_bad(p4d))
		goto absent;
	pudp = pud_offset_lockless(p4dp, p4d, vaddr);
	pud = READ_ONCE(*pudp);
	if (!pud_present(pud))
		goto absent;
	if (pud_leaf(pud)) {
		if (!user_present(pud_flags(pud)))
			goto absent;
		walk_leaf(entries, n, vaddr, PUD_SIZE, pud_pfn(pud), pud_write(pud),
			  pud_dirty(pud), pud_devmap(pud));
		return;
	}
	pmdp = pmd_offset_lockless(pudp, pud, vaddr);
	pmd = pmdp_get_lockless(pmdp);
	if (!pmd_present(pmd))
		goto absent;
	if (pmd_leaf(pmd)) {
		if (!user_present(pmd_flags(pmd)))
			goto absent;
		walk_leaf(entries, n, vaddr, PMD_SIZE, pmd_pfn(pmd), pmd_write(pmd),
			  pmd_dirty(pmd), pmd_devmap(pmd));
		return;
	}
	if (pmd_bad(pmd))
		goto absent;

	ptep = pte_offset_kernel(&pmd, vaddr);
	for (unsigned int i = 0; i < n; i++)
		entries[i] = walk_pte(ptep_get_lockless(ptep + i));
	return;

absent:
	memset(entries, 0, n * sizeof(*entries));
}

/**
 * iopf_walk() - what the CPU maps at a run of pages
 * @mm: whose page tables
 * @vaddr: first address, page aligned
 * @n: pages
 * @entries: out, @n words as described in walk.h
 *
 * Context: interrupts off; see the top of this file for what else must hold.
 */
void iopf_walk(struct mm_struct *mm, unsigned long vaddr, unsigned int n, u64 *entries)
{
	lockdep_assert_irqs_disabled();

	while (n) {
		unsigned int in_pmd = (PMD_SIZE - (vaddr & ~PMD_MASK)) >> PAGE_SHIFT;
		unsigned int now = min(n, in_pmd);

		walk_pmd(mm, vaddr, now, entries);
		vaddr += (unsigned long)now << PAGE_SHIFT;
		entries += now;
		n -= now;
	}
}
