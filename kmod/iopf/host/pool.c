// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pools: threads of a process that populate its memory for devices.
 *
 * Populating may wait for a disk, for reclaim or for user space. So threads of the process itself
 * populate its memory. vhost_task_create() makes these threads, and user space sees them in
 * /proc/PID/task. The memory cgroup, the hugetlb cgroup, the cpuset, the I/O limits, RLIMIT_NPROC
 * and pids.max of the process apply, as for its own accesses, and SIGKILL ends a wait. The threads
 * are in worker.c.
 *
 * The first ioctl of a process that attaches a group or maps memory makes the pool. A thread of the
 * process can be made only in an ioctl of the process. If no thread can be made, an attach succeeds
 * without a pool, but MAP_DMA fails.
 *
 * Bounds, beside RLIMIT_NPROC and pids.max:
 *
 *   IOPF_POOL_WORKERS   workers of a process
 *   USER_WORKERS        workers of a user; FREE_WORKERS of each process do not count
 *   BACKGROUND_WORKERS  workers of a process that do background jobs
 *   USER_JOINS          processes of a user whose ending threads the kernel waits for
 *
 * Jobs beyond these bounds wait in order. A pool that is in use always has at least one worker: if
 * the first threads can't be made, iopf_pool_use() fails.
 *
 * A pool belongs to the process that its threads are part of. Another process that shares the
 * memory (CLONE_VM without CLONE_THREAD) uses the same pool. When the first process ends, the pool
 * is dead for good, and each device that uses the memory through the pool stops, even if the other
 * process keeps the memory. The next MAP_DMA of the other process makes a new pool of its own
 * threads, for what it maps from then on.
 *
 * die vs join: iopf_pool_die() marks the pool dead, and removes it from the table, before it stops
 *   the devices. iopf_pool_join() checks @dead under the lock under which @mms is emptied.
 * die vs others: a worker of the kernel stops the devices, because the owner decides how seldom the
 *   dying thread runs. That thread holds no lock while it waits for the worker.
 * jobs of a dead pool: a workqueue does the jobs that no thread has begun, and those that a thread
 *   has to leave. Populating finds the pool dead, so they end at once.
 * cancel vs job: a job in the queue is taken out. If the job has begun, its worker is interrupted.
 * end of a container vs threads: iopf_pool_wait() gives the threads some time to end, so that the
 *   module can be unloaded afterwards. The owner can delay the threads for longer.
 *
 * Locking: iopf_pool.setup is taken without the container's lock. iopf_pool.lock is a leaf, inside
 * of iopf_fault_queue.lock and iopf_prefaults.lock. pools_lock is a leaf inside of iopf_pool.lock.
 */
#include <linux/cleanup.h>
#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/jiffies.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "mm.h"
#include "pool.h"
#include "worker.h"

/* Maximum number of workers of a user. */
#define USER_WORKERS		1024U
/* These workers of each process don't count for USER_WORKERS. */
#define FREE_WORKERS		8U
/* Processes of a user whose ending threads are waited for at a time. */
#define USER_JOINS		32U

/**
 * struct iopf_pool_user - a user, and the number of workers of its processes
 * @node: in users
 * @uid: in the initial user namespace
 * @ns: number of a user namespace that root has made, whose users count together; or 0
 * @pools: number of pools of the user
 * @workers: number of workers that count for USER_WORKERS
 * @joins: number of pools whose ending threads are waited for
 *
 * pools_lock protects all fields but @uid and @ns, which don't change.
 */
struct iopf_pool_user {
	struct hlist_node node;
	kuid_t uid;
	unsigned int ns;
	unsigned int pools;
	unsigned int workers;
	unsigned int joins;
};

/* Pools that are not dead, by mm. */
static DEFINE_HASHTABLE(pools, 10);
static DEFINE_HASHTABLE(users, 8);
static DEFINE_SPINLOCK(pools_lock); /* protects both; a leaf */
/* Does the jobs that dead pools have left. It never waits for a thread. */
static struct workqueue_struct *pools_last_wq;
/* Stops the devices of dead pools. A process that the OOM killer kills waits for that. */
static struct workqueue_struct *pools_stop_wq;

/*
 * Set the user to the one that the caller counts as. In a user namespace a user may have many user
 * ids, so it counts as the user that made the outermost namespace. Root makes namespaces for
 * others: then all users of that namespace count together.
 */
static void user_init(struct iopf_pool_user *user)
{
	const struct user_namespace *ns = current_user_ns();

	user->uid = current_uid();
	user->ns = 0;
	for (; ns != &init_user_ns; ns = ns->parent) {
		user->uid = ns->owner;
		user->ns = ns->ns.inum;
	}
	if (!uid_eq(user->uid, GLOBAL_ROOT_UID))
		user->ns = 0;
}

