// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pools: threads of a process that populate its memory for devices.
 *
 * Whatever may wait for a disk, for reclaim or for user space is populated by threads that belong
 * to the process whose memory it is: vhost_task_create() makes them, and user space sees them in
 * /proc/PID/task. So the memory cgroup, the hugetlb cgroup, the cpuset, I/O limits, RLIMIT_NPROC
 * and pids.max of the process hold, as for its own accesses, and SIGKILL ends a wait.
 *
 * A pool is made when a process maps memory first, by the mapping thread. Its manager makes workers
 * (threads that do jobs) while jobs wait and no worker is idle. The manager does no job, so it is
 * there whenever the process is killed. A worker that was idle for IDLE_TIME leaves; one stays.
 * When no container uses the process any more, all leave.
 *
 * Bounds, beside RLIMIT_NPROC and pids.max: IOPF_POOL_WORKERS for a process; USER_WORKERS for a
 * user, of which the first FREE_WORKERS of each process do not count; BACKGROUND_WORKERS of a
 * process do what nobody waits for. Jobs beyond that wait in order. When a thread can't be made,
 * the ioctl that makes the first ones fails; later there is one worker at least.
 *
 * Signals: a worker that is asked to stop, to freeze or to die returns from its job as soon as the
 * wait it is in can be interrupted. The kernel's loop around it (vhost_task_fn()) looks at signals,
 * and calls again: the job goes on where it was.
 *
 * kill, exec: each thread of the pool is told (worker_killed()), the first one stops the devices:
 *   see pool_die(). Since it is a thread of the process, nobody reaps the process before that is
 *   done, whatever else keeps its memory. Jobs that no thread has begun or that a thread has to
 *   leave are done by a workqueue: populating finds the pool dead, so they end at once.
 * exit of the last other thread: the process lives on while the pool has threads. The manager looks
 *   once a second; if there is nobody else, the pool dies and its threads leave.
 * leave vs join: a worker that leaves is taken off the list of workers under the lock, so nobody
 *   wakes it any more, and sleeps until @join stops it. A pool without users can get one again; a
 *   manager is then made if there is none.
 * cancel vs job: a job that waits in the queue is taken out; for one that has begun, its worker is
 *   interrupted. The worker may have ended that job and begun another one: that one is interrupted
 *   for nothing, and goes on.
 * unload: each thread holds the module until it has been stopped.
 *
 * Locking: iopf_pool.setup is inside of the container's lock; iopf_pool.lock is a leaf, inside of
 * iopf_attach.lock and iopf_prefaults.lock; pools_lock is a leaf.
 */
#include <linux/cleanup.h>
#include <linux/cred.h>
#include <linux/jiffies.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/sched/jobctl.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/vhost_task.h>
#include <linux/slab.h>

#include "mm.h"
#include "pool.h"

/* Workers of all processes of a user, and those of each process that don't count. */
#define USER_WORKERS		1024U
#define FREE_WORKERS		8U
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

static LIST_HEAD(pools);
static DEFINE_SPINLOCK(pools_lock); /* a leaf; protects pools */
/* Waits for threads, which may take long: the owner decides, by signals and as a tracer. */
static struct workqueue_struct *pools_wq;
/* Ends what dead pools have left. It never waits for a thread. */
static struct workqueue_struct *pools_last_wq;

/**
 * iopf_pool_put() - drop a reference
 * @pool: the pool, or NULL
 */
void iopf_pool_put(struct iopf_pool *pool)
{
	bool last;

	if (!pool || refcount_dec_not_one(&pool->refs))
		return;
	spin_lock(&pools_lock);
	last = refcount_dec_and_test(&pool->refs);
	if (last)
		list_del(&pool->node);
	spin_unlock(&pools_lock);
	if (!last)
		return;
	WARN_ON(!list_empty(&pool->jobs[0]) || !list_empty(&pool->jobs[1]));
	mutex_destroy(&pool->setup);
	mmdrop(pool->mm);
	kfree(pool);
}

/* Whether the user may have one more worker for @pool. What others have changes meanwhile. */
static bool user_has_room(struct iopf_pool *pool)
{
	const struct iopf_pool *other;
	unsigned int n = 0;

	if (READ_ONCE(pool->nr) < FREE_WORKERS)
		return true;
	spin_lock(&pools_lock);
	list_for_each_entry(other, &pools, node)
		if (uid_eq(other->uid, pool->uid))
			n += max(READ_ONCE(other->nr), FREE_WORKERS) - FREE_WORKERS;
	spin_unlock(&pools_lock);
	return n < USER_WORKERS;
}

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

