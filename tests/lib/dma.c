// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA in the background: see dma.h.
 */
#include <string.h>

#include "dma.h"
#include "tap.h"

static void dma_count(struct dma *d, const struct iopf_sim_cpl *cpl)
{
	unsigned int status = cpl->status;

	d->faults += cpl->faults;
	d->status[status < ARRAY_SIZE(d->status) ? status : IOPF_SIM_ST_BAD_COMMAND]++;
	if (status && !d->first_bad.cookie)
		d->first_bad = *cpl;
}

static void *dma_thread(void *arg)
{
	struct dma *d = arg;
	struct iopf_sim_cpl cpl;
	unsigned int i;
	int err;

	while (!__atomic_load_n(&d->stop, __ATOMIC_ACQUIRE)) {
		for (i = 0; i < d->n; i++) {
			sim_start(d->s, &d->cmds[i]);
			err = sim_wait_for(d->s, &cpl, SIM_HANG_SECONDS);
			if (err == -EIO) {
				__atomic_store_n(&d->gone, true, __ATOMIC_RELEASE);
				return NULL;
			}
			if (err) {
				sim_describe(d->s);
				tap_bail("hang: DMA in the background completes nothing");
			}
			dma_count(d, &cpl);
		}
		__atomic_add_fetch(&d->rounds, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

void dma_start(struct dma *d, struct simdev *s, const struct iopf_sim_cmd *cmds, unsigned int n)
{
	must_be(n <= DMA_MAX_CMDS);
	memset(d, 0, sizeof(*d));
	d->s = s;
	d->n = n;
	memcpy(d->cmds, cmds, n * sizeof(*cmds));
	must_be(!pthread_create(&d->thread, NULL, dma_thread, d));
}

void dma_start_both(struct dma *d, struct simdev *s, const struct simbuf *b, uint64_t seed)
{
	struct iopf_sim_cmd cmds[2] = {
		sim_cmd(IOPF_SIM_OP_WRITE, b, 0, b->len, seed),
		sim_cmd(IOPF_SIM_OP_VERIFY, b, 0, b->len, seed),
	};

	dma_start(d, s, cmds, 2);
}

uint64_t dma_rounds(struct dma *d)
{
	return __atomic_load_n(&d->rounds, __ATOMIC_ACQUIRE);
}

void dma_wait_rounds(struct dma *d, uint64_t more)
{
	uint64_t want = dma_rounds(d) + more;
	unsigned int spins = 0;

	/* The thread itself notices a hang. */
	while (dma_rounds(d) < want && !__atomic_load_n(&d->gone, __ATOMIC_ACQUIRE))
		sim_nap(&spins);
}

uint64_t dma_stop(struct dma *d)
{
	uint64_t bad = 0;
	unsigned int i;

	__atomic_store_n(&d->stop, true, __ATOMIC_RELEASE);
	pthread_join(d->thread, NULL);
	for (i = 1; i < ARRAY_SIZE(d->status); i++)
		bad += d->status[i];
	return bad + d->gone;
}

void dma_describe(const struct dma *d)
{
	unsigned int i;

	tap_diag("%s: %llu rounds of DMA, %llu faults", d->s->vfio->bdf,
		 (unsigned long long)d->rounds, (unsigned long long)d->faults);
	for (i = 1; i < ARRAY_SIZE(d->status); i++) {
		if (d->status[i])
			tap_diag("%llu ended with %s", (unsigned long long)d->status[i],
				 sim_status_name(i));
	}
	if (d->first_bad.cookie)
		tap_diag("first of them at 0x%llx, %llu mismatches",
			 (unsigned long long)d->first_bad.result,
			 (unsigned long long)d->first_bad.mismatches);
	if (d->gone)
		tap_diag("the device halted");
}
