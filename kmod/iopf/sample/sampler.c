// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sampling a space: which chunks its devices use, and when, at little cost.
 *
 * Devices do not tell. But what has been unmapped and is missed is in use. So some chunks are
 * unmapped now and then (looked at), and the fault that brings one back is an event: core/sample.h
 * says which chunks, when, and what the log of it looks like. User space reads the log
 * (iopfctl advise) and works out from it how many faults there would be at what limit.
 *
 * A look loses nothing, neither data nor dirty pages nor what the chunk is allowed to map: the
 * first fault maps what is there, as ever, and what comes after the answer the rest. Until then
 * nothing is mapped ahead of a device there, or nobody would learn that it is used.
 *
 * Cost: the time of looking, and of the faults that brings about, from the report to the end of
 * what is done after the answer. When that exceeds 0.8 % of the time since sampling began, or would
 * if what has been looked at lately came back, nothing is looked at for as long; so chunks are
 * left alone for longer than the interval, all of them alike, and the log's header says how long.
 * What a fault costs beside our handler, in device, IOMMU and its driver, is not known here and
 * not counted. A space that is not sampled while others are pays for a call per fault that
 * finds nothing to do; while none is, nothing.
 *
 * Leaves of 1 GiB: they would hide what is used in them. There are none while a space is
 * sampled.
 *
 * Memory: 64 bytes for each chunk that may be watched, 24 for each event, from the start to the
 * next start or the space's end.
 *
 * Invariants: what is said of a chunk by iopf_chunk.look and by its point in the table agree
 * whenever the chunk's lock is free: BACK: seen; AWAY: away; NEW, NONE: it has no point, or one
 * that is left over from a chunk before it that had the same address, or from before it was
 * forgotten for want of room.
 *
 * Locking: sampler.lock (starting, stopping, reading) -> the space's -> ... -> the chunk's ->
 * iopf_watch.lock, a leaf spinlock, which the locks of the areas' arrays go outside of, too.
 * Chunks are found by address under RCU.
 *
 * look vs fault: both hold the chunk's lock, and change its state and its point under it.
 * look vs unmap: the chunk is found anew each time, or not; a dead one is not looked at.
 * look vs freeze: a chunk of a frozen area is let be, since its device could not get it back.
 * start vs new chunks: the space says that it is sampled before its chunks are gone through,
 *   passing through the lock of each area's array. So a chunk is made by who knows, or found there.
 * stop vs fault: who still finds a chunk marked finds sampling off, under iopf_watch.lock, and
 *   takes the mark off. Those that no fault comes to are gone through.
 * stop vs look: the worker is waited for, without the space's lock, which it does not take.
 * space's end: the files go first, which waits for whoever starts or reads; then it is stopped.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "../../../core/sample.h"
#include "../budget/watch.h"
#include "../lib/params.h"
#include "../map/area.h"
#include "../map/chunk.h"
#include "../map/space.h"
#include "../map/span.h"
#include "sampler.h"

/* Events that the log keeps: at 1 % of the time, what comes in half a minute and more. */
#define EVENTS SZ_32K
/* Chunks watched at most, unless told otherwise. */
#define POINTS 1024U
#define POINTS_MIN 16U
#define POINTS_MAX SZ_256K
#define INTERVAL_MAX (60U * MSEC_PER_SEC)
/*
 * Of the time that may be spent, one part in so many: 0.8 %. What has been looked at comes back
 * when it likes, so that may be exceeded; 1 % is not, but at the very beginning.
 */
#define SHARE 125U
/* What a fault is taken to cost before there was any, and as much as one more says after that. */
#define COST_FIRST (50 * NSEC_PER_USEC)
/* A chunk that does not come back soon is less and less likely to, at each turn of the worker. */
#define OUT_DECAY 16U
/* Looks before others have their turn on the processor. */
#define BATCH 64U

/**
 * struct iopf_sampler - the sampling of a container
 * @space: its address space, which outlives it
 * @lock: outermost of our locks: starting, stopping, reading the log
 * @max: chunks watched at most. Under @lock.
 * @watch: which chunks, and when they were used
 * @work: looks at chunks
 */
struct iopf_sampler {
	struct iopf_space *space;
	struct mutex lock; /* order: see above */
	unsigned int max;
	struct iopf_watch watch;
	struct delayed_work work;
};

