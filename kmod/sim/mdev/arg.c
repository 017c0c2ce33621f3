// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arguments of the ioctls of emulated VFIO devices.
 */
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "mdev.h"

/* Copies the structure at @from, which starts with its size. Bytes beyond @size must be zero. */
int iopf_sim_mdev_get_arg(void *to, size_t size, const void __user *from)
{
	u32 argsz;

	if (get_user(argsz, (const u32 __user *)from))
		return -EFAULT;
	if (argsz < size)
		return -EINVAL;
	if (argsz > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(to, size, from, argsz);
}
