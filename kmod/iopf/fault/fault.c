// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults: from the IOMMU core's report to the response.
 *
 * A fault is handled in place, in the context that reports it, when the CPU has the
 * page: look up, read the CPU's entry, map, respond. That takes no lock but the chunk's
 * and waits for nothing.
 *
 * When the CPU does not have it, but can without waiting for more than memory, that is done in
 * place, too. What is worth having beside it waits until the device has its answer: see ahead.c.
 *
 * Otherwise it is parked: taken off the core's list (so that nobody else
 * answers it), put on its attachment's list, and given to a worker, which has the
 * page faulted in and tries again. While it waits, for a disk or a
 * userfaultfd that may never come, it holds nothing of the container's. Its worker is
 *
 *   a thread of the process   while pages of its memory are wanted, see pool.c
 *   one of the workqueue's    while anything else is waited for: memory for the IOMMU's tables, the
 *                             end of an invalidation
 *   none                      while its area is frozen: on queue->frozen
 *
 * Its states:
 *
 *   WAITING    on at->waiting: the attachment has all the workers it may have
 *   PARKED     on at->parked; the worker may be asleep in the mm
 *   ACTIVE     off the lists, counted in at->active; a worker handles it and waits for nothing but
 *              memory
 *   CANCELLED  off the lists, answered by iopf_fault_drain(); the worker only
 *              frees it
 *
 * Every group gets one response: from iopf_fault_handler() in place, from
 * the worker in ACTIVE, or from the drain, which takes WAITING and PARKED ones only. The
 * transitions happen under at->lock.
 *
 * Bounds: the requests of an attachment that wait or are handled by a worker are limited to twice
 * what its devices may have outstanding (iopf_fault_room()). A device that obeys does not get
 * there, be it reset with all of them outstanding. A group beyond that, and one for which there is
 * no memory, is answered SUCCESS: the device asks again. The owner's memory cgroup is charged for
 * each fault. When it has no room, faults use a reserve, one for each worker; the reserve was
 * charged when the group was attached. A group with more requests than the limit is INVALID.
 *
 * Groups of several requests: each attempt populates one run of pages. The first attempt looks at
 * all requests, so that one that can't be served ends the group at once. The following attempts
 * begin at the first request that has not been served, and end behind the run to populate. So the
 * work is linear in the number of requests. What has been served in an earlier attempt may be
 * unmapped by the time of the answer; the device then asks again.
 *
 * Fairness: an attachment has so many workers at most (see quota.c). So when one device's faults
 * have to wait for what may never come, hundreds of them, the others of its container still have
 * theirs. A worker that is through with its fault, be it cancelled, makes the first one that is
 * WAITING PARKED and queues its work, behind that of other devices. There is somebody WAITING only
 * while all workers are taken, so nobody waits for a worker that does not come.
 *
 * Sweeping: a worker that is through with its fault answers those WAITING that need not wait
 * any more, see slow_sweep(): WAITING -> ACTIVE, and then answered, or back to the list's head.
 * If others' workers found the list empty meanwhile and ended, there are as many again then.
 *
 * fault vs detach: the drain marks the attachment dead (new faults are answered
 *   at once and nothing is parked), cancels what is parked and waits for what is
 *   active. What is queued for a thread of a process is taken back, and one that is asleep in the
 *   mm is interrupted. Until it looks up, which a few file systems make take long, it keeps
 *   the attachment's memory, and touches no more of it than the list state. What is WAITING has no
 *   worker and is freed by the drain; a worker that comes to its end meanwhile may make it
 *   PARKED first, and the drain, which looks at both lists until they are empty, finds it
 *   there. The IOMMU driver drains faults still handled in place when the domain is detached.
 * fault vs unmap: areas and chunks are found under RCU and checked under the chunk's
 *   lock; see area.c.
 * fault vs freeze: a fault in a frozen area (see area.c) is parked without a worker. Thawing,
 *   removing the area, and the drain make their change, then count a resume and give all that are
 *   on queue->frozen a worker. A fault joins that list only if there was no resume since before its
 *   attempt, so it has either seen the change or is given a worker; once that looks it finds the
 *   area thawed, gone, or itself cancelled. A worker that has an address of it in hand is told
 *   (iopf_vaddr_changed()) before it populates the next page there. The same goes for unmapping.
 * fault vs exit: a thread of the process is killed with it, and ends its fault first, or leaves it
 *   to a workqueue, where populating says that the process is gone. In place, mm_users is held
 *   while memory is populated, and the last user's exit is left to others; see
 *   iopf_mm_populate_now().
 * fault vs unload: a fault that is WAITING or PARKED holds the module.
 *
 * Strays: a device that may not fault, and any device where memory is locked for it, finds all
 * that it may use mapped. A fault all the same is counted and answered, and brings nothing in; see
 * fault_filter(). For others that costs nothing: it is looked at only where nothing had to be
 * mapped.
 *
 * Answers: INVALID for what the container does not have or permit, never
 * FAILURE, which turns the device's page request interface off for good. When memory
 * or quiet can't be had after many attempts, SUCCESS: the device tries again.
 */
#include <linux/cleanup.h>
#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/memcontrol.h>
#include <linux/mempool.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "../budget/budget.h"
#include "../budget/sample.h"
#include "../device/device.h"
#include "../host/mm.h"
#include "../host/pool.h"
#include "../lib/backlog.h"
#include "../lib/controls.h"
#include "../lib/params.h"
#include "../map/area.h"
#include "../map/chunk.h"
#include "../map/hint.h"
#include "../pin/hold.h"
#include "../vfio/attach.h"
#include "../vfio/container.h"
#include "ahead.h"
#include "fault.h"
#include "latency.h"

