// SPDX-License-Identifier: GPL-2.0-only
/*
 * Quotas: how much of the host's work a container may ask for at a time.
 *
 *   fault_workers_max  faults that have a worker, of those that wait for memory, a disk, user space
 *   prefetch_max       prefetched pages that its devices have not used yet
 *
 * A container at its quota is slowed: its faults wait for one of its workers, in order, and it gets
 * less prefetch. Other containers are not affected, since each container has its own workers.
 *
 * A quota is divided among the groups, or devices, evenly, and each looks at its own share only. So
 * a fault that waits for a worker waits for its own group's, which there is always one of
 * (parked.c), and nothing has to be counted in one place. A group has one worker at least,
 * whatever the quota, and IOPF_DEVICE_WORKERS at most; a share of prefetch_max may be
 * 0. A change is seen by the next fault; what is under way is not taken back.
 *
 * Hence an idle owner does not lend its share. A worker may sleep until user space provides a page,
 * which may never happen. Prefetched pages stay until they are used. The owner could get back
 * neither in bounded time: it would lose its share, or the container would exceed the quota.
 *
 * Locking: the container's lock; iopf_fault_queue.lock inside. Reading waits for neither.
 */
#include <linux/kernel.h>
#include <linux/list.h>

#include "queue.h"
#include "quota.h"

/*
 * Workers for the faults of one group: as many requests as keep a disk busy. A container
 * has as many as a workqueue can have (512), so 16 devices can be stuck with all of theirs
 * before others have to share.
 */
#define IOPF_DEVICE_WORKERS	32U

/**
 * iopf_quota_share() - divide the quotas anew
 * @queues: the attached groups, a list of struct iopf_fault_queue; one has come or gone, or a quota
 *          has changed
 * @fault_workers_max: of their faults that wait, how many may have a worker; UINT_MAX: no limit
 * @prefetch_max: prefetched pages not used yet, at most; UINT_MAX: no limit
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
		WRITE_ONCE(fq->max_ahead,
			   prefetch_max == UINT_MAX ? UINT_MAX : prefetch_max / devices);
		iopf_fault_more_workers(fq);
	}
}

/**
 * iopf_quota_used() - faults that have a worker now
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
