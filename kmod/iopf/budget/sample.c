// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sampling a container: which chunks its devices use, and when, at little cost.
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
 * not counted. A container that is not sampled while others are pays for a call per fault that
 * finds nothing to do; while none is, nothing.
 *
 * Leaves of 1 GiB: they would hide what is used in them. There are none while a container is
 * sampled.
 *
 * Memory: 64 bytes for each chunk that may be watched, 24 for each event, from the start to the
 * next start or the container's end.
 *
 * Invariants: what is said of a chunk by iopf_chunk.look and by its point in the table agree
 * whenever the chunk's lock is free: BACK: seen; AWAY: away; NEW, NONE: it has no point, or one
 * that is left over from a chunk before it that had the same address, or from before it was
 * forgotten for want of room.
 *
 * Locking: sampler.lock (starting, stopping, reading) -> the container's -> ... -> the chunk's ->
 * sampler.points_lock, a leaf spinlock, which the locks of the areas' arrays go outside of, too.
 * Chunks are found by address under RCU.
 *
 * look vs fault: both hold the chunk's lock, and change its state and its point under it.
 * look vs unmap: the chunk is found anew each time, or not; a dead one is not looked at.
 * look vs freeze: a chunk of a frozen area is let be, since its device could not get it back.
 * start vs new chunks: the container says that it is sampled before its chunks are gone through,
 *   passing through the lock of each area's array. So a chunk is made by who knows, or found there.
 * stop vs fault: who still finds a chunk marked finds sampling off, under points_lock, and takes
 *   the mark off. Those that no fault comes to are gone through.
 * stop vs look: the worker is waited for, without the container's lock, which it does not take.
 * container's end: the files go first, which waits for whoever starts or reads; then it is stopped.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/vmalloc.h>

#include "../../../core/sample.h"
#include "../lib/params.h"
#include "../map/area.h"
#include "../map/chunk.h"
#include "../map/span.h"
#include "../vfio/container.h"
#include "sample.h"

/* Events that the log keeps: at 1 % of the time, what comes in half a minute and more. */
#define EVENTS		SZ_32K
/* Chunks watched at most, unless told otherwise. */
#define POINTS		1024U
#define POINTS_MIN	16U
#define POINTS_MAX	SZ_256K
#define INTERVAL_MAX	(60U * MSEC_PER_SEC)
/*
 * Of the time that may be spent, one part in so many: 0.8 %. What has been looked at comes back
 * when it likes, so that may be exceeded; 1 % is not, but at the very beginning.
 */
#define SHARE		125U
/* What a fault is taken to cost before there was any, and as much as one more says after that. */
#define COST_FIRST	(50 * NSEC_PER_USEC)
/* A chunk that does not come back soon is less and less likely to, at each turn of the worker. */
#define OUT_DECAY	16U
/* Looks before others have their turn on the processor. */
#define BATCH		64U
/* A fault that took longer was not slow because of us. */
#define COST_MAX	(100 * NSEC_PER_MSEC)

DEFINE_STATIC_KEY_FALSE(iopf_sample_on);

/**
 * struct iopf_sampler - the sampling of a container
 * @kobj: the directory "sampling"
 * @c: the container, which outlives it
 * @lock: outermost of our locks: starting, stopping, reading the log
 * @max: chunks watched at most. Under @lock.
 * @points_lock: leaf, inside the chunks' locks; protects all that follows but @work
 * @on: chunks are being sampled
 * @began: when that began, in ns
 * @ended: when it was over, if not @on
 * @spent: ns that it took
 * @faults: that it took
 * @out: chunks looked at of late that may come back any time
 * @sample: what is watched, and the log; without memory before the first start
 * @work: looks at chunks
 */
struct iopf_sampler {
	struct kobject kobj;
	struct iopf_container *c;
	struct mutex lock; /* order: see above */
	unsigned int max;
	spinlock_t points_lock; /* leaf */
	bool on;
	u64 began;
	u64 ended;
	u64 spent;
	u64 faults;
	unsigned int out;
	struct iopf_sample sample;
	struct delayed_work work;
};

static u64 sampler_elapsed(const struct iopf_sampler *sampler)
{
	lockdep_assert_held(&sampler->points_lock);

	return (sampler->on ? ktime_get_ns() : sampler->ended) - sampler->began;
}