/* How often a parked fault tries before the device is told to try itself. */
#define MAX_ATTEMPTS 64

/*
 * Faults without a worker that one looks at after its own: some 100 µs of work. When so many
 * have to wait after all, the others most likely have to.
 */
#define SWEEP_FAULTS 64
#define SWEEP_MISSES 4

/*
 * What a device may have outstanding when nothing says so: a stalling one, and one whose page
 * requests were not on yet. PCIe has 512 page request group indices.
 */
#define DEVICE_REQUESTS 512U

/* No more than that, whatever the device was allowed: VT-d's page request queue has 2048. */
#define DEVICE_REQUESTS_MAX 4096U

/* Faults that can be parked when the owner's memory cgroup has no room: one for each worker. */
#define SLOW_RESERVE 32

/* Pages of one run: so that populating them in place stays below a million instructions. */
#define WANT_PAGES 128

/* Pages of a group that are populated in place, before a worker goes on. */
#define IN_PLACE_PAGES 512

/* Requests of a group that are looked at before the processor is offered. */
#define SCAN_REQUESTS 32

enum slow_state {
	SLOW_WAITING,
	SLOW_PARKED,
	SLOW_ACTIVE,
	SLOW_CANCELLED,
};

/**
 * struct iopf_want - a run of pages to have faulted in
 * @pool: threads of the process whose they are, referenced; NULL when nothing is wanted
 * @vaddr: first address
 * @pages: how many
 * @write: for writing
 * @iova: I/O virtual address of the first
 * @seen: when @vaddr was taken from its area
 * @from: the first request of the group that has not been served; NULL before the first attempt.
 *        It belongs to whom the group belongs to.
 */
struct iopf_want {
	struct iopf_pool *pool;
	unsigned long vaddr;
	unsigned int pages;
	bool write;
	u64 iova;
	struct iopf_vaddr_seen seen;
	struct iopf_fault *from;
};

/**
 * struct iopf_slow - a fault that has to wait
 * @frozen: the worker's work, in @queue; waits there while its area is frozen
 * @job: the worker's, in @pool
 * @pool: where @job is queued or being done, referenced, or NULL. Under at->lock.
 * @queue: its container's, referenced
 * @at: its attachment, referenced
 * @node: in at->waiting while WAITING, in at->parked while PARKED
 * @state: under at->lock
 * @group: the page request group; gone once CANCELLED
 * @requests: its requests, which count in at->requests until it is answered
 * @limit: attempts
 * @attempt: those there have been
 * @thawed: it has been there, so it is to be tried at once
 * @resumes: the queue's count before the last attempt
 * @want: what to populate next
 * @served: what has been populated last
 * @timing: its clock; under at->lock while WAITING or PARKED, otherwise as @group
 * @waits: what it spends its time on while it is WAITING or PARKED
 */
struct iopf_slow {
	struct iopf_frozen_work frozen;
	struct iopf_job job;
	struct iopf_pool *pool;
	struct iopf_backlog *queue;
	struct iopf_attach *at;
	struct list_head node;
	enum slow_state state;
	struct iopf_group *group;
	unsigned int requests;
	unsigned int limit;
	unsigned int attempt;
	bool thawed;
	int resumes;
	struct iopf_want want;
	struct iopf_served served;
	struct iopf_timing timing;
	enum iopf_phase waits;
};

static struct kmem_cache *iopf_slow_cache;

int iopf_fault_cache_init(void)
{
	iopf_slow_cache = KMEM_CACHE(iopf_slow, SLAB_ACCOUNT);
	return iopf_slow_cache ? 0 : -ENOMEM;
}

void iopf_fault_cache_exit(void)
{
	kmem_cache_destroy(iopf_slow_cache);
}

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
 * @at: the group
 */
void iopf_fault_room(struct iopf_attach *at)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < at->nr_devices; i++)
		nr += device_requests(at->device[i]->dev);
	/* A device that is reset forgets those it has, and begins anew. */
	WRITE_ONCE(at->max_requests, 2 * nr);
}

/**
 * iopf_fault_reserve() - have memory for the faults of a group that have to wait
 * @at: the group, about to be attached
 *
 * Context: process context of the owner, who is charged.
 * Return: 0 or -ENOMEM.
 */
int iopf_fault_reserve(struct iopf_attach *at)
{
	at->reserve = mempool_create_slab_pool(SLOW_RESERVE, iopf_slow_cache);
	return at->reserve ? 0 : -ENOMEM;
}

static struct device *group_dev(const struct iopf_group *group)
{
	return group->fault_param->dev;
}

/* The only place that answers. Frees the group. */
static void fault_respond(struct iopf_device *d, struct iopf_group *group,
			  enum iommu_page_response_code code, struct iopf_timing *timing)
{
	iopf_timing_lap(timing, IOPF_PHASE_WALK);
	iopf_device_count(d, IOPF_STAT_FAULTS, 1);
	iopf_device_count(d, IOPF_STAT_PAGE_REQUESTS, group->fault_count);
	if (code == IOMMU_PAGE_RESP_INVALID)
		iopf_device_count(d, IOPF_STAT_RESPONSES_INVALID, 1);
	iopf_group_response(group, code);
	iopf_free_group(group);
	iopf_timing_end(timing, d);
}

static void fault_complain(struct iopf_device *d, const struct iommu_fault_page_request *prm,
			   const char *what)
{
	if (__ratelimit(&d->complaints))
		dev_warn(d->dev, IOPF_DRIVER_NAME ": %s at 0x%llx %s, answered INVALID\n",
			 prm->perm & IOMMU_FAULT_PERM_WRITE ? "write" : "read", prm->addr, what);
}

