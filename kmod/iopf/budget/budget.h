/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_BUDGET_H
#define IOPF_BUDGET_H

#include <linux/kernfs.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "../../../core/budget.h"
#include "../pin/hot.h"
#include "../vfio/container.h"

struct iopf_chunk;

/**
 * struct iopf_evictor - the budget of a container, and the work that evicts for it
 * @lock: a leaf, inside of chunks' locks
 * @lru: what is charged; under @lock
 * @kicked: @work is going to look; under @lock
 * @told: what user space has been told of thrashing; @work's alone
 * @container: whose; it ends @work before it goes
 * @work: evicts, expires, tells
 * @setting: one limit is set at a time; outside of the container's lock
 * @thrashing: the file of that name, for who polls it
 * @hots: what is held because it is hot
 */
struct iopf_evictor {
	spinlock_t lock; /* leaf */
	struct iopf_budget lru;
	bool kicked;
	bool told;
	struct iopf_container *container;
	struct delayed_work work;
	struct mutex setting; /* order: before the container's */
	struct kernfs_node *thrashing;
	struct iopf_hots hots;
};

struct iopf_evictor *iopf_evictor_create(struct iopf_container *c);
void iopf_evictor_end(struct iopf_evictor *k);
void iopf_evictor_free(struct iopf_evictor *k);

/* For chunks, under their locks, of containers that are budgeted. */
int iopf_evictor_reserve(struct iopf_chunk *chunk, unsigned int *around, unsigned int *reserved,
			 bool *huge);
bool iopf_evictor_reserve_ahead(struct iopf_chunk *chunk, unsigned int pages,
				unsigned int *reserved);
void iopf_evictor_settle(struct iopf_chunk *chunk, unsigned int reserved, enum iopf_settle why);
void iopf_evictor_forget(struct iopf_chunk *chunk);
bool iopf_evictor_may_evict(struct iopf_chunk *chunk);

int iopf_evictor_reserve_pin(struct iopf_chunk *chunk, unsigned int n, unsigned int *reserved);
unsigned int iopf_evictor_make_room(struct iopf_container *c, unsigned int pages);
bool iopf_evictor_full(struct iopf_container *c);
int iopf_evictor_enter_slow(struct iopf_container *c);
void iopf_evictor_leave_slow(struct iopf_container *c, int turn);

/**
 * iopf_evictor_enter() - a fault is going to be handled
 * @c: the container
 *
 * Return: what iopf_evictor_leave() wants to know.
 */
static inline int iopf_evictor_enter(struct iopf_container *c)
{
	return unlikely(READ_ONCE(c->budgeted)) ? iopf_evictor_enter_slow(c) : -1;
}

/**
 * iopf_evictor_leave() - the fault has been answered, or will be handled again
 * @c: the container
 * @turn: of iopf_evictor_enter()
 */
static inline void iopf_evictor_leave(struct iopf_container *c, int turn)
{
	if (unlikely(turn >= 0))
		iopf_evictor_leave_slow(c, turn);
}

#endif /* IOPF_BUDGET_H */