/* The time that the log goes by. */
static u64 sampler_now(const struct iopf_sampler *sampler)
{
	return div_u64(sampler_elapsed(sampler), NSEC_PER_USEC);
}

static u64 chunk_block(const struct iopf_chunk *chunk)
{
	return (chunk->iova >> PAGE_SHIFT) + chunk->first;
}

static unsigned int chunk_loose(const struct iopf_chunk *chunk)
{
	return iopf_chunkmap_mapped(&chunk->map) - iopf_chunkmap_pinned(&chunk->map);
}

/**
 * iopf_sample_new_chunk() - see iopf_sample_made()
 * @chunk: the chunk
 *
 * Return: whether it counts.
 */
bool iopf_sample_new_chunk(struct iopf_chunk *chunk)
{
	struct iopf_sampler *sampler = chunk->area->container->sampler;

	lockdep_assert_held(&chunk->area->chunks.xa_lock);

	if (!READ_ONCE(chunk->area->container->sampled))
		return false;
	spin_lock(&sampler->points_lock);
	sampler->sample.all++;
	/* At its first fault the threshold is looked at anew. */
	if (iopf_sample_stands(chunk_block(chunk), sampler->sample.threshold))
		chunk->look = IOPF_LOOK_NEW;
	spin_unlock(&sampler->points_lock);
	return true;
}

/**
 * iopf_sample_unmade() - there was no memory to publish a chunk that counts
 * @chunk: the chunk; its area's array has been locked since iopf_sample_made()
 *
 * Stopping waits for that lock, so what it was counted in is still there; see sampler_chunks().
 */
void iopf_sample_unmade(struct iopf_chunk *chunk)
{
	struct iopf_sampler *sampler = chunk->area->container->sampler;

	lockdep_assert_held(&chunk->area->chunks.xa_lock);

	spin_lock(&sampler->points_lock);
	sampler->sample.all--;
	spin_unlock(&sampler->points_lock);
	chunk->look = IOPF_LOOK_NONE;
}

/* A chunk that never was mapped has been. NULL: it is none of those that are watched. */
static struct iopf_sample_point *miss_new(struct iopf_sample *s, u64 block, u64 now)
{
	struct iopf_sample_point *p = iopf_sample_find(s, block);

	if (!p && iopf_sample_watch(s, block, now, true))
		p = iopf_sample_find(s, block);
	if (p && !p->away)
		iopf_sample_look(s, p, 0, now);
	if (p)
		iopf_sample_miss(s, p, true, now);
	return p;
}

/**
 * iopf_sample_chunk_fault() - see iopf_sample_fault()
 * @chunk: the chunk, locked, which is watched, or was
 * @timing: the fault's clock
 */
void iopf_sample_chunk_fault(struct iopf_chunk *chunk, struct iopf_timing *timing)
{
	struct iopf_sampler *sampler = chunk->area->container->sampler;
	struct iopf_sample_point *p = NULL;
	struct iopf_sample *s = &sampler->sample;
	u64 block = chunk_block(chunk);

	lockdep_assert_held(&chunk->lock);

	spin_lock(&sampler->points_lock);
	if (sampler->on && chunk->look == IOPF_LOOK_NEW) {
		p = miss_new(s, block, sampler_now(sampler));
	} else if (sampler->on) {
		p = iopf_sample_find(s, block);
		if (p && p->away) {
			iopf_sample_miss(s, p, false, sampler_now(sampler));
			timing->sampled = true;
			sampler->out -= !!sampler->out;
		} else if (p) {
			iopf_sample_again(p);
			/* Until all that we took is there again it is our doing. */
			timing->sampled = chunk_loose(chunk) <= p->pages;
		}
	}
	chunk->look = p ? IOPF_LOOK_BACK : IOPF_LOOK_NONE;
	spin_unlock(&sampler->points_lock);
	/* It is not timed otherwise: then what it took so far is left out. */
	if (timing->sampled && !timing->on)
		timing->start = iopf_clock();
}

/**
 * iopf_sample_chunk_look() - whether a chunk is to be unmapped, to see when it is missed
 * @chunk: the chunk, locked, not dead; if so, it will be unmapped before its lock is dropped
 * @pages: of it that would be unmapped
 */