/* A fault that has no business being there: counted each time, said once of each cause. */
static void fault_stray(struct iopf_device *d, const struct iommu_fault_page_request *prm,
			enum iopf_stat cause)
{
	iopf_device_count(d, cause, 1);
	if (!test_and_set_bit(cause, &d->unexpected_logged))
		dev_warn(d->dev, IOPF_DRIVER_NAME
			 ": %s at 0x%llx faults %s; they are answered, but map nothing (said once)\n",
			 prm->perm & IOMMU_FAULT_PERM_WRITE ? "write" : "read", prm->addr,
			 cause == IOPF_STAT_UNEXPECTED_LOCKED ? "where memory is locked for it"
							      : "though the device may not fault");
}

/*
 * Note that a page is missing. The pages of a group mostly lie side by side: a run is
 * faulted in at once. What does not join the run has its turn after it. False: the area has just
 * lost its address, or is gone.
 */
static bool want_page(struct iopf_want *want, const struct iopf_chunk *chunk, u64 iova, bool write)
{
	const struct iopf_area *area = chunk->area;
	struct iopf_vaddr_seen seen;
	unsigned long vaddr;

	if (!iopf_area_vaddr_begin(chunk, &seen))
		return false;

	iova &= PAGE_MASK;
	vaddr = iopf_area_vaddr(area, iova);
	if (!want->pool) {
		want->pool = iopf_pool_get(area->mm->pool);
		want->vaddr = vaddr;
		want->pages = 1;
		want->write = write;
		want->iova = iova;
		want->seen = seen;
	} else if (want->pool != area->mm->pool || want->write != write ||
		   want->seen.seen != seen.seen || want->pages == WANT_PAGES) {
		return true;
	} else if (vaddr == want->vaddr + ((unsigned long)want->pages << PAGE_SHIFT)) {
		want->pages++;
	} else if (vaddr + PAGE_SIZE == want->vaddr) {
		want->vaddr = vaddr;
		want->iova = iova;
		want->pages++;
	}
	return true;
}

/*
 * The chunk of an address, under RCU. -EPERM when the container has no such address or permission;
 * -ENOMEM; -ESHUTDOWN.
 */
static __always_inline struct iopf_chunk *
fault_find(struct iopf_container *c, struct iopf_device *d,
	   const struct iommu_fault_page_request *prm, int need)
{
	/* Before the look at the tree. Pairs with iopf_hint_renew(). */
	u64 generation = smp_load_acquire(&c->generation);
	struct iopf_chunk *chunk = iopf_hint_get(generation, prm->addr);
	struct iopf_area *area;

	if (likely(chunk)) {
		area = chunk->area;
	} else {
		area = mtree_load(&c->areas, prm->addr);
		if (unlikely(!area)) {
			fault_complain(d, prm, "is outside any mapped range");
			return ERR_PTR(-EPERM);
		}
	}
	if (unlikely(!(area->prot & need))) {
		fault_complain(d, prm, "is beyond the range's permission");
		return ERR_PTR(-EPERM);
	}
	if (likely(chunk))
		return chunk;
	chunk = iopf_area_chunk(area, prm->addr, GFP_NOWAIT | __GFP_NOWARN);
	if (!IS_ERR(chunk))
		iopf_hint_set(generation, chunk);
	return chunk;
}

/*
 * One page request, without sleeping. 0 when the page is mapped; -EPERM when the
 * container has no such address or permission; otherwise as
 * iopf_chunk_fault(), with the page added to @want for -ENOENT. When the whole window around it is
 * there, @served says so.
 */
static __always_inline int fault_request(struct iopf_container *c, struct iopf_device *d,
					 const struct iommu_fault_page_request *prm,
					 struct iopf_want *want, struct iopf_served *served,
					 struct iopf_timing *timing)
{
	unsigned int page = iopf_chunkmap_page(prm->addr), around = READ_ONCE(iopf_fault_window);
	bool write = prm->perm & IOMMU_FAULT_PERM_WRITE;
	unsigned int mapped = 0;
	struct iopf_chunk *chunk;
	int ret;

	rcu_read_lock();
	chunk = fault_find(c, d, prm, write ? IOMMU_WRITE : IOMMU_READ);
	if (IS_ERR(chunk))
		ret = PTR_ERR(chunk);
	else
		ret = iopf_chunk_fault(chunk, page, write, around, &mapped, timing);
	if (mapped && (mapped > 1 || READ_ONCE(chunk->refill)) &&
	    iopf_chunk_full(chunk, page, around)) {
		*served = (struct iopf_served){
			.iova = prm->addr & PAGE_MASK,
			.pages = 1,
			.write = write,
		};
	}
	if (ret == -ENOENT && unlikely(!want_page(want, chunk, prm->addr, write)))
		ret = -EBUSY;
	rcu_read_unlock();

	if (mapped)
		iopf_device_count(d, IOPF_STAT_MAPPED, mapped);
	else if (unlikely(!ret && iopf_hold_stray(c, prm->addr)))
		fault_stray(d, prm, IOPF_STAT_UNEXPECTED_LOCKED);
	if (ret == -EFAULT)
		fault_complain(d, prm, "is not memory for devices");
	else if (ret == -ESRCH)
		fault_complain(d, prm, "is memory of a process that is gone");
	return ret;
}

static bool fault_must_wait(int ret)
{
	return ret == -ENOENT || ret == -EBUSY || ret == -ENOMEM || ret == -EAGAIN ||
	       ret == -EDQUOT;
}

/*
 * The requests of a group from @from on, without sleeping for them: all of them, or up to the first
 * one that neither is served nor joins the run of pages to populate. want->from is the first that
 * is not served; @some: whether any was.
 */
