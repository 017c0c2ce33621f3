// SPDX-License-Identifier: GPL-2.0-only
/*
 * Skew: see skew.h. The generator is that of the simulated device (iopf_sim_mix()) over a counter.
 * The modulo favours small numbers by one part in 2^50 here.
 */
#include "skew.h"

#include <linux/iopf_sim.h>
#include <stdlib.h>

#include "tap.h"

uint64_t skew_random(struct skew *k, uint64_t below)
{
	return iopf_sim_mix(++k->state) % below;
}

void skew_init(struct skew *k, unsigned int extents, unsigned int hot_percent,
	       unsigned int tail_permille, uint64_t seed)
{
	must_be(extents >= 2);
	k->extents = extents;
	k->hot = extents * hot_percent / 100;
	if (!k->hot)
		k->hot = 1;
	if (k->hot == extents)
		k->hot--;
	k->tail_permille = tail_permille;
	k->state = iopf_sim_mix(seed);
	k->order = calloc(extents, sizeof(*k->order));
	if (!k->order)
		tap_bail("no memory for the order of %u extents", extents);
	for (unsigned int i = 0; i < extents; i++) {
		unsigned int j = (unsigned int)skew_random(k, i + 1);

		k->order[i] = k->order[j];
		k->order[j] = i;
	}
}

void skew_free(struct skew *k)
{
	free(k->order);
	k->order = NULL;
}

unsigned int skew_next(struct skew *k, bool *tail)
{
	*tail = skew_random(k, 1000) < k->tail_permille;
	if (*tail)
		return k->order[k->hot + skew_random(k, k->extents - k->hot)];
	return k->order[skew_random(k, k->hot)];
}
