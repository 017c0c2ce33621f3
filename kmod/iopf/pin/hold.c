// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds: ranges of areas that are kept pinned while devices fault in the rest.
 *
 * A page is pinned if and only if it is covered, that is, if there is one of these reasons:
 *
 *  - a hold: of user space, of a kernel driver, of a device's window, or of the budget;
 *  - the policy of its range is to pin (policy.c);
 *  - a group that can't or may not fault is attached (iopf_area.pinned).
 *
 * (One exception: pages that were pinned as a leaf of 2 MiB stay pinned as long as any of them is
 * covered. To unpin one page, the whole leaf would have to be unmapped for a moment, and devices
 * that can't fault may use the other pages.)
 *
 * Reasons are independent of each other and may overlap. A caller that adds a reason finds all of
 * the range pinned, or has it pinned and tries again (iopf_pin_run()). A caller that removes a
 * reason unpins the pages that nothing else covers. Adding is all or nothing: if it fails, the
 * pages that nothing else covers are unpinned. In a space without a real device nothing is covered,
 * since there is no domain that could map the pages; see vfio/domain.c.
 *
 * A hold lies in one area and ends with it. A range of several areas gets several holds of the same
 * owner. Windows and mediators cover addresses, whatever is mapped there. So MAP_DMA creates their
 * holds before it publishes an area: iopf_mediate_area().
 *
 * hold vs fault: see map/chunk_pin.c. A page is marked as pinned under the chunk's lock before it
 *   is replaced. A fault on it is answered SUCCESS. If a leaf is unmapped because a part of it is
 *   held, the rest is faulted in again.
 * hold vs 1 GiB leaves: an area has none while any part of it is held.
 * hold vs invalidation: pinned pages stay. Device memory is unmapped, and mapped again; see mmio.c.
 * hold vs unexpected faults: a fault in a guarded range maps nothing (see fault/group.c). Faults
 *   search the tree under iopf_holds.lock, a leaf. The tree changes under this lock and the space's
 *   lock. A hold enters the tree when all of it is pinned.
 *
 * Locking: the space's lock.
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
 * @last: out: the answer holds up to here at least
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
	/* hold_first() returns the hold with the lowest address. */
	if (hold->node.start > iova) {
		*last = hold->node.start - 1;
		return false;
	}
	*last = hold->node.last;
	return true;
}

/*
 * Whether anything in an area is to be pinned. Such pages are pinned already, except device memory
 * that has been revoked. So in an area with device memory this looks for covered ranges.
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
 * iopf_hold_require() - check that all covered pages in a part of an area are pinned
 * @area: the area
 * @range: within it
 *
 * Return: 0, or the error of iopf_pin_require(). Then the caller removes its reason, and calls
 * iopf_hold_drain(). -EINTR: the caller is killed.
 */
int iopf_hold_require(struct iopf_area *area, const struct iopf_range *range)
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

/* Find the next range between @at and @last that is not covered, as long as possible. */
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
 * iopf_hold_drain() - unpin pages that are not covered in a part of an area
 * @area: the area
 * @range: within it
 */
void iopf_hold_drain(struct iopf_area *area, const struct iopf_range *range)
{
	/*
	 * Look at whole chunks: a page that is no longer covered may have kept the rest of a leaf
	 * pinned.
	 */
	u64 at = max(range->first & ~(u64)(IOPF_CHUNK_SIZE - 1), area->range.first);
	u64 last = min(range->last | (IOPF_CHUNK_SIZE - 1), area->range.last);
	struct iopf_range part;

	/*
	 * If nothing in the area has been pinned, there is nothing to do. If pinning is in
	 * progress, the last task that pins drains at its end.
	 */
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
 * iopf_hold_require_all() - check that all covered pages are pinned
 * @space: the space, locked
 *
 * Return: as iopf_hold_require().
 */
int iopf_hold_require_all(struct iopf_space *space)
{
	unsigned long index = 0;
	struct iopf_area *area;
	int ret = 0;

	lockdep_assert_held(&space->lock);

	area = NULL;
	while ((area = iopf_space_next_area(space, area, &index, ULONG_MAX))) {
		ret = iopf_hold_require(area, &area->range);
		if (ret)
			break;
	}
	/* If no range has its own policy, the same holds for all following areas. */
	if (ret == -EAGAIN && mtree_empty(&space->pins->policies.tree))
		space->pins->missing.last = U64_MAX;
	return ret;
}

/**
 * iopf_hold_drain_all() - unpin all pages that are not covered
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
 * iopf_hold_area() - cover all of an area, for a group that can't fault
 * @area: @pinned is not set
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
 * iopf_hold_area_undo() - undo iopf_hold_area(), since no such group is left
 * @area: pinned by iopf_hold_area()
 */
void iopf_hold_area_undo(struct iopf_area *area)
{
	area->pinned = false;
	iopf_hold_drain(area, &area->range);
}

/**
 * iopf_hold_area_end() - end all holds of an area and unpin it, for good
 * @area: about to be removed
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
	/*
	 * Uncharge pages that counted when they were pinned, but did not count when they were
	 * unpinned.
	 */
	iopf_pin_uncharge(area, area->locked);
}

/**
 * iopf_hold_add_area() - hold the part of a range that lies in an area
 * @area: the area, published or not
 * @range: is extended to whole pages
 * @kind: why
 * @owner: the owner, among the owners of @kind
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
	/* A lock over several areas counts as several holds. */
	if (kind == IOPF_HOLD_LOCK && space->pins->holds.locks >= VFIO_IOPF_LOCKS_MAX)
		return -ENOSPC;
	hold = kzalloc(sizeof(*hold), GFP_KERNEL_ACCOUNT);
	if (!hold)
		return -ENOMEM;
	hold->node.start = part.first;
	hold->node.last = part.last;
	hold->kind = kind;
	hold->owner = owner;
	/* Without a group, the range is pinned when there is a domain. */
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
 * iopf_hold_add() - hold the mapped parts of a range
 * @space: the space, locked
 * @range: is extended to whole pages; addresses without an area are not held
 * @kind: why
 * @owner: the owner, among the owners of @kind; it holds nothing of @range yet
 *
 * Context: process context. Called by a function of iopf_pin_run(): see iopf_pin_require().
 * Return: 0 with all of it resident, pinned and charged; or the error of iopf_pin_require(),
 * -ENOMEM or -ENOSPC, and nothing has changed.
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
 * @range: the holds of this owner in it end; each lies in it as a whole
 * @kind: why it was held
 * @owner: the owner, among the owners of @kind
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
 * iopf_hold_area_renew() - remove the holds of windows and mediators from an area; the caller adds
 *                          them anew
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
 * iopf_hold_guarded() - whether devices must not fault at an address
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
