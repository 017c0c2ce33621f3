// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page request queue of the simulated IOMMU.
 *
 * Purpose: take page requests from the devices, and report them to the IOMMU core.
 *
 * Invariants:
 *  - The queue has room for prq_entries requests. When it is full, requests are lost until the
 *    queue is empty. Real hardware calls this state page request overflow. If the lost request is
 *    the last of its group, the IOMMU answers "success", so that the device asks again. The core
 *    discards a group that lost its last request.
 *  - The requests of one call enter the queue together and leave it in order.
 *  - Every group gets exactly one response. The fault handler sends it. If there is no handler, the
 *    core sends it. On an overflow, or if the domain takes no faults, this file sends it.
 *
 * Locking: prq.lock (raw) protects the overflow state and the list. A thread holds
 * endpoint.reports for reading around each report, so that an attach can wait for reports. The
 * thread that takes the last request from the queue checks for an overflow to end. A thread that
 * declares an overflow makes the same check afterwards. So one of them ends the overflow.
 *
 * By default each engine reports its own requests in place. A fault then costs no context switch,
 * and faults of several engines run in parallel. With prq_thread, one thread drains the queue, as
 * an interrupt thread does for hardware.
 */
#include <linux/debugfs.h>
#include <linux/kthread.h>
#include <linux/slab.h>

#include "iommu.h"

#define PRQ_DEFAULT_ENTRIES	1024
#define PRQ_MAX_ENTRIES		65536

/**
 * struct iopf_sim_prq - the queue; there is one
 * @queue: the core's part
 * @worker: drains @batches if @thread is set
 * @work: the work of @worker
 * @lock: protects @overflow and @batches
 * @used: number of requests in the queue; for a moment also requests that do not fit
 * @overflow: requests are lost until the queue is empty
 * @batches: struct prq_batch for the thread, in order
 * @entries: knob: number of requests that fit
 * @thread: knob: @worker drains the queue
 */
static struct iopf_sim_prq {
	struct iopf_queue *queue;
	struct kthread_worker *worker;
	struct kthread_work work;
	raw_spinlock_t lock;
	atomic_t used;
	bool overflow;
	struct list_head batches;
	u32 entries;
	u32 thread;
} prq;

/* Requests that entered the queue together. */
struct prq_batch {
	struct list_head node;
	unsigned int nr;
	struct iopf_sim_request req[];
};

struct iopf_queue *iopf_sim_prq_queue(void)
{
	return prq.queue;
}

static void respond(struct iopf_sim_request *req, enum iommu_page_response_code code)
{
	req->ep->ops->response(req->ep, req->prg, req->tag, code);
}

static __always_inline void report(struct iopf_sim_request *req)
{
	struct iopf_sim_endpoint *ep = req->ep;
	/* The core reads only the fault, and copies it. */
	struct iopf_fault evt __uninitialized;

	evt.fault = (struct iommu_fault){
		.type = IOMMU_FAULT_PAGE_REQ,
		.prm = {
			.flags = req->last ? IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE : 0,
			.grpid = req->prg,
			.perm = req->perm,
			.addr = req->addr,
			.private_data[0] = req->tag,
		},
	};
	/* A stop marker gets no response, and the core does not know it. */
	if (!req->perm && req->last) {
		iopf_sim_count(IOPF_SIM_STAT_STOP_MARKERS, 1);
		return;
	}

	down_read(&ep->reports);
	if (likely(ep->iopf && ep->domain->iopf_handler)) {
		/* If the handler is gone by now, the core answers. */
		iommu_report_device_fault(ep->dev, &evt);
	} else {
		iopf_sim_count(IOPF_SIM_STAT_REFUSED, 1);
		if (req->last)
			respond(req, IOMMU_PAGE_RESP_INVALID);
	}
	up_read(&ep->reports);
}

/* The overflow ends when the queue is empty. */
static noinline void end_overflow(void)
{
	unsigned long irq;
	bool clear;

	raw_spin_lock_irqsave(&prq.lock, irq);
	clear = prq.overflow && !atomic_read(&prq.used);
	raw_spin_unlock_irqrestore(&prq.lock, irq);
	if (!clear)
		return;

	/* No request can enter the queue until the overflow ends. */
	iopf_queue_discard_partial(prq.queue);
	raw_spin_lock_irqsave(&prq.lock, irq);
	WRITE_ONCE(prq.overflow, false);
	raw_spin_unlock_irqrestore(&prq.lock, irq);
}

/* Removes @nr requests from the count. Ends an overflow if they were the last. */
static __always_inline void leave(unsigned int nr)
{
	if (unlikely(!atomic_sub_return(nr, &prq.used) && READ_ONCE(prq.overflow)))
		end_overflow();
}

/* Returns how many of @nr requests fit. @used includes them. */
static noinline unsigned int enter_full(unsigned int nr, unsigned int used, unsigned int entries)
{
	unsigned int in = 0;
	unsigned long irq;

	raw_spin_lock_irqsave(&prq.lock, irq);
	if (!prq.overflow && used - nr < entries)
		in = min(nr, entries - (used - nr));
	if (in < nr)
		WRITE_ONCE(prq.overflow, true);
	raw_spin_unlock_irqrestore(&prq.lock, irq);
	/* Leave after the overflow is declared, so that one of the threads ends it. */
	leave(nr - in);
	return in;
}