static int group_scan(struct iopf_attach *at, struct iopf_device *d, struct iopf_group *group,
		      struct iopf_fault *from, bool all, struct iopf_want *want,
		      struct iopf_served *served, struct iopf_timing *timing, bool *some)
{
	struct iopf_fault *fault = from;
	unsigned int seen = 0;
	int ret = 0;

	*some = false;
	list_for_each_entry_from(fault, &group->faults, list) {
		unsigned int joined = want->pool ? want->pages : 0;
		int one = fault_request(at->container, d, &fault->fault.prm, want, served, timing);

		/* What can't be served decides, then what there is to wait for. */
		if (one && !fault_must_wait(one))
			return one;
		*some |= !one;
		if (one && !ret)
			want->from = fault;
		else if (one && !all && want->pages == joined)
			break;
		if (one && ret != -ENOENT && ret != -EAGAIN)
			ret = one;
		if (ret && ret != -ENOENT && !all)
			break;
		if (++seen % SCAN_REQUESTS == 0)
			cond_resched();
	}
	return ret;
}

/*
 * All requests of a group, or those that have not been served yet. Those that can be served are,
 * even when another has to wait.
 */
static noinline int fault_group(struct iopf_attach *at, struct iopf_device *d,
				struct iopf_group *group, struct iopf_want *want,
				struct iopf_served *served, struct iopf_timing *timing)
{
	struct iopf_fault *first = list_first_entry(&group->faults, struct iopf_fault, list);
	bool some, all = !want->from;
	int ret;

	if (unlikely(group->fault_count > READ_ONCE(at->max_requests))) {
		fault_complain(d, &group->last_fault.fault.prm, "is of a group too large");
		return -E2BIG;
	}
	ret = group_scan(at, d, group, want->from ?: first, all, want, served, timing, &some);
	/* There may never be room for all; let the device go on with what it has got. */
	if (unlikely(ret == -EDQUOT) && !all && !some)
		ret = group_scan(at, d, group, first, false, want, served, timing, &some);
	return unlikely(ret == -EDQUOT) && some ? 0 : ret;
}

/* What a request of a device that may not fault finds, under RCU. */
enum filtered {
	FILTERED_HIT,
	FILTERED_MISS,
	FILTERED_MMIO,
};

static enum filtered fault_filter_request(struct iopf_container *c, struct iopf_device *d,
					  const struct iommu_fault_page_request *prm)
{
	bool write = prm->perm & IOMMU_FAULT_PERM_WRITE;
	struct iopf_area *area = mtree_load(&c->areas, prm->addr);
	struct iopf_chunk *chunk;

	if (!area || !(area->prot & (write ? IOMMU_WRITE : IOMMU_READ))) {
		fault_complain(d, prm, "is outside any mapped range, or beyond its permission");
		return FILTERED_MISS;
	}
	chunk = iopf_area_chunk_there(area, prm->addr);
	if (chunk && iopf_chunk_serves(chunk, iopf_chunkmap_page(prm->addr), write))
		return FILTERED_HIT;
	/* Its owner may have taken it back, and given it again. */
	return READ_ONCE(area->mmio) ? FILTERED_MMIO : FILTERED_MISS;
}

/*
 * A group of a device that may not fault. All that is mapped is pinned for it, so it can't be about
 * anything that is missing, and nothing is brought in: SUCCESS for what is mapped. It
 * may be from before, or about the gap in which a page is replaced by its pinned self. -EAGAIN: the
 * fault is to be handled as any other, as the device has become one that may, or it is about
 * other devices' memory.
 */
static int fault_filter(struct iopf_attach *at, struct iopf_device *d, struct iopf_group *group)
{
	struct iopf_fault *fault;
	int ret = 0;

	list_for_each_entry(fault, &group->faults, list) {
		enum filtered found;

		scoped_guard(rcu)
			found = fault_filter_request(at->container, d, &fault->fault.prm);
		/* Said before anything is unpinned, and the look came under the chunk's lock. */
		if (found != FILTERED_HIT && READ_ONCE(at->faulting))
			return -EAGAIN;
		fault_stray(d, &fault->fault.prm, IOPF_STAT_UNEXPECTED_DISABLED);
		if (found == FILTERED_MMIO)
			return -EAGAIN;
		if (found == FILTERED_MISS)
			ret = -EPERM;
	}
	return ret;
}

static enum iommu_page_response_code fault_code(int ret)
{
	return ret ? IOMMU_PAGE_RESP_INVALID : IOMMU_PAGE_RESP_SUCCESS;
}

/* Now it begins to wait for what is wanted, or for something else. */
static void slow_waits(struct iopf_slow *slow)
{
	lockdep_assert_held(&slow->at->lock);

	slow->waits = slow->want.pool ? IOPF_PHASE_POPULATE : IOPF_PHASE_QUEUEING;
}

/* The worker is there; until then it was queueing. */
static void slow_start(struct iopf_slow *slow)
{
	spin_lock(&slow->at->lock);
	if (slow->state == SLOW_PARKED) {
		iopf_timing_lap(&slow->timing, slow->waits);
		slow_waits(slow);
	}
	spin_unlock(&slow->at->lock);
}

/* PARKED -> ACTIVE, unless it has been cancelled meanwhile. */
static bool slow_activate(struct iopf_slow *slow)
{
	bool mine;

	spin_lock(&slow->at->lock);
	mine = slow->state == SLOW_PARKED;
	if (mine) {
		iopf_timing_lap(&slow->timing, slow->waits);
		list_del(&slow->node);
		slow->state = SLOW_ACTIVE;
		slow->at->active++;
	}
	spin_unlock(&slow->at->lock);
	return mine;
}

