// SPDX-License-Identifier: GPL-2.0-only
/* The pinned memory of an address space: initialization. */
#include "../lib/params.h"
#include "hot.h"
#include "pins.h"

/**
 * iopf_pins_init() - initialize the pinned memory of a space; nothing is pinned
 * @pins: zeroed
 * @space: the space
 */
void iopf_pins_init(struct iopf_pins *pins, struct iopf_space *space)
{
	spin_lock_init(&pins->waits_lock);
	INIT_LIST_HEAD(&pins->waits);
	pins->holds.tree = RB_ROOT_CACHED;
	spin_lock_init(&pins->holds.lock);
	pins->policies.base = IOPF_POLICY_FAULT;
	pins->policies.max = READ_ONCE(iopf_policy_entry_limit);
	/* A tree that is erased in bulk needs MT_FLAGS_ALLOC_RANGE; see policy.c. */
	mt_init_flags(&pins->policies.tree, MT_FLAGS_ALLOC_RANGE);
	INIT_LIST_HEAD(&pins->emulated.groups);
	INIT_LIST_HEAD(&pins->emulated.devices);
	init_waitqueue_head(&pins->emulated.notified);
	INIT_LIST_HEAD(&pins->emulated.copies);
	iopf_hot_begin(&pins->hots, space);
	space->pins = pins;
}
