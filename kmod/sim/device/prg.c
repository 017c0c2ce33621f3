// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page request groups, the device's side.
 *
 * Purpose: send page requests and wait for the responses, within the limits of PRI: 512 group
 * indices, and no more outstanding requests than the system allows. A stalling device uses the
 * same table. A group is then a stalled access, and its index is the stall tag.
 *
 * Invariants:
 *  - A group index is in use from the sending of the group until its response, or until the device
 *    forgets all groups (reset, page requests disabled).
 *  - Each group has a tag that is never used again, and the response carries it. So a late response
 *    matches no group, even if its index is in use again.
 *  - An engine stops waiting for a response when the device is reset, disabled or removed, or
 *    forgets its groups. The group then is an orphan: its index stays in use until the response
 *    comes.
 *
 * Locking: iopf_sim_device.lock.
 */
#include <linux/pci_regs.h>
#include <linux/sched/clock.h>

#include "device.h"

/* Bit that turns an address into one far above anything that is mapped. */
#define ELSEWHERE	BIT_ULL(46)

/* Time between two checks of conditions for which there is no wakeup. */
#define LOOK_AGAIN	(HZ / 100 ?: 1)

/* Returns whether the engine must abort the current command. */
static bool aborted(struct iopf_sim_engine *e)
{
	struct iopf_sim_device *dev = e->dev;

	lockdep_assert_held(&dev->lock);
	if (dev->epoch != e->epoch || dev->dead)
		return true;
	return dev->bar && dev->state == IOPF_SIM_READY &&
	       !(READ_ONCE(*(u32 *)(dev->bar + IOPF_SIM_REG_CTRL)) & IOPF_SIM_CTRL_ENABLE);
}

/**
 * engine_aborted() - whether the engine must abort the current command
 * @e: the engine
 *
 * Return: true after a reset, after a disable, or if the device is being removed.
 */
static bool engine_aborted(struct iopf_sim_engine *e)
{
	unsigned long irq;
	bool ret;

	raw_spin_lock_irqsave(&e->dev->lock, irq);
	ret = aborted(e);
	raw_spin_unlock_irqrestore(&e->dev->lock, irq);
	return ret;
}

/* Returns a free group index, or IOPF_SIM_PRG_NONE. */
static u32 find_free(struct iopf_sim_device *dev)
{
	u32 i, prg = dev->group_hint;

	lockdep_assert_held(&dev->lock);
	for (i = 0; i < IOPF_SIM_PRG_COUNT; i++) {
		if (dev->group[prg].state == IOPF_SIM_GROUP_FREE) {
			dev->group_hint = (prg + 1) % IOPF_SIM_PRG_COUNT;
			return prg;
		}
		prg = (prg + 1) % IOPF_SIM_PRG_COUNT;
	}
	return IOPF_SIM_PRG_NONE;
}

/* Returns 0, a status, or -EAGAIN if too many requests are outstanding. */
static int open_group(struct iopf_sim_engine *e, u32 nr, struct iopf_sim_sent *sent)
{
	struct iopf_sim_device *dev = e->dev;
	struct iopf_sim_group *group;
	unsigned long irq;
	int st = 0;

	raw_spin_lock_irqsave(&dev->lock, irq);
	if (dev->epoch != e->epoch) {
		st = IOPF_SIM_ST_ABORTED;
		goto out;
	}
	if (!iopf_sim_config_pri(dev)) {
		st = IOPF_SIM_ST_UNTRANSLATED;
		goto out;
	}
	sent->prg = IOPF_SIM_PRG_NONE;
	if (dev->requests_out + nr <= iopf_sim_config_pri_limit(dev))
		sent->prg = find_free(dev);
	if (sent->prg == IOPF_SIM_PRG_NONE) {
		st = aborted(e) ? IOPF_SIM_ST_ABORTED : -EAGAIN;
		goto out;
	}
	sent->tag = ++dev->tag;
	sent->nr = nr;
	dev->requests_out += nr;
	group = &dev->group[sent->prg];
	group->state = IOPF_SIM_GROUP_SENT;
	group->tag = sent->tag;
	group->pages = nr;
	group->task = current;
out:
	raw_spin_unlock_irqrestore(&dev->lock, irq);
	return st;
}