/* Whether one more look may be too much. */
static bool sampler_broke(const struct iopf_sampler *sampler)
{
	u64 cost = div64_u64(sampler->watch.spent + COST_FIRST, sampler->watch.faults + 1);

	lockdep_assert_held(&sampler->watch.lock);

	return sampler->watch.spent + cost * (sampler->watch.out + 1) >
	       div_u64(iopf_watch_elapsed(&sampler->watch), SHARE);
}

/* The next block to look at, and when it was seen. False: none now. */
static bool sampler_due(struct iopf_sampler *sampler, struct iopf_sample_point *due)
{
	struct iopf_sample_point *p = NULL;

	spin_lock(&sampler->watch.lock);
	if (sampler->watch.on && !sampler_broke(sampler))
		p = iopf_sample_due(&sampler->watch.sample, iopf_watch_now(&sampler->watch));
	if (p)
		*due = *p;
	spin_unlock(&sampler->watch.lock);
	return p;
}

static struct iopf_chunk *sampler_chunk(struct iopf_sampler *sampler, u64 block)
{
	u64 iova = block << PAGE_SHIFT;
	struct iopf_area *area = mtree_load(&sampler->space->areas, iova);

	return area ? iopf_area_chunk_there(area, iova) : NULL;
}

/* A block that could not be looked at: not now, or never again. */
static void sampler_skip(struct iopf_sampler *sampler, const struct iopf_sample_point *due,
			 bool there)
{
	struct iopf_sample_point *p;

	spin_lock(&sampler->watch.lock);
	p = iopf_sample_find(&sampler->watch.sample, due->block);
	/* Unless it has been seen, or taken away, meanwhile. */
	if (p && !p->away && p->at == due->at) {
		if (there)
			iopf_sample_defer(&sampler->watch.sample, p,
					  iopf_watch_now(&sampler->watch));
		else
			iopf_sample_forget(&sampler->watch.sample, p);
	}
	spin_unlock(&sampler->watch.lock);
}

/* Look at one chunk. False: none is due, or it would take too much. */
static bool sampler_look(struct iopf_sampler *sampler)
{
	struct iopf_sample_point due;
	struct iopf_chunk *chunk;
	u64 start = ktime_get_ns();
	bool looked, there;

	if (!sampler_due(sampler, &due))
		return false;
	rcu_read_lock();
	chunk = sampler_chunk(sampler, due.block);
	there = chunk && iopf_chunk_block(chunk) == due.block;
	looked = there && iopf_chunk_look(chunk);
	rcu_read_unlock();
	if (!looked)
		sampler_skip(sampler, &due, there);
	iopf_watch_spend(&sampler->watch, ktime_get_ns() - start, false);
	return true;
}

static void sampler_work(struct work_struct *work)
{
	struct iopf_sampler *sampler =
		container_of(to_delayed_work(work), struct iopf_sampler, work);
	unsigned int looks;

	spin_lock(&sampler->watch.lock);
	sampler->watch.out -= DIV_ROUND_UP(sampler->watch.out, OUT_DECAY);
	spin_unlock(&sampler->watch.lock);
	for (looks = 0; looks < BATCH && sampler_look(sampler); looks++)
		cond_resched();
	if (READ_ONCE(sampler->watch.on))
		queue_delayed_work(iopf_wq, &sampler->work, looks < BATCH);
}

/* Starting and stopping */

static int sampler_alloc(struct iopf_sample *s, unsigned int points)
{
	s->point = kvcalloc(points, sizeof(*s->point), GFP_KERNEL_ACCOUNT);
	s->bucket = kvcalloc(points, sizeof(*s->bucket), GFP_KERNEL_ACCOUNT);
	s->event = kvcalloc(EVENTS, sizeof(*s->event), GFP_KERNEL_ACCOUNT);
	s->points = points;
	s->events = EVENTS;
	return s->point && s->bucket && s->event ? 0 : -ENOMEM;
}

static void sampler_release(struct iopf_sample *s)
{
	kvfree(s->point);
	kvfree(s->bucket);
	kvfree(s->event);
}

/* A chunk that was there before: what is mapped has been seen now, as far as we know. */
static void chunk_begin(struct iopf_sampler *sampler, struct iopf_chunk *chunk)
{
	bool away;

	spin_lock(&chunk->lock);
	/* Its first fault has been quicker. */
	if (chunk->dead || chunk->look != IOPF_LOOK_NONE)
		goto out;
	away = !iopf_chunk_loose(chunk);
	spin_lock(&sampler->watch.lock);
	sampler->watch.sample.all++;
	if (iopf_sample_watch(&sampler->watch.sample, iopf_chunk_block(chunk),
			      iopf_watch_now(&sampler->watch), away))
		chunk->look = away ? IOPF_LOOK_AWAY : IOPF_LOOK_BACK;
	spin_unlock(&sampler->watch.lock);
out:
	spin_unlock(&chunk->lock);
}

