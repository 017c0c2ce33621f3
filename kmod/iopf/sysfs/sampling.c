// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sampling in sysfs: the directory of each container has a directory "sampling". sample/sampler.c
 * does the sampling.
 */
#include <linux/kobject.h>
#include <linux/kstrtox.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "../sample/sampler.h"
#include "sampling.h"

/**
 * struct sampling_dir - the directory "sampling"
 * @kobj: the directory
 * @sampler: the container's sampler. It outlives the files: kobject_del() waits for their readers
 */
struct sampling_dir {
	struct kobject kobj;
	struct iopf_sampler *sampler;
};

struct sampling_attr {
	struct attribute attr;
	ssize_t (*show)(struct iopf_sampler *sampler, char *buf);
	int (*store)(struct iopf_sampler *sampler, unsigned int value);
};

static ssize_t interval_show(struct iopf_sampler *sampler, char *buf)
{
	return sysfs_emit(buf, "%u\n", iopf_sampler_interval(sampler));
}

static const struct sampling_attr sampling_interval = {
	.attr = { .name = "interval_ms", .mode = 0644 },
	.show = interval_show,
	.store = iopf_sampler_set_interval,
};

static ssize_t max_show(struct iopf_sampler *sampler, char *buf)
{
	return sysfs_emit(buf, "%u\n", iopf_sampler_max(sampler));
}

static const struct sampling_attr sampling_max = {
	.attr = { .name = "max_chunks", .mode = 0644 },
	.show = max_show,
	.store = iopf_sampler_set_max,
};

static ssize_t cost_show(struct iopf_sampler *sampler, char *buf)
{
	return sysfs_emit(buf, "%llu\n", iopf_sampler_cost(sampler));
}

static const struct sampling_attr sampling_cost = {
	.attr = { .name = "cost_ppm", .mode = 0444 },
	.show = cost_show,
};

static const struct attribute *const sampling_attrs[] = {
	&sampling_interval.attr,
	&sampling_max.attr,
	&sampling_cost.attr,
	NULL,
};

static struct iopf_sampler *kobj_sampler(struct kobject *kobj)
{
	return container_of(kobj, struct sampling_dir, kobj)->sampler;
}

static ssize_t sampling_attr_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	return container_of_const(attr, struct sampling_attr, attr)->show(kobj_sampler(kobj), buf);
}

static ssize_t sampling_attr_store(struct kobject *kobj, struct attribute *attr, const char *buf,
				   size_t count)
{
	const struct sampling_attr *a = container_of_const(attr, struct sampling_attr, attr);
	unsigned int value;
	int ret = kstrtouint(buf, 0, &value);

	if (!ret)
		ret = a->store(kobj_sampler(kobj), value);
	return ret ?: count;
}

static const struct sysfs_ops sampling_sysfs_ops = {
	.show = sampling_attr_show,
	.store = sampling_attr_store,
};

static ssize_t log_read(struct file *file, struct kobject *kobj, struct bin_attribute *attr,
			char *buf, loff_t off, size_t count)
{
	return iopf_sampler_log(kobj_sampler(kobj), buf, off, count);
}

static BIN_ATTR(log, 0400, log_read, NULL, 0);

static void dir_free(struct kobject *kobj)
{
	kfree(container_of(kobj, struct sampling_dir, kobj));
}

static const struct kobj_type sampling_ktype = {
	.sysfs_ops = &sampling_sysfs_ops,
	.release = dir_free,
};

/**
 * iopf_sampling_dir_create() - the directory "sampling" of a container
 * @parent: the container's directory
 * @sampler: the container's sampler
 *
 * Return: the directory, or NULL.
 */
struct kobject *iopf_sampling_dir_create(struct kobject *parent, struct iopf_sampler *sampler)
{
	struct sampling_dir *dir = kzalloc(sizeof(*dir), GFP_KERNEL);

	if (!dir)
		return NULL;
	dir->sampler = sampler;
	if (kobject_init_and_add(&dir->kobj, &sampling_ktype, parent, "sampling"))
		goto err_put;
	if (sysfs_create_files(&dir->kobj, (const struct attribute *const *)sampling_attrs) ||
	    sysfs_create_bin_file(&dir->kobj, &bin_attr_log))
		goto err_del;
	return &dir->kobj;

err_del:
	kobject_del(&dir->kobj);
err_put:
	kobject_put(&dir->kobj);
	return NULL;
}

/**
 * iopf_sampling_dir_destroy() - remove a directory "sampling" after its last reader and writer
 * @dir: the directory
 */
void iopf_sampling_dir_destroy(struct kobject *dir)
{
	kobject_del(dir);
	kobject_put(dir);
}
