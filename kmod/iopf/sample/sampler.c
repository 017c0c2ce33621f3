// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sampling finds out at little cost which chunks of a space its devices use, and when.
 *
 * Devices do not report their accesses. But a chunk that is unmapped and faults again is in use. So
 * the sampler unmaps some chunks now and then (it looks at them). The next fault of such a chunk is
 * an event in the log. core/sample.h chooses the chunks and the times, and defines the log. User
 * space reads the log, and estimates the number of faults for each limit (iopfctl advise).
 *
 * A look loses nothing: no data, no dirty page, and no permission of the chunk. The next fault maps
 * as usual, and prefetching after its answer maps the rest. Before that fault nothing is prefetched
 * in the chunk, because that would hide its use.
 *
 * Cost: the time of looks, and of the faults that they cause, from the report to the end of the
 * work after the answer. The limit is 0.8 % of the time since sampling began. The sampler makes no
 * look while the cost exceeds the limit, or would exceed it if all chunks that were looked at
 * recently faulted. Then all chunks stay mapped for longer than the interval, by the same time,
 * which is in the log's header. The cost of a fault outside of this module, in the device, the
 * IOMMU and its driver, is unknown and not counted. While any space is sampled, each fault of the
 * other spaces makes one call that finds nothing to do. While none is sampled, there is no cost.
 *
 * Leaves of 1 GiB would hide what is used in them. A space that is sampled has none.
 *
 * Memory: 64 bytes for each chunk that may be watched, and 24 for each event, from a start to the
 * next start or the end of the space.
 *
 * Invariants: iopf_chunk.look and the chunk's point in the table agree whenever the chunk's lock is
 * free:
 *
 *   BACK       the point is seen
 *   AWAY       the point is away
 *   NEW, NONE  the chunk has no point, or an old one: of an earlier chunk at the same address, or
 *              from before the chunk was forgotten because the table was full
 *
 * Locking: sampler.lock (starting, stopping, the maximum) -> the space's lock -> ... -> the chunk's
 * lock -> iopf_watch.lock, which is a leaf spinlock. The locks of the areas' arrays are outside of
 * iopf_watch.lock, too. Chunks are found by address under RCU.
 *
 * look vs fault: both change the chunk's state and its point under the chunk's lock.
 * look vs unmap: each look finds the chunk anew, or finds none. It skips a dead chunk.
 * look vs freeze: a look skips a chunk of a frozen area, because a fault could not map it again.
 * start vs new chunks: the start sets iopf_space.sampled, and then goes through the chunks. Before
 *   each area it takes and drops the lock of the area's array. So a thread that makes a chunk
 *   either sees the flag, or has published the chunk before, and the start finds it.
 * stop vs fault: a fault that finds its chunk marked finds sampling off, under iopf_watch.lock, and
 *   clears the mark. The stop goes through all chunks and clears the other marks.
 * stop vs look: the stop waits for the worker without the space's lock. The worker does not take
 *   the space's lock.
 * end of the space: the files are removed first, which waits for a start or a read in progress.
 *   Then sampling is stopped.
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

/* Number of events in the log. At 1 % of the time, these come in half a minute or more. */
#define EVENTS SZ_32K
/* Default, least and greatest maximum number of watched chunks. */
#define POINTS 1024U
#define POINTS_MIN 16U
#define POINTS_MAX SZ_256K
#define INTERVAL_MAX (60U * MSEC_PER_SEC)
/*
 * The limit of the cost, as a divisor of the time: 0.8 %. The chunks that were looked at may fault
 * at any time, so the cost may exceed this limit. It does not exceed 1 %, except at the beginning.
 */
#define SHARE 125U
/* Assumed cost of a fault before the first one. Later it has the weight of one more fault. */
#define COST_FIRST (50 * NSEC_PER_USEC)
/*
 * The longer a chunk has not faulted after a look, the less likely it is to fault. So each run of
 * the worker reduces iopf_watch.out by this fraction.
 */
#define OUT_DECAY 16U
/* Maximum number of looks in one run of the worker. */
#define BATCH 64U

/**
 * struct iopf_sampler - the sampling of a container
 * @space: address space of the container; outlives the sampler
 * @lock: held while sampling is started or stopped; the outermost lock of this file
 * @max: maximum number of watched chunks; under @lock
 * @watch: the watched chunks, and when they were used
 * @work: looks at chunks
 */
