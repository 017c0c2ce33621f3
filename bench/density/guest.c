// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest: see guest.h.
 *
 * Every slice of every extent has a version. A job that writes makes a new version, and a job that
 * verifies expects the present version. The seed of the pattern depends on the guest and the
 * version. So data of another guest, of another place or of another time are wrong data.
 */
#include "guest.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "figures.h"
#include "rig.h"
#include "skew.h"

#define SLICES		8u	/* slices of a page */
#define SLICE		(MEM_PAGE / SLICES)

/*
 * To poll for a completion costs CPU time, which other guests need. So the guest sleeps for a
 * quarter of the time that it has waited, or longer, between two polls.
 */
#define NAP_NS		50000u
#define NAP_SHARE	4u
#define HANG_NS		(60ull * 1000000000u)

#define START_NAP_NS	5000000u
#define HOLD_NAP_NS	5000000u

struct work {
	const struct guest_conf *conf;
	struct guest *shared;
	struct vfio_container container;
	struct vfio_dev vfio;
	struct simdev sim;
	struct simbuf buf;
	struct skew skew;
	uint16_t *version;	/* version of slice s of extent e: [e * SLICES + s] */
	unsigned int *turn;	/* number of jobs so far of extent e */
};

static void nap(uint64_t ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(ns / 1000000000u),
		.tv_nsec = (long)(ns % 1000000000u),
	};

	nanosleep(&ts, NULL);
}

static uint64_t work_seed(const struct work *w, unsigned int extent, unsigned int slice)
{
	return ((uint64_t)w->shared->index + 1) << 32 | w->version[extent * SLICES + slice];
}

static void work_open(struct work *w)
{
	const char *bdf = rig_bdf(w->shared->index);

	must(vfio_container_open(&w->container));
	must(vfio_dev_open(&w->vfio, &w->container, bdf, VFIO_TYPE1v2_IOMMU));
	must(sim_up(&w->sim, &w->vfio, NULL));
	/* An idle device must not cost CPU time. */
	sim_knob(bdf, "slow_poll", 1);
	if (rig_stock() == iopf_serves_me())
		tap_bail("%s is not served by who should serve it", bdf);
}

/* Fill the memory with data that the kernel can neither compress nor merge. */
static void work_fill(struct work *w)
{
	uint64_t *word = w->buf.va;

	for (size_t off = 0; off < w->buf.len; off += sizeof(*word), word++) {
		unsigned int extent = (unsigned int)(off / w->conf->extent);
		unsigned int slice = (unsigned int)(off % MEM_PAGE / SLICE);

		*word = iopf_sim_word(work_seed(w, extent, slice), off);
	}
}

