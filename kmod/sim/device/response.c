// SPDX-License-Identifier: GPL-2.0-only
/*
 * Responses on their way to the device.
 *
 * Purpose: take the IOMMU's responses. If knobs say so, lose, duplicate, delay or reorder them
 * before the device sees them.
 *
 * Invariants: a held response is delivered once, by its timer or by the response that overtakes it.
 * The delivery clears @pending. The timer frees the held response. The device is freed after all
 * its held responses.
 *
 * Locking: iopf_sim_device.lock. The IOMMU calls in atomic context or under a mutex.
 */
#include <linux/hrtimer.h>
#include <linux/slab.h>

#include "device.h"

/* A response that waits to be overtaken is delivered after this time at the latest. */
#define REORDER_NS	(2 * NSEC_PER_MSEC)
#define DELAY_MAX_US	(10 * USEC_PER_SEC)

/**
 * struct iopf_sim_held - a held response
 * @timer: delivers the response, unless another one has overtaken it, and frees it
 * @dev: the device
 * @prg: group index
 * @tag: name of the group
 * @code: the response code
 * @pending: the response has not been delivered yet
 */
struct iopf_sim_held {
	struct hrtimer timer;
	struct iopf_sim_device *dev;
	u32 prg;
	u64 tag;
	u32 code;
	bool pending;
};

static void deliver(struct iopf_sim_device *dev, u32 prg, u64 tag, u32 code)
{
	lockdep_assert_held(&dev->lock);
	iopf_sim_prg_answer(dev, prg, tag, code);
	if (iopf_sim_knob_take(&dev->knobs.resp_dup))
		iopf_sim_prg_answer(dev, prg, tag, code);
}

static void deliver_held(struct iopf_sim_held *held)
{
	struct iopf_sim_device *dev = held->dev;

	lockdep_assert_held(&dev->lock);
	if (!held->pending)
		return;
	held->pending = false;
	if (dev->reordered == held)
		dev->reordered = NULL;
	deliver(dev, held->prg, held->tag, held->code);
}

static enum hrtimer_restart held_timer(struct hrtimer *timer)
{
	struct iopf_sim_held *held = container_of(timer, struct iopf_sim_held, timer);
	struct iopf_sim_device *dev = held->dev;
	unsigned long irq;

	raw_spin_lock_irqsave(&dev->lock, irq);
	deliver_held(held);
	raw_spin_unlock_irqrestore(&dev->lock, irq);
	kfree(held);
	/* The device may be freed after this. */
	atomic_dec_return_release(&dev->held);
	return HRTIMER_NORESTART;
}

static struct iopf_sim_held *hold(struct iopf_sim_device *dev, u32 prg, u64 tag, u32 code)
{
	struct iopf_sim_held *held = kzalloc(sizeof(*held), GFP_ATOMIC);

	if (!held)
		return NULL;
	held->dev = dev;
	held->prg = prg;
	held->tag = tag;
	held->code = code;
	held->pending = true;
	hrtimer_init(&held->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_SOFT);
	held->timer.function = held_timer;
	atomic_inc(&dev->held);
	return held;
}

static void count(struct iopf_sim_device *dev, enum iommu_page_response_code code)
{
	switch (code) {
	case IOMMU_PAGE_RESP_SUCCESS:
		atomic64_inc(&dev->counters.responses_success);
		break;
	case IOMMU_PAGE_RESP_INVALID:
		atomic64_inc(&dev->counters.responses_invalid);
		break;
	default:
		atomic64_inc(&dev->counters.responses_failure);
	}
}

/* Handles a response while a knob is set. */
static noinline void respond_with_knobs(struct iopf_sim_device *dev, u32 prg, u64 tag, u32 code)
{
	struct iopf_sim_knobs *knobs = &dev->knobs;
	struct iopf_sim_held *held = NULL;
	u32 delay = min_t(u32, READ_ONCE(knobs->resp_delay_us), DELAY_MAX_US);
	bool reorder = false;
	unsigned long irq;
	u64 ns;

	if (READ_ONCE(knobs->resp_ignore))
		return;
	if (iopf_sim_knob_take(&knobs->resp_drop))
		return;
	if (!delay)
		reorder = iopf_sim_knob_take(&knobs->resp_reorder);
	if (delay || reorder)
		held = hold(dev, prg, tag, code);

	raw_spin_lock_irqsave(&dev->lock, irq);
	if (!held) {
		deliver(dev, prg, tag, code);
		if (dev->reordered)
			deliver_held(dev->reordered);
	} else if (reorder) {
		if (dev->reordered)
			deliver_held(dev->reordered);
		dev->reordered = held;
	}
	raw_spin_unlock_irqrestore(&dev->lock, irq);

	if (held) {
		ns = reorder ? REORDER_NS : (u64)delay * NSEC_PER_USEC;
		hrtimer_start(&held->timer, ns_to_ktime(ns), HRTIMER_MODE_REL_SOFT);
	}
}

/**
 * iopf_sim_response() - take the IOMMU's response to a page request group
 * @ep: the device
 * @prg: group index
 * @tag: name of the group
 * @code: the response code
 */
void iopf_sim_response(struct iopf_sim_endpoint *ep, u32 prg, u64 tag,
		       enum iommu_page_response_code code)
{
	struct iopf_sim_device *dev = to_sim_device(ep);
	const struct iopf_sim_knobs *knobs = &dev->knobs;
	unsigned long irq;

	count(dev, code);
	if (unlikely(READ_ONCE(knobs->resp_ignore) | READ_ONCE(knobs->resp_drop) |
		     READ_ONCE(knobs->resp_dup) | READ_ONCE(knobs->resp_delay_us) |
		     READ_ONCE(knobs->resp_reorder))) {
		respond_with_knobs(dev, prg, tag, code);
		return;
	}
	raw_spin_lock_irqsave(&dev->lock, irq);
	iopf_sim_prg_answer(dev, prg, tag, code);
	if (unlikely(dev->reordered))
		deliver_held(dev->reordered);
	raw_spin_unlock_irqrestore(&dev->lock, irq);
}

/**
 * iopf_sim_response_drain() - wait for the held responses
 * @dev: a device that gets no new responses
 */
void iopf_sim_response_drain(struct iopf_sim_device *dev)
{
	/* The acquire pairs with the release in held_timer(). */
	while (atomic_read_acquire(&dev->held))
		schedule_timeout_uninterruptible(1);
}
