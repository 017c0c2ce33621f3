// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers: the threads of a pool.
 *
 * Workers are threads that do jobs. The manager makes workers while jobs wait and no worker is
 * idle. The manager does no job, so it can react whenever the process is killed. A worker that is
 * idle for IDLE_TIME ends, but the last one stays. When no container uses the process any more, all
 * threads end.
 *
 * Signals: when a worker has to stop, freeze or die, its job returns as soon as its wait can be
 * interrupted. The kernel's loop around the worker (vhost_task_fn()) handles signals and calls the
 * worker again, which continues the job.
 *
 * kill, exec: the kernel calls worker_killed() in each thread of the pool. The first one stops the
 *   devices: see iopf_pool_die(). Because it is a thread of the process, the process can't be
 *   reaped before the devices have stopped, whatever else keeps its memory.
 * exit of the last other thread: the process does not exit while the pool has threads. So the
 *   manager looks for other threads once a second. If there are none, the pool dies and its threads
 *   end.
 * leave vs join: worker_leave() takes the worker off the list of workers under the lock. So no
 *   other thread wakes it any more, and it sleeps until @join stops it. A pool without users can
 *   get a user again; iopf_workers_start() then makes a manager if there is none.
 * leave vs job: a job that a thread has to leave goes back to the front of the queue. If the pool
 *   has no thread left, the workqueue does the job.
 * cancel vs job: the worker may have ended the cancelled job and begun another one when it is
 *   interrupted. The interruption has no effect on that job, which is called again.
 * stop: a thread that is stopped or traced does not end before it is continued. Only @join waits
 *   for it, by polling. A tracer may stop a thread after @join has polled it, and the owner decides
 *   how seldom a thread runs: then the join of that process waits. A user may have USER_JOINS of
 *   these at a time (iopf_pool_join_begin()), fewer than the workqueue has workers.
 * unload: each thread has a reference to the module until it has been stopped.
 *
 * Locking: the pool's locks; see pool.c.
 */
#include <linux/cleanup.h>
#include <linux/cred.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/sched/jobctl.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/vhost_task.h>
#include <linux/slab.h>

#include "../../compat/mempolicy.h"
#include "pool.h"
#include "worker.h"

#define BACKGROUND_WORKERS	16U

/* An idle worker ends after this time. */
#define IDLE_TIME		(5 * HZ)
/* Period at which the manager checks that the process has other threads. */
#define WATCH_TIME		HZ
/* After this time the manager tries again to make a thread. */
#define RETRY_TIME		(HZ / 10)
/* Period at which @join polls a thread that is stopped or frozen. */
#define JOIN_TIME		(HZ / 10)

/**
 * struct iopf_worker - a thread of a pool
 * @pool: the pool, referenced
 * @node: in iopf_pool.workers or iopf_pool.gone
 * @idle: in iopf_pool.idle; empty: not idle
 * @thread: the thread; iopf_pool.join stops and frees it
 * @task: task of @thread; NULL before it has run
 * @job: the job that the thread does, or NULL
 * @gone: the thread is leaving
 * @timeout: the thread has been idle for IDLE_TIME; only the thread uses this field
 *
 * The pool's lock protects all fields but @pool, @thread and @timeout.
 */
struct iopf_worker {
	struct iopf_pool *pool;
	struct list_head node;
	struct list_head idle;
	struct vhost_task *thread;
	struct task_struct *task;
	struct iopf_job *job;
	bool gone;
	bool timeout;
};

/* Waits for threads. That may take long: the owner can delay them by signals, or as a tracer. */
static struct workqueue_struct *workers_wq;

/* Return the next job that may begin now, or NULL. */
static struct iopf_job *pool_next(struct iopf_pool *pool)
{
	lockdep_assert_held(&pool->lock);

	for (unsigned int i = 0; i < 2; i++) {
		unsigned int kind = (pool->turn + i) % 2;

		if (kind && pool->background >= BACKGROUND_WORKERS)
			continue;
		if (!list_empty(&pool->jobs[kind])) {
			pool->turn = !kind;
			return list_first_entry(&pool->jobs[kind], struct iopf_job, node);
		}
	}
	return NULL;
}

