// SPDX-License-Identifier: GPL-2.0-only
/*
 * A mediator without a device of its own. User space tells it which calls of vfio-iopf's interface
 * for kernel drivers (include/linux/vfio_iopf_mediator.h) to make, for any PCI device:
 *
 *	echo "mediate 10f5:00:00.0" > /sys/kernel/debug/iopf_mediator/command
 *	echo "lock 0x100000000 0x1000" > ...
 *	echo "unlock 0x100000000 0x1000" > ...
 *	echo "unmediate" > ...
 *
 * A write returns the error of the call. The module mediates one device at a time.
 *
 * A real driver ensures that the device exists until "unmediate". Here user space must ensure it.
 * The module's reference only keeps the memory of the device.
 *
 * Locking: one mutex protects everything. It is outside all locks of vfio-iopf.
 */
#include <linux/cleanup.h>
#include <linux/mutex.h>
#include <linux/vfio_iopf_mediator.h>

#include "command.h"

static DEFINE_MUTEX(mediator_lock);
static struct vfio_iopf_mediator *mediator;
static struct device *mediator_dev;
static struct dentry *mediator_dir;

static int mediator_begin(const char *name)
{
	struct vfio_iopf_mediator *m;
	struct device *dev;

	if (mediator)
		return -EALREADY;
	dev = command_device(name);
	if (!dev)
		return -ENXIO;
	m = vfio_iopf_mediator_register(dev);
	if (IS_ERR(m)) {
		put_device(dev);
		return PTR_ERR(m);
	}
	mediator = m;
	mediator_dev = dev;
	return 0;
}

static int mediator_end(void)
{
	if (!mediator)
		return -ENOENT;
	vfio_iopf_mediator_unregister(mediator);
	put_device(mediator_dev);
	mediator = NULL;
	return 0;
}

static int mediator_do(char *text)
{
	char word[16], name[32];
	u64 iova, size;

	guard(mutex)(&mediator_lock);

	if (sscanf(text, "mediate %31s", name) == 1)
		return mediator_begin(name);
	if (sscanf(text, "%15s 0x%llx 0x%llx", word, &iova, &size) == 3) {
		if (!mediator)
			return -ENOENT;
		if (!strcmp(word, "lock"))
			return vfio_iopf_lock_range(mediator, iova, size);
		if (!strcmp(word, "unlock"))
			return vfio_iopf_unlock_range(mediator, iova, size);
		return -EINVAL;
	}
	return sysfs_streq(text, "unmediate") ? mediator_end() : -EINVAL;
}

DEFINE_COMMAND(command_ops, mediator_do);

static int __init mediator_init(void)
{
	mediator_dir = debugfs_create_dir("iopf_mediator", NULL);
	debugfs_create_file("command", 0200, mediator_dir, NULL, &command_ops);
	return 0;
}

static void __exit mediator_exit(void)
{
	debugfs_remove(mediator_dir);
	mediator_end();
}

module_init(mediator_init);
module_exit(mediator_exit);

MODULE_DESCRIPTION("Tests vfio-iopf's interface for mediating drivers");
MODULE_LICENSE("GPL");
