// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tally: see tally.h. The guests continue while their counters are read, so the counters of a guest
 * may differ by a job.
 */
#include "tally.h"

#include <stdio.h>
#include <string.h>

#include "figures.h"
#include "rig.h"

void tally_take(struct tally *t, const struct guest *guests, unsigned int n)
{
	memset(t, 0, sizeof(*t));
	for (unsigned int i = 0; i < n; i++) {
		t->each[i] = guests[i];
		iopf_hist_peek(&t->latency, &guests[i].latency);
	}
	host_look(&t->host);
	for (unsigned int i = 0; i < n && !rig_stock(); i++)
		t->slow += iopf_count(rig_bdf(i), "parked");
}

/* Write one figure of a step: "<side> step <guests> <key> <value>". */
static void step(const char *side, unsigned int n, const char *key, uint64_t value)
{
	figure_line("%s step %u %s %llu", side, n, key, (unsigned long long)value);
}

static void latency_figures(const char *side, unsigned int n, const struct tally *from,
			    const struct tally *to)
{
	struct iopf_hist_sum grew = { .sum = to->latency.sum - from->latency.sum };

	for (unsigned int i = 0; i < IOPF_HIST_BUCKETS; i++)
		grew.count[i] = to->latency.count[i] - from->latency.count[i];
	step(side, n, "latency_sum", grew.sum);
	step(side, n, "latency_p50", iopf_hist_percentile(&grew, 500));
	step(side, n, "latency_p99", iopf_hist_percentile(&grew, 990));
	step(side, n, "latency_max", iopf_hist_percentile(&grew, 1000));
}

static void host_figures(const char *side, unsigned int n, const struct host *from,
			 const struct host *to)
{
	step(side, n, "ns", to->ns - from->ns);
	step(side, n, "busy_ns", to->busy_ns - from->busy_ns);
	step(side, n, "unmaps", to->unmaps - from->unmaps);
	for (unsigned int i = 0; i < HOST_COUNTS; i++)
		step(side, n, host_count_name(i), to->count[i] - from->count[i]);
	step(side, n, "free", mem_info_kb("MemFree") * 1024);
	step(side, n, "swap_used", (mem_info_kb("SwapTotal") - mem_info_kb("SwapFree")) * 1024);
}

uint64_t tally_jobs(const struct tally *from, const struct tally *to, unsigned int n)
{
	uint64_t jobs = 0;

	for (unsigned int i = 0; i < n; i++)
		jobs += to->each[i].jobs - from->each[i].jobs;
	return jobs;
}

void tally_figures(const char *side, unsigned int n, const struct tally *from,
		   const struct tally *to)
{
	uint64_t least = UINT64_MAX, tail = 0, tail_faulted = 0, hot_faulted = 0;
	uint64_t faults = 0, wrong = 0, resident = 0;

	for (unsigned int i = 0; i < n; i++) {
		const struct guest *a = &from->each[i], *b = &to->each[i];

		least = b->jobs - a->jobs < least ? b->jobs - a->jobs : least;
		tail += b->tail_jobs - a->tail_jobs;
		tail_faulted += b->tail_faulted - a->tail_faulted;
		hot_faulted += b->hot_faulted - a->hot_faulted;
		faults += b->faults - a->faults;
		wrong += b->wrong - a->wrong;
		resident += mem_status_kb(b->pid, "RssAnon") * 1024;
	}
	step(side, n, "jobs", tally_jobs(from, to, n));
	step(side, n, "least_jobs", least);
	step(side, n, "tail_jobs", tail);
	step(side, n, "tail_faulted", tail_faulted);
	step(side, n, "hot_faulted", hot_faulted);
	step(side, n, "faults", faults);
	step(side, n, "parked", to->slow - from->slow);
	step(side, n, "wrong", wrong);
	step(side, n, "resident", resident);
	host_figures(side, n, &from->host, &to->host);
	latency_figures(side, n, from, to);
}
