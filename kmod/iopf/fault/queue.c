// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues: the beginning and the end of an attached group's faults, and how many may wait.
 *
 * Bounds: the requests of a group of devices that wait or are handled by a worker are limited to
 * twice what its devices may have outstanding. A device that obeys does not get there, be it reset
 * with all of them outstanding. See parked.c for what happens to those beyond that.
 */
#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/pci.h>

#include "parked.h"
#include "prefetch.h"
#include "queue.h"

/*
 * What a device may have outstanding when nothing says so: a stalling one, and one whose page
 * requests were not on yet. PCIe has 512 page request group indices.
 */
#define DEVICE_REQUESTS 512U

/* No more than that, whatever the device was allowed: VT-d's page request queue has 2048. */
#define DEVICE_REQUESTS_MAX 4096U

/* Faults that can be parked when the owner's memory cgroup has no room: one for each worker. */
#define PARKED_RESERVE 32

/* What a device may have outstanding. */
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
 * iopf_fault_room() - page faults are on for the devices of a group: how many may wait
 * @fq: the group
 */
void iopf_fault_room(struct iopf_fault_queue *fq)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < fq->nr_devices; i++)
		nr += device_requests(fq->device[i]->dev);
	/* A device that is reset forgets those it has, and begins anew. */
	WRITE_ONCE(fq->max_requests, 2 * nr);
}

/**
 * iopf_fq_init() - the faults of a group that is about to be attached: none yet
 * @fq: zeroed; @nr_devices and the devices are the caller's to set
 * @space: where it will be attached
 * @release: frees it; calls iopf_fq_end()
 *
 * Context: process context of the owner, who is charged for memory for faults that have to wait.
 * Return: 0 or -ENOMEM; the caller has a reference in any case.
 */
int iopf_fq_init(struct iopf_fault_queue *fq, struct iopf_space *space,
		 void (*release)(struct iopf_fault_queue *fq))
{
	fq->space = space;
	fq->release = release;
	/* Until it is in the container's list. */
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
 * iopf_fq_end() - no fault uses a queue any more
 * @fq: the queue
 */
void iopf_fq_end(struct iopf_fault_queue *fq)
{
	mempool_destroy(fq->reserve);
}