static void active_done(struct iopf_attach *at)
{
	lockdep_assert_held(&at->lock);

	if (!--at->active)
		wake_up(&at->idle);
}

/* The end of ACTIVE: the group has been answered, and its requests count no more. */
static void slow_over(struct iopf_slow *slow)
{
	struct iopf_attach *at = slow->at;

	spin_lock(&at->lock);
	at->requests -= slow->requests;
	active_done(at);
	spin_unlock(&at->lock);
}

/* Give a fault to whoever can do what it waits for. From then on it may be gone. */
static void slow_queue(struct iopf_slow *slow)
{
	struct iopf_pool *old = slow->pool;

	lockdep_assert_held(&slow->at->lock);

	slow->pool = slow->want.pool ? iopf_pool_get(slow->want.pool) : NULL;
	iopf_pool_put(old);
	if (slow->pool)
		iopf_pool_queue(slow->pool, &slow->job);
	else
		queue_work(slow->queue->wq, &slow->frozen.work);
}

/* False: there has been a resume since the attempt, so it is to be made again. */
static bool slow_freeze(struct iopf_slow *slow)
{
	lockdep_assert_held(&slow->at->lock);

	iopf_pool_put(slow->pool);
	slow->pool = NULL;
	slow->thawed = true;
	return iopf_backlog_freeze(slow->queue, &slow->frozen, slow->resumes);
}

/* Whether the caller can do what a fault waits for. */
static bool slow_stays(const struct iopf_slow *slow)
{
	return !slow->want.pool || slow->want.pool->mm == current->mm;
}

/* What becomes of a fault that has to wait once more. */
enum slow_next {
	NEXT_HERE,
	NEXT_ELSEWHERE, /* it has been given away, and may be gone */
	NEXT_NONE, /* the attachment is dead */
};

/* ACTIVE -> PARKED, unless the attachment is dead. */
static enum slow_next slow_park_again(struct iopf_slow *slow, bool frozen)
{
	enum slow_next next = NEXT_NONE;
	struct iopf_attach *at = slow->at;

	spin_lock(&at->lock);
	if (!at->dead) {
		next = NEXT_HERE;
		iopf_timing_lap(&slow->timing, IOPF_PHASE_WALK);
		slow_waits(slow);
		list_add_tail(&slow->node, &at->parked);
		slow->state = SLOW_PARKED;
		active_done(at);
		if (frozen) {
			if (slow_freeze(slow))
				next = NEXT_ELSEWHERE;
		} else if (!slow_stays(slow)) {
			slow_queue(slow);
			next = NEXT_ELSEWHERE;
		}
	}
	spin_unlock(&at->lock);
	return next;
}

/* The wanted pages have been populated. With fault_around off there is to be nothing else. */
static struct iopf_served want_served(const struct iopf_want *want)
{
	return (struct iopf_served){
		.iova = want->iova,
		.pages = READ_ONCE(iopf_fault_around) ? want->pages : 0,
		.write = want->write,
		.absent = true,
	};
}

/* WAITING -> PARKED: the fault has a worker. */
static void slow_begin(struct iopf_slow *slow)
{
	lockdep_assert_held(&slow->at->lock);

	list_move_tail(&slow->node, &slow->at->parked);
	slow->state = SLOW_PARKED;
	/* Under the lock: once parked and unlocked, the drain may answer it. */
	slow_queue(slow);
}

/* Give faults without a worker one, as far as there may be more. */
static void workers_fill(struct iopf_attach *at)
{
	lockdep_assert_held(&at->lock);

	while (at->workers < READ_ONCE(at->max_workers) && !list_empty(&at->waiting)) {
		at->workers++;
		slow_begin(list_first_entry(&at->waiting, struct iopf_slow, node));
	}
}

/* A worker of the attachment is through with its fault: the next one. */
static void worker_done(struct iopf_attach *at)
{
	spin_lock(&at->lock);
	at->workers--;
	workers_fill(at);
	spin_unlock(&at->lock);
}

/**
 * iopf_fault_more_workers() - an attachment may have more of them, or fewer, from now on
 * @at: the attachment; says already how many
 */
void iopf_fault_more_workers(struct iopf_attach *at)
{
	spin_lock(&at->lock);
	workers_fill(at);
	spin_unlock(&at->lock);
}

static void want_drop(struct iopf_want *want)
{
	if (want->pool)
		iopf_pool_put(want->pool);
	want->pool = NULL;
}

/* Have what is wanted at once, if that needs no waiting. */
static bool want_now(const struct iopf_want *want)
{
	return iopf_mm_populate_now(want->pool->mm, want->vaddr, want->pages, want->write,
				    &want->seen);
}

/* Nobody uses it any more, and its group is somebody else's or gone. */
static void slow_free(struct iopf_slow *slow)
{
	struct iopf_backlog *queue = slow->queue;
	struct iopf_attach *at = slow->at;

	want_drop(&slow->want);
	iopf_pool_put(slow->pool);
	mempool_free(slow, at->reserve);
	iopf_attach_put(at);
	iopf_backlog_put(queue);
	module_put(THIS_MODULE);
}

/* The first fault that has no worker, to look at it: WAITING -> ACTIVE. NULL: there is none. */
static struct iopf_slow *sweep_take(struct iopf_attach *at)
{
	struct iopf_slow *slow = NULL;

	spin_lock(&at->lock);
	if (!at->dead)
		slow = list_first_entry_or_null(&at->waiting, struct iopf_slow, node);
	if (slow) {
		list_del(&slow->node);
		slow->state = SLOW_ACTIVE;
		iopf_timing_lap(&slow->timing, slow->waits);
		at->active++;
	}
	spin_unlock(&at->lock);
	return slow;
}