static void close_group(struct iopf_sim_group *group)
{
	group->state = IOPF_SIM_GROUP_FREE;
	group->tag = 0;
	group->task = NULL;
}

static void set_request(struct iopf_sim_engine *e, u32 i, u64 addr, u32 perm, bool last,
			const struct iopf_sim_sent *sent)
{
	e->req[i] = (struct iopf_sim_request) {
		.ep = &e->dev->ep,
		.addr = addr,
		.perm = perm,
		.last = last,
		.prg = sent->prg,
		.tag = sent->tag,
	};
}

/* Corrupts the first request of a group if a knob says so. */
static void misdirect(struct iopf_sim_engine *e)
{
	struct iopf_sim_knobs *knobs = &e->dev->knobs;

	if (iopf_sim_knob_take(&knobs->bad_range))
		e->req[0].addr ^= ELSEWHERE;
	if (iopf_sim_knob_take(&knobs->bad_perm))
		e->req[0].perm = e->req[0].perm & IOMMU_FAULT_PERM_WRITE ?
			IOMMU_FAULT_PERM_READ | IOMMU_FAULT_PERM_EXEC :
			IOMMU_FAULT_PERM_READ | IOMMU_FAULT_PERM_WRITE;
}

/* Sends requests of a group without a last one. Another group will use the same index. */
static void send_headless(struct iopf_sim_engine *e, u64 addr, u32 perm)
{
	struct iopf_sim_sent nobody = { .prg = READ_ONCE(e->dev->group_hint) };

	set_request(e, 0, addr, perm, false, &nobody);
	set_request(e, 1, addr + PAGE_SIZE, perm, false, &nobody);
	iopf_sim_request_pages(e->req, 2);
}

/* Sends the same group many times, as if the device did not know its limit. */
static void send_extra_groups(struct iopf_sim_engine *e, u64 addr, u32 perm)
{
	struct iopf_sim_sent nobody = { .prg = READ_ONCE(e->dev->group_hint) };

	while (iopf_sim_knob_take(&e->dev->knobs.extra_groups)) {
		set_request(e, 0, addr, perm, true, &nobody);
		iopf_sim_request_pages(e->req, 1);
		cond_resched();
	}
}

/* Sends additional requests of a group that is about to be sent. */
static void send_extra_requests(struct iopf_sim_engine *e, u64 addr, u32 perm,
				const struct iopf_sim_sent *sent)
{
	while (iopf_sim_knob_take(&e->dev->knobs.extra_requests)) {
		set_request(e, 0, addr, perm, false, sent);
		iopf_sim_request_pages(e->req, 1);
		cond_resched();
	}
}

/**
 * iopf_sim_prg_stop_marker() - send a stop marker
 * @e: the engine
 * @pasid: the PASID
 *
 * Return: 0, or IOPF_SIM_ST_UNTRANSLATED if page requests are disabled.
 */
int iopf_sim_prg_stop_marker(struct iopf_sim_engine *e, u32 pasid)
{
	struct iopf_sim_sent nobody = {};
	unsigned long irq;
	bool pri;

	raw_spin_lock_irqsave(&e->dev->lock, irq);
	pri = iopf_sim_config_pri(e->dev);
	raw_spin_unlock_irqrestore(&e->dev->lock, irq);
	if (!pri)
		return IOPF_SIM_ST_UNTRANSLATED;
	set_request(e, 0, 0, 0, true, &nobody);
	e->req[0].pasid = pasid;
	iopf_sim_request_pages(e->req, 1);
	return 0;
}

/**
 * iopf_sim_prg_send() - send a page request group
 * @e: the engine. On success the group is the last one in @e->sent.
 * @page: page addresses
 * @nr: number of pages, at most iopf_sim_prg_limit()
 * @perm: IOMMU_FAULT_PERM_* to request
 *
 * May sleep. The response may come before it returns.
 *
 * Return: 0; -EAGAIN if too many requests are outstanding; a completion status.
 */
