// SPDX-License-Identifier: GPL-2.0-only
/*
 * Latency of faults: histograms for each device and each container, by phase.
 *
 * Every fault is measured, from the call of iopf_fault_handler() to the end of the response. The
 * time before that, in the device, the IOMMU and its driver, is not visible here. The phases (enum
 * iopf_phase) follow each other without a gap and add up to the total. They are measured for each
 * fault that has to wait, and for one in N of the others (N is the parameter "latency_sampling").
 * The total alone costs 35 instructions, with the phases 200, of the 3400 of a short fault. A phase
 * counts only the faults that went through it: a fault handled in place has no queueing phase.
 *
 * When a fault maps several runs, map and walk alternate, and the times of each are added up. An
 * attempt in place that ends in waiting counts as walk when its phases were not measured, or when
 * nothing could be populated. Prefetching follows the answer, so it is not measured.
 *
 * Memory: 6.1 KiB for each processor and attached device; 12 KiB for each device that has ever been
 * attached and for each container, for the measurements of devices that have left.
 *
 * Invariants: while a device is attached, its measurements are in its per-CPU histograms, and count
 * for the device and for the container. When the device is detached, they are added to the past of
 * both. When one of the two is reset, they move to the past of the other. So device and container
 * each show everything since their own last reset.
 *
 * Locking: iopf_devices_lock for everything but counting. Each processor moves its own histogram
 * away, in an interrupt, between two instructions of the code that counts. So no fault is lost or
 * counted twice. A fault that is just being counted may leave its duration on one side and its
 * count on the other. The counters have 32 bits: a bucket of one processor wraps to 0 after 4
 * billion faults without a reset.
 *
 * read, reset vs detach: both run under the lock. After detach d->latency is NULL, and the past has
 *   everything.
 * count vs detach: before the histograms are freed, the device is detached from its domain, so its
 *   IOMMU driver reports no more faults, and it has no active workers.
 * read, reset vs removal of the directory: removal waits for readers and writers of the files, so
 *   the caller does not hold the lock.
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

/* Of the faults handled in place, one in latency_every has its phases measured. */
static unsigned int latency_every __read_mostly = 8;

/* A processor reads the rate when it next measures phases. This limit bounds the delay. */
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
		 "Measure the duration of faults, and the phases of one fault in this number; 1: of every fault; 0: measure nothing (default: 8)");

/* Measurements of devices that have been detached, or from before a reset of the other side. */
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
 * iopf_latency_attach() - allocate the histograms of a device that is about to be attached
 * @d: the device
 * @shared: the past of its container
 *
 * Context: under iopf_devices_lock.
 * Return: 0 or -ENOMEM.
 */
int iopf_latency_attach(struct iopf_device *d, struct iopf_latency_past *shared)
{
	lockdep_assert_held(&iopf_devices_lock);

	/* The past stays with the device, so no owner is charged for it. */
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

/* Arguments of part_take(): histograms of one processor, and their destination. */
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

/* Move the measurements of an attached device to @to. */
static void latency_take(struct iopf_device *d, struct iopf_latency_past *to)
{
	struct latency_part part = { .to = to };
	int cpu;

	lockdep_assert_held(&iopf_devices_lock);

	guard(cpus_read_lock)();
	for_each_possible_cpu(cpu) {
		part.from = per_cpu_ptr(d->latency, cpu);
		/* An offline processor counts nothing, so its histogram can be moved from here. */
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
 * iopf_latency_detach() - move the measurements of a device to the past, and free its histograms
 * @d: the device, after iopf_latency_attach(), even a failed one; no fault of it is under way
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
 * iopf_latency_past_alloc() - allocate an empty past for a container
 *
 * Return: the past, which the caller frees with kvfree(), or NULL.
 */
struct iopf_latency_past *iopf_latency_past_alloc(void)
{
	return kvzalloc(sizeof(struct iopf_latency_past), GFP_KERNEL_ACCOUNT);
}

/**
 * iopf_latency_sum() - sum up the measurements of a phase, of a device or of a container
 * @d: the device; NULL: the container
 * @past: the container: measurements of devices that have left
 * @queues: the container: its attached groups, a list of struct iopf_fault_queue
 * @phase: the phase
 * @sum: the measurements are added to this
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
 * iopf_latency_reset() - reset the measurements of a device or of a container
 * @d: see iopf_latency_sum()
 * @past: see iopf_latency_sum()
 * @queues: see iopf_latency_sum()
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
