/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_PINS_H
#define IOPF_PINS_H

#include <linux/list.h>
#include <linux/maple_tree.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "../../../core/mode.h"
#include "../../../core/range.h"
#include "../map/space.h"
#include "hot.h"

/**
 * struct iopf_holds - the holds of a space; see hold.c
 * @tree: the holds by IOVA; changes under the space's lock and @lock
 * @lock: a leaf, for faults
 * @guards: number of holds where devices don't fault; read without a lock
 * @locks: number of holds that user space owns
 */
struct iopf_holds {
	struct rb_root_cached tree;
	spinlock_t lock; /* leaf */
	unsigned int guards;
	unsigned int locks;
};

/**
 * struct iopf_policies - the policies of ranges; see policy.c
 * @base: the policy of ranges without their own policy; never IOPF_POLICY_DEFAULT
 * @tree: ranges with their own policy, by IOVA
 * @nr: number of ranges in @tree
 * @max: limit of @nr, but see policy.c
 *
 * Under the space's lock.
 */
struct iopf_policies {
	enum iopf_policy base;
	struct maple_tree tree;
	unsigned int nr;
	unsigned int max;
};

/**
 * struct iopf_emulated - emulated devices, whose drivers pin pages; see emulated.c
 * @groups: the groups of the devices
 * @devices: devices that get a notification when memory is unmapped
 * @notifying: notifications in progress
 * @notified: woken when @notifying falls to zero, and when a copy ends
 * @copies: copies for drivers, in progress
 * @copied: number of copies that ended
 *
 * Under the space's lock.
 */
struct iopf_emulated {
	struct list_head groups;
	struct list_head devices;
	unsigned int notifying;
	wait_queue_head_t notified;
	struct list_head copies;
	unsigned int copied;
};

/**
 * struct iopf_pins - the pinned memory of an address space, and the reasons to pin it
 * @waits_lock: protects @waits; a leaf
 * @waits: waits for memory to be pinned; iopf_pin_end() ends them; see job.c
 * @ended: the space is being released; read without a lock
 * @unbinding: number of devices in it, or about to join, that are being unbound from their VFIO
 *             drivers; under iopf_devices_lock, read without
 * @owing: some charged pages must still be given back, see host/charge.c; read without a lock
 * @pinning: number of threads that wait for memory to be pinned; meanwhile pages that are not
 *           covered stay pinned; see pin.c
 * @undrained: pages may have to be unpinned when @pinning falls to zero
 * @missing: the range that was found not to be pinned; see iopf_pin_require()
 * @pinners: attached groups that can't fault or may not; when not zero, all areas are pinned
 * @holds: the held ranges
 * @policies: the policies of ranges: pinned or not
 * @emulated: emulated devices
 * @hots: the hot ranges
 *
 * The space's lock protects all fields after @owing, unless the field says otherwise.
 */
struct iopf_pins {
	spinlock_t waits_lock; /* leaf */
	struct list_head waits;
	bool ended;
	unsigned int unbinding;
	bool owing;
	unsigned int pinning;
	bool undrained;
	struct iopf_range missing;
	unsigned int pinners;
	struct iopf_holds holds;
	struct iopf_policies policies;
	struct iopf_emulated emulated;
	struct iopf_hots hots;
};

void iopf_pins_init(struct iopf_pins *pins, struct iopf_space *space);

#endif /* IOPF_PINS_H */
