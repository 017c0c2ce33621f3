/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_REQUEST_H
#define IOPF_REQUEST_H

#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "../../../core/range.h"
#include "../../../core/workset.h"
#include "../host/pool.h"
#include "slice.h"

struct eventfd_ctx;
struct iopf_space;
struct iopf_prefaults;
struct mem_cgroup;
struct vfio_iopf_prefault;

/* See requests.c. Before DONE a request is under way; from DONE on it does not change. */
enum prefault_state {
	PREFAULT_WAITING,
	PREFAULT_ACTIVE,
	PREFAULT_ASLEEP,
	PREFAULT_DONE,
	PREFAULT_FAILED,
	PREFAULT_CANCELLED,
};

/**
 * struct iopf_prefault - a prefault request
 * @work: work for a worker of the set's queue
 * @job: job for a thread of @pool
 * @pool: the pool where @job was queued last, referenced, or NULL
 * @refs: one for the list, one for the worker, one for each ioctl that uses the request
 * @ps: the set it belongs to, referenced
 * @node: in the set's list, unless the request is new or forgotten
 * @id: number of the request
 * @state: see requests.c
 * @stop: asks the worker to end the request
 * @error: the negative error number, if the request failed
 * @eventfd: the eventfd to signal, or NULL
 * @pages: number of pages in the request
 * @already_mapped: pages that were mapped already
 * @mapped: pages that have been mapped
 * @failed: pages that could not be mapped
 * @write: map for writing
 * @policy: the request follows from a policy: an area that does not permit writes is mapped for
 *          reading
 * @rest: the request covers the ranges without a policy of their own; the worker finds them one by
 *        one. At most @pages
 * @rest_at: the address from which to find the next of them
 * @ranges: the ranges of the request, or NULL
 * @nr_ranges: number of ranges
 * @next_range: index of the next range
 * @data: a working set instead of ranges, or NULL
 * @walk: the position in @data
 * @chunk: the current chunk of the working set
 * @next_page: the page of @chunk to continue from
 * @in_range: a range is in progress
 * @left: the rest of this range
 * @in_slice: a slice of @left is in progress
 * @slice: the slice
 *
 * The set's lock protects @pool, the fields from @node to @eventfd, and the counters
 * @already_mapped, @mapped and @failed. @id is constant. The other fields are constant until the
 * worker begins; then only the worker uses them.
 */
struct iopf_prefault {
	struct work_struct work;
	struct iopf_job job;
	struct iopf_pool *pool;
	refcount_t refs;
	struct iopf_prefaults *ps;
	struct list_head node;
	u64 id;
	enum prefault_state state;
	bool stop;
	int error;
	struct eventfd_ctx *eventfd;
	u64 pages;
	u64 already_mapped;
	u64 mapped;
	u64 failed;
	bool write;
	bool policy;
	bool rest;
	u64 rest_at;
	struct iopf_range *ranges;
	unsigned int nr_ranges;
	unsigned int next_range;
	u8 *data;
	struct iopf_workset_walk walk;
	struct iopf_workset_chunk chunk;
	unsigned int next_page;
	bool in_range;
	struct iopf_range left;
	bool in_slice;
	struct iopf_slice slice;
};

struct iopf_prefault *iopf_prefault_of_ranges(struct iopf_space *space,
					      const struct vfio_iopf_prefault *arg);
struct iopf_prefault *iopf_prefault_of_workset(struct iopf_space *space, u8 *data, size_t size,
					       int eventfd);
struct iopf_prefault *iopf_prefault_of_policy(struct iopf_space *space,
					      const struct iopf_range *range);
u64 iopf_prefault_id(const struct iopf_prefault *p);
int iopf_prefault_run(struct iopf_prefault *p, struct iopf_space *space,
		      struct mem_cgroup *memcg);
void iopf_prefault_forget(struct iopf_prefault *p);
void iopf_prefault_put(struct iopf_prefault *p);

#endif /* IOPF_REQUEST_H */
