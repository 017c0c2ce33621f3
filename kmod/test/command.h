/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The frame of a test module: a debugfs file that takes one command per write.
 *
 * Each test module stands alone, so the functions are in this header.
 */
#ifndef IOPF_TEST_COMMAND_H
#define IOPF_TEST_COMMAND_H

#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/uaccess.h>

#define COMMAND_MAX	256

/**
 * command_write() - run the command that user space writes
 * @from: the text
 * @count: length of the text
 * @run: parses the text and acts. It may change the text, and does its own locking.
 *
 * Return: @count, or the error of @run.
 */
static inline ssize_t command_write(const char __user *from, size_t count,
				    int (*run)(char *text))
{
	char text[COMMAND_MAX];
	int ret;

	if (count >= sizeof(text))
		return -E2BIG;
	if (copy_from_user(text, from, count))
		return -EFAULT;
	text[count] = 0;
	ret = run(text);
	return ret ?: count;
}

/*
 * Defines the file operations __fops. A write calls __run with the text. More members may follow.
 */
#define DEFINE_COMMAND(__fops, __run, ...)						\
static ssize_t __fops ## _write(struct file *file, const char __user *from,		\
				size_t count, loff_t *pos)				\
{											\
	return command_write(from, count, __run);					\
}											\
											\
static const struct file_operations __fops = {						\
	.owner = THIS_MODULE,								\
	.open = simple_open,								\
	.write = __fops ## _write,							\
	__VA_ARGS__									\
}

/**
 * command_device() - find the PCI device that a command names
 * @name: PCI address
 *
 * Return: the device, with a reference; NULL if there is no such device.
 */
static inline struct device *command_device(const char *name)
{
	return bus_find_device_by_name(&pci_bus_type, NULL, name);
}

#endif /* IOPF_TEST_COMMAND_H */
