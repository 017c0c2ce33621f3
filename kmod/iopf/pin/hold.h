/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_HOLD_H
#define IOPF_HOLD_H

#include <linux/interval_tree.h>
#include <linux/types.h>

struct iopf_area;
struct iopf_space;
struct iopf_range;

/**
 * enum iopf_hold_kind - why memory is held
 * @IOPF_HOLD_LOCK: user space locked the range (VFIO_IOPF_LOCK)
 * @IOPF_HOLD_MEDIATOR: a kernel driver locked the range
 * @IOPF_HOLD_WINDOW: the range lies in a window where a device does not fault
 * @IOPF_HOLD_HOT: the range is hot: repeated refaults cost more than the pinned memory
 *
 * In ranges of the first three kinds devices can't fault, see iopf_hold_guards(). Two kinds of
 * pinned memory have no hold: memory pinned by policy (policy.c), and memory pinned for a group
 * that can't fault at all.
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
 * @node: the I/O virtual addresses of the part; a node of the space's tree
 * @kind: why the part is held
 * @owner: the owner, among the owners of @kind
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

int iopf_hold_require(struct iopf_area *area, const struct iopf_range *range);
void iopf_hold_drain(struct iopf_area *area, const struct iopf_range *range);
int iopf_hold_require_all(struct iopf_space *space);
void iopf_hold_drain_all(struct iopf_space *space);
int iopf_hold_area(struct iopf_area *area);
void iopf_hold_area_undo(struct iopf_area *area);
void iopf_hold_area_renew(struct iopf_area *area);
void iopf_hold_area_end(struct iopf_area *area);

#endif /* IOPF_HOLD_H */