/* Start like a hypervisor: map the memory for the device first, then fill it. */
static void work_start(struct work *w)
{
	unsigned int extents = (unsigned int)(w->conf->size / w->conf->extent);
	uint64_t t0;
	int err;

	w->version = calloc(extents, SLICES * sizeof(*w->version));
	w->turn = calloc(extents, sizeof(*w->turn));
	if (!w->version || !w->turn)
		tap_bail("no memory for the state of %u extents", extents);
	skew_init(&w->skew, extents, w->conf->hot_percent, w->conf->tail_permille,
		  w->shared->index + 1);
	w->buf.iova = RIG_IOVA;
	w->buf.len = w->conf->size;
	w->buf.va = mem_aligned(w->buf.len, MEM_HUGE);
	must_sys(mmap(w->buf.va, w->buf.len, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	must_sys(madvise(w->buf.va, w->buf.len, MADV_NOHUGEPAGE));

	must(mem_write_file("/proc/self/oom_score_adj", "1000"));
	t0 = now_ns();
	err = vfio_map(&w->container, w->buf.va, w->buf.iova, w->buf.len);
	if (err) {
		w->shared->err = err;
		w->shared->state = GUEST_REFUSED;
		_exit(0);
	}
	work_fill(w);
	w->shared->start_ns = now_ns() - t0;
	must(mem_write_file("/proc/self/oom_score_adj", "0"));
}

static void work_wait(struct work *w, struct iopf_sim_cpl *cpl)
{
	uint64_t t0 = now_ns();

	for (;;) {
		uint64_t waited = now_ns() - t0;

		nap(waited / NAP_SHARE > NAP_NS ? waited / NAP_SHARE : NAP_NS);
		if (sim_poll(&w->sim, cpl))
			return;
		if (waited > HANG_NS) {
			sim_describe(&w->sim);
			tap_bail("guest %u: a job does not end", w->shared->index);
		}
	}
}

static void work_count(struct work *w, const struct iopf_sim_cpl *cpl, bool tail)
{
	struct guest *g = w->shared;

	g->jobs++;
	g->tail_jobs += tail;
	g->tail_faulted += tail && cpl->faults;
	g->hot_faulted += !tail && cpl->faults;
	g->faults += cpl->faults;
	g->wrong += cpl->mismatches;
	g->latency.sum += cpl->ns;
	g->latency.count[iopf_hist_bucket(cpl->ns)]++;
}

static void work_job(struct work *w)
{
	unsigned int extent, slice;
	struct iopf_sim_cmd cmd;
	struct iopf_sim_cpl cpl;
	bool tail, write;

	extent = skew_next(&w->skew, &tail);
	write = skew_random(&w->skew, 100) < w->conf->write_percent;
	slice = w->turn[extent]++ % SLICES;
	if (write)
		w->version[extent * SLICES + slice]++;
	cmd = sim_cmd(write ? IOPF_SIM_OP_WRITE : IOPF_SIM_OP_VERIFY, &w->buf,
		      extent * w->conf->extent, w->conf->extent, work_seed(w, extent, slice));
	sim_cmd_order(&cmd, IOPF_SIM_ORDER_STRIDED, SLICE, MEM_PAGE, 0);
	cmd.iova += slice * SLICE;
	sim_start(&w->sim, &cmd);
	work_wait(w, &cpl);
	if (cpl.status != IOPF_SIM_ST_OK && cpl.status != IOPF_SIM_ST_MISMATCH)
		tap_bail("guest %u: the device says %s at 0x%llx", w->shared->index,
			 sim_status_name(cpl.status), (unsigned long long)cpl.result);
	work_count(w, &cpl, tail);
}

/* Check with the CPU the data that the device wrote. */
static void work_check(struct work *w)
{
	unsigned int every = w->conf->check_every;

	for (unsigned int e = w->shared->index % every; e < w->skew.extents; e += every) {
		size_t off = e * w->conf->extent;

		for (size_t end = off + w->conf->extent; off < end; off += sizeof(uint64_t)) {
			unsigned int slice = (unsigned int)(off % MEM_PAGE / SLICE);
			uint64_t got = *(uint64_t *)((char *)w->buf.va + off);

			w->shared->wrong += got != iopf_sim_word(work_seed(w, e, slice), off);
		}
		w->shared->checked += w->conf->extent;
	}
}

static void guest_main(struct guest *g, const struct guest_conf *conf)
{
	struct work w = { .conf = conf, .shared = g };
	uint64_t think = conf->think_us * 1000ull;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The kernel must not extend sleeps. */
	prctl(PR_SET_TIMERSLACK, 1);
	work_open(&w);
	work_start(&w);
	__atomic_store_n(&g->state, GUEST_RUNNING, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&g->stop, __ATOMIC_RELAXED)) {
		if (__atomic_load_n(&g->hold, __ATOMIC_RELAXED)) {
			nap(HOLD_NAP_NS);
			continue;
		}
		/* Uniform from half to one and a half of it, so that guests do not synchronize. */
		nap(think / 2 + skew_random(&w.skew, think + 1));
		work_job(&w);
	}
	work_check(&w);
	must(sim_down(&w.sim));
	must(vfio_unmap(&w.container, w.buf.iova, w.buf.len));
	vfio_dev_close(&w.vfio);
	vfio_container_close(&w.container);
	__atomic_store_n(&g->state, GUEST_DONE, __ATOMIC_RELEASE);
}

/* Return whether the process has ended. @status is its status then. */
static bool guest_ended(struct guest *g, int *status, int options)
{
	pid_t pid = must_sys(waitpid(g->pid, status, options));

	if (pid == g->pid)
		g->pid = 0;
	return !g->pid;
}

int guest_start(struct guest *g, const struct guest_conf *conf)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = must_sys(fork());
	if (!pid) {
		guest_main(g, conf);
		fflush(stdout);
		_exit(0);
	}
	/* The starter sets it, since fork() returned 0 to the guest. */
	g->pid = pid;
	while (__atomic_load_n(&g->state, __ATOMIC_ACQUIRE) != GUEST_RUNNING) {
		nap(START_NAP_NS);
		if (!guest_ended(g, &status, WNOHANG))
			continue;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			return -ESRCH;
		if (g->state == GUEST_REFUSED)
			return g->err;
		tap_bail("guest %u did not start: status 0x%x", g->index, status);
	}
	return 0;
}

bool guest_alive(struct guest *g)
{
	int status;

	return g->pid && !guest_ended(g, &status, WNOHANG);
}

void guest_end(struct guest *g)
{
	int status;

	if (!guest_ended(g, &status, 0) || status || g->state != GUEST_DONE)
		tap_bail("guest %u ended badly: status 0x%x", g->index, status);
}
