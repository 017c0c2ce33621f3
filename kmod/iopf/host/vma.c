// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a process has at an address, by its VMAs: whether a device may have that, and memory of
 * devices, which is not populated as pages are.
 *
 * Locking: the mmap lock, for the time of a call.
 */
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "mm.h"

/**
 * iopf_mm_populate_mmio() - have a page of devices' memory in the CPU's page tables
 * @mm: whose; the caller holds it by mmgrab()
 * @vaddr: its address
 * @write: for writing
 * @now: don't wait for the address space
 *
 * Return: 0; -ENOENT: it is no device's memory; -EBUSY: the address space is in use; -ESRCH,
 * -EINTR, -EFAULT.
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

/* The rules of get_user_pages() that need no page: what no device may ever use. */
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
 * iopf_mm_check() - whether memory exists and permits what a device shall do
 * @mm: the calling process's
 * @first: first address
 * @last: last address
 * @prot: IOMMU_READ, IOMMU_WRITE
 *
 * The error that pinning would have found, at the price of a look at each VMA. Files that are
 * persistent memory can be used but not pinned for long: when the range fails, it is they that
 * pinning met first.
 *
 * Return: 0; -EFAULT; -EOPNOTSUPP in a range with a file that is persistent memory.
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
