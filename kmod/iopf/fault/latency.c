// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long faults take: histograms for each device and each container, in phases.
 *
 * What is measured: every fault that is answered, from the call of our handler to the end of the
 * response. What comes before, in the device, the IOMMU and its driver, nobody here can see. The
 * phases (enum iopf_phase) follow each other without a gap and add up to the total. They are
 * measured for each fault that had to wait, and for one in so many of the others (parameter
 * "latency"): the total alone costs 35 instructions, with the phases it is 200, of a short
 * fault's 3400. A phase counts the faults that had it: none that is handled in place has been
 * queueing.
 *
 * Where map and walk alternate, for a fault that maps several runs, each adds up. What is
 * populated ahead of a device belongs to the fault that brought it about. An attempt in place that
 * ends in waiting counts as walk when its phases were not measured, or when nothing could
 * be populated.
 *
 * Memory: 6.1 KiB for each processor and attached device; 12 KiB for each device that has ever
 * been attached and for each container, for what was measured by devices that have left.
 *
 * Invariants: what a device measures is in its processors' histograms for as long as it is
 * attached, and counts for the device and for the container. When it leaves, it goes to the past of
 * both. When either is reset, it goes to the past of the other. So each shows everything of its own
 * since it was reset, whatever happens to the other.
 *
 * Locking: iopf_devices_lock for all but the counting. A processor's histogram is moved away by
 * that processor, between two instructions of whoever counts there. So no fault is lost or
 * counted twice, though one that is just being counted may leave its duration on one side and its
 * count on the other. The counters have 32 bits: one processor's 4 billion faults of one
 * bucket, without a reset, are none.
 *
 * read, reset vs detach: under the lock; d->latency is NULL then, or the past has it all.
 * count vs detach: a device is detached from its domain, so that its IOMMU driver reports no faults
 *   any more, and has no active workers, before its histograms go.
 * read, reset vs removal of the directory: sysfs waits, so who removes one does not hold the lock.
 */
#include <linux/cleanup.h>
#include <linux/cpu.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/sysfs.h>

#include "../device/device.h"
#include "../vfio/attach.h"
#include "../vfio/container.h"
#include "latency.h"

DEFINE_STATIC_KEY_TRUE(iopf_latency_on);

/* One fault in so many that are handled in place has its phases measured. */
static unsigned int latency_every __read_mostly = 8;

/* A processor learns of a new rate when it next measures phases: that is not to take for ever. */
#define LATENCY_EVERY_MAX 1000U

static int latency_set(const char *val, const struct kernel_param *kp)
{
	unsigned int every;
	int ret = kstrtouint(val, 0, &every);

	if (ret)
		return ret;
	if (every > LATENCY_EVERY_MAX)
		return -ERANGE;
	WRITE_ONCE(latency_every, every);
	if (every)
		static_branch_enable(&iopf_latency_on);
	else
		static_branch_disable(&iopf_latency_on);
	return 0;
}

static const struct kernel_param_ops latency_ops = {
	.set = latency_set,
	.get = param_get_uint,
};

module_param_cb(latency_sampling, &latency_ops, &latency_every, 0644);
MODULE_PARM_DESC(latency_sampling,
		 "Measure how long faults take, and the phases of each one in so many; 1: of all; 0: measure nothing (default: 8)");

/* What was measured by devices that are not attached any more, or before a reset of others. */
struct iopf_latency_past {
	struct iopf_hist_sum hist[IOPF_PHASE_NR];
};

/* A value of a histogram, for people. */
static u64 value_to_ns(u64 value)
{
	return iopf_clock_ns(value << IOPF_LATENCY_SHIFT);
}

void iopf_timing_begin_phases(struct iopf_timing *t, struct iopf_device *d)
{
	this_cpu_write(d->latency->skip, (int)READ_ONCE(latency_every) - 1);
	t->phases = true;
	t->last = t->start;
	memset(t->spent, 0, sizeof(t->spent));
}

void iopf_timing_add_phases(struct iopf_device *d, const struct iopf_timing *t)
{
	for (enum iopf_phase phase = 0; phase < IOPF_PHASE_TOTAL; phase++)
		if (t->spent[phase])
			iopf_latency_add(d, phase, t->spent[phase]);
}

/**
 * iopf_latency_attach() - a device is about to be attached
 * @d: the device
 *
 * Context: under iopf_devices_lock.
 * Return: 0 or -ENOMEM.
 */
int iopf_latency_attach(struct iopf_device *d)
{
	lockdep_assert_held(&iopf_devices_lock);

	/* It stays with the device, who is nobody's to pay for. */
	if (!d->latency_past)
		d->latency_past = kvzalloc(sizeof(*d->latency_past), GFP_KERNEL);
	if (!d->latency_past)
		return -ENOMEM;
	d->latency = alloc_percpu_gfp(struct iopf_latency, GFP_KERNEL_ACCOUNT);
	return d->latency ? 0 : -ENOMEM;
}

/* One processor's histograms. */
struct latency_part {
	struct iopf_latency *from;
	struct iopf_latency_past *to;
};

static void part_take(void *info)
{
	struct latency_part *part = info;

	for (enum iopf_phase phase = 0; phase < IOPF_PHASE_NR; phase++)
		iopf_hist_take(&part->to->hist[phase], &part->from->hist[phase]);
}