/* Those that have to wait after all: ACTIVE -> WAITING, before the others, or to be cancelled. */
static void sweep_give_back(struct iopf_attach *at, struct list_head *tried)
{
	struct iopf_slow *slow, *next;

	spin_lock(&at->lock);
	list_for_each_entry(slow, tried, node) {
		iopf_timing_lap(&slow->timing, IOPF_PHASE_WALK);
		slow->state = SLOW_WAITING;
		slow->waits = IOPF_PHASE_QUEUEING;
	}
	if (!at->dead) {
		list_for_each_entry(slow, tried, node)
			active_done(at);
		list_splice_init(tried, &at->waiting);
	}
	/* Workers may have found nothing to do meanwhile. */
	workers_fill(at);
	spin_unlock(&at->lock);

	/* The drain has not seen them, and waits for us. */
	list_for_each_entry_safe(slow, next, tried, node) {
		fault_respond(iopf_attach_device(at, group_dev(slow->group)), slow->group,
			      IOMMU_PAGE_RESP_INVALID, &slow->timing);
		slow_over(slow);
		slow_free(slow);
	}
}

/*
 * One fault without a worker, as far as it takes no waiting. False: it has to wait. Nothing is had
 * ahead for it: others wait for their answer.
 */
static bool sweep_one(struct iopf_attach *at, struct iopf_slow *slow)
{
	struct iopf_device *d = iopf_attach_device(at, group_dev(slow->group));
	struct iopf_served served;
	struct iopf_want *want = &slow->want;
	int ret = -ENOENT, turn = iopf_evictor_enter(at->container);

	/* What it wants may be in memory by now, or in the swap cache. */
	if (!want->pool || want_now(want)) {
		iopf_timing_lap(&slow->timing, IOPF_PHASE_POPULATE);
		want_drop(want);
		ret = fault_group(at, d, slow->group, want, &served, &slow->timing);
	}
	if (!fault_must_wait(ret)) {
		iopf_device_count(d, IOPF_STAT_COALESCED, 1);
		fault_respond(d, slow->group, fault_code(ret), &slow->timing);
	}
	iopf_evictor_leave(at->container, turn);
	return !fault_must_wait(ret);
}

/*
 * What one fault waited for may well be what others wait for: a swap device reads several pages at
 * a time, a provider of memory copies many. Those that have no worker yet and can be answered now
 * are, all in a go, in order, until too many of them have to wait.
 */
static void slow_sweep(struct iopf_attach *at)
{
	unsigned int looks = 0, misses = 0;
	struct iopf_slow *slow;
	LIST_HEAD(tried);

	while (looks++ < SWEEP_FAULTS && misses < SWEEP_MISSES && (slow = sweep_take(at))) {
		if (!sweep_one(at, slow)) {
			list_add_tail(&slow->node, &tried);
			misses++;
			continue;
		}
		slow_over(slow);
		slow_free(slow);
		cond_resched();
	}
	if (!list_empty(&tried))
		sweep_give_back(at, &tried);
}

/*
 * The waiting half: have what is wanted, holding nothing of the container. -EINTR: the thread is to
 * look at signals, and to come back.
 */
