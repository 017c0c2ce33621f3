// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of watched chunks, and the log of their use. The code of chunks calls these functions.
 * core/sample.h chooses the chunks and the times, and defines the log. sample/sampler.c starts and
 * stops sampling, and looks at chunks: it unmaps them to see when a device faults on them.
 *
 * A block, the number of a chunk's first page, identifies the chunk here. iopf_chunk.look and the
 * chunk's point in the table agree whenever the chunk's lock is free.
 *
 * look vs fault: both change the chunk's state and its point under the chunk's lock.
 * stop vs fault: a fault that finds its chunk marked while sampling is off clears the mark.
 *
 * Locking: the chunk's lock, or the lock of its area's array, outside of iopf_watch.lock.
 */
#include <linux/ktime.h>
#include <linux/math64.h>

#include "watch.h"

DEFINE_STATIC_KEY_FALSE(iopf_sample_on);

/* A longer time has a reason other than sampling, and is not counted. */
#define COST_MAX	(100 * NSEC_PER_MSEC)

/**
 * iopf_watch_elapsed() - duration of sampling, until now or until its end
 * @w: watch of the space, locked
 *
 * Return: nanoseconds.
 */
u64 iopf_watch_elapsed(const struct iopf_watch *w)
{
	lockdep_assert_held(&w->lock);

	return (w->on ? ktime_get_ns() : w->ended) - w->began;
}

/**
 * iopf_watch_now() - current time of the log
 * @w: watch of the space, locked
 *
 * Return: microseconds.
 */
u64 iopf_watch_now(const struct iopf_watch *w)
{
	return div_u64(iopf_watch_elapsed(w), NSEC_PER_USEC);
}

/**
 * iopf_watch_new() - count a new chunk of a space that is sampled
 * @w: watch of the space
 * @block: the chunk
 * @look: enum iopf_look of the chunk; out
 *
 * Context: under the lock of the area's array.
 */
void iopf_watch_new(struct iopf_watch *w, u64 block, u8 *look)
{
	spin_lock(&w->lock);
	w->sample.all++;
	/* The first fault of the chunk checks the threshold again. */
	if (iopf_sample_stands(block, w->sample.threshold))
		*look = IOPF_LOOK_NEW;
	spin_unlock(&w->lock);
}

/**
 * iopf_watch_unmade() - undo iopf_watch_new(), when there was no memory to publish the chunk
 * @w: watch of the space
 * @look: enum iopf_look of the chunk; out
 *
 * The caller has held the lock of the area's array since iopf_watch_new(), and stopping waits for
 * that lock. So the chunk is still counted in @w.
 */
void iopf_watch_unmade(struct iopf_watch *w, u8 *look)
{
	spin_lock(&w->lock);
	w->sample.all--;
	spin_unlock(&w->lock);
	*look = IOPF_LOOK_NONE;
}

/* Log the first fault of a chunk. Returns its point, or NULL if the chunk is not watched. */
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
 * iopf_watch_fault() - log a fault that has mapped pages of a watched chunk
 * @w: watch of the space
 * @block: the chunk, locked, which is or was watched
 * @loose: number of its pages that are mapped and not pinned
 * @look: enum iopf_look of the chunk; in and out
 * @timing: clock of the fault
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
			/* Sampling causes faults until all that it unmapped is mapped again. */
			timing->sampled = loose <= p->pages;
		}
	}
	*look = p ? IOPF_LOOK_BACK : IOPF_LOOK_NONE;
	spin_unlock(&w->lock);
	/* If the fault is not timed, start its clock now. The time until here is not counted. */
	if (timing->sampled && !timing->on)
		timing->start = iopf_clock();
}

/**
 * iopf_watch_look() - begin a look at a chunk, if one is due
 * @w: watch of the space
 * @block: the chunk, locked, not dead
 * @loose: number of its pages that would be unmapped
 * @look: enum iopf_look of the chunk; in and out
 *
 * Return: true if the caller has to unmap the chunk before it drops the chunk's lock.
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
 * iopf_watch_spend() - count the cost of sampling
 * @w: watch of the space
 * @ns: nanoseconds
 * @fault: the time is that of a fault that sampling has caused
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
