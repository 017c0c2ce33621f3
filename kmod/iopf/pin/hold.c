// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds: ranges of areas that are kept pinned while devices fault in the rest.
 *
 * A page is pinned if and only if something covers it:
 *
 *  - a hold: user space, a kernel driver, a device's declared window, or the budget wants it;
 *  - the policy of its range is to pin (policy.c);
 *  - a group that can't fault, or may not, is attached (iopf_area.pinned).
 *
 * (One exception: what was pinned as a leaf of 2 MiB stays as long as any page of it is covered. To
 * take a page out the whole leaf would have to be unmapped for a moment, and devices that can't
 * fault may be using the others.)
 *
 * They know nothing of each other and may overlap. Who comes finds all pinned, or has it pinned and
 * comes again (iopf_pin_run()); who goes has what nobody else covers unpinned. So coming is all or
 * nothing, too: should it fail, what nobody covers (without the one who came) is unpinned. Nothing
 * is covered in a space without a real device, for there is no domain that could know the
 * pages; see vfio/domain.c.
 *
 * A hold lies in one area and goes with it. What is wanted of several areas are several holds of
 * the same owner. Windows and what mediators want are wanted whatever is mapped, so who maps
 * something there has it held before it is mapped: iopf_mediate_area().
 *
 * hold vs fault: map/chunk.c; a page is declared pinned under the chunk's lock before it is
 *   replaced, and a fault that meets it is told to go on. What is not held in the same 2 MiB is
 *   faulted in again if a leaf went for the part.
 * hold vs 1 GiB leaves: an area has none while any part of it is held.
 * hold vs invalidation: pinned pages stay. Devices' memory goes and is mapped again; see mmio.c.
 * hold vs unexpected faults: a fault in a guarded range maps nothing (see fault/group.c). Faults
 *   look it up under iopf_holds.lock, a leaf; the tree is changed under that and the space's lock.
 *   The hold enters the tree when all of it is pinned.
 *
 * Locking: the space's.
 */
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vfio_iopf.h>

#include "../map/area.h"
#include "../map/chunk.h"
#include "../map/span.h"
#include "charge.h"
#include "hold.h"
#include "pin.h"
#include "pins.h"
#include "policy.h"

static struct iopf_hold *hold_first(struct iopf_space *space, u64 first, u64 last)
{
	struct interval_tree_node *node =
		interval_tree_iter_first(&space->pins->holds.tree, first, last);

	return node ? container_of(node, struct iopf_hold, node) : NULL;
}

static struct iopf_hold *hold_next(struct iopf_hold *hold, u64 first, u64 last)
{
	struct interval_tree_node *node = interval_tree_iter_next(&hold->node, first, last);

	return node ? container_of(node, struct iopf_hold, node) : NULL;
}

static void hold_insert(struct iopf_space *space, struct iopf_hold *hold)
{
	spin_lock(&space->pins->holds.lock);
	interval_tree_insert(&hold->node, &space->pins->holds.tree);
	WRITE_ONCE(space->pins->holds.guards,
		   space->pins->holds.guards + iopf_hold_guards(hold->kind));
	space->pins->holds.locks += hold->kind == IOPF_HOLD_LOCK;
	spin_unlock(&space->pins->holds.lock);
}

static void hold_delete(struct iopf_space *space, struct iopf_hold *hold)
{
	spin_lock(&space->pins->holds.lock);
	interval_tree_remove(&hold->node, &space->pins->holds.tree);
	WRITE_ONCE(space->pins->holds.guards,
		   space->pins->holds.guards - iopf_hold_guards(hold->kind));
	space->pins->holds.locks -= hold->kind == IOPF_HOLD_LOCK;
	spin_unlock(&space->pins->holds.lock);
	kfree(hold);
}

/**
 * iopf_hold_covers() - whether a page is to be pinned
 * @area: the area
 * @iova: an address in it
 * @last: out: up to here all is as there, if not further
 */
bool iopf_hold_covers(struct iopf_area *area, u64 iova, u64 *last)
{
	struct iopf_space *space = area->space;
	struct iopf_hold *hold;

	lockdep_assert_held(&space->lock);

	*last = area->range.last;
	if (!space->groups)
		return false;
	if (area->pinned || iopf_policy_at(space, iova, last) == IOPF_POLICY_PIN)
		return true;
	hold = hold_first(space, iova, *last);
	if (!hold)
		return false;
	/* The first is the one that begins first. */
	if (hold->node.start > iova) {
		*last = hold->node.start - 1;
		return false;
	}
	*last = hold->node.last;
	return true;
}

/*
 * Whether anything is to be pinned of an area. What is to be pinned is, but for devices' memory
 * that has been revoked: that is looked for.
 */
static bool area_held(struct iopf_area *area)
{
	u64 at = area->range.first, last;

	if (atomic_long_read(&area->pinned_pages))
		return true;
	while (READ_ONCE(area->mmio)) {
		cond_resched();
		if (iopf_hold_covers(area, at, &last))
			return true;
		if (last == area->range.last)
			return false;
		at = last + 1;
	}
	return false;
}