/* Whether the pool needs another worker and may make one: a job waits, and no worker is free. */
static bool pool_short(const struct iopf_pool *pool)
{
	bool waiting = !list_empty(&pool->jobs[0]);

	lockdep_assert_held(&pool->lock);

	if (!list_empty(&pool->jobs[1]) && pool->background < BACKGROUND_WORKERS)
		waiting = true;

	return waiting && !pool->starting && list_empty(&pool->idle) &&
	       pool->nr < IOPF_POOL_WORKERS && !pool->dead &&
	       time_after_eq(jiffies, pool->retry_at);
}

/*
 * Make a thread that does a job return from an interruptible wait. set_notify_signal() does the
 * same, but modules can't use it. Other waits are not interrupted.
 */
static void worker_interrupt(struct iopf_worker *worker)
{
	/* A full barrier: a thread about to wait sees the flag, or its state is seen here. */
	if (test_and_set_tsk_thread_flag(worker->task, TIF_NOTIFY_SIGNAL))
		return;
	if (READ_ONCE(worker->task->__state) & TASK_INTERRUPTIBLE)
		wake_up_process(worker->task);
	else
		kick_process(worker->task);
}

/**
 * iopf_workers_wake() - wake an idle worker for a job, or the manager to make a worker
 * @pool: the pool, locked
 */
void iopf_workers_wake(struct iopf_pool *pool)
{
	struct iopf_worker *worker;

	lockdep_assert_held(&pool->lock);

	worker = list_first_entry_or_null(&pool->idle, struct iopf_worker, idle);
	if (worker) {
		list_del_init(&worker->idle);
		vhost_task_wake(worker->thread);
	} else if (pool->manager && pool_short(pool)) {
		vhost_task_wake(pool->manager->thread);
	}
}

/**
 * iopf_workers_wake_all() - make all threads check whether they have to leave
 * @pool: the pool, locked
 * @interrupt: also interrupt the workers that do a job
 */
void iopf_workers_wake_all(struct iopf_pool *pool, bool interrupt)
{
	struct iopf_worker *worker;

	lockdep_assert_held(&pool->lock);

	list_for_each_entry(worker, &pool->workers, node) {
		list_del_init(&worker->idle);
		if (worker->task && !worker->job)
			vhost_task_wake(worker->thread);
		else if (worker->task && interrupt)
			worker_interrupt(worker);
	}
	if (pool->manager)
		vhost_task_wake(pool->manager->thread);
}

/**
 * iopf_workers_interrupt() - interrupt the thread that does a job
 * @pool: the pool, locked
 * @job: the job
 */
void iopf_workers_interrupt(struct iopf_pool *pool, const struct iopf_job *job)
{
	struct iopf_worker *worker;

	lockdep_assert_held(&pool->lock);

	list_for_each_entry(worker, &pool->workers, node)
		if (worker->job == job && worker->task)
			worker_interrupt(worker);
}

/* Begin to end a thread. pool_join_work() drops the thread's references after its end. */
static void worker_leave(struct iopf_worker *worker)
{
	struct iopf_pool *pool = worker->pool;

	lockdep_assert_held(&pool->lock);

	if (worker->gone)
		return;
	worker->gone = true;
	list_del_init(&worker->idle);
	if (pool->manager == worker) {
		pool->manager = NULL;
		list_add_tail(&worker->node, &pool->gone);
		/* A job that was put back may have no thread left. */
		iopf_pool_attend(pool);
	} else {
		pool->starting -= !worker->task;
		list_move_tail(&worker->node, &pool->gone);
		iopf_pool_remove(pool);
	}
	refcount_inc(&pool->refs);
	if (!queue_delayed_work(workers_wq, &pool->join, 0))
		refcount_dec(&pool->refs);
}

/* Whether a thread is stopped, frozen or traced. It does not end then, so @join must not wait. */
static bool worker_stands(const struct iopf_worker *worker)
{
	return worker->task && !(READ_ONCE(worker->task->flags) & PF_EXITING) &&
	       READ_ONCE(worker->task->jobctl) &
		       (JOBCTL_STOP_PENDING | JOBCTL_STOPPED | JOBCTL_TRAP_STOP |
			JOBCTL_TRAP_FREEZE | JOBCTL_TRACED);
}

