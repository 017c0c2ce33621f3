// SPDX-License-Identifier: GPL-2.0-only
/*
 * Refuse present pages that no device may use. These are the pages that GUP refuses, too:
 *
 *  - secret memory (secretmem);
 *  - pages of drivers that set VM_IO or VM_PFNMAP;
 *  - pages without a struct page that are not device memory.
 *
 * The result does not depend on the state of a page. t_gup compares it with GUP.
 *
 * Context: called by a walk (walk.c), with its locks, and interrupts off.
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
 * Whether the VMA of an address has a flag of @any. The pages of a driver do not show that GUP
 * refuses them; the flags of their VMA do. If the entry is present and no invalidation is in
 * progress, the VMA is in the tree, and is the one for which the entry was made.
 */
static bool vma_has(struct mm_struct *mm, unsigned long vaddr, vm_flags_t any)
{
	struct vm_area_struct *vma;

	guard(rcu)();
	vma = mtree_load(&mm->mm_mt, vaddr);
	return vma && READ_ONCE(vma->vm_flags) & any;
}

/*
 * The slow path of iopf_refuse_page(). The folio's mapping does not change: the kernel unmaps a
 * page before it takes the page out of a file.
 */
bool iopf_refuse_page_slow(const struct iopf_runs *runs, unsigned int nr,
			   const struct page *page)
{
	const struct folio *folio = page_folio(page);
	unsigned long mapping = (unsigned long)READ_ONCE(folio->mapping);
	const struct address_space *file;

	/* An anonymous page that is lazily free (MADV_FREE), or a folio swapped out in part. */
	if (mapping & PAGE_MAPPING_ANON)
		return false;
	/* Secret memory has no large folios. A driver's large folio has no mapping. */
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
 * Whether the page of a special entry is not for devices. A special entry has no struct page, or
 * one that says nothing. Devices may use the zero page, which is mapped read-only; persistent
 * memory of files (DAX); and device memory by the rule of stock type1: VM_PFNMAP, and no struct
 * page or a reserved one.
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
