// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fault queues: create and end the queue of an attached group, and limit the faults that wait.
 *
 * Bounds: the number of page requests of a group of devices that wait, or that a worker handles, is
 * limited to twice the number that its devices may have outstanding. A device that obeys the PRI
 * does not reach this limit, even if it is reset with all requests outstanding. parked.c says what
 * happens to requests beyond it.
 */
#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/pci.h>

#include "parked.h"
#include "prefetch.h"
#include "queue.h"

/*
 * Outstanding requests of a device without a known allocation: a device that stalls, or whose PRI
 * was not enabled yet. PCIe has 512 page request group indices.
 */
#define DEVICE_REQUESTS 512U

/* Upper limit, whatever the device was allowed. VT-d's page request queue has 2048 entries. */
#define DEVICE_REQUESTS_MAX 4096U

/* Faults that can be parked when the owner's memory cgroup has no room: one for each worker. */
#define PARKED_RESERVE 32

/* Return the number of page requests that a device may have outstanding. */
static unsigned int device_requests(struct device *dev)
{
	unsigned int nr = 0;

#ifdef CONFIG_PCI_PRI
	if (dev_is_pci(dev) && to_pci_dev(dev)->pri_enabled)
		nr = to_pci_dev(dev)->pri_reqs_alloc;
#endif
	return nr ? min(nr, DEVICE_REQUESTS_MAX) : DEVICE_REQUESTS;
}

/**
 * iopf_fault_room() - compute how many requests of a group may wait; page faults are on by now
 * @fq: the group
 */
void iopf_fault_room(struct iopf_fault_queue *fq)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < fq->nr_devices; i++)
		nr += device_requests(fq->device[i]->dev);
	/* A device that is reset forgets its outstanding requests, and sends as many again. */
	WRITE_ONCE(fq->max_requests, 2 * nr);
}

/**
 * iopf_fq_init() - begin an empty fault queue for a group that is about to be attached
 * @fq: zeroed; the caller sets @nr_devices and the devices
 * @space: the space of the attachment
 * @release: frees the queue; calls iopf_fq_end()
 *
 * Context: process context of the owner, which is charged for the reserve of parked faults.
 * Return: 0 or -ENOMEM. The caller holds a reference in either case.
 */
int iopf_fq_init(struct iopf_fault_queue *fq, struct iopf_space *space,
		 void (*release)(struct iopf_fault_queue *fq))
{
	fq->space = space;
	fq->release = release;
	/* Until iopf_quota_share() finds the queue in the container's list. */
	fq->max_workers = 1;
	refcount_set(&fq->refs, 1);
	spin_lock_init(&fq->lock);
	INIT_LIST_HEAD(&fq->waiting);
	INIT_LIST_HEAD(&fq->parked);
	INIT_WORK(&fq->run_work, iopf_prefetch_work);
	init_waitqueue_head(&fq->idle);
	fq->reserve = mempool_create_slab_pool(PARKED_RESERVE, iopf_parked_cache);
	return fq->reserve ? 0 : -ENOMEM;
}

/**
 * iopf_fq_end() - free the reserve of a queue that no fault uses any more
 * @fq: the queue
 */
void iopf_fq_end(struct iopf_fault_queue *fq)
{
	mempool_destroy(fq->reserve);
}
