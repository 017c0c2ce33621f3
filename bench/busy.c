// SPDX-License-Identifier: GPL-2.0-only
/* Busy time: see busy.h. */
#include "busy.h"

#include <time.h>

#include "figures.h"
#include "phase.h"
#include "ran.h"
#include "tap.h"

#define SETTLE_MS	50
#define GRID_MS		20	/* five ticks at 250 Hz */

/*
 * Sleep @ms, and then until the next point of a grid of absolute time. Timer ticks are on that grid
 * too. So each measurement begins at the same place between two ticks.
 */
static void rest(unsigned int ms)
{
	uint64_t grid = GRID_MS * 1000000ull;
	uint64_t until = (now_ns() + ms * 1000000ull + grid) / grid * grid;
	struct timespec ts = {
		.tv_sec = (time_t)(until / 1000000000u),
		.tv_nsec = (long)(until % 1000000000u),
	};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

void busy_settle(void)
{
	rest(SETTLE_MS);
}

uint64_t busy_ns(void)
{
	busy_settle();
	return ran_ns();
}

uint64_t busy_run(struct simdev *s, const struct iopf_sim_cmd *cmd, unsigned int span_ms,
		  struct iopf_sim_cpl *cpl)
{
	uint64_t before = busy_ns();

	phase_on();
	sim_start(s, cmd);
	rest(span_ms);
	phase_off();
	if (!sim_poll(s, cpl))
		tap_bail("a command takes longer than %u ms", span_ms);
	if (cpl->status != IOPF_SIM_ST_OK)
		tap_bail("the device says %s", sim_status_name(cpl->status));
	return busy_ns() - before;
}
