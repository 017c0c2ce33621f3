// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls get_user_pages() for the memory of the writing process, for tests that compare its result
 * with that of a device. Also provides memory as drivers allocate it. The file is
 * iopf_pinner/command in debugfs:
 *
 *	read ADDRESS, write ADDRESS	pin and unpin the page at ADDRESS, without FOLL_LONGTERM.
 *					The write returns the error of pinning.
 *
 * mmap() of the file gives pages that a driver allocated. The offset in pages selects the kind:
 *
 *	0	VM_IO: get_user_pages() refuses it, although the pages are ordinary
 *	1024	without VM_IO
 */
#include <linux/mm.h>

#include "command.h"

#define PLAIN_PGOFF	1024

static struct dentry *pinner_dir;

static int pinner_try(unsigned long vaddr, unsigned int flags)
{
	struct mm_struct *mm = current->mm;
	struct page *page;
	long ret;

	mmap_read_lock(mm);
	ret = pin_user_pages_remote(mm, vaddr, 1, flags, &page, NULL);
	mmap_read_unlock(mm);
	if (ret == 1)
		unpin_user_page(page);
	return ret == 1 ? 0 : ret ?: -EFAULT;
}

static int pinner_do(char *text)
{
	unsigned long vaddr;

	if (sscanf(text, "read %lx", &vaddr) == 1)
		return pinner_try(vaddr, 0);
	if (sscanf(text, "write %lx", &vaddr) == 1)
		return pinner_try(vaddr, FOLL_WRITE);
	return -EINVAL;
}

static int command_mmap(struct file *file, struct vm_area_struct *vma)
{
	int ret = 0;

	if (vma->vm_pgoff && vma->vm_pgoff != PLAIN_PGOFF)
		return -EINVAL;
	if (!vma->vm_pgoff)
		vm_flags_set(vma, VM_IO);
	for (unsigned long at = vma->vm_start; at < vma->vm_end && !ret; at += PAGE_SIZE) {
		struct page *page = alloc_page(GFP_USER | __GFP_ZERO);

		if (!page)
			return -ENOMEM;
		ret = vm_insert_page(vma, at, page);
		/* The mapping holds a reference. */
		put_page(page);
	}
	return ret;
}

DEFINE_COMMAND(command_ops, pinner_do, .mmap = command_mmap);

static int __init pinner_init(void)
{
	pinner_dir = debugfs_create_dir("iopf_pinner", NULL);
	debugfs_create_file_unsafe("command", 0600, pinner_dir, NULL, &command_ops);
	return 0;
}

static void __exit pinner_exit(void)
{
	debugfs_remove(pinner_dir);
}

module_init(pinner_init);
module_exit(pinner_exit);

MODULE_DESCRIPTION("Calls get_user_pages() for tests");
MODULE_LICENSE("GPL");
