// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers: the threads of a pool.
 *
 * The manager makes workers (threads that do jobs) while jobs wait and no worker is idle. It does
 * no job, so it is there whenever the process is killed. A worker that was idle for IDLE_TIME
 * leaves; one stays. When no container uses the process any more, all leave.
 *
 * Signals: a worker that is asked to stop, to freeze or to die returns from its job as soon as the
 * wait it is in can be interrupted. The kernel's loop around it (vhost_task_fn()) looks at signals,
 * and calls again: the job goes on where it was.
 *
 * kill, exec: each thread of the pool is told (worker_killed()), the first one stops the devices:
 *   see iopf_pool_die(). Since it is a thread of the process, nobody reaps the process before that
 *   is done, whatever else keeps its memory.
 * exit of the last other thread: the process lives on while the pool has threads. The manager looks
 *   once a second; if there is nobody else, the pool dies and its threads leave.
 * leave vs join: a worker that leaves is taken off the list of workers under the lock, so nobody
 *   wakes it any more, and sleeps until @join stops it. A pool without users can get one again; a
 *   manager is then made if there is none.
 * leave vs job: a job that a thread has to leave is put back in front. Who has no thread left to do
 *   it gives it to the workqueue.
 * cancel vs job: the worker that is interrupted may have ended that job and begun another one: that
 *   one is interrupted for nothing, and goes on.
 * stop: a thread that stands still, or is traced, does not end before it goes on. Only @join waits
 *   for it, which looks again and again. A tracer may stop a thread between that look and its end,
 *   and the owner decides how seldom a thread runs: then the join of that process waits. A user has
 *   only so many of these at a time (iopf_pool_join_begin()), less than the queue has workers.
 * unload: each thread holds the module until it has been stopped.
 *
 * Locking: the pool's; see pool.c.
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

/* An idle worker leaves after this. */
#define IDLE_TIME		(5 * HZ)
/* How often the manager looks whether there is another thread. */
#define WATCH_TIME		HZ
/* How soon it tries again to make a thread. */
#define RETRY_TIME		(HZ / 10)
/* How soon a thread that is stopped or frozen is looked at again. */
#define JOIN_TIME		(HZ / 10)

/**
 * struct iopf_worker - a thread of a pool
 * @pool: the pool, referenced
 * @node: in its list of workers or of those that are gone
 * @idle: in its list of idle workers; empty: not idle
 * @thread: the thread; stopped and freed by the pool's @join
 * @task: the same, once it has run
 * @job: what it is at, or NULL
 * @gone: it is leaving
 * @timeout: it has been idle for IDLE_TIME; the thread's own
 *
 * All but @pool, @thread and @timeout is under the pool's lock.
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

/* Waits for threads, which may take long: the owner decides, by signals and as a tracer. */
static struct workqueue_struct *workers_wq;

/* The next job that may be begun now. */
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

/* Whether a job waits that no worker is about to take, and another worker may be made for it. */
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
 * Have a thread that is at a job return from a wait that can be interrupted, as set_notify_signal()
 * does, which modules can't use. Other waits are left alone.
 */
static void worker_interrupt(struct iopf_worker *worker)
{
	/* A full barrier: a thread that is about to wait finds the flag, or is seen to wait. */
	if (test_and_set_tsk_thread_flag(worker->task, TIF_NOTIFY_SIGNAL))
		return;
	if (READ_ONCE(worker->task->__state) & TASK_INTERRUPTIBLE)
		wake_up_process(worker->task);
	else
		kick_process(worker->task);
}

/**
 * iopf_workers_wake() - somebody has to look at the jobs: an idle worker, or the manager
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
 * iopf_workers_wake_all() - have all threads look whether they are to leave
 * @pool: the pool, locked
 * @interrupt: those at a job, too: it may be to end
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
 * iopf_workers_interrupt() - have the thread that is at a job look up
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

/* The thread's references go with the wait for its end: see pool_join_work(). */
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
		/* What was queued again may have nobody to take it. */
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

/* A thread that stands still does not end before it goes on, so don't wait for it. */
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
		/* The queue this runs in is destroyed before the module goes. */
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

/* Leave a job that is to be called again to those who do what a dead pool has left. */
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

/* In the thread, which has been killed and is about to end. */
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

/* One job, or one step of it. */
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

/* In a new thread: the memory policy that it has inherited. It borrows one when it populates. */
static void worker_begin(const struct iopf_worker *worker)
{
	if (!worker->task)
		iopf_mpol_put(iopf_mpol_exchange(NULL));
}

/* The thread's turn; called by vhost_task_fn() in TASK_INTERRUPTIBLE, again and again. */
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
			/* There may be more than this one can do. */
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

/* A thread that does not run yet. */
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
	/* Some 6.12 say NULL. */
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

/* One more thread for jobs. The caller has a reference. */
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

/* Whether the process has a thread that is not one of the kernel's. */
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
 * iopf_workers_start() - see to it that a pool has threads
 * @pool: the pool, in use, of the calling process; under its setup lock
 *
 * Return: 0, or what making a thread says.
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