struct iopf_sampler {
	struct iopf_space *space;
	struct mutex lock; /* order: see above */
	unsigned int max;
	struct iopf_watch watch;
	struct delayed_work work;
};

/* Whether one more look could exceed the limit of the cost. */
static bool sampler_over_limit(const struct iopf_sampler *sampler)
{
	u64 cost = div64_u64(sampler->watch.spent + COST_FIRST, sampler->watch.faults + 1);

	lockdep_assert_held(&sampler->watch.lock);

	return sampler->watch.spent + cost * (sampler->watch.out + 1) >
	       div_u64(iopf_watch_elapsed(&sampler->watch), SHARE);
}

/* Copy the point of the next block to look at. False: none is due, or it would cost too much. */
static bool sampler_due(struct iopf_sampler *sampler, struct iopf_sample_point *due)
{
	struct iopf_sample_point *p = NULL;

	spin_lock(&sampler->watch.lock);
	if (sampler->watch.on && !sampler_over_limit(sampler))
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

/* Defer a block that can't be looked at now, or forget it if its chunk is not @there. */
static void sampler_skip(struct iopf_sampler *sampler, const struct iopf_sample_point *due,
			 bool there)
{
	struct iopf_sample_point *p;

	spin_lock(&sampler->watch.lock);
	p = iopf_sample_find(&sampler->watch.sample, due->block);
	/* Only if the block has not been seen or looked at meanwhile. */
	if (p && !p->away && p->at == due->at) {
		if (there)
			iopf_sample_defer(&sampler->watch.sample, p,
					  iopf_watch_now(&sampler->watch));
		else
			iopf_sample_forget(&sampler->watch.sample, p);
	}
	spin_unlock(&sampler->watch.lock);
}

/* Look at one chunk. False: none is due, or it would cost too much. */
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

/* Watch a chunk that was made before the start. If any of it is mapped, it counts as seen now. */
static void chunk_begin(struct iopf_sampler *sampler, struct iopf_chunk *chunk)
{
	bool away;

	spin_lock(&chunk->lock);
	/* A fault may have marked the chunk already. */
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
		/* A chunk made after this sees iopf_space.sampled. All others are in the array. */
		xa_lock(&area->chunks);
		xa_unlock(&area->chunks);
		/* Sampling needs areas without spans. At a stop there are none. */
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
	/* Faults check this key first, so it is on before any chunk is watched. */
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
 * iopf_sampler_interval() - return the interval of looks at a chunk
 * @sampler: sampler of the container
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
 * iopf_sampler_set_interval() - start or stop sampling
 * @sampler: sampler of the container
 * @ms: interval of looks at a chunk, in milliseconds; 0: stop
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

/* Return the maximum number of watched chunks for the next start. */
unsigned int iopf_sampler_max(const struct iopf_sampler *sampler)
{
	return READ_ONCE(sampler->max);
}

/**
 * iopf_sampler_set_max() - set the maximum number of watched chunks
 * @sampler: sampler of the container
 * @max: the maximum
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
 * iopf_sampler_cost() - return the cost of sampling
 * @sampler: sampler of the container
 *
 * Return: millionths of the time since sampling began.
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
 * iopf_sampler_log() - read the log: the present header, then events by their numbers
 * @sampler: sampler of the container
 * @buf: out: the data
 * @off: offset in bytes; the header is at 0
 * @count: maximum number of bytes
 *
 * Return: number of bytes; 0: there is no event at @off yet; -EPIPE: later events have overwritten
 * the event at @off, as in /dev/kmsg; -EINVAL: @off or @count is not that of a whole event;
 * -ENODATA: sampling has never been started.
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
 * iopf_sampler_create() - make the sampler of an address space
 * @space: the space; nothing is mapped in it yet
 *
 * Return: the sampler, or NULL.
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
 * iopf_sampler_end() - stop sampling for good
 * @sampler: sampler of the container, which has no device any more, so there are no faults
 *
 * Context: process context, without the space's lock.
 */
void iopf_sampler_end(struct iopf_sampler *sampler)
{
	guard(mutex)(&sampler->lock);
	sampler_stop(sampler);
}

/**
 * iopf_sampler_free() - free a sampler
 * @sampler: the sampler, after iopf_sampler_end(); or NULL. Nobody can find its container any more
 */
void iopf_sampler_free(struct iopf_sampler *sampler)
{
	if (!sampler)
		return;
	sampler_release(&sampler->watch.sample);
	mutex_destroy(&sampler->lock);
	kfree(sampler);
}