static void chunk_end(struct iopf_sampler *sampler, struct iopf_chunk *chunk)
{
	spin_lock(&chunk->lock);
	chunk->look = IOPF_LOOK_NONE;
	spin_unlock(&chunk->lock);
}

static void sampler_chunks(struct iopf_sampler *sampler,
			   void (*fn)(struct iopf_sampler *sampler, struct iopf_chunk *chunk))
{
	struct iopf_space *space = sampler->space;
	struct iopf_chunk *chunk;
	struct iopf_area *area;
	unsigned long index = 0, i;

	lockdep_assert_held(&space->lock);

	area = NULL;
	while ((area = iopf_space_next_area(space, area, &index, ULONG_MAX))) {
		/* A chunk that is made after this knows; the others are in the array. */
		xa_lock(&area->chunks);
		xa_unlock(&area->chunks);
		/* For both alike: at the end there are none. */
		iopf_spans_flush(area);
		chunk = NULL;
		while ((chunk = iopf_area_next_chunk(area, chunk, &i)))
			fn(sampler, chunk);
	}
}

static void sampler_stop(struct iopf_sampler *sampler)
{
	lockdep_assert_held(&sampler->lock);

	if (!sampler->watch.on)
		return;
	spin_lock(&sampler->watch.lock);
	sampler->watch.ended = ktime_get_ns();
	WRITE_ONCE(sampler->watch.on, false);
	spin_unlock(&sampler->watch.lock);
	cancel_delayed_work_sync(&sampler->work);
	scoped_guard(mutex, &sampler->space->lock)
	{
		WRITE_ONCE(sampler->space->sampled, false);
		sampler_chunks(sampler, chunk_end);
	}
	static_branch_dec(&iopf_sample_on);
}

static int sampler_start(struct iopf_sampler *sampler, unsigned int interval)
{
	struct iopf_sample fresh = {}, old;
	int ret = sampler_alloc(&fresh, sampler->max);

	lockdep_assert_held(&sampler->lock);

	if (ret) {
		sampler_release(&fresh);
		return ret;
	}
	sampler_stop(sampler);
	/* Before there is anything that its users have to see. */
	static_branch_inc(&iopf_sample_on);
	spin_lock(&sampler->watch.lock);
	old = sampler->watch.sample;
	sampler->watch.sample = fresh;
	iopf_sample_init(&sampler->watch.sample, interval * USEC_PER_MSEC);
	sampler->watch.began = ktime_get_ns();
	sampler->watch.spent = 0;
	sampler->watch.faults = 0;
	sampler->watch.out = 0;
	WRITE_ONCE(sampler->watch.on, true);
	spin_unlock(&sampler->watch.lock);
	sampler_release(&old);
	scoped_guard(mutex, &sampler->space->lock)
	{
		WRITE_ONCE(sampler->space->sampled, true);
		sampler_chunks(sampler, chunk_begin);
	}
	queue_delayed_work(iopf_wq, &sampler->work, 1);
	return 0;
}

/**
 * iopf_sampler_interval() - how often a chunk is looked at
 * @sampler: the container's
 *
 * Return: milliseconds; 0: nothing is sampled.
 */
unsigned int iopf_sampler_interval(struct iopf_sampler *sampler)
{
	unsigned int interval;

	spin_lock(&sampler->watch.lock);
	interval = sampler->watch.on ? sampler->watch.sample.interval / USEC_PER_MSEC : 0;
	spin_unlock(&sampler->watch.lock);
	return interval;
}

/**
 * iopf_sampler_set_interval() - begin to sample, or end it
 * @sampler: the container's
 * @ms: how often a chunk is looked at; 0: end
 *
 * Return: 0; -EINVAL; -ENOMEM; -EINTR.
 */
int iopf_sampler_set_interval(struct iopf_sampler *sampler, unsigned int ms)
{
	int ret = 0;

	if (mutex_lock_interruptible(&sampler->lock))
		return -EINTR;
	if (ms > INTERVAL_MAX)
		ret = -EINVAL;
	else if (ms)
		ret = sampler_start(sampler, ms);
	else
		sampler_stop(sampler);
	mutex_unlock(&sampler->lock);
	return ret;
}

