/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_FAULT_H
#define IOPF_FAULT_H

#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

struct iopf_attach;
struct iopf_group;
struct mem_cgroup;

/**
 * struct iopf_fault_queue - the workers of a container
 * @wq: workers for what waits for nothing that is user space's
 * @refs: one for the container, one for each parked fault, which may outlive it
 * @memcg: who pays for chunks and IOMMU page tables, whoever takes the fault
 * @lock: protects @frozen, and changes of @resumes; a leaf inside of iopf_attach.lock
 * @frozen: faults in frozen areas: they have no worker
 * @resumes: counts the reasons to look again
 * @vaddr_seq: see struct iopf_vaddr_seen
 * @free_work: destroys the queue, which none of its own workers could
 */
struct iopf_fault_queue {
	struct workqueue_struct *wq;
	refcount_t refs;
	struct mem_cgroup *memcg;
	spinlock_t lock; /* a leaf */
	struct list_head frozen;
	atomic_t resumes;
	atomic_t vaddr_seq;
	struct work_struct free_work;
};

int iopf_fault_cache_init(void);
void iopf_fault_cache_exit(void);
struct iopf_fault_queue *iopf_fault_queue_create(u32 id);
void iopf_fault_queue_put(struct iopf_fault_queue *q);
void iopf_fault_queue_resume(struct iopf_fault_queue *q);
int iopf_fault_reserve(struct iopf_attach *at);
void iopf_fault_room(struct iopf_attach *at);
int iopf_fault_handler(struct iopf_group *group);
void iopf_fault_more_workers(struct iopf_attach *at);
void iopf_fault_drain(struct iopf_attach *at);

#endif /* IOPF_FAULT_H */