static void pool_join_work(struct work_struct *work)
{
	struct iopf_pool *pool = container_of(to_delayed_work(work), struct iopf_pool, join);
	struct iopf_worker *worker, *next;
	LIST_HEAD(ready);
	bool begun = iopf_pool_join_begin(pool), more;

	spin_lock(&pool->lock);
	list_for_each_entry_safe(worker, next, &pool->gone, node)
		if (begun && !worker_stands(worker))
			list_move_tail(&worker->node, &ready);
	more = !list_empty(&pool->gone);
	spin_unlock(&pool->lock);

	list_for_each_entry_safe(worker, next, &ready, node) {
		vhost_task_stop(worker->thread);
		kfree(worker);
		/* The module is not freed yet: it destroys this workqueue first. */
		module_put(THIS_MODULE);
		scoped_guard(spinlock, &pool->lock)
			WRITE_ONCE(pool->threads, pool->threads - 1);
		wake_up_all(&pool->left);
		iopf_pool_put(pool);
	}
	if (begun)
		iopf_pool_join_end(pool);
	if (more) {
		refcount_inc(&pool->refs);
		if (!queue_delayed_work(workers_wq, &pool->join, JOIN_TIME))
			refcount_dec(&pool->refs);
	}
	iopf_pool_put(pool);
}

/* Put back a job that has to be called again. A kernel thread does it: see pool_last_work(). */
static void worker_give_up(struct iopf_worker *worker)
{
	struct iopf_pool *pool = worker->pool;
	struct iopf_job *job = worker->job;

	lockdep_assert_held(&pool->lock);

	worker->job = NULL;
	pool->background -= job->background;
	list_add(&job->node, &pool->jobs[job->background]);
	iopf_pool_attend(pool);
}

/* Called by the kernel in a thread that has been killed and is about to end. */
static void worker_killed(void *data)
{
	struct iopf_worker *worker = data;
	struct iopf_pool *pool = worker->pool;

	iopf_pool_die(pool);
	spin_lock(&pool->lock);
	if (worker->job)
		worker_give_up(worker);
	worker_leave(worker);
	spin_unlock(&pool->lock);
}

/* Call a job once. If it asks to be called again, it stays the job of the worker. */
static void worker_run_job(struct iopf_worker *worker, struct iopf_job *job)
{
	struct iopf_pool *pool = worker->pool;
	bool background = job->background;

	__set_current_state(TASK_RUNNING);
	if (job->fn(job))
		return;
	spin_lock(&pool->lock);
	worker->job = NULL;
	pool->background -= background;
	spin_unlock(&pool->lock);
}

/* Drop the memory policy that a new thread has inherited. It borrows one when it populates. */
static void worker_begin(const struct iopf_worker *worker)
{
	if (!worker->task)
		iopf_mpol_put(iopf_mpol_exchange(NULL));
}

/* One step of a worker. vhost_task_fn() calls it in a loop, in TASK_INTERRUPTIBLE. */
static bool worker_fn(void *data)
{
	struct iopf_worker *worker = data;
	struct iopf_pool *pool = worker->pool;
	bool timeout = worker->timeout && !list_empty(&worker->idle);
	struct iopf_job *job;

	worker_begin(worker);
	spin_lock(&pool->lock);
	if (!worker->task) {
		worker->task = current;
		pool->starting--;
	}
	list_del_init(&worker->idle);
	if (pool->dead && worker->job)
		worker_give_up(worker);
	if (!worker->job && !worker->gone) {
		worker->job = pool->dead ? NULL : pool_next(pool);
		if (worker->job) {
			list_del_init(&worker->job->node);
			pool->background += worker->job->background;
			/* More jobs may wait. */
			iopf_workers_wake(pool);
		} else if (!pool->users || pool->dead || (timeout && pool->nr > 1)) {
			worker_leave(worker);
		} else {
			list_add(&worker->idle, &pool->idle);
		}
	}
	job = worker->job;
	spin_unlock(&pool->lock);

	if (!job && READ_ONCE(worker->gone))
		return false;
	if (job)
		worker_run_job(worker, job);
	else
		worker->timeout = !schedule_timeout(IDLE_TIME);
	return true;
}

