// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pools: threads of a process that populate its memory for devices.
 *
 * Whatever may wait for a disk, for reclaim or for user space is populated by threads that belong
 * to the process whose memory it is: vhost_task_create() makes them, and user space sees them in
 * /proc/PID/task. So the memory cgroup, the hugetlb cgroup, the cpuset, I/O limits, RLIMIT_NPROC
 * and pids.max of the process hold, as for its own accesses, and SIGKILL ends a wait. The threads
 * are in worker.c.
 *
 * A pool is made when a process attaches a group or maps memory first, in that ioctl: only there a
 * thread of the process can be made. Who attaches may do without; who maps may not.
 *
 * Bounds, beside RLIMIT_NPROC and pids.max: IOPF_POOL_WORKERS for a process; USER_WORKERS for a
 * user, of which the first FREE_WORKERS of each process do not count; BACKGROUND_WORKERS of a
 * process do what nobody waits for; USER_JOINS processes of a user have threads that leave and are
 * waited for. Jobs beyond that wait in order. When a thread can't be made,
 * the ioctl that makes the first ones fails; later there is one worker at least.
 *
 * Whose: a pool belongs to the process whose threads it has. Another process that shares the memory
 * (CLONE_VM without CLONE_THREAD) uses the same pool. When the process ends, the pool is dead for
 * good, and each device that uses the memory through it stops, though the memory may live on in the
 * other process. That one has a new pool of its own threads from its next MAP_DMA on, for what it
 * maps then.
 *
 * die vs join: the pool is dead, and found no more, before its devices are stopped. Whoever joins
 *   looks under the lock under which the devices to be stopped are collected.
 * die vs others: a worker of the kernel stops the devices. The thread that dies waits for it with
 *   nothing held, for its owner decides how seldom it runs.
 * jobs of a dead pool: those that no thread has begun, or that a thread has to leave, are done by a
 *   workqueue: populating finds the pool dead, so they end at once.
 * cancel vs job: a job that waits in the queue is taken out; for one that has begun, its worker is
 *   interrupted.
 * end of a container vs threads: iopf_pool_wait() gives them some time to leave, so that the module
 *   can be unloaded after that. The owner can make it last longer than that.
 *
 * Locking: iopf_pool.setup is taken without the container's lock; iopf_pool.lock is a leaf, inside
 * of iopf_fault_queue.lock and iopf_prefaults.lock; pools_lock is a leaf inside of that.
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

/* Workers of all processes of a user, and those of each process that don't count. */
#define USER_WORKERS		1024U
#define FREE_WORKERS		8U
/* Processes of a user whose threads are waited for at a time. */
#define USER_JOINS		32U

/**
 * struct iopf_pool_user - a user, whose processes' workers are counted
 * @node: in users
 * @uid: in the initial user namespace
 * @ns: the number of the user namespace that root has made, and whose users count together; or 0
 * @pools: pools of the user
 * @workers: those that count
 * @joins: pools whose threads are being waited for
 *
 * @node and @pools are under pools_lock, @workers and @joins under that too.
 */
struct iopf_pool_user {
	struct hlist_node node;
	kuid_t uid;
	unsigned int ns;
	unsigned int pools;
	unsigned int workers;
	unsigned int joins;
};

/* By mm: pools that are not dead. */
static DEFINE_HASHTABLE(pools, 10);
static DEFINE_HASHTABLE(users, 8);
static DEFINE_SPINLOCK(pools_lock); /* protects both; a leaf */
/* Ends what dead pools have left. It never waits for a thread. */
static struct workqueue_struct *pools_last_wq;
/* Stops devices of dead pools. A process that is killed for its memory waits for that. */
static struct workqueue_struct *pools_stop_wq;

/*
 * Whoever may have many user ids by a user namespace counts as who has made that one. Root makes
 * them for others: then all of the namespace count together.
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

/* The caller's entry among all users; @new becomes it if there is none. */
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

/* Returns what is to be freed. */
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
 * iopf_pool_add() - one worker more, unless the user has too many
 * @pool: the pool, locked
 *
 * Return: whether it may be made.
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
 * iopf_pool_join_begin() - threads that leave are going to be waited for
 * @pool: the pool
 *
 * A user decides how long its threads take to end: by cpu.max, SCHED_IDLE, or as a tracer. So only
 * some of its processes may keep a worker of the kernel waiting.
 *
 * Return: whether they may be waited for now; then iopf_pool_join_end() follows.
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

/* The rest of iopf_pool_put(): it may be the last reference. */
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

/* Have the jobs that are left ended by a kernel thread. */
static void pool_queue_last(struct iopf_pool *pool)
{
	lockdep_assert_held(&pool->lock);

	refcount_inc(&pool->refs);
	if (!queue_work(pools_last_wq, &pool->last))
		refcount_dec(&pool->refs);
}

/**
 * iopf_pool_attend() - see to it that somebody does the jobs that wait
 * @pool: the pool, locked; its threads may have changed
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

/* Each of @mms is another container's. A dead pool gets no more of them. */
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
 * iopf_pool_die() - the process ends: its devices stop now
 * @pool: its pool
 *
 * Other uses of its memory may go on for as long as they like: another process's userfaultfd,
 * /proc/PID/mem, a thread that can't be interrupted, a process that shares it.
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

/* Of a process's memory: one that is not dead, with a reference, or NULL. */
static struct iopf_pool *pool_lookup(struct mm_struct *mm)
{
	struct iopf_pool *pool;

	lockdep_assert_held(&pools_lock);

	hash_for_each_possible(pools, pool, node, (unsigned long)mm)
		if (pool->mm == mm && refcount_inc_not_zero(&pool->refs))
			return pool;
	return NULL;
}

/* The pool of the calling process, with a reference. */
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
 * iopf_pool_use() - have threads of the calling process
 *
 * Context: process context of the process.
 * Return: the pool, in use and with a reference, until iopf_pool_unuse(); or an error pointer: what
 * making a thread says; -ESRCH when the process ends; -EINTR when the caller is killed.
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
	/* Before threads are made or found: they don't leave. */
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
 * iopf_pool_join() - have threads of the calling process for a container
 * @m: the container's view of the process's memory; told when the process ends, see iopf_mm_stop()
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
		/* Otherwise pool_stop_work() is still to come. */
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
 * @m: as there. It may be stopped still, with a reference
 */
void iopf_pool_leave(struct iopf_pool *pool, struct iopf_mm *m)
{
	scoped_guard(spinlock, &pool->lock)
		list_del_init(&m->pool_node);
	iopf_pool_unuse(pool);
}

/**
 * iopf_pool_wait() - give the threads of a pool that nobody uses some time to leave
 * @pool: the pool
 * @timeout: how long, in jiffies
 *
 * Return: what is left of @timeout.
 */
long iopf_pool_wait(struct iopf_pool *pool, long timeout)
{
	return wait_event_timeout(pool->left,
				  !READ_ONCE(pool->threads) || READ_ONCE(pool->users), timeout);
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
	iopf_pool_attend(pool);
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
