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

/* Maximum number of workers of a process. docs/internals/bounds.md names this. */
#define IOPF_POOL_WORKERS		256U

/**
 * struct iopf_job - a job for a thread of a process
 * @node: in the pool's queue, under the pool's lock
 * @fn: does the job. Returns true if the thread must handle signals and then call it again: then it
 *      has done nothing that it may not do twice. After false, the job may have been freed.
 * @background: nobody waits for the job. Only BACKGROUND_WORKERS of these run at a time
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
 * @node: in the table of all pools, under pools_lock, unless @dead
 * @mm: memory of the process; referenced by mmgrab(), so the process can exit
 * @user: the user that made the pool
 * @refs: one for each thread, each iopf_mm, each container of the process, and each request to
 *        populate memory of @mm
 * @setup: held while an ioctl makes threads
 * @lock: protects all fields below; a leaf
 * @mms: the iopf_mm of each container that maps @mm; they are stopped when the process ends
 * @dead: the process has ended; nothing is populated any more. Never cleared
 * @users: number of iopf_mm and containers; when it is 0, the threads leave
 * @jobs: queued jobs: [0] faults and others that are waited for, [1] background jobs
 * @turn: index of the queue in @jobs that is served next
 * @workers: all threads but the manager
 * @idle: workers that wait for a job
 * @gone: threads that are about to end; @join waits for them
 * @nr: number of @workers, and of workers that are being made
 * @threads: number of all threads, with those in @gone
 * @left: woken when @threads decreases
 * @starting: number of workers that have not run yet
 * @background: number of workers that run a background job
 * @manager: makes the workers, and never waits for anything else; NULL: there is none
 * @retry_at: in jiffies; no thread is made until then, because making one has failed
 * @join: waits for the threads in @gone
 * @stop: stops @mms when @dead
 * @last: does the jobs that are left when @dead
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
