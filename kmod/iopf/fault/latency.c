// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long faults take: histograms for each device and each space, in phases.
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
 * been attached and for each space, for what was measured by devices that have left.
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

#include "../device/device.h"
#include "latency.h"
#include "queue.h"

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
 * @shared: the past of its container
 *
 * Context: under iopf_devices_lock.
 * Return: 0 or -ENOMEM.
 */
int iopf_latency_attach(struct iopf_device *d, struct iopf_latency_past *shared)
{
	lockdep_assert_held(&iopf_devices_lock);

	/* It stays with the device, who is nobody's to pay for. */
	if (!d->latency_past)
		d->latency_past = kvzalloc(sizeof(*d->latency_past), GFP_KERNEL);
	if (!d->latency_past)
		return -ENOMEM;
	d->latency = alloc_percpu_gfp(struct iopf_latency, GFP_KERNEL_ACCOUNT);
	if (!d->latency)
		return -ENOMEM;
	d->latency_shared = shared;
	return 0;
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
 *
 * Context: under iopf_devices_lock.
 */
void iopf_latency_detach(struct iopf_device *d)
{
	lockdep_assert_held(&iopf_devices_lock);

	if (!d->latency)
		return;
	for (enum iopf_phase phase = 0; phase < IOPF_PHASE_NR; phase++)
		latency_peek(d, phase, &d->latency_shared->hist[phase]);
	latency_take(d, d->latency_past);
	free_percpu(d->latency);
	d->latency = NULL;
	d->latency_shared = NULL;
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

/**
 * iopf_latency_sum() - what was measured of a phase
 * @d: of this device, or NULL:
 * @past: in a container, by devices that have left
 * @queues: and by those of its attached groups, a list of struct iopf_fault_queue
 * @phase: the phase
 * @sum: it is added to this
 */
void iopf_latency_sum(struct iopf_device *d, const struct iopf_latency_past *past,
		      const struct list_head *queues, enum iopf_phase phase,
		      struct iopf_hist_sum *sum)
{
	struct iopf_fault_queue *fq;

	guard(mutex)(&iopf_devices_lock);
	if (d) {
		if (d->latency_past)
			iopf_hist_merge(sum, &d->latency_past->hist[phase]);
		if (d->latency)
			latency_peek(d, phase, sum);
		return;
	}
	iopf_hist_merge(sum, &past->hist[phase]);
	/* The list of groups does not change without this lock. */
	list_for_each_entry(fq, queues, node)
		for (unsigned int i = 0; i < fq->nr_devices; i++)
			latency_peek(fq->device[i], phase, sum);
}

/**
 * iopf_latency_reset() - begin to measure anew
 * @d: as of iopf_latency_sum()
 * @past: as of iopf_latency_sum()
 * @queues: as of iopf_latency_sum()
 */
void iopf_latency_reset(struct iopf_device *d, struct iopf_latency_past *past,
			const struct list_head *queues)
{
	struct iopf_fault_queue *fq;

	guard(mutex)(&iopf_devices_lock);
	if (d) {
		if (d->latency)
			latency_take(d, d->latency_shared);
		if (d->latency_past)
			memset(d->latency_past, 0, sizeof(*d->latency_past));
		return;
	}
	list_for_each_entry(fq, queues, node)
		for (unsigned int i = 0; i < fq->nr_devices; i++)
			latency_take(fq->device[i], fq->device[i]->latency_past);
	memset(past, 0, sizeof(*past));
}