/* Move what an attached device has measured. */
static void latency_take(struct iopf_device *d, struct iopf_latency_past *to)
{
	struct latency_part part = { .to = to };
	int cpu;

	lockdep_assert_held(&iopf_devices_lock);

	guard(cpus_read_lock)();
	for_each_possible_cpu(cpu) {
		part.from = per_cpu_ptr(d->latency, cpu);
		/* On a processor that is off nobody counts. */
		if (smp_call_function_single(cpu, part_take, &part, true))
			part_take(&part);
	}
}

static void latency_peek(const struct iopf_device *d, enum iopf_phase phase,
			 struct iopf_hist_sum *sum)
{
	int cpu;

	lockdep_assert_held(&iopf_devices_lock);

	for_each_possible_cpu(cpu)
		iopf_hist_peek(sum, &per_cpu_ptr(d->latency, cpu)->hist[phase]);
}

/**
 * iopf_latency_detach() - a device has been detached, or was not attached after all
 * @d: the device, after iopf_latency_attach(), be it that failed; no fault of it is under way
 * @c: its container
 *
 * Context: under iopf_devices_lock.
 */
void iopf_latency_detach(struct iopf_device *d, struct iopf_container *c)
{
	lockdep_assert_held(&iopf_devices_lock);

	if (!d->latency)
		return;
	for (enum iopf_phase phase = 0; phase < IOPF_PHASE_NR; phase++)
		latency_peek(d, phase, &c->latency_past->hist[phase]);
	latency_take(d, d->latency_past);
	free_percpu(d->latency);
	d->latency = NULL;
}

/* sysfs: a directory "latency" in that of each device and container */

/**
 * struct latency_dir - the directory
 * @kobj: the directory
 * @d: the device, or
 * @c: the container
 *
 * Whichever it is outlives the files: kobject_del() waits for their readers.
 */
struct latency_dir {
	struct kobject kobj;
	struct iopf_device *d;
	struct iopf_container *c;
};

struct latency_attr {
	struct attribute attr;
	ssize_t (*show)(const struct iopf_hist_sum *sum, char *buf);
	enum iopf_phase phase;
};

static void dir_sum(struct latency_dir *dir, enum iopf_phase phase, struct iopf_hist_sum *sum)
{
	struct iopf_attach *at;

	guard(mutex)(&iopf_devices_lock);
	if (dir->d) {
		if (dir->d->latency_past)
			iopf_hist_merge(sum, &dir->d->latency_past->hist[phase]);
		if (dir->d->latency)
			latency_peek(dir->d, phase, sum);
		return;
	}
	iopf_hist_merge(sum, &dir->c->latency_past->hist[phase]);
	/* The list of groups does not change without this lock. */
	list_for_each_entry(at, &dir->c->attaches, node)
		for (unsigned int i = 0; i < at->nr_devices; i++)
			latency_peek(at->device[i], phase, sum);
}

static void dir_reset(struct latency_dir *dir)
{
	struct iopf_device *d = dir->d;
	struct iopf_attach *at;

	guard(mutex)(&iopf_devices_lock);
	if (d) {
		if (d->latency)
			latency_take(d, d->attach->container->latency_past);
		if (d->latency_past)
			memset(d->latency_past, 0, sizeof(*d->latency_past));
		return;
	}
	list_for_each_entry(at, &dir->c->attaches, node)
		for (unsigned int i = 0; i < at->nr_devices; i++)
			latency_take(at->device[i], at->device[i]->latency_past);
	memset(dir->c->latency_past, 0, sizeof(*dir->c->latency_past));
}

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

/* A page has room for all lines up to some million faults in each bucket, and then for most. */
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
	struct iopf_hist_sum *sum;
	ssize_t ret;

	if (!a->show)
		return -EIO;
	sum = kzalloc(sizeof(*sum), GFP_KERNEL);
	if (!sum)
		return -ENOMEM;
	dir_sum(container_of(kobj, struct latency_dir, kobj), a->phase, sum);
	ret = a->show(sum, buf);
	kfree(sum);
	return ret;
}

static ssize_t latency_attr_store(struct kobject *kobj, struct attribute *attr, const char *buf,
				  size_t count)
{
	bool reset;
	int ret;

	if (attr != &latency_reset.attr)
		return -EIO;
	ret = kstrtobool(buf, &reset);
	if (ret)
		return ret;
	if (!reset)
		return -EINVAL;
	dir_reset(container_of(kobj, struct latency_dir, kobj));
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

/**
 * iopf_latency_dir_create() - the directory "latency" of a device or a container
 * @parent: its directory
 * @d: the device, or
 * @c: the container, with its @latency_past
 *
 * Return: the directory, or NULL.
 */
struct kobject *iopf_latency_dir_create(struct kobject *parent, struct iopf_device *d,
					struct iopf_container *c)
{
	struct latency_dir *dir = kzalloc(sizeof(*dir), GFP_KERNEL);

	if (!dir)
		return NULL;
	dir->d = d;
	dir->c = c;
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
 * iopf_latency_dir_destroy() - remove it, once nobody reads it any more
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

/**
 * iopf_latency_past_alloc() - an empty past for a container
 *
 * Return: to be freed with kvfree(), or NULL.
 */
struct iopf_latency_past *iopf_latency_past_alloc(void)
{
	return kvzalloc(sizeof(struct iopf_latency_past), GFP_KERNEL_ACCOUNT);
}
