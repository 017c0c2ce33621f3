// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMAs of a process: check whether they permit an access of a device, and populate device memory.
 *
 * Locking: each function takes the mmap lock and drops it before it returns.
 */
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "mm.h"

/**
 * iopf_mm_populate_mmio() - populate a page of device memory
 * @mm: memory of the process; the caller has a reference (mmgrab())
 * @vaddr: address of the page
 * @write: for writing
 * @now: don't wait for the mmap lock
 *
 * Return: 0; -ENOENT: the address has no device memory; -EBUSY: @now is set and the mmap lock is
 * busy; -ESRCH: the process has exited; -EINTR: the caller is killed; -EFAULT.
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

/* Whether get_user_pages() would permit an access, as far as the VMA alone tells. */
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
 * iopf_mm_check() - check that memory exists and permits an access
 * @mm: memory of the calling process
 * @first: first address
 * @last: last address
 * @prot: IOMMU_READ, IOMMU_WRITE
 *
 * Finds the error that pinning would find, but looks at each VMA only once. Files on persistent
 * memory (DAX) can be used but not pinned for long. So in a range that fails after such a file,
 * pinning would have failed at the file first.
 *
 * Return: 0; -EFAULT; -EOPNOTSUPP if the check fails at or after a VMA of a file on persistent
 * memory.
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
		if (vma->vm_start > next)
			break;
		if (vma_is_fsdax(vma))
			ret = -EOPNOTSUPP;
		if (!vma_permits(vma, need))
			break;
		next = vma->vm_end;
		if (next - 1 >= last)
			break;
		cond_resched();
	}
	if (next > first && next - 1 >= last)
		ret = 0;
	mmap_read_unlock(mm);
	return ret;
}
