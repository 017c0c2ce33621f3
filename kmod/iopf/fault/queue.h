/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_QUEUE_H
#define IOPF_QUEUE_H

#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "../device/device.h"

struct iopf_backlog;
struct iopf_space;

/* Limit of streams of a group's devices that the worker serves at a time. */
#define IOPF_RUNNERS 8

/**
 * struct iopf_runner - the rest of a stream, which a worker prefetches for a device
 * @d: the device
 * @page: the first page
 * @stride: distance in pages from one page to the next; 1: adjacent pages
 * @pages: number of pages
 * @next: the page that the stream is expected to miss next; see core/stream.h
 * @write: prefetch for writing
 */
struct iopf_runner {
	struct iopf_device *d;
	u64 page;
	s64 stride;
	unsigned int pages;
	u64 next;
	bool write;
};

/**
 * struct iopf_fault_queue - the faults of an attached group of devices
 * @handle: leads the IOMMU core to the queue when a device of the group faults
 * @space: the space of the attachment; outlives the attachment
 * @release: frees the queue and the object that contains it
 * @refs: one for the attachment, one for each waiting or parked fault
 * @node: in the container's list of queues; changes under the container's lock and
 *        iopf_devices_lock
 * @faulting: the group uses page faults; otherwise all memory is pinned for it. Under the
 *            space's lock.
 * @lock: protects @dead, @waiting, @parked, @requests, @workers and @active
 * @dead: the group is being detached: the queue takes no more faults
 * @waiting: faults that wait for a worker of the group, in order
 * @parked: faults that have a worker and wait for memory; they hold nothing of the container
 * @requests: number of page requests that wait, or that a worker handles
 * @max_requests: limit of @requests, and of the requests of one group; see iopf_fault_room()
 * @reserve: memory for waiting faults (struct iopf_parked)
 * @workers: number of workers
 * @max_workers: limit of @workers; at least 1, see quota.c
 * @max_prefetch: limit of prefetched pages that are not used yet, for each device; see quota.c
 * @active: number of ACTIVE faults, and of contexts that work after an answer; never for long
 * @running: @run_work is queued, and holds the references of a parked fault. Under @lock.
 * @nr_runners: number of used entries in @runner. Under @lock.
 * @runner: the work for @run_work. Under @lock.
 * @run_queue: where @run_work is queued; the container may be freed before it runs. Under @lock.
 * @run_work: see prefetch.c
 * @idle: woken when @active falls to zero
 * @nr_devices: devices in the group
 * @device: the devices
 */
struct iopf_fault_queue {
	struct iommu_attach_handle handle;
	struct iopf_space *space;
	void (*release)(struct iopf_fault_queue *fq);
	refcount_t refs;
	struct list_head node;
	bool faulting;
	spinlock_t lock; /* leaf */
	bool dead;
	struct list_head waiting;
	struct list_head parked;
	unsigned int requests;
	unsigned int max_requests;
	mempool_t *reserve;
	unsigned int workers;
	unsigned int max_workers;
	unsigned int max_prefetch;
	unsigned int active;
	bool running;
	unsigned int nr_runners;
	struct iopf_runner runner[IOPF_RUNNERS];
	struct iopf_backlog *run_queue;
	struct work_struct run_work;
	wait_queue_head_t idle;
	unsigned int nr_devices;
	struct iopf_device *device[] __counted_by(nr_devices);
};

int iopf_fault_cache_init(void);
void iopf_fault_cache_exit(void);
int iopf_fq_init(struct iopf_fault_queue *fq, struct iopf_space *space,
		 void (*release)(struct iopf_fault_queue *fq));
void iopf_fq_end(struct iopf_fault_queue *fq);
void iopf_fault_room(struct iopf_fault_queue *fq);
void iopf_fault_more_workers(struct iopf_fault_queue *fq);
void iopf_fault_drain(struct iopf_fault_queue *fq);

/**
 * iopf_fq_put() - drop a reference
 * @fq: the queue
 */
static inline void iopf_fq_put(struct iopf_fault_queue *fq)
{
	if (refcount_dec_and_test(&fq->refs))
		fq->release(fq);
}

/**
 * iopf_fq_device() - find the device of a group that faulted
 * @fq: the group's queue
 * @dev: the device
 *
 * Return: the device. It is always found: no device can join a group that user space owns.
 */
static inline struct iopf_device *iopf_fq_device(struct iopf_fault_queue *fq, struct device *dev)
{
	for (unsigned int i = 1; i < fq->nr_devices; i++)
		if (fq->device[i]->dev == dev)
			return fq->device[i];
	return fq->device[0];
}

/**
 * iopf_fq_enter() - begin to use the queue after the answer to a fault
 * @fq: the queue
 *
 * Return: false if the queue is dead; true: detaching waits for iopf_fq_leave().
 */
static inline bool iopf_fq_enter(struct iopf_fault_queue *fq)
{
	bool alive;

	spin_lock(&fq->lock);
	alive = !fq->dead;
	fq->active += alive;
	spin_unlock(&fq->lock);
	return alive;
}

static inline void iopf_fq_leave(struct iopf_fault_queue *fq)
{
	spin_lock(&fq->lock);
	if (!--fq->active)
		wake_up(&fq->idle);
	spin_unlock(&fq->lock);
}

#endif /* IOPF_QUEUE_H */