bool iopf_sample_chunk_look(struct iopf_chunk *chunk, unsigned int pages)
{
	struct iopf_sampler *sampler = chunk->area->container->sampler;
	struct iopf_sample_point *p;
	bool look;

	lockdep_assert_held(&chunk->lock);

	spin_lock(&sampler->points_lock);
	p = iopf_sample_find(&sampler->sample, chunk_block(chunk));
	look = sampler->on && p && !p->away && chunk->look == IOPF_LOOK_BACK;
	if (look) {
		iopf_sample_look(&sampler->sample, p, pages, sampler_now(sampler));
		sampler->out++;
		chunk->look = IOPF_LOOK_AWAY;
	}
	spin_unlock(&sampler->points_lock);
	return look;
}

static void sampler_spend(struct iopf_sampler *sampler, u64 ns, bool fault)
{
	if (ns >= COST_MAX)
		return;
	spin_lock(&sampler->points_lock);
	sampler->spent += ns;
	sampler->faults += fault;
	spin_unlock(&sampler->points_lock);
}

/**
 * iopf_sample_spent() - see iopf_sample_handled()
 * @c: the container
 * @timing: the clock of a fault that there would not have been
 */
void iopf_sample_spent(struct iopf_container *c, const struct iopf_timing *timing)
{
	sampler_spend(c->sampler, iopf_timing_ns(timing), true);
}

/* Whether one more look may be too much. */
static bool sampler_broke(const struct iopf_sampler *sampler)
{
	u64 cost = div64_u64(sampler->spent + COST_FIRST, sampler->faults + 1);

	lockdep_assert_held(&sampler->points_lock);

	return sampler->spent + cost * (sampler->out + 1) >
	       div_u64(sampler_elapsed(sampler), SHARE);
}

/* The next block to look at, and when it was seen. False: none now. */
static bool sampler_due(struct iopf_sampler *sampler, struct iopf_sample_point *due)
{
	struct iopf_sample_point *p = NULL;

	spin_lock(&sampler->points_lock);
	if (sampler->on && !sampler_broke(sampler))
		p = iopf_sample_due(&sampler->sample, sampler_now(sampler));
	if (p)
		*due = *p;
	spin_unlock(&sampler->points_lock);
	return p;
}

static struct iopf_chunk *sampler_chunk(struct iopf_sampler *sampler, u64 block)
{
	u64 iova = block << PAGE_SHIFT;
	struct iopf_area *area = mtree_load(&sampler->c->areas, iova);

	return area ? iopf_area_chunk_there(area, iova) : NULL;
}

/* A block that could not be looked at: not now, or never again. */
static void sampler_skip(struct iopf_sampler *sampler, const struct iopf_sample_point *due,
			 bool there)
{
	struct iopf_sample_point *p;

	spin_lock(&sampler->points_lock);
	p = iopf_sample_find(&sampler->sample, due->block);
	/* Unless it has been seen, or taken away, meanwhile. */
	if (p && !p->away && p->at == due->at) {
		if (there)
			iopf_sample_defer(&sampler->sample, p, sampler_now(sampler));
		else
			iopf_sample_forget(&sampler->sample, p);
	}
	spin_unlock(&sampler->points_lock);
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
	there = chunk && chunk_block(chunk) == due.block;
	looked = there && iopf_chunk_look(chunk);
	rcu_read_unlock();
	if (!looked)
		sampler_skip(sampler, &due, there);
	sampler_spend(sampler, ktime_get_ns() - start, false);
	return true;
}

