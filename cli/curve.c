// SPDX-License-Identifier: GPL-2.0-only
/*
 * The curve of faults over limits: see curve.h.
 */
#include <errno.h>
#include <stdlib.h>

#include "../core/chunkmap.h"
#include "curve.h"

/* The module's epoch, which decides about thrashing only. */
#define EPOCH		1000000
/* Limits that are looked at when the least is wanted, before it is narrowed down. */
#define STEPS		32
/* Pages that the background keeps free of a limit at most; see iopf_budget_excess(). */
#define SLACK_MAX	1024
#define SLACK_PART	16

/**
 * curve_load() - make a log ready
 * @load: out, but for @limits, @fault_ns and @stalled_ns, which are the caller's
 * @head: the header when sampling had ended
 * @event: the log
 * @n: events
 * @pinned: pages that are pinned
 *
 * Return: 0; -ENOMEM, with nothing to free; -ENODATA: there is nothing in it
 */
int curve_load(struct curve_load *load, const struct iopf_sample_header *head,
	       const struct iopf_sample_event *event, uint32_t n, uint64_t pinned)
{
	struct iopf_mrc *m = &load->m;

	*m = (struct iopf_mrc){ .slots = iopf_mrc_slots(n), .pinned = pinned };
	m->use = calloc(n + 1, sizeof(*m->use));
	m->block = calloc(n + 1, sizeof(*m->block));
	m->table = calloc(m->slots, sizeof(*m->table));
	if (!m->use || !m->block || !m->table) {
		curve_free(load);
		return -ENOMEM;
	}
	iopf_mrc_begin(m, head);
	iopf_mrc_load(m, event, n);
	if (m->uses && m->time)
		return 0;
	curve_free(load);
	return -ENODATA;
}

/** curve_free() - give back what curve_load() took */
void curve_free(struct curve_load *load)
{
	free(load->m.use);
	free(load->m.block);
	free(load->m.table);
	load->m = (struct iopf_mrc){ 0 };
}

/* Limits are told apart by that: about a sixty-fourth of what is used, and at most a chunk. */
static uint64_t grain(const struct curve_load *load)
{
	uint64_t part = iopf_mrc_footprint(&load->m) / 64;

	return part < 16 ? 16 : min_t(uint64_t, rounddown_pow_of_two(part), IOPF_CHUNK_PAGES);
}

static uint64_t whole(const struct curve_load *load, uint64_t pages)
{
	return round_up(pages, grain(load));
}

/**
 * curve_most() - the limit from which on nothing goes for want of room
 * @load: the load
 *
 * Return: in pages.
 */
uint64_t curve_most(const struct curve_load *load)
{
	uint64_t footprint = iopf_mrc_footprint(&load->m);
	uint64_t slack = min(footprint / (SLACK_PART - 1) + 1, (uint64_t)SLACK_MAX);

	/* A thirty-second less is still enough. */
	return whole(load, (footprint + slack) * 32 / 31 + 1);
}

/** curve_least() - the smallest limit that the module takes, in pages */
uint64_t curve_least(const struct curve_load *load)
{
	return load->m.pinned + IOPF_BUDGET_LEAST;
}

static uint64_t run(struct curve_load *load, uint64_t pages, struct iopf_mrc_point *point)
{
	struct iopf_limits limits = load->limits;

	limits.max = max(pages, curve_least(load));
	iopf_mrc_run(&load->m, &limits, EPOCH, point);
	return point->faults + point->always;
}

static double slowdown(const struct curve_load *load, uint64_t faults)
{
	double time = load->m.time * 1e3;

	/* Without the faults there were; however many, some of the time was work. */
	time = max(time - load->stalled_ns, time / 10);
	return 100 * (faults * load->fault_ns) / time;
}

/**
 * curve_at() - what would be at a limit
 * @load: the load
 * @pages: the limit
 * @alone: for how long chunks were left alone, in microseconds
 * @point: out
 */
void curve_at(struct curve_load *load, uint64_t pages, uint32_t alone, struct curve_point *point)
{
	struct iopf_mrc_point mid, less, more;
	uint64_t faults = run(load, pages, &mid);
	uint64_t a = run(load, pages - pages / 32, &less), b = run(load, pages + pages / 32, &more);

	*point = (struct curve_point){
		.pages = pages,
		.faults = faults,
		.low = min(faults, min(a, b)),
		.high = max(faults, max(a, b)),
		.per_s = faults * 1e6 / load->m.time,
		.coarse = mid.stuck || mid.stayed < 2ull * alone * mid.evicted,
	};
	point->slowdown = slowdown(load, faults);
	point->slowdown_high = slowdown(load, point->high);
}

/**
 * curve_recommend() - the least limit that will do, and above which all others will
 * @load: the load
 * @alone: as in curve_at()
 * @slowdown: that is acceptable, in percent
 * @point: out: what would be there
 *
 * Return: the limit, in pages; 0: none will do.
 */
uint64_t curve_recommend(struct curve_load *load, uint32_t alone, double slowdown,
			 struct curve_point *point)
{
	uint64_t good = curve_most(load), bad = curve_least(load), step;
	struct curve_point p;

	curve_at(load, good, alone, point);
	if (point->slowdown_high > slowdown)
		return 0;
	/* From above, so that no larger one is worse. */
	step = max((good - bad) / STEPS, grain(load));
	while (good > bad + step) {
		uint64_t next = whole(load, good - step);

		if (next >= good)
			break;
		curve_at(load, next, alone, &p);
		if (p.slowdown_high > slowdown || p.coarse) {
			bad = next;
			break;
		}
		good = next;
		*point = p;
	}
	while (good - bad > grain(load)) {
		uint64_t mid = whole(load, bad + (good - bad) / 2);

		if (mid >= good)
			break;
		curve_at(load, mid, alone, &p);
		if (p.slowdown_high > slowdown || p.coarse) {
			bad = mid;
		} else {
			good = mid;
			*point = p;
		}
	}
	return good;
}