/* Chunks that are watched at most, when sampling is started the next time. */
unsigned int iopf_sampler_max(const struct iopf_sampler *sampler)
{
	return READ_ONCE(sampler->max);
}

/**
 * iopf_sampler_set_max() - set how many chunks are watched at most
 * @sampler: the container's
 * @max: how many
 *
 * Return: 0; -EINVAL; -EBUSY while chunks are sampled; -EINTR.
 */
int iopf_sampler_set_max(struct iopf_sampler *sampler, unsigned int max)
{
	int ret = 0;

	if (mutex_lock_interruptible(&sampler->lock))
		return -EINTR;
	if (max < POINTS_MIN || max > POINTS_MAX)
		ret = -EINVAL;
	else if (sampler->watch.on)
		ret = -EBUSY;
	else
		WRITE_ONCE(sampler->max, max);
	mutex_unlock(&sampler->lock);
	return ret;
}

/**
 * iopf_sampler_cost() - what sampling costs
 * @sampler: the container's
 *
 * Return: its part of the time, in millionths.
 */
u64 iopf_sampler_cost(struct iopf_sampler *sampler)
{
	u64 spent, elapsed;

	spin_lock(&sampler->watch.lock);
	spent = sampler->watch.spent;
	elapsed = iopf_watch_elapsed(&sampler->watch);
	spin_unlock(&sampler->watch.lock);
	return mul_u64_u64_div_u64(spent, USEC_PER_SEC, elapsed ?: 1);
}

/**
 * iopf_sampler_log() - read the log: the header as it is now, then events by their numbers
 * @sampler: the container's
 * @buf: out
 * @off: where to begin, in bytes; the header is at 0
 * @count: bytes at most
 *
 * Return: bytes; 0: what has not come yet; -EPIPE: what has been overwritten by later ones, as in
 * /dev/kmsg; -EINVAL: not a whole event; -ENODATA: there has been no sampling.
 */
ssize_t iopf_sampler_log(struct iopf_sampler *sampler, char *buf, loff_t off, size_t count)
{
	const size_t record = sizeof(struct iopf_sample_event);
	struct iopf_sample_header head;
	ssize_t ret;
	u64 nr;

	spin_lock(&sampler->watch.lock);
	if (!sampler->watch.sample.points) {
		ret = -ENODATA;
		goto out;
	}
	iopf_sample_head(&sampler->watch.sample, iopf_watch_now(&sampler->watch), &head);
	if (off < sizeof(head)) {
		ret = min(count, sizeof(head) - (size_t)off);
		memcpy(buf, (u8 *)&head + off, ret);
		goto out;
	}
	off -= sizeof(head);
	nr = div_u64(off, record);
	if (off != nr * record || count < record)
		ret = -EINVAL;
	else if (nr < head.first)
		ret = -EPIPE;
	else
		ret = record * iopf_sample_read(&sampler->watch.sample, nr,
						(struct iopf_sample_event *)buf, count / record);
out:
	spin_unlock(&sampler->watch.lock);
	return ret;
}

/**
 * iopf_sampler_create() - what it takes to sample an address space
 * @space: the space; nothing is mapped in it yet
 *
 * Return: it, or NULL.
 */
struct iopf_sampler *iopf_sampler_create(struct iopf_space *space)
{
	struct iopf_sampler *sampler = kzalloc(sizeof(*sampler), GFP_KERNEL_ACCOUNT);

	if (!sampler)
		return NULL;
	sampler->space = space;
	sampler->max = POINTS;
	mutex_init(&sampler->lock);
	spin_lock_init(&sampler->watch.lock);
	INIT_DELAYED_WORK(&sampler->work, sampler_work);
	space->watch = &sampler->watch;
	return sampler;
}

/**
 * iopf_sampler_end() - the end of sampling for good
 * @sampler: the container's
 *
 * Context: without the space's lock; it has no device any more, so there are no faults.
 */
void iopf_sampler_end(struct iopf_sampler *sampler)
{
	guard(mutex)(&sampler->lock);
	sampler_stop(sampler);
}

/**
 * iopf_sampler_free() - free it, when nobody can find the container any more
 * @sampler: after iopf_sampler_end(), or NULL
 */
void iopf_sampler_free(struct iopf_sampler *sampler)
{
	if (!sampler)
		return;
	sampler_release(&sampler->watch.sample);
	mutex_destroy(&sampler->lock);
	kfree(sampler);
}