static u32 user_key(const struct iopf_pool_user *user)
{
	return __kuid_val(user->uid) ^ user->ns;
}

/* Return the entry of the user of @new. If there is none, add @new. */
static struct iopf_pool_user *user_get(struct iopf_pool_user *new)
{
	struct iopf_pool_user *user;

	lockdep_assert_held(&pools_lock);

	hash_for_each_possible(users, user, node, user_key(new)) {
		if (uid_eq(user->uid, new->uid) && user->ns == new->ns) {
			user->pools++;
			return user;
		}
	}
	new->pools = 1;
	hash_add(users, &new->node, user_key(new));
	return new;
}

/* Count one pool less. Returns the entry if the caller has to free it, or NULL. */
static struct iopf_pool_user *user_put(struct iopf_pool_user *user)
{
	lockdep_assert_held(&pools_lock);

	if (--user->pools)
		return NULL;
	hash_del(&user->node);
	WARN_ON_ONCE(user->workers || user->joins);
	return user;
}

/**
 * iopf_pool_add() - count one more worker, unless the user has too many
 * @pool: the pool, locked
 *
 * Return: whether the caller may make the worker.
 */
bool iopf_pool_add(struct iopf_pool *pool)
{
	bool room = true;

	lockdep_assert_held(&pool->lock);

	if (pool->nr >= FREE_WORKERS) {
		spin_lock(&pools_lock);
		room = pool->user->workers < USER_WORKERS;
		pool->user->workers += room;
		spin_unlock(&pools_lock);
	}
	if (room)
		WRITE_ONCE(pool->nr, pool->nr + 1);
	return room;
}

/**
 * iopf_pool_remove() - undo iopf_pool_add()
 * @pool: the pool, locked
 */
void iopf_pool_remove(struct iopf_pool *pool)
{
	lockdep_assert_held(&pool->lock);

	WRITE_ONCE(pool->nr, pool->nr - 1);
	if (pool->nr >= FREE_WORKERS) {
		spin_lock(&pools_lock);
		pool->user->workers--;
		spin_unlock(&pools_lock);
	}
	iopf_pool_attend(pool);
}

/**
 * iopf_pool_join_begin() - ask for permission to wait for the ending threads of a pool
 * @pool: the pool
 *
 * A user decides how long its threads take to end: by cpu.max, SCHED_IDLE, or as a tracer. So only
 * USER_JOINS of its processes may keep a worker of the kernel waiting.
 *
 * Return: whether the caller may wait; then it calls iopf_pool_join_end() afterwards.
 */
bool iopf_pool_join_begin(struct iopf_pool *pool)
{
	bool room;

	spin_lock(&pools_lock);
	room = pool->user->joins < USER_JOINS;
	pool->user->joins += room;
	spin_unlock(&pools_lock);
	return room;
}

/**
 * iopf_pool_join_end() - undo iopf_pool_join_begin()
 * @pool: the pool; the caller has a reference
 */
void iopf_pool_join_end(struct iopf_pool *pool)
{
	spin_lock(&pools_lock);
	pool->user->joins--;
	spin_unlock(&pools_lock);
}

/* The slow path of iopf_pool_put(), for what may be the last reference. */
void iopf_pool_put_last(struct iopf_pool *pool)
{
	struct iopf_pool_user *unused = NULL;
	bool last;

	spin_lock(&pools_lock);
	last = refcount_dec_and_test(&pool->refs);
	if (last) {
		hash_del(&pool->node);
		unused = user_put(pool->user);
	}
	spin_unlock(&pools_lock);
	if (!last)
		return;
	WARN_ON(!list_empty(&pool->jobs[0]) || !list_empty(&pool->jobs[1]));
	mutex_destroy(&pool->setup);
	mmdrop(pool->mm);
	kfree(pool);
	kfree(unused);
}

/* Have a kernel thread do the queued jobs. */
static void pool_queue_last(struct iopf_pool *pool)
{
	lockdep_assert_held(&pool->lock);

	refcount_inc(&pool->refs);
	if (!queue_work(pools_last_wq, &pool->last))
		refcount_dec(&pool->refs);
}

/**
 * iopf_pool_attend() - wake a thread for queued jobs, or have the kernel do them
 * @pool: the pool, locked
 *
 * Called after the jobs or the threads of the pool have changed.
 */