static void sampler_work(struct work_struct *work)
{
	struct iopf_sampler *sampler = container_of(to_delayed_work(work), struct iopf_sampler,
						    work);
	unsigned int looks;

	spin_lock(&sampler->points_lock);
	sampler->out -= DIV_ROUND_UP(sampler->out, OUT_DECAY);
	spin_unlock(&sampler->points_lock);
	for (looks = 0; looks < BATCH && sampler_look(sampler); looks++)
		cond_resched();
	if (READ_ONCE(sampler->on))
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
	away = !chunk_loose(chunk);
	spin_lock(&sampler->points_lock);
	sampler->sample.all++;
	if (iopf_sample_watch(&sampler->sample, chunk_block(chunk), sampler_now(sampler), away))
		chunk->look = away ? IOPF_LOOK_AWAY : IOPF_LOOK_BACK;
	spin_unlock(&sampler->points_lock);
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
	struct iopf_container *c = sampler->c;
	struct iopf_chunk *chunk;
	struct iopf_area *area;
	unsigned long index = 0, i;

	lockdep_assert_held(&c->lock);

	area = NULL;
	while ((area = iopf_container_next_area(c, area, &index, ULONG_MAX))) {
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

	if (!sampler->on)
		return;
	spin_lock(&sampler->points_lock);
	sampler->ended = ktime_get_ns();
	WRITE_ONCE(sampler->on, false);
	spin_unlock(&sampler->points_lock);
	cancel_delayed_work_sync(&sampler->work);
	scoped_guard(mutex, &sampler->c->lock) {
		WRITE_ONCE(sampler->c->sampled, false);
		sampler_chunks(sampler, chunk_end);
	}
	static_branch_dec(&iopf_sample_on);
}

static int sampler_start(struct iopf_sampler *sampler, unsigned int interval)
{
	struct iopf_sample fresh = { }, old;
	int ret = sampler_alloc(&fresh, sampler->max);

	lockdep_assert_held(&sampler->lock);

	if (ret) {
		sampler_release(&fresh);
		return ret;
	}
	sampler_stop(sampler);
	/* Before there is anything that its users have to see. */
	static_branch_inc(&iopf_sample_on);
	spin_lock(&sampler->points_lock);
	old = sampler->sample;
	sampler->sample = fresh;
	iopf_sample_init(&sampler->sample, interval * USEC_PER_MSEC);
	sampler->began = ktime_get_ns();
	sampler->spent = 0;
	sampler->faults = 0;
	sampler->out = 0;
	WRITE_ONCE(sampler->on, true);
	spin_unlock(&sampler->points_lock);
	sampler_release(&old);
	scoped_guard(mutex, &sampler->c->lock) {
		WRITE_ONCE(sampler->c->sampled, true);
		sampler_chunks(sampler, chunk_begin);
	}
	queue_delayed_work(iopf_wq, &sampler->work, 1);
	return 0;
}

/* sysfs: a directory "sampling" in that of each container */

struct sample_attr {
	struct attribute attr;
	ssize_t (*show)(struct iopf_sampler *sampler, char *buf);
	ssize_t (*store)(struct iopf_sampler *sampler, unsigned int value);
};

static ssize_t interval_show(struct iopf_sampler *sampler, char *buf)
{
	unsigned long interval;

	spin_lock(&sampler->points_lock);
	interval = sampler->on ? sampler->sample.interval / USEC_PER_MSEC : 0;
	spin_unlock(&sampler->points_lock);
	return sysfs_emit(buf, "%lu\n", interval);
}

static ssize_t interval_store(struct iopf_sampler *sampler, unsigned int value)
{
	if (value > INTERVAL_MAX)
		return -EINVAL;
	if (value)
		return sampler_start(sampler, value);
	sampler_stop(sampler);
	return 0;
}

static const struct sample_attr sample_interval = {
	.attr = { .name = "interval_ms", .mode = 0644 },
	.show = interval_show,
	.store = interval_store,
};

static ssize_t max_show(struct iopf_sampler *sampler, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(sampler->max));
}

static ssize_t max_store(struct iopf_sampler *sampler, unsigned int value)
{
	if (value < POINTS_MIN || value > POINTS_MAX)
		return -EINVAL;
	if (sampler->on)
		return -EBUSY;
	WRITE_ONCE(sampler->max, value);
	return 0;
}

static const struct sample_attr sample_max = {
	.attr = { .name = "max_chunks", .mode = 0644 },
	.show = max_show,
	.store = max_store,
};

static ssize_t share_show(struct iopf_sampler *sampler, char *buf)
{
	u64 spent, elapsed;

	spin_lock(&sampler->points_lock);
	spent = sampler->spent;
	elapsed = sampler_elapsed(sampler);
	spin_unlock(&sampler->points_lock);
	return sysfs_emit(buf, "%llu\n", mul_u64_u64_div_u64(spent, USEC_PER_SEC, elapsed ?: 1));
}

static const struct sample_attr sample_share = {
	.attr = { .name = "cost_ppm", .mode = 0444 },
	.show = share_show,
};

static const struct attribute *const sample_attrs[] = {
	&sample_interval.attr,
	&sample_max.attr,
	&sample_share.attr,
	NULL,
};

