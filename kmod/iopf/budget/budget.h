/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_BUDGET_H
#define IOPF_BUDGET_H

#include <linux/kernfs.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "../../../core/budget.h"
#include "../../../core/chunkmap.h"

struct iopf_evictor;
struct iopf_space;

/**
 * struct iopf_evictor_ops - the functions that the evictor calls
 * @evict: unmap the pages of a block that are not pinned, if iopf_evictor_may_evict() permits it.
 *         With @look, the reason is to see whether the block is used, not to make room. Returns the
 *         number of unmapped pages. Context: the same RCU section in which the block was chosen,
 *         with no lock of this module.
 * @looked: called after each run of iopf_evictor.work, in process context. @thrashing says whether
 *          the space thrashes.
 */
struct iopf_evictor_ops {
	unsigned int (*evict)(struct iopf_block *block, bool look);
	void (*looked)(struct iopf_space *space, bool thrashing);
};

/**
 * struct iopf_evictor - the budget of an address space, and the work that evicts for it
 * @ops: the functions that the evictor calls
 * @lock: a leaf, inside of chunks' locks
 * @lru: the budget and its blocks; under @lock
 * @kicked: @work is queued or will queue itself; under @lock
 * @told: the thrashing state that user space was notified of; @work writes it, under @lock
 * @space: the space, which ends @work before it is freed
 * @work: evicts to make room, evicts blocks that have aged, and notifies user space
 * @setting: held while a limit is set; outside of the space's lock
 * @thrashing: the sysfs file "thrashing", to notify tasks that poll it
 */
struct iopf_evictor {
	const struct iopf_evictor_ops *ops;
	spinlock_t lock; /* leaf */
	struct iopf_budget lru;
	bool kicked;
	bool told;
	struct iopf_space *space;
	struct delayed_work work;
	struct mutex setting; /* order: before the space's */
	struct kernfs_node *thrashing;
};

struct iopf_evictor *iopf_evictor_create(struct iopf_space *space,
					 const struct iopf_evictor_ops *ops);
void iopf_evictor_end(struct iopf_evictor *k);
void iopf_evictor_free(struct iopf_evictor *k);

/* Called under a chunk's lock, in spaces with a budget. */
int iopf_evictor_reserve(struct iopf_evictor *k, const struct iopf_chunkmap *map,
			 unsigned int *around, unsigned int *reserved, bool *huge);
bool iopf_evictor_reserve_prefetch(struct iopf_evictor *k, const struct iopf_chunkmap *map,
				   unsigned int pages, unsigned int *reserved);
void iopf_evictor_settle(struct iopf_evictor *k, struct iopf_block *block,
			 const struct iopf_chunkmap *map, unsigned int reserved,
			 enum iopf_settle why);
void iopf_evictor_forget(struct iopf_evictor *k, struct iopf_block *block);
bool iopf_evictor_may_evict(struct iopf_evictor *k, struct iopf_block *block, bool frozen);

int iopf_evictor_reserve_pin(struct iopf_evictor *k, unsigned int n);
unsigned int iopf_evictor_make_room(struct iopf_evictor *k, unsigned int pages);
bool iopf_evictor_full(struct iopf_evictor *k);
int iopf_evictor_enter(struct iopf_evictor *k);
void iopf_evictor_leave(struct iopf_evictor *k, int turn);

#endif /* IOPF_BUDGET_H */