int iopf_sim_prg_send(struct iopf_sim_engine *e, const u64 *page, u32 nr, u32 perm)
{
	struct iopf_sim_knobs *knobs = &e->dev->knobs;
	struct iopf_sim_sent *sent = &e->sent[e->nr_sent];
	bool twice = false;
	u32 i;
	int st;

	st = open_group(e, nr, sent);
	if (st)
		return st;
	e->nr_sent++;
	memcpy(sent->page, page, array_size(nr, sizeof(*page)));
	e->cpl.faults++;
	e->cpl.pages += nr;
	atomic64_inc(&e->dev->counters.groups);
	atomic64_add(nr, &e->dev->counters.requests);

	if (iopf_sim_knob_take(&knobs->stop_marker))
		iopf_sim_prg_stop_marker(e, 0);
	/* The two kinds of malformed groups alternate. */
	if (iopf_sim_knob_take(&knobs->bad_group)) {
		twice = sent->tag & 1;
		if (!twice)
			send_headless(e, page[0], perm);
	}
	if (unlikely(READ_ONCE(knobs->extra_groups)))
		send_extra_groups(e, page[0], perm);
	if (unlikely(READ_ONCE(knobs->extra_requests)))
		send_extra_requests(e, page[0], perm, sent);
	for (i = 0; i < nr; i++)
		set_request(e, i, page[i], perm, i == nr - 1, sent);
	misdirect(e);
	/* The measured time starts here. */
	sent->time = local_clock();
	iopf_sim_request_pages(e->req, nr);
	if (unlikely(twice))
		iopf_sim_request_pages(e->req, nr);
	return 0;
}

/* Takes the response of a group. Returns true if it came, or if the engine must not wait for it. */
static bool take(struct iopf_sim_engine *e, struct iopf_sim_sent *sent, int *st)
{
	struct iopf_sim_device *dev = e->dev;
	struct iopf_sim_group *group = &dev->group[sent->prg];
	u64 ns;

	lockdep_assert_held(&dev->lock);
	if (group->tag != sent->tag) {
		*st = dev->epoch != e->epoch ? IOPF_SIM_ST_ABORTED : IOPF_SIM_ST_UNTRANSLATED;
		return true;
	}
	if (group->state == IOPF_SIM_GROUP_ANSWERED) {
		ns = group->answered - sent->time;
		e->cpl.fault_ns += ns;
		e->cpl.fault_ns_max = max_t(u64, e->cpl.fault_ns_max, ns);
		switch (group->code) {
		case IOMMU_PAGE_RESP_SUCCESS:
			*st = 0;
			break;
		case IOMMU_PAGE_RESP_INVALID:
			*st = IOPF_SIM_ST_INVALID;
			break;
		default:
			*st = IOPF_SIM_ST_FAILURE;
		}
		close_group(group);
		return true;
	}
	if (aborted(e)) {
		group->state = IOPF_SIM_GROUP_ORPHAN;
		group->task = NULL;
		*st = IOPF_SIM_ST_ABORTED;
		return true;
	}
	return false;
}

static void strike(struct iopf_sim_engine *e, struct iopf_sim_sent *sent)
{
	struct iopf_sim_sent *end = &e->sent[--e->nr_sent];

	if (sent != end)
		memcpy(sent, end, offsetof(struct iopf_sim_sent, page[end->nr]));
}

/**
 * iopf_sim_prg_wait() - wait for the response to a group
 * @e: the engine
 * @sent: one of @e->sent. On return, another group may be in its place.
 *
 * Return: 0 for success; a completion status.
 */
int iopf_sim_prg_wait(struct iopf_sim_engine *e, struct iopf_sim_sent *sent)
{
	unsigned long irq;
	bool done;
	int st;

	for (;;) {
		set_current_state(TASK_IDLE);
		raw_spin_lock_irqsave(&e->dev->lock, irq);
		done = take(e, sent, &st);
		raw_spin_unlock_irqrestore(&e->dev->lock, irq);
		if (done)
			break;
		/* The response wakes the engine. A disable does not, so check now and then. */
		schedule_timeout(LOOK_AGAIN);
	}
	__set_current_state(TASK_RUNNING);
	strike(e, sent);
	return st;
}

