// SPDX-License-Identifier: GPL-2.0-only
/*
 * The latency of faults in sysfs: the directory of each device and container has a directory
 * "latency", with two files for each phase. fault/latency.c measures the latency.
 *
 * read, reset vs removal of the directory: removing the directory waits for its readers and
 *   writers, which take iopf_devices_lock. So the caller that removes it does not hold that lock.
 */
#include <linux/kobject.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "../fault/latency.h"
#include "latency.h"

/* Convert a value of a histogram to nanoseconds. */
static u64 value_to_ns(u64 value)
{
	return iopf_clock_ns(value << IOPF_LATENCY_SHIFT);
}

/**
 * struct latency_dir - the directory "latency"
 * @kobj: the directory
 * @d: the device, or NULL for the directory of a container
 * @past: of a container: latency of the devices that have left
 * @queues: of a container: its attached groups, a list of struct iopf_fault_queue
 *
 * The device or container outlives the files: kobject_del() waits for their readers and writers.
 */
struct latency_dir {
	struct kobject kobj;
	struct iopf_device *d;
	struct iopf_latency_past *past;
	struct list_head *queues;
};

struct latency_attr {
	struct attribute attr;
	ssize_t (*show)(const struct iopf_hist_sum *sum, char *buf);
	enum iopf_phase phase;
};

static u64 percentile_ns(const struct iopf_hist_sum *sum, unsigned int permille)
{
	return value_to_ns(iopf_hist_percentile(sum, permille));
}

static ssize_t summary_show(const struct iopf_hist_sum *sum, char *buf)
{
	int len = sysfs_emit(buf, "count %llu sum %llu", iopf_hist_total(sum),
			     iopf_clock_ns(sum->sum));

	return len + sysfs_emit_at(buf, len, " p50 %llu p90 %llu p99 %llu p99.9 %llu max %llu\n",
				   percentile_ns(sum, 500), percentile_ns(sum, 900),
				   percentile_ns(sum, 990), percentile_ns(sum, 999),
				   percentile_ns(sum, 1000));
}

/*
 * A page has room for all lines while each bucket counts less than some million faults. Beyond that
 * the last lines may be left out.
 */
#define LINE_MAX_LEN 40

static ssize_t buckets_show(const struct iopf_hist_sum *sum, char *buf)
{
	int len = 0;

	for (unsigned int i = 0; i < IOPF_HIST_BUCKETS && len < PAGE_SIZE - LINE_MAX_LEN; i++)
		if (sum->count[i])
			len += sysfs_emit_at(buf, len, "%llu %llu\n",
					     value_to_ns(iopf_hist_first(i)), sum->count[i]);
	return len;
}

#define LATENCY_ATTR(_name, _show, _phase) \
	static const struct latency_attr latency_##_name = { \
		.attr = { .name = #_name, .mode = 0444 }, \
		.show = _show, \
		.phase = _phase, \
	}

LATENCY_ATTR(queueing, summary_show, IOPF_PHASE_QUEUEING);
LATENCY_ATTR(queueing_buckets, buckets_show, IOPF_PHASE_QUEUEING);
LATENCY_ATTR(walk, summary_show, IOPF_PHASE_WALK);
LATENCY_ATTR(walk_buckets, buckets_show, IOPF_PHASE_WALK);
LATENCY_ATTR(populate, summary_show, IOPF_PHASE_POPULATE);
LATENCY_ATTR(populate_buckets, buckets_show, IOPF_PHASE_POPULATE);
LATENCY_ATTR(map, summary_show, IOPF_PHASE_MAP);
LATENCY_ATTR(map_buckets, buckets_show, IOPF_PHASE_MAP);
LATENCY_ATTR(respond, summary_show, IOPF_PHASE_RESPOND);
LATENCY_ATTR(respond_buckets, buckets_show, IOPF_PHASE_RESPOND);
LATENCY_ATTR(total, summary_show, IOPF_PHASE_TOTAL);
LATENCY_ATTR(total_buckets, buckets_show, IOPF_PHASE_TOTAL);