static struct iopf_sampler *kobj_sampler(struct kobject *kobj)
{
	return container_of(kobj, struct iopf_sampler, kobj);
}

static ssize_t sample_attr_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	return container_of_const(attr, struct sample_attr, attr)->show(kobj_sampler(kobj), buf);
}

static ssize_t sample_attr_store(struct kobject *kobj, struct attribute *attr, const char *buf,
				 size_t count)
{
	const struct sample_attr *a = container_of_const(attr, struct sample_attr, attr);
	struct iopf_sampler *sampler = kobj_sampler(kobj);
	unsigned int value;
	int ret = kstrtouint(buf, 0, &value);

	if (ret)
		return ret;
	if (mutex_lock_interruptible(&sampler->lock))
		return -EINTR;
	ret = a->store(sampler, value);
	mutex_unlock(&sampler->lock);
	return ret ?: count;
}

static const struct sysfs_ops sample_sysfs_ops = {
	.show = sample_attr_show,
	.store = sample_attr_store,
};

/*
 * The log: the header as it is now, then events by their numbers. What has been overwritten by
 * later ones is -EPIPE, as in /dev/kmsg; what has not come yet is the end of the file.
 */
static ssize_t log_read(struct file *file, struct kobject *kobj, struct bin_attribute *attr,
			char *buf, loff_t off, size_t count)
{
	const size_t record = sizeof(struct iopf_sample_event);
	struct iopf_sampler *sampler = kobj_sampler(kobj);
	struct iopf_sample_header head;
	ssize_t ret;
	u64 nr;

	spin_lock(&sampler->points_lock);
	if (!sampler->sample.points) {
		ret = -ENODATA;
		goto out;
	}
	iopf_sample_head(&sampler->sample, sampler_now(sampler), &head);
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
		ret = record * iopf_sample_read(&sampler->sample, nr,
						(struct iopf_sample_event *)buf, count / record);
out:
	spin_unlock(&sampler->points_lock);
	return ret;
}

static BIN_ATTR(log, 0400, log_read, NULL, 0);

static void sampler_free_kobj(struct kobject *kobj)
{
	struct iopf_sampler *sampler = kobj_sampler(kobj);

	sampler_release(&sampler->sample);
	mutex_destroy(&sampler->lock);
	kfree(sampler);
}

static const struct kobj_type sampler_ktype = {
	.sysfs_ops = &sample_sysfs_ops,
	.release = sampler_free_kobj,
};

/**
 * iopf_sampler_create() - what it takes to sample a container, and the directory "sampling"
 * @c: the container, with its own directory; nothing is mapped in it yet
 *
 * Return: it, or NULL.
 */
struct iopf_sampler *iopf_sampler_create(struct iopf_container *c)
{
	struct iopf_sampler *sampler = kzalloc(sizeof(*sampler), GFP_KERNEL_ACCOUNT);

	if (!sampler)
		return NULL;
	sampler->c = c;
	sampler->max = POINTS;
	mutex_init(&sampler->lock);
	spin_lock_init(&sampler->points_lock);
	INIT_DELAYED_WORK(&sampler->work, sampler_work);
	if (kobject_init_and_add(&sampler->kobj, &sampler_ktype, &c->kobj, "sampling"))
		goto err_put;
	if (sysfs_create_files(&sampler->kobj, (const struct attribute *const *)sample_attrs) ||
	    sysfs_create_bin_file(&sampler->kobj, &bin_attr_log))
		goto err_del;
	return sampler;

err_del:
	kobject_del(&sampler->kobj);
err_put:
	kobject_put(&sampler->kobj);
	return NULL;
}

/**
 * iopf_sampler_end() - the end of sampling for good, and of the directory
 * @sampler: the container's
 *
 * Context: without the container's lock; it has no device any more, so there are no faults.
 */
void iopf_sampler_end(struct iopf_sampler *sampler)
{
	kobject_del(&sampler->kobj);
	scoped_guard(mutex, &sampler->lock)
		sampler_stop(sampler);
}

/**
 * iopf_sampler_free() - free it, when nobody can find the container any more
 * @sampler: after iopf_sampler_end(), or NULL
 */
void iopf_sampler_free(struct iopf_sampler *sampler)
{
	if (sampler)
		kobject_put(&sampler->kobj);
}