static int slow_wait(struct iopf_slow *slow)
{
	struct iopf_backlog *q = slow->queue;
	struct mem_cgroup *old;
	unsigned long page;
	int ret;

	if (READ_ONCE(slow->state) == SLOW_CANCELLED)
		return 0;
	if (slow->want.pool) {
		struct iopf_want *want = &slow->want;

		ret = iopf_mm_populate(want->pool->mm, want->vaddr, want->pages, want->write,
				       &want->seen);
		if (ret == -EINTR)
			return ret;
		if (!ret)
			slow->served = want_served(want);
		want_drop(&slow->want);
		if (ret != -ENOMEM && ret != -EAGAIN)
			return ret;
	} else if (slow->thawed) {
		slow->thawed = false;
		return 0;
	}
	/* An invalidation, or no memory: get reclaim going, and give it time. */
	old = set_active_memcg(q->memcg);
	page = __get_free_page(GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	set_active_memcg(old);
	free_page(page);
	usleep_range(20, 20 + 50 * slow->attempt);
	return 0;
}

/* Answer a fault that is ACTIVE, and do what follows. */
static void slow_answer(struct iopf_slow *slow, struct iopf_device *d, int ret, int turn)
{
	struct iopf_attach *at = slow->at;

	fault_respond(d, slow->group, fault_code(ret), &slow->timing);
	iopf_evictor_leave(at->container, turn);
	if (!ret && slow->served.pages)
		iopf_ahead(at, d, &slow->served);
	slow_over(slow);
}

/* One attempt at a fault that is ACTIVE. NEXT_NONE: it has been answered. */
static enum slow_next slow_try(struct iopf_slow *slow, int waited)
{
	struct iopf_attach *at = slow->at;
	struct iopf_device *d = iopf_attach_device(at, group_dev(slow->group));
	struct iopf_served served = { };
	enum slow_next next;
	int ret, turn;

	if (waited)
		fault_complain(d, &slow->group->last_fault.fault.prm,
			       waited == -ESRCH ? "is memory of a process that is gone"
						: "has no memory behind it");
	/* Before the look at the area. Pairs with iopf_backlog_resume(). */
	slow->resumes = iopf_backlog_resumes(slow->queue);
	turn = iopf_evictor_enter(at->container);
	ret = waited ?: fault_group(at, d, slow->group, &slow->want, &served, &slow->timing);
	/* It may have waited for an invalidation or an area only. */
	if (!ret && !slow->served.pages)
		slow->served = served;
	if (fault_must_wait(ret)) {
		iopf_evictor_leave(at->container, turn);
		turn = -1;
	}
	if (unlikely(ret == -EDQUOT))
		iopf_evictor_make_room(at->container, 1);
	if (ret == -EAGAIN) {
		want_drop(&slow->want);
		slow->attempt = 0;
		next = slow_park_again(slow, true);
		if (next != NEXT_NONE)
			return next;
	}
	if (fault_must_wait(ret) && !waited) {
		if (ret != -ENOENT)
			iopf_device_count(d, IOPF_STAT_RETRIES, 1);
		if (slow->attempt++ < slow->limit) {
			next = slow_park_again(slow, false);
			if (next != NEXT_NONE)
				return next;
		}
		iopf_device_count(d, IOPF_STAT_RETRIES_EXHAUSTED, 1);
		slow->served.pages = 0;
		ret = 0;
	}
	slow_answer(slow, d, ret, turn);
	return NEXT_NONE;
}

/* All of a worker's part. Returns whether it is to be called again, see struct iopf_job. */
static bool slow_run(struct iopf_slow *slow)
{
	struct iopf_attach *at = slow->at;
	enum slow_next next = NEXT_NONE;
	int waited;

	slow_start(slow);
	do {
		waited = slow_wait(slow);
		if (waited == -EINTR)
			return true;
		if (!slow_activate(slow))
			break;
		next = slow_try(slow, waited);
	} while (next == NEXT_HERE);
	if (next == NEXT_ELSEWHERE)
		return false;
	slow_sweep(at);
	worker_done(at);
	slow_free(slow);
	return false;
}

static void slow_work(struct work_struct *work)
{
	/* It wants no memory of a process, so nothing interrupts it. */
	WARN_ON_ONCE(slow_run(container_of(work, struct iopf_slow, frozen.work)));
}

static bool slow_job(struct iopf_job *job)
{
	return slow_run(container_of(job, struct iopf_slow, job));
}

/* Memory for a fault that has to wait, at the owner's expense; NULL: there is none now. */
static struct iopf_slow *slow_alloc(struct iopf_attach *at)
{
	struct mem_cgroup *old = set_active_memcg(at->container->memcg);
	struct iopf_slow *slow = mempool_alloc(at->reserve, GFP_NOWAIT | __GFP_NOWARN);

	set_active_memcg(old);
	return slow;
}

/* Whether a group may wait beside those that do. One always may. */
static bool park_room(const struct iopf_attach *at, const struct iopf_group *group)
{
	lockdep_assert_held(&at->lock);

	return !at->requests ||
	       at->requests + group->fault_count <= READ_ONCE(at->max_requests);
}

/*
 * Park a group that has to wait. -ESHUTDOWN: the attachment is dead; -ENOMEM; -ENOSPC: its devices
 * have as many requests waiting as they may.
 */
static int fault_park(struct iopf_attach *at, struct iopf_group *group, struct iopf_want *want,
		      struct iopf_timing *timing)
{
	struct iopf_slow *slow = slow_alloc(at);
	int ret = 0;

	if (!slow)
		return -ENOMEM;
	iopf_frozen_work_init(&slow->frozen, slow_work);
	iopf_job_init(&slow->job, slow_job, false);
	slow->pool = NULL;
	slow->queue = at->container->faults;
	slow->at = at;
	slow->group = group;
	slow->requests = group->fault_count;
	slow->state = SLOW_WAITING;
	slow->attempt = 0;
	slow->thawed = false;
	slow->want = *want;
	slow->served = (struct iopf_served){ };
	iopf_timing_wait(timing);
	slow->timing = *timing;
	slow->waits = IOPF_PHASE_QUEUEING;
	/* At worst one page is populated at a time. */
	slow->limit = MAX_ATTEMPTS + group->fault_count;

	spin_lock(&at->lock);
	if (at->dead) {
		ret = -ESHUTDOWN;
	} else if (!park_room(at, group)) {
		ret = -ENOSPC;
	} else {
		at->requests += slow->requests;
		list_add_tail(&slow->node, &at->waiting);
		refcount_inc(&at->refs);
		refcount_inc(&slow->queue->refs);
		/* The container's use of the module keeps it from going before this. */
		__module_get(THIS_MODULE);
		if (at->workers < READ_ONCE(at->max_workers) || iopf_broken(fair)) {
			at->workers++;
			slow_begin(slow);
		}
	}
	spin_unlock(&at->lock);
	if (ret)
		mempool_free(slow, at->reserve);
	return ret;
}

/* A fault that could not be handled in place. */
static noinline void fault_later(struct iopf_attach *at, struct iopf_device *d,
				 struct iopf_group *group, struct iopf_want *want,
				 struct iopf_timing *timing)
{
	int ret;

	iopf_device_count(d, IOPF_STAT_PARKED, 1);
	/* Nobody else may answer or free it once it is parked. */
	iopf_group_dequeue(group);
	ret = fault_park(at, group, want, timing);
	if (!ret)
		return;
	want_drop(want);
	if (ret != -ESHUTDOWN) {
		/* Nothing is lost: the device asks again. */
		iopf_device_count(d, IOPF_STAT_DEFERRED, 1);
		ret = 0;
	}
	fault_respond(d, group, fault_code(ret), timing);
}

/* The requests of a group, for the one place where every fault goes: most have one. */
static __always_inline int fault_in_place(struct iopf_attach *at, struct iopf_device *d,
					  struct iopf_group *group, struct iopf_want *want,
					  struct iopf_served *served, struct iopf_timing *timing)
{
	int ret;

	want->from = NULL;
	if (unlikely(group->fault_count > 1))
		return fault_group(at, d, group, want, served, timing);
	ret = fault_request(at->container, d, &group->last_fault.fault.prm, want, served, timing);
	if (unlikely(ret))
		want->from = &group->last_fault;
	return ret;
}

/*
 * Populate what is missing as long as that needs no waiting, and handle the fault again. What the
 * fault comes to then.
 */
static noinline int fault_populate(struct iopf_attach *at, struct iopf_device *d,
				   struct iopf_group *group, struct iopf_want *want,
				   struct iopf_served *served, struct iopf_timing *timing)
{
	unsigned int pages = 0;
	struct iopf_fault *from;
	int ret;

	do {
		struct iopf_served populated;

		if (!want_now(want))
			return -ENOENT;
		populated = want_served(want);
		from = want->from;
		pages += want->pages;
		want_drop(want);
		iopf_timing_lap(timing, IOPF_PHASE_POPULATE);
		ret = fault_group(at, d, group, want, served, timing);
		*served = populated;
		cond_resched();
	} while (ret == -ENOENT && want->from != from && pages < IN_PLACE_PAGES);
	return ret;
}

/**
 * iopf_fault_handler() - a device of ours has faulted
 * @group: the page request group, which this function answers and frees, now
 *         or later
 *
 * Context: the IOMMU driver's reporting context; may sleep for memory.
 * Return: 0: the core has nothing left to do.
 */
int iopf_fault_handler(struct iopf_group *group)
{
	struct iopf_attach *at = container_of(group->attach_handle, struct iopf_attach, handle);
	struct iopf_device *d = iopf_attach_device(at, group_dev(group));
	struct iopf_want want __uninitialized;
	struct iopf_served served __uninitialized;
	struct iopf_timing timing __uninitialized;
	bool ahead, stay;
	int ret, turn;

	iopf_timing_begin(&timing, d);
	turn = iopf_evictor_enter(at->container);
	want.pool = NULL;
	served.pages = 0;
	ret = -ESHUTDOWN;
	if (likely(!READ_ONCE(at->dead))) {
		ret = -EAGAIN;
		if (unlikely(!READ_ONCE(at->faulting)))
			ret = fault_filter(at, d, group);
		if (likely(ret == -EAGAIN))
			ret = fault_in_place(at, d, group, &want, &served, &timing);
	}
	if (ret == -ENOENT) {
		iopf_timing_lap(&timing, IOPF_PHASE_WALK);
		ret = fault_populate(at, d, group, &want, &served, &timing);
	}
	if (likely(!fault_must_wait(ret))) {
		want_drop(&want);
		/* After the answer nothing else keeps the attachment. */
		ahead = !ret && (served.pages || iopf_sample_counts(&timing));
		stay = (ahead || unlikely(turn >= 0)) && iopf_attach_enter(at);
		if (!stay)
			iopf_evictor_leave(at->container, turn);
		fault_respond(d, group, fault_code(ret), &timing);
		if (stay) {
			iopf_evictor_leave(at->container, turn);
			if (!ret && served.pages)
				iopf_ahead(at, d, &served);
			if (ahead)
				iopf_sample_handled(at->container, &timing);
			iopf_attach_leave(at);
		}
		return 0;
	}
	iopf_evictor_leave(at->container, turn);
	fault_later(at, d, group, &want, &timing);
	return 0;
}

/*
 * WAITING or PARKED -> CANCELLED: the group and the clock of one of them, for the caller to answer.
 * NULL: there is none left.
 */
static struct iopf_group *drain_one(struct iopf_attach *at, struct iopf_timing *timing)
{
	struct iopf_group *group;
	struct iopf_slow *slow;
	bool mine;

	spin_lock(&at->lock);
	slow = list_first_entry_or_null(list_empty(&at->waiting) ? &at->parked : &at->waiting,
					struct iopf_slow, node);
	if (!slow) {
		spin_unlock(&at->lock);
		return NULL;
	}
	mine = slow->state == SLOW_WAITING;
	list_del(&slow->node);
	WRITE_ONCE(slow->state, SLOW_CANCELLED);
	group = slow->group;
	slow->group = NULL;
	at->requests -= slow->requests;
	iopf_timing_lap(&slow->timing, slow->waits);
	*timing = slow->timing;
	/* After the change of the state, so that who looks up sees it. */
	if (slow->pool && iopf_pool_cancel(slow->pool, &slow->job)) {
		mine = true;
		at->workers--;
	}
	spin_unlock(&at->lock);
	/* What has a worker is freed by it. */
	if (mine)
		slow_free(slow);
	return group;
}

/**
 * iopf_fault_drain() - answer everything that is outstanding and take no more
 * @at: about to be detached
 *
 * When this returns, no worker touches a group, the container or a device of
 * the attachment, though some may still sleep in an mm.
 *
 * Context: process context; the caller has a reference, and holds the container.
 */
void iopf_fault_drain(struct iopf_attach *at)
{
	struct iopf_timing timing;
	struct iopf_group *group;

	spin_lock(&at->lock);
	WRITE_ONCE(at->dead, true);
	spin_unlock(&at->lock);

	while ((group = drain_one(at, &timing)))
		fault_respond(iopf_attach_device(at, group_dev(group)), group,
			      IOMMU_PAGE_RESP_INVALID, &timing);
	/* Those that waited for an area to thaw have nothing to wait for any more. */
	iopf_backlog_resume(at->container->faults);
	wait_event(at->idle, !READ_ONCE(at->active));
	/* The last active worker is out of the lock before anything is freed. */
	spin_lock(&at->lock);
	spin_unlock(&at->lock);
}