void iopf_pool_attend(struct iopf_pool *pool)
{
	lockdep_assert_held(&pool->lock);

	if (list_empty(&pool->jobs[0]) && list_empty(&pool->jobs[1]))
		return;
	if (pool->dead || (!pool->nr && !pool->manager))
		pool_queue_last(pool);
	else
		iopf_workers_wake(pool);
}

/* Do the jobs that a dead pool has left. No thread of the pool runs any of them. */
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
		/* The job populates nothing here, so it does not ask to be called again. */
		WARN_ON_ONCE(job->fn(job));
		cond_resched();
	}
	iopf_pool_put(pool);
}

/* Stop all containers that map the memory of a dead pool. No more are added to @mms. */
static void pool_stop_work(struct work_struct *work)
{
	struct iopf_pool *pool = container_of(work, struct iopf_pool, stop);
	struct iopf_mm *m;

	for (;;) {
		scoped_guard(spinlock, &pool->lock) {
			m = list_first_entry_or_null(&pool->mms, struct iopf_mm, pool_node);
			if (m) {
				list_del_init(&m->pool_node);
				refcount_inc(&m->refs);
			}
		}
		if (!m)
			break;
		iopf_mm_stop(m);
		iopf_mm_put(m);
		cond_resched();
	}
}

/**
 * iopf_pool_die() - stop the devices of a process that ends
 * @pool: pool of the process
 *
 * The devices can't wait for the release callback of the notifier, because other users of the
 * memory may delay it for any time: another process's userfaultfd, /proc/PID/mem, a thread that
 * can't be interrupted, a process that shares the memory.
 *
 * Context: a thread of the pool; sleeps.
 */
void iopf_pool_die(struct iopf_pool *pool)
{
	scoped_guard(spinlock, &pool->lock) {
		if (pool->dead)
			return;
		WRITE_ONCE(pool->dead, true);
		scoped_guard(spinlock, &pools_lock)
			hash_del(&pool->node);
		iopf_pool_attend(pool);
	}
	queue_work(pools_stop_wq, &pool->stop);
	flush_work(&pool->stop);
}

static struct iopf_pool *pool_create(struct mm_struct *mm)
{
	struct iopf_pool *pool = kzalloc(sizeof(*pool), GFP_KERNEL_ACCOUNT);

	if (!pool)
		return NULL;
	pool->user = kzalloc(sizeof(*pool->user), GFP_KERNEL_ACCOUNT);
	if (!pool->user) {
		kfree(pool);
		return NULL;
	}
	user_init(pool->user);
	mmgrab(mm);
	pool->mm = mm;
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
	init_waitqueue_head(&pool->left);
	iopf_workers_init(pool);
	INIT_WORK(&pool->stop, pool_stop_work);
	INIT_WORK(&pool->last, pool_last_work);
	return pool;
}

/* Find the pool of @mm that is not dead. Returns it with a reference, or NULL. */
static struct iopf_pool *pool_lookup(struct mm_struct *mm)
{
	struct iopf_pool *pool;

	lockdep_assert_held(&pools_lock);

	hash_for_each_possible(pools, pool, node, (unsigned long)mm)
		if (pool->mm == mm && refcount_inc_not_zero(&pool->refs))
			return pool;
	return NULL;
}

/* Find or make the pool of the calling process. Returns it with a reference, or NULL. */
static struct iopf_pool *pool_find(struct mm_struct *mm)
{
	struct iopf_pool_user *unused;
	struct iopf_pool *pool, *new;

	scoped_guard(spinlock, &pools_lock)
		pool = pool_lookup(mm);
	if (pool)
		return pool;
	new = pool_create(mm);
	if (!new)
		return NULL;
	unused = new->user;
	spin_lock(&pools_lock);
	pool = pool_lookup(mm);
	if (!pool) {
		new->user = user_get(unused);
		hash_add(pools, &new->node, (unsigned long)mm);
	}
	spin_unlock(&pools_lock);
	if (pool) {
		mutex_destroy(&new->setup);
		mmdrop(new->mm);
		kfree(new);
	}
	if (pool || new->user != unused)
		kfree(unused);
	return pool ?: new;
}

/**
 * iopf_pool_use() - start threads of the calling process, if it has none
 *
 * Context: process context of the process.
 * Return: the pool, with a reference, and with threads until iopf_pool_unuse(). Or an error
 * pointer: the error of making a thread; -ESRCH: the process ends; -EINTR: the caller is killed.
 */
struct iopf_pool *iopf_pool_use(void)
{
	struct iopf_pool *pool = pool_find(current->mm);
	int ret;