/* Make a thread. The caller starts it. */
static struct iopf_worker *worker_create(struct iopf_pool *pool, bool (*fn)(void *data),
					 const char *name)
{
	struct iopf_worker *worker = kzalloc(sizeof(*worker), GFP_KERNEL_ACCOUNT);
	struct vhost_task *thread;

	if (!worker)
		return ERR_PTR(-ENOMEM);
	worker->pool = pool;
	INIT_LIST_HEAD(&worker->node);
	INIT_LIST_HEAD(&worker->idle);
	thread = vhost_task_create(fn, worker_killed, worker, name);
	/* Some releases of 6.12 return NULL on an error. */
	if (IS_ERR_OR_NULL(thread)) {
		kfree(worker);
		return thread ? ERR_CAST(thread) : ERR_PTR(-EAGAIN);
	}
	worker->thread = thread;
	scoped_guard(spinlock, &pool->lock)
		WRITE_ONCE(pool->threads, pool->threads + 1);
	iopf_pool_get(pool);
	__module_get(THIS_MODULE);
	return worker;
}

/* Make one more worker. The caller has a reference to the pool. */
static int pool_add_worker(struct iopf_pool *pool)
{
	struct iopf_worker *worker;
	bool room;

	scoped_guard(spinlock, &pool->lock) {
		room = iopf_pool_add(pool);
		pool->starting += room;
	}
	if (!room)
		return -EDQUOT;
	worker = worker_create(pool, worker_fn, "vfio-iopf");
	spin_lock(&pool->lock);
	if (IS_ERR(worker)) {
		pool->starting--;
		iopf_pool_remove(pool);
	} else {
		list_add_tail(&worker->node, &pool->workers);
	}
	spin_unlock(&pool->lock);
	if (IS_ERR(worker))
		return PTR_ERR(worker);
	vhost_task_start(worker->thread);
	return 0;
}

/* Whether the process has a thread that the kernel has not made. */
static bool process_has_others(void)
{
	const struct task_struct *t;

	guard(rcu)();
	for_each_thread(current, t)
		if (!(READ_ONCE(t->flags) & (PF_USER_WORKER | PF_EXITING)))
			return true;
	return false;
}

static bool manager_fn(void *data)
{
	struct iopf_worker *worker = data;
	struct iopf_pool *pool = worker->pool;
	bool grow, dying = false;

	if (READ_ONCE(worker->gone))
		return false;
	worker_begin(worker);
	if (!process_has_others()) {
		__set_current_state(TASK_RUNNING);
		iopf_pool_die(pool);
		dying = true;
	}
	spin_lock(&pool->lock);
	if (!worker->task)
		worker->task = current;
	if (dying)
		iopf_workers_wake_all(pool, true);
	if (!pool->users || pool->dead)
		worker_leave(worker);
	grow = !worker->gone && pool_short(pool);
	spin_unlock(&pool->lock);

	if (READ_ONCE(worker->gone))
		return false;
	if (!grow) {
		bool waits = !list_empty(&pool->jobs[0]) || !list_empty(&pool->jobs[1]);

		schedule_timeout(waits ? RETRY_TIME : WATCH_TIME);
		return true;
	}
	__set_current_state(TASK_RUNNING);
	if (pool_add_worker(pool)) {
		spin_lock(&pool->lock);
		pool->retry_at = jiffies + RETRY_TIME;
		spin_unlock(&pool->lock);
	}
	return true;
}

/**
 * iopf_workers_start() - make the manager and a worker of a pool, where they are missing
 * @pool: pool of the calling process, in use; the caller holds iopf_pool.setup
 *
 * Return: 0, or the error of making a thread.
 */
int iopf_workers_start(struct iopf_pool *pool)
{
	struct iopf_worker *manager;
	int ret = 0;

	lockdep_assert_held(&pool->setup);

	if (!READ_ONCE(pool->manager)) {
		manager = worker_create(pool, manager_fn, "vfio-iopf-main");
		if (IS_ERR(manager))
			return PTR_ERR(manager);
		scoped_guard(spinlock, &pool->lock)
			pool->manager = manager;
		vhost_task_start(manager->thread);
	}
	if (!READ_ONCE(pool->nr))
		ret = pool_add_worker(pool);
	return ret;
}

void iopf_workers_init(struct iopf_pool *pool)
{
	INIT_DELAYED_WORK(&pool->join, pool_join_work);
}

int iopf_workers_wq_init(void)
{
	workers_wq = alloc_workqueue("vfio_iopf_pools", WQ_UNBOUND, WQ_UNBOUND_MAX_ACTIVE);
	return workers_wq ? 0 : -ENOMEM;
}

void iopf_workers_wq_exit(void)
{
	destroy_workqueue(workers_wq);
}
