// SPDX-License-Identifier: GPL-2.0-only
/*
 * Side: see side.h.
 */
#include "side.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../phase.h"
#include "budget.h"
#include "figures.h"
#include "rig.h"
#include "tally.h"

#define SETTLED_PERCENT	3

struct side {
	const char *name;
	const struct side_plan *plan;
	struct guest *guests;	/* in memory shared with their processes */
	unsigned int running;
};

static void rest(unsigned int ms)
{
	struct timespec ts = {
		.tv_sec = (time_t)(ms / 1000),
		.tv_nsec = (long)(ms % 1000) * 1000000,
	};

	nanosleep(&ts, NULL);
}

/* Return whether the rates of two windows differ by SETTLED_PERCENT at most. */
static bool same_rate(uint64_t before, uint64_t now)
{
	uint64_t apart = before > now ? before - now : now - before;

	return apart * 100 <= now * SETTLED_PERCENT;
}

static void side_window(const struct side *s)
{
	char phase[32];

	snprintf(phase, sizeof(phase), "%u_guests", s->running);
	phase_next(phase, "-", s->plan->window_ms, "ms");
	phase_on();
	rest(s->plan->window_ms);
	phase_off();
}

/* Measure windows until the rate does not change any more. The last window is the result. */
static void side_measure(struct side *s)
{
	static struct tally from, to;
	uint64_t before, jobs = 0;
	unsigned int windows = 0;

	rest(s->plan->settle_ms);
	tally_take(&to, s->guests, s->running);
	do {
		before = jobs;
		from = to;
		side_window(s);
		tally_take(&to, s->guests, s->running);
		for (unsigned int i = 0; i < s->running; i++) {
			if (!guest_alive(&s->guests[i]))
				tap_bail("guest %u is gone", i);
		}
		jobs = tally_jobs(&from, &to, s->running);
		printf("%s: %u guests: %llu jobs\n", s->name, s->running,
		       (unsigned long long)jobs);
	} while (++windows < s->plan->windows && !same_rate(before, jobs));
	tally_figures(s->name, s->running, &from, &to);
	figure_line("%s step %u windows %u", s->name, s->running, windows);
}

static void side_hold(struct side *s, bool hold)
{
	for (unsigned int i = 0; i < s->running; i++)
		__atomic_store_n(&s->guests[i].hold, hold, __ATOMIC_RELAXED);
}

/* Apply the settings of a container. */
static void side_set(const struct side *s, const struct guest *g)
{
	for (unsigned int i = 0; i < s->plan->settings && !rig_stock(); i++) {
		const struct side_setting *set = &s->plan->setting[i];
		int err = budget_write(rig_bdf(g->index), set->file, set->text);

		if (err)
			tap_bail("'%s' can't be written to the container's %s: %s", set->text,
				 set->file, strerror(-err));
	}
}

/* Start one more guest. Return false if the host cannot hold it. */
static bool side_grow(struct side *s)
{
	struct guest *g = &s->guests[s->running];
	int err;

	g->index = s->running;
	err = guest_start(g, &s->plan->conf);
	if (!err) {
		side_set(s, g);
		s->running++;
		return true;
	}
	figure_line("%s refused %s", s->name,
		    err == -ESRCH ? "killed by the kernel for want of memory" : strerror(-err));
	printf("%s: the host can't hold guest %u: %s\n", s->name, s->running + 1,
	       err == -ESRCH ? "killed for want of memory" : strerror(-err));
	return false;
}

/*
 * Start guests up to a number. Return false if the host cannot hold them. The running guests pause
 * meanwhile, since the duration of a start on a busy host is not measured.
 */
static bool side_grow_to(struct side *s, unsigned int guests)
{
	bool more = true;

	side_hold(s, true);
	while (more && s->running < guests) {
		more = side_grow(s);
		side_hold(s, true);
	}
	side_hold(s, false);
	return more;
}

static void side_stop(struct side *s)
{
	uint64_t wrong = 0, checked = 0, misuse = 0, start_ns = 0;

	for (unsigned int i = 0; i < s->running; i++)
		__atomic_store_n(&s->guests[i].stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < s->running; i++) {
		guest_end(&s->guests[i]);
		wrong += s->guests[i].wrong;
		checked += s->guests[i].checked;
		start_ns += s->guests[i].start_ns;
		misuse += sim_count(rig_bdf(i), "stale_uses") +
			  sim_count(rig_bdf(i), "dma_to_free");
	}
	misuse += sim_iommu_count("unmap_holes") + sim_iommu_count("map_collisions");
	figure(s->name, "held", s->running);
	figure(s->name, "start_ns", start_ns / s->running);
	figure(s->name, "wrong", wrong);
	figure(s->name, "checked", checked);
	figure(s->name, "misuse", misuse);
	figure(s->name, "left_mapped", sim_iommu_count("leaves_4k") +
				       sim_iommu_count("leaves_2m") +
				       sim_iommu_count("leaves_1g"));
}

void side_run(const char *name, bool stock, const struct side_plan *plan)
{
	size_t shared = plan->step[plan->steps - 1] * sizeof(struct guest);
	struct side s = { .name = name, .plan = plan };
	unsigned int measured = 0;
	char args[32];

	printf("%s: loading modules\n", name);
	snprintf(args, sizeof(args), "devices=%u", plan->step[plan->steps - 1]);
	rig_load(args, stock ? NULL : "");
	s.guests = mem_shared_anon(shared);
	for (unsigned int i = 0; i < plan->steps; i++) {
		bool full = !side_grow_to(&s, plan->step[i]);

		if (!s.running)
			tap_bail("%s: the host can't hold a single guest", name);
		/* The host holds no more: measure the present number if no step has measured it. */
		if (s.running > measured)
			side_measure(&s);
		measured = s.running;
		if (full)
			break;
	}
	if (plan->symbols)
		phase_symbols(plan->symbols);
	side_stop(&s);
	mem_unmap(s.guests, shared);
}