/* Somebody has to look at the jobs: an idle worker, or the manager. */
static void pool_wake(struct iopf_pool *pool)
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

/* Have all threads look whether they are to leave; those at a job, whether it is to end. */
static void pool_wake_all(struct iopf_pool *pool, bool interrupt)
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

/* Have the jobs that are left ended by a kernel thread. */
static void pool_queue_last(struct iopf_pool *pool)
{
	lockdep_assert_held(&pool->lock);

	refcount_inc(&pool->refs);
	if (!queue_work(pools_last_wq, &pool->last))
		refcount_dec(&pool->refs);
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
	} else {
		pool->nr--;
		pool->starting -= !worker->task;
		list_move_tail(&worker->node, &pool->gone);
	}
	/* What was queued again has nobody to take it. */
	if (!pool->nr && !pool->manager &&
	    (!list_empty(&pool->jobs[0]) || !list_empty(&pool->jobs[1])))
		pool_queue_last(pool);
	refcount_inc(&pool->refs);
	if (!queue_delayed_work(pools_wq, &pool->join, 0))
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
	bool more;

	spin_lock(&pool->lock);
	list_for_each_entry_safe(worker, next, &pool->gone, node)
		if (!worker_stands(worker))
			list_move_tail(&worker->node, &ready);
	more = !list_empty(&pool->gone);
	spin_unlock(&pool->lock);

	list_for_each_entry_safe(worker, next, &ready, node) {
		vhost_task_stop(worker->thread);
		kfree(worker);
		iopf_pool_put(pool);
		module_put(THIS_MODULE);
	}
	if (more) {
		refcount_inc(&pool->refs);
		if (!queue_delayed_work(pools_wq, &pool->join, JOIN_TIME))
			refcount_dec(&pool->refs);
	}
	iopf_pool_put(pool);
}

/* What a dead pool has left. No thread of it may have begun it. */
static void pool_last_work(struct work_struct *work)
{
	struct iopf_pool *pool = container_of(work, struct iopf_pool, last);
	struct iopf_job *job;

	for (;;) {
		spin_lock(&pool->lock);
		job = list_first_entry_or_null(&pool->jobs[!!list_empty(&pool->jobs[0])],
					       struct iopf_job, node);
		if (job)
			list_del_init(&job->node);
		spin_unlock(&pool->lock);
		if (!job)
			break;
		/* It populates nothing, so it is not called again. */
		WARN_ON_ONCE(job->fn(job));
		cond_resched();
	}
	iopf_pool_put(pool);
}

/* Whether the process that ends is the one whose memory it is, and not one that shares it. */
static bool pool_owns(const struct iopf_pool *pool)
{
#ifdef CONFIG_MEMCG
	struct task_struct *owner;

	guard(rcu)();
	owner = rcu_dereference(pool->mm->owner);
	return !owner || same_thread_group(owner, current);
#else
	return true;
#endif
}

/*
 * The process ends: its devices stop now. Other uses of its memory may go on for as long as they
 * like: another process's userfaultfd, /proc/PID/mem, a thread that can't be interrupted.
 */
static void pool_die(struct iopf_pool *pool)
{
	struct iopf_mm *m;

	scoped_guard(spinlock, &pool->lock) {
		if (pool->dead)
			return;
		WRITE_ONCE(pool->dead, true);
		pool_queue_last(pool);
	}
	guard(mutex)(&pool->setup);
	if (pool_owns(pool))
		list_for_each_entry(m, &pool->mms, pool_node)
			iopf_mm_stop(m);
}

/* Leave a job that is to be called again to those who do what a dead pool has left. */
static void worker_give_up(struct iopf_worker *worker)
{
	struct iopf_pool *pool = worker->pool;
	struct iopf_job *job = worker->job;

	lockdep_assert_held(&pool->lock);

	worker->job = NULL;
	pool->background -= job->background;
	list_add_tail(&job->node, &pool->jobs[job->background]);
	pool_queue_last(pool);
}

/* In the thread, which has been killed and is about to end. */
static void worker_killed(void *data)
{
	struct iopf_worker *worker = data;
	struct iopf_pool *pool = worker->pool;

	pool_die(pool);
	spin_lock(&pool->lock);
	if (worker->job)
		worker_give_up(worker);
	worker_leave(worker);
	spin_unlock(&pool->lock);
}

/* What a worker has borrowed, and can't give back but by its end: see populate.c. */
static bool current_has_policy(void)
{
#ifdef CONFIG_NUMA
	return unlikely(current->mempolicy);
#else
	return false;
#endif
}

