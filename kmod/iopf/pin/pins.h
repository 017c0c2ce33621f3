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
 * struct iopf_holds - what is held pinned of areas; see hold.c
 * @tree: by IOVA; changes under the space's lock and @lock
 * @lock: a leaf, for faults
 * @guards: how many of them are where devices don't fault; read without a lock
 * @locks: how many of them are user space's
 */
struct iopf_holds {
	struct rb_root_cached tree;
	spinlock_t lock; /* leaf */
	unsigned int guards;
	unsigned int locks;
};

/**
 * struct iopf_policies - what is done about the memory of ranges; see policy.c
 * @base: what holds for what has no policy of its own; never IOPF_POLICY_DEFAULT
 * @tree: of what has one, by IOVA
 * @nr: how many
 * @max: how many there may be, but see policy.c
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
 * @groups: their groups
 * @devices: devices that are told of unmapping
 * @notifying: tellings in progress
 * @notified: woken when that falls to zero, and when a copy has ended
 * @copies: of drivers, under way
 * @copied: those that have ended
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
 * struct iopf_pins - what is pinned of an address space, and for what reason
 * @waits_lock: protects @waits; a leaf
 * @waits: waits for memory to be pinned that can be ended; see job.c
 * @ended: the space is being released; read without a lock
 * @unbinding: devices in it, or about to be, that are being unbound from their VFIO drivers; under
 *             iopf_devices_lock, read without
 * @owing: charged pages are to be given back yet, see host/charge.c; read without a lock
 * @pinning: how many wait for memory to be pinned; meanwhile nothing is unpinned for want of a
 *           reason; see pin.c
 * @undrained: something was to be unpinned meanwhile, or has been pinned in vain
 * @missing: what was found not to be pinned; see iopf_pin_require()
 * @pinners: attached groups that can't fault or may not; when not zero, all areas are pinned
 * @holds: what is held
 * @policies: what is pinned, or not, by policy
 * @emulated: emulated devices
 * @hots: what is held because it is hot
 *
 * All that follows @owing is under the space's lock, if nothing else is said.
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
