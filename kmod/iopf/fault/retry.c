// SPDX-License-Identifier: GPL-2.0-only
/*
 * The work of a worker for a fault that has to wait. The worker waits and retries until it can
 * answer the fault. While it waits, it holds nothing of the container.
 *
 * The states of such a fault, and the races, are in parked.c.
 */
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/iommu.h>
#include <linux/sched/mm.h>

#include "../budget/budget.h"
#include "../device/device.h"
#include "../host/mm.h"
#include "../lib/backlog.h"
#include "../map/space.h"
#include "answer.h"
#include "group.h"
#include "parked.h"
#include "prefetch.h"
#include "queue.h"
#include "request.h"
#include "want.h"

/*
 * Populate the wanted pages, or wait for a moment, and hold nothing of the container. Returns
 * -EINTR if the thread has to handle signals first, and then to call again.
 */
static int parked_wait(struct iopf_parked *parked)
{
	struct iopf_backlog *q = parked->queue;
	struct mem_cgroup *old;
	unsigned long page;
	int ret;

	if (READ_ONCE(parked->state) == FAULT_CANCELLED)
		return 0;
	if (parked->want.pool) {
		struct iopf_want *want = &parked->want;

		ret = iopf_mm_populate(want->pool->mm, want->vaddr, want->pages, want->write,
				       &want->seen);
		if (ret == -EINTR)
			return ret;
		if (!ret)
			parked->served = iopf_want_served(want);
		iopf_want_drop(&parked->want);
		if (ret != -ENOMEM && ret != -EAGAIN)
			return ret;
	} else if (parked->thawed) {
		parked->thawed = false;
		return 0;
	}
	/*
	 * An invalidation, or a lack of memory: start reclaim by an allocation, and give it time.
	 */
	old = set_active_memcg(q->memcg);
	page = __get_free_page(GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	set_active_memcg(old);
	free_page(page);
	usleep_range(20, 20 + 50 * parked->attempt);
	return 0;
}

/* Answer a fault that is ACTIVE, then prefetch. */
static void parked_answer(struct iopf_parked *parked, struct iopf_device *d, int ret, int turn)
{
	struct iopf_fault_queue *fq = parked->fq;

	iopf_fault_respond(d, parked->group, fault_code(ret), &parked->timing);
	iopf_space_leave(fq->space, turn);
	if (!ret && parked->served.pages)
		iopf_prefetch(fq, d, &parked->served);
	iopf_parked_over(parked);
}

/* Try a fault that is ACTIVE once. PARKED_NOWHERE: it has been answered. */
static enum parked_next parked_try(struct iopf_parked *parked, int waited)
{
	struct iopf_fault_queue *fq = parked->fq;
	struct iopf_device *d = iopf_group_device(fq, parked->group);
	struct iopf_served served = {};
	enum parked_next next;
	int ret, turn;

	if (waited)
		iopf_fault_complain(d, &parked->group->last_fault.fault.prm,
				    waited == -ESRCH ? "is memory of a process that is gone" :
						       "has no memory behind it");
	/* Read before the lookup of the area. Pairs with iopf_backlog_resume(). */
	parked->resumes = iopf_backlog_resumes(parked->queue);
	turn = iopf_space_enter(fq->space);
	ret = waited ?:
		       iopf_fault_group(fq, d, parked->group, &parked->want, &served,
					&parked->timing);
	/* Nothing was populated: the fault waited for an invalidation or for an area to thaw. */
	if (!ret && !parked->served.pages)
		parked->served = served;
	if (fault_must_wait(ret)) {
		iopf_space_leave(fq->space, turn);
		turn = -1;
	}
	if (unlikely(ret == -EDQUOT))
		iopf_evictor_make_room(fq->space->evictor, 1);
	if (ret == -EAGAIN) {
		iopf_want_drop(&parked->want);
		parked->attempt = 0;
		next = iopf_parked_again(parked, true);
		if (next != PARKED_NOWHERE)
			return next;
	}
	if (fault_must_wait(ret) && !waited) {
		if (ret != -ENOENT)
			iopf_device_count(d, IOPF_STAT_RETRIES, 1);
		if (parked->attempt++ < parked->limit) {
			next = iopf_parked_again(parked, false);
			if (next != PARKED_NOWHERE)
				return next;
		}
		iopf_device_count(d, IOPF_STAT_RETRIES_EXHAUSTED, 1);
		parked->served.pages = 0;
		ret = 0;
	}
	parked_answer(parked, d, ret, turn);
	return PARKED_NOWHERE;
}

/* Run a worker for a fault. Returns true if the thread has to call again, see struct iopf_job. */
bool iopf_parked_run(struct iopf_parked *parked)
{
	struct iopf_fault_queue *fq = parked->fq;
	enum parked_next next = PARKED_NOWHERE;
	int waited;

	iopf_parked_start(parked);
	do {
		waited = parked_wait(parked);
		if (waited == -EINTR)
			return true;
		if (!iopf_parked_activate(parked))
			break;
		next = parked_try(parked, waited);
	} while (next == PARKED_HERE);
	if (next == PARKED_ELSEWHERE)
		return false;
	iopf_fault_coalesce(fq);
	iopf_parked_worker_done(fq);
	iopf_parked_free(parked);
	return false;
}
