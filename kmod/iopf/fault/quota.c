// SPDX-License-Identifier: GPL-2.0-only
/*
 * Quotas: how much of the host's work a container may ask for at a time.
 *
 *   fault_workers_max  faults with a worker that wait for memory, a disk or user space
 *   prefetch_max       prefetched pages that its devices have not used yet
 *
 * A container at its quota is slowed: its faults wait for one of its workers, in order, and it gets
 * less prefetch. Other containers are not affected, since each container has its own workers.
 *
 * fault_workers_max is divided evenly among the groups, prefetch_max among the devices. Each group
 * or device checks only its own share, so there is no shared counter. A waiting fault waits for a
 * worker of its own group. A group always has at least one worker, whatever the quota (parked.c),
 * and at most IOPF_DEVICE_WORKERS. A share of prefetch_max may be 0. The next fault sees a change.
 * Work that is under way is not taken back.
 *
 * An idle owner does not lend its share. A worker may sleep until user space provides a page, which
 * may never happen. Prefetched pages stay until they are used. The owner could get back neither in
 * bounded time: it would lose its share, or the container would exceed the quota.
 *
 * Locking: the container's lock; iopf_fault_queue.lock nests inside. Readers take neither.
 */
#include <linux/kernel.h>
#include <linux/list.h>

#include "queue.h"
#include "quota.h"

/*
 * Limit of workers for the faults of one group: enough requests to keep a disk busy. A container
 * has as many workers as a workqueue can have (512). So 16 devices can have all their workers stuck
 * before other devices have to share.
 */
#define IOPF_DEVICE_WORKERS	32U

/**
 * iopf_quota_share() - divide the quotas anew
 * @queues: the attached groups, a list of struct iopf_fault_queue; a group was attached or
 *          detached, or a quota has changed
 * @fault_workers_max: limit of their waiting faults that have a worker; UINT_MAX: no limit
 * @prefetch_max: limit of prefetched pages that are not used yet; UINT_MAX: no limit
 *
 * Context: under the space's lock.
 */
void iopf_quota_share(struct list_head *queues, unsigned int fault_workers_max,
		      unsigned int prefetch_max)
{
	unsigned int groups = 0, devices = 0;
	struct iopf_fault_queue *fq;

	list_for_each_entry(fq, queues, node) {
		groups++;
		devices += fq->nr_devices;
	}
	list_for_each_entry(fq, queues, node) {
		WRITE_ONCE(fq->max_workers,
			   clamp(fault_workers_max / groups, 1U, IOPF_DEVICE_WORKERS));
		WRITE_ONCE(fq->max_prefetch,
			   prefetch_max == UINT_MAX ? UINT_MAX : prefetch_max / devices);
		iopf_fault_more_workers(fq);
	}
}

/**
 * iopf_quota_used() - count the faults that have a worker now
 * @queues: the attached groups
 *
 * Context: under iopf_devices_lock.
 */
unsigned int iopf_quota_used(const struct list_head *queues)
{
	const struct iopf_fault_queue *fq;
	unsigned int n = 0;

	list_for_each_entry(fq, queues, node)
		n += READ_ONCE(fq->workers);
	return n;
}