/**
 * iopf_sim_prg_reap() - take the responses that have come
 * @e: the engine
 *
 * Ignores their codes: an access that still misses sends a new request.
 */
void iopf_sim_prg_reap(struct iopf_sim_engine *e)
{
	unsigned long irq;
	u32 i = e->nr_sent;
	int st;

	raw_spin_lock_irqsave(&e->dev->lock, irq);
	while (i--)
		if (take(e, &e->sent[i], &st))
			strike(e, &e->sent[i]);
	raw_spin_unlock_irqrestore(&e->dev->lock, irq);
}

/**
 * iopf_sim_prg_release() - wait for all outstanding groups
 * @e: the engine, at the end of its command
 */
void iopf_sim_prg_release(struct iopf_sim_engine *e)
{
	while (e->nr_sent)
		iopf_sim_prg_wait(e, &e->sent[0]);
}

/**
 * iopf_sim_prg_limit() - the largest group that the system allows
 * @e: the engine
 *
 * Return: requests in a group, at least 1.
 */
u32 iopf_sim_prg_limit(struct iopf_sim_engine *e)
{
	unsigned long irq;
	u32 limit;

	if (e->dev->ep.stall)
		return 1;
	raw_spin_lock_irqsave(&e->dev->lock, irq);
	limit = iopf_sim_config_pri_limit(e->dev);
	raw_spin_unlock_irqrestore(&e->dev->lock, irq);
	return clamp_t(u32, limit, 1, IOPF_SIM_MAX_PRG_PAGES);
}

/**
 * iopf_sim_prg_back_off() - wait, since requests cannot be sent now
 * @e: the engine
 *
 * Return: 0 after a tick; IOPF_SIM_ST_ABORTED.
 */
int iopf_sim_prg_back_off(struct iopf_sim_engine *e)
{
	if (engine_aborted(e))
		return IOPF_SIM_ST_ABORTED;
	schedule_timeout_idle(1);
	return 0;
}

/**
 * iopf_sim_prg_forget() - forget all groups, after a reset or a disable of page requests
 * @dev: the device, locked
 */
void iopf_sim_prg_forget(struct iopf_sim_device *dev)
{
	u32 i;

	lockdep_assert_held(&dev->lock);
	for (i = 0; i < IOPF_SIM_PRG_COUNT; i++) {
		struct iopf_sim_group *group = &dev->group[i];

		if (group->task)
			wake_up_process(group->task);
		close_group(group);
	}
	dev->requests_out = 0;
}

/**
 * iopf_sim_prg_answer() - deliver a response to the device
 * @dev: the device, locked
 * @prg: group index
 * @tag: name of the group
 * @code: the response code
 */
void iopf_sim_prg_answer(struct iopf_sim_device *dev, u32 prg, u64 tag, u32 code)
{
	struct iopf_sim_group *group = &dev->group[prg % IOPF_SIM_PRG_COUNT];

	lockdep_assert_held(&dev->lock);
	if (group->tag != tag || !tag ||
	    (group->state != IOPF_SIM_GROUP_SENT && group->state != IOPF_SIM_GROUP_ORPHAN)) {
		atomic64_inc(&dev->counters.responses_unexpected);
		iopf_sim_config_pri_status(dev, PCI_PRI_STATUS_UPRGI);
		return;
	}
	/* "Response failure" means that no request will be served. The device stops asking. */
	if (code == IOMMU_PAGE_RESP_FAILURE)
		iopf_sim_config_pri_status(dev, PCI_PRI_STATUS_RF);

	dev->requests_out -= group->pages;
	if (group->state == IOPF_SIM_GROUP_ORPHAN) {
		close_group(group);
		return;
	}
	group->state = IOPF_SIM_GROUP_ANSWERED;
	group->code = code;
	group->answered = local_clock();
	/* An engine that answers its own request is awake. */
	if (group->task != current || !in_task())
		wake_up_process(group->task);
}
