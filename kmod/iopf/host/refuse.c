// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which pages that the CPU has are not for devices: what GUP refuses, too (secretmem, what drivers
 * say is not for it, pages without a struct page that are not a device's memory), in whatever state
 * its pages are; t_gup compares.
 *
 * Context: from a walk (walk.c), with its locks, and interrupts off.
 */
#include <linux/cleanup.h>
#include <linux/hugetlb.h>
#include <linux/magic.h>
#include <linux/maple_tree.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>

#include "../lib/controls.h"
#include "refuse.h"
#include "walk.h"

/*
 * Whether the memory at an address is such that get_user_pages() has none of it. What a driver maps
 * does not say so by its pages. Where there is a present entry, and no invalidation in progress,
 * its VMA is in the tree, and is what the entry was made for.
 */
static bool vma_has(struct mm_struct *mm, unsigned long vaddr, vm_flags_t any)
{
	struct vm_area_struct *vma;

	guard(rcu)();
	vma = mtree_load(&mm->mm_mt, vaddr);
	return vma && READ_ONCE(vma->vm_flags) & any;
}

/* A page that is not common. The mapping stays: taking a page out of a file unmaps it first. */
bool iopf_refuse_page_slow(const struct iopf_runs *runs, unsigned int nr,
			   const struct page *page)
{
	const struct folio *folio = page_folio(page);
	unsigned long mapping = (unsigned long)READ_ONCE(folio->mapping);
	const struct address_space *file;

	/* Anonymous pages that may be dropped, or have only been swapped out in part. */
	if (mapping & PAGE_MAPPING_ANON)
		return false;
	/* Secret memory has no large folios, and drivers' ones are of no file. */
	if (folio_test_large(folio) && (mapping || folio_test_hugetlb(folio)))
		return false;
	if (mapping & PAGE_MAPPING_FLAGS)
		return true;
	file = (const struct address_space *)mapping;
	if (file && file->host && file->host->i_sb->s_magic == SECRETMEM_MAGIC)
		return true;
	return vma_has(runs->mm, runs->base + ((unsigned long)nr << PAGE_SHIFT),
		       VM_IO | VM_PFNMAP);
}

/*
 * Special entries have no page, or none to look at. The zero page is mapped like any other,
 * read-only, and files' persistent memory (DAX). Otherwise only memory of devices, by the rule of
 * stock type1: VM_PFNMAP, and no struct page or a reserved one.
 */
bool iopf_refuse_special(const struct iopf_runs *runs, unsigned int nr, unsigned long pfn,
			 unsigned long entry)
{
	if (is_zero_pfn(pfn))
		return false;
	if (pfn_valid(pfn) && !PageReserved(pfn_to_page(pfn)))
		return true;
	return !(entry & _PAGE_DEVMAP) &&
	       !vma_has(runs->mm, runs->base + ((unsigned long)nr << PAGE_SHIFT), VM_PFNMAP) &&
	       !iopf_broken(refused);
}
