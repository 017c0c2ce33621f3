// SPDX-License-Identifier: GPL-2.0-only
/*
 * What get_user_pages() says of memory of the process that asks, for tests that compare it with
 * what a device gets; and memory as drivers have it. Through a file of debugfs,
 * iopf_pinner/command:
 *
 *	read ADDRESS, write ADDRESS	pin the page there and let it go, without FOLL_LONGTERM;
 *					the write fails as pinning does
 *
 * Mapped, the file has pages as drivers allocate them, by offset in pages:
 *
 *	0	VM_IO: not for get_user_pages(), though they are pages like any other
 *	1024	the same without VM_IO
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/uaccess.h>

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

static ssize_t command_write(struct file *file, const char __user *from, size_t count,
			     loff_t *pos)
{
	unsigned long vaddr;
	char text[80];
	int ret;

	if (count >= sizeof(text))
		return -E2BIG;
	if (copy_from_user(text, from, count))
		return -EFAULT;
	text[count] = 0;
	if (sscanf(text, "read %lx", &vaddr) == 1)
		ret = pinner_try(vaddr, 0);
	else if (sscanf(text, "write %lx", &vaddr) == 1)
		ret = pinner_try(vaddr, FOLL_WRITE);
	else
		ret = -EINVAL;
	return ret ?: count;
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
		/* Mapped, it is kept by that. */
		put_page(page);
	}
	return ret;
}

static const struct file_operations command_ops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = command_write,
	.mmap = command_mmap,
};

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

MODULE_DESCRIPTION("Asks get_user_pages(), for tests");
MODULE_LICENSE("GPL");