/* One job, or one step of it. */
static void worker_run_job(struct iopf_worker *worker, struct iopf_job *job)
{
	struct iopf_pool *pool = worker->pool;
	bool background = job->background, again, leave;

	__set_current_state(TASK_RUNNING);
	again = job->fn(job);
	leave = current_has_policy();
	if (again && !leave)
		return;
	spin_lock(&pool->lock);
	worker->job = NULL;
	pool->background -= background;
	if (again) {
		list_add(&job->node, &pool->jobs[background]);
		pool_wake(pool);
	}
	if (leave)
		worker_leave(worker);
	spin_unlock(&pool->lock);
}

/* The thread's turn; called by vhost_task_fn() in TASK_INTERRUPTIBLE, again and again. */
static bool worker_fn(void *data)
{
	struct iopf_worker *worker = data;
	struct iopf_pool *pool = worker->pool;
	bool timeout = worker->timeout && !list_empty(&worker->idle);
	struct iopf_job *job;

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
			pool_wake(pool);
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

/* Change the caller's own memory policy, which a new thread inherits. Returns what it was. */
static struct mempolicy *exchange_policy(struct mempolicy *policy)
{
#ifdef CONFIG_NUMA
	task_lock(current);
	swap(current->mempolicy, policy);
	task_unlock(current);
#endif
	return policy;
}

/* A thread that does not run yet. */
static struct iopf_worker *worker_create(struct iopf_pool *pool, bool (*fn)(void *data),
					 const char *name)
{
	struct iopf_worker *worker = kzalloc(sizeof(*worker), GFP_KERNEL_ACCOUNT);
	struct mempolicy *policy;
	struct vhost_task *thread;

	if (!worker)
		return ERR_PTR(-ENOMEM);
	worker->pool = pool;
	INIT_LIST_HEAD(&worker->node);
	INIT_LIST_HEAD(&worker->idle);
	/* It borrows one when it populates. */
	policy = exchange_policy(NULL);
	thread = vhost_task_create(fn, worker_killed, worker, name);
	exchange_policy(policy);
	/* Some 6.12 say NULL. */
	if (IS_ERR_OR_NULL(thread)) {
		kfree(worker);
		return thread ? ERR_CAST(thread) : ERR_PTR(-EAGAIN);
	}
	worker->thread = thread;
	iopf_pool_get(pool);
	__module_get(THIS_MODULE);
	return worker;
}

/* One more thread for jobs. The caller has a reference. */
static int pool_add_worker(struct iopf_pool *pool)
{
	struct iopf_worker *worker = worker_create(pool, worker_fn, "vfio-iopf");

	if (IS_ERR(worker))
		return PTR_ERR(worker);
	spin_lock(&pool->lock);
	list_add_tail(&worker->node, &pool->workers);
	WRITE_ONCE(pool->nr, pool->nr + 1);
	pool->starting++;
	spin_unlock(&pool->lock);
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
	if (!process_has_others()) {
		__set_current_state(TASK_RUNNING);
		pool_die(pool);
		dying = true;
	}
	spin_lock(&pool->lock);
	if (!worker->task)
		worker->task = current;
	if (dying)
		pool_wake_all(pool, true);
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
	if (!user_has_room(pool) || pool_add_worker(pool)) {
		spin_lock(&pool->lock);
		pool->retry_at = jiffies + RETRY_TIME;
		spin_unlock(&pool->lock);
	}
	return true;
}

static int pool_start(struct iopf_pool *pool)
{
	struct iopf_worker *manager;
	int ret = 0;

	lockdep_assert_held(&pool->setup);

	if (!READ_ONCE(pool->manager)) {
		manager = worker_create(pool, manager_fn, "vfio-iopf-main");
		if (IS_ERR(manager))
			return PTR_ERR(manager);
		spin_lock(&pool->lock);
		pool->manager = manager;
		pool->dead = false;
		spin_unlock(&pool->lock);
		vhost_task_start(manager->thread);
	}
	if (!READ_ONCE(pool->nr))
		ret = pool_add_worker(pool);
	return ret;
}

static struct iopf_pool *pool_create(struct mm_struct *mm)
{
	struct iopf_pool *pool = kzalloc(sizeof(*pool), GFP_KERNEL_ACCOUNT);

	if (!pool)
		return NULL;
	mmgrab(mm);
	pool->mm = mm;
	pool->uid = current_uid();
	refcount_set(&pool->refs, 1);
	mutex_init(&pool->setup);
	INIT_LIST_HEAD(&pool->mms);
	spin_lock_init(&pool->lock);
	INIT_LIST_HEAD(&pool->jobs[0]);
	INIT_LIST_HEAD(&pool->jobs[1]);
	INIT_LIST_HEAD(&pool->workers);
	INIT_LIST_HEAD(&pool->idle);
	INIT_LIST_HEAD(&pool->gone);
	pool->retry_at = jiffies;
	INIT_DELAYED_WORK(&pool->join, pool_join_work);
	INIT_WORK(&pool->last, pool_last_work);
	return pool;
}

/* The pool of the calling process, with a reference: there may be one from before. */
static struct iopf_pool *pool_find(struct mm_struct *mm)
{
	struct iopf_pool *pool, *new = pool_create(mm);

	if (!new)
		return NULL;
	spin_lock(&pools_lock);
	list_for_each_entry(pool, &pools, node) {
		if (pool->mm == mm && refcount_inc_not_zero(&pool->refs)) {
			spin_unlock(&pools_lock);
			INIT_LIST_HEAD(&new->node);
			mmdrop(new->mm);
			kfree(new);
			return pool;
		}
	}
	list_add_tail(&new->node, &pools);
	spin_unlock(&pools_lock);
	return new;
}

/**
 * iopf_pool_join() - have threads of the calling process
 * @mm: current->mm
 * @m: a container's view of it; told when the process ends, see iopf_mm_stop()
 *
 * Context: process context of the process, under the container's lock.
 * Return: the pool, with a reference; or an error pointer: what making a thread says.
 */
struct iopf_pool *iopf_pool_join(struct mm_struct *mm, struct iopf_mm *m)
{
	struct iopf_pool *pool = pool_find(mm);
	int ret;

	if (!pool)
		return ERR_PTR(-ENOMEM);
	mutex_lock(&pool->setup);
	/* Before threads are made or found: they don't leave. */
	scoped_guard(spinlock, &pool->lock)
		pool->users++;
	ret = pool_start(pool);
	/* Whoever stops the devices of a process that ends has been here. */
	if (!ret && READ_ONCE(pool->dead))
		ret = -ESRCH;
	list_add(&m->pool_node, &pool->mms);
	mutex_unlock(&pool->setup);
	if (ret) {
		iopf_pool_leave(pool, m);
		iopf_pool_put(pool);
		return ERR_PTR(ret);
	}
	return pool;
}

/**
 * iopf_pool_leave() - undo iopf_pool_join()
 * @pool: the pool; the caller keeps its reference
 * @m: as there
 */
void iopf_pool_leave(struct iopf_pool *pool, struct iopf_mm *m)
{
	scoped_guard(mutex, &pool->setup)
		list_del(&m->pool_node);
	spin_lock(&pool->lock);
	if (!--pool->users)
		pool_wake_all(pool, false);
	spin_unlock(&pool->lock);
}

/**
 * iopf_pool_queue() - have something done by a thread of a process
 * @pool: its pool; the caller has a reference, and keeps one until the job has begun
 * @job: the job
 *
 * Once the process has ended it is done all the same, by a kernel thread.
 *
 * Context: any that may take a spinlock.
 */
void iopf_pool_queue(struct iopf_pool *pool, struct iopf_job *job)
{
	spin_lock(&pool->lock);
	list_add_tail(&job->node, &pool->jobs[job->background]);
	if (pool->dead || (!pool->nr && !pool->manager))
		pool_queue_last(pool);
	else
		pool_wake(pool);
	spin_unlock(&pool->lock);
}

/**
 * iopf_pool_cancel() - take a job back, or have the thread that is at it look up
 * @pool: its pool
 * @job: the job; it has been queued, and may have been begun but not ended
 *
 * Return: whether it has been taken back: it will not be begun. Otherwise the job sees for itself
 * that it is to end.
 */
bool iopf_pool_cancel(struct iopf_pool *pool, struct iopf_job *job)
{
	struct iopf_worker *worker;
	bool waits;

	spin_lock(&pool->lock);
	waits = !list_empty(&job->node);
	if (waits)
		list_del_init(&job->node);
	else
		list_for_each_entry(worker, &pool->workers, node)
			if (worker->job == job && worker->task)
				worker_interrupt(worker);
	spin_unlock(&pool->lock);
	return waits;
}

int iopf_pools_init(void)
{
	pools_wq = alloc_workqueue("vfio_iopf_pools", WQ_UNBOUND, 0);
	pools_last_wq = alloc_workqueue("vfio_iopf_last", WQ_UNBOUND, 0);
	if (pools_wq && pools_last_wq)
		return 0;
	iopf_pools_exit();
	return -ENOMEM;
}

void iopf_pools_exit(void)
{
	if (pools_wq)
		destroy_workqueue(pools_wq);
	if (pools_last_wq)
		destroy_workqueue(pools_last_wq);
	WARN_ON(!list_empty(&pools));
}
