// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fleet: see fleet.h. Work is cut into commands of FLEET_PIECE bytes; each device has up to
 * FLEET_AHEAD of them under way. One thread feeds all devices.
 */
#include "fleet.h"

#include <unistd.h>

#include "figures.h"
#include "say.h"

#define FLEET_PIECE	(4 * MiB)
#define FLEET_AHEAD	2
#define FLEET_NAP_US	1000	/* looking for completions costs the CPU that the devices need */

/* One device's share: [next, end) is not yet submitted. */
struct share {
	size_t next;
	size_t end;
	unsigned int flying;
};

static void share_feed(struct share *sh, struct simdev *s, const struct simbuf *b,
		       const struct fleet_work *w)
{
	while (sh->flying < FLEET_AHEAD && sh->next < sh->end) {
		size_t len = sh->end - sh->next < FLEET_PIECE ? sh->end - sh->next : FLEET_PIECE;
		struct iopf_sim_cmd cmd = sim_cmd(w->opcode, b, sh->next, len, w->seed);

		cmd.cookie = len;
		sim_start(s, &cmd);
		sh->next += len;
		sh->flying++;
	}
}

static size_t share_reap(struct share *sh, struct simdev *s, struct fleet_work *w)
{
	struct iopf_sim_cpl cpl;

	if (!sh->flying || !sim_poll(s, &cpl))
		return 0;
	if (cpl.status != IOPF_SIM_ST_OK && cpl.status != IOPF_SIM_ST_MISMATCH) {
		sim_describe(s);
		tap_bail("%s: the device says %s at 0x%llx", w->what, sim_status_name(cpl.status),
			 (unsigned long long)cpl.result);
	}
	sh->flying--;
	w->wrong += cpl.mismatches;
	w->faults += cpl.faults;
	w->fault_ns += cpl.fault_ns;
	if (cpl.fault_ns_max > w->fault_ns_max)
		w->fault_ns_max = cpl.fault_ns_max;
	return cpl.cookie;
}

void fleet_run(struct rig *r, const struct simbuf *b, struct fleet_work *w)
{
	struct share share[RIG_MAX_DEVICES];
	size_t each = (w->len / r->devices) & ~(MEM_PAGE - 1);
	size_t done = 0;
	uint64_t t0;

	for (unsigned int i = 0; i < r->devices; i++) {
		share[i].next = w->off + i * each;
		share[i].end = i + 1 == r->devices ? w->off + w->len : share[i].next + each;
		share[i].flying = 0;
	}
	w->wrong = 0;
	w->faults = 0;
	w->fault_ns = 0;
	w->fault_ns_max = 0;
	t0 = now_ns();
	while (done < w->len) {
		size_t before = done;

		for (unsigned int i = 0; i < r->devices; i++) {
			share_feed(&share[i], &r->sim[i], b, w);
			done += share_reap(&share[i], &r->sim[i], w);
		}
		if (done > before)
			say_progress(w->what, done, w->len);
		else
			usleep(FLEET_NAP_US);
	}
	w->ns = now_ns() - t0;
}
