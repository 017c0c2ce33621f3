// SPDX-License-Identifier: GPL-2.0-only
/*
 * Watching chunks: the table of those that are sampled, and the log of their use, as chunks see
 * them. core/sample.h says which chunks, when, and what the log looks like; sample/sampler.c
 * starts, stops, and unmaps chunks to see when they are missed.
 *
 * The number of its first page, the block, stands for a chunk here. iopf_chunk.look and the chunk's
 * point in the table agree whenever the chunk's lock is free.
 *
 * look vs fault: both hold the chunk's lock, and change its state and its point under it.
 * stop vs fault: a fault that finds its chunk marked when sampling is off takes the mark off.
 *
 * Locking: the chunk's lock, or the lock of its area's array, outside of iopf_watch.lock.
 */
#include <linux/ktime.h>
#include <linux/math64.h>

#include "watch.h"

DEFINE_STATIC_KEY_FALSE(iopf_sample_on);

/* A fault that took longer was not slow because of us. */
#define COST_MAX	(100 * NSEC_PER_MSEC)

/**
 * iopf_watch_elapsed() - for how long there has been, or was, sampling
 * @w: the space's, locked
 *
 * Return: nanoseconds.
 */
u64 iopf_watch_elapsed(const struct iopf_watch *w)
{
	lockdep_assert_held(&w->lock);

	return (w->on ? ktime_get_ns() : w->ended) - w->began;
}

/**
 * iopf_watch_now() - the time that the log goes by
 * @w: the space's, locked
 *
 * Return: microseconds.
 */
u64 iopf_watch_now(const struct iopf_watch *w)
{
	return div_u64(iopf_watch_elapsed(w), NSEC_PER_USEC);
}

/**
 * iopf_watch_new() - a chunk has been made in a space that is sampled
 * @w: the space's
 * @block: the chunk
 * @look: enum iopf_look of the chunk; out
 *
 * Context: under the lock of the area's array.
 */
void iopf_watch_new(struct iopf_watch *w, u64 block, u8 *look)
{
	spin_lock(&w->lock);
	w->sample.all++;
	/* At its first fault the threshold is looked at anew. */
	if (iopf_sample_stands(block, w->sample.threshold))
		*look = IOPF_LOOK_NEW;
	spin_unlock(&w->lock);
}

/**
 * iopf_watch_unmade() - there was no memory to publish a chunk that counts
 * @w: the space's
 * @look: enum iopf_look of the chunk; out
 *
 * Stopping waits for the lock of the area's array, which has been held since iopf_watch_new(). So
 * what the chunk was counted in is still there.
 */
void iopf_watch_unmade(struct iopf_watch *w, u8 *look)
{
	spin_lock(&w->lock);
	w->sample.all--;
	spin_unlock(&w->lock);
	*look = IOPF_LOOK_NONE;
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
 * iopf_watch_fault() - a fault has been served by a chunk
 * @w: the space's
 * @block: the chunk, locked, which is watched, or was
 * @loose: pages of it that are mapped and not pinned
 * @look: enum iopf_look of the chunk; in and out
 * @timing: the fault's clock
 */
void iopf_watch_fault(struct iopf_watch *w, u64 block, unsigned int loose, u8 *look,
		      struct iopf_timing *timing)
{
	struct iopf_sample_point *p = NULL;
	struct iopf_sample *s = &w->sample;

	spin_lock(&w->lock);
	if (w->on && *look == IOPF_LOOK_NEW) {
		p = miss_new(s, block, iopf_watch_now(w));
	} else if (w->on) {
		p = iopf_sample_find(s, block);
		if (p && p->away) {
			iopf_sample_miss(s, p, false, iopf_watch_now(w));
			timing->sampled = true;
			w->out -= !!w->out;
		} else if (p) {
			iopf_sample_again(p);
			/* Until all that we took is there again it is our doing. */
			timing->sampled = loose <= p->pages;
		}
	}
	*look = p ? IOPF_LOOK_BACK : IOPF_LOOK_NONE;
	spin_unlock(&w->lock);
	/* It is not timed otherwise: then what it took so far is left out. */
	if (timing->sampled && !timing->on)
		timing->start = iopf_clock();
}

/**
 * iopf_watch_look() - whether a chunk is to be unmapped, to see when it is missed
 * @w: the space's
 * @block: the chunk, locked, not dead; if so, it will be unmapped before its lock is dropped
 * @loose: pages of it that would be unmapped
 * @look: enum iopf_look of the chunk; in and out
 */
bool iopf_watch_look(struct iopf_watch *w, u64 block, unsigned int loose, u8 *look)
{
	struct iopf_sample_point *p;
	bool due;

	spin_lock(&w->lock);
	p = iopf_sample_find(&w->sample, block);
	due = w->on && p && !p->away && *look == IOPF_LOOK_BACK;
	if (due) {
		iopf_sample_look(&w->sample, p, loose, iopf_watch_now(w));
		w->out++;
		*look = IOPF_LOOK_AWAY;
	}
	spin_unlock(&w->lock);
	return due;
}

/**
 * iopf_watch_spend() - note what sampling has cost
 * @w: the space's
 * @ns: nanoseconds
 * @fault: of a fault that there would not have been otherwise
 */
void iopf_watch_spend(struct iopf_watch *w, u64 ns, bool fault)
{
	if (ns >= COST_MAX)
		return;
	spin_lock(&w->lock);
	w->spent += ns;
	w->faults += fault;
	spin_unlock(&w->lock);
}
