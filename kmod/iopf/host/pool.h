/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IOPF_POOL_H
#define IOPF_POOL_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

struct iopf_pool;
struct iopf_pool_user;
struct iopf_worker;
struct iopf_mm;
struct mm_struct;

/* Threads that work for one process, without the manager; docs/internals/bounds.md names this. */
#define IOPF_POOL_WORKERS		256U

/**
 * struct iopf_job - something to be done by a thread of a process
 * @node: in the pool's queue, under the pool's lock
 * @fn: does it. Returns whether it is to be called again, after signals have been looked at: then
 *      it has done nothing yet that it may not do twice. Otherwise the job may be gone.
 * @background: nobody waits for it, so only few of them run at a time
 */
struct iopf_job {
	struct list_head node;
	bool (*fn)(struct iopf_job *job);
	bool background;
};

static inline void iopf_job_init(struct iopf_job *job, bool (*fn)(struct iopf_job *job),
				 bool background)
{
	INIT_LIST_HEAD(&job->node);
	job->fn = fn;
	job->background = background;
}

/**
 * struct iopf_pool - the threads of a process that populate its memory for devices
 * @node: in the table of all pools, under its lock, unless @dead
 * @mm: the process's memory; held (mmgrab), not kept alive
 * @user: who made it: whose threads they are
 * @refs: one for each thread, each iopf_mm, each container of the process, each wish for memory of
 *        @mm
 * @setup: held while threads are made in an ioctl
 * @lock: protects all that follows; a leaf
 * @mms: the containers' views of @mm: what is to stop when the process ends
 * @dead: the process has ended, for good: nothing is populated any more
 * @users: how many iopf_mm and containers there are; without any, the threads leave
 * @jobs: what is to be done: faults, and what is in the background
 * @turn: which of @jobs is next
 * @workers: all threads but the manager
 * @idle: those of @workers that wait for a job
 * @gone: threads that are about to leave, to be waited for by @join
 * @nr: how many @workers there are, with those that are being made
 * @threads: how many threads there are, with those of @gone
 * @left: woken when there are less
 * @starting: those of @workers that have not run yet
 * @background: those at a job in the background
 * @manager: makes the other threads, and never waits for anything else; NULL: there is none
 * @retry_at: jiffies; until then no thread is made, since that has failed
 * @join: waits for @gone
 * @stop: stops @mms when @dead
 * @last: does what is left to do when @dead
 */
struct iopf_pool {
	struct hlist_node node;
	struct mm_struct *mm;
	struct iopf_pool_user *user;
	refcount_t refs;
	struct mutex setup; /* see above */
	spinlock_t lock; /* a leaf */
	struct list_head mms;
	bool dead;
	unsigned int users;
	struct list_head jobs[2];
	unsigned int turn;
	struct list_head workers;
	struct list_head idle;
	struct list_head gone;
	unsigned int nr;
	unsigned int threads;
	wait_queue_head_t left;
	unsigned int starting;
	unsigned int background;
	struct iopf_worker *manager;
	unsigned long retry_at;
	struct delayed_work join;
	struct work_struct stop;
	struct work_struct last;
};

int iopf_pools_init(void);
void iopf_pools_exit(void);
struct iopf_pool *iopf_pool_use(void);
void iopf_pool_unuse(struct iopf_pool *pool);
struct iopf_pool *iopf_pool_join(struct iopf_mm *m);
long iopf_pool_wait(struct iopf_pool *pool, long timeout);
void iopf_pool_leave(struct iopf_pool *pool, struct iopf_mm *m);
void iopf_pool_put_last(struct iopf_pool *pool);
void iopf_pool_queue(struct iopf_pool *pool, struct iopf_job *job);
bool iopf_pool_cancel(struct iopf_pool *pool, struct iopf_job *job);

static inline struct iopf_pool *iopf_pool_get(struct iopf_pool *pool)
{
	refcount_inc(&pool->refs);
	return pool;
}

/**
 * iopf_pool_put() - drop a reference
 * @pool: the pool, or NULL
 *
 * Context: any that may take a spinlock.
 */
static inline void iopf_pool_put(struct iopf_pool *pool)
{
	if (pool && !refcount_dec_not_one(&pool->refs))
		iopf_pool_put_last(pool);
}

#endif /* IOPF_POOL_H */