static const struct latency_attr latency_reset = {
	.attr = { .name = "reset", .mode = 0200 },
};

static const struct attribute *const latency_attrs[] = {
	&latency_queueing.attr,
	&latency_queueing_buckets.attr,
	&latency_walk.attr,
	&latency_walk_buckets.attr,
	&latency_populate.attr,
	&latency_populate_buckets.attr,
	&latency_map.attr,
	&latency_map_buckets.attr,
	&latency_respond.attr,
	&latency_respond_buckets.attr,
	&latency_total.attr,
	&latency_total_buckets.attr,
	&latency_reset.attr,
	NULL,
};

static ssize_t latency_attr_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	const struct latency_attr *a = container_of_const(attr, struct latency_attr, attr);
	struct latency_dir *dir = container_of(kobj, struct latency_dir, kobj);
	struct iopf_hist_sum *sum;
	ssize_t ret;

	if (!a->show)
		return -EIO;
	sum = kzalloc(sizeof(*sum), GFP_KERNEL);
	if (!sum)
		return -ENOMEM;
	iopf_latency_sum(dir->d, dir->past, dir->queues, a->phase, sum);
	ret = a->show(sum, buf);
	kfree(sum);
	return ret;
}

static ssize_t latency_attr_store(struct kobject *kobj, struct attribute *attr, const char *buf,
				  size_t count)
{
	struct latency_dir *dir = container_of(kobj, struct latency_dir, kobj);
	bool reset;
	int ret;

	if (attr != &latency_reset.attr)
		return -EIO;
	ret = kstrtobool(buf, &reset);
	if (ret)
		return ret;
	if (!reset)
		return -EINVAL;
	iopf_latency_reset(dir->d, dir->past, dir->queues);
	return count;
}

static const struct sysfs_ops latency_sysfs_ops = {
	.show = latency_attr_show,
	.store = latency_attr_store,
};

static void dir_free(struct kobject *kobj)
{
	kfree(container_of(kobj, struct latency_dir, kobj));
}

static const struct kobj_type latency_ktype = {
	.sysfs_ops = &latency_sysfs_ops,
	.release = dir_free,
};

static struct kobject *dir_add(struct latency_dir *dir, struct kobject *parent)
{
	if (kobject_init_and_add(&dir->kobj, &latency_ktype, parent, "latency"))
		goto err_put;
	if (sysfs_create_files(&dir->kobj, (const struct attribute *const *)latency_attrs))
		goto err_del;
	return &dir->kobj;

err_del:
	kobject_del(&dir->kobj);
err_put:
	kobject_put(&dir->kobj);
	return NULL;
}

/**
 * iopf_latency_dir_device() - the directory "latency" of a device
 * @parent: its directory
 * @d: the device
 *
 * Return: the directory, or NULL.
 */
struct kobject *iopf_latency_dir_device(struct kobject *parent, struct iopf_device *d)
{
	struct latency_dir *dir = kzalloc(sizeof(*dir), GFP_KERNEL);

	if (!dir)
		return NULL;
	dir->d = d;
	return dir_add(dir, parent);
}

/**
 * iopf_latency_dir_container() - the directory "latency" of a container
 * @parent: its directory
 * @past: latency of the devices that have left it
 * @queues: its attached groups, a list of struct iopf_fault_queue
 *
 * Return: the directory, or NULL.
 */
struct kobject *iopf_latency_dir_container(struct kobject *parent, struct iopf_latency_past *past,
					   struct list_head *queues)
{
	struct latency_dir *dir = kzalloc(sizeof(*dir), GFP_KERNEL);

	if (!dir)
		return NULL;
	dir->past = past;
	dir->queues = queues;
	return dir_add(dir, parent);
}

/**
 * iopf_latency_dir_destroy() - remove a directory "latency" after its last reader has finished
 * @dir: the directory, or NULL
 *
 * Context: without iopf_devices_lock, which the readers take.
 */
void iopf_latency_dir_destroy(struct kobject *dir)
{
	if (!dir)
		return;
	kobject_del(dir);
	kobject_put(dir);
}