/**
 * iopf_hold_fill() - pin what is to be pinned of a part of an area, and is not
 * @area: the area
 * @range: within it
 *
 * Return: 0, or the error of iopf_pin_require(): then the caller takes back what it wanted, and
 * calls iopf_hold_drain().
 */
int iopf_hold_fill(struct iopf_area *area, const struct iopf_range *range)
{
	struct iopf_range part = { .first = range->first };
	int ret;

	for (;;) {
		bool covered = iopf_hold_covers(area, part.first, &part.last);

		part.last = min(part.last, range->last);
		if (covered) {
			ret = iopf_pin_require(area, &part);
			if (ret)
				return ret;
		}
		if (part.last == range->last)
			return 0;
		part.first = part.last + 1;
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
	}
}

/* The next range from @at to @last that nobody wants pinned, as long as it goes. */
static bool next_uncovered(struct iopf_area *area, u64 at, u64 last, struct iopf_range *range)
{
	bool any = false;

	for (;;) {
		u64 until;
		bool covered = iopf_hold_covers(area, at, &until);

		until = min(until, last);
		if (!covered) {
			if (!any)
				range->first = at;
			range->last = until;
			any = true;
		}
		if (until == last || (covered && any))
			return any;
		at = until + 1;
		cond_resched();
	}
}

/**
 * iopf_hold_drain() - unpin what nobody wants pinned of a part of an area
 * @area: the area
 * @range: within it
 */
void iopf_hold_drain(struct iopf_area *area, const struct iopf_range *range)
{
	/* Whole chunks: what is covered no more may have kept the rest of one. */
	u64 at = max(range->first & ~(u64)(IOPF_CHUNK_SIZE - 1), area->range.first);
	u64 last = min(range->last | (IOPF_CHUNK_SIZE - 1), area->range.last);
	struct iopf_range part;

	/* Nothing has been pinned of it, or who pins does this at the end. */
	if (area->space->pins->pinning)
		area->space->pins->undrained = true;
	if (!area->no_spans || area->space->pins->pinning)
		return;
	while (next_uncovered(area, at, last, &part)) {
		iopf_pin_drop(area, &part);
		if (part.last == last)
			break;
		at = part.last + 1;
	}
	if (!area_held(area)) {
		WRITE_ONCE(area->mmio, false);
		iopf_spans_allow(area);
	}
}

/**
 * iopf_hold_fill_all() - pin what is to be pinned, and is not
 * @space: the space, locked
 *
 * Return: as iopf_hold_fill().
 */
int iopf_hold_fill_all(struct iopf_space *space)
{
	unsigned long index = 0;
	struct iopf_area *area;
	int ret = 0;

	lockdep_assert_held(&space->lock);

	area = NULL;
	while ((area = iopf_space_next_area(space, area, &index, ULONG_MAX))) {
		ret = iopf_hold_fill(area, &area->range);
		if (ret)
			break;
	}
	/* Where no range has a policy of its own, this holds for all of the others, too. */
	if (ret == -EAGAIN && mtree_empty(&space->pins->policies.tree))
		space->pins->missing.last = U64_MAX;
	return ret;
}

/**
 * iopf_hold_drain_all() - unpin what nobody wants pinned
 * @space: the space, locked
 */
void iopf_hold_drain_all(struct iopf_space *space)
{
	unsigned long index = 0;
	struct iopf_area *area;

	lockdep_assert_held(&space->lock);

	area = NULL;
	while ((area = iopf_space_next_area(space, area, &index, ULONG_MAX)))
		iopf_hold_drain(area, &area->range);
}

/**
 * iopf_hold_area() - pin all of an area, for a group that can't fault
 * @area: not pinned so
 *
 * Return: 0, or the error of iopf_pin_require() and nothing has changed.
 */
int iopf_hold_area(struct iopf_area *area)
{
	int ret = iopf_pin_require(area, &area->range);

	if (ret)
		iopf_hold_drain(area, &area->range);
	else
		area->pinned = true;
	return ret;
}

/**
 * iopf_hold_area_undo() - no such group is left
 * @area: pinned by iopf_hold_area()
 */
void iopf_hold_area_undo(struct iopf_area *area)
{
	area->pinned = false;
	iopf_hold_drain(area, &area->range);
}

/**
 * iopf_hold_area_end() - let go of all that is held of an area, for good
 * @area: on its way out
 */
void iopf_hold_area_end(struct iopf_area *area)
{
	struct iopf_space *space = area->space;
	struct iopf_hold *hold;

	lockdep_assert_held(&space->lock);

	while ((hold = hold_first(space, area->range.first, area->range.last))) {
		hold_delete(space, hold);
		cond_resched();
	}
	iopf_policy_forget(space, &area->range);
	area->pinned = false;
	if (area->no_spans)
		iopf_pin_drop(area, &area->range);
	/* Should pages have counted then that do not now. */
	iopf_pin_uncharge(area, area->locked);
}