	if (!pool)
		return ERR_PTR(-ENOMEM);
	if (mutex_lock_killable(&pool->setup)) {
		iopf_pool_put(pool);
		return ERR_PTR(-EINTR);
	}
	/* From here on no thread of the pool leaves. */
	scoped_guard(spinlock, &pool->lock)
		pool->users++;
	ret = READ_ONCE(pool->dead) ? -ESRCH : iopf_workers_start(pool);
	mutex_unlock(&pool->setup);
	if (ret) {
		iopf_pool_unuse(pool);
		iopf_pool_put(pool);
		return ERR_PTR(ret);
	}
	return pool;
}

/**
 * iopf_pool_unuse() - undo iopf_pool_use()
 * @pool: the pool; the caller keeps its reference
 */
void iopf_pool_unuse(struct iopf_pool *pool)
{
	spin_lock(&pool->lock);
	if (!--pool->users)
		iopf_workers_wake_all(pool, false);
	spin_unlock(&pool->lock);
}

/**
 * iopf_pool_join() - start threads of the calling process for a container
 * @m: the container's iopf_mm of the process; iopf_mm_stop() is called when the process ends
 *
 * Return: as iopf_pool_use().
 */
struct iopf_pool *iopf_pool_join(struct iopf_mm *m)
{
	struct iopf_pool *pool = iopf_pool_use();
	bool dead;

	if (IS_ERR(pool))
		return pool;
	scoped_guard(spinlock, &pool->lock) {
		dead = pool->dead;
		/* If the pool is not dead, pool_stop_work() has not run yet and will find @m. */
		if (!dead)
			list_add(&m->pool_node, &pool->mms);
	}
	if (dead) {
		iopf_pool_unuse(pool);
		iopf_pool_put(pool);
		return ERR_PTR(-ESRCH);
	}
	return pool;
}

/**
 * iopf_pool_leave() - undo iopf_pool_join()
 * @pool: the pool; the caller keeps its reference
 * @m: as there. pool_stop_work() may still be stopping it, with a reference
 */
void iopf_pool_leave(struct iopf_pool *pool, struct iopf_mm *m)
{
	scoped_guard(spinlock, &pool->lock)
		list_del_init(&m->pool_node);
	iopf_pool_unuse(pool);
}

/**
 * iopf_pool_wait() - wait until the threads of an unused pool have ended, or a timeout
 * @pool: the pool
 * @timeout: maximum time, in jiffies
 *
 * Return: the rest of @timeout.
 */
long iopf_pool_wait(struct iopf_pool *pool, long timeout)
{
	return wait_event_timeout(pool->left,
				  !READ_ONCE(pool->threads) || READ_ONCE(pool->users), timeout);
}

/**
 * iopf_pool_queue() - queue a job for a thread of a process
 * @pool: pool of the process; the caller has a reference, and keeps one until the job has begun
 * @job: the job
 *
 * If the process has ended, a kernel thread calls the job.
 *
 * Context: any that may take a spinlock.
 */
void iopf_pool_queue(struct iopf_pool *pool, struct iopf_job *job)
{
	spin_lock(&pool->lock);
	list_add_tail(&job->node, &pool->jobs[job->background]);
	iopf_pool_attend(pool);
	spin_unlock(&pool->lock);
}

/**
 * iopf_pool_cancel() - take a job out of the queue, or interrupt its thread
 * @pool: pool of the job
 * @job: the job; it has been queued, and has not ended
 *
 * Return: true if the job is out of the queue and will not begin. Otherwise a thread has begun the
 * job, and the job finds out itself that it has to end.
 */
bool iopf_pool_cancel(struct iopf_pool *pool, struct iopf_job *job)
{
	bool waits;

	spin_lock(&pool->lock);
	waits = !list_empty(&job->node);
	if (waits)
		list_del_init(&job->node);
	else
		iopf_workers_interrupt(pool, job);
	spin_unlock(&pool->lock);
	return waits;
}

int iopf_pools_init(void)
{
	int ret = iopf_workers_wq_init();

	if (ret)
		return ret;
	pools_last_wq = alloc_workqueue("vfio_iopf_last", WQ_UNBOUND, 0);
	if (!pools_last_wq)
		goto err_workers;
	pools_stop_wq = alloc_workqueue("vfio_iopf_stop", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!pools_stop_wq)
		goto err_last;
	return 0;

err_last:
	destroy_workqueue(pools_last_wq);
err_workers:
	iopf_workers_wq_exit();
	return -ENOMEM;
}

void iopf_pools_exit(void)
{
	iopf_workers_wq_exit();
	destroy_workqueue(pools_stop_wq);
	destroy_workqueue(pools_last_wq);
	WARN_ON(!hash_empty(pools) || !hash_empty(users));
}
