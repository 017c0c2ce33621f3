// SPDX-License-Identifier: GPL-2.0-only
/*
 * The curve of faults over limits: see curve.h.
 */
#include <errno.h>
#include <stdlib.h>

#include "../../core/chunkmap.h"
#include "curve.h"

/* The module's epoch. It only affects the detection of thrashing. */
#define EPOCH		1000000
/* Number of limits to try before the bisection. */
#define STEPS		32
/* Maximum number of pages that background eviction keeps free; see iopf_budget_excess(). */
#define SLACK_MAX	1024
#define SLACK_PART	16

/**
 * curve_load() - prepare a log for the simulation
 * @load: out: the load; the caller sets @limits, @fault_ns and @stalled_ns
 * @head: the header after sampling
 * @event: the events
 * @n: number of events
 * @pinned: number of pinned pages
 *
 * Return: 0; -ENOMEM; -ENODATA: the log is empty; the caller frees @load on success only
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

/** curve_free() - free a load */
void curve_free(struct curve_load *load)
{
	free(load->m.use);
	free(load->m.block);
	free(load->m.table);
	load->m = (struct iopf_mrc){ 0 };
}

/* The resolution of limits: about 1/64 of the working set, and at most a chunk. */
static uint64_t grain(const struct curve_load *load)
{
	uint64_t part = iopf_mrc_footprint(&load->m) / 64;

	return part < 16 ? 16 : min_t(uint64_t, rounddown_pow_of_two(part), IOPF_CHUNK_PAGES);
}

static uint64_t round_limit(const struct curve_load *load, uint64_t pages)
{
	return round_up(pages, grain(load));
}

/**
 * curve_most() - the smallest limit at which the policy evicts nothing
 * @load: the load
 *
 * Return: the limit, in pages
 */
uint64_t curve_most(const struct curve_load *load)
{
	uint64_t footprint = iopf_mrc_footprint(&load->m);
	uint64_t slack = min(footprint / (SLACK_PART - 1) + 1, (uint64_t)SLACK_MAX);

	/* curve_at() also tries 1/32 less, which must be enough, too. */
	return round_limit(load, (footprint + slack) * 32 / 31 + 1);
}

/** curve_least() - the smallest limit that the module accepts, in pages */
uint64_t curve_least(const struct curve_load *load)
{
	return load->m.pinned + IOPF_BUDGET_MIN;
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

	/* Subtract the duration of the faults, and assume that a tenth of the time was work. */
	time = max(time - load->stalled_ns, time / 10);
	return 100 * (faults * load->fault_ns) / time;
}

/**
 * curve_at() - predict the faults at a limit
 * @load: the load
 * @pages: the limit
 * @alone: the actual interval between two looks at a chunk, in microseconds
 * @point: out: the prediction
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

/* Predict the faults at a limit, and keep the prediction if the limit is acceptable. */
static bool try_limit(struct curve_load *load, uint64_t pages, uint32_t alone, double slowdown,
		      struct curve_point *point)
{
	struct curve_point p;

	curve_at(load, pages, alone, &p);
	if (p.slowdown_high > slowdown || p.coarse)
		return false;
	*point = p;
	return true;
}

/**
 * curve_recommend() - the smallest limit such that it and all larger ones are acceptable
 * @load: the load
 * @alone: as in curve_at()
 * @slowdown: the acceptable slowdown, in percent
 * @point: out: the prediction for that limit
 *
 * Return: the limit, in pages; 0: no limit is acceptable
 */
uint64_t curve_recommend(struct curve_load *load, uint32_t alone, double slowdown,
			 struct curve_point *point)
{
	uint64_t good = curve_most(load), bad = curve_least(load), step;

	curve_at(load, good, alone, point);
	if (point->slowdown_high > slowdown)
		return 0;
	/* Go down in steps. So all larger limits have been tried and are acceptable. */
	step = max((good - bad) / STEPS, grain(load));
	while (good > bad + step) {
		uint64_t next = round_limit(load, good - step);

		if (next >= good)
			break;
		if (!try_limit(load, next, alone, slowdown, point)) {
			bad = next;
			break;
		}
		good = next;
	}
	/* Then bisect the last step. */
	while (good - bad > grain(load)) {
		uint64_t mid = round_limit(load, bad + (good - bad) / 2);

		if (mid >= good)
			break;
		if (try_limit(load, mid, alone, slowdown, point))
			good = mid;
		else
			bad = mid;
	}
	return good;
}