/* Returns how many of @nr requests fit, and puts these into the queue. */
static __always_inline unsigned int enter(unsigned int nr)
{
	unsigned int used = atomic_add_return(nr, &prq.used), entries = READ_ONCE(prq.entries);

	if (likely(used <= entries && !READ_ONCE(prq.overflow)))
		return nr;
	return enter_full(nr, used, entries);
}

static void lose(struct iopf_sim_request *req, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (!req[i].last || !req[i].perm)
			continue;
		atomic64_inc(&req[i].ep->overflows);
		respond(&req[i], IOMMU_PAGE_RESP_SUCCESS);
	}
}

static noinline void drain_in_place(struct iopf_sim_request *req, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		report(&req[i]);
	leave(nr);
}

static void drain_work(struct kthread_work *work)
{
	struct prq_batch *batch;
	unsigned long irq;

	for (;;) {
		raw_spin_lock_irqsave(&prq.lock, irq);
		batch = list_first_entry_or_null(&prq.batches, struct prq_batch, node);
		if (batch)
			list_del(&batch->node);
		raw_spin_unlock_irqrestore(&prq.lock, irq);
		if (!batch)
			return;
		drain_in_place(batch->req, batch->nr);
		kfree(batch);
	}
}

static bool hand_to_thread(struct iopf_sim_request *req, unsigned int nr)
{
	struct prq_batch *batch = kmalloc(struct_size(batch, req, nr), GFP_KERNEL);
	unsigned long irq;

	if (!batch)
		return false;
	batch->nr = nr;
	memcpy(batch->req, req, array_size(nr, sizeof(*req)));
	raw_spin_lock_irqsave(&prq.lock, irq);
	list_add_tail(&batch->node, &prq.batches);
	raw_spin_unlock_irqrestore(&prq.lock, irq);
	kthread_queue_work(prq.worker, &prq.work);
	return true;
}

/* Handles the rare cases: some requests do not fit, or a thread reports them. */
static noinline void request_seldom(struct iopf_sim_request *req, unsigned int nr, unsigned int in)
{
	if (in < nr)
		lose(req + in, nr - in);
	if (in && !(READ_ONCE(prq.thread) && hand_to_thread(req, in)))
		drain_in_place(req, in);
}

/**
 * iopf_sim_request_pages() - send page requests to the IOMMU
 * @req: the requests of one device, in order
 * @nr: number of requests
 *
 * May sleep. The responses come through iopf_sim_endpoint_ops.response, possibly before the
 * function returns.
 */
void iopf_sim_request_pages(struct iopf_sim_request *req, unsigned int nr)
{
	unsigned int in = enter(nr);

	if (unlikely(in < nr || READ_ONCE(prq.thread))) {
		request_seldom(req, nr, in);
	} else if (likely(nr == 1)) {
		report(req);
		leave(1);
	} else {
		drain_in_place(req, nr);
	}
}
EXPORT_SYMBOL_GPL(iopf_sim_request_pages);

/**
 * iopf_sim_prq_flush() - wait until all requests sent so far are reported
 * @ep: the device whose requests to wait for
 */
void iopf_sim_prq_flush(struct iopf_sim_endpoint *ep)
{
	kthread_flush_worker(prq.worker);
	/* An engine that reports in place holds @reports for reading. */
	down_write(&ep->reports);
	up_write(&ep->reports);
}

static int entries_get(void *data, u64 *val)
{
	*val = READ_ONCE(prq.entries);
	return 0;
}

static int entries_set(void *data, u64 val)
{
	if (!val || val > PRQ_MAX_ENTRIES)
		return -EINVAL;
	WRITE_ONCE(prq.entries, val);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(entries_fops, entries_get, entries_set, "%llu\n");

/**
 * iopf_sim_prq_init() - create the queue
 * @dir: debugfs directory for its knobs
 *
 * Return: 0 or a negative error.
 */
int iopf_sim_prq_init(struct dentry *dir)
{
	raw_spin_lock_init(&prq.lock);
	INIT_LIST_HEAD(&prq.batches);
	kthread_init_work(&prq.work, drain_work);
	prq.entries = PRQ_DEFAULT_ENTRIES;

	prq.queue = iopf_queue_alloc("iopf_sim");
	if (!prq.queue)
		return -ENOMEM;
	prq.worker = kthread_create_worker(0, "iopf_sim_prq");
	if (IS_ERR(prq.worker)) {
		iopf_queue_free(prq.queue);
		return PTR_ERR(prq.worker);
	}
	debugfs_create_file_unsafe("prq_entries", 0600, dir, NULL, &entries_fops);
	debugfs_create_u32("prq_thread", 0600, dir, &prq.thread);
	return 0;
}

/**
 * iopf_sim_prq_exit() - free the queue; no device is left
 */
void iopf_sim_prq_exit(void)
{
	kthread_destroy_worker(prq.worker);
	iopf_queue_free(prq.queue);
}
