// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page request groups, the device's side.
 *
 * Purpose: send page requests, wait for the responses, in the limits of the page request
 * interface: 512 group indices, and no more requests outstanding than the system allows.
 * A stalling device uses the same table; a group is then a stalled access, its index the
 * stall tag.
 *
 * Invariants:
 *  - A group index is in use from the sending of the group until its response, or until
 *    the device forgets all groups (reset, page requests disabled).
 *  - Each group has a tag that is never used again, and the response carries it. So a
 *    response that comes too late finds nobody, whatever its index is used for by then.
 *  - Who waits for a response stops waiting when the device is reset, disabled or about
 *    to go, and when it forgets its groups. The group then is an orphan: its index
 *    stays in use until the response comes.
 *
 * Locking: iopf_sim_device.lock.
 */
#include <linux/pci_regs.h>
#include <linux/sched/clock.h>

#include "device.h"

/* Where the device has no business: far above anything that gets mapped. */
#define ELSEWHERE	BIT_ULL(46)

/* How long to sleep before having another look at things nobody wakes for. */
#define LOOK_AGAIN	(HZ / 100 ?: 1)

/* Whether the current command must be given up. */
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
 * iopf_sim_engine_aborted() - whether the current command must be given up
 * @e: the engine
 *
 * Return: true after a reset, when the device was disabled or is going away.
 */
bool iopf_sim_engine_aborted(struct iopf_sim_engine *e)
{
	unsigned long irq;
	bool ret;

	raw_spin_lock_irqsave(&e->dev->lock, irq);
	ret = aborted(e);
	raw_spin_unlock_irqrestore(&e->dev->lock, irq);
	return ret;
}

/* A free group index, or IOPF_SIM_PRG_NONE. */
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

/* 0, a status, or -EAGAIN: too many requests outstanding. */
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

/* The first of a group goes astray, if a knob says so. */
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

/* Requests of a group that never ends, under an index that will be used again. */
static void send_headless(struct iopf_sim_engine *e, u64 addr, u32 perm)
{
	struct iopf_sim_sent nobody = { .prg = READ_ONCE(e->dev->group_hint) };

	set_request(e, 0, addr, perm, false, &nobody);
	set_request(e, 1, addr + PAGE_SIZE, perm, false, &nobody);
	iopf_sim_request_pages(e->req, 2);
}

/* The same group again and again, as if the device had not been told how many it may send. */
static void send_flood(struct iopf_sim_engine *e, u64 addr, u32 perm)
{
	struct iopf_sim_sent nobody = { .prg = READ_ONCE(e->dev->group_hint) };

	while (iopf_sim_knob_take(&e->dev->knobs.flood)) {
		set_request(e, 0, addr, perm, true, &nobody);
		iopf_sim_request_pages(e->req, 1);
		cond_resched();
	}
}

/* Requests of the group that is about to be sent, more than a group may have. */
static void send_long(struct iopf_sim_engine *e, u64 addr, u32 perm,
		      const struct iopf_sim_sent *sent)
{
	while (iopf_sim_knob_take(&e->dev->knobs.long_group)) {
		set_request(e, 0, addr, perm, false, sent);
		iopf_sim_request_pages(e->req, 1);
		cond_resched();
	}
}

/**
 * iopf_sim_prg_stop_marker() - send a stop marker
 * @e: the engine
 * @pasid: for this PASID
 *
 * Return: 0, or IOPF_SIM_ST_UNTRANSLATED if page requests are not enabled.
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
 * @e: the engine; the group is its last one in @e->sent then
 * @page: page addresses
 * @nr: how many, at most iopf_sim_prg_limit()
 * @perm: IOMMU_FAULT_PERM_* wanted
 *
 * May sleep. The response may have come when it returns.
 *
 * Return: 0; -EAGAIN if there are too many requests outstanding; a completion status.
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
	/* kinds of malformed groups take turns */
	if (iopf_sim_knob_take(&knobs->bad_group)) {
		twice = sent->tag & 1;
		if (!twice)
			send_headless(e, page[0], perm);
	}
	if (unlikely(READ_ONCE(knobs->flood)))
		send_flood(e, page[0], perm);
	if (unlikely(READ_ONCE(knobs->long_group)))
		send_long(e, page[0], perm, sent);
	for (i = 0; i < nr; i++)
		set_request(e, i, page[i], perm, i == nr - 1, sent);
	misdirect(e);
	/* From here on it is the host's time. */
	sent->time = local_clock();
	iopf_sim_request_pages(e->req, nr);
	if (unlikely(twice))
		iopf_sim_request_pages(e->req, nr);
	return 0;
}

/* Takes the answer of a group, if it has one or none will come. */
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
 * @sent: one of @e->sent; another one may be in its place then
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
		/* The response wakes us; a disabled device is only seen by looking. */
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
 * What they say is not looked at: an access that still misses asks again.
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
 * iopf_sim_prg_release() - wait for all groups under way
 * @e: the engine, whose command is at its end
 */
void iopf_sim_prg_release(struct iopf_sim_engine *e)
{
	while (e->nr_sent)
		iopf_sim_prg_wait(e, &e->sent[0]);
}

/**
 * iopf_sim_prg_limit() - the largest group the system allows
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
 * iopf_sim_prg_back_off() - requests cannot be sent now
 * @e: the engine
 *
 * Return: 0 after a while; IOPF_SIM_ST_ABORTED.
 */
int iopf_sim_prg_back_off(struct iopf_sim_engine *e)
{
	if (iopf_sim_engine_aborted(e))
		return IOPF_SIM_ST_ABORTED;
	schedule_timeout_idle(1);
	return 0;
}

/**
 * iopf_sim_prg_forget() - forget all groups
 * @dev: the device, locked; it was reset, or may not send page requests any more
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
 * iopf_sim_prg_answer() - a response has reached the device
 * @dev: the device, locked
 * @prg: group index
 * @tag: name of the group
 * @code: the answer
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
	/* A failure means that no request will ever be served: the device stops asking. */
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
	/* Who answers its own request is awake. */
	if (group->task != current || !in_task())
		wake_up_process(group->task);
}
