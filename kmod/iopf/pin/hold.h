/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_HOLD_H
#define IOPF_HOLD_H

#include <linux/interval_tree.h>
#include <linux/types.h>

struct iopf_area;
struct iopf_space;
struct iopf_range;

/**
 * enum iopf_hold_kind - who wants memory held
 * @IOPF_HOLD_LOCK: user space has locked it down (VFIO_IOPF_LOCK)
 * @IOPF_HOLD_MEDIATOR: a kernel driver has
 * @IOPF_HOLD_WINDOW: it lies where a device is declared not to fault
 * @IOPF_HOLD_HOT: it is used so much that faulting it in again and again costs more
 *
 * In the first three devices can't fault: IOPF_HOLD_GUARDS. What is pinned by policy is not among
 * these, see policy.c, nor what is pinned for a group that can't fault at all.
 */
enum iopf_hold_kind {
	IOPF_HOLD_LOCK,
	IOPF_HOLD_MEDIATOR,
	IOPF_HOLD_WINDOW,
	IOPF_HOLD_HOT,
};

static inline bool iopf_hold_guards(enum iopf_hold_kind kind)
{
	return kind != IOPF_HOLD_HOT;
}

/**
 * struct iopf_hold - a part of an area that is held
 * @node: its I/O virtual addresses, in the space's tree
 * @kind: who wants it
 * @owner: who of that kind
 */
struct iopf_hold {
	struct interval_tree_node node;
	enum iopf_hold_kind kind;
	u64 owner;
};

int iopf_hold_add(struct iopf_space *space, const struct iopf_range *range,
		  enum iopf_hold_kind kind, u64 owner);
int iopf_hold_add_area(struct iopf_area *area, const struct iopf_range *range,
		       enum iopf_hold_kind kind, u64 owner);
bool iopf_hold_remove(struct iopf_space *space, const struct iopf_range *range,
		      enum iopf_hold_kind kind, u64 owner);
bool iopf_hold_covers(struct iopf_area *area, u64 iova, u64 *last);
bool iopf_hold_guarded(struct iopf_space *space, u64 iova);

int iopf_hold_fill(struct iopf_area *area, const struct iopf_range *range);
void iopf_hold_drain(struct iopf_area *area, const struct iopf_range *range);
int iopf_hold_fill_all(struct iopf_space *space);
void iopf_hold_drain_all(struct iopf_space *space);
int iopf_hold_area(struct iopf_area *area);
void iopf_hold_area_undo(struct iopf_area *area);
void iopf_hold_area_renew(struct iopf_area *area);
void iopf_hold_area_end(struct iopf_area *area);

#endif /* IOPF_HOLD_H */