/**
 * iopf_hold_add_area() - hold what lies in an area of a range
 * @area: the area, published or not
 * @range: made to be of whole pages
 * @kind: who wants it
 * @owner: who of that kind
 *
 * Return: as iopf_hold_add().
 */
int iopf_hold_add_area(struct iopf_area *area, const struct iopf_range *range,
		       enum iopf_hold_kind kind, u64 owner)
{
	struct iopf_range part, whole = iopf_range_pages(range);
	struct iopf_space *space = area->space;
	struct iopf_hold *hold;
	int ret = 0;

	lockdep_assert_held(&space->lock);

	if (!iopf_range_intersect(&part, &area->range, &whole))
		return 0;
	/* A lock of many areas is as many holds. */
	if (kind == IOPF_HOLD_LOCK && space->pins->holds.locks >= VFIO_IOPF_LOCKS_MAX)
		return -ENOSPC;
	hold = kzalloc(sizeof(*hold), GFP_KERNEL_ACCOUNT);
	if (!hold)
		return -ENOMEM;
	hold->node.start = part.first;
	hold->node.last = part.last;
	hold->kind = kind;
	hold->owner = owner;
	/* Otherwise it waits for a domain. */
	if (space->groups)
		ret = iopf_pin_require(area, &part);
	if (ret) {
		iopf_hold_drain(area, &part);
		kfree(hold);
		return ret;
	}
	hold_insert(space, hold);
	return 0;
}

/**
 * iopf_hold_add() - hold what is mapped of a range
 * @space: the space, locked
 * @range: made to be of whole pages; where no area is, nothing is held
 * @kind: who wants it
 * @owner: who of that kind; it holds nothing of @range yet
 *
 * Context: process context; may wait for a disk or user space.
 * Return: 0 with all of it resident, pinned and charged; or the error of iopf_pin_require() or
 * -ENOMEM, and nothing has changed.
 */
int iopf_hold_add(struct iopf_space *space, const struct iopf_range *range,
		  enum iopf_hold_kind kind, u64 owner)
{
	struct iopf_range whole = iopf_range_pages(range);
	unsigned long index = whole.first;
	struct iopf_area *area;
	int ret;

	lockdep_assert_held(&space->lock);

	area = NULL;
	while ((area = iopf_space_next_area(space, area, &index, whole.last))) {
		ret = iopf_hold_add_area(area, &whole, kind, owner);
		if (ret) {
			space->pins->missing.last = whole.last;
			iopf_hold_remove(space, range, kind, owner);
			return ret;
		}
	}
	return 0;
}

/**
 * iopf_hold_remove() - undo iopf_hold_add()
 * @space: the space, locked
 * @range: what is held of it by this owner goes; the holds lie in it as a whole
 * @kind: who wanted it
 * @owner: who of that kind
 *
 * Return: whether there was any.
 */
bool iopf_hold_remove(struct iopf_space *space, const struct iopf_range *range,
		      enum iopf_hold_kind kind, u64 owner)
{
	struct iopf_range whole = iopf_range_pages(range);
	struct iopf_hold *hold, *next;
	bool any = false;

	lockdep_assert_held(&space->lock);

	for (hold = hold_first(space, whole.first, whole.last); hold; hold = next) {
		struct iopf_range part = { .first = hold->node.start, .last = hold->node.last };

		cond_resched();
		next = hold_next(hold, whole.first, whole.last);
		if (hold->kind != kind || hold->owner != owner)
			continue;
		hold_delete(space, hold);
		iopf_hold_drain(mtree_load(&space->areas, part.first), &part);
		any = true;
	}
	return any;
}

/**
 * iopf_hold_area_renew() - what windows and mediators want held of an area is about to be said anew
 * @area: the area
 */
void iopf_hold_area_renew(struct iopf_area *area)
{
	struct iopf_space *space = area->space;
	u64 first = area->range.first, last = area->range.last;
	struct iopf_hold *hold, *next;

	lockdep_assert_held(&space->lock);

	for (hold = hold_first(space, first, last); hold; hold = next) {
		next = hold_next(hold, first, last);
		if (hold->kind == IOPF_HOLD_WINDOW || hold->kind == IOPF_HOLD_MEDIATOR)
			hold_delete(space, hold);
	}
}

/**
 * iopf_hold_guarded() - whether devices don't fault at an address
 * @space: the space
 * @iova: the address
 *
 * Context: any that may take a spinlock.
 */
bool iopf_hold_guarded(struct iopf_space *space, u64 iova)
{
	struct iopf_hold *hold;
	bool guarded = false;

	if (!READ_ONCE(space->pins->holds.guards))
		return false;
	spin_lock(&space->pins->holds.lock);
	for (hold = hold_first(space, iova, iova); hold && !guarded;
	     hold = hold_next(hold, iova, iova))
		guarded = iopf_hold_guards(hold->kind);
	spin_unlock(&space->pins->holds.lock);
	return guarded;
}
